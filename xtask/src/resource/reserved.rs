//! Reserved names of resources and fields.

/// Names of tables, paths, modules, tests and template folders of the engine and the application.
const USED_NAMES: &str = "\
    account accounts address addresses admin admins api application architecture assets attempt attempts audit \
    auth backup bodies body browser cli client clients config db deploy docs ending endings engine error errors \
    event events existing favicon fork fuzz healthz host incident known_address known_addresses layout lib login \
    logins logout macros mail mails main metrics model models names needs oauth openapi page password passwords \
    plans pooler proxy readiness readyz resource resources rocket routes secret session sessions setup static \
    support templates test tests theme token tokens user_id user_ids username usernames web";

/// Types in generated files, and names in the OpenAPI document.
const USED_TYPES: &str = "Action Actor AdminLayout ApiDoc Auth BTreeMap Body Build Config Confirmation Conn Content \
    CookieJar Created Date DeleteForm Error EventDetails Field FieldError Fields Flag FlashRedirect Form FormInput \
    FormResult FromRow Health HealthStatus Id IgnoredBody Item Json Line List ListParams Listing LoggedIn Me Null \
    OpenApi Option Pager Problem Prose Redirect Result Revoked Rocket Serialize State Status String Table Template \
    Time ToSchema User UserId Value Vec WebUrl";

/// Rust's prelude.
const PRELUDE: &str = "AsMut AsRef AsyncFn AsyncFnMut AsyncFnOnce Box Clone Copy Default DoubleEndedIterator Drop Eq Err \
    ExactSizeIterator Extend Fn FnMut FnOnce From FromIterator Into IntoIterator Iterator None Ok Option Ord PartialEq \
    PartialOrd Result Send Sized Some String Sync ToOwned ToString TryFrom TryInto Unpin Vec";

/// Names in the rows, pages, errors and variables of every resource, and system columns of the databases.
const RESERVED_COLUMNS: &str = "\
    changed_at created_at db fields id instance now oid request_id rowid user user_id username ctid xmin xmax \
    cmin cmax tableoid";

/// Rust's keywords, strict and reserved.
const RUST_KEYWORDS: &str = "\
    abstract as async await become box break const continue crate do dyn else enum extern false final \
    fn for gen if impl in let loop macro match mod move mut override priv pub ref return self static struct super trait \
    true try type typeof unsafe unsized use virtual where while yield";

/// Words that PostgreSQL reserves (appendix C), and words that SQLite does not accept as an identifier.
const SQL_KEYWORDS: &str = "\
    add all alter analyse analyze and any array as asc asymmetric authorization autoincrement between \
    binary both case cast check collate collation column commit concurrently constraint create cross current_catalog \
    current_date current_role current_schema current_time current_timestamp current_user default deferrable delete desc \
    distinct do drop else end escape except exists false fetch for foreign freeze from full grant group having ilike in \
    index initially inner insert intersect into is isnull join lateral leading left like limit localtime localtimestamp \
    natural not nothing notnull null offset on only or order outer overlaps placing primary raise references returning right \
    select session_user set similar some symmetric system_user table tablesample then to trailing transaction true union \
    unique update user using values variadic verbose when where window with";

fn contains(words: &str, word: &str) -> bool {
    words.split_whitespace().any(|entry| entry == word)
}

pub fn is_rust_keyword(name: &str) -> bool {
    contains(RUST_KEYWORDS, name)
}

pub fn is_sql_keyword(name: &str) -> bool {
    contains(SQL_KEYWORDS, name)
}

pub fn is_used(name: &str) -> bool {
    contains(USED_NAMES, name)
}

pub fn is_used_type(name: &str) -> bool {
    contains(USED_TYPES, name) || contains(PRELUDE, name)
}

pub fn is_reserved_column(name: &str) -> bool {
    contains(RESERVED_COLUMNS, name)
}

//! Rows of demonstration data, many in one statement. [`crate::auth::demo`] decides what they say.
//!
//! # Errors
//! All functions fail where the database does.
#![allow(missing_docs, clippy::missing_errors_doc)]

use std::collections::HashSet;

use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, raw_sql};

use crate::db::{Conn, Engine};

type Insert<'q> = Query<'q, Any, AnyArguments>;

trait Row {
    /// The table and its columns.
    const INTO: &'static str;

    fn bind<'q>(&'q self, query: Insert<'q>) -> Insert<'q>;
}

/// A row of a table, as it is stored: its fields are columns.
macro_rules! row {
    ($name:ident, $table:literal, { $($column:ident: $type:ty,)* }) => {
        #[derive(Debug, Clone, Default)]
        pub struct $name { $(pub $column: $type,)* }

        impl Row for $name {
            const INTO: &'static str = concat!($table, " (", stringify!($($column),*), ")");

            fn bind<'q>(&'q self, query: Insert<'q>) -> Insert<'q> {
                query$(.bind(&self.$column))*
            }
        }
    };
}

row!(DemoUser, "users", {
    id: String, username: String, username_key: String, password_hash: String, role: &'static str, created_at: i64,
    disabled_at: Option<i64>, last_login_at: Option<i64>, last_seen_at: i64,
});

row!(DemoToken, "tokens", {
    id: String, user_id: String, kind: &'static str, client: String, client_key: String, digest: String,
    hint: String, created_at: i64, last_used_at: i64, expires_at: Option<i64>, ends_at: i64, address: String,
    user_agent: String, app: Option<String>, app_version: Option<String>, device_key: Option<String>,
});

row!(DemoEvent, "events", {
    id: String, at: i64, action: &'static str, via: &'static str, actor_id: Option<String>,
    actor_name: Option<String>, actor_key: Option<String>, subject_id: Option<String>,
    subject_name: Option<String>, subject_key: Option<String>, token_id: Option<String>, hint: Option<String>,
    client: Option<String>, client_key: Option<String>, reason: Option<&'static str>, address: Option<String>,
    request_id: Option<String>,
});

row!(DemoAttempt, "attempts", {
    key: String, failures: i64, ends_at: i64, pending: i64, pending_before: i64, generation: i64, run: i64,
    failed_at: i64, kept_until: i64,
});

impl DemoEvent {
    /// Says which token it concerns.
    pub fn concern(&mut self, token: &DemoToken) {
        let text = |text: &String| Some(text.clone());
        (self.token_id, self.hint) = (text(&token.id), text(&token.hint));
        (self.client, self.client_key) = (text(&token.client), text(&token.client_key));
    }
}

/// Rows that are stored together. Those of each table are best in the order of their ids: so few pages of most
/// indexes change.
#[derive(Debug, Default)]
pub struct Batch {
    pub users: Vec<DemoUser>,
    pub tokens: Vec<DemoToken>,
    pub events: Vec<DemoEvent>,
    pub attempts: Vec<DemoAttempt>,
}

/// The keys of all usernames.
pub async fn taken(db: &mut Conn) -> sqlx::Result<HashSet<String>> {
    let keys = sqlx::query_scalar("SELECT username_key FROM users");
    Ok(keys.fetch_all(db).await?.into_iter().collect())
}

/// The events that issued the tokens of a batch, of whose users no others have the password hash.
const ISSUED: &str = "
    INSERT INTO events (id, at, action, via, actor_id, actor_name, actor_key, subject_id, subject_name, subject_key,
                        token_id, hint, client, client_key, address, request_id)
    SELECT t.id, t.created_at, 'token.issued', 'api', u.id, u.username, u.username_key, u.id, u.username,
           u.username_key, t.id, t.hint, t.client, t.client_key, t.address, t.id
    FROM users u CROSS JOIN tokens t
    WHERE t.user_id = u.id AND u.id >= $1 AND u.id <= $2 AND u.password_hash = $3 ORDER BY t.id";

/// Stores a batch, with the events that issued its tokens.
pub async fn insert(db: &mut Conn, engine: Engine, batch: &Batch) -> sqlx::Result<()> {
    insert_rows(db, engine, &batch.users).await?;
    insert_rows(db, engine, &batch.tokens).await?;
    if let (Some(first), Some(last)) = (batch.users.first(), batch.users.last()) {
        let issued = sqlx::query(ISSUED).bind(&first.id).bind(&last.id);
        issued.bind(&first.password_hash).execute(&mut *db).await?;
    }
    insert_rows(db, engine, &batch.events).await?;
    insert_rows(db, engine, &batch.attempts).await
}

/// Rows of one statement. SQLite takes 32,766 values and PostgreSQL 65,535, but more rows gain nothing.
const ROWS: usize = 256;

async fn insert_rows<R: Row>(db: &mut Conn, engine: Engine, rows: &[R]) -> sqlx::Result<()> {
    let whole = statement::<R>(engine, ROWS);
    for rows in rows.chunks(ROWS) {
        // A statement of fewer rows will hardly come again, and is not worth keeping.
        let is_whole = rows.len() == ROWS;
        let sql = if is_whole {
            whole.clone()
        } else {
            statement::<R>(engine, rows.len())
        };
        let insert = sqlx::query(AssertSqlSafe(sql)).persistent(is_whole);
        let insert = rows.iter().fold(insert, |insert, row| row.bind(insert));
        insert.execute(&mut *db).await?;
    }
    Ok(())
}

fn statement<R: Row>(engine: Engine, rows: usize) -> String {
    let columns = R::INTO.split(',').count();
    let row = |row: usize| {
        let values = (1..=columns).map(|column| match engine {
            // To SQLite, `$1` is a name, and it searches all names for each value.
            Engine::Sqlite => "?".to_owned(),
            Engine::Postgres => format!("${}", row * columns + column),
        });
        format!("({})", values.collect::<Vec<_>>().join(", "))
    };
    let rows: Vec<_> = (0..rows).map(row).collect();
    // Any failure ends the transaction. To undo a statement alone, SQLite would copy each page that it changes.
    let or_fail = match engine {
        Engine::Sqlite => "OR FAIL",
        Engine::Postgres => "",
    };
    format!(
        "INSERT {or_fail} INTO {} VALUES {}",
        R::INTO,
        rows.join(", ")
    )
}

/// Prepares a connection for many inserts. On SQLite it gets a large cache, and its commits do not wait for the
/// disk: a power cut may lose the last of them, and nothing else.
pub async fn prepare(db: &mut Conn, engine: Engine) -> sqlx::Result<()> {
    if engine == Engine::Sqlite {
        let sql = "PRAGMA cache_size = -524288; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 65536; PRAGMA foreign_keys = OFF";
        raw_sql(sql).execute(db).await?;
    }
    Ok(())
}

/// Has the database look at how its values are spread, by which it plans queries.
pub async fn analyze(db: &mut Conn, engine: Engine) -> sqlx::Result<()> {
    let sql = match engine {
        // All rows would take seconds in which nobody else can write.
        Engine::Sqlite => {
            "PRAGMA analysis_limit = 1000; ANALYZE users; ANALYZE tokens; ANALYZE events; PRAGMA wal_checkpoint(TRUNCATE)"
        }
        Engine::Postgres => "VACUUM (ANALYZE) users, tokens, events",
    };
    raw_sql(sql).execute(db).await.map(drop)
}

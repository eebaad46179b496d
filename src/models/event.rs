//! The `events` table: the audit trail, and all that is left of ended tokens.

use sqlx::{AssertSqlSafe, FromRow};

use super::condition::Condition;
use super::list::{List, Span, Table};
use super::user::User;
use crate::db::Conn;
use crate::identity::address::{Address, Network};
use crate::identity::{EventId, TokenId, UserId, id_bound, key};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A user was created.
    UserCreated,
    /// A user was disabled.
    UserDisabled,
    /// A user was enabled again.
    UserEnabled,
    /// A user became an admin.
    UserPromoted,
    /// An admin became a user.
    UserDemoted,
    /// A user was deleted.
    UserDeleted,
    /// What failed logins had closed was opened again.
    UserUnlocked,
    /// A user changed the own password.
    PasswordChanged,
    /// Somebody else set a user's password.
    PasswordReset,
    /// A login was refused.
    LoginFailed,
    /// Logins failed, or succeeded, so often that no more are taken for a while; the reason says which.
    LoginThrottled,
    /// A token was issued.
    TokenIssued,
    /// A token was ended; the reason says why.
    TokenRevoked,
    /// A token was replaced by the next login of its client.
    TokenReplaced,
    /// A token's time was up.
    TokenExpired,
    /// An admin ended many tokens at once; each has an event that refers to this one.
    TokensRevoked,
    /// An admin disabled many users at once; each has an event that refers to this one.
    UsersDisabled,
    #[doc = "An admin deleted a user's note."] // example: notes
    NoteDeleted, // example: notes
}

impl Action {
    /// All of them, as one would look for them.
    pub const ALL: &[Self] = &[
        Self::TokenIssued,
        Self::TokenRevoked,
        Self::TokenReplaced,
        Self::TokenExpired,
        Self::TokensRevoked,
        Self::LoginFailed,
        Self::LoginThrottled,
        Self::PasswordChanged,
        Self::PasswordReset,
        Self::UserCreated,
        Self::UserDisabled,
        Self::UserEnabled,
        Self::UserPromoted,
        Self::UserDemoted,
        Self::UserDeleted,
        Self::UserUnlocked,
        Self::UsersDisabled,
        Self::NoteDeleted, // example: notes
    ];

    /// The word it is stored and shown as.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UserCreated => "user.created",
            Self::UserDisabled => "user.disabled",
            Self::UserEnabled => "user.enabled",
            Self::UserPromoted => "user.promoted",
            Self::UserDemoted => "user.demoted",
            Self::UserDeleted => "user.deleted",
            Self::UserUnlocked => "user.unlocked",
            Self::PasswordChanged => "password.changed",
            Self::PasswordReset => "password.reset",
            Self::LoginFailed => "login.failed",
            Self::LoginThrottled => "login.throttled",
            Self::TokenIssued => "token.issued",
            Self::TokenRevoked => "token.revoked",
            Self::TokenReplaced => "token.replaced",
            Self::TokenExpired => "token.expired",
            Self::TokensRevoked => "tokens.revoked",
            Self::UsersDisabled => "users.disabled",
            Self::NoteDeleted => "note.deleted", // example: notes
        }
    }
}

/// The door that somebody acted through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// The JSON API.
    Api,
    /// The admin pages.
    Admin,
    /// The command line.
    CommandLine,
    /// Nobody: the server did it of itself.
    Server,
}

impl Via {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Api, Self::Admin, Self::CommandLine, Self::Server];

    /// The word it is stored and shown as.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Admin => "admin",
            Self::CommandLine => "cli",
            Self::Server => "server",
        }
    }
}

/// Who acts, and where from: what every event is signed with.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The door.
    pub via: Via,
    /// Who was signed in, with the name at that time.
    pub user: Option<(UserId, String)>,
    /// The network address.
    pub address: Option<Address>,
    /// The request, as the log and the answer name it.
    pub request_id: Option<String>,
    /// The event of the bulk action that this is part of.
    pub cause: Option<EventId>,
    /// What the admin says about it.
    pub note: Option<String>,
}

impl Actor {
    /// Who has a shell on the machine.
    pub fn command_line() -> Self {
        Self {
            via: Via::CommandLine,
            user: None,
            address: None,
            request_id: None,
            cause: None,
            note: None,
        }
    }

    /// The server itself.
    pub fn server() -> Self {
        Self {
            via: Via::Server,
            user: None,
            address: None,
            request_id: None,
            cause: None,
            note: None,
        }
    }
}

/// Whom and what an event is about, beside who did it.
#[derive(Debug, Clone, Copy, Default)]
pub struct About<'a> {
    /// The user concerned, with the name at that time. None for names that no account has: people
    /// type passwords there.
    pub subject: Option<(UserId, &'a str)>,
    /// The token concerned.
    pub token: Option<TokenId>,
    /// Its last four characters.
    pub hint: Option<&'a str>,
    /// The client concerned, where a token is.
    pub client: Option<&'a str>,
    /// Why, in one word.
    pub reason: Option<&'a str>,
    /// What a bulk action was narrowed to.
    pub filter: Option<&'a str>,
    /// How often it happened, if not once.
    pub count: Option<i64>,
}

/// An event of the audit log.
#[derive(Debug, FromRow)]
pub struct Event {
    /// Names the event; greater than those of all before it.
    #[sqlx(try_from = "String")]
    pub id: EventId,
    /// Unix seconds.
    pub at: i64,
    /// What happened.
    pub action: String,
    /// The channel.
    pub via: String,
    /// Who did it.
    pub actor_name: Option<String>,
    /// That user, as long as there is one.
    pub actor_id: Option<String>,
    /// To whom.
    pub subject_name: Option<String>,
    /// That user, as long as there is one.
    pub subject_id: Option<String>,
    /// Which token.
    pub token_id: Option<String>,
    /// Its last four characters.
    pub hint: Option<String>,
    /// Which client.
    pub client: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Where from.
    pub address: Option<Address>,
    /// By which request.
    pub request_id: Option<String>,
    /// How often; of several times, all else is said of the first.
    pub count: i64,
    /// The event of the bulk action that it is part of.
    pub cause_id: Option<String>,
    /// What a bulk action was narrowed to.
    pub filter: Option<String>,
    /// What the admin said about it.
    pub note: Option<String>,
}

/// What is selected of an event, with the alias `t`.
const COLUMNS: &str =
    "t.id, t.at, t.action, t.via, t.actor_name, t.subject_name, t.token_id, t.hint, t.client,
    t.reason, t.address, t.request_id, t.count, t.cause_id, t.filter, t.note,
    (SELECT id FROM users WHERE users.id = t.actor_id) AS actor_id,
    (SELECT id FROM users WHERE users.id = t.subject_id) AS subject_id";

/// Which events; all of them where nothing is set.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// About that token.
    pub token: Option<TokenId>,
    /// Part of that bulk action.
    pub cause: Option<EventId>,
    /// About a user whose name had that key.
    pub subject: Option<String>,
    /// About that very user.
    pub subject_id: Option<UserId>,
    /// By a user whose name had that key.
    pub actor: Option<String>,
    /// By that very user.
    pub actor_id: Option<UserId>,
    /// From that address or network.
    pub address: Option<Network>,
    /// About a client with that key.
    pub client: Option<String>,
    /// What happened.
    pub action: Option<Action>,
    /// Why.
    pub reason: Option<String>,
    /// Through that channel.
    pub via: Option<Via>,
    /// Not what somebody did to themselves.
    pub to_others: bool,
    /// Not what the server does of itself.
    pub without_server: bool,
    /// Not before this time, unix seconds.
    pub from: Option<i64>,
    /// Before this time, unix seconds.
    pub until: Option<i64>,
}

/// Adds an event, and gives its id.
///
/// # Errors
/// The database failed.
pub async fn insert(
    db: &mut Conn,
    action: Action,
    actor: &Actor,
    about: About<'_>,
    now: i64,
) -> sqlx::Result<EventId> {
    let id = EventId::new();
    sqlx::query(
        "INSERT INTO events (id, at, action, via, actor_id, actor_name, actor_key, subject_id, subject_name,
                             subject_key, token_id, hint, client, client_key, reason, address, request_id, count,
                             cause_id, filter, note)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)",
    )
    .bind(id.to_string())
    .bind(now)
    .bind(action.as_str())
    .bind(actor.via.as_str())
    .bind(actor.user.as_ref().map(|(id, _)| id.to_string()))
    .bind(actor.user.as_ref().map(|(_, name)| name.as_str()))
    .bind(actor.user.as_ref().map(|(_, name)| key(name)))
    .bind(about.subject.map(|(id, _)| id.to_string()))
    .bind(about.subject.map(|(_, name)| name))
    .bind(about.subject.map(|(_, name)| key(name)))
    .bind(about.token.map(|id| id.to_string()))
    .bind(about.hint)
    .bind(about.client)
    .bind(about.client.map(key))
    .bind(about.reason)
    .bind(actor.address.map(Address::key))
    .bind(actor.request_id.as_deref())
    .bind(about.count.unwrap_or(1))
    .bind(actor.cause.map(|id| id.to_string()))
    .bind(about.filter)
    .bind(actor.note.as_deref())
    .execute(db)
    .await?;
    Ok(id)
}

/// Counts that what an event says happened once more. False if there is no such event any more.
///
/// # Errors
/// The database failed.
pub async fn count_again(db: &mut Conn, id: &str) -> sqlx::Result<bool> {
    let count = sqlx::query("UPDATE events SET count = count + 1 WHERE id = $1");
    let done = count.bind(id).execute(db).await?;
    Ok(done.rows_affected() == 1)
}

/// Counts the events that are part of a bulk action, when it is done: those of what it did to each.
///
/// # Errors
/// The database failed.
pub async fn count_caused(db: &mut Conn, id: EventId, part: Action) -> sqlx::Result<()> {
    let count = sqlx::query_scalar(
        "SELECT COUNT(*) FROM events
         WHERE cause_id IS NOT NULL AND (cause_id, id) > ($1, '') AND (cause_id, id) < ($1, 'g') AND action = $2",
    );
    let count = count.bind(id.to_string()).bind(part.as_str());
    let count: i64 = count.fetch_one(&mut *db).await?;
    let set = sqlx::query("UPDATE events SET count = $2 WHERE id = $1");
    set.bind(id.to_string()).bind(count).execute(db).await?;
    Ok(())
}

/// The user that a token belonged to, by the last event about it.
///
/// # Errors
/// The database failed.
pub async fn subject_of(db: &mut Conn, token: TokenId) -> sqlx::Result<Option<UserId>> {
    let last = sqlx::query_scalar(
        "SELECT subject_id FROM events WHERE token_id = $1 ORDER BY id DESC LIMIT 1",
    );
    let last: Option<Option<String>> = last.bind(token.to_string()).fetch_optional(db).await?;
    Ok(last.flatten().and_then(|id| UserId::parse(&id)))
}

/// The event with that id.
///
/// # Errors
/// The database failed.
pub async fn find(db: &mut Conn, id: EventId) -> sqlx::Result<Option<Event>> {
    let sql = format!("SELECT {COLUMNS} FROM events AS t WHERE t.id = $1");
    let find = sqlx::query_as(AssertSqlSafe(sql));
    find.bind(id.to_string()).fetch_optional(db).await
}

impl Filter {
    /// What happened to that user.
    pub fn about(user: &User) -> Self {
        Self {
            subject: Some(key(&user.username)),
            subject_id: Some(user.id),
            ..Self::default()
        }
    }

    /// What that user did, but for what concerns the user alone.
    pub fn by(user: &User) -> Self {
        Self {
            actor: Some(key(&user.username)),
            actor_id: Some(user.id),
            to_others: true,
            ..Self::default()
        }
    }

    /// The list: newest first, but for a network's, which is by address.
    pub fn list(&self) -> List {
        let (key, span, filters) = self.lead();
        List {
            // That index holds no others, which SQLite has to be told.
            table: Table::of(if self.cause.is_some() {
                "(SELECT * FROM events WHERE cause_id IS NOT NULL) AS t"
            } else {
                "events AS t"
            }),
            columns: COLUMNS.to_owned(),
            key,
            spans: vec![span],
            descending: true,
            filters,
        }
    }

    /// The column of the filter that leads, its rows, and the other filters.
    fn lead(&self) -> (Option<&'static str>, Span, Condition) {
        let from = self.from.map_or(String::new(), |at| id_bound(at * 1000));
        let until = self.until.map_or("g".to_owned(), |at| id_bound(at * 1000));
        let text = |value: &Option<String>| value.clone();
        let whole = [
            ("t.cause_id", self.cause.map(|id| id.to_string())),
            ("t.token_id", self.token.map(|id| id.to_string())),
            ("t.subject_key", text(&self.subject)),
            ("t.actor_key", text(&self.actor)),
            (
                "t.address",
                self.address.and_then(Network::single).map(Address::key),
            ),
            ("t.client_key", text(&self.client)),
            (
                "t.action",
                self.action.map(|action| action.as_str().to_owned()),
            ),
        ];
        let mut filters = Condition::default();
        let mut lead = None;
        for (column, value) in whole {
            let Some(value) = value else { continue };
            if lead.is_some() {
                filters.and_equal(column, value);
            } else {
                let span = Span::of(value).with_ids(from.as_str(), until.as_str());
                lead = Some((column, span));
            }
        }
        let network = self.address.filter(|network| network.single().is_none());
        if let Some([first, last]) = network.map(Network::keys) {
            if lead.is_none() {
                lead = Some(("t.address", Span::between(first, last)));
                filters.and(
                    "t.id > ? AND t.id < ?",
                    [from.as_str().into(), until.as_str().into()],
                );
            } else {
                filters.and(
                    "t.address >= ? AND t.address <= ?",
                    [first.into(), last.into()],
                );
            }
        }
        let others = [
            ("t.subject_id", self.subject_id.map(|id| id.to_string())),
            ("t.actor_id", self.actor_id.map(|id| id.to_string())),
            ("t.reason", text(&self.reason)),
            ("t.via", self.via.map(|via| via.as_str().to_owned())),
        ];
        for (column, value) in others {
            if let Some(value) = value {
                filters.and_equal(column, value);
            }
        }
        if self.to_others {
            filters.and("COALESCE(t.subject_id, '') <> t.actor_id", []);
        }
        if self.without_server {
            filters.and("t.via <> 'server'", []);
        }
        match lead {
            Some((column, span)) => (Some(column), span, filters),
            None => (None, Span::of_ids(from, until), filters),
        }
    }
}

/// Deletes up to `limit` events from before `time` (unix seconds), and says how many.
///
/// # Errors
/// The database failed.
pub async fn delete_before(db: &mut Conn, time: i64, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE id < $1 ORDER BY id LIMIT $2)",
    )
    .bind(id_bound(time * 1000))
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

//! The `events` table: the audit trail, and all that is left of ended tokens.

use sqlx::FromRow;

use super::place::{Order, Part, Place};
use super::search::{Clause, Indexed, Search, Table, rows_of_any};
use crate::db::{Conn, Engine};
use crate::identity::{EventId, TokenId, UserId, key};

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
    /// A token came to its end; the reason says how.
    TokenEnded,
    #[doc = "An admin deleted a user's note."] // example: notes
    NoteDeleted, // example: notes
}

impl Action {
    /// All of them, as one would look for them.
    pub const ALL: &[Self] = &[
        Self::TokenIssued,
        Self::TokenEnded,
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
        Self::NoteDeleted, // example: notes
    ];

    /// Whether its lines may name a client: no search by one looks at the others.
    fn is_about_a_client(self) -> bool {
        matches!(self, Self::TokenIssued | Self::TokenEnded)
    }

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
            Self::TokenEnded => "token.ended",
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
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Admin => "admin",
            Self::CommandLine => "command line",
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
    pub address: Option<String>,
    /// The request, as the log and the answer name it.
    pub request_id: Option<String>,
}

impl Actor {
    /// Who has a shell on the machine.
    pub fn command_line() -> Self {
        Self {
            via: Via::CommandLine,
            user: None,
            address: None,
            request_id: None,
        }
    }

    /// The server itself.
    pub fn server() -> Self {
        Self {
            via: Via::Server,
            user: None,
            address: None,
            request_id: None,
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
    /// The client concerned, where a token is.
    pub client: Option<&'a str>,
    /// Why.
    pub reason: Option<&'a str>,
}

/// A line of the trail.
#[derive(Debug, FromRow)]
pub struct Event {
    /// Names the line; greater than those of all lines before it.
    #[sqlx(try_from = "String")]
    pub id: EventId,
    /// Unix seconds.
    pub at: i64,
    /// What happened.
    pub action: String,
    /// The door.
    pub via: String,
    /// Who did it.
    pub actor_name: Option<String>,
    /// To whom.
    pub subject_name: Option<String>,
    /// That user, as long as there is one.
    pub subject_id: Option<String>,
    /// Which client.
    pub client: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Where from.
    pub address: Option<String>,
    /// By which request.
    pub request_id: Option<String>,
    /// How often; of several times, all else is said of the first.
    pub count: i64,
}

/// Which lines of the trail; all of them where nothing is set.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The beginning of the subject's key or of the client's.
    pub name: String,
    /// What happened.
    pub action: Option<Action>,
    /// Who did it, by the key of the name at that time.
    pub actor: Option<String>,
    /// Not before this time, unix seconds.
    pub from: Option<i64>,
    /// Before this time, unix seconds.
    pub until: Option<i64>,
}

/// Adds a line, and gives its id.
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
        "INSERT INTO events (id, at, action, via, actor_id, actor_name, subject_id, subject_name,
                             token_id, client, reason, address, request_id, actor_key,
                             subject_key, client_key)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
    )
    .bind(id.to_string())
    .bind(now)
    .bind(action.as_str())
    .bind(actor.via.as_str())
    .bind(actor.user.as_ref().map(|(id, _)| id.to_string()))
    .bind(actor.user.as_ref().map(|(_, name)| name.as_str()))
    .bind(about.subject.map(|(id, _)| id.to_string()))
    .bind(about.subject.map(|(_, name)| name))
    .bind(about.token.map(|id| id.to_string()))
    .bind(about.client)
    .bind(about.reason)
    .bind(actor.address.as_deref())
    .bind(actor.request_id.as_deref())
    .bind(actor.user.as_ref().map(|(_, name)| key(name)))
    .bind(about.subject.map(|(_, name)| key(name)))
    .bind(about.client.map(key))
    .execute(db)
    .await?;
    Ok(id)
}

/// Counts that what a line says happened once more. False if there is no such line any more.
///
/// # Errors
/// The database failed.
pub async fn count_again(db: &mut Conn, id: &str) -> sqlx::Result<bool> {
    let count = sqlx::query("UPDATE events SET count = count + 1 WHERE id = $1");
    let done = count.bind(id).execute(db).await?;
    Ok(done.rows_affected() == 1)
}

/// The last lines, latest first.
///
/// # Errors
/// The database failed.
pub async fn latest(db: &mut Conn, limit: i64) -> sqlx::Result<Vec<Event>> {
    sqlx::query_as(
        "SELECT id, at, action, via, actor_name, subject_name, client, reason, address, request_id,
                count, (SELECT id FROM users WHERE users.id = events.subject_id) AS subject_id
         FROM events ORDER BY at DESC, id DESC LIMIT $1",
    )
    .bind(limit)
    .fetch_all(db)
    .await
}

/// The last lines about one user, latest first.
///
/// # Errors
/// The database failed.
pub async fn latest_about(db: &mut Conn, user: UserId, limit: i64) -> sqlx::Result<Vec<Event>> {
    sqlx::query_as(
        "SELECT id, at, action, via, actor_name, subject_name, client, reason, address, request_id,
                count, (SELECT id FROM users WHERE users.id = events.subject_id) AS subject_id
         FROM events
         WHERE subject_key = (SELECT username_key FROM users WHERE id = $1) AND subject_id = $1
         ORDER BY at DESC, id DESC LIMIT $2",
    )
    .bind(user.to_string())
    .bind(limit)
    .fetch_all(db)
    .await
}

/// What filters ask of a line.
const TABLE: Table = Table {
    name: "events AS t",
    columns: "t.id, t.at, t.action, t.actor_key, t.subject_key, t.client_key",
};

impl Filter {
    /// The index that has the lines in order, and with them most of what is asked.
    fn index(&self) -> &'static str {
        match (self.action, &self.actor) {
            (_, Some(_)) => "events_by_actor",
            (Some(_), None) => "events_by_action",
            (None, None) => "events_by_time",
        }
    }

    fn clauses(&self) -> Vec<Clause> {
        let mut clauses = vec![];
        if let Some(actor) = &self.actor {
            let clause = Clause::new("t.actor_key = ?", actor.as_str());
            clauses.push(clause.leading("events_by_actor"));
        }
        if let Some(action) = self.action {
            let clause = Clause::new("t.action = ?", action.as_str());
            clauses.push(clause.leading("events_by_action"));
        }
        if self.from.is_some() || self.until.is_some() {
            let time = Clause::between("t.at", self.from, self.until);
            clauses.push(time.leading(self.index()));
        }
        clauses
    }

    /// Two where a name is asked for: the subject's, and the client's.
    async fn searches(&self, db: &mut Conn, engine: Engine) -> sqlx::Result<Vec<Search>> {
        let mut ways = vec![];
        if self.name.is_empty() {
            ways.push(self.clauses());
        } else {
            let subject = "t.subject_key >= * AND t.subject_key < ^";
            let mut names = vec![(subject, "events_by_subject_name")];
            if self.action.is_none_or(Action::is_about_a_client) {
                let client = "t.client_key >= * AND t.client_key < ^";
                names.push((client, "events_by_client"));
            }
            for (range, index) in names {
                let mut clauses = self.clauses();
                clauses.insert(0, Clause::beginning(range, &self.name).leading(index));
                ways.push(clauses);
            }
        }
        let mut searches = vec![];
        for clauses in ways {
            searches.push(Search::begin(db, engine, TABLE, clauses).await?);
        }
        Ok(searches)
    }
}

/// A part of the lines that `filter` lets through, latest first, each with its place.
///
/// # Errors
/// The database failed.
pub async fn list(
    db: &mut Conn,
    engine: Engine,
    filter: &Filter,
    part: &Part,
) -> sqlx::Result<Vec<(Place, Event)>> {
    let (key, id, descending) = ("t.at", "t.id", true);
    let order = Indexed {
        order: Order {
            key,
            id,
            descending,
        },
        numeric: true,
        index: filter.index(),
    };
    let searches = filter.searches(db, engine).await?;
    let select = "SELECT t.id, t.at, t.action, t.via, t.actor_name, t.subject_name, t.client,
                         t.reason, t.address, t.request_id, t.count,
                         (SELECT id FROM users WHERE users.id = t.subject_id) AS subject_id
                  FROM events AS t";
    let id = |event: &Event| event.id.to_string();
    rows_of_any(db, &searches, order, part, (select, id)).await
}

/// Deletes up to `limit` lines from before `time` (unix seconds), and says how many.
///
/// # Errors
/// The database failed.
pub async fn delete_before(db: &mut Conn, time: i64, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "DELETE FROM events WHERE id IN (
             SELECT id FROM events WHERE at < $1 ORDER BY at LIMIT $2)",
    )
    .bind(time)
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

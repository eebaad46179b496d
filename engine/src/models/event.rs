//! The `events` table: the audit log. Only events remain of revoked tokens.

mod action;
mod actor;
mod list;

use sqlx::{AssertSqlSafe, FromRow};

pub use self::action::Action;
pub use self::actor::{Actor, Channel};
pub use self::list::EventFilter;
use crate::application::application;
use crate::db::Conn;
use crate::error::Error;
use crate::identity::address::Address;
use crate::identity::{EventId, TokenId, UserId, id_bound, key};

/// What an event is about, apart from its actor.
#[derive(Debug, Clone, Copy, Default)]
pub struct EventDetails<'a> {
    /// The user concerned, with their name at that time. None for unknown usernames, because people type passwords
    /// there.
    pub subject: Option<(UserId, &'a str)>,
    /// The token concerned.
    pub token: Option<TokenId>,
    /// Its last four characters.
    pub hint: Option<&'a str>,
    /// The token's client.
    pub client: Option<&'a str>,
    /// The reason, in one word.
    pub reason: Option<&'a str>,
    /// The filter of a bulk action.
    pub filter: Option<&'a str>,
    /// How often it happened. None means once.
    pub count: Option<i64>,
}

/// An audit event.
#[derive(Debug, FromRow)]
pub struct Event {
    /// The event's id, greater than those of all earlier events.
    #[sqlx(try_from = "String")]
    pub id: EventId,
    /// When it happened, unix seconds.
    pub at: i64,
    /// What happened.
    pub action: String,
    /// The channel.
    pub via: String,
    /// The actor's name at that time.
    pub actor_name: Option<String>,
    /// The actor's id, as long as the user exists.
    pub actor_id: Option<String>,
    /// Name of the user concerned, at that time.
    pub subject_name: Option<String>,
    /// Id of the user concerned, as long as the user exists.
    pub subject_id: Option<String>,
    /// The token concerned.
    pub token_id: Option<String>,
    /// Its last four characters.
    pub hint: Option<String>,
    /// The token's client.
    pub client: Option<String>,
    /// The reason, in one word.
    pub reason: Option<String>,
    /// The IP address of the client.
    pub address: Option<Address>,
    /// The id of the request.
    pub request_id: Option<String>,
    /// How often it happened. Everything else describes the first time.
    pub count: i64,
    /// The event of the bulk action that it is part of.
    pub cause_id: Option<String>,
    /// The filter of a bulk action.
    pub filter: Option<String>,
    /// The admin's note.
    pub note: Option<String>,
}

/// Columns of an [`Event`], with the alias `t`.
const COLUMNS: &str =
    "t.id, t.at, t.action, t.via, t.actor_name, t.subject_name, t.token_id, t.hint, t.client,
    t.reason, t.address, t.request_id, t.count, t.cause_id, t.filter, t.note,
    (SELECT id FROM users WHERE users.id = t.actor_id) AS actor_id,
    (SELECT id FROM users WHERE users.id = t.subject_id) AS subject_id";

/// Adds an event about a custom action, and returns its id. The engine records its own actions.
///
/// # Errors
/// The application does not declare the action in [`actions`](crate::Application::actions), or the database failed.
pub async fn insert_custom(
    db: &mut Conn,
    action: &'static str,
    actor: &Actor,
    details: EventDetails<'_>,
    now: i64,
) -> Result<EventId, Error> {
    let action = Action::custom(action, application().actions).ok_or(Error::Internal(
        "the application does not declare this event's action",
    ))?;
    Ok(insert(db, action, actor, details, now).await?)
}

pub(crate) async fn insert(
    db: &mut Conn,
    action: Action,
    actor: &Actor,
    details: EventDetails<'_>,
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
    .bind(details.subject.map(|(id, _)| id.to_string()))
    .bind(details.subject.map(|(_, name)| name))
    .bind(details.subject.map(|(_, name)| key(name)))
    .bind(details.token.map(|id| id.to_string()))
    .bind(details.hint)
    .bind(details.client)
    .bind(details.client.map(key))
    .bind(details.reason)
    .bind(actor.address.map(Address::key))
    .bind(actor.request_id.as_deref())
    .bind(details.count.unwrap_or(1))
    .bind(actor.cause.map(|id| id.to_string()))
    .bind(details.filter)
    .bind(actor.note.as_deref())
    .execute(db)
    .await?;
    Ok(id)
}

/// Increments the count of an event. False if the event no longer exists.
pub(crate) async fn increment_count(db: &mut Conn, id: &str) -> sqlx::Result<bool> {
    let count = sqlx::query("UPDATE events SET count = count + 1 WHERE id = $1");
    let done = count.bind(id).execute(db).await?;
    Ok(done.rows_affected() == 1)
}

/// Stores the number of a bulk action's events with this action.
pub(crate) async fn store_member_count(
    db: &mut Conn,
    id: EventId,
    action: Action,
) -> sqlx::Result<()> {
    let count = sqlx::query_scalar(
        "SELECT COUNT(*) FROM events
         WHERE cause_id IS NOT NULL AND (cause_id, id) > ($1, '') AND (cause_id, id) < ($1, 'g') AND action = $2",
    );
    let count = count.bind(id.to_string()).bind(action.as_str());
    let count: i64 = count.fetch_one(&mut *db).await?;
    let set = sqlx::query("UPDATE events SET count = $2 WHERE id = $1");
    set.bind(id.to_string()).bind(count).execute(db).await?;
    Ok(())
}

/// The user of a token, by the last event about it.
pub(crate) async fn find_subject(db: &mut Conn, token: TokenId) -> sqlx::Result<Option<UserId>> {
    let last = sqlx::query_scalar(
        "SELECT subject_id FROM events WHERE token_id = $1 ORDER BY id DESC LIMIT 1",
    );
    let last: Option<Option<String>> = last.bind(token.to_string()).fetch_optional(db).await?;
    Ok(last.flatten().and_then(|id| UserId::parse(&id)))
}

/// The event with this id.
pub async fn find(db: &mut Conn, id: EventId) -> sqlx::Result<Option<Event>> {
    let sql = format!("SELECT {COLUMNS} FROM events AS t WHERE t.id = $1");
    let find = sqlx::query_as(AssertSqlSafe(sql));
    find.bind(id.to_string()).fetch_optional(db).await
}

/// Deletes up to `limit` events from before `time` (unix seconds), and returns how many.
pub(crate) async fn delete_before(db: &mut Conn, time: i64, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE id < $1 ORDER BY id LIMIT $2)",
    )
    .bind(id_bound(time * 1000))
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

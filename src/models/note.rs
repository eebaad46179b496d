//! The `notes` table: short texts of users. What a user asks for is found with the user's id in the `WHERE`,
//! so that no caller can forget whose it has to be.

use sqlx::FromRow;

use super::condition::Condition;
use super::place::{Key, Order, Part, Place};
use super::user;
use crate::db::Conn;
use crate::identity::{NoteId, UserId, checked, key};

/// A note's text as it may be stored.
#[derive(Debug, Clone)]
pub struct Text(String);

impl Text {
    /// The most characters that a note has: a body of 8 KiB has room for them, however they are encoded.
    pub const MAX: usize = 500;

    /// Takes 1 to 500 characters without control or bidi-control characters, but for tabs and ends of
    /// lines and paragraphs; white space around them counts and is dropped.
    ///
    /// # Errors
    /// What is wrong, as a sentence for the user.
    pub fn parse(text: &str) -> Result<Self, String> {
        // Browsers end lines with both.
        let text = text.replace("\r\n", "\n");
        let line = text.replace(['\n', '\t', '\u{2028}', '\u{2029}'], " ");
        checked(&line, Self::MAX)?;
        Ok(Self(text.trim().to_owned()))
    }
}

/// A note, as its user sees it.
#[derive(Debug, FromRow)]
pub struct Note {
    /// Names the note; greater than those of all notes before it.
    #[sqlx(try_from = "String")]
    pub id: NoteId,
    /// What it says.
    pub text: String,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds; none if it never was.
    pub changed_at: Option<i64>,
}

/// A note and its user, as an admin sees it.
#[derive(Debug, FromRow)]
pub struct Owned {
    /// The note.
    #[sqlx(flatten)]
    pub note: Note,
    /// Whose it is.
    #[sqlx(try_from = "String")]
    pub user_id: UserId,
    /// That user's name.
    pub username: String,
}

/// The maximum number of notes of one user: nobody fills the disk with them.
pub const MAX_NOTES: i64 = 1000;
/// What the user is told then.
pub const FULL: &str = "You have 1,000 notes, the maximum. Delete one and try again.";

/// Adds a note of that user; none if the user has the maximum.
///
/// # Errors
/// The database failed, or has no such user any more.
pub async fn insert(
    db: &mut Conn,
    user: UserId,
    text: &Text,
    now: i64,
) -> sqlx::Result<Option<Note>> {
    // Another request of the user waits here until this note is stored, and then counts it.
    user::lock(&mut *db, user).await?;
    sqlx::query_as(
        "INSERT INTO notes (id, user_id, text, created_at) SELECT $1, $2, $3, $4
         WHERE (SELECT COUNT(*) FROM notes WHERE user_id = $2) < $5
         RETURNING id, text, created_at, changed_at",
    )
    .bind(NoteId::new().to_string())
    .bind(user.to_string())
    .bind(text.0.as_str())
    .bind(now)
    .bind(MAX_NOTES)
    .fetch_optional(db)
    .await
}

/// Up to `limit` of that user's notes, newest first: the first ones, or those that follow `after`, whether
/// that is there still or not.
///
/// # Errors
/// The database failed.
pub async fn list(
    db: &mut Conn,
    user: UserId,
    after: Option<NoteId>,
    limit: i64,
) -> sqlx::Result<Vec<Note>> {
    // Every id sorts before a "g".
    sqlx::query_as(
        "SELECT id, text, created_at, changed_at FROM notes
         WHERE user_id = $1 AND id < COALESCE($2, 'g')
         ORDER BY id DESC LIMIT $3",
    )
    .bind(user.to_string())
    .bind(after.map(|id| id.to_string()))
    .bind(limit)
    .fetch_all(db)
    .await
}

/// That note, if it is that user's.
///
/// # Errors
/// The database failed.
pub async fn find(db: &mut Conn, user: UserId, id: NoteId) -> sqlx::Result<Option<Note>> {
    sqlx::query_as(
        "SELECT id, text, created_at, changed_at FROM notes WHERE id = $1 AND user_id = $2",
    )
    .bind(id.to_string())
    .bind(user.to_string())
    .fetch_optional(db)
    .await
}

/// Changes that note, if it is that user's; none if not.
///
/// # Errors
/// The database failed.
pub async fn change(
    db: &mut Conn,
    user: UserId,
    id: NoteId,
    text: &Text,
    now: i64,
) -> sqlx::Result<Option<Note>> {
    sqlx::query_as(
        "UPDATE notes SET text = $3, changed_at = $4 WHERE id = $1 AND user_id = $2
         RETURNING id, text, created_at, changed_at",
    )
    .bind(id.to_string())
    .bind(user.to_string())
    .bind(text.0.as_str())
    .bind(now)
    .fetch_optional(db)
    .await
}

/// Deletes that note, if it is that user's. False if not.
///
/// # Errors
/// The database failed.
pub async fn delete(db: &mut Conn, user: UserId, id: NoteId) -> sqlx::Result<bool> {
    let done = sqlx::query("DELETE FROM notes WHERE id = $1 AND user_id = $2")
        .bind(id.to_string())
        .bind(user.to_string())
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// That note, whose ever it is: for an admin.
///
/// # Errors
/// The database failed.
pub async fn find_any(db: &mut Conn, id: NoteId) -> sqlx::Result<Option<Owned>> {
    sqlx::query_as(
        "SELECT n.id, n.text, n.created_at, n.changed_at, n.user_id, u.username
         FROM notes AS n JOIN users AS u ON u.id = n.user_id WHERE n.id = $1",
    )
    .bind(id.to_string())
    .fetch_optional(db)
    .await
}

/// A part of all users' notes, or of those of the user with that name, newest first, each with its place:
/// for an admin.
///
/// # Errors
/// The database failed.
pub async fn list_any(
    db: &mut Conn,
    username: Option<&str>,
    part: &Part,
) -> sqlx::Result<Vec<(Place, Owned)>> {
    // Ids sort by creation, so there is nothing else to sort by.
    let order = Order {
        key: "n.id",
        id: "n.id",
        descending: true,
    };
    let order = order.of(part);
    let mut condition = Condition::default();
    if let Some(name) = username {
        let is_theirs = "n.user_id = (SELECT id FROM users WHERE username_key = ?)";
        condition.and(is_theirs, [key(name).into()]);
    }
    order.begin(part, &mut condition);
    let (clauses, order) = (condition.sql(), order.sql());
    let (limit, offset) = (condition.bind(part.limit), condition.bind(part.offset()));
    let sql = format!(
        "SELECT n.id, n.text, n.created_at, n.changed_at, n.user_id, u.username
         FROM notes AS n JOIN users AS u ON u.id = n.user_id
         WHERE {clauses} ORDER BY {order} LIMIT {limit} OFFSET {offset}"
    );
    let mut notes: Vec<Owned> = condition.fetch(db, sql).await?;
    if part.is_backward() {
        notes.reverse();
    }
    let placed = |owned: Owned| {
        let id = owned.note.id.to_string();
        let key = Key::Text(id.clone());
        (Place { key, id }, owned)
    };
    Ok(notes.into_iter().map(placed).collect())
}

//! The `notes` table: short texts of users. What a user asks for is found with the user's id in the `WHERE`,
//! so that no caller can forget whose it has to be.

use sqlx::FromRow;

use super::condition::Condition;
use super::list::{List, Span, Table};
use super::user;
use crate::db::Conn;
use crate::identity::{NoteId, UserId, checked};

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

/// All users' notes, or those of one, newest first: for an admin.
pub fn list_any(user: Option<&str>) -> List {
    List {
        table: Table::of("notes AS t"),
        columns: "t.id, t.text, t.created_at, t.changed_at, t.user_id,
                  (SELECT username FROM users WHERE users.id = t.user_id) AS username"
            .to_owned(),
        key: user.map(|_| "t.user_id"),
        spans: vec![user.map_or_else(Span::all, Span::of)],
        descending: true,
        filters: Condition::default(),
    }
}

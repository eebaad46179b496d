//! The `notes` table. Queries for users have the user's id in the `WHERE` clause, so that no caller can forget
//! to check the owner.
//!
//! # Errors
//! Every query fails if the database does.

// Stated once, in the documentation of the module.
#![allow(clippy::missing_errors_doc)]

use rocket_multitoken::db::Conn;
use rocket_multitoken::field::Prose;
use rocket_multitoken::identity::UserId;
use rocket_multitoken::models::list::{List, Table};
use rocket_multitoken::models::user;
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

rocket_multitoken::id! {
    /// The id of a note.
    NoteId
}

/// The fields of a note.
#[derive(Debug, Clone, FromRow, Serialize, ToSchema)]
#[schema(as = NoteFields)]
pub struct Content {
    /// Up to 500 characters on several lines.
    #[schema(value_type = String, min_length = 1, max_length = 500, example = "Buy oats")]
    pub text: Prose,
}

/// A row.
#[derive(Debug, FromRow)]
pub struct Note {
    /// A UUIDv7, which sorts by creation time.
    #[sqlx(try_from = "String")]
    pub id: NoteId,
    /// The fields.
    #[sqlx(flatten)]
    pub content: Content,
    /// Unix seconds.
    pub created_at: i64,
    /// Unix seconds. None before the first change.
    pub changed_at: Option<i64>,
}

/// A row with its user, for admins.
#[derive(Debug, FromRow)]
pub struct NoteOfUser {
    /// The row.
    #[sqlx(flatten)]
    pub note: Note,
    /// The user's id.
    #[sqlx(try_from = "String")]
    pub user_id: UserId,
    /// The user's name.
    pub username: String,
}

/// The maximum number of one user's notes, so that nobody fills the disk.
pub const MAX_PER_USER: i64 = 1000;
/// The message at the maximum.
pub const MAX_PER_USER_MESSAGE: &str =
    "You have 1,000 notes, the maximum. Delete one and try again.";

/// Adds a note. None if the user has the maximum.
///
/// # Errors
/// The database failed, or the user was deleted.
pub async fn insert(
    db: &mut Conn,
    user: UserId,
    content: &Content,
    now: i64,
) -> sqlx::Result<Option<Note>> {
    // A concurrent request of the user waits here until this row is stored, and then counts it.
    user::lock(&mut *db, user).await?;
    sqlx::query_as(
        "INSERT INTO notes (id, user_id, text, created_at)
         SELECT $1, $2, $3, $4
         WHERE (SELECT COUNT(*) FROM notes WHERE user_id = $2) < $5
         RETURNING id, text, created_at, changed_at",
    )
    .bind(NoteId::new().to_string())
    .bind(user.to_string())
    .bind(&content.text)
    .bind(now)
    .bind(MAX_PER_USER)
    .fetch_optional(db)
    .await
}

/// Up to `limit` of the user's notes, newest first. They follow `after`, which may have been deleted.
pub async fn list(
    db: &mut Conn,
    user: UserId,
    after: Option<NoteId>,
    limit: i64,
) -> sqlx::Result<Vec<Note>> {
    // Ids are hexadecimal, so "g" sorts after all of them.
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

/// Finds a note of the user.
pub async fn find(db: &mut Conn, user: UserId, id: NoteId) -> sqlx::Result<Option<Note>> {
    sqlx::query_as(
        "SELECT id, text, created_at, changed_at FROM notes
         WHERE id = $1 AND user_id = $2",
    )
    .bind(id.to_string())
    .bind(user.to_string())
    .fetch_optional(db)
    .await
}

/// Replaces the content of a note. None if it is not the user's.
pub async fn change(
    db: &mut Conn,
    user: UserId,
    id: NoteId,
    content: &Content,
    now: i64,
) -> sqlx::Result<Option<Note>> {
    sqlx::query_as(
        "UPDATE notes SET text = $3, changed_at = $4
         WHERE id = $1 AND user_id = $2
         RETURNING id, text, created_at, changed_at",
    )
    .bind(id.to_string())
    .bind(user.to_string())
    .bind(&content.text)
    .bind(now)
    .fetch_optional(db)
    .await
}

/// Deletes a note. False if it is not the user's.
pub async fn delete(db: &mut Conn, user: UserId, id: NoteId) -> sqlx::Result<bool> {
    let result = sqlx::query("DELETE FROM notes WHERE id = $1 AND user_id = $2")
        .bind(id.to_string())
        .bind(user.to_string())
        .execute(db)
        .await?;
    Ok(result.rows_affected() == 1)
}

/// Finds a note of any user, for admins.
pub async fn find_for_admin(db: &mut Conn, id: NoteId) -> sqlx::Result<Option<NoteOfUser>> {
    sqlx::query_as(
        "SELECT t.id, t.text, t.created_at, t.changed_at, t.user_id, u.username
         FROM notes AS t JOIN users AS u ON u.id = t.user_id WHERE t.id = $1",
    )
    .bind(id.to_string())
    .fetch_optional(db)
    .await
}

/// The notes of all users, or of the one with this id, newest first, for admins.
///
/// The id may come from `user::id_by_name`: for an unknown name it is empty, which matches no row.
pub fn list_for_admin(user: Option<String>) -> List {
    let mut list = List::new(
        Table::new("notes AS t"),
        "t.id, t.text, t.created_at, t.changed_at, t.user_id,
         (SELECT username FROM users WHERE users.id = t.user_id) AS username",
    );
    if let Some(id) = user {
        list.filter_by_key("t.user_id", id);
    }
    list
}

//! The `outbox` table: mail to be sent.

use sqlx::FromRow;

use crate::db::Conn;
use crate::identity::{LinkId, MailId, UserId};

/// A mail to be sent.
#[derive(Debug, Clone, FromRow)]
pub struct PendingMail {
    #[sqlx(try_from = "String")]
    pub id: MailId,
    /// The name of its templates.
    pub purpose: String,
    /// Empty if the address has no user.
    pub user_id: String,
    /// Empty without a user.
    pub username: String,
    /// Empty without a link.
    pub link_id: String,
    pub address: String,
    /// Values for the templates, as a JSON object.
    pub facts: String,
    pub tries: i64,
    /// When it is tried next, unix seconds.
    pub due_at: i64,
    /// When it is given up, unix seconds.
    pub ends_at: i64,
}

/// A mail to be stored.
#[derive(Debug, Clone, Copy)]
pub struct NewMail<'a> {
    /// The name of its templates.
    pub purpose: &'a str,
    pub user: Option<UserId>,
    pub link: Option<LinkId>,
    pub address: &'a str,
    /// Values for the templates, as a JSON object.
    pub facts: &'a str,
    /// When it is given up, unix seconds.
    pub ends_at: i64,
}

/// Stores a mail that is due at once.
pub async fn insert(db: &mut Conn, mail: &NewMail<'_>, now: i64) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO outbox (id, purpose, user_id, link_id, address, facts, due_at, ends_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(MailId::new().to_string())
    .bind(mail.purpose)
    .bind(mail.user.map(|id| id.to_string()))
    .bind(mail.link.map(|id| id.to_string()))
    .bind(mail.address)
    .bind(mail.facts)
    .bind(now)
    .bind(mail.ends_at)
    .execute(db)
    .await?;
    Ok(())
}

/// Up to `limit` due mails, oldest first.
pub async fn due(db: &mut Conn, now: i64, limit: i64) -> sqlx::Result<Vec<PendingMail>> {
    sqlx::query_as(
        "SELECT o.id, o.purpose, COALESCE(o.user_id, '') AS user_id, COALESCE(u.username, '') AS username,
                COALESCE(o.link_id, '') AS link_id, o.address, o.facts, o.tries, o.due_at, o.ends_at
         FROM outbox AS o LEFT JOIN users AS u ON u.id = o.user_id
         WHERE o.due_at <= $1 ORDER BY o.due_at, o.id LIMIT $2",
    )
    .bind(now)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// Up to `limit` mails that are to be given up.
pub async fn overdue(db: &mut Conn, now: i64, limit: i64) -> sqlx::Result<Vec<PendingMail>> {
    sqlx::query_as(
        "SELECT o.id, o.purpose, COALESCE(o.user_id, '') AS user_id, COALESCE(u.username, '') AS username,
                COALESCE(o.link_id, '') AS link_id, o.address, o.facts, o.tries, o.due_at, o.ends_at
         FROM outbox AS o LEFT JOIN users AS u ON u.id = o.user_id
         WHERE o.ends_at <= $1 LIMIT $2",
    )
    .bind(now)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// Claims a mail until `due_at`, and counts a try. False if another process has claimed it.
pub async fn claim(db: &mut Conn, mail: &mut PendingMail, due_at: i64) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "UPDATE outbox SET tries = tries + 1, due_at = $4
         WHERE id = $1 AND tries = $2 AND due_at = $3",
    )
    .bind(mail.id.to_string())
    .bind(mail.tries)
    .bind(mail.due_at)
    .bind(due_at)
    .execute(db)
    .await?;
    mail.tries += 1;
    Ok(done.rows_affected() == 1)
}

/// Stores the user and link of a mail that was requested for an address. False if the mail no longer exists.
pub async fn resolve(
    db: &mut Conn,
    id: MailId,
    purpose: &str,
    user: UserId,
    link: Option<LinkId>,
) -> sqlx::Result<bool> {
    let done =
        sqlx::query("UPDATE outbox SET purpose = $2, user_id = $3, link_id = $4 WHERE id = $1")
            .bind(id.to_string())
            .bind(purpose)
            .bind(user.to_string())
            .bind(link.map(|id| id.to_string()))
            .execute(db)
            .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes a user's mails that have no link yet.
pub async fn delete_unprepared(db: &mut Conn, user: UserId) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM outbox WHERE user_id = $1 AND purpose = 'verify' AND link_id IS NULL")
        .bind(user.to_string())
        .execute(db)
        .await?;
    Ok(())
}

/// Moves the next try of a claimed mail to `due_at`. False if another process has claimed it since.
pub async fn postpone(db: &mut Conn, claimed: &PendingMail, due_at: i64) -> sqlx::Result<bool> {
    let done = sqlx::query("UPDATE outbox SET due_at = $3 WHERE id = $1 AND tries = $2")
        .bind(claimed.id.to_string())
        .bind(claimed.tries)
        .bind(due_at)
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes a claimed mail that is given up. False if another process has claimed it since.
pub async fn give_up(db: &mut Conn, claimed: &PendingMail) -> sqlx::Result<bool> {
    let done = sqlx::query("DELETE FROM outbox WHERE id = $1 AND tries = $2")
        .bind(claimed.id.to_string())
        .bind(claimed.tries)
        .execute(db)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn delete(db: &mut Conn, id: MailId) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM outbox WHERE id = $1")
        .bind(id.to_string())
        .execute(db)
        .await?;
    Ok(())
}

pub async fn count(db: &mut Conn) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT COUNT(*) FROM outbox")
        .fetch_one(db)
        .await
}

/// Number of mails that were tried at least `tries` times.
pub async fn count_failing(db: &mut Conn, tries: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT COUNT(*) FROM outbox WHERE tries >= $1")
        .bind(tries)
        .fetch_one(db)
        .await
}

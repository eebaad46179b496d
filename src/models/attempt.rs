//! The `attempts` table: failed logins, counted for an account or for an address.
//!
//! A row counts in a window of time that begins with the first attempt. An attempt is pending
//! before its password is checked; then it is a failure, or taken back. What is pending and what
//! has failed never is more than the limit, and each change is a single statement: neither a burst
//! nor a second process slips past.

use sqlx::FromRow;

use crate::db::Conn;

/// Counts one more attempt for `key` as pending, and gives the end of the window that it counts in
/// (unix seconds); none if `limit` attempts have failed or are pending in it. A window that begins
/// now ends at `ends_at`.
///
/// # Errors
/// The database failed.
pub async fn begin(
    db: &mut Conn,
    key: &str,
    limit: i64,
    now: i64,
    ends_at: i64,
) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(
        "INSERT INTO attempts (key, failures, pending, ends_at) VALUES ($1, 0, 1, $2)
         ON CONFLICT (key) DO UPDATE
         SET failures = CASE WHEN attempts.ends_at <= $3 THEN 0 ELSE attempts.failures END,
             pending = CASE WHEN attempts.ends_at <= $3 THEN 1 ELSE attempts.pending + 1 END,
             ends_at = CASE WHEN attempts.ends_at <= $3
                              OR attempts.failures + attempts.pending = 0
                            THEN excluded.ends_at ELSE attempts.ends_at END
         WHERE attempts.ends_at <= $3 OR attempts.failures + attempts.pending < $4
         RETURNING ends_at",
    )
    .bind(key)
    .bind(ends_at)
    .bind(now)
    .bind(limit)
    .fetch_optional(db)
    .await
}

/// Turns a pending attempt, in the window that ends at `ends_at`, into a failure, and says how many
/// there are; none if the window is over.
///
/// # Errors
/// The database failed.
pub async fn fail(db: &mut Conn, key: &str, ends_at: i64) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(
        "UPDATE attempts SET failures = failures + 1, pending = pending - 1
         WHERE key = $1 AND ends_at = $2 AND pending > 0
         RETURNING failures",
    )
    .bind(key)
    .bind(ends_at)
    .fetch_optional(db)
    .await
}

/// Takes a pending attempt back, in the window that ends at `ends_at`.
///
/// # Errors
/// The database failed.
pub async fn forgive(db: &mut Conn, key: &str, ends_at: i64) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE attempts SET pending = pending - 1
         WHERE key = $1 AND ends_at = $2 AND pending > 0",
    )
    .bind(key)
    .bind(ends_at)
    .execute(db)
    .await?;
    Ok(())
}

/// How a budget stands.
#[derive(Debug, FromRow)]
pub struct Standing {
    /// Whose.
    pub key: String,
    /// Attempts that failed in this window.
    pub failures: i64,
    /// Attempts that are pending.
    pub pending: i64,
    /// When the window ends, unix seconds.
    pub ends_at: i64,
}

/// How two budgets stand; nothing of one that has no window now.
///
/// # Errors
/// The database failed.
pub async fn standings(db: &mut Conn, keys: [&str; 2], now: i64) -> sqlx::Result<Vec<Standing>> {
    sqlx::query_as(
        "SELECT key, failures, pending, ends_at FROM attempts
         WHERE ends_at > $1 AND (key = $2 OR key = $3)",
    )
    .bind(now)
    .bind(keys[0])
    .bind(keys[1])
    .fetch_all(db)
    .await
}

/// Deletes up to `limit` counts whose window is over, and says how many.
///
/// # Errors
/// The database failed.
pub async fn delete_ended(db: &mut Conn, now: i64, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "DELETE FROM attempts WHERE ends_at <= $1 AND key IN (
             SELECT key FROM attempts WHERE ends_at <= $1 ORDER BY ends_at LIMIT $2)",
    )
    .bind(now)
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

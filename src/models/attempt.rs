//! The `attempts` table: failed logins, counted for an account or for an address.
//!
//! A row counts in a window of time that begins with the first failure. A count is taken before
//! the password is checked and given back if it was right, in single statements, so that neither a
//! burst nor a second process slips past a limit.

use sqlx::{AnyConnection, FromRow};

/// A count that was taken.
#[derive(Debug, Clone, FromRow)]
pub struct Counted {
    /// Failures in this window, this attempt included.
    pub failures: i64,
    /// When the window ends, unix seconds.
    pub ends_at: i64,
}

/// Counts one more failure for `key`; none if there are `limit` in this window already. A window
/// that begins now ends at `ends_at` (unix seconds).
///
/// # Errors
/// The database failed.
pub async fn count(
    db: &mut AnyConnection,
    key: &str,
    limit: i64,
    now: i64,
    ends_at: i64,
) -> sqlx::Result<Option<Counted>> {
    sqlx::query_as(
        "INSERT INTO attempts (key, failures, ends_at) VALUES ($1, 1, $2)
         ON CONFLICT (key) DO UPDATE
         SET failures = CASE WHEN attempts.ends_at <= $3 OR attempts.failures = 0
                             THEN 1 ELSE attempts.failures + 1 END,
             ends_at = CASE WHEN attempts.ends_at <= $3 OR attempts.failures = 0
                            THEN excluded.ends_at ELSE attempts.ends_at END
         WHERE attempts.ends_at <= $3 OR attempts.failures < $4
         RETURNING failures, ends_at",
    )
    .bind(key)
    .bind(ends_at)
    .bind(now)
    .bind(limit)
    .fetch_optional(db)
    .await
}

/// Gives back what was counted for `key` in the window that ends at `ends_at`.
///
/// # Errors
/// The database failed.
pub async fn give_back(db: &mut AnyConnection, key: &str, ends_at: i64) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE attempts SET failures = failures - 1
         WHERE key = $1 AND ends_at = $2 AND failures > 0",
    )
    .bind(key)
    .bind(ends_at)
    .execute(db)
    .await?;
    Ok(())
}

/// When the last window ends of those of the two keys in which the limit is reached, unix seconds;
/// none if none is.
///
/// # Errors
/// The database failed.
pub async fn exhausted_until(
    db: &mut AnyConnection,
    account: (&str, i64),
    address: (&str, i64),
    now: i64,
) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(
        "SELECT ends_at FROM attempts
         WHERE ends_at > $1
           AND ((key = $2 AND failures >= $3) OR (key = $4 AND failures >= $5))
         ORDER BY ends_at DESC LIMIT 1",
    )
    .bind(now)
    .bind(account.0)
    .bind(account.1)
    .bind(address.0)
    .bind(address.1)
    .fetch_optional(db)
    .await
}

/// Deletes up to `limit` counts whose window is over, and says how many.
///
/// # Errors
/// The database failed.
pub async fn delete_ended(db: &mut AnyConnection, now: i64, limit: i64) -> sqlx::Result<u64> {
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

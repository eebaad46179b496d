//! The `attempts` table: failed logins, counted for budgets in windows of time.
//!
//! [`lock`] a row before it is changed and [`store`] it in the same transaction: neither a burst nor a
//! second process slips past. What the numbers mean stands in `auth/throttle/window.rs`.

use sqlx::FromRow;

use crate::db::Conn;

/// A row: how a budget stands. Times are unix seconds.
#[derive(Debug, Clone, FromRow)]
pub struct Counts {
    /// The budget.
    pub key: String,
    /// Attempts that failed in the window.
    pub failures: i64,
    /// When the window ends.
    pub ends_at: i64,
    /// Pending attempts that began in `generation`.
    pub pending: i64,
    /// The same of the generation before.
    pub pending_before: i64,
    /// A short span of time, by number.
    pub generation: i64,
    /// Failures of strangers in a row, whatever the window.
    pub run: i64,
    /// When the last of them happened.
    pub failed_at: i64,
    /// The event that counts the window's failures with names that no account has.
    pub failed_event: Option<String>,
    /// The event that counts how often such a name's budget was used up in the window.
    pub throttled_event: Option<String>,
}

/// Keys that one query looks up.
const AT_ONCE: usize = 4;

/// The rows of these budgets, as far as there are any.
///
/// # Errors
/// The database failed.
pub async fn find(db: &mut Conn, keys: &[&str]) -> sqlx::Result<Vec<Counts>> {
    let mut found = vec![];
    for some in keys.chunks(AT_ONCE) {
        let key = |number| *some.get(number).unwrap_or(&"");
        let rows: Vec<Counts> = sqlx::query_as(
            "SELECT key, failures, ends_at, pending, pending_before, generation, run, failed_at,
                    failed_event, throttled_event
             FROM attempts WHERE key IN ($1, $2, $3, $4)",
        )
        .bind(key(0))
        .bind(key(1))
        .bind(key(2))
        .bind(key(3))
        .fetch_all(&mut *db)
        .await?;
        found.extend(rows);
    }
    Ok(found)
}

/// Locks a budget's row until the transaction ends, and gives it as it is then: all zeros where there
/// was none.
///
/// A `SELECT` after the wait for a lock could show what was there before the wait; this does not.
///
/// # Errors
/// The database failed.
pub async fn lock(db: &mut Conn, key: &str) -> sqlx::Result<Counts> {
    sqlx::query_as(
        "INSERT INTO attempts (key, failures, ends_at, pending, pending_before, generation, run,
                               failed_at, kept_until)
         VALUES ($1, 0, 0, 0, 0, 0, 0, 0, 0)
         ON CONFLICT (key) DO UPDATE SET key = excluded.key
         RETURNING key, failures, ends_at, pending, pending_before, generation, run, failed_at,
                   failed_event, throttled_event",
    )
    .bind(key)
    .fetch_one(db)
    .await
}

/// Stores a row that was locked, to be kept until that time.
///
/// # Errors
/// The database failed.
pub async fn store(db: &mut Conn, counts: &Counts, kept_until: i64) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE attempts
         SET failures = $2, ends_at = $3, pending = $4, pending_before = $5, generation = $6,
             run = $7, failed_at = $8, failed_event = $9, throttled_event = $10, kept_until = $11
         WHERE key = $1",
    )
    .bind(counts.key.as_str())
    .bind(counts.failures)
    .bind(counts.ends_at)
    .bind(counts.pending)
    .bind(counts.pending_before)
    .bind(counts.generation)
    .bind(counts.run)
    .bind(counts.failed_at)
    .bind(counts.failed_event.as_deref())
    .bind(counts.throttled_event.as_deref())
    .bind(kept_until)
    .execute(db)
    .await?;
    Ok(())
}

/// Ends a budget's window and its run. What is pending stays so.
///
/// # Errors
/// The database failed.
pub async fn clear(db: &mut Conn, key: &str, now: i64) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE attempts SET failures = 0, ends_at = 0, run = 0, kept_until = $2 WHERE key = $1",
    )
    .bind(key)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// Deletes a budget's row.
///
/// # Errors
/// The database failed.
pub async fn delete(db: &mut Conn, key: &str) -> sqlx::Result<()> {
    let delete = sqlx::query("DELETE FROM attempts WHERE key = $1");
    delete.bind(key).execute(db).await?;
    Ok(())
}

/// Deletes up to `limit` rows that were kept until then, and says how many.
///
/// # Errors
/// The database failed.
pub async fn delete_ended(db: &mut Conn, time: i64, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "DELETE FROM attempts WHERE +kept_until <= $1 AND key IN (
             SELECT key FROM attempts WHERE kept_until <= $1 ORDER BY kept_until LIMIT $2)",
    )
    .bind(time)
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

/// Until when the last row was kept that has `most` others before it, the latest first; none if there
/// are no more than these.
///
/// # Errors
/// The database failed.
pub async fn surplus(db: &mut Conn, most: i64) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(
        "SELECT kept_until FROM attempts WHERE key LIKE 'name:%'
         ORDER BY kept_until DESC LIMIT 1 OFFSET $1",
    )
    .bind(most)
    .fetch_optional(db)
    .await
}

/// The same as [`delete_ended`] for names that no account has, ended or not.
///
/// # Errors
/// The database failed.
pub async fn delete_names(db: &mut Conn, time: i64, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "DELETE FROM attempts WHERE key IN (
             SELECT key FROM attempts WHERE kept_until <= $1 AND key LIKE 'name:%'
             ORDER BY kept_until LIMIT $2)",
    )
    .bind(time)
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

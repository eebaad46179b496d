//! The `attempts` table: failed logins, counted per budget and window.
//!
//! To change a row, [`lock`] it and [`store`] it in the same transaction, so that concurrent attempts, also of other
//! processes, cannot exceed a limit. `auth/throttle/window.rs` defines what the numbers mean.

use sqlx::FromRow;

use crate::db::Conn;

/// A budget's row. Times are unix seconds.
#[derive(Debug, Clone, FromRow)]
pub struct BudgetRow {
    pub key: String,
    /// Failed attempts in the window.
    pub failures: i64,
    pub ends_at: i64,
    /// Pending attempts that began in `generation`.
    pub pending: i64,
    /// Pending attempts of the previous generation.
    pub pending_before: i64,
    /// Number of a short period of time.
    pub generation: i64,
    /// Consecutive failures of strangers, across windows.
    pub run: i64,
    pub failed_at: i64,
    /// Event that counts the window's failures with unknown usernames.
    pub failed_event: Option<String>,
    /// Event that counts how often the budget of an unknown username was used up in the window.
    pub throttled_event: Option<String>,
}

const BATCH_SIZE: usize = 4;

pub async fn find(db: &mut Conn, keys: &[&str]) -> sqlx::Result<Vec<BudgetRow>> {
    let mut found = vec![];
    for batch in keys.chunks(BATCH_SIZE) {
        let key = |number| *batch.get(number).unwrap_or(&"");
        let rows: Vec<BudgetRow> = sqlx::query_as(
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

/// Locks a budget's row until the transaction ends, and returns its current state: all zeros if it is new.
///
/// A `SELECT` could return the state from before the wait for the lock. This statement cannot.
pub async fn lock(db: &mut Conn, key: &str) -> sqlx::Result<BudgetRow> {
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

/// Stores a locked row.
pub async fn store(db: &mut Conn, row: &BudgetRow, kept_until: i64) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE attempts
         SET failures = $2, ends_at = $3, pending = $4, pending_before = $5, generation = $6,
             run = $7, failed_at = $8, failed_event = $9, throttled_event = $10, kept_until = $11
         WHERE key = $1",
    )
    .bind(row.key.as_str())
    .bind(row.failures)
    .bind(row.ends_at)
    .bind(row.pending)
    .bind(row.pending_before)
    .bind(row.generation)
    .bind(row.run)
    .bind(row.failed_at)
    .bind(row.failed_event.as_deref())
    .bind(row.throttled_event.as_deref())
    .bind(kept_until)
    .execute(db)
    .await?;
    Ok(())
}

/// Ends a budget's window and run. Pending attempts stay.
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

pub async fn delete(db: &mut Conn, key: &str) -> sqlx::Result<()> {
    let delete = sqlx::query("DELETE FROM attempts WHERE key = $1");
    delete.bind(key).execute(db).await?;
    Ok(())
}

/// Deletes up to `limit` rows whose `kept_until` is not after `time`, and returns how many.
pub async fn delete_expired(db: &mut Conn, time: i64, limit: i64) -> sqlx::Result<u64> {
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

/// The `kept_until` of the first unknown username beyond the `max` latest. None if there are no more than `max`.
pub async fn surplus(db: &mut Conn, max: i64) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(
        "SELECT kept_until FROM attempts WHERE key LIKE 'name:%'
         ORDER BY kept_until DESC LIMIT 1 OFFSET $1",
    )
    .bind(max)
    .fetch_optional(db)
    .await
}

/// Like [`delete_expired`], for unknown usernames only. `time` may lie in the future.
pub async fn delete_unknown_names(db: &mut Conn, time: i64, limit: i64) -> sqlx::Result<u64> {
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

/// Increments a counter without pending attempts, and returns it. If its window is over, a new one ends at `ends_at`.
/// The same happens if the window ends later than that, because a wrong clock started it.
pub async fn increment(db: &mut Conn, key: &str, now: i64, ends_at: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "INSERT INTO attempts (key, failures, ends_at, pending, pending_before, generation, run, failed_at, kept_until)
         VALUES ($1, 1, $2, 0, 0, 0, 0, 0, $2)
         ON CONFLICT (key) DO UPDATE
         SET failures = CASE WHEN attempts.ends_at > $3 AND attempts.ends_at <= $2
                             THEN attempts.failures + 1 ELSE 1 END,
             ends_at = CASE WHEN attempts.ends_at > $3 AND attempts.ends_at <= $2
                            THEN attempts.ends_at ELSE $2 END,
             kept_until = $2
         RETURNING failures",
    )
    .bind(key)
    .bind(ends_at)
    .bind(now)
    .fetch_one(db)
    .await
}

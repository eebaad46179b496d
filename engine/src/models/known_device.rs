//! The `known_devices` table: apps and systems that users have signed in with.

use crate::db::Conn;
use crate::identity::UserId;

/// Maximum number of known devices per user.
const MAX_PER_USER: i64 = 20;

/// Records a sign-in with a device, and deletes all but the user's latest devices. Returns whether the device is new.
/// A user's first device does not count as new.
pub async fn remember(db: &mut Conn, user: UserId, device: &str, now: i64) -> sqlx::Result<bool> {
    let known: Vec<String> =
        sqlx::query_scalar("SELECT device FROM known_devices WHERE user_id = $1")
            .bind(user.to_string())
            .fetch_all(&mut *db)
            .await?;
    sqlx::query(
        "INSERT INTO known_devices (user_id, device, seen_at) VALUES ($1, $2, $3)
         ON CONFLICT (user_id, device) DO UPDATE SET seen_at = excluded.seen_at",
    )
    .bind(user.to_string())
    .bind(device)
    .bind(now)
    .execute(&mut *db)
    .await?;
    if known.iter().any(|other| other == device) {
        return Ok(false);
    }
    sqlx::query(
        "DELETE FROM known_devices WHERE user_id = $1 AND device NOT IN (
             SELECT device FROM known_devices WHERE user_id = $1
             ORDER BY CASE WHEN seen_at > $3 THEN 0 ELSE seen_at END DESC, device LIMIT $2)",
    )
    .bind(user.to_string())
    .bind(MAX_PER_USER)
    .bind(now)
    .execute(db)
    .await?;
    Ok(!known.is_empty())
}

/// Deletes up to `limit` devices without a sign-in since `time` (unix seconds), and returns how many.
pub async fn delete_before(db: &mut Conn, time: i64, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "DELETE FROM known_devices WHERE (user_id, device) IN (
             SELECT user_id, device FROM known_devices WHERE seen_at < $1 ORDER BY seen_at LIMIT $2)",
    )
    .bind(time)
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

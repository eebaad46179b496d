//! The `known_addresses` table: networks that users have signed in from.

use crate::db::Conn;
use crate::identity::UserId;

pub async fn is_known(db: &mut Conn, user: UserId, network: &str) -> sqlx::Result<bool> {
    let known: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM known_addresses WHERE user_id = $1 AND network = $2",
    )
    .bind(user.to_string())
    .bind(network)
    .fetch_one(db)
    .await?;
    Ok(known > 0)
}

/// A user's networks, latest first.
pub async fn networks(db: &mut Conn, user: UserId) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "SELECT network FROM known_addresses WHERE user_id = $1 ORDER BY seen_at DESC, network",
    )
    .bind(user.to_string())
    .fetch_all(db)
    .await
}

/// Records a sign-in from a network, and deletes all but the user's `max` latest. Times in the future are deleted
/// first, because they would otherwise displace this one.
pub async fn remember(
    db: &mut Conn,
    user: UserId,
    network: &str,
    now: i64,
    max: i64,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO known_addresses (user_id, network, seen_at) VALUES ($1, $2, $3)
         ON CONFLICT (user_id, network) DO UPDATE SET seen_at = excluded.seen_at",
    )
    .bind(user.to_string())
    .bind(network)
    .bind(now)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "DELETE FROM known_addresses WHERE user_id = $1 AND network NOT IN (
             SELECT network FROM known_addresses WHERE user_id = $1
             ORDER BY CASE WHEN seen_at > $3 THEN 0 ELSE seen_at END DESC, network LIMIT $2)",
    )
    .bind(user.to_string())
    .bind(max)
    .bind(now)
    .execute(db)
    .await?;
    Ok(())
}

/// Deletes up to `limit` networks without a sign-in since `time` (unix seconds), and returns how many.
pub async fn delete_before(db: &mut Conn, time: i64, limit: i64) -> sqlx::Result<u64> {
    let done = sqlx::query(
        "DELETE FROM known_addresses WHERE (user_id, network) IN (
             SELECT user_id, network FROM known_addresses WHERE seen_at < $1
             ORDER BY seen_at LIMIT $2)",
    )
    .bind(time)
    .bind(limit)
    .execute(db)
    .await?;
    Ok(done.rows_affected())
}

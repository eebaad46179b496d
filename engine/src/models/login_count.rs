//! The `logins` table: successful logins, counted per user and window.

use sqlx::FromRow;

use crate::db::Conn;
use crate::identity::UserId;

/// A window of logins.
#[derive(Debug, FromRow)]
pub struct LoginWindow {
    /// Including the login that was just counted.
    pub logins: i64,
    /// Unix seconds.
    pub ends_at: i64,
}

/// Counts a login. If its window is over, a new one ends at `ends_at`. The same happens if the window ends after
/// `max_ends_at`, because a wrong clock started it.
pub async fn increment(
    db: &mut Conn,
    user: UserId,
    now: i64,
    ends_at: i64,
    max_ends_at: i64,
) -> sqlx::Result<LoginWindow> {
    sqlx::query_as(
        "INSERT INTO logins (user_id, logins, ends_at) VALUES ($1, 1, $2)
         ON CONFLICT (user_id) DO UPDATE
         SET logins = CASE WHEN logins.ends_at > $3 AND logins.ends_at <= $4
                           THEN logins.logins + 1 ELSE 1 END,
             ends_at = CASE WHEN logins.ends_at > $3 AND logins.ends_at <= $4
                            THEN logins.ends_at ELSE excluded.ends_at END
         RETURNING logins, ends_at",
    )
    .bind(user.to_string())
    .bind(ends_at)
    .bind(now)
    .bind(max_ends_at)
    .fetch_one(db)
    .await
}

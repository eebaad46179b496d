//! The `logins` table: how often a user has signed in, counted in a window of time.

use sqlx::FromRow;

use crate::db::Conn;
use crate::identity::UserId;

/// How many logins there are in the window, and when it ends (unix seconds).
#[derive(Debug, FromRow)]
pub struct Window {
    /// Logins, the one that was just counted included.
    pub logins: i64,
    /// The end of the window.
    pub ends_at: i64,
}

/// Counts one more login. A window that is over begins anew and then ends at `ends_at`; one that ends
/// after `latest` was begun by a wrong clock, and is over.
///
/// # Errors
/// The database failed.
pub async fn count_one(
    db: &mut Conn,
    user: UserId,
    now: i64,
    ends_at: i64,
    latest: i64,
) -> sqlx::Result<Window> {
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
    .bind(latest)
    .fetch_one(db)
    .await
}

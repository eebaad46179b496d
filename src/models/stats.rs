//! Counts over several tables, for the dashboard.

use sqlx::{AnyConnection, FromRow};

/// How many there are of everything.
#[derive(Debug, FromRow)]
pub struct Counts {
    /// Users that are not disabled.
    pub users: i64,
    /// Users that are.
    pub disabled: i64,
    /// Live tokens of both kinds.
    pub tokens: i64,
    /// Logins refused since the given time.
    pub failures: i64,
}

/// Counts; failures since `since`, tokens live at `now`, both in unix seconds.
///
/// # Errors
/// The database failed.
pub async fn counts(db: &mut AnyConnection, now: i64, since: i64) -> sqlx::Result<Counts> {
    sqlx::query_as(
        "SELECT (SELECT COUNT(*) FROM users WHERE disabled_at IS NULL) AS users,
                (SELECT COUNT(*) FROM users WHERE disabled_at IS NOT NULL) AS disabled,
                (SELECT COUNT(*) FROM tokens WHERE ends_at > $1) AS tokens,
                (SELECT COUNT(*) FROM events WHERE at >= $2 AND action = 'login.failed')
                    AS failures",
    )
    .bind(now)
    .bind(since)
    .fetch_one(db)
    .await
}

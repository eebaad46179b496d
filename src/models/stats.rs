//! Counts over several tables, for the dashboard.

use serde::Serialize;
use sqlx::FromRow;

use crate::db::Conn;

const DAY: i64 = 24 * 60 * 60;

/// How many there are of everything.
#[derive(Debug, Clone, FromRow, Serialize)]
pub struct Counts {
    /// Users that are not disabled.
    pub users: i64,
    /// Users that are.
    pub disabled: i64,
    /// Live tokens of both kinds.
    pub tokens: i64,
    /// Live tokens of the API.
    pub api_tokens: i64,
    /// Live tokens of the API that were never used.
    pub never_used: i64,
    /// Live tokens of the API that end within a week.
    pub expiring: i64,
    /// Logins refused in 24 hours.
    pub failures: i64,
}

/// Counts at `now`, unix seconds.
///
/// # Errors
/// The database failed.
pub async fn counts(db: &mut Conn, now: i64) -> sqlx::Result<Counts> {
    sqlx::query_as(
        "SELECT (SELECT COUNT(*) FROM users WHERE disabled_at IS NULL) AS users,
                (SELECT COUNT(*) FROM users WHERE disabled_at IS NOT NULL) AS disabled,
                (SELECT CAST(COALESCE(SUM(count), 0) AS BIGINT) FROM events
                 WHERE action = 'login.failed' AND at >= $3) AS failures,
                live.*
         FROM (SELECT COUNT(*) AS tokens,
                      COUNT(CASE WHEN kind = 'api' THEN 1 END) AS api_tokens,
                      COUNT(CASE WHEN kind = 'api' AND last_used_at IS NULL THEN 1 END)
                          AS never_used,
                      COUNT(CASE WHEN kind = 'api' AND ends_at <= $2 THEN 1 END) AS expiring
               FROM tokens WHERE ends_at > $1) AS live",
    )
    .bind(now)
    .bind(now + 7 * DAY)
    .bind(now - DAY)
    .fetch_one(db)
    .await
}

/// The newest time that the application wrote, unix seconds; none in an empty database.
///
/// # Errors
/// The database failed.
pub async fn newest(db: &mut Conn) -> sqlx::Result<Option<i64>> {
    type Time = Option<i64>;
    // Each is read off the end of an index.
    let times: (Time, Time, Time, Time, Time, Time) = sqlx::query_as(
        "SELECT (SELECT at FROM events ORDER BY at DESC LIMIT 1),
                (SELECT created_at FROM tokens ORDER BY created_at DESC LIMIT 1),
                (SELECT COALESCE(last_used_at, 0) FROM tokens ORDER BY COALESCE(last_used_at, 0) DESC LIMIT 1),
                (SELECT created_at FROM users ORDER BY created_at DESC LIMIT 1),
                (SELECT COALESCE(last_seen_at, 0) FROM users ORDER BY COALESCE(last_seen_at, 0) DESC LIMIT 1),
                (SELECT seen_at FROM known_addresses ORDER BY seen_at DESC LIMIT 1)",
    )
    .fetch_one(db)
    .await?;
    Ok(<[Time; 6]>::from(times).into_iter().flatten().max())
}

/// How often something happened on a day.
#[derive(Debug, FromRow)]
pub struct Daily {
    /// Days since 1970, in UTC.
    pub day: i64,
    /// What happened.
    pub action: String,
    /// How often.
    pub count: i64,
}

/// Tokens issued and logins refused, day by day from the day `first` on.
///
/// # Errors
/// The database failed.
pub async fn daily(db: &mut Conn, first: i64) -> sqlx::Result<Vec<Daily>> {
    sqlx::query_as(
        "SELECT at / 86400 AS day, action, COUNT(*) AS count FROM events
         WHERE action = 'token.issued' AND at >= $1 GROUP BY at / 86400, action
         UNION ALL
         SELECT at / 86400, action, CAST(SUM(count) AS BIGINT) FROM events
         WHERE action = 'login.failed' AND at >= $1 GROUP BY at / 86400, action",
    )
    .bind(first * DAY)
    .fetch_all(db)
    .await
}

/// How many live tokens a client has, over all users.
#[derive(Debug, FromRow)]
pub struct Client {
    /// Its name, as one of them has it.
    pub client: String,
    /// How many.
    pub count: i64,
}

/// The clients with most live tokens of the API, at most `limit`.
///
/// # Errors
/// The database failed.
pub async fn clients(db: &mut Conn, now: i64, limit: i64) -> sqlx::Result<Vec<Client>> {
    sqlx::query_as(
        "SELECT (SELECT MIN(t.client) FROM tokens AS t WHERE t.client_key = most.client_key)
                    AS client, most.count
         FROM (SELECT client_key, COUNT(*) AS count FROM tokens
               WHERE +ends_at > $1 AND kind = 'api'
               GROUP BY client_key ORDER BY COUNT(*) DESC, client_key LIMIT $2) AS most
         ORDER BY most.count DESC, most.client_key",
    )
    .bind(now)
    .bind(limit)
    .fetch_all(db)
    .await
}

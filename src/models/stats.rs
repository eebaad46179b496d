//! Counts over several tables, for the dashboard.

use serde::Serialize;
use sqlx::{AssertSqlSafe, FromRow};

use crate::db::Conn;
use crate::identity::address::Address;
use crate::identity::id_bound;

/// The newest time that the application wrote, unix seconds; none in an empty database.
///
/// # Errors
/// The database failed.
pub async fn newest(db: &mut Conn) -> sqlx::Result<Option<i64>> {
    type Time = Option<i64>;
    // Each is read off the end of an index.
    let times: (Time, Time, Time, Time, Time, Time) = sqlx::query_as(
        "SELECT (SELECT at FROM events ORDER BY id DESC LIMIT 1),
                (SELECT created_at FROM tokens ORDER BY id DESC LIMIT 1),
                (SELECT last_used_at FROM tokens ORDER BY last_used_at DESC LIMIT 1),
                (SELECT created_at FROM users ORDER BY id DESC LIMIT 1),
                (SELECT last_seen_at FROM users ORDER BY last_seen_at DESC LIMIT 1),
                (SELECT seen_at FROM known_addresses ORDER BY seen_at DESC LIMIT 1)",
    )
    .fetch_one(db)
    .await?;
    Ok(<[Time; 6]>::from(times).into_iter().flatten().max())
}

/// How often something happened on a day, or in an hour.
#[derive(Debug, FromRow)]
pub struct Share {
    /// Days or hours since 1970, in UTC.
    pub unit: i64,
    /// What happened.
    pub action: String,
    /// How often.
    pub count: i64,
}

/// Tokens issued and logins refused, by spans of so many seconds, from `since` on (unix seconds).
///
/// # Errors
/// The database failed.
pub async fn by_time(db: &mut Conn, seconds: i64, since: i64) -> sqlx::Result<Vec<Share>> {
    sqlx::query_as(
        "SELECT at / $1 AS unit, action, COUNT(*) AS count FROM events
         WHERE action = 'token.issued' AND id >= $2 GROUP BY at / $1, action
         UNION ALL
         SELECT at / $1, action, CAST(SUM(count) AS BIGINT) FROM events
         WHERE action = 'login.failed' AND id >= $2 GROUP BY at / $1, action",
    )
    .bind(seconds)
    .bind(id_bound(since * 1000))
    .fetch_all(db)
    .await
}

/// A value and how often it is there.
#[derive(Debug, Clone, FromRow, Serialize)]
pub struct Ranked {
    /// The value.
    pub value: String,
    /// How often.
    pub count: i64,
}

/// The addresses that most failed logins came from, and the accounts that most were at, since then (unix
/// seconds): at most `limit` of each, among the last `read` events.
///
/// # Errors
/// The database failed.
pub async fn targets(
    db: &mut Conn,
    since: i64,
    read: i64,
    limit: i64,
) -> sqlx::Result<[Vec<Ranked>; 2]> {
    let mut ranked: [Vec<Ranked>; 2] = [vec![], vec![]];
    for (place, column) in ["address", "subject_name"].into_iter().enumerate() {
        ranked[place] = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT {column} AS value, CAST(SUM(count) AS BIGINT) AS count
             FROM (SELECT {column}, count FROM events WHERE action = 'login.failed' AND id >= $1
                   ORDER BY id DESC LIMIT $2) AS failed
             WHERE {column} IS NOT NULL
             GROUP BY {column} ORDER BY SUM(count) DESC, {column} LIMIT $3"
        )))
        .bind(id_bound(since * 1000))
        .bind(read)
        .bind(limit)
        .fetch_all(&mut *db)
        .await?;
    }
    for address in &mut ranked[0] {
        if let Ok(readable) = Address::try_from(address.value.clone()) {
            address.value = readable.to_string();
        }
    }
    Ok(ranked)
}

/// The clients with most live tokens of the API, at most `limit`.
///
/// # Errors
/// The database failed.
pub async fn clients(db: &mut Conn, now: i64, limit: i64) -> sqlx::Result<Vec<Ranked>> {
    sqlx::query_as(
        "SELECT (SELECT MIN(t.client) FROM tokens AS t WHERE t.client_key = most.client_key) AS value, most.count
         FROM (SELECT client_key, COUNT(*) AS count FROM tokens
               WHERE ends_at > $1 AND kind = 'api'
               GROUP BY client_key ORDER BY COUNT(*) DESC, client_key LIMIT $2) AS most
         ORDER BY most.count DESC, most.client_key",
    )
    .bind(now)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// The apps and versions of a client's tokens, the most frequent first, among the last `read` of them.
///
/// # Errors
/// The database failed.
pub async fn devices(
    db: &mut Conn,
    client_key: &str,
    read: i64,
    limit: i64,
) -> sqlx::Result<Vec<DeviceShare>> {
    sqlx::query_as(
        "SELECT app, app_version, COUNT(*) AS count
         FROM (SELECT app, app_version FROM tokens WHERE client_key = $1 ORDER BY id DESC LIMIT $2) AS last
         WHERE app IS NOT NULL
         GROUP BY app, app_version ORDER BY COUNT(*) DESC, app, app_version LIMIT $3",
    )
    .bind(client_key)
    .bind(read)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// An app of a version, and how many tokens it uses.
#[derive(Debug, FromRow, Serialize)]
pub struct DeviceShare {
    /// The app.
    pub app: String,
    /// Its version.
    pub app_version: Option<String>,
    /// How many.
    pub count: i64,
}

//! Statistics over several tables, for the dashboard.

use serde::Serialize;
use sqlx::{AssertSqlSafe, FromRow};

use crate::db::Conn;
use crate::identity::address::Address;
use crate::identity::id_bound;

/// The newest time in the database, unix seconds. None if it is empty.
pub(crate) async fn newest_time(db: &mut Conn) -> sqlx::Result<Option<i64>> {
    type Time = Option<i64>;
    // Each is read from the end of an index.
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

/// Numbers of tokens issued and of logins rejected, in each of `count` periods of `seconds` from `since` on (unix
/// seconds).
pub async fn counts_by_period(
    db: &mut Conn,
    since: i64,
    seconds: i64,
    count: i64,
) -> sqlx::Result<Vec<(i64, i64)>> {
    let mut counts = vec![];
    for number in 0..count {
        let bound = |number: i64| id_bound((since + number * seconds) * 1000);
        // The first reads only an index. The second needs the rows, which are far fewer.
        let both = sqlx::query_as(
            "SELECT (SELECT COUNT(*) FROM events WHERE action = 'token.issued' AND id >= $1 AND id < $2),
                    (SELECT CAST(COALESCE(SUM(count), 0) AS BIGINT) FROM events
                     WHERE action = 'login.failed' AND id >= $1 AND id < $2)",
        );
        let both = both.bind(bound(number)).bind(bound(number + 1));
        counts.push(both.fetch_one(&mut *db).await?);
    }
    Ok(counts)
}

/// A value and its frequency.
#[derive(Debug, Clone, FromRow, Serialize)]
pub struct RankedValue {
    /// The value.
    pub value: String,
    /// How often it occurs.
    pub count: i64,
}

/// The addresses and the accounts with the most failed logins since `since` (unix seconds): at most `limit` of each,
/// among the last `scan_limit` events.
pub async fn top_failed_logins(
    db: &mut Conn,
    since: i64,
    scan_limit: i64,
    limit: i64,
) -> sqlx::Result<[Vec<RankedValue>; 2]> {
    let mut ranked: [Vec<RankedValue>; 2] = [vec![], vec![]];
    for (index, column) in ["address", "subject_name"].into_iter().enumerate() {
        ranked[index] = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT {column} AS value, CAST(SUM(count) AS BIGINT) AS count
             FROM (SELECT {column}, count FROM events WHERE action = 'login.failed' AND id >= $1
                   ORDER BY id DESC LIMIT $2) AS failed
             WHERE {column} IS NOT NULL
             GROUP BY {column} ORDER BY SUM(count) DESC, {column} LIMIT $3"
        )))
        .bind(id_bound(since * 1000))
        .bind(scan_limit)
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

/// The `limit` clients with the most tokens, and the number of all tokens.
pub async fn top_clients(db: &mut Conn, limit: i64) -> sqlx::Result<(Vec<RankedValue>, i64)> {
    // Both read only an index.
    let top = sqlx::query_as(
        "SELECT (SELECT MIN(t.client) FROM tokens AS t WHERE t.client_key = most.client_key) AS value, most.count
         FROM (SELECT client_key, COUNT(*) AS count FROM tokens
               GROUP BY client_key ORDER BY COUNT(*) DESC, client_key LIMIT $1) AS most
         ORDER BY most.count DESC, most.client_key",
    );
    let top = top.bind(limit).fetch_all(&mut *db).await?;
    let all = sqlx::query_scalar("SELECT COUNT(*) FROM tokens");
    Ok((top, all.fetch_one(db).await?))
}

/// The most frequent apps and versions among the last `scan_limit` tokens of a client, at most `limit`.
pub async fn top_devices(
    db: &mut Conn,
    client_key: &str,
    scan_limit: i64,
    limit: i64,
) -> sqlx::Result<Vec<DeviceShare>> {
    sqlx::query_as(
        "SELECT app, app_version, COUNT(*) AS count
         FROM (SELECT app, app_version FROM tokens
               WHERE (client_key, id) > ($1, '') AND (client_key, id) < ($1, 'g')
               ORDER BY client_key DESC, id DESC LIMIT $2) AS last
         WHERE app IS NOT NULL
         GROUP BY app, app_version ORDER BY COUNT(*) DESC, app, app_version LIMIT $3",
    )
    .bind(client_key)
    .bind(scan_limit)
    .bind(limit)
    .fetch_all(db)
    .await
}

/// A version of an app, and its number of tokens.
#[derive(Debug, FromRow, Serialize)]
pub struct DeviceShare {
    /// The app.
    pub app: String,
    /// Its version.
    pub app_version: Option<String>,
    /// Number of tokens.
    pub count: i64,
}

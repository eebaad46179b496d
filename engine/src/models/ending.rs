//! The `endings` table: revocation counters, one for each stripe of users. A counter changes in the transaction that
//! revokes the token.

use std::collections::HashMap;

use crate::db::Conn;
use crate::identity::UserId;

/// Number of stripes: few enough to read ten times a second. Enough that two revocations rarely wait for each other, or
/// invalidate more than a small part of the cache.
pub const STRIPE_COUNT: usize = 256;

/// The stripe of a user, the same in every process and forever.
pub fn stripe_of(user: UserId) -> usize {
    // The last bytes of a UUIDv7 are random (RFC 9562).
    usize::from(user.last_byte()) % STRIPE_COUNT
}

/// Increments a counter. A reader of the new value also sees the transaction's other changes. The row stays locked
/// until the transaction ends, so no increment is lost.
pub async fn increment(db: &mut Conn, stripe: usize) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO endings (stripe, count) VALUES ($1, 1)
         ON CONFLICT (stripe) DO UPDATE SET count = endings.count + 1",
    )
    .bind(i64::try_from(stripe).unwrap_or(i64::MAX))
    .execute(db)
    .await?;
    Ok(())
}

pub async fn counts(db: &mut Conn) -> sqlx::Result<HashMap<usize, i64>> {
    let rows: Vec<(i64, i64)> = sqlx::query_as("SELECT stripe, count FROM endings")
        .fetch_all(db)
        .await?;
    let row = |(stripe, count)| Some((usize::try_from(stripe).ok()?, count));
    Ok(rows.into_iter().filter_map(row).collect())
}

//! The `endings` table: how often tokens were ended, counted apart for groups of users, called stripes.
//! Each count moves in the transaction that ends the token.

use std::collections::HashMap;

use crate::db::Conn;
use crate::identity::UserId;

/// How many stripes there are: few enough to be read ten times a second, and enough that two endings
/// seldom wait for each other, or concern more than a small part of what is remembered.
pub const STRIPES: usize = 256;

/// The stripe that a user belongs to, in every process and for ever.
pub fn stripe_of(user: UserId) -> usize {
    // The last bytes of a UUIDv7 are random (RFC 9562).
    usize::from(user.last_byte()) % STRIPES
}

/// Counts one more. Whoever reads the new count sees what else the transaction did; the row is locked until
/// it ends, so that no count is lost.
///
/// # Errors
/// The database failed.
pub async fn count_one(db: &mut Conn, stripe: usize) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO endings (stripe, count) VALUES ($1, 1)
         ON CONFLICT (stripe) DO UPDATE SET count = endings.count + 1",
    )
    .bind(i64::try_from(stripe).unwrap_or(i64::MAX))
    .execute(db)
    .await?;
    Ok(())
}

/// The counts of all stripes that have one.
///
/// # Errors
/// The database failed.
pub async fn counts(db: &mut Conn) -> sqlx::Result<HashMap<usize, i64>> {
    let rows: Vec<(i64, i64)> = sqlx::query_as("SELECT stripe, count FROM endings")
        .fetch_all(db)
        .await?;
    let row = |(stripe, count)| Some((usize::try_from(stripe).ok()?, count));
    Ok(rows.into_iter().filter_map(row).collect())
}

//! Follower of revocations by other processes on the same database. It also notices a change of this process that was
//! committed although the database could not confirm it. [`super::cache`] argues why this is soon enough.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::cache::{Cache, POLL_INTERVAL};
use crate::db::Pool;
use crate::models::ending::{self, STRIPE_COUNT};

/// Timeout of a query. After it, the connection counts as lost.
const QUERY_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause after the database could not be read.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// Number of readings without a look-up after which the follower waits for one.
const MAX_IDLE_READINGS: u32 = 20;

/// Reads the counters repeatedly while tokens are looked up. Never returns.
pub(super) async fn follow(pool: &Pool, cache: &Cache) {
    let mut is_failing = false;
    loop {
        cache.wait_for_look_up().await;
        let result = follow_connection(pool, cache).await;
        if let Err(error) = &result {
            if !is_failing {
                tracing::warn!(
                    "cannot follow revocations, so every request queries the database: {error}"
                );
            }
            sleep(RETRY_INTERVAL).await;
        }
        is_failing = result.is_err();
        // From here on the next look-up wakes the follower, even if the cache is still trusted.
        cache.take_looked_up();
    }
}

type StripeCounts = HashMap<usize, i64>;

/// Follows on one connection, until it is lost or no token was looked up for a while.
async fn follow_connection(pool: &Pool, cache: &Cache) -> sqlx::Result<()> {
    // Outside the pool, so that readings do not wait for a connection.
    let mut db = with_timeout(pool.connect()).await?;
    // A new connection may lead to another database, restored from a copy: a counter may have gone back and reached its
    // old value again.
    let mut known = None;
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut idle_readings = 0;
    while idle_readings < MAX_IDLE_READINGS {
        ticks.tick().await;
        let reading = cache.begin_reading();
        let counts = with_timeout(ending::counts(&mut db)).await?;
        cache.invalidate(changed_stripes(known.as_ref(), &counts));
        cache.trust(reading);
        known = Some(counts);
        idle_readings = if cache.take_looked_up() {
            0
        } else {
            idle_readings + 1
        };
    }
    db.close().await
}

async fn with_timeout<T>(query: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    let lost = |_| sqlx::Error::Protocol("the database did not respond in time".into());
    timeout(QUERY_TIMEOUT, query).await.map_err(lost)?
}

/// The stripes whose counter changed, or all of them if the previous counters are unknown.
fn changed_stripes(known: Option<&StripeCounts>, counts: &StripeCounts) -> Vec<usize> {
    let Some(known) = known else {
        return (0..STRIPE_COUNT).collect();
    };
    let has_changed = |stripe: &usize| known.get(stripe) != counts.get(stripe);
    (0..STRIPE_COUNT).filter(has_changed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stripe_has_changed_if_its_count_differs() {
        let known = StripeCounts::from([(1, 5), (2, 7), (3, 9)]);
        let counts = StripeCounts::from([(1, 5), (2, 8), (3, 8), (4, 1)]);
        assert_eq!(changed_stripes(Some(&known), &counts), [2, 3, 4]);
        assert!(changed_stripes(Some(&counts), &counts).is_empty());
        assert_eq!(changed_stripes(None, &counts).len(), STRIPE_COUNT);
    }
}

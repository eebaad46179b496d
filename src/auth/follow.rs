//! What other processes on the same database end, this one learns of (and of an end of its own that was
//! made although the database could not say so); why that is soon enough says [`super::cache`].

use std::collections::HashMap;
use std::time::Duration;

use rocket::futures::future;
use rocket::tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::Auth;
use super::cache::{Cache, EVERY};
use crate::models::ending::{self, STRIPES};

/// What takes longer has lost its connection.
const LOST: Duration = Duration::from_secs(1);
/// How long a database that can't be read is left alone.
const PAUSE: Duration = Duration::from_millis(500);
/// Readings after which the database is left alone until somebody asks for a token.
const QUIET: u32 = 20;

/// Reads the counts again and again, while tokens are asked for. Never returns.
pub(super) async fn follow(auth: Auth) {
    let Some(cache) = auth.cache.as_deref() else {
        return future::pending().await;
    };
    let mut fails = false;
    loop {
        cache.wanted().await;
        let followed = follow_on(&auth, cache).await;
        if let Err(error) = &followed {
            if !fails {
                tracing::warn!("each request asks the database until it can be followed: {error}");
            }
            sleep(PAUSE).await;
        }
        fails = followed.is_err();
        // From here on whoever asks next wakes it again, whether the cache is trusted still or not.
        cache.was_wanted();
    }
}

type Counts = HashMap<usize, i64>;

/// Follows on a connection, until it is lost or nobody has asked for a while.
async fn follow_on(auth: &Auth, cache: &Cache) -> sqlx::Result<()> {
    // Beside the pool: where others wait for a connection of it, readings must not.
    let mut db = in_time(auth.pool.connect()).await?;
    // Another connection may lead to another database, put back from a copy: a count may have gone back
    // and come to the same again.
    let mut known = None;
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut quiet = 0;
    while quiet < QUIET {
        ticks.tick().await;
        let reading = cache.reading();
        let counts = in_time(ending::counts(&mut db)).await?;
        cache.forget(moved(known.as_ref(), &counts));
        cache.trust(reading);
        known = Some(counts);
        quiet = if cache.was_wanted() { 0 } else { quiet + 1 };
    }
    db.close().await
}

async fn in_time<T>(asking: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    let lost = |_| sqlx::Error::Protocol("the database takes too long".into());
    timeout(LOST, asking).await.map_err(lost)?
}

/// The stripes whose count is another than it was; all of them if it is not known what it was.
fn moved(known: Option<&Counts>, counts: &Counts) -> Vec<usize> {
    let Some(known) = known else {
        return (0..STRIPES).collect();
    };
    let has_moved = |stripe: &usize| known.get(stripe) != counts.get(stripe);
    (0..STRIPES).filter(has_moved).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stripe_has_moved_if_its_count_is_another() {
        let known = Counts::from([(1, 5), (2, 7), (3, 9)]);
        let counts = Counts::from([(1, 5), (2, 8), (3, 8), (4, 1)]);
        assert_eq!(moved(Some(&known), &counts), [2, 3, 4]);
        assert!(moved(Some(&counts), &counts).is_empty());
        assert_eq!(moved(None, &counts).len(), STRIPES);
    }
}

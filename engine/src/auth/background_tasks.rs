//! Background tasks of the server: recording last uses, sending mail, deleting what has expired.
//!
//! A wrong clock must not cost anyone a token. An expired token is rejected at once, but correcting the clock makes it
//! valid again as long as its row exists. Rows of expired tokens are deleted every hour. But nothing is deleted in the
//! first hour after the start, nor for 24 hours after the clock was found to be more than a day ahead.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use rocket::fairing::AdHoc;
use rocket::{Orbit, Rocket};
use tokio::time::{MissedTickBehavior, interval};
use tokio::{self, select};

use super::{Auth, revocation_follower};
use crate::config::Settings;
use crate::db::{Conn, Pool};
use crate::error::Error;
use crate::models::event::{self, Actor};
use crate::models::{attempt, known_address, known_device, link, now, stats};
use crate::web::templates::Templates;

const PRUNE_INTERVAL: Duration = Duration::from_hours(1);
/// How long nothing is deleted after the start.
const STARTUP_GRACE: Duration = Duration::from_hours(1);
/// How long nothing is deleted after the clock was doubted, or could not be checked.
const CLOCK_GRACE: Duration = Duration::from_hours(24);
/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;
/// Seconds that a clock may leap ahead without being doubted, such as after a night's suspension.
const MAX_LEAP: i64 = DAY;
/// Counting a million live tokens takes a tenth of a second.
const COUNT_INTERVAL: Duration = Duration::from_mins(1);
/// Often, so that guesses at many names leave few rows at a time.
const ATTEMPT_PRUNE_INTERVAL: Duration = Duration::from_mins(1);
const DELIVERY_INTERVAL: Duration = Duration::from_secs(1);
/// Timeout for mails in progress at shutdown.
const MAIL_TIMEOUT: Duration = Duration::from_secs(2);
const MAX_FLUSH_INTERVAL: Duration = Duration::from_secs(1);
const MIN_FLUSH_INTERVAL: Duration = Duration::from_millis(50);
/// Rows deleted in one transaction, where few requests change them.
const BATCH_SIZE: i64 = 5000;
/// Seconds for which a counter is kept after its window.
const ATTEMPT_GRACE: i64 = 60;
/// Number of unknown usernames whose runs of failures are kept.
const MAX_UNKNOWN_NAMES: i64 = 100_000;
/// Seconds after the last sign-in for which an address or device counts as known. Later, an address may belong to
/// someone else.
const KNOWN_LIFETIME: i64 = 90 * DAY;

/// Runs the tasks from liftoff to shutdown.
pub(crate) fn fairing() -> AdHoc {
    AdHoc::on_liftoff("background tasks", |rocket| Box::pin(start(rocket)))
}

/// At the shutdown of an existing application, writes the last uses and waits for mail. `cli::serve` does this itself,
/// after the last request.
pub(crate) fn shutdown_fairing() -> AdHoc {
    AdHoc::on_shutdown("finish background tasks", |rocket| {
        Box::pin(async {
            let Some(auth) = rocket.state::<Auth>() else {
                return;
            };
            if let Err(error) = auth.last_uses.flush().await {
                tracing::warn!("could not save when some tokens were last used: {error}");
            }
            auth.outbox.close(Instant::now() + MAIL_TIMEOUT).await;
        })
    })
}

/// Rocket accepts no request before this is done, so the newest time is read before anything newer is written.
async fn start(rocket: &Rocket<Orbit>) {
    let Some(auth) = rocket.state::<Auth>() else {
        return;
    };
    let clock = Mutex::new(ClockCheck::start(auth).await);
    // In separate tasks, so that long pruning does not delay last uses.
    let flushing = flush_interval(auth.settings());
    repeat(rocket, auth, flushing, |auth| {
        Box::pin(auth.last_uses.flush())
    });
    // Whatever the clock says: a flood must not fill the disk, and only counters are lost.
    repeat(rocket, auth, ATTEMPT_PRUNE_INTERVAL, |auth| {
        Box::pin(prune_attempts(&auth.pool))
    });
    repeat(rocket, auth, PRUNE_INTERVAL, move |auth| {
        let mut clock = clock.lock().unwrap_or_else(PoisonError::into_inner);
        if clock.allows_deletion(Instant::now(), now()) {
            Box::pin(delete_expired(auth))
        } else {
            Box::pin(async { Ok(()) })
        }
    });
    deliver(rocket, auth);
    repeat(rocket, auth, PRUNE_INTERVAL, |auth| {
        Box::pin(auth.outbox.warn_of_expiry())
    });
    if auth.settings().metrics {
        repeat(rocket, auth, COUNT_INTERVAL, |auth| {
            Box::pin(async {
                auth.metrics.count_live_tokens(&auth.pool).await?;
                auth.metrics.count_mails(&auth.pool).await
            })
        });
    }
    if let Some(cache) = auth.sessions.cache.clone() {
        let (pool, shutdown) = (auth.pool.clone(), rocket.shutdown());
        tokio::spawn(async move {
            select! {
                () = shutdown => {}
                () = revocation_follower::follow(&pool, &cache) => {}
            }
        });
    }
}

/// Runs a task now and periodically until shutdown.
fn repeat<T>(rocket: &Rocket<Orbit>, auth: &Auth, period: Duration, task: T)
where
    T: for<'a> Fn(&'a Auth) -> BoxFuture<'a, Result<(), Error>> + Send + 'static,
{
    let (auth, shutdown) = (auth.clone(), rocket.shutdown());
    tokio::spawn(async move {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(shutdown);
        loop {
            select! {
                () = &mut shutdown => return,
                _ = ticks.tick() => {}
            }
            if let Err(error) = task(&auth).await {
                tracing::warn!("a background task failed and will be retried: {error}");
            }
        }
    });
}

fn deliver(rocket: &Rocket<Orbit>, auth: &Auth) {
    let Some(templates) = rocket.state::<Arc<Templates>>().cloned() else {
        return;
    };
    repeat(rocket, auth, DELIVERY_INTERVAL, move |auth| {
        let templates = templates.clone();
        Box::pin(async move { auth.outbox.deliver(&templates).await })
    });
}

/// Often enough that a token in constant use does not reach its idle timeout between two flushes.
fn flush_interval(settings: &Settings) -> Duration {
    [
        settings.token_idle_ttl,
        settings.admin_idle_ttl,
        settings.account_idle_ttl,
    ]
    .into_iter()
    .filter_map(|life| Some(life.duration()? / 20))
    .fold(MAX_FLUSH_INTERVAL, Duration::min)
    .max(MIN_FLUSH_INTERVAL)
}

/// Decides whether the clock is trusted, so that what has expired by it may be deleted.
struct ClockCheck {
    /// Nothing is deleted before this time.
    trusted_from: Instant,
    /// Last readings of the monotonic clock and the wall clock.
    last_reading: (Instant, i64),
}

impl ClockCheck {
    async fn start(auth: &Auth) -> Self {
        let (at, time) = (Instant::now(), now());
        let mut clock = Self {
            trusted_from: at + STARTUP_GRACE,
            last_reading: (at, time),
        };
        match newest_if_behind(&auth.pool, time).await {
            Ok(Some(newest)) => {
                let days = (time - newest) / DAY;
                clock.doubt(
                    at,
                    &format!("is {days} days ahead of the newest entry in the database"),
                );
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(
                    "nothing is deleted for 24 hours, because the system clock cannot be checked: {error}"
                );
                clock.trusted_from = at + CLOCK_GRACE;
            }
        }
        clock
    }

    fn doubt(&mut self, at: Instant, observation: &str) {
        tracing::warn!(
            "the system clock {observation} and may be wrong, so nothing is deleted for 24 hours"
        );
        self.trusted_from = at + CLOCK_GRACE;
    }

    fn allows_deletion(&mut self, at: Instant, time: i64) -> bool {
        let (last, last_time) = std::mem::replace(&mut self.last_reading, (at, time));
        let passed = i64::try_from(at.duration_since(last).as_secs()).unwrap_or(i64::MAX);
        let leap = time.saturating_sub(last_time).saturating_sub(passed);
        if leap > MAX_LEAP {
            let days = leap / DAY;
            self.doubt(
                at,
                &format!("was set {days} days ahead, or the machine slept"),
            );
        }
        at >= self.trusted_from
    }
}

/// The newest time in the database (unix seconds), if `now` is more than a day ahead of it. Then the clock may be
/// wrong.
pub(crate) async fn newest_if_behind(pool: &Pool, now: i64) -> Result<Option<i64>, Error> {
    let mut db = pool.read().await?;
    let newest = stats::newest_time(&mut db).await?;
    Ok(newest.filter(|newest| now.saturating_sub(*newest) > MAX_LEAP))
}

/// Deletes expired tokens and links, addresses that are no longer known, and old audit events.
///
/// # Errors
/// [`Error::Database`]; what was deleted before the failure stays deleted.
pub async fn delete_expired(auth: &Auth) -> Result<(), Error> {
    let pruned = auth.sessions.prune(&Actor::server()).await?;
    if pruned > 0 {
        tracing::info!(pruned, "expired tokens deleted");
    }
    let small_batch = i64::try_from(auth.pool.engine().maintenance_batch_size()).unwrap_or(1);
    delete_in_batches(
        &auth.pool,
        now() - KNOWN_LIFETIME,
        small_batch,
        |db, time, limit| Box::pin(known_address::delete_before(db, time, limit)),
    )
    .await?;
    delete_in_batches(
        &auth.pool,
        now() - KNOWN_LIFETIME,
        small_batch,
        |db, time, limit| Box::pin(known_device::delete_before(db, time, limit)),
    )
    .await?;
    delete_in_batches(&auth.pool, now(), BATCH_SIZE, |db, time, limit| {
        Box::pin(link::delete_expired(db, time, limit))
    })
    .await?;
    let Some(age) = auth.settings.events_ttl.duration() else {
        return Ok(());
    };
    let before = now().saturating_sub(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    delete_in_batches(&auth.pool, before, BATCH_SIZE, |db, time, limit| {
        Box::pin(event::delete_before(db, time, limit))
    })
    .await
}

/// Deletes counters of failed logins that no longer matter.
///
/// # Errors
/// [`Error::Database`].
pub async fn prune_attempts(pool: &Pool) -> Result<(), Error> {
    // Spares rows that a login may be about to reuse, and would have to wait for.
    delete_in_batches(
        pool,
        now() - ATTEMPT_GRACE,
        BATCH_SIZE,
        |db, time, limit| Box::pin(attempt::delete_expired(db, time, limit)),
    )
    .await?;
    let surplus = {
        let mut db = pool.read_long().await?;
        attempt::surplus(&mut db, MAX_UNKNOWN_NAMES).await?
    };
    let Some(time) = surplus else { return Ok(()) };
    delete_in_batches(pool, time, BATCH_SIZE, |db, time, limit| {
        Box::pin(attempt::delete_unknown_names(db, time, limit))
    })
    .await
}

/// Deletes up to a number of rows from before a time (unix seconds), and returns how many.
type BatchDeletion = for<'a> fn(&'a mut Conn, i64, i64) -> BoxFuture<'a, sqlx::Result<u64>>;

/// Deletes all rows from before a time (unix seconds), up to `limit` in one transaction.
async fn delete_in_batches(
    pool: &Pool,
    time: i64,
    limit: i64,
    delete: BatchDeletion,
) -> Result<(), Error> {
    loop {
        let mut tx = pool.write_long().await?;
        let deleted = delete(&mut tx, time, limit).await?;
        tx.commit().await?;
        if deleted < limit.unsigned_abs() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;
    const TIME: i64 = 1_800_000_000;

    /// Whether deletion is allowed at pairs of uptime and lead of the wall clock, in hours.
    fn allowed(doubted: bool, hours: &[(i64, i64)]) -> Vec<bool> {
        let start = Instant::now();
        let mut clock = ClockCheck {
            trusted_from: start + STARTUP_GRACE,
            last_reading: (start, TIME),
        };
        if doubted {
            clock.doubt(start, "is 400 days ahead");
        }
        let allows = |(hour, ahead): &(i64, i64)| {
            let at = start + Duration::from_secs((hour * HOUR).unsigned_abs());
            clock.allows_deletion(at, TIME + (hour + ahead) * HOUR)
        };
        hours.iter().map(allows).collect()
    }

    #[test]
    fn nothing_is_deleted_in_the_first_hour() {
        assert_eq!(
            allowed(false, &[(0, 0), (1, 0), (2, 0)]),
            [false, true, true]
        );
    }

    #[test]
    fn nothing_is_deleted_for_a_day_while_the_clock_is_doubted() {
        let hours = [(0, 0), (1, 0), (23, 0), (24, 0)];
        assert_eq!(allowed(true, &hours), [false, false, false, true]);
    }

    #[test]
    fn a_clock_that_leaps_ahead_stops_deletion_for_a_day() {
        let hours = [
            (2, 0),
            (3, 30),
            (4, 30),
            (26, 30),
            (27, 30),
            (28, 53),
            (29, -9000),
        ];
        let expected = [true, false, false, false, true, true, true];
        assert_eq!(allowed(false, &hours), expected);
    }
}

//! What the server does of itself while it runs: writes last uses, deletes what has had its time.
//!
//! A wrong clock must not cost anybody a token. What has expired by the clock is refused at once, which
//! a clock that is set right again undoes; but it is deleted only after a while, when somebody would have
//! noticed.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rocket::fairing::AdHoc;
use rocket::futures::future::BoxFuture;
use rocket::tokio::time::{MissedTickBehavior, interval};
use rocket::tokio::{self, select};
use rocket::{Orbit, Rocket};

use super::{Auth, follow};
use crate::config::Settings;
use crate::db::Conn;
use crate::error::Error;
use crate::models::event::{self, Actor};
use crate::models::{attempt, known_address, now, stats};

const PRUNING: Duration = Duration::from_hours(1);
/// After the start, nothing is deleted for so long; and for so long after a leap of the clock.
const SETTLING: Duration = Duration::from_hours(1);
const DOUBT: Duration = Duration::from_hours(24);
/// Seconds that a clock may have leapt ahead without being doubted: a server that stood still over night is
/// no reason.
const LEAP: i64 = 24 * 60 * 60;
/// Of live tokens, which takes a tenth of a second with a million of them.
const COUNTING: Duration = Duration::from_mins(1);
/// Often, so that somebody who guesses at many names leaves few rows at a time.
const PRUNING_ATTEMPTS: Duration = Duration::from_mins(1);
const SLOWEST_FLUSH: Duration = Duration::from_secs(1);
const FASTEST_FLUSH: Duration = Duration::from_millis(50);
/// Rows that nobody else changes, deleted in one transaction.
const ROWS_AT_ONCE: i64 = 5000;
/// Seconds for which a count is left when its window is over.
const LEFT_ALONE: i64 = 60;
/// Failed logins in a row are remembered for the latest names that no account has.
const NAMES_KEPT: i64 = 100_000;
/// Seconds after which an address that a user no longer signs in from is a stranger's again: by
/// then it may well belong to somebody else.
const KNOWN_FOR: i64 = 90 * 24 * 60 * 60;

/// Starts the upkeep when the server does, and stops it with the server.
pub fn fairing() -> AdHoc {
    AdHoc::on_liftoff("upkeep of tokens", |rocket| Box::pin(start(rocket)))
}

/// Rocket takes no request before this is done: the newest time is read before anything newer is written.
async fn start(rocket: &Rocket<Orbit>) {
    let Some(auth) = rocket.state::<Auth>() else {
        return;
    };
    let clock = Mutex::new(Clock::start(auth).await);
    // Each by itself: a long pruning keeps no last use waiting.
    let flushing = flush_period(auth.settings());
    repeat(rocket, auth, flushing, |auth| Box::pin(auth.flush_usage()));
    // Whatever the clock says: a flood must not fill the disk, and only counts are lost.
    repeat(rocket, auth, PRUNING_ATTEMPTS, |auth| {
        Box::pin(auth.prune_attempts())
    });
    repeat(rocket, auth, PRUNING, move |auth| {
        let mut clock = clock.lock().unwrap_or_else(PoisonError::into_inner);
        if clock.allows_deletion(Instant::now(), now()) {
            Box::pin(auth.delete_expired())
        } else {
            Box::pin(async { Ok(()) })
        }
    });
    if auth.settings().metrics {
        repeat(rocket, auth, COUNTING, |auth| {
            Box::pin(auth.count_live_tokens())
        });
    }
    let (followed, shutdown) = (auth.clone(), rocket.shutdown());
    tokio::spawn(async move {
        select! {
            () = shutdown => {}
            () = follow::follow(followed) => {}
        }
    });
}

/// Does the job now and every so often, until the server stops.
fn repeat<J>(rocket: &Rocket<Orbit>, auth: &Auth, period: Duration, job: J)
where
    J: for<'a> Fn(&'a Auth) -> BoxFuture<'a, Result<(), Error>> + Send + 'static,
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
            if let Err(error) = job(&auth).await {
                tracing::warn!("upkeep failed, it will be tried again: {error}");
            }
        }
    });
}

/// Often enough that a token which is used all the time doesn't die of disuse meanwhile.
fn flush_period(settings: &Settings) -> Duration {
    [settings.token_idle_ttl, settings.admin_idle_ttl]
        .into_iter()
        .filter_map(|life| Some(life.length()? / 20))
        .fold(SLOWEST_FLUSH, Duration::min)
        .max(FASTEST_FLUSH)
}

/// How far the clock is trusted: whether what has expired by it may be deleted.
struct Clock {
    /// Nothing is deleted before.
    from: Instant,
    /// What the clock that never leaps and the one of the calendar last said.
    read: (Instant, i64),
}

impl Clock {
    async fn start(auth: &Auth) -> Self {
        let (at, time) = (Instant::now(), now());
        let mut clock = Self {
            from: at + SETTLING,
            read: (at, time),
        };
        match auth.left_behind(time).await {
            Ok(Some(newest)) => clock.doubt(at, time - newest),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(
                    "nothing is deleted for 24 hours: the clock can't be checked: {error}"
                );
                clock.from = at + DOUBT;
            }
        }
        clock
    }

    fn doubt(&mut self, at: Instant, leap: i64) {
        let days = leap / LEAP;
        tracing::warn!(
            "the clock is {days} days ahead of the newest entry in the database; in case that it is wrong, \
             nothing is deleted for 24 hours"
        );
        self.from = at + DOUBT;
    }

    fn allows_deletion(&mut self, at: Instant, time: i64) -> bool {
        let (last, last_time) = std::mem::replace(&mut self.read, (at, time));
        let passed = i64::try_from(at.duration_since(last).as_secs()).unwrap_or(i64::MAX);
        let leap = time.saturating_sub(last_time).saturating_sub(passed);
        if leap > LEAP {
            self.doubt(at, leap);
        }
        at >= self.from
    }
}

impl Auth {
    /// The newest time in the database, unix seconds, if the clock, which says `now`, is more than a day ahead
    /// of it: the clock may be wrong, then.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn left_behind(&self, now: i64) -> Result<Option<i64>, Error> {
        let mut db = self.pool().read().await?;
        let newest = stats::newest(&mut db).await?;
        Ok(newest.filter(|newest| now.saturating_sub(*newest) > LEAP))
    }

    /// Deletes tokens that have expired, addresses that are no longer known, and events that are too old.
    ///
    /// # Errors
    /// [`Error::Database`]; what was deleted before stays deleted.
    pub async fn delete_expired(&self) -> Result<(), Error> {
        let pruned = self.prune(&Actor::server()).await?;
        if pruned > 0 {
            tracing::info!(pruned, "expired tokens deleted");
        }
        let a_few = i64::try_from(self.pool().engine().rows_at_once()).unwrap_or(1);
        delete(self, now() - KNOWN_FOR, a_few, |db, time, limit| {
            Box::pin(known_address::delete_before(db, time, limit))
        })
        .await?;
        let Some(age) = self.settings().events_ttl.length() else {
            return Ok(());
        };
        let before = now().saturating_sub(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
        delete(self, before, ROWS_AT_ONCE, |db, time, limit| {
            Box::pin(event::delete_before(db, time, limit))
        })
        .await
    }

    /// Deletes the counts of failed logins that no longer matter.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn prune_attempts(&self) -> Result<(), Error> {
        // Not those that a login may be about to count in again, and wait for.
        delete(self, now() - LEFT_ALONE, ROWS_AT_ONCE, |db, time, limit| {
            Box::pin(attempt::delete_ended(db, time, limit))
        })
        .await?;
        let surplus = {
            let mut db = self.pool.read_long().await?;
            attempt::surplus(&mut db, NAMES_KEPT).await?
        };
        let Some(time) = surplus else { return Ok(()) };
        delete(self, time, ROWS_AT_ONCE, |db, time, limit| {
            Box::pin(attempt::delete_names(db, time, limit))
        })
        .await
    }
}

/// Deletes rows up to a time, unix seconds, a batch in each transaction.
type Delete = for<'a> fn(&'a mut Conn, i64, i64) -> BoxFuture<'a, sqlx::Result<u64>>;

async fn delete(auth: &Auth, time: i64, limit: i64, batch: Delete) -> Result<(), Error> {
    loop {
        let mut tx = auth.pool().write_long().await?;
        let deleted = batch(&mut tx, time, limit).await?;
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

    /// What a clock allows at each of these hours of uptime, by the calendar so many hours ahead.
    fn allowed(doubted: bool, hours: &[(i64, i64)]) -> Vec<bool> {
        let start = Instant::now();
        let mut clock = Clock {
            from: start + SETTLING,
            read: (start, TIME),
        };
        if doubted {
            clock.doubt(start, 400 * LEAP);
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
    fn a_clock_that_leaps_ahead_is_doubted_from_then_on() {
        let hours = [
            (2, 0),
            (3, 30),
            (4, 30),
            (26, 30),
            (27, 30),
            (28, 53),
            (29, -9000),
        ];
        let wanted = [true, false, false, false, true, true, true];
        assert_eq!(allowed(false, &hours), wanted);
    }
}

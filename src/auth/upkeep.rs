//! What the server does of itself while it runs: writes last uses, deletes what has had its time.

use std::time::Duration;

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
use crate::models::{attempt, known_address, now};

const PRUNING: Duration = Duration::from_hours(1);
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
    AdHoc::on_liftoff("upkeep of tokens", |rocket| {
        Box::pin(async { start(rocket) })
    })
}

fn start(rocket: &Rocket<Orbit>) {
    let Some(auth) = rocket.state::<Auth>() else {
        return;
    };
    // Each by itself: a long pruning keeps no last use waiting.
    let flushing = flush_period(auth.settings());
    repeat(rocket, auth, flushing, |auth| Box::pin(auth.flush_usage()));
    repeat(rocket, auth, PRUNING_ATTEMPTS, |auth| {
        Box::pin(auth.prune_attempts())
    });
    repeat(rocket, auth, PRUNING, |auth| Box::pin(prune(auth)));
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

type Job = for<'a> fn(&'a Auth) -> BoxFuture<'a, Result<(), Error>>;

/// Does the job now and every so often, until the server stops.
fn repeat(rocket: &Rocket<Orbit>, auth: &Auth, period: Duration, job: Job) {
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

async fn prune(auth: &Auth) -> Result<(), Error> {
    let pruned = auth.prune(&Actor::server()).await?;
    if pruned > 0 {
        tracing::info!(pruned, "expired tokens deleted");
    }
    let a_few = i64::try_from(auth.pool().engine().rows_at_once()).unwrap_or(1);
    delete(auth, now() - KNOWN_FOR, a_few, |db, time, limit| {
        Box::pin(known_address::delete_before(db, time, limit))
    })
    .await?;
    let Some(age) = auth.settings().events_ttl.length() else {
        return Ok(());
    };
    let before = now().saturating_sub(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    delete(auth, before, ROWS_AT_ONCE, |db, time, limit| {
        Box::pin(event::delete_before(db, time, limit))
    })
    .await
}

impl Auth {
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
            let mut db = self.pool.read().await?;
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

//! What the server does of itself while it runs: writes last uses, deletes what has had its time.

use std::time::Duration;

use rocket::fairing::AdHoc;
use rocket::futures::future::BoxFuture;
use rocket::tokio::time::{MissedTickBehavior, interval};
use rocket::tokio::{self, select};
use rocket::{Orbit, Rocket};
use sqlx::AnyConnection;

use super::Auth;
use crate::config::Settings;
use crate::error::Error;
use crate::models::event::{self, Actor};
use crate::models::{attempt, known_address, now};

const PRUNING: Duration = Duration::from_hours(1);
/// Often, so that somebody who guesses at many names leaves few rows at a time.
const PRUNING_ATTEMPTS: Duration = Duration::from_mins(1);
const SLOWEST_FLUSH: Duration = Duration::from_secs(1);
const FASTEST_FLUSH: Duration = Duration::from_millis(50);
/// Lines of the trail, which nobody else changes, deleted in one transaction.
const EVENTS_AT_ONCE: i64 = 5000;
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
    let Some(auth) = rocket.state::<Auth>().cloned() else {
        return;
    };
    let shutdown = rocket.shutdown();
    tokio::spawn(async move {
        let mut flushing = interval(flush_period(auth.settings()));
        let mut pruning_attempts = interval(PRUNING_ATTEMPTS);
        let mut pruning = interval(PRUNING);
        flushing.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(shutdown);
        loop {
            let done = select! {
                () = &mut shutdown => return,
                _ = flushing.tick() => auth.flush_usage().await,
                _ = pruning_attempts.tick() => auth.prune_attempts().await,
                _ = pruning.tick() => prune(&auth).await,
            };
            if let Err(error) = done {
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
    delete(
        auth,
        now() - KNOWN_FOR,
        rows_at_once(auth),
        |db, time, limit| Box::pin(known_address::delete_before(db, time, limit)),
    )
    .await?;
    let Some(age) = auth.settings().events_ttl.length() else {
        return Ok(());
    };
    let before = now().saturating_sub(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    delete(auth, before, EVENTS_AT_ONCE, |db, time, limit| {
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
        delete(self, now(), rows_at_once(self), |db, time, limit| {
            Box::pin(attempt::delete_ended(db, time, limit))
        })
        .await
    }
}

/// Deletes rows up to a time, unix seconds, a batch in each transaction.
type Delete = for<'a> fn(&'a mut AnyConnection, i64, i64) -> BoxFuture<'a, sqlx::Result<u64>>;

async fn delete(auth: &Auth, time: i64, limit: i64, batch: Delete) -> Result<(), Error> {
    loop {
        let mut tx = auth.pool().write().await?;
        let deleted = batch(&mut tx, time, limit).await?;
        tx.commit().await?;
        if deleted < limit.unsigned_abs() {
            return Ok(());
        }
    }
}

fn rows_at_once(auth: &Auth) -> i64 {
    i64::try_from(auth.pool().engine().rows_at_once()).unwrap_or(1)
}

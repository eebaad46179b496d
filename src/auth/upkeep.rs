//! What the server does of itself while it runs: writes last uses, deletes what has expired.

use std::time::Duration;

use rocket::fairing::AdHoc;
use rocket::tokio::time::{MissedTickBehavior, interval};
use rocket::tokio::{self, select};
use rocket::{Orbit, Rocket};

use super::Auth;
use crate::config::Settings;
use crate::error::Error;
use crate::models::event::{self, Actor};
use crate::models::now;

const PRUNING: Duration = Duration::from_hours(1);
const SLOWEST_FLUSH: Duration = Duration::from_secs(1);
const FASTEST_FLUSH: Duration = Duration::from_millis(50);
const DELETED_AT_ONCE: i64 = 5000;

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
        let mut pruning = interval(PRUNING);
        flushing.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(shutdown);
        loop {
            let done = select! {
                () = &mut shutdown => return,
                _ = flushing.tick() => auth.flush_usage().await,
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
    let Some(age) = auth.settings().events_ttl.length() else {
        return Ok(());
    };
    let before = now().saturating_sub(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    loop {
        let mut tx = auth.pool().write().await?;
        let deleted = event::delete_before(&mut tx, before, DELETED_AT_ONCE).await?;
        tx.commit().await?;
        if deleted == 0 {
            return Ok(());
        }
    }
}

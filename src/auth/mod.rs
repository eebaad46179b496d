//! Who may come in: sessions (tokens issued, checked, ended), accounts (users and passwords), and
//! the guards that handlers ask for.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rocket::fairing::AdHoc;
use rocket::{Build, Rocket};
use rocket_db_pools::Database;

use crate::config::Settings;
use crate::db::{Db, Pool};
use crate::error::Error;
use crate::password::Hasher;

pub mod accounts;
mod cache;
mod change;
pub mod demo;
pub mod find;
mod follow;
pub mod guard;
mod metrics;
mod readiness;
pub mod sessions;
pub mod setup;
pub mod survey;
pub mod throttle;
pub mod upkeep;
mod usage;

/// The one door to users and tokens; cheap to clone. The methods stand in [`sessions`] and
/// [`accounts`].
#[derive(Clone)]
pub struct Auth {
    pool: Pool,
    settings: Arc<Settings>,
    hasher: Hasher,
    usage: Arc<usage::Usage>,
    /// None if the settings want none.
    cache: Option<Arc<cache::Cache>>,
    /// Whether this process has ended a token, or found it ended.
    ended: Arc<AtomicBool>,
    counts: Arc<metrics::Counts>,
    readiness: Arc<readiness::Readiness>,
}

impl Auth {
    /// One over that database, with those settings.
    ///
    /// # Errors
    /// The settings ask for hash parameters that Argon2 does not take.
    pub fn new(pool: Pool, settings: Settings) -> Result<Self, Error> {
        let hasher = Hasher::new(&settings)?;
        let cache = settings.token_cache.then(|| Arc::new(cache::Cache::new()));
        Ok(Self {
            pool,
            settings: Arc::new(settings),
            hasher,
            usage: Arc::default(),
            cache,
            ended: Arc::default(),
            counts: Arc::new(metrics::Counts::new()?),
            readiness: Arc::default(),
        })
    }

    /// The database that it works on.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The settings that it works by.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
}

/// Manages [`Auth`] and [`setup::Setup`], and looks after tokens while the server runs.
pub fn stage() -> AdHoc {
    AdHoc::try_on_ignite("auth", |rocket| async {
        match build(&rocket) {
            Some(auth) => Ok(rocket
                .manage(auth)
                .manage(setup::Setup::default())
                .attach(upkeep::fairing())),
            None => Err(rocket),
        }
    })
}

fn build(rocket: &Rocket<Build>) -> Option<Auth> {
    let pool = Db::fetch(rocket).map(|db| Pool::clone(db))?;
    let settings = rocket.state::<Settings>()?.clone();
    Auth::new(pool, settings)
        .inspect_err(|error| tracing::error!("{error}"))
        .ok()
}

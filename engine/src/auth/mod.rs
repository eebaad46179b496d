//! Authentication: logins, sessions, accounts, and the guards that handlers use.

use std::ops::Deref;
use std::sync::Arc;

use prometheus::proto::MetricFamily;
use rocket::fairing::AdHoc;
use rocket::{Build, Rocket};
use rocket_db_pools::Database;

use self::accounts::Accounts;
use self::bulk_actions::Bulk;
use self::cache::Cache;
use self::last_uses::LastUses;
use self::links::Links;
use self::logins::Logins;
use self::metrics::AuthMetrics;
use self::outbox::Outbox;
use self::passwords::Passwords;
use self::readiness::Readiness;
use self::session_change::SessionChanges;
use self::sessions::Sessions;
use self::throttle::Throttle;
use crate::config::Settings;
use crate::db::{Db, Pool};
use crate::error::Error;
use crate::mail::Mailer;
use crate::password::Hasher;

pub(crate) mod account_survey;
pub mod accounts;
pub mod background_tasks;
pub mod bulk_actions;
mod cache;
pub mod cookie;
pub(crate) mod demo;
pub mod find;
pub mod guard;
pub mod last_uses;
pub mod links;
pub mod logins;
mod metrics;
pub mod outbox;
mod passwords;
pub mod readiness;
pub mod revocation;
mod revocation_follower;
pub mod session;
mod session_change;
pub mod sessions;
pub mod setup;
pub mod throttle;

/// Entry point to users and tokens. Cheap to clone.
#[derive(Clone)]
pub struct Auth(Arc<AuthServices>);

/// The parts of [`Auth`], one per responsibility.
pub struct AuthServices {
    /// Signs users in.
    pub logins: Logins,
    /// Checks and revokes tokens.
    pub sessions: Sessions,
    /// Creates, changes and deletes users.
    pub accounts: Accounts,
    /// Revokes tokens and disables users in bulk.
    pub bulk: Bulk,
    /// Limits failed logins, and lifts the locks.
    pub throttle: Throttle,
    /// Records when tokens were last used.
    pub last_uses: LastUses,
    /// Issues and redeems one-time links.
    pub links: Links,
    /// Sends mail.
    pub outbox: Outbox,
    /// Checks whether this process can serve.
    pub readiness: Readiness,
    pool: Pool,
    settings: Arc<Settings>,
    passwords: Passwords,
    metrics: Arc<AuthMetrics>,
}

impl Auth {
    /// Builds all parts on a database pool.
    ///
    /// # Errors
    /// Argon2 does not accept the hash parameters in the settings, or their `mail_url` is invalid.
    pub fn new(pool: Pool, settings: Settings) -> Result<Self, Error> {
        let settings = Arc::new(settings);
        let metrics = Arc::new(AuthMetrics::new()?);
        let cache = settings.token_cache.then(|| Arc::new(Cache::new()));
        let mailer = mailer(&settings)?;
        let outbox = Outbox::new(pool.clone(), settings.clone(), metrics.clone(), mailer);
        let changes = SessionChanges::new(pool.clone(), cache.clone(), outbox.clone());
        let last_uses = LastUses::new(pool.clone());
        let throttle = Throttle {
            pool: pool.clone(),
            settings: settings.clone(),
            outbox: outbox.clone(),
        };
        let passwords = Passwords {
            hasher: Hasher::new(&settings)?,
            settings: settings.clone(),
            throttle: throttle.clone(),
        };
        let sessions = Sessions {
            pool: pool.clone(),
            settings: settings.clone(),
            changes: changes.clone(),
            cache,
            last_uses: last_uses.clone(),
            metrics: metrics.clone(),
        };
        let accounts = Accounts {
            pool: pool.clone(),
            passwords: passwords.clone(),
            throttle: throttle.clone(),
            sessions: sessions.clone(),
            changes: changes.clone(),
            outbox: outbox.clone(),
        };
        let logins = Logins {
            pool: pool.clone(),
            passwords: passwords.clone(),
            throttle: throttle.clone(),
            sessions: sessions.clone(),
            changes: changes.clone(),
            metrics: metrics.clone(),
            outbox: outbox.clone(),
        };
        let links = Links {
            pool: pool.clone(),
            passwords: passwords.clone(),
            changes: changes.clone(),
            outbox: outbox.clone(),
            throttle: throttle.clone(),
        };
        let bulk = Bulk {
            pool: pool.clone(),
            changes,
            sessions: sessions.clone(),
            accounts: accounts.clone(),
            last_uses: last_uses.clone(),
        };
        Ok(Self(Arc::new(AuthServices {
            logins,
            sessions,
            accounts,
            bulk,
            throttle,
            last_uses,
            links,
            outbox,
            readiness: Readiness::new(pool.clone()),
            pool,
            settings,
            passwords,
            metrics,
        })))
    }
}

impl Deref for Auth {
    type Target = AuthServices;

    fn deref(&self) -> &AuthServices {
        &self.0
    }
}

impl AuthServices {
    /// The database pool. Write only to your own tables: nothing enforces it.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Current values of all metrics of this process.
    pub fn metrics(&self) -> Vec<MetricFamily> {
        let cache = self.sessions.cache.as_ref();
        let cached = cache.map_or(0, |cache| cache.len());
        let (hashes, connections) = (self.passwords.hasher.load(), self.pool.connection_counts());
        self.metrics.gather(cached, hashes, connections)
    }
}

/// The configured mailer. Debug builds without one keep mail in memory, for `/dev/mail`.
fn mailer(settings: &Settings) -> Result<Option<Mailer>, Error> {
    match (&settings.mail_url, &settings.mail_from) {
        (Some(url), Some(from)) => match Mailer::new(url, from) {
            Ok(mailer) => Ok(Some(mailer)),
            Err(fault) => {
                tracing::error!("{fault}");
                Err(Error::Internal("app.mail_url cannot be used"))
            }
        },
        _ if cfg!(debug_assertions) => Ok(Some(Mailer::Memory(Arc::default()))),
        _ => Ok(None),
    }
}

/// Manages [`Auth`] and [`setup::Setup`], and runs the background tasks with the server.
pub fn stage() -> AdHoc {
    AdHoc::try_on_ignite("auth", |rocket| async {
        match build(&rocket) {
            Some(auth) => Ok(rocket
                .manage(auth)
                .manage(setup::Setup::default())
                .attach(background_tasks::fairing())),
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

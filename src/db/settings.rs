//! The settings under `databases.multitoken`.

use std::time::Duration;

use rocket::figment::Figment;
use serde::Deserialize;

use super::{Fault, SQLITE_CONNECTIONS};
use crate::config::one_line;

/// What `databases.multitoken` takes. [`Pool::open_for_server`] fills in four connections a worker.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PoolSettings {
    pub(super) url: String,
    #[serde(default)]
    pub(super) min_connections: u32,
    #[serde(default = "default_connections")]
    pub(super) max_connections: u32,
    /// Seconds to wait for a connection.
    #[serde(default = "default_timeout")]
    pub(super) connect_timeout: u64,
    /// Seconds after which an idle connection is closed.
    pub(super) idle_timeout: Option<u64>,
    /// Seconds that a statement waits for a lock.
    #[serde(default = "default_lock_timeout")]
    pub(super) lock_timeout: u64,
    /// Seconds that a statement may take, on PostgreSQL.
    #[serde(default = "default_timeout")]
    pub(super) statement_timeout: u64,
    /// Seconds between two statements of a transaction, on PostgreSQL.
    #[serde(default = "default_idle_in_transaction")]
    pub(super) idle_in_transaction_session_timeout: u64,
}

/// How long the database is waited for; each is a setting.
#[derive(Clone, Copy)]
pub(super) struct Timeouts {
    pub(super) connect: Duration,
    pub(super) lock: Duration,
    pub(super) statement: Duration,
    pub(super) idle_in_transaction: Duration,
}

impl Timeouts {
    /// What a statement may take as seen from here: the server, if it lives, ends it before.
    pub(super) fn limit(&self) -> Duration {
        self.statement.max(self.lock) + Duration::from_secs(1)
    }
}

impl PoolSettings {
    /// What `figment`, focused on `databases.multitoken`, has.
    pub(super) fn read(figment: &Figment) -> Result<Self, Fault> {
        let settings: Self = figment
            .extract()
            .map_err(|error| Fault::Settings(one_line(&error, |_| true)))?;
        for (key, seconds) in [
            ("connect_timeout", settings.connect_timeout),
            ("idle_timeout", settings.idle_timeout.unwrap_or(1)),
            ("lock_timeout", settings.lock_timeout),
            ("statement_timeout", settings.statement_timeout),
            (
                "idle_in_transaction_session_timeout",
                settings.idle_in_transaction_session_timeout,
            ),
        ] {
            if !(1..=LONGEST_TIMEOUT).contains(&seconds) {
                return Err(Fault::Settings(format!(
                    "{key} takes 1 to {LONGEST_TIMEOUT} seconds"
                )));
            }
        }
        let max = settings.max_connections;
        if !(1..=MAX_CONNECTIONS).contains(&max) {
            return Err(Fault::Settings(format!(
                "max_connections takes 1 to {MAX_CONNECTIONS}"
            )));
        }
        if settings.min_connections > max {
            return Err(Fault::Settings(format!(
                "min_connections takes no more than max_connections, which is {max}"
            )));
        }
        Ok(settings)
    }

    pub(super) fn timeouts(&self) -> Timeouts {
        Timeouts {
            connect: Duration::from_secs(self.connect_timeout),
            lock: Duration::from_secs(self.lock_timeout),
            statement: Duration::from_secs(self.statement_timeout),
            idle_in_transaction: Duration::from_secs(self.idle_in_transaction_session_timeout),
        }
    }
}

/// Where in the settings all of it stands.
pub(super) const SETTINGS: &str = "databases.multitoken";

fn default_connections() -> u32 {
    SQLITE_CONNECTIONS
}

fn default_timeout() -> u64 {
    5
}

fn default_lock_timeout() -> u64 {
    3
}

fn default_idle_in_transaction() -> u64 {
    10
}

/// Seconds that a time-out may be set to; far longer ones overflow the clock.
const LONGEST_TIMEOUT: u64 = 24 * 60 * 60;

/// Far more than a server takes; sqlx sets aside memory for each.
const MAX_CONNECTIONS: u32 = 10_000;

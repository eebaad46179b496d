//! Database settings: the table `databases.<name>`.

use std::time::Duration;

use figment::Figment;
use serde::Deserialize;

use super::Fault;
use crate::config::{database_key, format_error};

/// The table `databases.<name>`. `Pool::open_for_server` adds a default of four connections per worker.
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

/// The timeouts of a connection and its statements.
#[derive(Clone, Copy)]
pub(super) struct Timeouts {
    pub(super) connect: Duration,
    pub(super) lock: Duration,
    pub(super) statement: Duration,
    pub(super) idle_in_transaction: Duration,
}

impl Timeouts {
    /// The timeout for a statement in this process. The server's own timeouts are shorter.
    pub(super) fn limit(&self) -> Duration {
        self.statement.max(self.lock) + Duration::from_secs(1)
    }
}

impl PoolSettings {
    pub(super) fn from_figment(figment: &Figment) -> Result<Self, Fault> {
        Self::from_table(&figment.focus(&database_key()))
    }

    /// Reads a figment that is focused on `databases.<name>`.
    pub(super) fn from_table(figment: &Figment) -> Result<Self, Fault> {
        let settings: Self = figment
            .extract()
            .map_err(|error| Fault::Settings(format_error(&error, |_| true)))?;
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
            if !(1..=MAX_TIMEOUT_SECONDS).contains(&seconds) {
                return Err(Fault::Settings(format!(
                    "{key} must be 1 to {MAX_TIMEOUT_SECONDS} seconds"
                )));
            }
        }
        let max = settings.max_connections;
        if !(1..=MAX_CONNECTIONS).contains(&max) {
            return Err(Fault::Settings(format!(
                "max_connections must be 1 to {MAX_CONNECTIONS}"
            )));
        }
        if settings.min_connections > max {
            return Err(Fault::Settings(format!(
                "min_connections must be at most max_connections, which is {max}"
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

/// The maximum timeout in seconds. Much longer ones overflow the clock.
const MAX_TIMEOUT_SECONDS: u64 = 24 * 60 * 60;

/// Far more connections than a server accepts. The pool allocates memory for each.
const MAX_CONNECTIONS: u32 = 10_000;

/// More connections would only queue for SQLite's single writer, and each takes some megabytes.
pub(super) const SQLITE_CONNECTIONS: u32 = 4;

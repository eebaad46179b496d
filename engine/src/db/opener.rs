//! deadpool manager: opens and configures connections, and decides whether they are reused.

use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, AssertSqlSafe, ConnectOptions, Executor};

use super::Engine;
use super::settings::Timeouts;
use super::stale_connections::StaleConnections;
use super::statement_limit::Limit;

/// The manager of the connections for one kind of work.
pub(super) struct Opener {
    pub(super) options: AnyConnectOptions,
    pub(super) engine: Engine,
    pub(super) timeouts: Timeouts,
    pub(super) workload: Workload,
    pub(super) stale: Arc<StaleConnections>,
}

/// The kind of work that a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Workload {
    /// Requests. Every statement has a timeout.
    Requests,
    /// Writes that need not survive a power failure.
    NonDurable,
    /// Exports, bulk actions, pruning and commands, whose statements may take long.
    Long,
}

impl Opener {
    pub(super) async fn open(&self) -> sqlx::Result<AnyConnection> {
        let mut connection = self.options.connect().await?;
        connection.execute(AssertSqlSafe(self.setup_sql())).await?;
        Ok(connection)
    }

    pub(super) fn limit(&self) -> Limit {
        Limit::Short(self.timeouts.limit())
    }

    fn setup_sql(&self) -> String {
        let timeouts = &self.timeouts;
        match self.engine {
            Engine::Sqlite => {
                // In WAL mode the default, NORMAL, may lose the last commits in a power failure, so a revoked token
                // would be live again.
                let synchronous = match self.workload {
                    Workload::NonDurable => "NORMAL",
                    Workload::Requests | Workload::Long => "FULL",
                };
                let lock = timeouts.lock.as_millis();
                format!("PRAGMA busy_timeout = {lock}; PRAGMA synchronous = {synchronous}")
            }
            Engine::Postgres => {
                let statement = match self.workload {
                    Workload::Long => Duration::ZERO,
                    Workload::Requests | Workload::NonDurable => timeouts.statement,
                };
                // Not startup parameters, because PgBouncer rejects those. Statements outside a transaction use the
                // default isolation level, which may be configured differently.
                format!(
                    "SET lock_timeout = '{}s'; SET statement_timeout = '{}s';
                     SET idle_in_transaction_session_timeout = '{}s';
                     SET default_transaction_isolation = 'read committed'",
                    timeouts.lock.as_secs(),
                    statement.as_secs(),
                    timeouts.idle_in_transaction.as_secs()
                )
            }
        }
    }
}

impl Manager for Opener {
    type Type = AnyConnection;
    type Error = sqlx::Error;

    async fn create(&self) -> sqlx::Result<AnyConnection> {
        self.open().await
    }

    async fn recycle(
        &self,
        _: &mut AnyConnection,
        metrics: &Metrics,
    ) -> RecycleResult<sqlx::Error> {
        if self.stale.includes(metrics.created) {
            return Err(RecycleError::message(
                "the connection is older than the change of servers",
            ));
        }
        Ok(())
    }
}

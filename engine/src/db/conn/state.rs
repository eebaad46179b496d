//! State of a connection, updated by the results of its statements.

use std::sync::Arc;

use sqlx::Error;
use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::db::Engine;
use crate::db::stale_connections::StaleConnections;
use crate::db::statement_limit::Limit;

/// SQLSTATE `read_only_sql_transaction`.
const READ_ONLY: &str = "25006";

pub(super) struct ConnState {
    pub(super) engine: Engine,
    pub(super) limit: Limit,
    /// Shared by the pool. A connection outside the pool has its own.
    pub(super) stale: Arc<StaleConnections>,
    /// A statement is running. If still set on drop, the statement was cut short.
    pub(super) busy: bool,
    pub(super) transaction: TransactionState,
    /// The transaction or the connection may have ended.
    pub(super) broken: bool,
    /// Rows changed by the transaction.
    pub(super) changed_rows: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TransactionState {
    None,
    Open,
    /// A statement of the transaction failed.
    Failed,
}

impl ConnState {
    pub(super) fn new(engine: Engine, limit: Limit, stale: Arc<StaleConnections>) -> Self {
        Self {
            engine,
            limit,
            stale,
            busy: false,
            transaction: TransactionState::None,
            broken: false,
            changed_rows: 0,
        }
    }

    pub(super) fn is_in_transaction(&self) -> bool {
        self.transaction != TransactionState::None
    }

    pub(super) fn is_broken(&self) -> bool {
        self.busy || self.broken
    }

    /// Records the result of a statement.
    pub(super) fn record<T>(&mut self, result: sqlx::Result<T>) -> sqlx::Result<T> {
        self.busy = false;
        if let Err(error) = &result {
            if self.is_in_transaction() {
                self.transaction = TransactionState::Failed;
            }
            self.broken |= match error.as_database_error() {
                // Depending on the error, SQLite may have rolled back (sqlite.org/c3ref/get_autocommit.html). It has
                // not after a constraint violation.
                Some(database) if database.code().is_some_and(|code| code == READ_ONLY) => {
                    self.stale.record_refused();
                    true
                }
                Some(database) if ends_session(database) => {
                    self.stale.record_lost();
                    true
                }
                Some(database) => {
                    self.engine == Engine::Sqlite
                        && self.is_in_transaction()
                        && matches!(database.kind(), ErrorKind::Other)
                }
                None if matches!(error, Error::RowNotFound | Error::ColumnDecode { .. }) => false,
                None => {
                    self.stale.record_lost();
                    true
                }
            };
        }
        result
    }
}

/// Whether PostgreSQL closes the connection after this error.
fn ends_session(error: &dyn DatabaseError) -> bool {
    let error = error.try_downcast_ref::<PgDatabaseError>();
    error.is_some_and(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic))
}

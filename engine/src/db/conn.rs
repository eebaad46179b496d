//! Database connection with a timeout on every statement, returned to the pool only in a known state.
//!
//! The database's own timeouts are slightly shorter. They end a statement that waits for a lock or takes too long, and
//! leave the connection usable. The timeouts here are for a server that enforces none: a frozen process or a dead
//! network.
//!
//! sqlx counts open transactions itself, and its count is wrong after SQLite has rolled back on its own. So this module
//! begins and ends transactions in SQL. A connection is closed, not reused, if its statement was cut short or if an
//! error may have ended its transaction.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, mem};

use deadpool::managed::Object;
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, Connection, Error, raw_sql};
use tokio::time::timeout;

use self::state::{ConnState, TransactionState};
use super::Engine;
use super::opener::Opener;
use super::statement_limit::{Limit, Watch, timed_out};

mod state;
mod statement;

/// The timeout for closing a connection outside the pool.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(4);

/// A database connection, from the pool or outside it. Models run statements on `&mut Conn`.
pub struct Conn {
    handle: Handle,
    state: ConnState,
}

enum Handle {
    Pooled(Object<Opener>),
    Standalone(AnyConnection),
    Closed,
}

impl Conn {
    pub(super) fn pooled(connection: Object<Opener>, opener: &Opener) -> Self {
        let stale = Arc::clone(&opener.stale);
        Self {
            handle: Handle::Pooled(connection),
            state: ConnState::new(opener.engine, opener.limit(), stale),
        }
    }

    /// A connection outside the pool.
    pub(super) fn standalone(connection: AnyConnection, opener: &Opener) -> Self {
        Self {
            handle: Handle::Standalone(connection),
            state: ConnState::new(opener.engine, opener.limit(), Arc::default()),
        }
    }

    /// A placeholder that refuses every statement.
    pub(super) fn closed() -> Self {
        let limit = Limit::Short(Duration::ZERO);
        Self {
            handle: Handle::Closed,
            state: ConnState::new(Engine::Sqlite, limit, Arc::default()),
        }
    }

    /// Lets each statement run as long as the server works on it.
    pub(super) async fn watch(&mut self, options: AnyConnectOptions) -> sqlx::Result<()> {
        self.state.limit = match self.state.engine {
            Engine::Sqlite => Limit::Long(None),
            Engine::Postgres => {
                let query = sqlx::query_scalar("SELECT CAST(pg_backend_pid() AS BIGINT)");
                let backend_pid = query.fetch_one(&mut *self).await?;
                Limit::Long(Some(Watch {
                    options,
                    backend_pid,
                    is_multi_statement: false,
                }))
            }
        };
        Ok(())
    }

    /// Begins a transaction. On SQLite it takes the write lock at once, because a reader fails to upgrade after another
    /// write.
    pub(crate) async fn begin(&mut self) -> sqlx::Result<()> {
        self.begin_with(match self.state.engine {
            Engine::Sqlite => "BEGIN IMMEDIATE",
            // Statements rely on this level, whatever the database's default is.
            Engine::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED",
        })
        .await
    }

    /// Begins a read-only transaction over a snapshot of the database.
    pub(crate) async fn begin_read_only(&mut self) -> sqlx::Result<()> {
        self.begin_with(match self.state.engine {
            Engine::Sqlite => "BEGIN",
            Engine::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        })
        .await
    }

    /// The database engine.
    pub fn engine(&self) -> Engine {
        self.state.engine
    }

    pub(super) async fn begin_with(&mut self, sql: &'static str) -> sqlx::Result<()> {
        raw_sql(sql).execute(&mut *self).await?;
        self.state.transaction = TransactionState::Open;
        self.state.changed_rows = 0;
        Ok(())
    }

    /// Commits the transaction and returns the number of changed rows.
    ///
    /// # Errors
    /// A statement had failed, and nothing is committed. Or the commit failed, and its outcome is unknown.
    pub(crate) async fn commit(&mut self) -> sqlx::Result<u64> {
        if self.state.transaction == TransactionState::Failed {
            // PostgreSQL would roll back and report success.
            self.rollback().await?;
            return Err(Error::Protocol(
                "a statement of the transaction failed".into(),
            ));
        }
        self.end("COMMIT").await?;
        if self.state.changed_rows > 0 {
            self.state.stale.record_accepted();
        }
        Ok(self.state.changed_rows)
    }

    /// Rolls the transaction back. After an error, the connection must not be used again.
    pub(crate) async fn rollback(&mut self) -> sqlx::Result<()> {
        self.end("ROLLBACK").await
    }

    async fn end(&mut self, sql: &'static str) -> sqlx::Result<()> {
        let ended = raw_sql(sql).execute(&mut *self).await;
        self.state.broken |= ended.is_err();
        ended?;
        self.state.transaction = TransactionState::None;
        Ok(())
    }

    pub(crate) fn is_in_transaction(&self) -> bool {
        self.state.is_in_transaction() && !self.state.is_broken()
    }

    /// Whether the connection has ended. If its first statement failed so, it can be retried on another connection.
    pub(crate) fn is_lost(&self) -> bool {
        self.state.broken
    }

    /// Closes a connection outside the pool, or returns one to the pool.
    pub(crate) async fn close(mut self) -> sqlx::Result<()> {
        match mem::replace(&mut self.handle, Handle::Closed) {
            Handle::Standalone(connection) => {
                let closed = timeout(CLOSE_TIMEOUT, connection.close()).await;
                closed.unwrap_or_else(|_| Err(timed_out()))
            }
            pooled => {
                // `drop` returns it to the pool.
                self.handle = pooled;
                Ok(())
            }
        }
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        if (self.state.is_broken() || self.state.is_in_transaction())
            && let Handle::Pooled(connection) = mem::replace(&mut self.handle, Handle::Closed)
        {
            // Closes the connection. The pool may open another.
            drop(Object::take(connection));
        }
    }
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Conn")
    }
}

//! A pool's connections: how they are opened, and which of them are lent again.
//!
//! The pool is not sqlx's, which asks the database before it lends a connection and again when it takes one back.
//! Without the token cache that took most of a guarded request's time. Here those ask on PostgreSQL that can't try
//! again on another connection.

use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{
    self, BuildError, Manager, Metrics, Object, PoolConfig, PoolError, QueueMode, RecycleError,
    RecycleResult,
};
use rocket::tokio::{self, time};
use sqlx::any::AnyConnectOptions;
use sqlx::{AnyConnection, AssertSqlSafe, ConnectOptions, Connection, Executor};

use super::Engine;
use super::conn::Stale;
use super::settings::Timeouts;

/// Opens connections of one kind, and looks at those that were lent before.
pub(super) struct Opener {
    pub(super) options: AnyConnectOptions,
    pub(super) engine: Engine,
    pub(super) timeouts: Timeouts,
    pub(super) session: Session,
    pub(super) stale: Arc<Stale>,
}

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Session {
    /// Requests.
    Usual,
    /// Writing what need not survive a power cut.
    Light,
    /// Work that may take long.
    Long,
}

/// Between two attempts to connect to a server that is full or starting.
const RETRY: Duration = Duration::from_millis(100);
/// How long a connection may take to be closed.
const PARTING: Duration = Duration::from_secs(1);
/// Between two looks for connections that were unused for too long.
const TIDYING: Duration = Duration::from_secs(10);
impl Opener {
    /// Opens a connection and sets it up.
    pub(super) async fn open(&self) -> sqlx::Result<AnyConnection> {
        let mut connection = self.options.connect().await?;
        connection.execute(AssertSqlSafe(self.set_up())).await?;
        Ok(connection)
    }

    fn set_up(&self) -> String {
        let timeouts = &self.timeouts;
        match self.engine {
            Engine::Sqlite => {
                // In WAL mode the default, NORMAL, may lose the last commits in a power cut: a revoked token
                // would be back.
                let synchronous = match self.session {
                    Session::Light => "NORMAL",
                    Session::Usual | Session::Long => "FULL",
                };
                let lock = timeouts.lock.as_millis();
                format!("PRAGMA busy_timeout = {lock}; PRAGMA synchronous = {synchronous}")
            }
            Engine::Postgres => {
                let statement = match self.session {
                    Session::Long => Duration::ZERO,
                    Session::Usual | Session::Light => timeouts.statement,
                };
                // Here and not among the parameters that a connection starts with: PgBouncer refuses those.
                // A statement outside a transaction takes the default isolation, which may be another.
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
        if self.stale.is(metrics.age()) {
            return Err(RecycleError::message("it began before the server changed"));
        }
        Ok(())
    }
}

/// Connections of one kind. Cloning is cheap.
#[derive(Clone)]
pub(super) struct Connections(managed::Pool<Opener>);

impl Connections {
    /// At most `max` connections, and at least `min` once the server runs. Those that were unused for `idle` are closed.
    pub(super) fn new(
        opener: Opener,
        min: u32,
        max: u32,
        idle: Option<Duration>,
    ) -> Result<Self, BuildError> {
        // The one that was used last has most of what is asked for in its memory.
        let mut config = PoolConfig::new(max as usize);
        config.queue_mode = QueueMode::Lifo;
        let pool = Self(managed::Pool::builder(opener).config(config).build()?);
        if min > 0 || idle.is_some() {
            pool.keep_tidy(min as usize, idle);
        }
        Ok(pool)
    }

    fn keep_tidy(&self, min: usize, idle: Option<Duration>) {
        let pool = self.0.weak();
        tokio::spawn(async move {
            let mut ticks = time::interval(TIDYING);
            loop {
                ticks.tick().await;
                let Some(pool) = pool.upgrade().filter(|pool| !pool.is_closed()) else {
                    return;
                };
                let pool = Self(pool);
                if let Some(idle) = idle {
                    let mut kept = 0;
                    let removed = pool.0.retain(|_, metrics| {
                        kept += 1;
                        kept <= min || metrics.last_used() < idle
                    });
                    close(removed.removed).await;
                }
                let mut opened = vec![];
                while pool.0.status().size < min
                    && let Ok(connection) = pool.get().await
                {
                    opened.push(connection);
                }
            }
        });
    }

    /// Lends a connection, which may have ended since it was last used.
    pub(super) async fn get(&self) -> sqlx::Result<Object<Opener>> {
        let lent = time::timeout(self.opener().timeouts.connect, self.lend()).await;
        lent.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// Lends a connection that has just answered. A file does not disconnect.
    pub(super) async fn get_alive(&self) -> sqlx::Result<Object<Opener>> {
        if self.opener().engine == Engine::Sqlite {
            return self.get().await;
        }
        let lending = async {
            loop {
                let mut connection = self.lend().await?;
                let is_new = Object::metrics(&connection).recycle_count == 0;
                if is_new || connection.ping().await.is_ok() {
                    return Ok(connection);
                }
                self.opener().stale.lost();
                drop(Object::take(connection));
            }
        };
        let lent = time::timeout(self.opener().timeouts.connect, lending).await;
        lent.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    async fn lend(&self) -> sqlx::Result<Object<Opener>> {
        loop {
            match self.0.get().await {
                Ok(connection) => return Ok(connection),
                Err(PoolError::Backend(error)) if is_passing(&error) => time::sleep(RETRY).await,
                Err(PoolError::Backend(error)) => return Err(error),
                Err(_) => return Err(sqlx::Error::PoolClosed),
            }
        }
    }

    pub(super) fn opener(&self) -> &Opener {
        self.0.manager()
    }

    /// How many there are, how many of them are not lent, and how many there may be.
    pub(super) fn load(&self) -> [usize; 3] {
        let status = self.0.status();
        [status.size, status.available, status.max_size]
    }

    /// Closes all, and waits for those that are lent.
    pub(super) async fn shut(&self) {
        loop {
            close(self.0.retain(|_, _| false).removed).await;
            if self.0.status().size == 0 {
                break;
            }
            time::sleep(Duration::from_millis(10)).await;
        }
        self.0.close();
    }
}

/// A server that no longer answers is told nothing.
async fn close(connections: Vec<AnyConnection>) {
    for connection in connections {
        let _ = time::timeout(PARTING, connection.close()).await;
    }
}

/// Whether it may work in a moment: the server takes no more connections, or is starting or being started.
fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        sqlx::Error::Database(error) => error.is_transient_in_connect_phase(),
        _ => false,
    }
}

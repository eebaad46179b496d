//! Connection pool for one kind of work.
//!
//! sqlx's own pool is not used. It pings the database before it lends a connection and again on return, which took most
//! of a guarded request's time without the token cache. This pool pings only on PostgreSQL, and only for callers that
//! cannot retry on another connection.

use std::time::Duration;

use deadpool::managed::{self, BuildError, Object, PoolConfig, PoolError, QueueMode};
use sqlx::{AnyConnection, Connection};
use tokio::{self, time};

use super::Engine;
use super::opener::Opener;

/// The pause between two attempts to connect to a server that is full or starting.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// The timeout for closing a connection.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How often idle connections are closed and missing ones opened.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(10);

/// The connections for one kind of work. Clones share them.
#[derive(Clone)]
pub(super) struct Connections(managed::Pool<Opener>);

impl Connections {
    /// At most `max` connections, and at least `min` once the server runs. A connection unused for `idle` is closed.
    pub(super) fn new(
        opener: Opener,
        min: u32,
        max: u32,
        idle: Option<Duration>,
    ) -> Result<Self, BuildError> {
        // The connection that was used last has the warmest caches.
        let mut config = PoolConfig::new(max as usize);
        config.queue_mode = QueueMode::Lifo;
        let pool = Self(managed::Pool::builder(opener).config(config).build()?);
        if min > 0 || idle.is_some() {
            pool.spawn_maintenance(min as usize, idle);
        }
        Ok(pool)
    }

    fn spawn_maintenance(&self, min: usize, idle: Option<Duration>) {
        let pool = self.0.weak();
        tokio::spawn(async move {
            let mut ticks = time::interval(MAINTENANCE_INTERVAL);
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
        let acquired = time::timeout(self.opener().timeouts.connect, self.acquire()).await;
        acquired.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    /// Lends a connection after a ping. SQLite needs none, because a file does not disconnect.
    pub(super) async fn get_alive(&self) -> sqlx::Result<Object<Opener>> {
        if self.opener().engine == Engine::Sqlite {
            return self.get().await;
        }
        let acquiring = async {
            loop {
                let mut connection = self.acquire().await?;
                let is_new = Object::metrics(&connection).recycle_count == 0;
                if is_new || connection.ping().await.is_ok() {
                    return Ok(connection);
                }
                self.opener().stale.record_lost();
                drop(Object::take(connection));
            }
        };
        let acquired = time::timeout(self.opener().timeouts.connect, acquiring).await;
        acquired.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    async fn acquire(&self) -> sqlx::Result<Object<Opener>> {
        loop {
            match self.0.get().await {
                Ok(connection) => return Ok(connection),
                Err(PoolError::Backend(error)) if is_transient(&error) => {
                    time::sleep(RETRY_INTERVAL).await;
                }
                Err(PoolError::Backend(error)) => return Err(error),
                Err(_) => return Err(sqlx::Error::PoolClosed),
            }
        }
    }

    pub(super) fn opener(&self) -> &Opener {
        self.0.manager()
    }

    /// The number of connections, of idle ones, and the maximum.
    pub(super) fn connection_counts(&self) -> [usize; 3] {
        let status = self.0.status();
        [status.size, status.available, status.max_size]
    }

    /// Closes all connections, and waits for lent ones.
    pub(super) async fn close_all(&self) {
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

/// The timeout is for a server that no longer responds.
async fn close(connections: Vec<AnyConnection>) {
    for connection in connections {
        let _ = time::timeout(CLOSE_TIMEOUT, connection.close()).await;
    }
}

/// Whether a retry may succeed: the server is full or starting.
fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        sqlx::Error::Database(error) => error.is_transient_in_connect_phase(),
        _ => false,
    }
}

//! The connection pools of a database: for requests, for writes that need not be durable, and for long work.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use figment::Figment;
use futures::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use self::state::FileId;
use super::connections::Connections;
use super::opener::{Opener, Workload};
use super::write_transaction::LastWrite;
use super::{Conn, Engine, Fault, Write};

mod open;
mod state;

/// The connections to a SQLite or PostgreSQL database. Clones share them.
#[derive(Clone)]
pub struct Pool {
    connections: Connections,
    /// On SQLite: for writes that need not survive a power failure.
    non_durable: Option<Connections>,
    /// For exports, bulk actions and pruning.
    long: Connections,
    /// On SQLite: the file, and its id when it was opened.
    file: Option<(PathBuf, Option<FileId>)>,
    /// On SQLite: the queue of writers.
    writer: Arc<Semaphore>,
    last_write: Arc<LastWrite>,
}

impl Pool {
    /// The database engine.
    pub fn engine(&self) -> Engine {
        self.opener().engine
    }

    /// A connection for reading.
    ///
    /// # Errors
    /// No connection is available within `connect_timeout`.
    pub async fn read(&self) -> sqlx::Result<Conn> {
        acquire(&self.connections).await
    }

    /// A connection for one reading statement that can be retried, because the connection may have ended since its last
    /// use ([`Conn::is_lost`]). This saves a round trip to PostgreSQL.
    pub(crate) async fn read_without_ping(&self) -> sqlx::Result<Conn> {
        Ok(Conn::pooled(self.connections.get().await?, self.opener()))
    }

    pub(crate) async fn read_long(&self) -> sqlx::Result<Conn> {
        acquire(&self.long).await
    }

    /// A new connection outside the pool.
    pub(crate) async fn connect(&self) -> sqlx::Result<Conn> {
        connect(self.opener()).await
    }

    /// A new connection outside the pool, for long work.
    pub(crate) async fn connect_long(&self) -> sqlx::Result<Conn> {
        connect(self.long.opener()).await
    }

    /// Begins a transaction for writing.
    ///
    /// # Errors
    /// No connection or writer permit is available within `connect_timeout`, or no lock within `lock_timeout`.
    pub async fn write(&self) -> sqlx::Result<Write> {
        self.write_on(&self.connections).await
    }

    /// Begins a transaction that need not survive a power failure, so SQLite does not wait for the disk.
    pub(crate) async fn write_non_durable(&self) -> sqlx::Result<Write> {
        let pool = self.non_durable.as_ref().unwrap_or(&self.connections);
        self.write_on(pool).await
    }

    /// Begins a transaction whose statements may take long.
    pub(crate) async fn write_long(&self) -> sqlx::Result<Write> {
        self.write_on(&self.long).await
    }

    /// Begins a serializable transaction. On PostgreSQL its commit may fail.
    pub(crate) async fn write_serializable(&self) -> sqlx::Result<Write> {
        if self.engine() == Engine::Sqlite {
            return self.write().await;
        }
        let mut conn = self.read().await?;
        conn.begin_with("BEGIN ISOLATION LEVEL SERIALIZABLE")
            .await?;
        Ok(Write::new(conn, None, Arc::clone(&self.last_write)))
    }

    async fn write_on(&self, pool: &Connections) -> sqlx::Result<Write> {
        let permit = self.writer_permit().await?;
        let mut conn = acquire(pool).await?;
        conn.begin().await?;
        Ok(Write::new(conn, permit, Arc::clone(&self.last_write)))
    }

    /// On SQLite: waits for the writer permit.
    async fn writer_permit(&self) -> sqlx::Result<Option<OwnedSemaphorePermit>> {
        let opener = self.opener();
        if opener.engine != Engine::Sqlite {
            return Ok(None);
        }
        let waiting = Arc::clone(&self.writer).acquire_owned();
        let permit = timeout(opener.timeouts.connect, waiting).await;
        let permit = permit.map_err(|_| sqlx::Error::PoolTimedOut)?;
        permit.map(Some).map_err(|_| sqlx::Error::PoolClosed)
    }

    pub(crate) fn has_written_within(&self, time: Duration) -> bool {
        self.last_write.is_within(time)
    }

    /// Closes every connection. Waits up to `connect_timeout` for those in use.
    pub async fn close_all(&self) {
        let closed = join_all(self.pools().map(Connections::close_all));
        let _ = timeout(self.opener().timeouts.connect, closed).await;
    }

    fn pools(&self) -> impl Iterator<Item = &Connections> {
        let both = [&self.connections, &self.long];
        both.into_iter().chain(&self.non_durable)
    }

    fn opener(&self) -> &Opener {
        self.connections.opener()
    }
}

async fn acquire(pool: &Connections) -> sqlx::Result<Conn> {
    let conn = Conn::pooled(pool.get_alive().await?, pool.opener());
    with_watch(conn, pool.opener()).await
}

async fn connect(opener: &Opener) -> sqlx::Result<Conn> {
    let connected = timeout(opener.timeouts.connect, opener.open()).await;
    let connection = connected.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
    with_watch(Conn::standalone(connection, opener), opener).await
}

async fn with_watch(mut conn: Conn, opener: &Opener) -> sqlx::Result<Conn> {
    if opener.workload == Workload::Long {
        conn.watch(opener.options.clone()).await?;
    }
    Ok(conn)
}

#[rocket::async_trait]
impl rocket_db_pools::Pool for Pool {
    type Connection = Conn;
    type Error = Fault;

    async fn init(figment: &Figment) -> Result<Self, Fault> {
        Self::from_settings(figment, Workload::Requests).await
    }

    async fn get(&self) -> Result<Self::Connection, Fault> {
        Ok(self.read().await?)
    }

    /// Does nothing. rocket_db_pools calls it while requests in flight still need the database. [`Pool::close_all`]
    /// closes the connections later.
    async fn close(&self) {}
}

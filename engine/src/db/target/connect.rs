//! Single connections to the database, for migrations and diagnostics.

use std::path::Path;
use std::time::Duration;

use sqlx::{AnyConnection, AssertSqlSafe, ConnectOptions, Connection};
use tokio::time::timeout;

use super::Target;
use crate::db::cause::response_timeout;
use crate::db::{Engine, Fault};

/// The maximum timeout for connecting. `connect_timeout` may be longer, because it is meant for the pool.
const MAX_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The timeout for locking the database for a migration.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
/// The timeout for a response. It is longer than the server's own lock timeout, so the server is frozen.
pub(super) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(6);
/// The timeout for closing a connection.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

impl Target {
    pub(super) fn refuse_folder(&self) -> Result<(), Fault> {
        if !self.file().is_some_and(Path::is_dir) {
            return Ok(());
        }
        let place = self.place();
        let what = format!("the database URL names the folder {place}; name a file in it");
        Err(Fault::Settings(what))
    }

    /// Connects once and checks the encoding. Unlike the pool, it reports the cause of a failure.
    pub(super) async fn connect(
        &self,
        mode: &str,
        limit: Duration,
    ) -> Result<AnyConnection, Fault> {
        self.refuse_folder()?;
        let options = self.options(mode)?;
        let fault = |source| Fault::Connect {
            place: self.place(),
            source,
        };
        // SQLite has its own busy timeout, with a better message.
        let limit = match self.engine() {
            Engine::Sqlite => RESPONSE_TIMEOUT,
            Engine::Postgres => limit.min(MAX_CONNECT_TIMEOUT),
        };
        let connecting = async {
            let mut connection = options.connect().await.map_err(fault)?;
            self.prepare(&mut connection).await?;
            Ok(connection)
        };
        let connected = timeout(limit, connecting).await;
        connected.unwrap_or_else(|_| Err(fault(response_timeout(limit.as_secs()))))
    }

    /// Refuses encodings other than UTF-8, and sets the lock timeout.
    async fn prepare(&self, connection: &mut AnyConnection) -> Result<(), Fault> {
        // SQLite compares texts as stored. In UTF-16, texts with a common prefix would not sort together.
        let (sql, remedy) = match self.engine() {
            Engine::Sqlite => ("PRAGMA encoding", "PRAGMA encoding = 'UTF-8'"),
            Engine::Postgres => (
                "SELECT current_setting('server_encoding')",
                "CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8'",
            ),
        };
        let encoding: String = sqlx::query_scalar(sql)
            .persistent(false)
            .fetch_one(&mut *connection)
            .await
            .map_err(|source| self.failed(source))?;
        if !["UTF8", "UTF-8"].contains(&encoding.as_str()) {
            return Err(Fault::Encoding {
                place: self.place(),
                encoding,
                remedy,
            });
        }
        if self.engine() == Engine::Postgres {
            // The settings of a role or database could otherwise end a migration early.
            let limits = format!(
                "SET lock_timeout = {}; SET statement_timeout = 0",
                LOCK_TIMEOUT.as_millis()
            );
            sqlx::raw_sql(AssertSqlSafe(limits))
                .execute(&mut *connection)
                .await
                .map_err(|source| self.failed(source))?;
        }
        Ok(())
    }

    /// Connects once, without creating the database.
    pub(in crate::db) async fn check_connection(&self, limit: Duration) -> Result<(), Fault> {
        if self.file().is_some_and(|file| !file.exists()) {
            return Err(Fault::Missing(self.place()));
        }
        close(self.connect("rw", limit).await?).await;
        Ok(())
    }

    /// Explains why a query failed. If the pool timed out, it connects again to find the cause.
    pub(in crate::db) async fn explain(&self, source: sqlx::Error, limit: Duration) -> Fault {
        if matches!(source, sqlx::Error::PoolTimedOut)
            && let Err(fault) = self.check_connection(limit).await
        {
            return fault;
        }
        self.failed(source)
    }

    pub(super) fn unresponsive(&self) -> Fault {
        Fault::Unresponsive {
            place: self.place(),
        }
    }

    /// The id of the server process behind a connection.
    pub(super) async fn backend_pid(&self, connection: &mut AnyConnection) -> Result<i64, Fault> {
        // Not a named prepared statement: behind a pooler, another session may use the same name.
        let query = sqlx::query_scalar("SELECT CAST(pg_backend_pid() AS BIGINT)").persistent(false);
        let backend_pid = timeout(RESPONSE_TIMEOUT, query.fetch_one(connection)).await;
        let backend_pid = backend_pid.map_err(|_| self.unresponsive())?;
        backend_pid.map_err(|source| self.failed(source))
    }

    /// Refuses a pooler that shares sessions between connections, because locks and timeouts belong to a session. Such
    /// a pooler gives a second connection the server process of the first.
    pub(super) async fn refuse_shared_sessions(
        &self,
        backend_pid: i64,
        limit: Duration,
    ) -> Result<(), Fault> {
        // The role or the server may allow only one connection.
        let Ok(mut second) = self.connect("rw", limit).await else {
            return Ok(());
        };
        let second_pid = self.backend_pid(&mut second).await;
        close(second).await;
        match second_pid {
            Ok(second_pid) if second_pid == backend_pid => Err(Fault::Pooler {
                place: self.place(),
            }),
            _ => Ok(()),
        }
    }
}

pub(super) async fn close(connection: AnyConnection) {
    let _ = timeout(CLOSE_TIMEOUT, connection.close()).await;
}

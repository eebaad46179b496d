//! Time limits of statements, enforced by this process.

use std::io;
use std::pin::pin;
use std::time::Duration;

use sqlx::any::AnyConnectOptions;
use sqlx::error::DatabaseError;
use sqlx::{AnyConnection, Connection, Error};
use tokio::time::timeout;

/// SQLSTATE `too_many_connections`.
const TOO_MANY_CONNECTIONS: &str = "53300";
/// The interval between two checks of a long statement, and the timeout of each check.
const CHECK_INTERVAL: Duration = Duration::from_secs(4);

/// The time limit of a statement.
#[derive(Clone)]
pub(super) enum Limit {
    /// A fixed time.
    Short(Duration),
    /// As long as the server works on the statement. On PostgreSQL, a watch finds out. On SQLite there is none, and no
    /// limit.
    Long(Option<Watch>),
}

impl Limit {
    /// Waits for the result of `work` within the limit.
    pub(super) async fn wait_for<T>(&self, work: impl Future<Output = T>) -> sqlx::Result<T> {
        match self {
            Self::Short(limit) => timeout(*limit, work).await.map_err(|_| timed_out()),
            Self::Long(None) => Ok(work.await),
            Self::Long(Some(watch)) => watch.wait_for(work).await,
        }
    }
}

/// Checks over a second connection whether a PostgreSQL server still works on a statement.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) options: AnyConnectOptions,
    /// The server process of the first connection.
    pub(super) backend_pid: i64,
    /// Whether the work has several statements, so that the process may be idle in between.
    pub(super) is_multi_statement: bool,
}

impl Watch {
    /// Waits for the result of `work` as long as the server is busy with it.
    ///
    /// # Errors
    /// The server has stopped responding.
    pub(super) async fn wait_for<T>(&self, work: impl Future<Output = T>) -> sqlx::Result<T> {
        let mut work = pin!(work);
        loop {
            if let Ok(done) = timeout(CHECK_INTERVAL, &mut work).await {
                return Ok(done);
            }
            if !self.is_running().await {
                // The work may have ended just now.
                let last = timeout(Duration::from_secs(1), &mut work).await;
                return last.map_err(|_| timed_out());
            }
        }
    }

    /// Whether the server still works on the statement. A server that is full counts as working.
    async fn is_running(&self) -> bool {
        let check = async {
            let mut second = AnyConnection::connect_with(&self.options).await?;
            let running: i64 = sqlx::query_scalar(
                "SELECT COUNT(*) FROM pg_stat_activity
                 WHERE pid = $1 AND ($2 = 1 OR state IN ('active', 'fastpath function call'))",
            )
            .bind(self.backend_pid)
            .bind(i64::from(self.is_multi_statement))
            .fetch_one(&mut second)
            .await?;
            second.close().await?;
            sqlx::Result::Ok(running > 0)
        };
        match timeout(CHECK_INTERVAL, check).await {
            Ok(Ok(is_running)) => is_running,
            Ok(Err(error)) => {
                let code = Error::as_database_error(&error).and_then(DatabaseError::code);
                code.is_some_and(|code| code == TOO_MANY_CONNECTIONS)
            }
            Err(_) => false,
        }
    }
}

pub(super) fn timed_out() -> Error {
    Error::Io(io::Error::new(
        io::ErrorKind::TimedOut,
        "the database did not respond in time",
    ))
}

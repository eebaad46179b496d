//! Migration lock: one process at a time migrates a database.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use sqlx::AnyConnection;
use sqlx::error::DatabaseError;
use sqlx::migrate::{Migrate, MigrateError};
use tokio::time::{Instant, sleep, timeout};

use super::Target;
use super::connect::{LOCK_TIMEOUT, RESPONSE_TIMEOUT};
use super::file::{create_private_folder, open_private, require_database};
use crate::db::Fault;

/// A wait for the lock that is longer than this is logged.
const LOG_AFTER: Duration = Duration::from_millis(500);
/// The pause between two attempts to lock the file.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

impl Target {
    /// Takes PostgreSQL's advisory lock for migrations, the same as sqlx's command-line tool.
    pub(super) async fn lock(&self, connection: &mut AnyConnection) -> Result<(), Fault> {
        // The server's lock timeout is shorter, but a frozen server does not apply it.
        let locked = timeout(RESPONSE_TIMEOUT, self.log_long_wait(connection.lock())).await;
        let locked = locked.map_err(|_| self.unresponsive())?;
        let is_held = |error: &sqlx::Error| {
            let code = error.as_database_error().and_then(DatabaseError::code);
            code.is_some_and(|code| code == "55P03")
        };
        locked.map_err(|source| match source {
            MigrateError::Execute(error) if is_held(&error) => self.migration_in_progress(),
            MigrateError::Execute(error) => self.failed(error),
            source => Fault::Migrate {
                place: self.place(),
                source,
            },
        })
    }

    /// Waits for a lock and logs a longer wait.
    async fn log_long_wait<T>(&self, locking: impl Future<Output = T>) -> T {
        let mut locking = pin!(locking);
        if let Ok(locked) = timeout(LOG_AFTER, &mut locking).await {
            return locked;
        }
        let place = self.place();
        tracing::warn!("waiting for another process that is migrating {place}");
        locking.await
    }

    fn migration_in_progress(&self) -> Fault {
        Fault::Migrating {
            place: self.place(),
            seconds: LOCK_TIMEOUT.as_secs(),
        }
    }

    /// Creates the database's folder and locks a file beside the database. Dropping the file unlocks it.
    pub(super) async fn lock_file(&self, database: &Path) -> Result<File, Fault> {
        let fault = |path: &Path| {
            let path = path.to_owned();
            move |source| Fault::File { path, source }
        };
        require_database(database).map_err(fault(database))?;
        if let Some(folder) = database.parent() {
            create_private_folder(folder).map_err(fault(folder))?;
        }
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let file = open_private(&path).map_err(fault(&path))?;
        match self
            .log_long_wait(lock_with_timeout(&file, LOCK_TIMEOUT))
            .await
        {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(fault(&path)(error)),
            Err(TryLockError::WouldBlock) => return Err(self.migration_in_progress()),
        }
        // SQLite would create it readable by every user of the machine. Its other files copy these permissions.
        open_private(database).map_err(fault(database))?;
        Ok(file)
    }
}

async fn lock_with_timeout(file: &File, time: Duration) -> Result<(), TryLockError> {
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if start.elapsed() <= time => sleep(RETRY_INTERVAL).await,
            locked => return locked,
        }
    }
}

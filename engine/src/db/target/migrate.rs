//! Creation and migration of a database.

use std::time::Duration;

use sqlx::AnyConnection;
use sqlx::migrate::{Migrate, MigrateError};
use tokio::time::timeout;

use super::Target;
use super::applied::is_schema_current;
use super::collation::set_byte_collation;
use super::connect::{CLOSE_TIMEOUT, RESPONSE_TIMEOUT, close};
use crate::db::migrator::MIGRATOR;
use crate::db::statement_limit::Watch;
use crate::db::{Engine, Fault};

impl Target {
    /// Creates (SQLite) and migrates the database. Returns the server's connection limit, if known.
    pub(in crate::db) async fn create_and_migrate(
        &self,
        limit: Duration,
    ) -> Result<Option<u32>, Fault> {
        self.refuse_folder()?;
        // sqlx takes no migration lock on SQLite, and switching a new file to WAL fails while others open it.
        let lock = match self {
            Self::Sqlite(path) => Some(self.lock_file(path).await?),
            Self::Postgres(_) => None,
        };
        let mut connection = self.connect("rwc", limit).await?;
        let mut server_limit = None;
        match self.engine() {
            Engine::Sqlite => {
                sqlx::query("PRAGMA journal_mode = WAL")
                    .execute(&mut connection)
                    .await
                    .map_err(|source| self.failed(source))?;
                self.migrate(&mut connection).await?;
            }
            Engine::Postgres => {
                let backend_pid = self.backend_pid(&mut connection).await?;
                self.refuse_shared_sessions(backend_pid, limit).await?;
                let current = timeout(RESPONSE_TIMEOUT, is_schema_current(&mut connection)).await;
                // On an error, the migration decides.
                if !current.map_err(|_| self.unresponsive())?.unwrap_or(false) {
                    self.lock(&mut connection).await?;
                    let watch = Watch {
                        options: self.options("rw")?,
                        backend_pid,
                        is_multi_statement: true,
                    };
                    let migrated = watch.wait_for(self.migrate(&mut connection)).await;
                    migrated.map_err(|_| self.unresponsive())??;
                    // Closing the connection would unlock too, but a pooler might keep it open.
                    let _ = timeout(CLOSE_TIMEOUT, connection.unlock()).await;
                }
                let counted = timeout(RESPONSE_TIMEOUT, allowed_connections(&mut connection)).await;
                server_limit = counted.map_err(|_| self.unresponsive())?;
            }
        }
        close(connection).await;
        drop(lock);
        Ok(server_limit)
    }

    async fn migrate(&self, connection: &mut AnyConnection) -> Result<(), Fault> {
        let migrated = MIGRATOR.run_direct(None, connection, false).await;
        migrated.map_err(|source| match source {
            MigrateError::VersionMissing(version) => Fault::Newer {
                place: self.place(),
                version,
            },
            source => Fault::Migrate {
                place: self.place(),
                source,
            },
        })?;
        if self.engine() == Engine::Postgres {
            let sorted = set_byte_collation(connection).await;
            sorted.map_err(|source| self.failed(source))?;
        }
        Ok(())
    }
}

/// The lowest of the role's, the database's and the server's connection limits. None if unknown.
async fn allowed_connections(connection: &mut AnyConnection) -> Option<u32> {
    let limit: Option<i64> = sqlx::query_scalar(
        "SELECT CAST(LEAST(
             CASE WHEN NOT rolsuper AND rolconnlimit >= 0 THEN rolconnlimit END,
             CASE WHEN NOT rolsuper AND datconnlimit >= 0 THEN datconnlimit END,
             CAST(current_setting('max_connections') AS INT)
                 - CAST(current_setting('superuser_reserved_connections') AS INT)) AS BIGINT)
         FROM pg_roles, pg_database
         WHERE rolname = session_user AND datname = current_database()",
    )
    .fetch_optional(connection)
    .await
    .ok()
    .flatten();
    limit.and_then(|limit| u32::try_from(limit).ok())
}

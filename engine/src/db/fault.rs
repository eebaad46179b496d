//! Errors of opening a database.

use std::path::PathBuf;

use sqlx::migrate::MigrateError;

use super::cause::Cause;
use crate::application::application;
use crate::config::database_key;

/// The database can't be used. The text gives the cause and a remedy, and contains no password.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The settings under `databases.<name>` are invalid.
    #[error("{key}: {0}", key = database_key())]
    Settings(String),
    /// A folder or file can't be created or opened.
    #[error(
        "cannot use {path}: {source}; give this process write permission, or name another path in DATABASE_URL"
    )]
    File {
        /// The folder or file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The database does not exist, and this command does not create it.
    #[error("there is no database at {0}; create it with `{name} migrate`", name = application().name)]
    Missing(String),
    /// The connection failed.
    #[error("cannot connect to {place}: {}", Cause::for_connect(.source))]
    Connect {
        /// The database, without the password.
        place: String,
        /// The cause.
        source: sqlx::Error,
    },
    /// A newer version of the application has migrated this database.
    #[error(
        "{place} was migrated by a newer version (it has the unknown migration {version}); run the newer \
         version or restore a backup. If you deleted that migration, drop what it created and delete its row in \
         _sqlx_migrations"
    )]
    Newer {
        /// The database.
        place: String,
        /// The first unknown migration.
        version: i64,
    },
    /// A migration failed.
    #[error("cannot migrate {place}: {}", Cause::for_migration(.source))]
    Migrate {
        /// The database.
        place: String,
        /// The cause.
        source: MigrateError,
    },
    /// Another process is migrating the database or holds the migration lock.
    #[error(
        "{place}: another process has been migrating this database for more than {seconds} s; try again later, or \
         stop that process if it hangs"
    )]
    Migrating {
        /// The database.
        place: String,
        /// How long this process waited.
        seconds: u64,
    },
    /// A pooler shares sessions between connections.
    #[error(
        "{place}: the connection uses a pooler such as PgBouncer that shares sessions between clients; set \
         pool_mode = session there (docs/deploying.md)"
    )]
    Pooler {
        /// The database.
        place: String,
    },
    /// The server stopped responding during a migration.
    #[error(
        "cannot migrate {place}: the server stopped responding; check the server and try again"
    )]
    Unresponsive {
        /// The database.
        place: String,
    },
    /// The database's encoding is not UTF-8, so it can't store or sort every text as expected.
    #[error(
        "{place} has the encoding {encoding}, but UTF-8 is required; create a database with {remedy}, move the data, \
         and name the new database in DATABASE_URL"
    )]
    Encoding {
        /// The database.
        place: String,
        /// The database's encoding.
        encoding: String,
        /// The SQL that creates a database with the right encoding.
        remedy: &'static str,
    },
    /// The database returned an error.
    #[error("{place}: {}", Cause::from_error(.source))]
    Failed {
        /// The database.
        place: String,
        /// The cause.
        source: sqlx::Error,
    },
    /// A query failed.
    #[error("database: {}", Cause::from_error(.0))]
    Query(#[from] sqlx::Error),
}

impl Fault {
    pub(super) fn unreadable_url() -> Self {
        Self::Settings("the database URL or a PG… environment variable is invalid".into())
    }
}

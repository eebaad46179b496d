//! Why the database can't be used.

use std::path::PathBuf;

use sqlx::migrate::MigrateError;

use super::cause::Cause;

/// The database can't be used; the text says why and how to mend it, and holds no password.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The settings under `databases.multitoken` are unfit.
    #[error("databases.multitoken: {0}")]
    Settings(String),
    /// A folder or file can't be made or opened.
    #[error(
        "cannot use {path}: {source}; give the process the right to write there, or name another place in DATABASE_URL"
    )]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no such file, and it was not to be made.
    #[error("there is no database at {0}; `multitoken migrate` makes it")]
    Missing(String),
    /// No connection could be made.
    #[error("cannot connect to {place}: {}", Cause::of_connecting(.source))]
    Connect {
        /// Where to, without the password.
        place: String,
        /// Why.
        source: sqlx::Error,
    },
    /// A newer version of the application has migrated this database.
    #[error(
        "{place} was migrated by a newer version (it has migration {version}, which this one does not know); run that version, restore a backup, or, where you have deleted that migration, start with a new database"
    )]
    Newer {
        /// Which database.
        place: String,
        /// The first unknown migration.
        version: i64,
    },
    /// A migration failed.
    #[error("cannot migrate {place}: {}", Cause::of_migrating(.source))]
    Migrate {
        /// Which database.
        place: String,
        /// Why.
        source: MigrateError,
    },
    /// Another process migrates the database, or holds the lock for it.
    #[error(
        "{place}: another process is migrating it and has not finished within {seconds} s; try again when it has, or \
         end it if it hangs"
    )]
    Migrating {
        /// Which database.
        place: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A pooler shares sessions between connections.
    #[error(
        "{place}: a pooler such as PgBouncer is in between and shares sessions between connections; set pool_mode = \
         session there (docs/deploying.md)"
    )]
    Pooler {
        /// Which database.
        place: String,
    },
    /// The server stopped answering during a migration.
    #[error("cannot migrate {place}: it has stopped answering")]
    Silent {
        /// Which database.
        place: String,
    },
    /// The database can't hold every text, or sorts texts in an order that searches do not expect.
    #[error(
        "{place} is encoded in {encoding}, and only UTF-8 stores and sorts every name; create another with {remedy}, \
         move the data and name it in DATABASE_URL"
    )]
    Encoding {
        /// Which database.
        place: String,
        /// What it has.
        encoding: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The database answered with an error.
    #[error("{place}: {}", Cause::of(.source))]
    Failed {
        /// Which database.
        place: String,
        /// Why.
        source: sqlx::Error,
    },
    /// The database answered with an error.
    #[error("database: {}", Cause::of(.0))]
    Query(#[from] sqlx::Error),
}

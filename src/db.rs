//! The database: one pool over SQLite or PostgreSQL, its migrations, its transactions.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use rocket::figment::Figment;
use rocket_db_pools::Database;
use serde::Deserialize;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::error::DatabaseError;
use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, ConnectOptions, Connection, Transaction};
use url::{Position, Url};

use crate::config::one_line;

static MIGRATOR: Migrator = sqlx::migrate!();

/// The application's database, as Rocket manages it. Add `db: &Db` (through `&State<Db>`) or a
/// [`rocket_db_pools::Connection<Db>`] to a handler to use it.
#[derive(Database)]
#[database("multitoken")]
pub struct Db(Pool);

/// A pool of connections to SQLite or PostgreSQL, whichever the URL names.
#[derive(Clone)]
pub struct Pool {
    connections: AnyPool,
    engine: Engine,
}

/// The engines that the one set of SQL runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file beside the application.
    Sqlite,
    /// PostgreSQL, or what speaks its protocol.
    Postgres,
}

impl Engine {
    /// Rows that a transaction of the upkeep changes at most.
    ///
    /// PostgreSQL locks them one by one, and whoever ends a user's tokens locks them in another
    /// order: with several rows the two might wait for each other. SQLite has one lock for all, and
    /// a commit there costs more than a row; this many take a few milliseconds.
    pub fn rows_at_once(self) -> usize {
        match self {
            Self::Sqlite => 200,
            Self::Postgres => 1,
        }
    }
}

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
    /// No connection could be made.
    #[error("cannot connect to {place}: {source}; is it running, and is DATABASE_URL right?")]
    Connect {
        /// Where to, without the password.
        place: String,
        /// Why.
        source: sqlx::Error,
    },
    /// A newer version of the application has migrated this database.
    #[error(
        "{place} was migrated by a newer version (it has migration {version}, which this one does not know); run that version, or restore a backup"
    )]
    Newer {
        /// Which database.
        place: String,
        /// The first unknown migration.
        version: i64,
    },
    /// A migration failed.
    #[error("cannot migrate {place}: {source}")]
    Migrate {
        /// Which database.
        place: String,
        /// Why.
        source: MigrateError,
    },
    /// The database answered with an error.
    #[error("database: {0}")]
    Query(#[from] sqlx::Error),
}

/// What `databases.multitoken` takes. In the server, rocket_db_pools fills in four connections a
/// worker.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PoolSettings {
    url: String,
    #[serde(default)]
    min_connections: u32,
    #[serde(default = "default_connections")]
    max_connections: u32,
    /// Seconds to wait for a connection.
    #[serde(default = "default_timeout")]
    connect_timeout: u64,
    /// Seconds after which an idle connection is closed.
    idle_timeout: Option<u64>,
}

fn default_connections() -> u32 {
    SQLITE_CONNECTIONS
}

fn default_timeout() -> u64 {
    5
}

/// Seconds that a time-out may be set to; far longer ones overflow the clock.
const LONGEST_TIMEOUT: u64 = 24 * 60 * 60;

/// More connections than this only queue for SQLite's one writer.
const SQLITE_CONNECTIONS: u32 = 8;

impl Pool {
    /// Opens the database that `figment` names, creating (SQLite) and migrating it.
    ///
    /// Any number of processes may do so at once.
    ///
    /// # Errors
    /// A [`Fault`] that names the place and the cause.
    pub async fn open(figment: &Figment) -> Result<Self, Fault> {
        Self::from_settings(&figment.focus("databases.multitoken")).await
    }

    async fn from_settings(figment: &Figment) -> Result<Self, Fault> {
        let settings: PoolSettings = figment
            .extract()
            .map_err(|error| Fault::Settings(one_line(&error)))?;
        if settings.connect_timeout > LONGEST_TIMEOUT
            || settings.idle_timeout.unwrap_or(0) > LONGEST_TIMEOUT
        {
            return Err(Fault::Settings(format!(
                "connect_timeout and idle_timeout take up to {LONGEST_TIMEOUT} seconds"
            )));
        }
        let target = Target::parse(&settings.url)?;
        target.create_and_migrate().await?;

        let engine = target.engine();
        let most = match engine {
            Engine::Sqlite => settings.max_connections.min(SQLITE_CONNECTIONS),
            Engine::Postgres => settings.max_connections,
        };
        let connections = AnyPoolOptions::new()
            .min_connections(settings.min_connections)
            .max_connections(most)
            .acquire_timeout(Duration::from_secs(settings.connect_timeout))
            .idle_timeout(settings.idle_timeout.map(Duration::from_secs))
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if engine == Engine::Sqlite {
                        // In WAL mode the default, NORMAL, may lose the last commits in a power
                        // cut: a revoked token would be back.
                        sqlx::query("PRAGMA synchronous = FULL")
                            .execute(connection)
                            .await?;
                    }
                    Ok(())
                })
            })
            .connect_lazy_with(target.options("rw")?);
        Ok(Self {
            connections,
            engine,
        })
    }

    /// Which engine it is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// A connection for reading.
    ///
    /// # Errors
    /// There is none to be had within `connect_timeout`.
    pub async fn read(&self) -> sqlx::Result<PoolConnection<Any>> {
        self.connections.acquire().await
    }

    /// A transaction for writing. On SQLite it takes the write lock at once: one that starts as a
    /// reader fails when another writer came between.
    ///
    /// # Errors
    /// There is no connection to be had, or the lock is not free within the busy time-out.
    pub async fn write(&self) -> sqlx::Result<Transaction<'static, Any>> {
        match self.engine {
            Engine::Sqlite => self.connections.begin_with("BEGIN IMMEDIATE").await,
            Engine::Postgres => self.connections.begin().await,
        }
    }

    /// A transaction that behaves as if no other ran beside it. One that can't be fitted in fails
    /// at its end on PostgreSQL.
    ///
    /// # Errors
    /// As [`Pool::write`].
    pub async fn write_alone(&self) -> sqlx::Result<Transaction<'static, Any>> {
        match self.engine {
            Engine::Sqlite => self.write().await,
            Engine::Postgres => {
                self.connections
                    .begin_with("BEGIN ISOLATION LEVEL SERIALIZABLE")
                    .await
            }
        }
    }

    /// Whether the database answers and has exactly the schema that this version works with.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn is_in_order(&self) -> sqlx::Result<bool> {
        let mut connection = self.read().await?;
        let applied: Vec<(i64,)> =
            sqlx::query_as("SELECT version FROM _sqlx_migrations ORDER BY version")
                .fetch_all(&mut *connection)
                .await?;
        Ok(applied
            .iter()
            .map(|(version,)| *version)
            .eq(MIGRATOR.iter().map(|m| m.version)))
    }

    /// Closes every connection, waiting for those in use.
    pub async fn shut(&self) {
        self.connections.close().await;
    }
}

#[rocket::async_trait]
impl rocket_db_pools::Pool for Pool {
    type Connection = PoolConnection<Any>;
    type Error = Fault;

    async fn init(figment: &Figment) -> Result<Self, Fault> {
        Self::from_settings(figment).await
    }

    async fn get(&self) -> Result<Self::Connection, Fault> {
        Ok(self.read().await?)
    }

    /// Does nothing: it is called before Rocket has answered the requests under way, and they need
    /// the database still. [`Pool::shut`] is called when they are done.
    async fn close(&self) {}
}

/// Applied and pending migrations.
pub struct MigrationState {
    /// The number that orders it.
    pub version: i64,
    /// What its file's name says of it.
    pub description: String,
    /// Whether the database has it.
    pub applied: bool,
}

/// The state of every migration, without changing or creating anything.
///
/// # Errors
/// The database exists and can't be read.
pub async fn migrations(figment: &Figment) -> Result<Vec<MigrationState>, Fault> {
    let url: String = figment
        .extract_inner("databases.multitoken.url")
        .map_err(|error| Fault::Settings(one_line(&error)))?;
    let target = Target::parse(&url)?;
    let missing = matches!(&target, Target::Sqlite { path, .. } if !path.exists());
    let applied = if missing {
        vec![]
    } else {
        target.applied().await?
    };
    Ok(MIGRATOR
        .iter()
        .map(|migration| MigrationState {
            version: migration.version,
            description: migration.description.to_string(),
            applied: applied.contains(&migration.version),
        })
        .collect())
}

enum Target {
    Sqlite { path: PathBuf },
    Postgres { url: Url },
}

impl Target {
    fn parse(url: &str) -> Result<Self, Fault> {
        let unfit = |what: &str| {
            Fault::Settings(format!(
                "the database's URL {what}; write sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE"
            ))
        };
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path == ":memory:" {
                return Err(unfit("names no file, and the processes share nothing else"));
            }
            if path.contains('?') {
                return Err(unfit("has parameters, which are ours to set"));
            }
            return Ok(Self::Sqlite { path: path.into() });
        }
        let parsed = Url::parse(url).ok();
        let postgres = parsed
            .filter(|url| matches!(url.scheme(), "postgres" | "postgresql") && url.has_authority());
        match postgres {
            // A password with a `/` or the like in it ends up where the database's name should be.
            Some(url)
                if url[Position::BeforePath..].contains('@')
                    || url.path().contains(':')
                    || url.path().matches('/').count() > 1 =>
            {
                Err(unfit("has a password that must be percent-encoded"))
            }
            Some(url) => Ok(Self::Postgres { url }),
            None => Err(unfit("is of no known kind")),
        }
    }

    fn engine(&self) -> Engine {
        match self {
            Self::Sqlite { .. } => Engine::Sqlite,
            Self::Postgres { .. } => Engine::Postgres,
        }
    }

    /// Where it is, for messages: no password, no parameters.
    fn place(&self) -> String {
        match self {
            Self::Sqlite { path } => path.display().to_string(),
            Self::Postgres { url } => format!(
                "PostgreSQL at {}:{}{}",
                url.host_str().unwrap_or("localhost"),
                url.port().unwrap_or(5432),
                url.path()
            ),
        }
    }

    /// `mode` is SQLite's: `rwc` creates the file; `rw` does not, so that a file that was moved
    /// away is an error and not an empty database.
    fn options(&self, mode: &str) -> Result<AnyConnectOptions, Fault> {
        sqlx::any::install_default_drivers();
        let url = match self {
            Self::Sqlite { path } => {
                let path = path
                    .to_string_lossy()
                    .replace('%', "%25")
                    .replace('#', "%23");
                format!("sqlite://{path}?mode={mode}")
            }
            Self::Postgres { url } => url.to_string(),
        };
        let options = AnyConnectOptions::from_str(&url)
            .map_err(|_| Fault::Settings("the database's URL can't be read".into()))?;
        Ok(options.disable_statement_logging())
    }

    async fn connect(&self, mode: &str) -> Result<AnyConnection, Fault> {
        self.options(mode)?
            .connect()
            .await
            .map_err(|source| Fault::Connect {
                place: self.place(),
                source,
            })
    }

    async fn create_and_migrate(&self) -> Result<(), Fault> {
        // sqlx takes no lock for migrations on SQLite (on PostgreSQL it does), and switching a
        // fresh file to WAL fails beside others that open it: one process at a time.
        let lock = match self {
            Self::Sqlite { path } => Some(lock_beside(path)?),
            Self::Postgres { .. } => None,
        };
        let mut connection = self.connect("rwc").await?;
        if self.engine() == Engine::Sqlite {
            sqlx::query("PRAGMA journal_mode = WAL")
                .execute(&mut connection)
                .await?;
        }
        MIGRATOR
            .run_direct(None, &mut connection, false)
            .await
            .map_err(|source| match source {
                MigrateError::VersionMissing(version) => Fault::Newer {
                    place: self.place(),
                    version,
                },
                source => Fault::Migrate {
                    place: self.place(),
                    source,
                },
            })?;
        connection.close().await?;
        drop(lock);
        Ok(())
    }

    async fn applied(&self) -> Result<Vec<i64>, Fault> {
        let mut connection = self.connect("rw").await?;
        let table = "_sqlx_migrations";
        // Listing fails where the table is missing: nothing was applied then.
        let applied = connection
            .list_applied_migrations(table)
            .await
            .unwrap_or_default();
        connection.close().await?;
        Ok(applied.iter().map(|migration| migration.version).collect())
    }
}

/// Makes the database's folder and holds a lock on a file beside it until dropped.
fn lock_beside(database: &Path) -> Result<File, Fault> {
    let fault = |path: &Path| {
        let path = path.to_owned();
        move |source| Fault::File { path, source }
    };
    if let Some(folder) = database.parent() {
        fs::create_dir_all(folder).map_err(fault(folder))?;
    }
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let file = open_private(&path).map_err(fault(&path))?;
    file.lock().map_err(fault(&path))?;
    // SQLite would make it readable by everybody on the machine; what it puts beside it takes
    // after it.
    open_private(database).map_err(fault(database))?;
    Ok(file)
}

/// Opens a file, making it one that only this process's user may read and write.
fn open_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Whether a transaction was undone because it could not be fitted in between others (SQLSTATE
/// 40001) or because two waited for each other (40P01): it may be tried again.
pub fn may_be_tried_again(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(DatabaseError::code)
        .is_some_and(|code| code == "40001" || code == "40P01")
}

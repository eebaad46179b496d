//! The database: one pool over SQLite or PostgreSQL, its migrations, its transactions.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rocket::figment::Figment;
use rocket::tokio::sync::{OwnedSemaphorePermit, Semaphore};
use rocket::tokio::time::timeout;
use rocket_db_pools::Database;
use serde::Deserialize;
use sqlx::any::AnyPoolOptions;
use sqlx::error::DatabaseError;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Connection, Transaction};

use crate::config::one_line;

mod target;
mod write;

pub use self::target::Target;
pub use self::write::Write;

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
    /// On SQLite: for what need not survive a power cut.
    light: Option<AnyPool>,
    engine: Engine,
    /// Whose turn it is to write, on SQLite.
    writer: Arc<Semaphore>,
    /// How long anybody waits for a turn.
    patience: Duration,
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
    /// What it calls itself.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }

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
    /// There is no such file, and it was not to be made.
    #[error("there is no database at {0}; `multitoken migrate` makes it")]
    Missing(String),
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
        "{place} was migrated by a newer version (it has migration {version}, which this one does not know); run that version, restore a backup, or, where you have deleted that migration, start with a new database"
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

impl PoolSettings {
    /// What `figment`, focused on `databases.multitoken`, has.
    fn read(figment: &Figment) -> Result<Self, Fault> {
        let settings: Self = figment
            .extract()
            .map_err(|error| Fault::Settings(one_line(&error, |_| true)))?;
        if settings.connect_timeout > LONGEST_TIMEOUT
            || settings.idle_timeout.unwrap_or(0) > LONGEST_TIMEOUT
        {
            return Err(Fault::Settings(format!(
                "connect_timeout and idle_timeout take up to {LONGEST_TIMEOUT} seconds"
            )));
        }
        Ok(settings)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.connect_timeout)
    }
}

/// Where in the settings all of it stands.
const SETTINGS: &str = "databases.multitoken";

fn default_connections() -> u32 {
    SQLITE_CONNECTIONS
}

fn default_timeout() -> u64 {
    5
}

/// Seconds that a time-out may be set to; far longer ones overflow the clock.
const LONGEST_TIMEOUT: u64 = 24 * 60 * 60;

/// Pages of SQLite's database that a connection keeps, in KiB (as a negative number): four times what it
/// does by itself, so that with a million tokens, too, those that are looked up by and by find the same
/// index pages there.
const KEPT_PAGES: &str = "PRAGMA cache_size = -8192";
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
        Self::from_settings(&figment.focus(SETTINGS)).await
    }

    /// Opens the database that `figment` names as it is: it is neither created nor migrated.
    ///
    /// # Errors
    /// As [`Pool::open`]; and [`Fault::Missing`].
    pub async fn open_as_it_is(figment: &Figment) -> Result<Self, Fault> {
        let settings = PoolSettings::read(&figment.focus(SETTINGS))?;
        let target = Target::parse(&settings.url)?;
        target.demand(settings.patience()).await?;
        Self::over(&target, &settings)
    }

    async fn from_settings(figment: &Figment) -> Result<Self, Fault> {
        let settings = PoolSettings::read(figment)?;
        let target = Target::parse(&settings.url)?;
        target.create_and_migrate().await?;
        Self::over(&target, &settings)
    }

    fn over(target: &Target, settings: &PoolSettings) -> Result<Self, Fault> {
        let engine = target.engine();
        let most = match engine {
            Engine::Sqlite => settings.max_connections.min(SQLITE_CONNECTIONS),
            Engine::Postgres => settings.max_connections,
        };
        let patience = settings.patience();
        let idle = settings.idle_timeout.map(Duration::from_secs);
        let options = target.options("rw")?;
        let pool = |synchronous: &'static str| {
            AnyPoolOptions::new()
                .acquire_timeout(patience)
                .idle_timeout(idle)
                .after_connect(move |connection, _| {
                    Box::pin(async move {
                        if engine == Engine::Sqlite {
                            for sql in [synchronous, KEPT_PAGES] {
                                sqlx::query(sql).execute(&mut *connection).await?;
                            }
                        }
                        Ok(())
                    })
                })
        };
        // In WAL mode the default, NORMAL, may lose the last commits in a power cut: a revoked token
        // would be back.
        let connections = pool("PRAGMA synchronous = FULL")
            .min_connections(settings.min_connections)
            .max_connections(most)
            .connect_lazy_with(options.clone());
        // It has one writer at a time.
        let light = || pool("PRAGMA synchronous = NORMAL").max_connections(1);
        Ok(Self {
            connections,
            light: (engine == Engine::Sqlite).then(|| light().connect_lazy_with(options)),
            engine,
            writer: Arc::new(Semaphore::new(1)),
            patience,
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

    /// A connection beside those of the pool.
    ///
    /// # Errors
    /// The database can't be reached.
    pub async fn connect(&self) -> sqlx::Result<AnyConnection> {
        AnyConnection::connect_with(&self.connections.connect_options()).await
    }

    /// A transaction for writing. On SQLite it takes the write lock at once: one that starts as a
    /// reader fails when another writer came between.
    ///
    /// # Errors
    /// There is no connection to be had, or it is not our turn within `connect_timeout`, or the lock is
    /// not free within the busy time-out.
    pub async fn write(&self) -> sqlx::Result<Write> {
        let turn = self.turn().await?;
        let transaction = match self.engine {
            Engine::Sqlite => self.connections.begin_with("BEGIN IMMEDIATE").await?,
            Engine::Postgres => self.connections.begin().await?,
        };
        Ok(Write::new(transaction, turn))
    }

    /// The same for what need not survive a power cut, so that SQLite does not wait for the disk.
    ///
    /// # Errors
    /// As [`Pool::write`].
    pub async fn write_lightly(&self) -> sqlx::Result<Write> {
        let Some(light) = &self.light else {
            return self.write().await;
        };
        let turn = self.turn().await?;
        let transaction = light.begin_with("BEGIN IMMEDIATE").await?;
        Ok(Write::new(transaction, turn))
    }

    /// The turn to write, where there are turns.
    async fn turn(&self) -> sqlx::Result<Option<OwnedSemaphorePermit>> {
        if self.engine != Engine::Sqlite {
            return Ok(None);
        }
        let turn = timeout(self.patience, Arc::clone(&self.writer).acquire_owned()).await;
        let turn = turn.map_err(|_| sqlx::Error::PoolTimedOut)?;
        turn.map(Some).map_err(|_| sqlx::Error::PoolClosed)
    }

    /// A transaction for writing, as [`Pool::write`], on a connection that the caller keeps for
    /// several of them.
    ///
    /// # Errors
    /// The lock is not free within the busy time-out.
    pub async fn write_on<'c>(
        &self,
        connection: &'c mut AnyConnection,
    ) -> sqlx::Result<Transaction<'c, Any>> {
        match self.engine {
            Engine::Sqlite => connection.begin_with("BEGIN IMMEDIATE").await,
            Engine::Postgres => connection.begin().await,
        }
    }

    /// A transaction that behaves as if no other ran beside it. One that can't be fitted in fails
    /// at its end on PostgreSQL.
    ///
    /// # Errors
    /// As [`Pool::write`].
    pub async fn write_alone(&self) -> sqlx::Result<Write> {
        match self.engine {
            Engine::Sqlite => self.write().await,
            Engine::Postgres => {
                let alone = "BEGIN ISOLATION LEVEL SERIALIZABLE";
                let transaction = self.connections.begin_with(alone).await?;
                Ok(Write::new(transaction, None))
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

    /// How many connections there are, by what they do, and how many there may be.
    pub fn load(&self) -> [(&'static str, u64); 3] {
        let (mut size, mut idle, mut most) = (0, 0, 0);
        for pool in [Some(&self.connections), self.light.as_ref()]
            .into_iter()
            .flatten()
        {
            size += u64::from(pool.size());
            idle += pool.num_idle() as u64;
            most += u64::from(pool.options().get_max_connections());
        }
        [
            ("used", size.saturating_sub(idle)),
            ("idle", idle),
            ("limit", most),
        ]
    }

    /// Whether what goes to the server and comes from it is encrypted; so it is where there is no server.
    ///
    /// # Errors
    /// The database does not answer, or can't tell.
    pub async fn is_encrypted(&self) -> sqlx::Result<bool> {
        if self.engine == Engine::Sqlite {
            return Ok(true);
        }
        let mut connection = self.read().await?;
        let encrypted: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl",
        )
        .fetch_one(&mut *connection)
        .await?;
        Ok(encrypted > 0)
    }

    /// Closes every connection, waiting for those in use.
    pub async fn shut(&self) {
        if let Some(light) = &self.light {
            light.close().await;
        }
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

/// A migration: applied, or pending.
pub struct MigrationState {
    /// The number that orders it.
    pub version: i64,
    /// What its file's name says of it.
    pub description: String,
    /// Whether the database has it.
    pub applied: bool,
    /// Whether this version has it. If not, a newer version of the application has applied it.
    pub known: bool,
}

/// The number of the newest migration that this version knows.
pub fn newest_migration() -> i64 {
    MIGRATOR
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0)
}

/// The state of every migration, without changing or creating anything.
///
/// # Errors
/// The database exists and can't be read.
pub async fn migrations(figment: &Figment) -> Result<Vec<MigrationState>, Fault> {
    let target = Target::of(figment)?;
    let missing = target.file().is_some_and(|file| !file.exists());
    let applied = if missing {
        vec![]
    } else {
        target.applied().await?
    };
    let known = MIGRATOR.iter().map(|migration| MigrationState {
        version: migration.version,
        description: migration.description.to_string(),
        applied: applied.contains(&migration.version),
        known: true,
    });
    let is_unknown = |version: &&i64| MIGRATOR.iter().all(|known| known.version != **version);
    let unknown = applied
        .iter()
        .filter(is_unknown)
        .map(|version| MigrationState {
            version: *version,
            description: "of a newer version".into(),
            applied: true,
            known: false,
        });
    Ok(known.chain(unknown).collect())
}

/// Whether a transaction was undone because it could not be fitted in between others (SQLSTATE
/// 40001) or because two waited for each other (40P01): it may be tried again.
pub fn may_be_tried_again(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(DatabaseError::code)
        .is_some_and(|code| code == "40001" || code == "40P01")
}

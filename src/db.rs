//! The database: one pool over SQLite or PostgreSQL, its migrations, its transactions.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use rocket::Config;
use rocket::fairing::AdHoc;
use rocket::figment::Figment;
use rocket::figment::providers::Serialized;
use rocket::futures::future::join_all;
use rocket::tokio::sync::{OwnedSemaphorePermit, Semaphore};
use rocket::tokio::time::timeout;
use rocket_db_pools::Database;
use serde::Deserialize;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::error::DatabaseError;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, ConnectOptions, Executor};

use self::conn::Limit;
use crate::config::one_line;

mod cause;
mod conn;
mod server;
mod target;
mod write;

use self::cause::Cause;
pub use self::conn::Conn;
pub use self::server::{Server, may_be_posed_as};
pub use self::target::Target;
pub use self::write::Write;

static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrator = sqlx::migrate!();
    // `Target` takes the lock, and says so while it waits.
    migrator.set_locking(false);
    migrator
});

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
    /// For work that may take long: exports, bulk actions, pruning.
    long: AnyPool,
    /// What `connections` are for.
    usual: Session,
    engine: Engine,
    timeouts: Timeouts,
    /// The queue for writing, on SQLite.
    writer: Arc<Semaphore>,
    last_write: Arc<LastWrite>,
}

/// When this process last committed a change.
struct LastWrite {
    start: Instant,
    /// Milliseconds from the start, plus one; 0: never.
    at: AtomicU64,
}

impl LastWrite {
    fn note(&self) {
        self.at.store(self.age() + 1, Ordering::Relaxed);
    }

    fn is_within(&self, time: Duration) -> bool {
        let at = self.at.load(Ordering::Relaxed);
        let passed = (self.age() + 1).saturating_sub(at);
        at > 0 && Duration::from_millis(passed) <= time
    }

    fn age(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
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

/// What `databases.multitoken` takes. [`Pool::open_for_server`] fills in four connections a worker.
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
    /// Seconds that a statement waits for a lock.
    #[serde(default = "default_lock_timeout")]
    lock_timeout: u64,
    /// Seconds that a statement may take, on PostgreSQL.
    #[serde(default = "default_timeout")]
    statement_timeout: u64,
    /// Seconds between two statements of a transaction, on PostgreSQL.
    #[serde(default = "default_idle_in_transaction")]
    idle_in_transaction_session_timeout: u64,
}

/// How long the database is waited for; each is a setting.
#[derive(Clone, Copy)]
struct Timeouts {
    connect: Duration,
    lock: Duration,
    statement: Duration,
    idle_in_transaction: Duration,
}

impl Timeouts {
    /// What a statement may take as seen from here: the server, if it lives, ends it before.
    fn limit(&self) -> Duration {
        self.statement.max(self.lock) + Duration::from_secs(1)
    }
}

impl PoolSettings {
    /// What `figment`, focused on `databases.multitoken`, has.
    fn read(figment: &Figment) -> Result<Self, Fault> {
        let settings: Self = figment
            .extract()
            .map_err(|error| Fault::Settings(one_line(&error, |_| true)))?;
        for (key, seconds) in [
            ("connect_timeout", settings.connect_timeout),
            ("idle_timeout", settings.idle_timeout.unwrap_or(1)),
            ("lock_timeout", settings.lock_timeout),
            ("statement_timeout", settings.statement_timeout),
            (
                "idle_in_transaction_session_timeout",
                settings.idle_in_transaction_session_timeout,
            ),
        ] {
            if !(1..=LONGEST_TIMEOUT).contains(&seconds) {
                return Err(Fault::Settings(format!(
                    "{key} takes 1 to {LONGEST_TIMEOUT} seconds"
                )));
            }
        }
        let max = settings.max_connections;
        if !(1..=MAX_CONNECTIONS).contains(&max) {
            return Err(Fault::Settings(format!(
                "max_connections takes 1 to {MAX_CONNECTIONS}"
            )));
        }
        if settings.min_connections > max {
            return Err(Fault::Settings(format!(
                "min_connections takes no more than max_connections, which is {max}"
            )));
        }
        Ok(settings)
    }

    fn timeouts(&self) -> Timeouts {
        Timeouts {
            connect: Duration::from_secs(self.connect_timeout),
            lock: Duration::from_secs(self.lock_timeout),
            statement: Duration::from_secs(self.statement_timeout),
            idle_in_transaction: Duration::from_secs(self.idle_in_transaction_session_timeout),
        }
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

fn default_lock_timeout() -> u64 {
    3
}

fn default_idle_in_transaction() -> u64 {
    10
}

/// Seconds that a time-out may be set to; far longer ones overflow the clock.
const LONGEST_TIMEOUT: u64 = 24 * 60 * 60;

/// Far more than a server takes; sqlx sets aside memory for each.
const MAX_CONNECTIONS: u32 = 10_000;

/// Pages of SQLite's database that a connection keeps, in KiB (as a negative number): four times what it
/// does by itself, so that with a million tokens, too, those that are looked up by and by find the same
/// index pages there.
const KEPT_PAGES: &str = "PRAGMA cache_size = -8192";
/// More connections than this only queue for SQLite's one writer.
const SQLITE_CONNECTIONS: u32 = 8;
/// Exports, bulk actions and the like that run at the same time.
const LONG_CONNECTIONS: u32 = 4;
/// They are seldom needed.
const LONG_IDLE: Duration = Duration::from_mins(1);

impl Pool {
    /// Opens the database that `figment` names for a command, creating (SQLite) and migrating it. Its
    /// statements may take as long as the database works on them.
    ///
    /// Any number of processes may do so at once.
    ///
    /// # Errors
    /// A [`Fault`] that names the place and the cause.
    pub async fn open(figment: &Figment) -> Result<Self, Fault> {
        Self::from_settings(&figment.focus(SETTINGS), Session::Long).await
    }

    /// Opens it for the server, with four connections for each of its workers by default.
    ///
    /// # Errors
    /// As [`Pool::open`].
    pub async fn open_for_server(figment: &Figment) -> Result<Self, Fault> {
        let workers: usize = figment
            .extract_inner(Config::WORKERS)
            .unwrap_or_else(|_| Config::default().workers);
        let connections = Serialized::default("max_connections", workers.saturating_mul(4));
        let settings = figment.focus(SETTINGS).join(connections);
        Self::from_settings(&settings, Session::Usual).await
    }

    /// Opens the database that `figment` names as it is: it is neither created nor migrated.
    ///
    /// # Errors
    /// As [`Pool::open`]; and [`Fault::Missing`].
    pub async fn open_as_it_is(figment: &Figment) -> Result<Self, Fault> {
        let settings = PoolSettings::read(&figment.focus(SETTINGS))?;
        let target = Target::parse(&settings.url)?;
        target.demand(settings.timeouts().connect).await?;
        Self::over(&target, &settings, Session::Long)
    }

    async fn from_settings(figment: &Figment, session: Session) -> Result<Self, Fault> {
        let settings = PoolSettings::read(figment)?;
        let target = Target::parse(&settings.url)?;
        target
            .create_and_migrate(settings.timeouts().connect)
            .await?;
        Self::over(&target, &settings, session)
    }

    fn over(target: &Target, settings: &PoolSettings, usual: Session) -> Result<Self, Fault> {
        let engine = target.engine();
        let timeouts = settings.timeouts();
        let most = match engine {
            Engine::Sqlite => settings.max_connections.min(SQLITE_CONNECTIONS),
            Engine::Postgres => settings.max_connections,
        };
        let idle = settings.idle_timeout.map(Duration::from_secs);
        let options = target.options("rw")?;
        let pool = |session: Session| {
            AnyPoolOptions::new()
                .acquire_timeout(timeouts.connect)
                .idle_timeout(idle)
                .after_connect(move |connection, _| {
                    Box::pin(prepare(connection, engine, timeouts, session))
                })
        };
        let connections = pool(usual)
            .min_connections(settings.min_connections)
            .max_connections(most)
            .connect_lazy_with(options.clone());
        // It has one writer at a time.
        let light = || pool(Session::Light).max_connections(1);
        let long = pool(Session::Long)
            .max_connections(LONG_CONNECTIONS)
            .idle_timeout(LONG_IDLE);
        Ok(Self {
            connections,
            light: (engine == Engine::Sqlite).then(|| light().connect_lazy_with(options.clone())),
            long: long.connect_lazy_with(options),
            usual,
            engine,
            timeouts,
            writer: Arc::new(Semaphore::new(1)),
            last_write: Arc::new(LastWrite {
                start: Instant::now(),
                at: AtomicU64::new(0),
            }),
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
    pub async fn read(&self) -> sqlx::Result<Conn> {
        self.usual().await
    }

    async fn usual(&self) -> sqlx::Result<Conn> {
        let mut conn = self.acquire(&self.connections).await?;
        if self.usual == Session::Long {
            conn.watch(self.options()).await?;
        }
        Ok(conn)
    }

    /// A connection for reading that may take long.
    ///
    /// # Errors
    /// As [`Pool::read`].
    pub async fn read_long(&self) -> sqlx::Result<Conn> {
        let mut conn = self.acquire(&self.long).await?;
        conn.watch(self.options()).await?;
        Ok(conn)
    }

    /// A connection beside those of the pool.
    ///
    /// # Errors
    /// The database can't be reached within `connect_timeout`.
    pub async fn connect(&self) -> sqlx::Result<Conn> {
        self.connect_as(Session::Usual).await
    }

    /// A connection beside those of the pool, for work that may take long.
    ///
    /// # Errors
    /// As [`Pool::connect`].
    pub async fn connect_long(&self) -> sqlx::Result<Conn> {
        let mut conn = self.connect_as(Session::Long).await?;
        conn.watch(self.options()).await?;
        Ok(conn)
    }

    async fn connect_as(&self, session: Session) -> sqlx::Result<Conn> {
        let connect = async {
            let mut connection = self.options().connect().await?;
            prepare(&mut connection, self.engine, self.timeouts, session).await?;
            Ok(Conn::own(connection, self.engine, self.limit()))
        };
        let connected = timeout(self.timeouts.connect, connect).await;
        connected.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    async fn acquire(&self, pool: &AnyPool) -> sqlx::Result<Conn> {
        Ok(Conn::pooled(
            pool.acquire().await?,
            self.engine,
            self.limit(),
        ))
    }

    fn limit(&self) -> Limit {
        Limit::Short(self.timeouts.limit())
    }

    fn options(&self) -> AnyConnectOptions {
        (*self.connections.connect_options()).clone()
    }

    /// A transaction for writing.
    ///
    /// # Errors
    /// There is no connection to be had, or it is not our turn within `connect_timeout`, or the lock is
    /// not free within `lock_timeout`.
    pub async fn write(&self) -> sqlx::Result<Write> {
        let permit = self.queue().await?;
        let conn = self.usual().await?;
        self.begin(conn, permit).await
    }

    /// The same for what need not survive a power cut, so that SQLite does not wait for the disk.
    ///
    /// # Errors
    /// As [`Pool::write`].
    pub async fn write_lightly(&self) -> sqlx::Result<Write> {
        let Some(light) = &self.light else {
            return self.write().await;
        };
        let permit = self.queue().await?;
        let conn = self.acquire(light).await?;
        self.begin(conn, permit).await
    }

    /// The same for statements that may take long.
    ///
    /// # Errors
    /// As [`Pool::write`].
    pub async fn write_long(&self) -> sqlx::Result<Write> {
        let permit = self.queue().await?;
        let conn = self.read_long().await?;
        self.begin(conn, permit).await
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
                let mut conn = self.usual().await?;
                conn.begin_with("BEGIN ISOLATION LEVEL SERIALIZABLE")
                    .await?;
                Ok(self.begun(conn, None))
            }
        }
    }

    async fn begin(
        &self,
        mut conn: Conn,
        permit: Option<OwnedSemaphorePermit>,
    ) -> sqlx::Result<Write> {
        conn.begin().await?;
        Ok(self.begun(conn, permit))
    }

    fn begun(&self, conn: Conn, permit: Option<OwnedSemaphorePermit>) -> Write {
        Write::new(conn, permit, Arc::clone(&self.last_write))
    }

    /// Waits in the queue for writing, where there is one.
    async fn queue(&self) -> sqlx::Result<Option<OwnedSemaphorePermit>> {
        if self.engine != Engine::Sqlite {
            return Ok(None);
        }
        let waiting = Arc::clone(&self.writer).acquire_owned();
        let permit = timeout(self.timeouts.connect, waiting).await;
        let permit = permit.map_err(|_| sqlx::Error::PoolTimedOut)?;
        permit.map(Some).map_err(|_| sqlx::Error::PoolClosed)
    }

    /// Whether this process has committed a change within that time.
    pub fn has_written_within(&self, time: Duration) -> bool {
        self.last_write.is_within(time)
    }

    /// Whether the database answers and has exactly the schema that this version works with.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn is_in_order(&self) -> sqlx::Result<bool> {
        let mut connection = self.read().await?;
        let applied: Vec<(i64,)> =
            sqlx::query_as("SELECT version FROM _sqlx_migrations ORDER BY version")
                .fetch_all(&mut connection)
                .await?;
        Ok(applied
            .iter()
            .map(|(version,)| *version)
            .eq(MIGRATOR.iter().map(|m| m.version)))
    }

    /// How many connections there are, by what they do, and how many there may be.
    pub fn load(&self) -> [(&'static str, u64); 3] {
        let (mut size, mut idle, mut most) = (0, 0, 0);
        for pool in self.pools() {
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
        .fetch_one(&mut connection)
        .await?;
        Ok(encrypted > 0)
    }

    fn pools(&self) -> impl Iterator<Item = &AnyPool> {
        [
            Some(&self.connections),
            self.light.as_ref(),
            Some(&self.long),
        ]
        .into_iter()
        .flatten()
    }

    /// Closes every connection. It waits a few seconds for those in use, and for the server.
    pub async fn shut(&self) {
        let closed = join_all(self.pools().map(AnyPool::close));
        let _ = timeout(self.timeouts.connect, closed).await;
    }
}

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Session {
    /// Requests.
    Usual,
    /// Writing what need not survive a power cut.
    Light,
    /// Work that may take long.
    Long,
}

/// Sets a new connection up.
async fn prepare(
    connection: &mut AnyConnection,
    engine: Engine,
    timeouts: Timeouts,
    session: Session,
) -> sqlx::Result<()> {
    let settings = match engine {
        Engine::Sqlite => {
            // In WAL mode the default, NORMAL, may lose the last commits in a power cut: a revoked token
            // would be back.
            let synchronous = match session {
                Session::Light => "NORMAL",
                Session::Usual | Session::Long => "FULL",
            };
            let lock = timeouts.lock.as_millis();
            format!(
                "PRAGMA busy_timeout = {lock}; PRAGMA synchronous = {synchronous}; {KEPT_PAGES}"
            )
        }
        Engine::Postgres => {
            let statement = match session {
                Session::Long => Duration::ZERO,
                Session::Usual | Session::Light => timeouts.statement,
            };
            // Here and not among the parameters that a connection starts with: PgBouncer refuses those.
            // A statement outside a transaction takes the default isolation, which may be another.
            format!(
                "SET lock_timeout = '{}s'; SET statement_timeout = '{}s';
                 SET idle_in_transaction_session_timeout = '{}s';
                 SET default_transaction_isolation = 'read committed'",
                timeouts.lock.as_secs(),
                statement.as_secs(),
                timeouts.idle_in_transaction.as_secs()
            )
        }
    };
    connection.execute(AssertSqlSafe(settings)).await?;
    Ok(())
}

#[rocket::async_trait]
impl rocket_db_pools::Pool for Pool {
    type Connection = Conn;
    type Error = Fault;

    async fn init(figment: &Figment) -> Result<Self, Fault> {
        Self::from_settings(figment, Session::Usual).await
    }

    async fn get(&self) -> Result<Self::Connection, Fault> {
        Ok(self.read().await?)
    }

    /// Does nothing: it is called before Rocket has answered the requests under way, and they need
    /// the database still. [`Pool::shut`] is called when they are done.
    async fn close(&self) {}
}

/// Manages [`Db`]. Opens it unless it is managed already: `serve` opens it first, so that a failure is reported
/// with its cause, which Rocket does not pass on.
pub fn stage() -> AdHoc {
    AdHoc::try_on_ignite("database", |rocket| async {
        if rocket.state::<Db>().is_some() {
            return Ok(rocket);
        }
        match Pool::open_for_server(rocket.figment()).await {
            Ok(pool) => Ok(rocket.manage(Db::from(pool))),
            Err(fault) => {
                tracing::error!("{fault}");
                Err(rocket)
            }
        }
    })
}

/// A query's error, with the place it comes from and, where the pool only says that it timed out, the cause.
pub async fn explain(figment: &Figment, error: sqlx::Error) -> Fault {
    let settings = match PoolSettings::read(&figment.focus(SETTINGS)) {
        Ok(settings) => settings,
        Err(fault) => return fault,
    };
    match Target::parse(&settings.url) {
        Ok(target) => target.explain(error, settings.timeouts().connect).await,
        Err(fault) => fault,
    }
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
    let settings = PoolSettings::read(&figment.focus(SETTINGS))?;
    let target = Target::parse(&settings.url)?;
    let missing = target.file().is_some_and(|file| !file.exists());
    let applied = if missing {
        vec![]
    } else {
        target.applied(settings.timeouts().connect).await?
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

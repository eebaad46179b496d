//! The database: one pool over SQLite or PostgreSQL, and its connections.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::Object;
use rocket::Config;
use rocket::fairing::AdHoc;
use rocket::figment::Figment;
use rocket::figment::providers::Serialized;
use rocket::futures::future::join_all;
use rocket::tokio::sync::{OwnedSemaphorePermit, Semaphore};
use rocket::tokio::time::timeout;
use rocket_db_pools::Database;
use sqlx::any::AnyConnectOptions;
use sqlx::error::DatabaseError;

use self::conn::{Limit, Stale};
use self::connections::{Connections, Opener, Session};
use self::migration::MIGRATOR;
use self::settings::{PoolSettings, SETTINGS, Timeouts};
use self::write::LastWrite;

mod cause;
mod conn;
mod connections;
mod fault;
mod migration;
mod server;
mod settings;
mod target;
mod write;

pub use self::conn::Conn;
pub use self::fault::Fault;
pub use self::migration::{MigrationState, migrations, newest_migration};
pub use self::server::{Server, may_be_posed_as};
pub use self::target::Target;
pub use self::write::Write;

/// The application's database, as Rocket manages it. Add `db: &Db` (through `&State<Db>`) or a
/// [`rocket_db_pools::Connection<Db>`] to a handler to use it.
#[derive(Database)]
#[database("multitoken")]
pub struct Db(Pool);

/// A pool of connections to SQLite or PostgreSQL, whichever the URL names.
#[derive(Clone)]
pub struct Pool {
    connections: Connections,
    /// On SQLite: for what need not survive a power cut.
    light: Option<Connections>,
    /// For work that may take long: exports, bulk actions, pruning.
    long: Connections,
    /// What `connections` are for.
    usual: Session,
    engine: Engine,
    timeouts: Timeouts,
    /// On SQLite: the file, and which it was when it was opened.
    file: Option<(PathBuf, Option<FileId>)>,
    /// The queue for writing, on SQLite.
    writer: Arc<Semaphore>,
    last_write: Arc<LastWrite>,
    stale: Arc<Stale>,
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

/// More connections than this only queue for SQLite's one writer, and each holds some megabytes.
const SQLITE_CONNECTIONS: u32 = 4;
/// How long a command waits for a connection at most, so that it ends within 15 seconds.
const FOR_COMMANDS: Duration = Duration::from_secs(4);
/// Exports, bulk actions and the like that run at the same time.
const LONG_CONNECTIONS: u32 = 4;
/// Connections that are not for requests: the one that follows other processes' changes, and one for long
/// work.
const SET_APART: u32 = 2;
/// Long work is rare.
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
        Self::over(&target, &settings, Session::Long, None)
    }

    async fn from_settings(figment: &Figment, session: Session) -> Result<Self, Fault> {
        let settings = PoolSettings::read(figment)?;
        let target = Target::parse(&settings.url)?;
        let allowed = target.create_and_migrate(settings.timeouts().connect);
        let allowed = allowed.await?;
        Self::over(&target, &settings, session, allowed)
    }

    /// `allowed` is the number of connections that the server allows.
    fn over(
        target: &Target,
        settings: &PoolSettings,
        usual: Session,
        allowed: Option<u32>,
    ) -> Result<Self, Fault> {
        let engine = target.engine();
        let mut timeouts = settings.timeouts();
        if usual == Session::Long {
            timeouts.connect = timeouts.connect.min(FOR_COMMANDS);
        }
        let most = match engine {
            Engine::Sqlite => settings.max_connections.min(SQLITE_CONNECTIONS),
            Engine::Postgres => {
                // Beyond what the server allows, sqlx asks for another connection until its time is over, and
                // takes none that became free.
                let room =
                    allowed.map_or(u32::MAX, |allowed| allowed.saturating_sub(SET_APART).max(1));
                settings.max_connections.min(room)
            }
        };
        if let Some(allowed) = allowed
            && most < settings.max_connections
            && usual == Session::Usual
        {
            tracing::warn!(
                "{} allows this role {allowed} connections: requests share {most} of them, not max_connections, \
                 which is {}",
                target.place(),
                settings.max_connections
            );
        }
        let idle = settings.idle_timeout.map(Duration::from_secs);
        let options = target.options("rw")?;
        let stale = Arc::new(Stale::new());
        let pool = |session: Session, min, max, idle| {
            let opener = Opener {
                options: options.clone(),
                engine,
                timeouts,
                session,
                stale: Arc::clone(&stale),
            };
            Connections::new(opener, min, max, idle)
                .map_err(|error| Fault::Settings(error.to_string()))
        };
        let connections = pool(usual, settings.min_connections.min(most), most, idle)?;
        let light = match engine {
            // It has one writer at a time.
            Engine::Sqlite => Some(pool(Session::Light, 0, 1, idle)?),
            Engine::Postgres => None,
        };
        // All but the one that follows.
        let rest = allowed.map_or(u32::MAX, |allowed| allowed.saturating_sub(most + 1));
        let rest = rest.clamp(1, LONG_CONNECTIONS);
        let long = pool(Session::Long, 0, rest, Some(LONG_IDLE))?;
        Ok(Self {
            connections,
            light,
            long,
            usual,
            engine,
            timeouts,
            file: target.file().map(|path| (path.to_owned(), file_id(path))),
            writer: Arc::new(Semaphore::new(1)),
            last_write: Arc::new(LastWrite::never()),
            stale,
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

    /// A connection for one reading statement that may be tried again: it may have ended since it was last used
    /// ([`Conn::is_lost`]). That saves a way to PostgreSQL and back.
    ///
    /// # Errors
    /// As [`Pool::read`].
    pub async fn read_untested(&self) -> sqlx::Result<Conn> {
        Ok(self.lent(self.connections.get().await?))
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
        let pool = match session {
            Session::Long => &self.long,
            Session::Usual | Session::Light => &self.connections,
        };
        let connected = timeout(self.timeouts.connect, pool.opener().open()).await;
        let connection = connected.unwrap_or(Err(sqlx::Error::PoolTimedOut))?;
        Ok(Conn::own(connection, self.engine, self.limit()))
    }

    async fn acquire(&self, pool: &Connections) -> sqlx::Result<Conn> {
        Ok(self.lent(pool.get_alive().await?))
    }

    fn lent(&self, connection: Object<Opener>) -> Conn {
        Conn::pooled(connection, self.engine, self.limit(), &self.stale)
    }

    fn limit(&self) -> Limit {
        Limit::Short(self.timeouts.limit())
    }

    fn options(&self) -> AnyConnectOptions {
        self.connections.opener().options.clone()
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
        if let Some((path, opened)) = &self.file
            && file_id(path) != *opened
        {
            // What is written here is seen by nobody else, and lost.
            let why = format!("{} is not the file that was opened", path.display());
            return Err(sqlx::Error::Protocol(why));
        }
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
        let (mut used, mut idle, mut limit) = (0, 0, 0);
        for pool in self.pools() {
            let [size, unused, max] = pool.load().map(|number| number as u64);
            used += size.saturating_sub(unused);
            idle += unused;
            limit += max;
        }
        [("used", used), ("idle", idle), ("limit", limit)]
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

    fn pools(&self) -> impl Iterator<Item = &Connections> {
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
        let closed = join_all(self.pools().map(Connections::shut));
        let _ = timeout(self.timeouts.connect, closed).await;
    }
}

/// The device and the number of a file.
type FileId = (u64, u64);

/// Which file it is; none if there is none, or no telling.
fn file_id(path: &Path) -> Option<FileId> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
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

/// Whether a transaction was undone because it could not be fitted in between others (SQLSTATE
/// 40001) or because two waited for each other (40P01): it may be tried again.
pub fn may_be_tried_again(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(DatabaseError::code)
        .is_some_and(|code| code == "40001" || code == "40P01")
}

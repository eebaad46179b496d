//! Where the database is: reading its URL, creating it, connecting to it.
//!
//! Every wait is bounded, for servers that accept a connection and say nothing, and for locks that others hold: a
//! command that can't reach or lock the database ends within 15 seconds. Only a migration that is under way may take
//! as long as it needs.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use log::LevelFilter;
use rocket::figment::Figment;
use rocket::tokio::select;
use rocket::tokio::time::{Instant, sleep, timeout};
use sqlx::any::AnyConnectOptions;
use sqlx::error::DatabaseError;
use sqlx::migrate::{Migrate, MigrateError};
use sqlx::{AnyConnection, AssertSqlSafe, ConnectOptions, Connection};

use super::cause::no_answer;
use super::conn::Watch;
use super::migration::MIGRATOR;
use super::settings::{PoolSettings, SETTINGS};
use super::{Engine, Fault, Server};

/// To connect takes no longer, whatever `connect_timeout` says: it is there for a pool, behind which requests
/// wait.
const CONNECTING: Duration = Duration::from_secs(5);
/// To lock the database for a migration takes no longer.
const LOCKING: Duration = Duration::from_secs(5);
/// A server that has not answered by then is frozen: its own limit for locks is over.
const ANSWERING: Duration = Duration::from_secs(6);
/// Another process's migration that takes longer than this is spoken of.
const UNSPOKEN: Duration = Duration::from_millis(500);
/// Between two attempts at SQLite's lock.
const PAUSE: Duration = Duration::from_millis(20);
/// A connection that is no longer needed is given this long to say so to the server.
const CLOSING: Duration = Duration::from_secs(1);

/// The database that a URL names.
pub enum Target {
    /// A file.
    Sqlite {
        /// Which, as it is written.
        path: PathBuf,
    },
    /// A database of a server.
    Postgres(Server),
}

impl Target {
    /// The one that `figment` names.
    ///
    /// # Errors
    /// The settings are invalid.
    pub fn of(figment: &Figment) -> Result<Self, Fault> {
        Self::parse(&PoolSettings::read(&figment.focus(SETTINGS))?.url)
    }

    pub(super) fn parse(url: &str) -> Result<Self, Fault> {
        let invalid = |what: &str| {
            Fault::Settings(format!(
                "the database's URL {what}; write sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE"
            ))
        };
        if url.is_empty() {
            return Err(invalid("is empty (an empty DATABASE_URL counts, unset it)"));
        }
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path == ":memory:" {
                return Err(invalid(
                    "names no file, and the processes share nothing else",
                ));
            }
            if path.contains('?') {
                return Err(invalid("has parameters, which are ours to set"));
            }
            if path.starts_with("file:") {
                return Err(invalid("has a URL in a URL"));
            }
            if path.starts_with('~') {
                return Err(invalid(
                    "begins with `~`, which only a shell expands, at the beginning of a word: write the whole \
                     path, or \"sqlite:$HOME/…\" (or ./~… if the name is meant)",
                ));
            }
            if path == "-" || path.starts_with('$') || path.trim() != path {
                return Err(invalid(
                    "is `-`, begins with `$` or has white space around it: write the whole path (or ./… if the \
                     name is meant)",
                ));
            }
            if path.ends_with('/') {
                return Err(invalid("names a folder, not a file in it"));
            }
            return Ok(Self::Sqlite { path: path.into() });
        }
        let rest = ["postgres://", "postgresql://"]
            .iter()
            .find_map(|scheme| url.strip_prefix(scheme));
        match rest {
            Some(rest) => Server::parse(rest)
                .map(Self::Postgres)
                .map_err(|what| invalid(&what)),
            None => Err(invalid("is of no known kind")),
        }
    }

    /// The file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite { path } => Some(path),
            Self::Postgres(_) => None,
        }
    }

    /// The server, if there is one.
    pub fn server(&self) -> Option<&Server> {
        match self {
            Self::Sqlite { .. } => None,
            Self::Postgres(server) => Some(server),
        }
    }

    pub(super) fn engine(&self) -> Engine {
        match self {
            Self::Sqlite { .. } => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }

    /// Where it is, for messages: no password, no parameters.
    pub fn place(&self) -> String {
        match self {
            Self::Sqlite { path } => path.display().to_string(),
            Self::Postgres(server) => server.place(),
        }
    }

    /// `mode` is SQLite's: `rwc` creates the file; `rw` does not, so that a file that was moved
    /// away is an error and not an empty database.
    pub(super) fn options(&self, mode: &str) -> Result<AnyConnectOptions, Fault> {
        sqlx::any::install_default_drivers();
        let url = match self {
            Self::Sqlite { path } => {
                let path = path
                    .to_string_lossy()
                    .replace('%', "%25")
                    .replace('#', "%23");
                format!("sqlite://{path}?mode={mode}")
            }
            Self::Postgres(server) => {
                if let Some((name, file)) = server.files().find(|(_, file)| !file.exists()) {
                    let file = file.display();
                    let what = format!("{name} in the database's URL: there is no file {file}");
                    return Err(Fault::Settings(what));
                }
                server.url()
            }
        };
        let options = AnyConnectOptions::from_str(&url).map_err(|_| unreadable())?;
        // The log leaves them out; a test listens, to have the database explain each.
        Ok(options
            .log_statements(LevelFilter::Trace)
            .log_slow_statements(LevelFilter::Off, Duration::MAX))
    }

    fn demand_no_folder(&self) -> Result<(), Fault> {
        if !self.file().is_some_and(Path::is_dir) {
            return Ok(());
        }
        let place = self.place();
        let what = format!("the database's URL names the folder {place}; name a file in it");
        Err(Fault::Settings(what))
    }

    /// Connects once, to a database whose encoding will do. A pool would only say that it timed out.
    async fn connect(&self, mode: &str, limit: Duration) -> Result<AnyConnection, Fault> {
        self.demand_no_folder()?;
        let options = self.options(mode)?;
        let fault = |source| Fault::Connect {
            place: self.place(),
            source,
        };
        // SQLite has a busy time-out of its own, and a better message when it is over.
        let limit = match self.engine() {
            Engine::Sqlite => ANSWERING,
            Engine::Postgres => limit.min(CONNECTING),
        };
        let connecting = async {
            let mut connection = options.connect().await.map_err(fault)?;
            self.prepare(&mut connection).await?;
            Ok(connection)
        };
        let connected = timeout(limit, connecting).await;
        connected.unwrap_or_else(|_| Err(fault(no_answer(limit.as_secs()))))
    }

    /// Refuses another encoding than UTF-8, and bounds the waits for locks.
    async fn prepare(&self, connection: &mut AnyConnection) -> Result<(), Fault> {
        // SQLite compares texts as they are stored: in UTF-16 what begins alike need not stand together.
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
            // Of a role's or a database's own settings one could cut a migration short.
            let limits = format!(
                "SET lock_timeout = {}; SET statement_timeout = 0",
                LOCKING.as_millis()
            );
            sqlx::raw_sql(AssertSqlSafe(limits))
                .execute(&mut *connection)
                .await
                .map_err(|source| self.failed(source))?;
        }
        Ok(())
    }

    fn failed(&self, source: sqlx::Error) -> Fault {
        Fault::Failed {
            place: self.place(),
            source,
        }
    }

    /// Connects once, and creates nothing.
    pub(super) async fn demand(&self, limit: Duration) -> Result<(), Fault> {
        if self.file().is_some_and(|file| !file.exists()) {
            return Err(Fault::Missing(self.place()));
        }
        close(self.connect("rw", limit).await?).await;
        Ok(())
    }

    /// Why a query failed: where a pool only says that it timed out, as another attempt to connect does.
    pub(super) async fn explain(&self, source: sqlx::Error, limit: Duration) -> Fault {
        if matches!(source, sqlx::Error::PoolTimedOut)
            && let Err(fault) = self.demand(limit).await
        {
            return fault;
        }
        self.failed(source)
    }

    /// Returns how many connections the server allows, if there is one and it says so.
    pub(super) async fn create_and_migrate(&self, limit: Duration) -> Result<Option<u32>, Fault> {
        self.demand_no_folder()?;
        // sqlx takes no lock for migrations on SQLite, and switching a fresh file to WAL fails beside others
        // that open it: one process at a time.
        let lock = match self {
            Self::Sqlite { path } => Some(self.lock_beside(path).await?),
            Self::Postgres(_) => None,
        };
        let mut connection = self.connect("rwc", limit).await?;
        let mut allowed = None;
        match self.engine() {
            Engine::Sqlite => {
                sqlx::query("PRAGMA journal_mode = WAL")
                    .execute(&mut connection)
                    .await
                    .map_err(|source| self.failed(source))?;
                self.migrate(&mut connection).await?;
            }
            Engine::Postgres => {
                let backend = self.backend(&mut connection).await?;
                self.demand_session(backend, limit).await?;
                let current = timeout(ANSWERING, is_current(&mut connection)).await;
                // What can't be told is left to the migration.
                if !current.map_err(|_| self.silent())?.unwrap_or(false) {
                    self.lock(&mut connection).await?;
                    let watch = Watch::over_several(self.options("rw")?, backend);
                    let migrated = watch.over(self.migrate(&mut connection)).await;
                    migrated.map_err(|_| self.silent())??;
                    // Closing the connection ends it, too; a pooler might keep it open.
                    let _ = timeout(CLOSING, connection.unlock()).await;
                }
                let counted = timeout(ANSWERING, allowed_connections(&mut connection)).await;
                allowed = counted.map_err(|_| self.silent())?;
            }
        }
        close(connection).await;
        drop(lock);
        Ok(allowed)
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
            let sorted = sort_by_bytes(connection).await;
            sorted.map_err(|source| self.failed(source))?;
        }
        Ok(())
    }

    /// The id of the process at the server that a connection speaks to.
    async fn backend(&self, connection: &mut AnyConnection) -> Result<i64, Fault> {
        // Not prepared under a name, of which another session behind a pooler may have one.
        let backend =
            sqlx::query_scalar("SELECT CAST(pg_backend_pid() AS BIGINT)").persistent(false);
        let backend = timeout(ANSWERING, backend.fetch_one(connection)).await;
        let backend = backend.map_err(|_| self.silent())?;
        backend.map_err(|source| self.failed(source))
    }

    /// Refuses a pooler that shares sessions between connections, to which locks and limits of time belong: it
    /// lends another connection the process that serves this one.
    async fn demand_session(&self, backend: i64, limit: Duration) -> Result<(), Fault> {
        // The role may have one connection only, or the server.
        let Ok(mut other) = self.connect("rw", limit).await else {
            return Ok(());
        };
        let lent = self.backend(&mut other).await;
        close(other).await;
        match lent {
            Ok(lent) if lent == backend => Err(Fault::Pooler {
                place: self.place(),
            }),
            _ => Ok(()),
        }
    }

    /// Takes PostgreSQL's lock for migrations, which is the one that sqlx's own tool takes.
    async fn lock(&self, connection: &mut AnyConnection) -> Result<(), Fault> {
        // The server's own limit comes first; a frozen one has none.
        let spoken = async {
            sleep(UNSPOKEN).await;
            self.say_that_it_waits();
            sleep(ANSWERING.saturating_sub(UNSPOKEN)).await;
        };
        let locked = select! {
            locked = connection.lock() => locked,
            () = spoken => return Err(self.silent()),
        };
        let is_held = |error: &sqlx::Error| {
            let code = error.as_database_error().and_then(DatabaseError::code);
            code.is_some_and(|code| code == "55P03")
        };
        locked.map_err(|source| match source {
            MigrateError::Execute(error) if is_held(&error) => self.migrating(),
            MigrateError::Execute(error) => self.failed(error),
            source => Fault::Migrate {
                place: self.place(),
                source,
            },
        })
    }

    fn say_that_it_waits(&self) {
        let place = self.place();
        tracing::warn!("waiting for another process that migrates {place}");
    }

    fn migrating(&self) -> Fault {
        Fault::Migrating {
            place: self.place(),
            seconds: LOCKING.as_secs(),
        }
    }

    fn silent(&self) -> Fault {
        Fault::Silent {
            place: self.place(),
        }
    }

    /// Makes the database's folder and holds a lock on a file beside it until dropped.
    async fn lock_beside(&self, database: &Path) -> Result<File, Fault> {
        let fault = |path: &Path| {
            let path = path.to_owned();
            move |source| Fault::File { path, source }
        };
        demand_database(database).map_err(fault(database))?;
        if let Some(folder) = database.parent() {
            make_private(folder).map_err(fault(folder))?;
        }
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let file = open_private(&path).map_err(fault(&path))?;
        let start = Instant::now();
        let mut spoken = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(fault(&path)(error)),
                Err(TryLockError::WouldBlock) if start.elapsed() > LOCKING => {
                    return Err(self.migrating());
                }
                Err(TryLockError::WouldBlock) => {
                    if !spoken && start.elapsed() > UNSPOKEN {
                        self.say_that_it_waits();
                        spoken = true;
                    }
                    sleep(PAUSE).await;
                }
            }
        }
        // SQLite would make it readable by everybody on the machine; what it puts beside it takes
        // after it.
        open_private(database).map_err(fault(database))?;
        Ok(file)
    }

    /// The migrations that the database has.
    pub(super) async fn applied(&self, limit: Duration) -> Result<Vec<i64>, Fault> {
        let mut connection = self.connect("rw", limit).await?;
        let listing = list_applied(self.engine(), &mut connection);
        let listed = timeout(ANSWERING, listing).await;
        let listed = listed.unwrap_or_else(|_| Err(no_answer(ANSWERING.as_secs())));
        close(connection).await;
        listed.map_err(|source| self.failed(source))
    }
}

/// None if there is no table of them yet. If it is there and can't be read, or nothing can, that is an error.
async fn list_applied(engine: Engine, connection: &mut AnyConnection) -> sqlx::Result<Vec<i64>> {
    let tables = match engine {
        Engine::Sqlite => "SELECT COUNT(*) FROM sqlite_master WHERE name = '_sqlx_migrations'",
        // NULL, which is no number, where the role may use no schema at all.
        Engine::Postgres => {
            "SELECT CASE WHEN current_schema() IS NULL THEN NULL
                         WHEN to_regclass('_sqlx_migrations') IS NULL THEN 0 ELSE 1 END"
        }
    };
    let tables: Option<i64> = sqlx::query_scalar(tables)
        .fetch_one(&mut *connection)
        .await?;
    match tables {
        None => Err(sqlx::Error::Configuration(
            "the role may use no schema of its search_path; grant it the right".into(),
        )),
        Some(0) => Ok(vec![]),
        Some(_) => {
            sqlx::query_scalar("SELECT version FROM _sqlx_migrations ORDER BY version")
                .fetch_all(connection)
                .await
        }
    }
}

/// Whether the database has exactly the migrations of this version, so that none need be locked out.
async fn is_current(connection: &mut AnyConnection) -> sqlx::Result<bool> {
    let tables: Option<i64> = sqlx::query_scalar(
        "SELECT CAST(COUNT(*) AS BIGINT) FROM pg_class WHERE oid = to_regclass('_sqlx_migrations')",
    )
    .fetch_one(&mut *connection)
    .await?;
    if tables != Some(1) {
        return Ok(false);
    }
    let applied: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT version, checksum FROM _sqlx_migrations WHERE success ORDER BY version",
    )
    .fetch_all(&mut *connection)
    .await?;
    let own = MIGRATOR.iter().map(|m| (m.version, &*m.checksum));
    Ok(applied
        .iter()
        .map(|(version, sum)| (*version, &**sum))
        .eq(own)
        && unsorted(connection).await?.is_empty())
}

/// How many connections the role may have at this server: by its own limit, the database's, and the
/// server's. None if it does not say.
async fn allowed_connections(connection: &mut AnyConnection) -> Option<u32> {
    let allowed: Option<i64> = sqlx::query_scalar(
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
    allowed.and_then(|allowed| u32::try_from(allowed).ok())
}

/// Closes a connection that is no longer needed.
async fn close(connection: AnyConnection) {
    let _ = timeout(CLOSING, connection.close()).await;
}

pub(super) fn unreadable() -> Fault {
    Fault::Settings("the database's URL can't be read".into())
}

/// The tables that migrations create.
fn tables() -> impl Iterator<Item = &'static str> {
    let lines = MIGRATOR
        .iter()
        .flat_map(|migration| migration.sql.as_str().lines());
    lines.filter_map(|line| {
        let rest = line.strip_prefix("CREATE TABLE ")?;
        let name = rest.strip_prefix("IF NOT EXISTS ").unwrap_or(rest);
        name.split([' ', '(']).next()
    })
}

/// Has PostgreSQL compare texts byte by byte, as SQLite does: in the order of a language, which it takes by
/// default, a range of keys would not hold what it should. Done again, it is harmless: two processes may both
/// find it to be done.
async fn sort_by_bytes(connection: &mut AnyConnection) -> sqlx::Result<()> {
    for (table, columns) in unsorted(connection).await? {
        let changes: Vec<_> = columns
            .iter()
            .map(|column| format!("ALTER COLUMN {column} TYPE TEXT COLLATE \"C\""))
            .collect();
        let sql = format!("ALTER TABLE {table} {}", changes.join(", "));
        sqlx::query(AssertSqlSafe(sql))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// The texts that are compared otherwise, table by table.
async fn unsorted(
    connection: &mut AnyConnection,
) -> sqlx::Result<Vec<(&'static str, Vec<String>)>> {
    let mut unsorted = vec![];
    for table in tables() {
        let columns: Vec<String> = sqlx::query_scalar(
            "SELECT CAST(a.attname AS TEXT) FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation
             WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
               AND a.atttypid = CAST('text' AS regtype) AND c.collname <> 'C'",
        )
        .bind(table)
        .fetch_all(&mut *connection)
        .await?;
        if !columns.is_empty() {
            unsorted.push((table, columns));
        }
    }
    Ok(unsorted)
}

/// Refuses what is there and no SQLite database, before anything is put beside it.
fn demand_database(path: &Path) -> io::Result<()> {
    const START: &[u8] = b"SQLite format 3\0";
    let is_file = match path.metadata() {
        Ok(metadata) => metadata.is_file(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut start = vec![];
    if is_file {
        let length = START.len() as u64;
        File::open(path)?.take(length).read_to_end(&mut start)?;
    }
    // An empty file is one without tables.
    if is_file && (start.is_empty() || start == START) {
        Ok(())
    } else {
        Err(io::Error::other("file is not a database, or is encrypted"))
    }
}

/// Makes a folder, and those that it stands in, that only this process's user may enter; one that is
/// there stays as it is.
fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Opens a file, making it one that only this process's user may read and write.
fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

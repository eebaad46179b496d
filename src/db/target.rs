//! Where the database is: reading its URL, creating it, connecting to it.

use std::borrow::Cow;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use log::LevelFilter;
use rocket::figment::Figment;
use rocket::tokio::time::timeout;
use sqlx::any::AnyConnectOptions;
use sqlx::migrate::{Migrate, MigrateError};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AnyConnection, AssertSqlSafe, ConnectOptions, Connection};
use url::{Position, Url};

use super::{Engine, Fault, MIGRATOR, PoolSettings, SETTINGS};

/// The database that a URL names.
pub enum Target {
    /// A file.
    Sqlite {
        /// Which, as it is written.
        path: PathBuf,
    },
    /// A database of a server.
    Postgres {
        /// The URL as it is written; a password may stand in it.
        url: Url,
    },
}

impl Target {
    /// The one that `figment` names.
    ///
    /// # Errors
    /// The settings are unfit.
    pub fn of(figment: &Figment) -> Result<Self, Fault> {
        Self::parse(&PoolSettings::read(&figment.focus(SETTINGS))?.url)
    }

    pub(super) fn parse(url: &str) -> Result<Self, Fault> {
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

    /// The file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite { path } => Some(path),
            Self::Postgres { .. } => None,
        }
    }

    /// How the server is spoken to, if there is one: what the URL says, and for the rest `PGHOST`,
    /// `PGSSLMODE` and their like.
    ///
    /// # Errors
    /// The URL has a parameter that can't be read.
    pub fn server(&self) -> Result<Option<PgConnectOptions>, Fault> {
        match self {
            Self::Sqlite { .. } => Ok(None),
            Self::Postgres { url } => PgConnectOptions::from_str(url.as_str())
                .map(Some)
                .map_err(|_| unreadable()),
        }
    }

    /// The URL of a server's database as PostgreSQL's own tools take it: without the password, and without
    /// the parameters that only sqlx knows.
    pub fn url_for_tools(&self) -> Option<String> {
        let Self::Postgres { url } = self else {
            return None;
        };
        let mut bare = url.clone();
        // It fails where there is no host, and then there is no password either.
        let _ = bare.set_password(None);
        bare.set_query(None);
        let known = |(name, value): (Cow<'_, str>, Cow<'_, str>)| {
            let name = match &*name {
                "ssl-mode" => "sslmode",
                "ssl-root-cert" | "ssl-ca" => "sslrootcert",
                "ssl-cert" => "sslcert",
                "ssl-key" => "sslkey",
                _ if TOOLS_KNOW.contains(&&*name) => &*name,
                _ => return None,
            };
            Some((name.to_owned(), value.into_owned()))
        };
        let pairs: Vec<_> = url.query_pairs().filter_map(known).collect();
        if !pairs.is_empty() {
            bare.query_pairs_mut().extend_pairs(pairs);
        }
        Some(bare.into())
    }

    pub(super) fn engine(&self) -> Engine {
        match self {
            Self::Sqlite { .. } => Engine::Sqlite,
            Self::Postgres { .. } => Engine::Postgres,
        }
    }

    /// Where it is, for messages: no password, no parameters.
    pub fn place(&self) -> String {
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
            Self::Postgres { url } => url.to_string(),
        };
        let options = AnyConnectOptions::from_str(&url).map_err(|_| unreadable())?;
        // The log leaves them out; a test listens, to have the database explain each.
        Ok(options
            .log_statements(LevelFilter::Trace)
            .log_slow_statements(LevelFilter::Off, Duration::MAX))
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

    /// Connects once, and creates nothing. A pool would only say that it timed out.
    pub(super) async fn demand(&self, patience: Duration) -> Result<(), Fault> {
        if self.file().is_some_and(|file| !file.exists()) {
            return Err(Fault::Missing(self.place()));
        }
        let connection = match timeout(patience, self.connect("rw")).await {
            Ok(connection) => connection?,
            Err(_) => {
                return Err(Fault::Connect {
                    place: self.place(),
                    source: io::Error::from(io::ErrorKind::TimedOut).into(),
                });
            }
        };
        connection.close().await?;
        Ok(())
    }

    pub(super) async fn create_and_migrate(&self) -> Result<(), Fault> {
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
        if self.engine() == Engine::Postgres {
            sort_by_bytes(&mut connection).await?;
        }
        connection.close().await?;
        drop(lock);
        Ok(())
    }

    pub(super) async fn applied(&self) -> Result<Vec<i64>, Fault> {
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

/// The parameters of a URL that PostgreSQL's own tools and sqlx take alike, but for the password.
const TOOLS_KNOW: [&str; 11] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

fn unreadable() -> Fault {
    Fault::Settings("the database's URL can't be read".into())
}

/// The columns that are searched by how they begin.
const SEARCHED: [(&str, &[&str]); 3] = [
    ("users", &["username_key"]),
    ("tokens", &["client_key", "username_key", "last_address"]),
    ("events", &["actor_key", "subject_key", "client_key"]),
];

/// Has PostgreSQL compare the columns that are searched byte by byte, as SQLite does: in the order of
/// a language, which it takes by default, what begins alike need not stand together.
async fn sort_by_bytes(connection: &mut AnyConnection) -> Result<(), Fault> {
    for (table, columns) in SEARCHED {
        let done: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation
             WHERE a.attrelid = CAST($1 AS regclass) AND c.collname = 'C'",
        )
        .bind(table)
        .fetch_one(&mut *connection)
        .await?;
        // Two processes may both find it to be done: doing it again is harmless.
        if done < i64::try_from(columns.len()).unwrap_or(i64::MAX) {
            let changes: Vec<_> = columns
                .iter()
                .map(|column| format!("ALTER COLUMN {column} TYPE TEXT COLLATE \"C\""))
                .collect();
            let sql = format!("ALTER TABLE {table} {}", changes.join(", "));
            sqlx::query(AssertSqlSafe(sql))
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(())
}

/// Makes the database's folder and holds a lock on a file beside it until dropped.
fn lock_beside(database: &Path) -> Result<File, Fault> {
    let fault = |path: &Path| {
        let path = path.to_owned();
        move |source| Fault::File { path, source }
    };
    if let Some(folder) = database.parent() {
        make_private(folder).map_err(fault(folder))?;
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

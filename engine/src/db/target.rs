//! The location of the database: its URL and how to connect to it.
//!
//! Every wait has a timeout, for servers that accept a connection and never respond, and for locks that others hold. A
//! command that can't reach or lock the database ends within 15 seconds. Only a running migration has no limit.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use figment::Figment;
use log::LevelFilter;
use sqlx::ConnectOptions;
use sqlx::any::AnyConnectOptions;

use super::settings::PoolSettings;
use super::{Engine, Fault, Server};

mod applied;
mod collation;
mod connect;
mod file;
mod lock;
mod migrate;

/// The location of a database.
pub enum Target {
    /// A SQLite file, by its path as written.
    Sqlite(PathBuf),
    /// A database on a PostgreSQL server.
    Postgres(Server),
}

impl Target {
    pub fn from_figment(figment: &Figment) -> Result<Self, Fault> {
        Self::parse(&PoolSettings::from_figment(figment)?.url)
    }

    pub(super) fn parse(url: &str) -> Result<Self, Fault> {
        let schemes = ["postgres://", "postgresql://"];
        let server = schemes.iter().find_map(|scheme| url.strip_prefix(scheme));
        let target = match (url.strip_prefix("sqlite:"), server) {
            (Some(path), _) => sqlite_file(path).map(Self::Sqlite).map_err(String::from),
            (None, Some(rest)) => Server::parse(rest).map(Self::Postgres),
            _ if url.is_empty() => Err("is empty (unset DATABASE_URL to use the default)".into()),
            _ => Err("has an unknown scheme".into()),
        };
        target.map_err(|what| {
            Fault::Settings(format!(
                "the database URL {what}; use sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE"
            ))
        })
    }

    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) => Some(path),
            Self::Postgres(_) => None,
        }
    }

    pub fn server(&self) -> Option<&Server> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(server) => Some(server),
        }
    }

    pub(super) fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }

    /// The location for messages, without password and parameters.
    pub fn place(&self) -> String {
        match self {
            Self::Sqlite(path) => path.display().to_string(),
            Self::Postgres(server) => server.place(),
        }
    }

    /// `mode` is SQLite's. `rwc` creates the file. With `rw`, a file that was moved away is an error, not an empty
    /// database.
    pub(super) fn options(&self, mode: &str) -> Result<AnyConnectOptions, Fault> {
        sqlx::any::install_default_drivers();
        let url = match self {
            Self::Sqlite(path) => {
                let path = path
                    .to_string_lossy()
                    .replace('%', "%25")
                    .replace('#', "%23");
                format!("sqlite://{path}?mode={mode}")
            }
            Self::Postgres(server) => {
                if let Some((name, file)) = server.files().find(|(_, file)| !file.exists()) {
                    let file = file.display();
                    let what = format!("{name} in the database URL: there is no file {file}");
                    return Err(Fault::Settings(what));
                }
                server.url()
            }
        };
        let options = AnyConnectOptions::from_str(&url).map_err(|_| Fault::unreadable_url())?;
        // The log does not include statements. A test collects them to run `EXPLAIN` on each.
        Ok(options
            .log_statements(LevelFilter::Trace)
            .log_slow_statements(LevelFilter::Off, Duration::MAX))
    }

    fn failed(&self, source: sqlx::Error) -> Fault {
        Fault::Failed {
            place: self.place(),
            source,
        }
    }
}

/// The path after `sqlite:`, or why it is refused.
fn sqlite_file(path: &str) -> Result<PathBuf, &'static str> {
    let path = path.strip_prefix("//").unwrap_or(path);
    Err(match path {
        "" | ":memory:" => "names no file, and all processes must share one",
        _ if path.contains('?') => "has parameters, which are not supported",
        _ if path.starts_with("file:") => "contains another URL",
        _ if path.starts_with('~') => {
            "begins with `~`, which a shell expands only at the beginning of a word; write the full path, or \
             \"sqlite:$HOME/…\" (or ./~… if the name begins with `~`)"
        }
        _ if path == "-" || path.starts_with('$') || path.trim() != path => {
            "is `-`, begins with `$` or has whitespace around it; write the full path (or ./… if that is the name)"
        }
        _ if path.ends_with('/') => "names a folder; name a file in it",
        _ => return Ok(path.into()),
    })
}

//! Database errors explained to operators.

use std::fmt;
use std::io;

use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;

/// An error's text, and a remedy if one is known.
pub(super) struct Cause {
    text: String,
    remedy: Option<&'static str>,
}

impl Cause {
    pub(super) fn from_error(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => Self {
                text: error.message().to_owned(),
                remedy: remedy(error.as_ref()),
            },
            sqlx::Error::Io(error) => Self {
                text: error.to_string(),
                remedy: None,
            },
            sqlx::Error::PoolTimedOut => Self {
                text: "no connection was available in time".into(),
                remedy: Some("all connections are in use, or the database is overloaded"),
            },
            other => Self {
                text: other.to_string(),
                remedy: None,
            },
        }
    }

    pub(super) fn for_connect(error: &sqlx::Error) -> Self {
        let Self { text, remedy } = Self::from_error(error);
        let hint = "check that the database is running and that DATABASE_URL is correct";
        Self {
            text,
            remedy: Some(remedy.unwrap_or(hint)),
        }
    }

    pub(super) fn for_migration(error: &MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) => Self::from_error(error),
            MigrateError::ExecuteMigration(error, version) => {
                let Self { text, remedy } = Self::from_error(error);
                Self {
                    text: format!("migration {version}: {text}"),
                    remedy,
                }
            }
            other => Self {
                text: other.to_string(),
                remedy: None,
            },
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

pub(super) fn response_timeout(seconds: u64) -> sqlx::Error {
    let text = format!("no response within {seconds} s");
    io::Error::new(io::ErrorKind::TimedOut, text).into()
}

const POOLER_REMEDY: &str = "the connection uses a pooler such as PgBouncer; set pool_mode = session and \
                      ignore_startup_parameters = extra_float_digits there (docs/deploying.md)";

/// The remedy by SQLSTATE (PostgreSQL, appendix A) or by SQLite's primary result code (the low byte).
fn remedy(error: &dyn DatabaseError) -> Option<&'static str> {
    let code = error.code().unwrap_or_default();
    // SQLSTATE has five characters.
    if code.len() < 5 {
        return match code.parse::<u32>().ok()? & 0xff {
            5 | 6 => Some("another process has locked it; try again, or stop that process"),
            8 => Some("give this process write permission for the file and its folder"),
            13 => Some("free space on the disk"),
            14 => Some("check that the folder exists and that this process may use it"),
            26 => Some("this file is not a SQLite database or is encrypted; name another file"),
            _ => None,
        };
    }
    match &*code {
        "08P01" if error.message().contains("startup parameter") => Some(POOLER_REMEDY),
        // A pooler mixed up prepared statements of several sessions.
        "26000" | "42P05" => Some(POOLER_REMEDY),
        "28000" | "28P01" => Some("check the user and password in DATABASE_URL"),
        "3D000" => Some("create the database with createdb, or name another one in DATABASE_URL"),
        "53300" => Some(
            "close other connections, or raise the limit: max_connections of the server, or \
             CONNECTION LIMIT of the role or the database",
        ),
        "57P03" => Some("try again in a moment"),
        "42501" => Some("grant this permission to the role"),
        "25006" => Some(
            "the server is read-only; connect to the primary, or turn default_transaction_read_only off",
        ),
        "55P03" => Some("another transaction holds a lock; find it in pg_stat_activity"),
        _ => None,
    }
}

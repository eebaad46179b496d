//! What the database's errors mean to an operator.

use std::fmt;
use std::io;

use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;

/// An error's text, and what can be done about it.
pub(super) struct Cause {
    text: String,
    remedy: Option<&'static str>,
}

impl Cause {
    pub(super) fn of(error: &sqlx::Error) -> Self {
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
                text: "no connection was to be had in time".into(),
                remedy: Some("others hold all of them, or it is overloaded"),
            },
            other => Self {
                text: other.to_string(),
                remedy: None,
            },
        }
    }

    pub(super) fn of_connecting(error: &sqlx::Error) -> Self {
        let Self { text, remedy } = Self::of(error);
        let is_running = "is it running, and is DATABASE_URL right?";
        Self {
            text,
            remedy: Some(remedy.unwrap_or(is_running)),
        }
    }

    pub(super) fn of_migrating(error: &MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) => Self::of(error),
            MigrateError::ExecuteMigration(error, version) => {
                let Self { text, remedy } = Self::of(error);
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

/// The wait for an answer is over.
pub(super) fn no_answer(seconds: u64) -> sqlx::Error {
    let text = format!("no answer within {seconds} s");
    io::Error::new(io::ErrorKind::TimedOut, text).into()
}

const POOLER: &str = "a pooler such as PgBouncer is in between; it needs pool_mode = session and \
                      ignore_startup_parameters = extra_float_digits (docs/deploying.md)";

/// By SQLSTATE (PostgreSQL, appendix A), or by SQLite's result codes, whose low byte is the kind.
fn remedy(error: &dyn DatabaseError) -> Option<&'static str> {
    let code = error.code().unwrap_or_default();
    // SQLSTATE has five characters.
    if code.len() < 5 {
        return match code.parse::<u32>().ok()? & 0xff {
            5 | 6 => Some("another process holds its lock"),
            8 => Some("give the process the right to write to the file and its folder"),
            13 => Some("free space on its file system"),
            14 => Some("does its folder exist, and may the process use it?"),
            26 => Some("this file is no SQLite database, or an encrypted one; name another"),
            _ => None,
        };
    }
    match &*code {
        "08P01" if error.message().contains("startup parameter") => Some(POOLER),
        // Another session prepared that statement, or has lost it.
        "26000" | "42P05" => Some(POOLER),
        "28000" | "28P01" => Some("are user and password in DATABASE_URL right?"),
        "3D000" => Some("create it with createdb, or name another in DATABASE_URL"),
        "53300" => Some(
            "close others, or raise the limit: max_connections of the server, CONNECTION LIMIT of the \
             role and of the database",
        ),
        "57P03" => Some("try again in a moment"),
        "42501" => Some("grant the role that right"),
        "25006" => Some("it takes no writes: a standby, or default_transaction_read_only is on"),
        "55P03" => Some("another transaction holds a lock; pg_stat_activity shows which"),
        _ => None,
    }
}

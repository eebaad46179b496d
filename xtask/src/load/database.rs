//! Databases full of tokens for the load test.
//!
//! `seed` creates four of five tokens, with users and a history, and stores only their digests. The load test creates
//! the other tokens itself, so that it knows tokens to send.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rand::seq::SliceRandom;
use rocket_multitoken::db::Engine;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use crate::load::Result;
use crate::load::command::{ServerSettings, app_command};
use crate::load::fill::{
    KNOWN_TOKENS_PER_USER, create_known_tokens, fill_audit_log, finish_background_work,
    run_subcommand, seed, username,
};
use crate::load::options::LoadOptions;
use crate::load::postgres::Postgres;

/// Seeded tokens in the small database.
pub const SMALL_DATABASE_TOKENS: u32 = 1000;

/// Seeded tokens per known token.
const SEEDED_PER_KNOWN: u32 = 4;
/// The maximum age of the list of known tokens. The tokens live longer than that.
const MAX_LIST_AGE: Duration = Duration::from_hours(20 * 24);
/// Audit events per seeded token.
const EVENTS_PER_TOKEN: i64 = 5;
/// The prefix of the names of users with known tokens.
const KNOWN_USER_PREFIX: &str = "bench-";
/// The prefix of the names of users with tokens for signing out.
const LOGOUT_USER_PREFIX: &str = "leaver-";
/// The client name of logins.
pub const LOGIN_CLIENT: &str = "wrk";

/// A filled database.
pub struct SeededDatabase {
    pub engine: Engine,
    pub url: String,
    /// The number of tokens, seeded and known.
    pub token_count: usize,
    /// The known tokens.
    pub known_tokens: Vec<String>,
    pub rows: RowCounts,
}

/// The number of rows per table.
#[derive(Clone, Copy)]
pub struct RowCounts {
    pub users: i64,
    pub tokens: i64,
    pub events: i64,
}

/// The storage of databases.
pub enum Backend {
    /// Files in a folder.
    Sqlite,
    Postgres(Postgres),
}

impl Backend {
    /// Starts the backend of an engine. None if the engine is not installed.
    pub async fn start(engine: Engine, options: &LoadOptions) -> Result<Option<Self>> {
        Ok(match engine {
            Engine::Sqlite => Some(Self::Sqlite),
            Engine::Postgres => Postgres::start(&options.folder).await?.map(Self::Postgres),
        })
    }

    fn engine(&self) -> Engine {
        match self {
            Self::Sqlite => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }

    /// A database with `seeded` tokens and a quarter as many known ones. Reuses the last run's database if possible.
    pub async fn database(&self, options: &LoadOptions, seeded: u32) -> Result<SeededDatabase> {
        let known_count = seeded / SEEDED_PER_KNOWN;
        let name = format!("seeded_{seeded}");
        let engine = self.engine();
        let token_list = options.folder.join(format!("{name}.{}", engine.name()));
        let file = options.folder.join(format!("{name}.db"));
        let url = match self {
            Self::Sqlite => format!("sqlite:{}", file.display()),
            Self::Postgres(server) => server.url(&name),
        };
        // A run makes the known tokens the most recently used ones, which changes the order of lists. Results that are
        // kept therefore come from a new database.
        let recreate = options.fresh || options.writes_results();
        let is_reusable = !recreate && is_fresh(&token_list) && is_usable(&url).await;
        if !is_reusable {
            eprintln!("{}: making {} tokens", engine.name(), seeded + known_count);
            match self {
                Self::Sqlite => remove_sqlite(&file)?,
                Self::Postgres(server) => server.create_database(&name).await?,
            }
            // The list of known tokens is written last. If it is missing, the next run creates the database again.
            seed(&url, seeded)?;
            let mut known_tokens =
                create_known_tokens(&url, engine, KNOWN_USER_PREFIX, known_count as usize).await?;
            fill_audit_log(&url, engine, EVENTS_PER_TOKEN * i64::from(seeded)).await?;
            // Measurements use the first tokens, which should come from the whole table.
            known_tokens.shuffle(&mut rand::rng());
            finish_background_work(&url, engine).await?;
            fs::write(&token_list, known_tokens.join("\n"))?;
        }
        // Otherwise the server would prune during the measurement.
        run_subcommand(&url, &["token", "prune", "--yes"])?;
        let lines = BufReader::new(File::open(&token_list)?).lines();
        Ok(SeededDatabase {
            rows: RowCounts::count(&url).await?,
            known_tokens: lines.collect::<Result<_, _>>()?,
            token_count: (seeded + known_count) as usize,
            engine,
            url,
        })
    }
}

impl SeededDatabase {
    /// The users with known tokens. All have the same password.
    pub fn users(&self) -> Vec<String> {
        let users = self.known_tokens.len().div_ceil(KNOWN_TOKENS_PER_USER);
        (0..users)
            .map(|index| username(KNOWN_USER_PREFIX, index))
            .collect()
    }

    /// Creates tokens for signing out, and removes leftover ones.
    pub async fn create_logout_tokens(&self, tokens: usize) -> Result<Vec<String>> {
        self.remove_run_data().await?;
        create_known_tokens(&self.url, self.engine, LOGOUT_USER_PREFIX, tokens).await
    }

    /// Removes the tokens for signing out, and the tokens and events of logins.
    pub async fn remove_run_data(&self) -> Result {
        let mut db = connect(&self.url).await?;
        // `.` follows `-`, so this is the end of the range of names with the prefix.
        let end = LOGOUT_USER_PREFIX.replace('-', ".");
        for sql in [
            "DELETE FROM users WHERE username_key >= $1 AND username_key < $2",
            "DELETE FROM events WHERE subject_key >= $1 AND subject_key < $2",
        ] {
            let statement = sqlx::query(sql).bind(LOGOUT_USER_PREFIX).bind(&end);
            statement.execute(&mut db).await?;
        }
        for sql in [
            "DELETE FROM tokens WHERE client_key = $1",
            "DELETE FROM events WHERE client_key = $1",
        ] {
            sqlx::query(sql).bind(LOGIN_CLIENT).execute(&mut db).await?;
        }
        Ok(db.close().await?)
    }
}

impl RowCounts {
    async fn count(url: &str) -> Result<Self> {
        let mut db = connect(url).await?;
        let mut counts = [0; 3];
        for (count, table) in counts.iter_mut().zip(["users", "tokens", "events"]) {
            let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
            *count = sqlx::query_scalar(sql).fetch_one(&mut db).await?;
        }
        db.close().await?;
        let [users, tokens, events] = counts;
        Ok(Self {
            users,
            tokens,
            events,
        })
    }
}

pub async fn connect(url: &str) -> Result<AnyConnection> {
    Ok(AnyConnection::connect(url).await?)
}

/// Whether the tokens in a list remain valid for the whole run.
fn is_fresh(token_list: &Path) -> bool {
    let age = || {
        fs::metadata(token_list)
            .ok()?
            .modified()
            .ok()?
            .elapsed()
            .ok()
    };
    age().is_some_and(|age| age < MAX_LIST_AGE)
}

/// Whether the database exists and this version can use it. It can't if a migration was rewritten before its release.
async fn is_usable(url: &str) -> bool {
    let mut migrate = app_command(url, ServerSettings::Default);
    migrate.arg("migrate").stderr(Stdio::null());
    connect(url).await.is_ok() && migrate.status().is_ok_and(|status| status.success())
}

fn remove_sqlite(file: &Path) -> Result {
    for suffix in ["", "-wal", "-shm"] {
        let path = PathBuf::from(format!("{}{suffix}", file.display()));
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

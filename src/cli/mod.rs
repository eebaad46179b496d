//! The command line: `serve` (the default) and what an operator does beside it.
//!
//! Results go to stdout, messages to stderr. The exit code is 0 where the command did its work, 1
//! where it was refused, 2 where it was not understood.

mod backup;
mod check;
mod migrate;
mod openapi;
mod output;
mod seed;
mod serve;
mod token;
mod user;

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use rocket::config::LogLevel;
use rocket::figment::Figment;
use rocket::tokio::time::timeout;

use crate::auth::Auth;
use crate::config::{self, Settings};
use crate::db::{self, Pool};
use crate::error::Error;
use crate::web::log;

/// Signs users in over JSON, a token for each of their clients, and serves the admin.
#[derive(Parser)]
#[command(version, about, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER_HELP: &str = "Settings come from Rocket.toml and the environment: DATABASE_URL, \
                          ROCKET_PORT, ROCKET_APP='{name=\"Acme\"}' and others.";

#[derive(Subcommand)]
enum Command {
    /// Serve the API and the admin (what happens without a subcommand)
    Serve,
    /// Apply pending migrations, or list them
    Migrate(migrate::Migrate),
    /// Create, list and change users
    #[command(subcommand)]
    User(user::User),
    /// List and revoke tokens
    #[command(subcommand)]
    Token(token::Token),
    Seed(seed::Seed),
    /// Print the OpenAPI document of the JSON API
    Openapi,
    Backup(backup::Backup),
    Check(check::Check),
}

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// It was refused; the text says why.
    #[error("{0}")]
    Refused(String),
    /// It was not understood.
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Settings(#[from] config::Unfit),
    #[error(transparent)]
    Database(#[from] db::Fault),
    /// The result can't be written.
    #[error("the result can't be written to stdout: {0}")]
    Output(io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(errors) => Self::Refused(errors.messages().join(" ")),
            Error::Database(error) => error.into(),
            other => Self::Refused(other.to_string()),
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// For connections to close at the end.
const PARTING: Duration = Duration::from_secs(2);

/// Runs the command that the process's arguments name.
pub fn run() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command.unwrap_or(Command::Serve),
        Err(other) => return said(&other),
    };
    let figment = config::figment();
    match Settings::load(&figment)
        .map_err(Failure::from)
        .and_then(|settings| {
            let level: LogLevel = match command {
                Command::Serve => figment
                    .extract_inner("log_level")
                    .unwrap_or(LogLevel::Normal),
                _ => LogLevel::Critical,
            };
            let _written_at_the_end = log::start(level);
            rocket::execute(execute(command, &figment, settings))
        }) {
        Ok(()) => ExitCode::SUCCESS,
        // A reader that closes the pipe early (`| head`) knows.
        Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(failure) => {
            output::message(&format!("error: {failure}"));
            ExitCode::from(if matches!(failure, Failure::Usage(_)) {
                2
            } else {
                1
            })
        }
    }
}

/// What is said instead of a command that runs: help, the version, or what is wrong with the arguments.
fn said(other: &clap::Error) -> ExitCode {
    let printed = other.print().and_then(|()| io::stdout().flush());
    match (printed, u8::try_from(other.exit_code())) {
        (Ok(()), Ok(code)) => ExitCode::from(code),
        _ => ExitCode::FAILURE,
    }
}

async fn execute(command: Command, figment: &Figment, settings: Settings) -> Result<(), Failure> {
    match command {
        Command::Serve => serve::run(figment, &settings).await,
        Command::Migrate(migrate) => migrate.run(figment).await,
        Command::Openapi => openapi::run(&settings),
        Command::Backup(backup) => backup.run(figment).await,
        Command::Check(check) => check.run(figment, settings).await,
        Command::User(user) => {
            with_auth(figment, settings, async |auth| user.run(auth).await).await
        }
        Command::Token(token) => {
            with_auth(figment, settings, async |auth| token.run(auth).await).await
        }
        Command::Seed(seed) => {
            with_auth(figment, settings, async |auth| seed.run(auth).await).await
        }
    }
}

/// Runs a command on the database, whose errors name the place and the cause.
async fn with_auth(
    figment: &Figment,
    settings: Settings,
    command: impl AsyncFnOnce(&Auth) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let auth = Auth::new(Pool::open(figment).await?, settings)?;
    let done = command(&auth).await;
    // When a command is done, it is done everywhere.
    auth.followed().await;
    // A server that has stopped answering is not waited for.
    let _ = timeout(PARTING, auth.pool().shut()).await;
    match done {
        Err(Failure::Database(db::Fault::Query(error))) => {
            Err(db::explain(figment, error).await.into())
        }
        done => done,
    }
}

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

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rocket::config::LogLevel;
use rocket::figment::Figment;

use crate::auth::Auth;
use crate::config::{self, Settings};
use crate::db::Pool;
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
    Database(#[from] crate::db::Fault),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(match &error {
            Error::Invalid(errors) => errors.messages().join(" "),
            other => other.to_string(),
        })
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Error::from(error).into()
    }
}

/// Runs the command that the process's arguments name.
pub fn run() -> ExitCode {
    let command = Cli::parse().command.unwrap_or(Command::Serve);
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

async fn execute(command: Command, figment: &Figment, settings: Settings) -> Result<(), Failure> {
    match command {
        Command::Serve => serve::run(figment, &settings).await,
        Command::Migrate(migrate) => migrate.run(figment).await,
        Command::Openapi => openapi::run(&settings),
        Command::Backup(backup) => backup.run(figment).await,
        Command::Check(check) => check.run(figment, settings).await,
        Command::User(user) => {
            let auth = open(figment, settings).await?;
            let done = user.run(&auth).await;
            close(&auth).await;
            done
        }
        Command::Token(token) => {
            let auth = open(figment, settings).await?;
            let done = token.run(&auth).await;
            close(&auth).await;
            done
        }
        Command::Seed(seed) => {
            let auth = open(figment, settings).await?;
            let done = seed.run(&auth).await;
            close(&auth).await;
            done
        }
    }
}

/// When a command is done, it is done everywhere.
async fn close(auth: &Auth) {
    auth.followed().await;
    auth.pool().shut().await;
}

async fn open(figment: &Figment, settings: Settings) -> Result<Auth, Failure> {
    Ok(Auth::new(Pool::open(figment).await?, settings)?)
}

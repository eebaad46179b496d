//! The command line: `serve` (the default) and the operator's commands.
//!
//! Results go to stdout, messages to stderr. The exit code is 0 for success, 1 for a refusal and 2 for a usage error.

mod backup;
mod check;
mod invite;
mod mail;
mod migrate;
mod openapi;
mod output;
mod password_source;
mod seed;
mod serve;
mod token;
mod user;

use std::env;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use figment::Figment;
use rocket::config::LogLevel;
use rocket::{Build, Rocket};
use tokio::time::timeout;

use crate::application::{Application, application};
use crate::auth::Auth;
use crate::config::{self, Settings};
use crate::db::{self, Pool};
use crate::error::Error;
use crate::identity::Username;
use crate::web::log;

/// Serves a JSON API for sign-in with one token per client, account pages and admin pages.
#[derive(Parser)]
#[command(version, about, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER_HELP: &str = "Settings are read from Rocket.toml and from environment variables such as \
                          DATABASE_URL, ROCKET_PORT and ROCKET_APP='{name=\"Acme\"}'.";

#[derive(Subcommand)]
enum Command {
    /// Start the server (default)
    Serve,
    /// Apply pending migrations, or list them
    Migrate(migrate::Migrate),
    /// Create, list and change users
    #[command(subcommand)]
    User(user::UserCommand),
    /// List, find and revoke tokens
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Send a test email
    #[command(subcommand)]
    Mail(mail::MailCommand),
    Seed(seed::Seed),
    /// Print the OpenAPI document of the JSON API
    Openapi,
    Backup(backup::Backup),
    Check(check::Check),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// Refused, with the reason.
    #[error("{0}")]
    Refused(String),
    /// Wrong usage, with the reason.
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Settings(#[from] config::InvalidSetting),
    #[error(transparent)]
    Database(#[from] db::Fault),
    #[error("cannot write the result to stdout: {0}")]
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

/// The timeout for closing the database connections when a command ends.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Builds the application, as its `lib.rs` does.
pub type Builder = fn(Figment) -> Result<Rocket<Build>, config::InvalidSetting>;

/// Runs the command that the process's arguments name.
pub fn run(application: &'static Application, build: Builder) -> ExitCode {
    application.set_current();
    let command = match parse_arguments() {
        Ok(cli) => cli.command.unwrap_or(Command::Serve),
        Err(error) => return print_clap_error(&error),
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
            let _log_guard = log::start(level);
            rocket::execute(execute(command, build, &figment, settings))
        }) {
        Ok(()) => ExitCode::SUCCESS,
        // A reader that closes the pipe early, such as `head`, needs no message.
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

fn parse_arguments() -> Result<Cli, clap::Error> {
    let Application { name, version, .. } = application();
    let mut command = Cli::command().name(*name).version(*version);
    let matches = command.try_get_matches_from_mut(env::args_os())?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// Prints help, the version or a usage error.
fn print_clap_error(error: &clap::Error) -> ExitCode {
    let printed = error.print().and_then(|()| io::stdout().flush());
    match (printed, u8::try_from(error.exit_code())) {
        (Ok(()), Ok(code)) => ExitCode::from(code),
        _ => ExitCode::FAILURE,
    }
}

async fn execute(
    command: Command,
    build: Builder,
    figment: &Figment,
    settings: Settings,
) -> Result<(), Failure> {
    match command {
        Command::Serve => serve::run(build, figment, &settings).await,
        Command::Migrate(migrate) => migrate.run(figment).await,
        Command::Openapi => openapi::run(build, figment).await,
        Command::Backup(backup) => backup.run(figment).await,
        Command::Check(check) => check.run(build, figment, settings).await,
        Command::User(user) => {
            with_auth(figment, settings, async |auth| user.run(auth).await).await
        }
        Command::Token(token) => {
            with_auth(figment, settings, async |auth| token.run(auth).await).await
        }
        Command::Mail(mail) => mail.run(&settings).await,
        Command::Seed(seed) => {
            with_auth(figment, settings, async |auth| seed.run(auth).await).await
        }
    }
}

/// Runs a command on the database. Its errors name the database and the cause.
async fn with_auth(
    figment: &Figment,
    settings: Settings,
    command: impl AsyncFnOnce(&Auth) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let auth = Auth::new(Pool::open(figment).await?, settings)?;
    let result = command(&auth).await;
    // When the command returns, every process follows its revocations.
    auth.sessions.wait_for_propagation().await;
    // Does not wait for a database that stopped responding.
    let _ = timeout(CLOSE_TIMEOUT, auth.pool().close_all()).await;
    match result {
        Err(Failure::Database(db::Fault::Query(error))) => {
            Err(db::explain(figment, error).await.into())
        }
        result => result,
    }
}

fn parse_username(name: &str) -> Result<Username, Failure> {
    Username::parse(name).map_err(|reason| Failure::Refused(format!("invalid username: {reason}")))
}

//! The command `serve`: startup checks, the server, and graceful shutdown.

use std::time::Duration;

use figment::Figment;
use futures::FutureExt;
use rocket::error::ErrorKind;
use rocket::{Config, Shutdown};
use tokio::select;
use tokio::time::{Instant, timeout_at};

use super::{Builder, Failure};
use crate::admin::startup_message;
use crate::auth::Auth;
use crate::config::Settings;
use crate::db::{self, Db, Pool, Server, Target};
use crate::web::in_flight::InFlight;
use crate::web::path_scope::Scope;

/// The time kept at the end of `shutdown.mercy` for writing the last uses and closing connections.
const MIN_FINISH_TIME: Duration = Duration::from_secs(1);

pub async fn run(build: Builder, figment: &Figment, settings: &Settings) -> Result<(), Failure> {
    // Before the database, so that a start refused for a setting does not create one.
    let rocket = build(figment.clone())?;
    // Opened here, so that an error names its cause. Rocket would only report that a fairing failed.
    let pool = Pool::open_for_server(figment).await?;
    warn_of_unverified_database(figment).await?;
    if figment.profile() != Config::DEBUG_PROFILE && !settings.is_https() {
        tracing::warn!(
            "app.public_url is not https, so cookies are sent without Secure and browsers may use http"
        );
    }

    let config: Config = figment
        .extract()
        .map_err(|error| Failure::Refused(error.to_string()))?;
    let in_flight = InFlight::default();
    let ignited = rocket
        .manage(Db::from(pool))
        .attach(in_flight.clone())
        .attach(startup_message::fairing(Scope::Everywhere))
        .ignite()
        .await
        .map_err(|error| startup_failure(&error, &config))?;
    let auth = ignited.state::<Auth>().cloned();
    let Config { shutdown, .. } = &config;
    let allowed = Duration::from_secs(u64::from(shutdown.grace) + u64::from(shutdown.mercy));
    let shutdown_requested = shutdown_requested(ignited.shutdown()).shared();
    let requests_finished = requests_finished(
        shutdown_requested.clone(),
        &in_flight,
        allowed.saturating_sub(MIN_FINISH_TIME),
    );
    let served = select! {
        biased;
        served = ignited.launch() => served.map(drop),
        () = requests_finished => Ok(()),
    };

    if let Some(auth) = auth {
        // If the server stopped without a request, the time starts now.
        let end = shutdown_requested
            .now_or_never()
            .unwrap_or_else(Instant::now)
            + allowed;
        auth.outbox.close((end - MIN_FINISH_TIME).into()).await;
        if timeout_at(end, finish(&auth)).await.is_err() {
            tracing::warn!("the database did not respond in time during shutdown");
        }
    }
    match served {
        Ok(()) => Ok(()),
        Err(error) => match error.kind() {
            ErrorKind::Shutdown(..) => {
                tracing::warn!(
                    "some connections were still open at the end of the shutdown timeout and were closed"
                );
                Ok(())
            }
            _ => Err(startup_failure(&error, &config)),
        },
    }
}

/// Warns if others could read or change the connection to the database.
async fn warn_of_unverified_database(figment: &Figment) -> Result<(), Failure> {
    let target = Target::from_figment(figment)?;
    let server = target.server().map(Server::options).transpose()?;
    if let Some(server) = server
        && db::can_be_impersonated(&server).await
    {
        tracing::warn!(
            "the identity of the database server {} is not verified, so an attacker on the network can read and \
             change its data; add ?sslmode=verify-full to the URL",
            server.get_host()
        );
    }
    Ok(())
}

/// The time at which shutdown was requested.
async fn shutdown_requested(shutdown: Shutdown) -> Instant {
    shutdown.await;
    Instant::now()
}

/// Returns once shutdown was requested and the requests in flight have their responses, at most `allowed` later.
///
/// Rocket would wait for its whole grace period if a single connection is open. Behind a proxy, one always is.
async fn requests_finished(
    shutdown_requested: impl Future<Output = Instant>,
    in_flight: &InFlight,
    allowed: Duration,
) {
    let end = shutdown_requested.await + allowed;
    if timeout_at(end, in_flight.wait_until_idle()).await.is_err() {
        tracing::warn!(
            "some requests were still running at the end of the shutdown timeout and were aborted"
        );
    }
}

/// Writes pending uses and closes the pool.
async fn finish(auth: &Auth) {
    if let Err(error) = auth.last_uses.flush().await {
        tracing::warn!("could not save when some tokens were last used: {error}");
    }
    auth.pool().close_all().await;
}

fn startup_failure(error: &rocket::Error, config: &Config) -> Failure {
    let (address, port) = (config.address, config.port);
    Failure::Refused(match error.kind() {
        ErrorKind::Bind(cause) | ErrorKind::Io(cause) => format!(
            "cannot listen on {address}:{port}: {cause}; stop the process that uses this port, or change \
             ROCKET_PORT or ROCKET_ADDRESS"
        ),
        ErrorKind::InsecureSecretKey(profile) => {
            format!("secret_key: required in the {profile} profile; set ROCKET_SECRET_KEY")
        }
        ErrorKind::Collisions(collisions) => format!("routes collide: {collisions:?}"),
        ErrorKind::FailedFairings(failed) => {
            let names: Vec<_> = failed.iter().map(|fairing| fairing.name).collect();
            format!("cannot start: {} failed", names.join(", "))
        }
        other => format!("cannot start: {other}"),
    })
}

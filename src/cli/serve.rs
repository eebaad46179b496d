//! `multitoken serve`: the server, from a checked start to a clean end.

use std::time::Duration;

use rocket::error::ErrorKind;
use rocket::fairing::AdHoc;
use rocket::figment::Figment;
use rocket::futures::FutureExt;
use rocket::tokio::select;
use rocket::tokio::time::{Instant, timeout_at};
use rocket::{Config, Orbit, Rocket, Shutdown};

use super::{Failure, output};
use crate::auth::Auth;
use crate::auth::setup::Setup;
use crate::config::Settings;
use crate::db::{self, Db, Pool, Server, Target};
use crate::web::under_way::UnderWay;

/// The part of `shutdown.mercy` in which last uses are written and connections closed, at least.
const LAST: Duration = Duration::from_secs(1);

pub async fn run(figment: &Figment, settings: &Settings) -> Result<(), Failure> {
    // Rocket would only say that a fairing failed; opened here, the database says what is wrong.
    let pool = Pool::open_for_server(figment).await?;
    warn_of_unverified_database(figment).await?;
    if figment.profile() != Config::DEBUG_PROFILE && !settings.is_https() {
        tracing::warn!(
            "app.public_url is not https: cookies go without Secure and browsers may come by http"
        );
    }

    let config: Config = figment
        .extract()
        .map_err(|error| Failure::Refused(error.to_string()))?;
    let under_way = UnderWay::default();
    let ignited = crate::rocket(figment.clone())?
        .manage(Db::from(pool))
        .attach(under_way.clone())
        .attach(AdHoc::on_liftoff("greeting", |rocket| {
            Box::pin(greet(rocket))
        }))
        .ignite()
        .await
        .map_err(|error| not_started(&error, &config))?;
    let auth = ignited.state::<Auth>().cloned();
    let Config { shutdown, .. } = &config;
    let allowed = Duration::from_secs(u64::from(shutdown.grace) + u64::from(shutdown.mercy));
    let told = told(ignited.shutdown()).shared();
    let answered = answered(told.clone(), &under_way, allowed.saturating_sub(LAST));
    let served = select! {
        biased;
        served = ignited.launch() => served.map(drop),
        () = answered => Ok(()),
    };

    if let Some(auth) = auth {
        // Where the server ended by itself there is as much time.
        let end = told.now_or_never().unwrap_or_else(Instant::now) + allowed;
        if timeout_at(end, finish(&auth)).await.is_err() {
            tracing::warn!("the database was held up and not waited for");
        }
    }
    match served {
        Ok(()) => Ok(()),
        Err(error) => match error.kind() {
            ErrorKind::Shutdown(..) => {
                tracing::warn!("some connections were still open and were cut off");
                Ok(())
            }
            _ => Err(not_started(&error, &config)),
        },
    }
}

/// Warns of a connection to the database that others may read or change.
async fn warn_of_unverified_database(figment: &Figment) -> Result<(), Failure> {
    let target = Target::of(figment)?;
    let server = target.server().map(Server::options).transpose()?;
    if let Some(server) = server
        && db::may_be_posed_as(&server).await
    {
        tracing::warn!(
            "nothing proves that the database at {} is yours: anyone on the way can read and change what goes there; add ?sslmode=verify-full to its URL",
            server.get_host()
        );
    }
    Ok(())
}

/// When the server was told to end.
async fn told(shutdown: Shutdown) -> Instant {
    shutdown.await;
    Instant::now()
}

/// Returns when the server was told to end and has answered the requests under way, or has had `allowed`
/// for it.
///
/// Rocket returns by itself, but if a single connection was open it waits until its grace is over; and
/// behind a proxy one always is.
async fn answered(told: impl Future<Output = Instant>, under_way: &UnderWay, allowed: Duration) {
    let end = told.await + allowed;
    if timeout_at(end, under_way.none()).await.is_err() {
        tracing::warn!("some requests were not answered in time and were cut off");
    }
}

/// Writes what requests have left behind, and lets go of the database.
async fn finish(auth: &Auth) {
    if let Err(error) = auth.flush_usage().await {
        tracing::warn!("the last uses of some tokens are lost: {error}");
    }
    auth.pool().shut().await;
}

async fn greet(rocket: &Rocket<Orbit>) {
    let (Some(auth), Some(setup)) = (rocket.state::<Auth>(), rocket.state::<Setup>()) else {
        return;
    };
    let origin = auth.settings().origin(rocket.config());
    let Config { address, port, .. } = rocket.config();
    tracing::info!("listening on {address}:{port}, for browsers {origin}/admin/");
    match auth.has_admin().await {
        Ok(true) => {}
        Ok(false) => {
            let program = std::env::args()
                .next()
                .unwrap_or_else(|| "multitoken".into());
            output::message(&format!(
                "\nThere is no admin yet. Make the first one, once, in a browser:\n\n    \
                 {origin}/admin/setup?key={key}\n\nor here: {program} user create NAME --admin\n",
                key = setup.open()
            ));
        }
        Err(error) => tracing::error!("cannot tell whether there is an admin: {error}"),
    }
}

fn not_started(error: &rocket::Error, config: &Config) -> Failure {
    let (address, port) = (config.address, config.port);
    Failure::Refused(match error.kind() {
        ErrorKind::Bind(cause) | ErrorKind::Io(cause) => format!(
            "cannot listen on {address}:{port}: {cause}; end what listens there, or set \
             ROCKET_PORT or ROCKET_ADDRESS to another"
        ),
        ErrorKind::InsecureSecretKey(profile) => {
            format!("secret_key: the {profile} profile needs one of its own; set ROCKET_SECRET_KEY")
        }
        ErrorKind::Collisions(collisions) => format!("routes collide: {collisions:?}"),
        ErrorKind::FailedFairings(failed) => {
            let names: Vec<_> = failed.iter().map(|fairing| fairing.name).collect();
            let templates = names.iter().any(|name| name.contains("Templat"));
            let hint = if templates {
                "; is a template broken?"
            } else {
                ""
            };
            format!("cannot start: {} failed{hint}", names.join(", "))
        }
        other => format!("cannot start: {other}"),
    })
}

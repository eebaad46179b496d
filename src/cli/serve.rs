//! `multitoken serve`: the server, from a checked start to a clean end.

use rocket::error::ErrorKind;
use rocket::fairing::AdHoc;
use rocket::figment::Figment;
use rocket::{Config, Orbit, Rocket};

use super::{Failure, output};
use crate::auth::Auth;
use crate::auth::setup::Setup;
use crate::config::Settings;
use crate::db::Pool;

pub async fn run(figment: &Figment, settings: &Settings) -> Result<(), Failure> {
    // Rocket would only say that a fairing failed; opened here, the database says what is wrong.
    Pool::open(figment).await?.shut().await;
    if figment.profile() != Config::DEBUG_PROFILE && !settings.is_https() {
        tracing::warn!(
            "app.public_url is not https: cookies go without Secure and browsers may come by http"
        );
    }

    let config: Config = figment
        .extract()
        .map_err(|error| Failure::Refused(error.to_string()))?;
    let ignited = crate::rocket(figment.clone())?
        .attach(AdHoc::on_liftoff("greeting", |rocket| {
            Box::pin(greet(rocket))
        }))
        .ignite()
        .await
        .map_err(|error| not_started(&error, &config))?;
    let auth = ignited.state::<Auth>().cloned();
    let served = ignited.launch().await;

    if let Some(auth) = auth {
        // All requests are answered now; what they left behind is written last.
        if let Err(error) = auth.flush_usage().await {
            tracing::warn!("the last uses of some tokens are lost: {error}");
        }
        auth.pool().shut().await;
    }
    match served {
        Ok(_) => Ok(()),
        Err(error) => match error.kind() {
            ErrorKind::Shutdown(..) => {
                tracing::warn!("some connections were still open and were cut off");
                Ok(())
            }
            _ => Err(not_started(&error, &config)),
        },
    }
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
            format!(
                "cannot start: {} failed; is a template broken?",
                names.join(", ")
            )
        }
        other => format!("cannot start: {other}"),
    })
}

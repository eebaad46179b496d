//! An application with all stages of the engine and nothing else. A starting point for your own.

use std::process::ExitCode;

use rocket::figment::Figment;
use rocket::{Build, Rocket};
use rocket_multitoken::{Application, InvalidSetting, account, admin, api, web};

static APPLICATION: Application = Application {
    name: "multitoken",
    version: env!("CARGO_PKG_VERSION"),
    migrations: sqlx::migrate::Migrator::DEFAULT,
    actions: &[],
};

fn main() -> ExitCode {
    rocket_multitoken::cli::run(&APPLICATION, rocket)
}

pub(crate) fn rocket(figment: Figment) -> Result<Rocket<Build>, InvalidSetting> {
    Ok(rocket_multitoken::rocket(&APPLICATION, figment)?
        .attach(api::health::stage())
        .attach(api::metrics::stage())
        .attach(api::docs::stage())
        .attach(api::session::stage())
        .attach(api::account::stage())
        .attach(api::email::stage())
        .attach(api::reset::stage())
        .attach(api::sign_up::stage())
        .attach(api::tokens::stage())
        .attach(admin::session::stage())
        .attach(admin::dashboard::stage())
        .attach(admin::users::stage())
        .attach(admin::new_user::stage())
        .attach(admin::account::stage())
        .attach(admin::tokens::stage())
        .attach(admin::bulk::stage())
        .attach(admin::audit::stage())
        .attach(admin::addresses::stage())
        .attach(admin::find::stage())
        .attach(admin::theme::stage())
        .attach(admin::stage())
        .attach(account::session::stage())
        .attach(account::sign_up::stage())
        .attach(account::tokens::stage())
        .attach(account::password::stage())
        .attach(account::email::stage())
        .attach(account::deletion::stage())
        .attach(account::front::stage())
        .attach(account::dev_mail::stage())
        .attach(account::stage())
        .attach(web::fallbacks::stage()))
}

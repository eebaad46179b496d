//! Multitoken, a Rocket application. Users sign in through a JSON API and get one token per client. Admins see and
//! revoke tokens on server-rendered pages.
//!
//! This file is the table of contents: the stages of the engine, `rocket_multitoken`, and your own.

pub mod notes;
use rocket::figment::Figment;
use rocket::{Build, Rocket};
use rocket_multitoken::{Application, InvalidSetting, account, admin, api, web};

/// The application's name, version, migrations and audit actions.
pub static APPLICATION: Application = Application {
    name: env!("CARGO_PKG_NAME"),
    version: env!("CARGO_PKG_VERSION"),
    migrations: sqlx::migrate!(),
    actions: ACTIONS,
};

/// The application's actions in the audit log.
const ACTIONS: &[&str] = &[
    // Each is a thing and what happened to it.
    notes::DELETED,
];

/// Builds the application from its stages. The admin's menu lists the pages of your stages in this order.
/// `web::fallbacks` must be last, because it covers the routes that are mounted before it.
///
/// # Errors
/// A setting is invalid, or a template or asset can't be read. The error names it.
pub fn rocket(figment: Figment) -> Result<Rocket<Build>, InvalidSetting> {
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
        .attach(notes::stage())
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

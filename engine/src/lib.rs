//! The engine of a Rocket application with token authentication. Users sign in through a JSON API and get one token per
//! client. Admins see and revoke tokens on server-rendered pages.
//!
//! An application passes in its [`Application`] and attaches the stages that it needs:
//!
//! ```text
//! pub fn rocket(figment: Figment) -> Result<Rocket<Build>, InvalidSetting> {
//!     Ok(rocket_multitoken::rocket(&APPLICATION, figment)?
//!         .attach(api::session::stage())
//!         .attach(admin::session::stage())
//!         // …
//!         .attach(web::fallbacks::stage()))
//! }
//! ```
//!
//! Each stage can be left out, or replaced by your own. `cargo xtask eject api/session` copies its handlers into your
//! application.
//!
//! - [`api::health`], [`api::metrics`], [`api::docs`], [`api::session`], [`api::account`], [`api::tokens`],
//!   [`api::email`], [`api::reset`], [`api::sign_up`];
//! - [`account::session`], [`account::sign_up`], [`account::tokens`], [`account::password`], [`account::email`],
//!   [`account::deletion`], [`account::front`], [`account::dev_mail`], and [`account`] itself;
//! - [`admin::session`], [`admin::dashboard`], [`admin::users`], [`admin::new_user`], [`admin::account`],
//!   [`admin::tokens`], [`admin::bulk`], [`admin::audit`], [`admin::addresses`], [`admin::find`], [`admin::theme`], and
//!   [`admin`] itself, for all other paths there.
//!
//! The rest of the public API, for handlers:
//!
//! | for | use |
//! | --- | --- |
//! | the current user | the guards in [`auth::guard`]; [`auth::session`]; [`web::caller::Caller`] |
//! | bodies | [`web::body::Body`] for JSON or a form, [`web::body::FormInput`] for a page's form, [`field`] for its fields; [`web::drain::IgnoredBody`] |
//! | errors | [`error::Error`] and [`error::FieldErrors`] |
//! | the database | [`pool()`](auth::AuthServices::pool) of [`auth::Auth`], [`db::Conn`]; [`id!`] for ids of your own; [`models::event`] for the audit log |
//! | users and tokens | [`auth::Auth`], as managed state, with a module for each of its parts: [`auth::logins`], [`auth::sessions`], [`auth::accounts`], [`auth::bulk_actions`], [`auth::links`], [`auth::outbox`], [`auth::throttle`], [`auth::last_uses`], [`auth::readiness`]; [`auth::revocation`] for what ends and why; [`auth::find`]; [`auth::setup`]; [`auth::cookie`]; [`auth::background_tasks`] |
//! | reading users and tokens | [`models::user`], [`models::token`], [`models::token::list`], [`models::stats`] |
//! | names, ids, addresses | [`identity`], [`identity::address`], [`identity::device`], [`identity::email`]; [`password::Password`], [`secret::Secret`] |
//! | settings | [`config::Settings`], as managed state; [`application()`] |
//! | pages of the admin | [`admin::page::AdminLayout`], [`web::templates::Template`] and [`context!`], [`web::flash::FlashRedirect`], [`web::page`], [`admin::confirm`], [`admin::note`], [`web::theme`] |
//! | pages of the account | [`account::page::AccountLayout`] |
//! | mail | [`mail`] |
//! | the admin's menu | [`web::menu::add`] |
//! | lists of the admin | [`models::list::List`], [`admin::list::ListParams`], [`admin::list::Pager`], [`admin::csv`], [`admin::token_filter`], [`admin::token_view`], [`admin::user_view`], [`admin::event_view`] |
//! | the description of the API | [`api::description::describe`] |
//! | responses | [`web::deadline::bounded`], around every list of routes; [`web::fallbacks`], the last stage; [`web::loopback`]; [`web::representation`]; [`web::time`]; [`web::metrics`] |
//! | the command line | [`cli::run`] |
//!
//! Change tokens and users only through [`auth::Auth`], which writes the audit log and invalidates cached sessions. The
//! pool's `write()` accepts any SQL. Nothing enforces that you use it for your own tables only.
//! A test compares this page with the public modules.
//!
//! A request matches a route of [`api`], [`admin`] or [`account`] and passes a guard of [`auth`]. The handler responds,
//! or a catcher responds to an error with a page or problem details.

use std::sync::Arc;

use figment::Figment;
use figment::value::magic::RelativePathBuf;
use rocket::fairing::AdHoc;
use rocket::shield::Shield;
use rocket::{Build, Rocket};

pub use crate::application::{Application, application};
pub use crate::config::InvalidSetting;
use crate::config::Settings;
use crate::db::{Db, Pool};
use crate::web::assets::Assets;
use crate::web::files::Files;
use crate::web::path_scope::Scope;
use crate::web::templates::Templates;

pub mod account;
pub mod admin;
pub mod api;
mod application;
pub mod auth;
pub mod cli;
pub mod config;
pub mod db;
pub mod error;
pub mod field;
pub mod identity;
pub mod mail;
pub mod models;
pub mod password;
pub mod secret;
pub mod web;

// For unit tests on a real PostgreSQL.
#[cfg(test)]
#[allow(dead_code)]
#[path = "../tests/support/needs.rs"]
mod needs;
#[cfg(test)]
#[allow(dead_code)]
#[path = "../tests/support/postgres.rs"]
mod postgres;

/// The base of an application: settings, database, templates and assets, response headers, error pages, log lines,
/// users and tokens. Attach the stages to it, with [`web::fallbacks::stage`] as the last.
///
/// # Errors
/// A setting is invalid, or a template or asset can't be read. The text names it.
pub fn rocket(
    application: &'static Application,
    figment: Figment,
) -> Result<Rocket<Build>, InvalidSetting> {
    application.set_current();
    let settings = Settings::load(&figment)?;
    config::check_secret_key(&figment)?;
    let base = Base::read(&figment, settings, Scope::Everywhere)?;
    let rocket = rocket::custom(figment).attach(db::stage());
    Ok(base.attach_to(rocket.attach(Shield::new())))
}

/// The engine for an existing Rocket application: `/auth`, `/admin`, `/account`, and the guards [`auth::guard::User`]
/// and [`auth::guard::Admin`] for its own routes. All other paths stay unchanged.
///
/// It reads the configuration tables `app` and `databases.multitoken`. If a setting is invalid, ignition fails, and Rocket's log
/// names it.
pub fn stage() -> AdHoc {
    AdHoc::try_on_ignite("multitoken", |rocket| async {
        match Base::open(rocket.figment()).await {
            Ok((base, pool)) => Ok(base
                .attach_to(rocket.manage(Db::from(pool)))
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
                .attach(account::stage())
                .attach(admin::startup_message::fairing(Scope::OwnPaths))
                .attach(web::fallbacks::stage_in(Scope::OwnPaths))
                .attach(auth::background_tasks::shutdown_fairing())),
            Err(fault) => {
                // An existing application logs through Rocket.
                log::error!("{fault}");
                Err(rocket)
            }
        }
    })
}

/// What all stages need except the database.
struct Base {
    settings: Settings,
    assets: Assets,
    templates: Templates,
    scope: Scope,
}

impl Base {
    fn read(figment: &Figment, settings: Settings, scope: Scope) -> Result<Self, InvalidSetting> {
        let invalid =
            |folder: &str, fault: String| InvalidSetting::new(format!("{folder}: {fault}"));
        let assets = Assets::read(Files::assets(scope), scope);
        let assets = assets.map_err(|error| invalid("static", error.to_string()))?;
        let folder = figment.extract_inner("template_dir").ok();
        let folder = folder.map(|folder: RelativePathBuf| folder.relative());
        let templates = Templates::read(Files::templates(folder, scope), assets.clone());
        Ok(Self {
            settings,
            assets,
            templates: templates.map_err(|fault| invalid("templates", fault))?,
            scope,
        })
    }

    /// For an existing application: also opens the database.
    async fn open(figment: &Figment) -> Result<(Self, Pool), String> {
        let figment = figment.clone().join((
            format!("{}.url", config::database_key()),
            "sqlite:data/multitoken.db",
        ));
        web::log::use_tracing();
        let settings = Settings::read(&figment).map_err(|fault| fault.to_string())?;
        config::check_secret_key(&figment).map_err(|fault| fault.to_string())?;
        let base = Self::read(&figment, settings, Scope::OwnPaths);
        let base = base.map_err(|fault| fault.to_string())?;
        let pool = Pool::open_for_server(&figment).await;
        Ok((base, pool.map_err(|fault| fault.to_string())?))
    }

    fn attach_to(self, rocket: Rocket<Build>) -> Rocket<Build> {
        let scope = self.scope;
        rocket
            .manage(scope)
            .manage(self.settings)
            .manage(Arc::new(self.templates))
            .attach(web::fallbacks::OriginalMethod(scope))
            .attach(web::headers::Headers(scope))
            .attach(web::cors::Cors(scope))
            // After every fairing that changes the response.
            .attach(web::access_log::AccessLog(scope))
            .attach(web::catchers::stage(scope))
            .attach(web::assets::stage(self.assets))
            .attach(auth::stage())
    }
}

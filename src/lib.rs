//! Multitoken, an application on Rocket. Users sign in through a JSON API and get a token for each of
//! their clients; an admin sees and revokes tokens on server-rendered pages.
//!
//! This file is the table of contents. A request comes in by a route of [`api`] or [`admin`],
//! passes a guard of [`auth`], and is answered by the handler, or by [`web::catchers`] where
//! anything failed.

use rocket::figment::Figment;
use rocket::shield::Shield;
use rocket::{Build, Rocket};

use crate::config::{Settings, Unfit};
use crate::web::assets::Assets;

pub mod admin;
pub mod api;
pub mod auth;
pub mod cli;
pub mod config;
pub mod db;
pub mod error;
pub mod identity;
pub mod models;
pub mod password;
pub mod secret;
pub mod web;

// What is not public is tested on a real PostgreSQL too.
#[cfg(test)]
#[allow(dead_code)]
#[path = "../tests/support/needs.rs"]
mod needs;
#[cfg(test)]
#[allow(dead_code)]
#[path = "../tests/support/postgres.rs"]
mod postgres;

/// The application: everything it does, in the order it is put together.
///
/// # Errors
/// A setting is unfit; it is named.
pub fn rocket(figment: Figment) -> Result<Rocket<Build>, Unfit> {
    let settings = Settings::load(&figment)?;
    config::check_secret_key(&figment)?;
    let templates = config::folder("templates")?;
    let assets = assets()?;
    let figment = figment.join(("template_dir", templates));

    Ok(rocket::custom(figment)
        .manage(settings)
        .attach(db::stage())
        .attach(web::templates::fairing(assets.clone()))
        .attach(web::methods::AsItCame)
        // What is observed is the answer as it goes out, so the observer comes last.
        .attach(Shield::new())
        .attach(web::headers::Headers)
        .attach(web::cors::Cors)
        .attach(web::observe::Observer)
        .attach(web::catchers::stage())
        .attach(auth::stage())
        .attach(api::health::stage())
        .attach(api::metrics::stage())
        .attach(api::docs::stage())
        .attach(api::session::stage())
        .attach(api::account::stage())
        .attach(api::tokens::stage())
        .attach(api::notes::stage()) // example: notes
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
        .attach(admin::notes::stage()) // example: notes
        .attach(admin::theme::stage())
        .attach(admin::stage())
        .attach(web::assets::stage(assets))
        .attach(web::methods::stage()))
}

fn assets() -> Result<Assets, Unfit> {
    let folder = config::folder("static")?;
    Assets::read(&folder).map_err(|error| Unfit::unreadable(&folder, &error))
}

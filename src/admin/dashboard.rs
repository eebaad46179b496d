//! The front page: how things stand, what happened last.

use rocket::fairing::AdHoc;
use rocket::{State, get, routes};
use rocket_dyn_templates::{Template, context};

use super::BASE;
use super::page::Frame;
use super::users::Happened;
use crate::auth::Auth;
use crate::error::Error;
use crate::models::{event, now, stats};

const DAY: i64 = 24 * 60 * 60;
const EVENTS: i64 = 15;

/// Mounts the route.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: dashboard", |rocket| async {
        rocket.mount(BASE, routes![show])
    })
}

#[get("/")]
pub(super) async fn show(auth: &State<Auth>, frame: Frame) -> Result<Template, Error> {
    let mut db = auth.pool().read().await?;
    let counts = stats::counts(&mut db, now(), now() - DAY).await?;
    let events = event::latest(&mut db, EVENTS).await?;
    let content = context! {
        users: counts.users,
        disabled: counts.disabled,
        tokens: counts.tokens,
        failures: counts.failures,
        events: events.into_iter().map(Happened::from).collect::<Vec<_>>(),
    };
    Ok(frame.render("admin/dashboard", content))
}

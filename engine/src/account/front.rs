//! Redirects to the account pages: `GET /`, until the application has its own front page, and
//! `GET /.well-known/change-password` (W3C, "A Well-Known URL for Changing Passwords").

use rocket::fairing::AdHoc;
use rocket::response::Redirect;
use rocket::{get, routes};

use crate::account::HOME;
use crate::web::deadline::bounded;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("account: front page", |rocket| async {
        rocket.mount("/", bounded(routes![front, change_password]))
    })
}

#[get("/")]
fn front() -> Redirect {
    Redirect::to(HOME)
}

#[get("/.well-known/change-password")]
fn change_password() -> Redirect {
    Redirect::to("/account/password")
}

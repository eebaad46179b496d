//! What an admin does to many at once. Each action asks first, with the count, and for the own
//! password.

mod tokens;
mod users;

use std::collections::HashSet;

use rocket::fairing::AdHoc;
use rocket::http::{CookieJar, Status};
use rocket::response::Redirect;
use rocket::routes;
use rocket_dyn_templates::Template;

use super::BASE;
use super::comment::Note;
use super::confirm::confirm;
use super::flash::Done;
use super::next::page_here;
use super::tokens::{Filters, NAMES};
use crate::auth::Auth;
use crate::auth::guard::Admin;
use crate::error::{Error, FieldErrors};
use crate::models::now;
use crate::password::Password;
use crate::web::body::{Fields, Form};

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: many at once", |rocket| async {
        rocket.mount(
            BASE,
            routes![tokens::revoke, users::disable, users::revoke_tokens],
        )
    })
}

/// What a list's form sends, and then the question's.
struct Many {
    ids: Vec<String>,
    /// Everything that the filters let through.
    all: bool,
    filters: Filters,
    /// Where to go on.
    next: String,
    confirmed: bool,
    typed: String,
    note: Note,
    current: Password,
}

impl Form for Many {
    /// Room for what a long page has ticked.
    const LIMIT: u64 = 64 * 1024;

    fn read(fields: &mut Fields) -> Option<Self> {
        let mut filters = Filters::read(|name| fields.all(name).last().copied());
        filters.dropped |= NAMES.iter().any(|name| !fields.is_single(name));
        Some(Self {
            ids: distinct(&fields.all("id")),
            filters,
            all: fields.raw("all") == "1",
            next: fields.raw("next"),
            confirmed: fields.raw("confirm") == "yes",
            typed: fields.raw("typed"),
            note: Note::read(fields),
            current: Password::new(fields.raw("current_password")),
        })
    }
}

fn distinct(ids: &[&str]) -> Vec<String> {
    let mut ids: Vec<String> = ids.iter().map(|&id| id.to_owned()).collect();
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    ids
}

/// A change that was made, or the page that asks for it.
type Answer = Result<Done, (Status, Template)>;

/// What is wrong with the password given again, if it has to be given and is not right.
async fn refused(
    auth: &Auth,
    admin: &Admin,
    cookies: &CookieJar<'_>,
    many: &Many,
) -> Result<Option<FieldErrors>, Error> {
    if admin.password_is_fresh(now()) {
        return Ok(None);
    }
    confirm(auth, admin, cookies, &many.current).await
}

fn report(admin: &Admin, to: Redirect, done: Result<String, Error>) -> Done {
    match done {
        Ok(sentence) => Done::success(to, sentence),
        Err(error) => Done::failed_midway(to, &error, admin),
    }
}

fn back(many: &Many, otherwise: &'static str) -> Redirect {
    match many.next.as_str() {
        "" => Redirect::to(otherwise),
        next => Redirect::to(page_here(Some(next))),
    }
}

fn status(errors: &FieldErrors) -> Status {
    if errors.is_empty() {
        Status::Ok
    } else {
        Status::BadRequest
    }
}

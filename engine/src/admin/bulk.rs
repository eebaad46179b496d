//! Bulk actions. Each one asks for confirmation, with the count, and for the admin's own password.

mod tokens;
mod users;

use std::collections::HashSet;

use rocket::fairing::AdHoc;
use rocket::http::{CookieJar, Status};
use rocket::response::Redirect;
use rocket::routes;

use crate::admin::BASE;
use crate::admin::confirm::Confirmation;
use crate::admin::list::ListParams;
use crate::admin::next_path;
use crate::admin::token_filter::read_filter;
use crate::auth::Auth;
use crate::auth::guard::Admin;
use crate::error::{Error, FieldErrors};
use crate::models::event::Actor;
use crate::models::now;
use crate::web::body::{Fields, Form};
use crate::web::flash::FlashRedirect;
use crate::web::templates::Template;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: bulk actions", |rocket| async {
        rocket.mount(
            BASE,
            routes![
                tokens::confirm_revoke,
                tokens::revoke,
                users::disable,
                users::revoke_tokens
            ],
        )
    })
}

/// The form of a list, and of the confirmation page that follows.
#[derive(Default)]
struct BulkForm {
    ids: Vec<String>,
    /// Every row that matches the filters, instead of `ids`.
    all: bool,
    query: ListParams,
    next: String,
    confirmed: bool,
    typed: String,
    confirmation: Confirmation,
}

/// The fields that are not filters.
const NON_FILTER_FIELDS: [&str; 7] = [
    "id",
    "all",
    "next",
    "confirm",
    "typed",
    "current_password",
    "note",
];

impl Form for BulkForm {
    /// Room for the ids of a whole page.
    const LIMIT: u64 = 64 * 1024;

    fn read(fields: &mut Fields) -> Option<Self> {
        let mut query = ListParams::from_fields(fields, &NON_FILTER_FIELDS);
        read_filter(&mut query);
        Some(Self {
            ids: distinct(&fields.all("id")),
            query,
            all: fields.raw("all") == "1",
            next: fields.raw("next"),
            confirmed: fields.raw("confirm") == "yes",
            typed: fields.raw("typed"),
            confirmation: Confirmation::read(fields),
        })
    }
}

fn distinct(ids: &[&str]) -> Vec<String> {
    let mut ids: Vec<String> = ids.iter().map(|&id| id.to_owned()).collect();
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    ids
}

/// The redirect after a change, or the confirmation page.
type BulkResponse = Result<FlashRedirect, (Status, Template)>;

/// The actor of a confirmed action. Otherwise the errors for the form, which has none before it was sent. If there is a
/// `required_word`, the admin must type it.
async fn confirmed_actor(
    auth: &Auth,
    admin: &Admin,
    cookies: &CookieJar<'_>,
    form: &BulkForm,
    required_word: Option<&str>,
) -> Result<Result<Actor, FieldErrors>, Error> {
    if !form.confirmed {
        return Ok(Err(FieldErrors::default()));
    }
    let is_typed = |word: &&str| form.typed.trim().eq_ignore_ascii_case(word);
    if let Some(word) = required_word.filter(|word| !is_typed(word)) {
        let message = format!("Type “{word}” to confirm.");
        return Ok(Err(FieldErrors::single("typed", message)));
    }
    let requires_password = !admin.is_password_fresh(now());
    form.confirmation
        .confirm(auth, admin, cookies, requires_password)
        .await
}

fn redirect_with_result(
    admin: &Admin,
    to: Redirect,
    result: Result<String, Error>,
) -> FlashRedirect {
    match result {
        Ok(message) => FlashRedirect::success(to, message),
        Err(error) => FlashRedirect::failed_midway(to, &error, admin.caller()),
    }
}

fn redirect_back(form: &BulkForm, otherwise: &'static str) -> Redirect {
    match form.next.as_str() {
        "" => Redirect::to(otherwise),
        next => Redirect::to(next_path(Some(next))),
    }
}

fn form_status(errors: &FieldErrors) -> Status {
    if errors.is_empty() {
        Status::Ok
    } else {
        Status::BadRequest
    }
}

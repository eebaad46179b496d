//! The search box: `POST /admin/find`. Its text may be a token, so it is posted and appears in no URL.

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::response::Redirect;
use rocket::{State, post, routes};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::admin::page::AdminLayout;
use crate::admin::{BASE, user_path};
use crate::auth::Auth;
use crate::auth::find::{SearchResult, search};
use crate::context;
use crate::error::Error;
use crate::web::body::{Body, Fields, Form};
use crate::web::deadline::bounded;
use crate::web::templates::Template;

/// Mounts the route.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: find", |rocket| async {
        rocket.mount(BASE, bounded(routes![find]))
    })
}

struct SearchForm(Zeroizing<String>);

impl Form for SearchForm {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self(Zeroizing::new(fields.raw("q"))))
    }
}

#[derive(Serialize)]
struct Candidate {
    kind: &'static str,
    name: String,
    /// Distinguishes it from other candidates.
    detail: String,
    path: String,
}

impl From<SearchResult> for Candidate {
    fn from(found: SearchResult) -> Self {
        let candidate = |kind, name, detail, path| Self {
            kind,
            name,
            detail,
            path,
        };
        match found {
            SearchResult::Token(token) => {
                let detail = format!("{}, …{}", token.client, token.hint);
                let path = format!("/admin/tokens/{}/revoke", token.id);
                candidate("token", token.username, detail, path)
            }
            SearchResult::Revoked(id) => {
                let path = format!("/admin/audit?token={id}");
                candidate("inactive token", id.to_string(), String::new(), path)
            }
            SearchResult::User(user) => {
                let path = user_path(user.id);
                candidate("user", user.username, user.role.to_string(), path)
            }
            SearchResult::Event(id) => {
                let path = format!("/admin/audit/{id}");
                candidate("event", id.to_string(), String::new(), path)
            }
            SearchResult::Address(network) => {
                let path = format!("/admin/addresses/{network}");
                candidate("IP address", network.to_string(), String::new(), path)
            }
        }
    }
}

#[post("/find", data = "<form>")]
async fn find(
    auth: &State<Auth>,
    layout: AdminLayout,
    form: Body<SearchForm>,
) -> Result<Result<Redirect, (Status, Template)>, Error> {
    let found = search(auth.pool(), &form.0.0).await?;
    let mut candidates: Vec<Candidate> = found.into_iter().map(Candidate::from).collect();
    if candidates.len() == 1 {
        return Ok(Ok(Redirect::to(candidates.swap_remove(0).path)));
    }
    let status = if candidates.is_empty() {
        Status::NotFound
    } else {
        Status::Ok
    };
    let page = layout.render("admin/find", context! { candidates });
    Ok(Err((status, page)))
}

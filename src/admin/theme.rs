//! Light or dark, as the admin likes it: `POST /admin/theme`.

use rocket::fairing::AdHoc;
use rocket::http::CookieJar;
use rocket::response::Redirect;
use rocket::{State, post, routes};

use super::BASE;
use super::flash::Done;
use super::next::page_here;
use crate::auth::Auth;
use crate::auth::guard::Admin;
use crate::web::body::{Body, Fields, Form};
use crate::web::deadline::bounded;
use crate::web::theme::Theme;

/// Mounts the route.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: theme", |rocket| async {
        rocket.mount(BASE, bounded(routes![choose]))
    })
}

struct Chosen {
    theme: Theme,
    /// The page that it was chosen on.
    next: String,
}

impl Form for Chosen {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self {
            theme: Theme::named(&fields.raw("theme")),
            next: fields.raw("next"),
        })
    }
}

#[post("/theme", data = "<chosen>")]
fn choose(
    auth: &State<Auth>,
    _admin: Admin,
    cookies: &CookieJar<'_>,
    chosen: Body<Chosen>,
) -> Done {
    let Body(Chosen { theme, next }) = chosen;
    theme.keep(cookies, auth.settings());
    let sentence = match theme {
        Theme::System => "Pages are light or dark as your system is.",
        Theme::Light => "Pages are light now.",
        Theme::Dark => "Pages are dark now.",
    };
    Done::success(Redirect::to(page_here(Some(&next))), sentence)
}

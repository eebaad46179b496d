//! The admin's color theme: `POST /admin/theme`.

use rocket::fairing::AdHoc;
use rocket::http::CookieJar;
use rocket::response::Redirect;
use rocket::{State, post, routes};

use crate::admin::BASE;
use crate::admin::next_path;
use crate::auth::Auth;
use crate::auth::guard::Admin;
use crate::web::body::{Body, Fields, Form};
use crate::web::deadline::bounded;
use crate::web::flash::FlashRedirect;
use crate::web::theme::Theme;

/// Mounts the route.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: theme", |rocket| async {
        rocket.mount(BASE, bounded(routes![set_theme]))
    })
}

struct ThemeForm {
    theme: Theme,
    next: String,
}

impl Form for ThemeForm {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self {
            theme: Theme::from_name(&fields.raw("theme")),
            next: fields.raw("next"),
        })
    }
}

#[post("/theme", data = "<form>")]
fn set_theme(
    auth: &State<Auth>,
    _admin: Admin,
    cookies: &CookieJar<'_>,
    form: Body<ThemeForm>,
) -> FlashRedirect {
    let Body(ThemeForm { theme, next }) = form;
    theme.store(cookies, auth.settings());
    let message = match theme {
        Theme::System => "The theme now follows your system.",
        Theme::Light => "The theme is now light.",
        Theme::Dark => "The theme is now dark.",
    };
    FlashRedirect::success(Redirect::to(next_path(Some(&next))), message)
}

//! Coming in and going out: sign-in, sign-out, and set-up of the first admin.

use rocket::fairing::AdHoc;
use rocket::http::{Cookie, CookieJar, SameSite, Status};
use rocket::request::FlashMessage;
use rocket::response::{Flash, Redirect};
use rocket::{State, get, post, routes, uri};
use rocket_dyn_templates::{Template, context};

use super::page::Done;
use super::{BASE, HOME};
use crate::auth::Auth;
use crate::auth::guard::{Admin, SameOrigin, cookie_name};
use crate::auth::sessions::{Issued, Reason, Which};
use crate::auth::setup::Setup;
use crate::config::Settings;
use crate::error::Error;
use crate::identity::Username;
use crate::models::event::Actor;
use crate::models::token::Kind;
use crate::password::Password;
use crate::web::body::{Body, Fields, Form};
use crate::web::client::Caller;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: session", |rocket| async {
        rocket.mount(
            BASE,
            routes![sign_in_form, sign_in, sign_out, setup_form, setup],
        )
    })
}

/// A form that is shown again, with what was wrong.
type Again = (Status, Template);

/// What the two forms here send. Nothing is refused before the handler, which shows the form again
/// with what is wrong.
struct Entered {
    username: String,
    password: Password,
}

impl Form for Entered {
    fn read(fields: &mut Fields) -> Option<Self> {
        let username = fields.raw("username");
        let password = Password::new(fields.raw("password"));
        Some(Self { username, password })
    }
}

#[get("/login?<next>")]
fn sign_in_form(
    auth: &State<Auth>,
    admin: Result<Admin, ()>,
    flash: Option<FlashMessage<'_>>,
    next: Option<&str>,
) -> Result<Template, Redirect> {
    if admin.is_ok() {
        return Err(Redirect::to(after_sign_in(next)));
    }
    let notice = flash.map(|flash| flash.message().to_owned());
    Ok(Template::render(
        "admin/login",
        context! { app: &auth.settings().name, next, notice, errors: [""; 0], username: "" },
    ))
}

#[post("/login?<next>", data = "<entered>")]
async fn sign_in(
    auth: &State<Auth>,
    _ours: SameOrigin,
    caller: Caller,
    cookies: &CookieJar<'_>,
    next: Option<&str>,
    entered: Body<Entered>,
) -> Result<Result<Redirect, Again>, Error> {
    let Body(Entered { username, password }) = entered;
    let refused = match Username::parse(&username) {
        Ok(name) => auth.sign_in_admin(&name, &password, &caller).await,
        Err(_) => Err(Error::InvalidCredentials),
    };
    match refused {
        Ok(issued) => {
            keep(cookies, auth.settings(), &issued);
            Ok(Ok(Redirect::to(after_sign_in(next))))
        }
        Err(Error::InvalidCredentials) => {
            let errors = ["That username and password don't belong to an admin."];
            let page = context! { app: &auth.settings().name, next, errors, username };
            Ok(Err((
                Status::BadRequest,
                Template::render("admin/login", page),
            )))
        }
        Err(error) => Err(error),
    }
}

#[post("/logout")]
async fn sign_out(
    auth: &State<Auth>,
    admin: Admin,
    cookies: &CookieJar<'_>,
) -> Result<Done, Error> {
    let own = Which::Own(admin.token_id, admin.user_id);
    auth.end(own, Reason::Logout, &admin.actor()).await?;
    cookies.remove(cookie(auth.settings(), ""));
    let sign_in = uri!("/admin", sign_in_form(next = _));
    Ok(Flash::success(Redirect::to(sign_in), "You are signed out."))
}

#[get("/setup?<key>")]
fn setup_form(
    auth: &State<Auth>,
    setup: &State<Setup>,
    key: Option<&str>,
) -> Result<Template, Error> {
    let key = key.filter(|key| setup.is_key(key)).ok_or(Error::NotFound)?;
    let page = context! { app: &auth.settings().name, key, errors: [""; 0], username: "" };
    Ok(Template::render("admin/setup", page))
}

#[post("/setup?<key>", data = "<entered>")]
async fn setup(
    auth: &State<Auth>,
    setup: &State<Setup>,
    _ours: SameOrigin,
    caller: Caller,
    cookies: &CookieJar<'_>,
    key: Option<&str>,
    entered: Body<Entered>,
) -> Result<Result<Done, Again>, Error> {
    let key = key.filter(|key| setup.is_key(key)).ok_or(Error::NotFound)?;
    let Body(Entered { username, password }) = entered;
    let actor = Actor::of(Kind::Admin, None, &caller);
    let created = match Username::parse(&username) {
        Ok(name) => auth
            .create_first_admin(&name, &password, &actor)
            .await
            .map(|_| name),
        Err(complaint) => Err(crate::error::FieldErrors::one("username", complaint)),
    };
    let name = match created {
        Ok(name) => name,
        Err(Error::Invalid(errors)) => {
            let errors: Vec<&str> = errors.messages().map(|(_, message)| message).collect();
            let page = context! { app: &auth.settings().name, key, errors, username };
            return Ok(Err((
                Status::BadRequest,
                Template::render("admin/setup", page),
            )));
        }
        // Another way in was found meanwhile: the key has had its day.
        Err(Error::Conflict(_)) => {
            setup.close();
            return Err(Error::NotFound);
        }
        Err(error) => return Err(error),
    };
    setup.close();
    let issued = auth.sign_in_admin(&name, &password, &caller).await?;
    keep(cookies, auth.settings(), &issued);
    let home = Redirect::to(HOME);
    Ok(Ok(Flash::success(
        home,
        "You are the first admin. Welcome!",
    )))
}

fn keep(cookies: &CookieJar<'_>, settings: &Settings, issued: &Issued) {
    cookies.add(cookie(settings, issued.secret.reveal()));
}

/// The cookie that holds an admin's token. It ends with the browser's session; the server ends the
/// token sooner. `Lax` keeps a link from a mail to a page here working; changes demand more.
fn cookie(settings: &Settings, value: &str) -> Cookie<'static> {
    Cookie::build((cookie_name(settings), value.to_owned()))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(settings.is_https())
        .build()
}

/// Where sign-in leads: back to where one came from, if that is a page of the admin, else to its
/// front page.
fn after_sign_in(next: Option<&str>) -> String {
    next.filter(|next| is_page_here(next))
        .unwrap_or(HOME)
        .to_owned()
}

/// Whether it is a path of the admin, written so plainly that no browser can take it for anything
/// else: browsers read `\` as `/`, skip tabs and line breaks, and take `//host` for another host.
fn is_page_here(next: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    let path = next.split(['?', '#']).next().unwrap_or_default();
    let below = path
        .strip_prefix(BASE)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    below && next.bytes().all(plain) && !path.contains("//") && !path.contains("..")
}

#[cfg(test)]
mod tests {
    use super::is_page_here;

    #[test]
    fn next_leads_nowhere_else() {
        for next in [
            "/admin",
            "/admin/",
            "/admin/users?q=a&page=2",
            "/admin/users/x%20y",
        ] {
            assert!(is_page_here(next), "{next}");
        }
        for next in [
            "",
            "/",
            "//evil.example",
            "/admin/..//evil.example",
            "/admin//evil.example",
            "/adminevil",
            "/\\evil.example",
            "/admin\\..\\..",
            "/admin/\t/evil.example",
            "https://evil.example/admin",
            "/admin/\u{e9}",
            "/admin/../auth/logout",
            "javascript:alert(1)",
        ] {
            assert!(!is_page_here(next), "{next:?}");
        }
    }
}

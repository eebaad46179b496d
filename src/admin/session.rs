//! Coming in and going out: sign-in, sign-out, and set-up of the first admin.

use std::sync::atomic::{AtomicBool, Ordering};

use rocket::fairing::AdHoc;
use rocket::http::CookieJar;
use rocket::response::{self, Redirect, Responder};
use rocket::{Request, State, get, post, routes, uri};
use rocket_dyn_templates::{Template, context};

use super::flash::Done;
use super::next::page_here;
use super::page::Outside;
use super::{BASE, HOME};
use crate::auth::Auth;
use crate::auth::guard::{Admin, COOKIE, SameOrigin, Visitor};
use crate::auth::sessions::{Reason, Which};
use crate::auth::setup::Setup;
use crate::config::Settings;
use crate::error::{Error, FieldErrors};
use crate::identity::Username;
use crate::models::event::Actor;
use crate::models::token::Kind;
use crate::password::Password;
use crate::secret::Secret;
use crate::web::body::{Body, Fields, Form};
use crate::web::client::Caller;
use crate::web::cookies::{self, cookie};
use crate::web::deadline::bounded;
use crate::web::drain::IgnoredBody;

const NO_ADMIN: &str = "That username and password don't belong to an admin.";
const NO_COOKIE: &str = "You signed in, but your browser did not send the session cookie back. Either it \
    blocks cookies here, or another application on this host has set a cookie that cannot be read. Allow \
    cookies for this address, or delete the ones it has, and sign in again.";

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: session", |rocket| async {
        rocket.manage(IsSetUp::default()).mount(
            BASE,
            bounded(routes![sign_in_form, sign_in, sign_out, setup_form, setup]),
        )
    })
}

/// Whether an admin is known to exist: there is none before set-up, and always one after it.
#[derive(Default)]
struct IsSetUp(AtomicBool);

impl IsSetUp {
    /// Asks the database until there is one; while it can't be asked, nobody is told to set anything up.
    async fn get(&self, auth: &Auth) -> bool {
        if self.0.load(Ordering::Relaxed) {
            return true;
        }
        let is_set_up = auth.has_admin().await;
        if matches!(is_set_up, Ok(true)) {
            self.0.store(true, Ordering::Relaxed);
        }
        is_set_up.unwrap_or(true)
    }
}

/// A form that is shown again, with what was wrong.
struct Again {
    error: Error,
    page: Template,
}

impl<'r> Responder<'r, 'static> for Again {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        let mut response = (self.error.status(), self.page).respond_to(request)?;
        for (name, value) in self.error.headers() {
            response.set_raw_header(name, value);
        }
        Ok(response)
    }
}

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
async fn sign_in_form(
    auth: &State<Auth>,
    is_set_up: &State<IsSetUp>,
    visitor: Visitor,
    caller: Caller,
    outside: Outside,
    sent: &CookieJar<'_>,
    next: Option<&str>,
) -> Result<Template, Redirect> {
    if visitor.0.is_some() {
        return Err(Redirect::to(page_here(next)));
    }
    // Cookies can't tell: if one of them can't be read, Rocket passes on none.
    let errors = if auth.session_is_lost(&caller).await {
        vec![NO_COOKIE.to_owned()]
    } else {
        vec![]
    };
    let is_new = !is_set_up.get(auth).await;
    // Signing out takes the cookie away: who still sends one has not.
    let name = cookies::name(auth.settings(), COOKIE);
    let is_expired = errors.is_empty() && sent.get(&name).is_some();
    Ok(outside.render(
        "admin/login",
        context! { next, username: "", errors, is_new, is_expired },
    ))
}

fn sign_in_page(
    outside: Outside,
    next: Option<&str>,
    username: &str,
    errors: Vec<String>,
) -> Template {
    outside.render("admin/login", context! { next, username, errors })
}

#[post("/login?<next>", data = "<entered>")]
async fn sign_in(
    auth: &State<Auth>,
    ours: SameOrigin,
    visitor: Visitor,
    outside: Outside,
    cookies: &CookieJar<'_>,
    next: Option<&str>,
    entered: Body<Entered>,
) -> Result<Redirect, Again> {
    let (SameOrigin(caller), Body(Entered { username, password })) = (ours, entered);
    let signed_in = match Username::parse(&username) {
        Ok(name) => auth.sign_in_admin(&name, &password, &caller).await,
        Err(_) => Err(Error::InvalidCredentials),
    };
    match signed_in {
        Ok(issued) => {
            // The browser forgets the token that it had; so do we.
            if let Some(earlier) = visitor.0 {
                let own = Which::Own(earlier.token_id, earlier.user_id);
                if let Err(error) = auth.end(own, Reason::Replaced, &earlier.actor()).await {
                    tracing::warn!("an admin's earlier session goes on until its time: {error}");
                }
            }
            keep(cookies, auth.settings(), &issued.secret);
            Ok(Redirect::to(page_here(next)))
        }
        // Whatever it is, it is said in the form: how long to wait, or to try again.
        Err(error) => {
            error.write_down(&caller.request_id);
            let what = match &error {
                Error::InvalidCredentials => NO_ADMIN.to_owned(),
                error => error.detail(),
            };
            let page = sign_in_page(outside, next, &username, vec![what]);
            Err(Again { error, page })
        }
    }
}

#[post("/logout", data = "<_body>")]
async fn sign_out(
    auth: &State<Auth>,
    admin: Admin,
    cookies: &CookieJar<'_>,
    _body: IgnoredBody,
) -> Result<Done, Error> {
    let own = Which::Own(admin.token_id, admin.user_id);
    auth.end(own, Reason::Logout, &admin.actor()).await?;
    cookies.remove(cookie(auth.settings(), COOKIE, ""));
    let sign_in = uri!("/admin", sign_in_form(next = _));
    Ok(Done::success(Redirect::to(sign_in), "You are signed out."))
}

#[get("/setup?<key>")]
async fn setup_form(
    auth: &State<Auth>,
    setup: &State<Setup>,
    outside: Outside,
    key: Option<&str>,
) -> Result<Template, Error> {
    let key = key.filter(|key| setup.is_key(key)).ok_or(Error::NotFound)?;
    if auth.has_admin().await? {
        setup.close();
        return Err(Error::NotFound);
    }
    Ok(setup_page(auth, outside, key, "", &FieldErrors::default()))
}

fn setup_page(
    auth: &Auth,
    outside: Outside,
    key: &str,
    username: &str,
    errors: &FieldErrors,
) -> Template {
    let content = context! {
        key,
        username,
        errors: errors.by_field(),
        password_min_length: auth.settings().password_min_length,
    };
    outside.render("admin/setup", content)
}

#[post("/setup?<key>", data = "<entered>")]
async fn setup(
    auth: &State<Auth>,
    setup: &State<Setup>,
    ours: SameOrigin,
    outside: Outside,
    cookies: &CookieJar<'_>,
    key: Option<&str>,
    entered: Body<Entered>,
) -> Result<Result<Done, Again>, Error> {
    let key = key.filter(|key| setup.is_key(key)).ok_or(Error::NotFound)?;
    let (SameOrigin(caller), Body(Entered { username, password })) = (ours, entered);
    let actor = Actor::of(Kind::Admin, None, &caller);
    let created = match Username::parse(&username) {
        Ok(name) => auth
            .create_first_admin(&name, &password, &actor)
            .await
            .map(|_| name),
        Err(complaint) => Err(FieldErrors::one("username", complaint)),
    };
    let name = match created {
        Ok(name) => name,
        Err(Error::Invalid(errors)) => {
            let page = setup_page(auth, outside, key, &username, &errors);
            let error = Error::Invalid(errors);
            return Ok(Err(Again { error, page }));
        }
        // Another way in was found meanwhile: the key has had its day.
        Err(Error::Conflict(_)) => {
            setup.close();
            return Err(Error::NotFound);
        }
        Err(error) => return Err(error),
    };
    setup.close();
    // The admin is made, whatever becomes of signing in (too many logins may have failed here).
    let signed_in = auth.sign_in_admin(&name, &password, &caller).await;
    Ok(Ok(if let Ok(issued) = signed_in {
        keep(cookies, auth.settings(), &issued.secret);
        Done::success(Redirect::to(HOME), "You are the first admin. Welcome!")
    } else {
        let sign_in = uri!("/admin", sign_in_form(next = _));
        Done::success(Redirect::to(sign_in), "You are the first admin. Sign in.")
    }))
}

/// Has the browser keep an admin's token.
pub(super) fn keep(cookies: &CookieJar<'_>, settings: &Settings, secret: &Secret) {
    cookies.add(cookie(settings, COOKIE, secret.reveal()));
}

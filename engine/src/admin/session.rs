//! Sign-in, sign-out, and setup of the first admin.

use std::sync::atomic::{AtomicBool, Ordering};

use rocket::fairing::AdHoc;
use rocket::http::CookieJar;
use rocket::response::Redirect;
use rocket::{State, get, post, routes, uri};

use crate::admin::next_path;
use crate::admin::{BASE, HOME};
use crate::auth::guard::{Account, Admin, MaybeAccount, MaybeAdmin, SameOrigin};
use crate::auth::setup::Setup;
use crate::auth::{Auth, cookie};
use crate::context;
use crate::error::{Error, FieldErrors};
use crate::identity::Username;
use crate::models::event::Actor;
use crate::models::token::TokenKind;
use crate::password::Password;
use crate::web::body::{Body, Fields, Form};
use crate::web::caller::Caller;
use crate::web::deadline::bounded;
use crate::web::drain::IgnoredBody;
use crate::web::flash::FlashRedirect;
use crate::web::page::{FormResult, PublicLayout, RejectedForm};
use crate::web::templates::Template;

const NOT_AN_ADMIN: &str = "Incorrect username or password, or this user is not an admin.";
const NO_COOKIE: &str = "You signed in, but your browser did not return the session cookie. Either it \
    blocks cookies for this site, or another application on this host set a cookie that cannot be read. Allow \
    cookies for this site, or delete its existing cookies, and sign in again.";

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("admin: session", |rocket| async {
        rocket.manage(IsSetUp::default()).mount(
            BASE,
            bounded(routes![sign_in_form, sign_in, sign_out, setup_form, setup]),
        )
    })
}

/// Whether an admin is known to exist. After setup, there always is one.
#[derive(Default)]
struct IsSetUp(AtomicBool);

impl IsSetUp {
    /// Queries the database until there is an admin. If the database fails, the page does not mention setup.
    async fn get(&self, auth: &Auth) -> bool {
        if self.0.load(Ordering::Relaxed) {
            return true;
        }
        let is_set_up = auth.accounts.has_admin().await;
        if matches!(is_set_up, Ok(true)) {
            self.0.store(true, Ordering::Relaxed);
        }
        is_set_up.unwrap_or(true)
    }
}

/// The unchecked fields of both forms. The handler shows the form again with its errors.
struct CredentialsForm {
    username: String,
    password: Password,
}

impl Form for CredentialsForm {
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
    admin: MaybeAdmin,
    caller: Caller,
    layout: PublicLayout,
    cookies: &CookieJar<'_>,
    next: Option<&str>,
) -> Result<Template, Redirect> {
    if admin.0.is_some() {
        return Err(Redirect::to(next_path(next)));
    }
    // The cookie jar does not show this: if one cookie is unreadable, Rocket provides none of them.
    let errors = if auth
        .sessions
        .has_lost_cookie(TokenKind::Admin, &caller)
        .await
    {
        vec![NO_COOKIE.to_owned()]
    } else {
        vec![]
    };
    let is_new = !is_set_up.get(auth).await;
    // Signing out removes the cookie. A cookie without a session is therefore one that expired or was revoked.
    let is_expired =
        errors.is_empty() && cookie::is_present(cookies, auth.settings(), TokenKind::Admin);
    Ok(layout.render(
        "admin/login",
        context! { next, username: "", errors, is_new, is_expired },
    ))
}

fn sign_in_page(
    layout: PublicLayout,
    next: Option<&str>,
    username: &str,
    errors: Vec<String>,
) -> Template {
    layout.render("admin/login", context! { next, username, errors })
}

#[post("/login?<next>", data = "<form>")]
async fn sign_in(
    auth: &State<Auth>,
    same_origin: SameOrigin,
    admin: MaybeAdmin,
    layout: PublicLayout,
    cookies: &CookieJar<'_>,
    next: Option<&str>,
    form: Body<CredentialsForm>,
) -> Result<Redirect, RejectedForm> {
    let (SameOrigin(caller), Body(CredentialsForm { username, password })) = (same_origin, form);
    let previous = admin.0.as_ref().map(Admin::session);
    let signed_in = auth
        .logins
        .sign_in_browser(TokenKind::Admin, &username, &password, &caller, previous)
        .await;
    match signed_in {
        Ok(issued) => {
            cookie::set(cookies, auth.settings(), TokenKind::Admin, &issued.secret);
            Ok(Redirect::to(next_path(next)))
        }
        // The form shows every error, for example how long to wait.
        Err(error) => {
            error.log(&caller.request_id);
            let message = match &error {
                Error::InvalidCredentials => NOT_AN_ADMIN.to_owned(),
                error => error.detail(),
            };
            let page = sign_in_page(layout, next, &username, vec![message]);
            Err(RejectedForm { error, page })
        }
    }
}

#[post("/logout", data = "<_body>")]
async fn sign_out(
    auth: &State<Auth>,
    admin: Admin,
    account: MaybeAccount,
    cookies: &CookieJar<'_>,
    _body: IgnoredBody,
) -> Result<FlashRedirect, Error> {
    // Also the session of the account pages, because signing out applies to the browser.
    let account_session = account.0.as_ref().map(Account::session);
    let account_session = account_session.filter(|session| session.kind == TokenKind::Account);
    let sessions: Vec<_> = [admin.session()]
        .into_iter()
        .chain(account_session)
        .collect();
    cookie::sign_out(auth, cookies, admin.caller(), &sessions).await?;
    let sign_in = uri!("/admin", sign_in_form(next = _));
    Ok(FlashRedirect::success(
        Redirect::to(sign_in),
        "You are signed out.",
    ))
}

#[get("/setup?<key>")]
async fn setup_form(
    auth: &State<Auth>,
    setup: &State<Setup>,
    layout: PublicLayout,
    key: Option<&str>,
) -> Result<Result<Template, RejectedForm>, Error> {
    if auth.accounts.has_admin().await? {
        setup.invalidate_key();
    }
    let errors = FieldErrors::default();
    Ok(match key.filter(|key| setup.is_key(key)) {
        Some(key) => Ok(setup_page(auth, layout, key, "", &errors)),
        None => Err(invalid_setup_link(auth, layout)),
    })
}

fn invalid_setup_link(auth: &Auth, layout: PublicLayout) -> RejectedForm {
    let page = setup_page(auth, layout, "", "", &FieldErrors::default());
    let error = Error::NotFound;
    RejectedForm { error, page }
}

fn setup_page(
    auth: &Auth,
    layout: PublicLayout,
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
    layout.render("admin/setup", content)
}

#[post("/setup?<key>", data = "<form>")]
async fn setup(
    auth: &State<Auth>,
    setup: &State<Setup>,
    same_origin: SameOrigin,
    layout: PublicLayout,
    cookies: &CookieJar<'_>,
    key: Option<&str>,
    form: Body<CredentialsForm>,
) -> FormResult<RejectedForm> {
    let Some(key) = key.filter(|key| setup.is_key(key)) else {
        return Ok(Err(invalid_setup_link(auth, layout)));
    };
    let (SameOrigin(caller), Body(CredentialsForm { username, password })) = (same_origin, form);
    let actor = Actor::from_caller(TokenKind::Admin, None, &caller);
    let created = match Username::parse(&username) {
        Ok(name) => auth
            .accounts
            .create_first_admin(&name, &password, &actor)
            .await
            .map(|_| name),
        Err(message) => Err(Error::invalid("username", message)),
    };
    let name = match created {
        Ok(name) => name,
        Err(Error::Invalid(errors)) => {
            let page = setup_page(auth, layout, key, &username, &errors);
            let error = Error::Invalid(errors);
            return Ok(Err(RejectedForm { error, page }));
        }
        // An admin was created another way meanwhile, so the key is invalid.
        Err(Error::Conflict(_)) => {
            setup.invalidate_key();
            return Ok(Err(invalid_setup_link(auth, layout)));
        }
        Err(error) => return Err(error),
    };
    setup.invalidate_key();
    // The admin exists even if signing in fails, for example after too many failed logins from this address.
    let signed_in = auth
        .logins
        .sign_in_browser(TokenKind::Admin, name.as_str(), &password, &caller, None)
        .await;
    Ok(Ok(if let Ok(issued) = signed_in {
        cookie::set(cookies, auth.settings(), TokenKind::Admin, &issued.secret);
        FlashRedirect::success(Redirect::to(HOME), "You are the first admin. Welcome!")
    } else {
        let sign_in = uri!("/admin", sign_in_form(next = _));
        FlashRedirect::success(
            Redirect::to(sign_in),
            "You are the first admin. Sign in to continue.",
        )
    }))
}

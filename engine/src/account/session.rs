//! Sign-in and sign-out: `GET, POST /account/login`, `POST /account/logout`.

use rocket::fairing::AdHoc;
use rocket::http::CookieJar;
use rocket::response::Redirect;
use rocket::{State, get, post, routes, uri};

use crate::account::{BASE, next_path};
use crate::auth::Auth;
use crate::auth::cookie;
use crate::auth::guard::{Account, Admin, MaybeAccount, MaybeAdmin, SameOrigin};
use crate::config::SignUpPolicy;
use crate::context;
use crate::error::Error;
use crate::models::token::TokenKind;
use crate::password::Password;
use crate::web::body::{Body, Fields, Form};
use crate::web::caller::Caller;
use crate::web::deadline::bounded;
use crate::web::drain::IgnoredBody;
use crate::web::flash::FlashRedirect;
use crate::web::page::{PublicLayout, RejectedForm};
use crate::web::templates::Template;

const NO_COOKIE: &str = "You signed in, but your browser did not return the session cookie. Allow cookies for this \
    site, or delete its existing cookies, and sign in again.";

const WRONG_CREDENTIALS: &str = "Incorrect username or password.";

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("account: session", |rocket| async {
        rocket.mount(BASE, bounded(routes![sign_in_form, sign_in, sign_out]))
    })
}

#[get("/login?<next>")]
async fn sign_in_form(
    auth: &State<Auth>,
    account: MaybeAccount,
    caller: Caller,
    layout: PublicLayout,
    cookies: &CookieJar<'_>,
    next: Option<&str>,
) -> Result<Template, Redirect> {
    if account.0.is_some() {
        return Err(Redirect::to(next_path(next)));
    }
    let mut errors = vec![];
    if auth
        .sessions
        .has_lost_cookie(TokenKind::Account, &caller)
        .await
    {
        errors.push(NO_COOKIE.to_owned());
    }
    // Signing out removes the cookie. A cookie without a session is therefore one that expired or was revoked.
    let is_expired =
        errors.is_empty() && cookie::is_present(cookies, auth.settings(), TokenKind::Account);
    Ok(page(auth, layout, next, "", errors, is_expired))
}

fn page(
    auth: &Auth,
    layout: PublicLayout,
    next: Option<&str>,
    username: &str,
    errors: Vec<String>,
    is_expired: bool,
) -> Template {
    let content = context! {
        next,
        username,
        errors,
        is_expired,
        can_sign_up: auth.settings().sign_up == SignUpPolicy::Open,
    };
    layout.render("account/login", content)
}

/// The unchecked fields of the form. The handler shows the form again with its errors.
struct SignInForm {
    username: String,
    password: Password,
}

impl Form for SignInForm {
    fn read(fields: &mut Fields) -> Option<Self> {
        let username = fields.raw("username");
        let password = Password::new(fields.raw("password"));
        Some(Self { username, password })
    }
}

#[post("/login?<next>", data = "<form>")]
async fn sign_in(
    auth: &State<Auth>,
    same_origin: SameOrigin,
    account: MaybeAccount,
    layout: PublicLayout,
    cookies: &CookieJar<'_>,
    next: Option<&str>,
    form: Body<SignInForm>,
) -> Result<Redirect, RejectedForm> {
    let (SameOrigin(caller), Body(SignInForm { username, password })) = (same_origin, form);
    let previous = account.0.as_ref().map(Account::session);
    let signed_in = auth
        .logins
        .sign_in_browser(TokenKind::Account, &username, &password, &caller, previous)
        .await;
    match signed_in {
        Ok(issued) => {
            cookie::set(cookies, auth.settings(), TokenKind::Account, &issued.secret);
            Ok(Redirect::to(next_path(next)))
        }
        Err(error) => {
            error.log(&caller.request_id);
            let message = match &error {
                Error::InvalidCredentials => WRONG_CREDENTIALS.to_owned(),
                error => error.detail(),
            };
            let page = page(auth, layout, next, &username, vec![message], false);
            Err(RejectedForm { error, page })
        }
    }
}

#[post("/logout", data = "<_body>")]
async fn sign_out(
    auth: &State<Auth>,
    account: Account,
    admin: MaybeAdmin,
    cookies: &CookieJar<'_>,
    _body: IgnoredBody,
) -> Result<FlashRedirect, Error> {
    // Also the admin session, because the account pages accept it.
    let admin_session = admin.0.as_ref().map(Admin::session);
    let admin_session = admin_session.filter(|_| account.kind != TokenKind::Admin);
    let sessions: Vec<_> = [account.session()]
        .into_iter()
        .chain(admin_session)
        .collect();
    cookie::sign_out(auth, cookies, account.caller(), &sessions).await?;
    let sign_in = uri!("/account", sign_in_form(next = _));
    Ok(FlashRedirect::success(
        Redirect::to(sign_in),
        "You are signed out.",
    ))
}

//! Cookies that hold a browser's token: one for the admin, one for the account pages.

use rocket::Request;
use rocket::http::CookieJar;
use rocket::time::Duration;

use super::Auth;
use super::revocation::{Reason, TokenSelector};
use super::session::Session;
use crate::config::Settings;
use crate::error::Error;
use crate::models::token::TokenKind;
use crate::secret::Secret;
use crate::web::caller::Caller;
use crate::web::cookies::{self, cookie};

/// Sets the cookie of this kind. An admin cookie lasts until the browser is closed, an account cookie for
/// `account_session_ttl`.
pub fn set(cookies: &CookieJar<'_>, settings: &Settings, kind: TokenKind, token: &Secret) {
    let mut cookie = cookie(settings, kind.as_str(), token.reveal());
    if kind == TokenKind::Account {
        let life = settings.account_session_ttl.duration();
        let seconds = life.and_then(|life| i64::try_from(life.as_secs()).ok());
        cookie.set_max_age(seconds.map_or(cookies::MAX_LIFETIME, Duration::seconds));
    }
    cookies.add(cookie);
}

/// Removes the cookie of this kind.
pub fn remove(cookies: &CookieJar<'_>, settings: &Settings, kind: TokenKind) {
    cookies.remove(cookie(settings, kind.as_str(), ""));
}

/// Revokes sessions of a browser and removes their cookies.
///
/// # Errors
/// [`Error::Database`].
pub async fn sign_out(
    auth: &Auth,
    cookies: &CookieJar<'_>,
    caller: &Caller,
    sessions: &[&Session],
) -> Result<(), Error> {
    for session in sessions {
        let selector = TokenSelector::Owned(session.token_id, session.user_id);
        let actor = session.actor(caller);
        auth.sessions
            .revoke(selector, Reason::Logout, &actor)
            .await?;
        remove(cookies, auth.settings(), session.kind);
    }
    Ok(())
}

/// Whether the request has a cookie of this kind, valid or not.
pub fn is_present(cookies: &CookieJar<'_>, settings: &Settings, kind: TokenKind) -> bool {
    cookies
        .get(&cookies::name(settings, kind.as_str()))
        .is_some()
}

pub(super) fn token<'r>(
    request: &'r Request<'_>,
    settings: &Settings,
    kind: TokenKind,
) -> Option<&'r str> {
    cookies::value(request, &cookies::name(settings, kind.as_str()))
}

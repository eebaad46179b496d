//! Request guards: a rejected request never reaches its handler. If the request has a body, a guard rejects it by
//! forwarding (`drain::refuse`).

use std::convert::Infallible;
use std::ops::Deref;
use std::sync::Arc;

use rocket::Request;
use rocket::http::{Method, Status};
use rocket::request::{FromRequest, Outcome};

use super::session::Session;
use super::{Auth, cookie};
use crate::error::Error;
use crate::models::event::Actor;
use crate::models::token::TokenKind;
use crate::web::access_log::record_user;
use crate::web::caller::Caller;
use crate::web::catchers::store_viewer;
use crate::web::drain;
use crate::web::origin::{
    cross_origin_error, is_disallowed_cross_origin, is_same_origin, referring_page,
};

/// The current user, by the token in the `Authorization` header. Add this parameter to require one.
///
/// The handler gets the user's id, name and role, the token's id and client, and [`User::actor`] for its audit events.
/// `Bearer <token>` and `Token <token>` are accepted. The scheme is case-insensitive. Several `Authorization` headers
/// are rejected. Tokens in cookies or the URL are ignored. If several guards of a request need the
/// token, it is looked up only once.
///
/// Fails with
/// - 401 ([`Error::NoCredentials`]) without the header, or with another scheme in it;
/// - 401 ([`Error::InvalidToken`]) if the token is malformed, unknown, expired, revoked, of another kind or of a
///   disabled user, or if there are several headers. All these get the same response;
/// - 503 ([`Error::Database`]) if the database is unavailable, because the token can then be neither accepted nor
///   rejected.
#[derive(Debug, Clone)]
pub struct User {
    session: Arc<Session>,
    caller: Arc<Caller>,
}

/// The current admin, by the cookie that sign-in set. Add this parameter to require one.
///
/// The handler gets the same as from [`User`]. The `Authorization` header is never accepted here. For every method
/// except GET and HEAD, the guard also requires that the request comes from one of our pages, so that no handler can
/// forget it.
///
/// Fails with
/// - 403 ([`Error::CrossOrigin`]) if a page of another origin requests a change;
/// - a redirect to the sign-in page ([`Error::SignInRequired`]) without a live session of an active admin. After
///   sign-in, the browser returns to the requested page or, for a form, to the page that contains it;
/// - 503 ([`Error::Database`]) if the database is unavailable.
#[derive(Debug, Clone)]
pub struct Admin {
    session: Arc<Session>,
    caller: Arc<Caller>,
}

/// The current user of the account pages, by the account's cookie or an admin's. Add this parameter to require one.
///
/// The handler gets the same as from [`User`]. As for [`Admin`], a request with any other method than GET
/// and HEAD must come from one of our pages.
///
/// Fails as [`Admin`] does, with a redirect to the account's sign-in page.
#[derive(Debug, Clone)]
pub struct Account {
    session: Arc<Session>,
    caller: Arc<Caller>,
}

/// The current user of the account pages, if signed in. Add this parameter to pages for signed-out visitors.
///
/// Never fails: an invalid session or a failing database counts as signed out, and no error is stashed.
/// `Option<Account>` would stash the error, and a fallback route could respond with it.
pub struct MaybeAccount(pub Option<Account>);

/// The current admin, if signed in. Add this parameter to pages for signed-out visitors.
///
/// Never fails, as [`MaybeAccount`].
pub struct MaybeAdmin(pub Option<Admin>);

/// Rejects pages of origins that are not in `cors_origins`. Add this parameter to handlers that need no token.
/// Otherwise such a page could use up the failed logins of the visitor's IP address.
///
/// Fails with 403 ([`Error::CrossOrigin`]).
pub struct AllowedOrigin;

/// The caller of a change requested from one of our pages, signed in or not. Add this parameter to the few handlers
/// that change something for users who are not signed in yet.
///
/// Fails with 403 ([`Error::CrossOrigin`]) otherwise.
pub struct SameOrigin(pub Caller);

macro_rules! guard {
    ($guard:ident, $find:ident) => {
        impl $guard {
            /// The actor for audit events of the handler.
            pub fn actor(&self) -> Actor {
                self.session.actor(&self.caller)
            }

            /// The caller: address, `User-Agent` and request id.
            pub fn caller(&self) -> &Caller {
                &self.caller
            }

            /// The current session.
            pub fn session(&self) -> &Session {
                &self.session
            }
        }

        impl Deref for $guard {
            type Target = Session;

            fn deref(&self) -> &Session {
                &self.session
            }
        }

        #[rocket::async_trait]
        impl<'r> FromRequest<'r> for $guard {
            /// Rocket logs guard errors, so this one is empty. The real error is stashed.
            type Error = ();

            async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
                struct CachedOutcome(Result<$guard, Status>);
                let resolved = request
                    .local_cache_async(async {
                        CachedOutcome($find(request).await.map_err(|error| error.stash(request)))
                    })
                    .await;
                match &resolved.0 {
                    Ok(guard) => Outcome::Success(guard.clone()),
                    Err(status) => drain::refuse(request, *status),
                }
            }
        }
    };
}

guard!(User, find_user);
guard!(Admin, find_admin);
guard!(Account, find_account);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for MaybeAdmin {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        Outcome::Success(Self(find_admin(request).await.ok()))
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for MaybeAccount {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        Outcome::Success(Self(find_account(request).await.ok()))
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for AllowedOrigin {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        if is_disallowed_cross_origin(request) {
            drain::refuse(request, cross_origin_error(request).stash(request))
        } else {
            Outcome::Success(Self)
        }
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for SameOrigin {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        if is_same_origin(request) {
            Outcome::Success(Self(Caller::of(request)))
        } else {
            drain::refuse(request, cross_origin_error(request).stash(request))
        }
    }
}

async fn find_user(request: &Request<'_>) -> Result<User, Error> {
    let token = header_token(request.headers().get("Authorization"))?;
    let caller = Arc::new(Caller::of(request));
    let sessions = &auth(request)?.sessions;
    let session = sessions
        .authenticate(TokenKind::Api, token, &caller)
        .await?;
    record_user(request, session.user_id, &session.client);
    Ok(User { session, caller })
}

async fn find_admin(request: &Request<'_>) -> Result<Admin, Error> {
    let (session, caller) = find_browser_session(request, &[TokenKind::Admin]).await?;
    store_viewer(request, session.viewer());
    Ok(Admin { session, caller })
}

async fn find_account(request: &Request<'_>) -> Result<Account, Error> {
    let (session, caller) =
        find_browser_session(request, &[TokenKind::Account, TokenKind::Admin]).await?;
    store_viewer(request, session.viewer());
    Ok(Account { session, caller })
}

/// The session of the first of these kinds for which the browser sends a live token.
async fn find_browser_session(
    request: &Request<'_>,
    kinds: &[TokenKind],
) -> Result<(Arc<Session>, Arc<Caller>), Error> {
    let is_read = matches!(request.method(), Method::Get | Method::Head);
    if !is_read && !is_same_origin(request) {
        return Err(cross_origin_error(request));
    }
    let auth = auth(request)?;
    let caller = Arc::new(Caller::of(request));
    for kind in kinds {
        let Some(token) = cookie::token(request, auth.settings(), *kind) else {
            continue;
        };
        match auth.sessions.authenticate(*kind, token, &caller).await {
            Ok(session) => {
                record_user(request, session.user_id, &session.client);
                return Ok((session, caller));
            }
            Err(Error::InvalidToken) => {}
            Err(error) => return Err(error),
        }
    }
    // After sign-in, the browser returns to the requested page or, for a form, to the page that contains it.
    Err(Error::SignInRequired(if is_read {
        Some(request.uri().to_string())
    } else {
        referring_page(request)
    }))
}

fn auth<'r>(request: &'r Request<'_>) -> Result<&'r Auth, Error> {
    request
        .rocket()
        .state::<Auth>()
        .ok_or(Error::Internal("auth::stage() is not attached"))
}

/// The token in the `Authorization` headers, split at whitespace as Django REST framework does.
fn header_token<'h>(mut headers: impl Iterator<Item = &'h str>) -> Result<&'h str, Error> {
    let header = headers.next().ok_or(Error::NoCredentials)?;
    if headers.next().is_some() {
        return Err(Error::InvalidToken);
    }
    let mut words = header.split_ascii_whitespace();
    let scheme = words.next().unwrap_or_default();
    let is_known = |known| scheme.eq_ignore_ascii_case(known);
    if !["bearer", "token"].into_iter().any(is_known) {
        return Err(Error::NoCredentials);
    }
    match (words.next(), words.next()) {
        (Some(token), None) => Ok(token),
        _ => Err(Error::InvalidToken),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn authorization_headers_of_django_clients_are_accepted() {
        for header in [
            "Bearer x",
            "bearer x",
            "TOKEN x",
            "Token   x ",
            "\ttoken\tx",
        ] {
            assert!(
                matches!(header_token([header].into_iter()), Ok("x")),
                "{header:?}"
            );
        }
        for header in ["", " ", "Basic x", "Bearerx", "Bearer=x", "x"] {
            assert!(
                matches!(
                    header_token([header].into_iter()),
                    Err(Error::NoCredentials)
                ),
                "{header:?}"
            );
        }
        for header in ["Bearer", "token ", "Bearer x y"] {
            assert!(
                matches!(header_token([header].into_iter()), Err(Error::InvalidToken)),
                "{header:?}"
            );
        }
        assert!(matches!(
            header_token([].into_iter()),
            Err(Error::NoCredentials)
        ));
        assert!(matches!(
            header_token(["Bearer x", "Bearer x"].into_iter()),
            Err(Error::InvalidToken)
        ));
    }

    proptest! {
        #[test]
        fn a_token_is_one_word_after_a_known_scheme(
            header in prop_oneof![
                any::<String>(),
                "[ \\t]?(?i:bearer|token|basic)?[ \\t]{0,2}[!-~]{0,8}[ \\t]{0,2}[!-~]{0,8}",
            ],
        ) {
            let words: Vec<&str> = header.split_ascii_whitespace().collect();
            let known = words.first().is_some_and(|word| {
                word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("token")
            });
            match header_token([header.as_str()].into_iter()) {
                Ok(token) => prop_assert!(known && words.len() == 2 && words[1] == token),
                Err(Error::InvalidToken) => prop_assert!(known && words.len() != 2),
                Err(Error::NoCredentials) => prop_assert!(!known),
                Err(other) => prop_assert!(false, "{other}"),
            }
        }

        #[test]
        fn several_headers_are_never_credentials(headers in proptest::collection::vec("(?i:bearer) x", 2..5)) {
            let refused = header_token(headers.iter().map(String::as_str));
            prop_assert!(matches!(refused, Err(Error::InvalidToken)));
        }
    }
}

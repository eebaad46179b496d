//! The guards of handlers: a refused request never reaches the handler. If the request has
//! a body, a guard refuses by forwarding ([`drain::refused`]).

use std::convert::Infallible;
use std::ops::Deref;
use std::sync::Arc;

use rocket::Request;
use rocket::http::{Method, Status};
use rocket::request::{FromRequest, Outcome};

use super::Auth;
use super::sessions::Session;
use crate::error::Error;
use crate::models::event::Actor;
use crate::models::token::Kind;
use crate::web::catchers::note_viewer;
use crate::web::client::Caller;
use crate::web::observe::asked_by;
use crate::web::origin::{is_foreign_page, is_same_origin, referring_page, refusal};
use crate::web::{cookies, drain};

/// The user who asks, by the token in the `Authorization` header. Add this parameter to require
/// it.
///
/// The handler gets the user's id, name and role, the token's id and client, and
/// [`User::actor`], to sign what it does with. `Bearer <token>` and `Token <token>` are taken, in
/// any case, in one header; cookies and the URL never are. The token is looked up once a request,
/// however many guards ask.
///
/// Fails with
/// - 401 ([`Error::NoCredentials`]) without the header, or with another scheme in it;
/// - 401 ([`Error::InvalidToken`]) where the token is malformed, unknown, expired, revoked, of an
///   admin's browser, or of a disabled user, all alike; and where there are several headers;
/// - 503 ([`Error::Database`]) where the database can't be asked: that is no reason to tell a
///   client that its token is bad, nor to let it in.
#[derive(Debug, Clone)]
pub struct User {
    session: Arc<Session>,
    caller: Arc<Caller>,
}

/// The admin who asks, by the cookie that sign-in set. Add this parameter to require one.
///
/// The handler gets what [`User`] gives. The header of the JSON API is never taken here. For every
/// method but GET and HEAD the guard also demands that the request comes from a page of ours, so
/// that no handler can forget it.
///
/// Fails with
/// - 403 ([`Error::CrossOrigin`]) for a change that a page of another origin asks for;
/// - a redirect to the sign-in page ([`Error::SignInRequired`]), and back from there to the page or to the form,
///   without a live session of an active admin;
/// - 503 ([`Error::Database`]) where the database can't be asked.
#[derive(Debug, Clone)]
pub struct Admin {
    session: Arc<Session>,
    caller: Arc<Caller>,
}

/// The admin whose browser asks, if there is one signed in. Add this parameter to pages for those
/// who are not; it never fails, and never changes what the page answers otherwise.
pub struct Visitor(pub Option<Admin>);

/// A request that no foreign page has a browser make. Add this parameter to what a form could be sent
/// to without credentials: pages can't read the answer, but they could use up the budget of failed
/// logins that their visitor has at this address.
///
/// Fails with 403 ([`Error::CrossOrigin`]) otherwise.
pub struct NoForeignPage;

/// Who asks for a change by a page of ours, signed in or not. Add this parameter to the few handlers
/// that change something for whoever is not signed in yet.
///
/// Fails with 403 ([`Error::CrossOrigin`]) otherwise.
pub struct SameOrigin(pub Caller);

/// The cookie that holds an admin's token.
pub const COOKIE: &str = "admin";

macro_rules! guard {
    ($guard:ident, $find:ident) => {
        impl $guard {
            /// Who signs what the handler does.
            pub fn actor(&self) -> Actor {
                self.session.actor(&self.caller)
            }

            /// Where the request comes from.
            pub fn caller(&self) -> &Caller {
                &self.caller
            }

            /// The session itself.
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
            /// Rocket prints what a guard fails with, so it is nothing; the error is stashed.
            type Error = ();

            async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
                struct Resolved(Result<$guard, Status>);
                let resolved = request
                    .local_cache_async(async {
                        Resolved($find(request).await.map_err(|error| error.stash(request)))
                    })
                    .await;
                match &resolved.0 {
                    Ok(guard) => Outcome::Success(guard.clone()),
                    Err(status) => drain::refused(request, *status),
                }
            }
        }
    };
}

guard!(User, find_user);
guard!(Admin, find_admin);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Visitor {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        Outcome::Success(Self(find_admin(request).await.ok()))
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for NoForeignPage {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        if is_foreign_page(request) {
            drain::refused(request, refusal(request).stash(request))
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
            drain::refused(request, refusal(request).stash(request))
        }
    }
}

async fn find_user(request: &Request<'_>) -> Result<User, Error> {
    let token = presented(request.headers().get("Authorization"))?;
    let caller = Arc::new(Caller::of(request));
    let session = auth(request)?
        .authenticate(Kind::Api, token, &caller)
        .await?;
    asked_by(request, session.user_id, &session.client);
    Ok(User { session, caller })
}

async fn find_admin(request: &Request<'_>) -> Result<Admin, Error> {
    let reads = matches!(request.method(), Method::Get | Method::Head);
    if !reads && !is_same_origin(request) {
        return Err(refusal(request));
    }
    // A form leads back to the page that it is on.
    let sign_in = || {
        let here = || Some(request.uri().to_string());
        Error::SignInRequired(if reads {
            here()
        } else {
            referring_page(request)
        })
    };
    let auth = auth(request)?;
    let name = cookies::name(auth.settings(), COOKIE);
    let token = cookies::sent(request, &name).ok_or_else(sign_in)?;
    let caller = Arc::new(Caller::of(request));
    match auth.authenticate(Kind::Admin, token, &caller).await {
        Ok(session) => {
            asked_by(request, session.user_id, &session.client);
            note_viewer(request, &session.username, session.user_id);
            Ok(Admin { session, caller })
        }
        Err(Error::InvalidToken) => Err(sign_in()),
        Err(error) => Err(error),
    }
}

fn auth<'r>(request: &'r Request<'_>) -> Result<&'r Auth, Error> {
    request
        .rocket()
        .state::<Auth>()
        .ok_or(Error::Internal("auth::stage() is not attached"))
}

/// The token in the `Authorization` headers of a request, as they are read by Django REST
/// framework: by white space.
fn presented<'h>(mut headers: impl Iterator<Item = &'h str>) -> Result<&'h str, Error> {
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
    fn authorization_is_read_as_django_clients_write_it() {
        for header in [
            "Bearer x",
            "bearer x",
            "TOKEN x",
            "Token   x ",
            "\ttoken\tx",
        ] {
            assert!(
                matches!(presented([header].into_iter()), Ok("x")),
                "{header:?}"
            );
        }
        for header in ["", " ", "Basic x", "Bearerx", "Bearer=x", "x"] {
            assert!(
                matches!(presented([header].into_iter()), Err(Error::NoCredentials)),
                "{header:?}"
            );
        }
        for header in ["Bearer", "token ", "Bearer x y"] {
            assert!(
                matches!(presented([header].into_iter()), Err(Error::InvalidToken)),
                "{header:?}"
            );
        }
        assert!(matches!(
            presented([].into_iter()),
            Err(Error::NoCredentials)
        ));
        assert!(matches!(
            presented(["Bearer x", "Bearer x"].into_iter()),
            Err(Error::InvalidToken)
        ));
    }

    proptest! {
        #[test]
        fn a_token_is_one_word_behind_a_known_scheme(
            header in prop_oneof![
                any::<String>(),
                "[ \\t]?(?i:bearer|token|basic)?[ \\t]{0,2}[!-~]{0,8}[ \\t]{0,2}[!-~]{0,8}",
            ],
        ) {
            let words: Vec<&str> = header.split_ascii_whitespace().collect();
            let known = words.first().is_some_and(|word| {
                word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("token")
            });
            match presented([header.as_str()].into_iter()) {
                Ok(token) => prop_assert!(known && words.len() == 2 && words[1] == token),
                Err(Error::InvalidToken) => prop_assert!(known && words.len() != 2),
                Err(Error::NoCredentials) => prop_assert!(!known),
                Err(other) => prop_assert!(false, "{other}"),
            }
        }

        #[test]
        fn several_headers_are_never_credentials(headers in proptest::collection::vec("(?i:bearer) x", 2..5)) {
            let refused = presented(headers.iter().map(String::as_str));
            prop_assert!(matches!(refused, Err(Error::InvalidToken)));
        }
    }
}

//! Password reset: `POST /auth/reset/`, and `POST /auth/reset/confirm/` with the mailed key.

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::{State, post, routes};
use utoipa::{OpenApi, ToSchema};

use crate::api::description::describe;
use crate::auth::Auth;
use crate::auth::guard::AllowedOrigin;
use crate::error::Error;
use crate::identity::email::EmailAddress;
use crate::models::event::Actor;
use crate::models::token::TokenKind;
use crate::password::Password;
use crate::web::body::{Body, Fields, Form, not_blank};
use crate::web::caller::Caller;
use crate::web::deadline::bounded;

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("api: reset", |rocket| async {
        describe(rocket, ApiDoc::openapi()).mount("/auth", bounded(routes![reset, confirm]))
    })
}

#[derive(OpenApi)]
#[openapi(paths(reset, confirm))]
struct ApiDoc;

#[derive(ToSchema)]
struct Reset {
    #[schema(min_length = 1, example = "alice@example.com")]
    email: String,
}

impl Form for Reset {
    fn read(fields: &mut Fields) -> Option<Self> {
        let email = fields.text("email", not_blank);
        Some(Self { email: email? })
    }
}

/// Request a password reset
///
/// Emails a link to the address if an account has verified it. The response is the same if none has, or if it is not
/// an email address.
#[utoipa::path(
    post, path = "/auth/reset/", tag = "account", operation_id = "reset_password",
    request_body = Reset,
    responses(
        (status = 202, description = "If an account has this address, the server sends it an email with a link."),
        (status = 403),
        (status = 429),
    ),
)]
#[post("/reset", data = "<reset>")]
async fn reset(
    auth: &State<Auth>,
    _page: AllowedOrigin,
    caller: Caller,
    reset: Body<Reset>,
) -> Result<Status, Error> {
    if let Ok(email) = EmailAddress::parse(&reset.0.email) {
        auth.links.request_reset(&email, &caller).await?;
    }
    Ok(Status::Accepted)
}

#[derive(ToSchema)]
struct NewPassword {
    /// From the link in the email.
    #[schema(value_type = String, min_length = 1)]
    key: String,
    /// Neither a common password nor one that contains the username.
    #[schema(rename = "new_password", value_type = String, format = Password, min_length = 8,
        max_length = 1024, example = "a staple for every horse")]
    new: Password,
}

impl Form for NewPassword {
    fn read(fields: &mut Fields) -> Option<Self> {
        let key = fields.text("key", not_blank);
        let new = fields.password("new_password");
        Some(Self {
            key: key?,
            new: new?,
        })
    }
}

/// Set a new password
///
/// Revokes every token of the user. It also sets the first password of a user who was invited.
#[utoipa::path(
    post, path = "/auth/reset/confirm/", tag = "account", operation_id = "confirm_reset",
    request_body = NewPassword,
    responses((status = 200, description = "The password is set."), (status = 403)),
)]
#[post("/reset/confirm", data = "<password>")]
async fn confirm(
    auth: &State<Auth>,
    _page: AllowedOrigin,
    caller: Caller,
    password: Body<NewPassword>,
) -> Result<Status, Error> {
    let Body(NewPassword { key, new }) = password;
    let actor = Actor::from_caller(TokenKind::Api, None, &caller);
    auth.links
        .set_password(&key, "new_password", &new, &actor)
        .await?;
    Ok(Status::Ok)
}

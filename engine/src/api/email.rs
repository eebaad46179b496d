//! The current user's email address: `POST /auth/email/`, and `POST /auth/email/confirm/` with the mailed key.

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::{State, post, routes};
use utoipa::{OpenApi, ToSchema};

use crate::api::description::describe;
use crate::auth::Auth;
use crate::auth::guard::{AllowedOrigin, User};
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
    AdHoc::on_ignite("api: email", |rocket| async {
        describe(rocket, ApiDoc::openapi()).mount("/auth", bounded(routes![change, confirm]))
    })
}

#[derive(OpenApi)]
#[openapi(paths(change, confirm))]
struct ApiDoc;

#[derive(ToSchema)]
struct EmailChange {
    #[schema(value_type = String, format = "email", max_length = 254, example = "alice@example.com")]
    email: EmailAddress,
    #[schema(rename = "current_password", value_type = String, format = Password, min_length = 1,
        max_length = 1024, example = "correct horse battery")]
    current: Password,
}

impl Form for EmailChange {
    fn read(fields: &mut Fields) -> Option<Self> {
        let email = fields.text("email", EmailAddress::parse);
        let current = fields.password("current_password");
        Some(Self {
            email: email?,
            current: current?,
        })
    }
}

/// Change the email address
///
/// Emails a link to the new address and a notice to the old one. The change takes effect when the link is used. Whether
/// the address belongs to another account is not revealed.
#[utoipa::path(
    post, path = "/auth/email/", tag = "account", operation_id = "change_email", security(("token" = [])),
    request_body = EmailChange,
    responses((status = 202, description = "The server sends an email with a verification link."), (status = 429)),
)]
#[post("/email", data = "<change>")]
async fn change(
    auth: &State<Auth>,
    user: User,
    change: Body<EmailChange>,
) -> Result<Status, Error> {
    let Body(EmailChange { email, current }) = change;
    let (session, caller) = (user.session(), user.caller());
    let confirmed = auth
        .accounts
        .check_password(session, &current, caller)
        .await?;
    auth.links
        .request_verification(&confirmed, &email, caller, &user.actor())
        .await?;
    Ok(Status::Accepted)
}

#[derive(ToSchema)]
struct EmailConfirmation {
    /// From the link in the email.
    #[schema(value_type = String, min_length = 1)]
    key: String,
}

impl Form for EmailConfirmation {
    fn read(fields: &mut Fields) -> Option<Self> {
        let key = fields.text("key", not_blank);
        Some(Self { key: key? })
    }
}

/// Confirm an email address
#[utoipa::path(
    post, path = "/auth/email/confirm/", tag = "account", operation_id = "confirm_email",
    request_body = EmailConfirmation,
    responses((status = 200, description = "The address is verified."), (status = 403)),
)]
#[post("/email/confirm", data = "<confirmation>")]
async fn confirm(
    auth: &State<Auth>,
    _page: AllowedOrigin,
    caller: Caller,
    confirmation: Body<EmailConfirmation>,
) -> Result<Status, Error> {
    let actor = Actor::from_caller(TokenKind::Api, None, &caller);
    auth.links.verify(&confirmation.0.key, &actor).await?;
    Ok(Status::Ok)
}

//! The email address: `GET, POST /account/email` changes it, `GET, POST /account/verify?key=` verifies it, and
//! `POST /account/notices` turns reminders on or off.

use rocket::fairing::AdHoc;
use rocket::http::Status;
use rocket::response::Redirect;
use rocket::{State, get, post, routes};

use crate::account::page::{AccountLayout, invalid_link};
use crate::account::{BASE, HOME};
use crate::auth::Auth;
use crate::auth::guard::{Account, SameOrigin};
use crate::auth::links::Purpose;
use crate::context;
use crate::error::{Error, FieldErrors};
use crate::identity::email::EmailAddress;
use crate::models::event::Actor;
use crate::models::token::TokenKind;
use crate::models::user;
use crate::password::Password;
use crate::web::body::{Body, Fields, Form};
use crate::web::deadline::bounded;
use crate::web::drain::IgnoredBody;
use crate::web::flash::FlashRedirect;
use crate::web::page::{FormResult, PublicLayout, RejectedForm, isolated};
use crate::web::templates::Template;

const EMAIL_PATH: &str = "/account/email";

/// Mounts the routes.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("account: email", |rocket| async {
        rocket.mount(
            BASE,
            bounded(routes![
                change_form,
                change,
                set_notices,
                verify_form,
                verify
            ]),
        )
    })
}

#[get("/email")]
async fn change_form(auth: &State<Auth>, layout: AccountLayout) -> Result<Template, Error> {
    page(auth, layout, "", &FieldErrors::default()).await
}

async fn page(
    auth: &Auth,
    layout: AccountLayout,
    email: &str,
    errors: &FieldErrors,
) -> Result<Template, Error> {
    let user = layout.account().user_id;
    let mut db = auth.pool().read().await?;
    let current = user::email(&mut db, user).await?;
    let wants_notices = user::wants_notices(&mut db, user).await?;
    drop(db);
    let (address, is_verified) = current.unzip();
    let is_verified = is_verified.unwrap_or(false);
    // Usually, the user wants a new link for the address that is not verified yet.
    let unverified = address.as_deref().filter(|_| !is_verified);
    let email = Some(email).filter(|email| !email.is_empty()).or(unverified);
    let content = context! {
        address: &address,
        is_verified,
        wants_notices,
        has_mail: auth.outbox.is_enabled(),
        email,
        errors: errors.by_field(),
    };
    Ok(layout.render("account/email", content))
}

struct EmailForm {
    email: String,
    current: Password,
}

impl Form for EmailForm {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self {
            email: fields.raw("email"),
            current: Password::new(fields.raw("current_password")),
        })
    }
}

#[post("/email", data = "<form>")]
async fn change(auth: &State<Auth>, layout: AccountLayout, form: Body<EmailForm>) -> FormResult {
    let Body(EmailForm { email, current }) = form;
    match request_verification(auth, layout.account(), &email, &current).await {
        Ok(()) => {
            let message = format!(
                "We are emailing a verification link to {}. Open it to verify the address. We send at most three \
                 links per hour.",
                isolated(email.trim())
            );
            Ok(Ok(FlashRedirect::success(
                Redirect::to(EMAIL_PATH),
                message,
            )))
        }
        Err(Error::Invalid(errors)) => {
            let page = page(auth, layout, &email, &errors).await?;
            Ok(Err((Status::BadRequest, page)))
        }
        Err(Error::InvalidToken) => Err(Error::SignInRequired(None)),
        Err(error) => Err(error),
    }
}

async fn request_verification(
    auth: &Auth,
    account: &Account,
    email: &str,
    current: &Password,
) -> Result<(), Error> {
    let email = EmailAddress::parse(email).map_err(|message| Error::invalid("email", message))?;
    let (session, caller) = (account.session(), account.caller());
    let confirmed = auth
        .accounts
        .check_password(session, current, caller)
        .await?;
    auth.links
        .request_verification(&confirmed, &email, caller, &account.actor())
        .await
}

struct NoticesForm {
    enabled: bool,
}

impl Form for NoticesForm {
    fn read(fields: &mut Fields) -> Option<Self> {
        let enabled = fields.raw("notices") == "1";
        Some(Self { enabled })
    }
}

#[post("/notices", data = "<form>")]
async fn set_notices(
    auth: &State<Auth>,
    account: Account,
    form: Body<NoticesForm>,
) -> Result<FlashRedirect, Error> {
    let enabled = form.0.enabled;
    auth.accounts.set_notices(account.user_id, enabled).await?;
    let message = if enabled {
        "You will get an email before a token expires."
    } else {
        "You will only get emails about the security of your account."
    };
    Ok(FlashRedirect::success(Redirect::to(EMAIL_PATH), message))
}

#[get("/verify?<key>")]
async fn verify_form(
    auth: &State<Auth>,
    layout: PublicLayout,
    key: Option<&str>,
) -> Result<Result<Template, RejectedForm>, Error> {
    let key = key.unwrap_or_default();
    match auth.links.find(key, &[Purpose::Verify]).await {
        Ok(link) => {
            let content = context! { key, address: link.email };
            Ok(Ok(layout.render("account/verify", content)))
        }
        Err(error @ Error::Invalid(_)) => Ok(Err(invalid_link(layout, error))),
        Err(error) => Err(error),
    }
}

#[post("/verify?<key>", data = "<_body>")]
async fn verify(
    auth: &State<Auth>,
    same_origin: SameOrigin,
    layout: PublicLayout,
    key: Option<&str>,
    _body: IgnoredBody,
) -> FormResult<RejectedForm> {
    let (SameOrigin(caller), key) = (same_origin, key.unwrap_or_default());
    let actor = Actor::from_caller(TokenKind::Account, None, &caller);
    match auth.links.verify(key, &actor).await {
        Ok(()) => {
            let to = Redirect::to(HOME);
            Ok(Ok(FlashRedirect::success(
                to,
                "Your email address is verified.",
            )))
        }
        Err(error @ Error::Invalid(_)) => Ok(Err(invalid_link(layout, error))),
        Err(error) => Err(error),
    }
}

//! Confirmation of an action: the admin's own password if the action asks for it, and a note.

use rocket::http::CookieJar;

use super::note::AdminNote;
use crate::auth::guard::Admin;
use crate::auth::{Auth, cookie};
use crate::error::{Error, FieldErrors};
use crate::models::event::Actor;
use crate::models::token::TokenKind;
use crate::password::Password;
use crate::web::body::Fields;

/// The password and note of a confirmation form. Both are empty before the form was sent.
#[derive(Default)]
pub struct Confirmation {
    current_password: Password,
    note: AdminNote,
}

impl Confirmation {
    /// Reads the fields `current_password` and `note`.
    pub fn read(fields: &mut Fields) -> Self {
        Self {
            current_password: Password::new(fields.raw("current_password")),
            note: AdminNote::read(fields),
        }
    }

    /// The note, to show in the form again.
    pub fn note(&self) -> &str {
        self.note.as_str()
    }

    /// Confirms the action. If `requires_password`, checks the admin's password and sends the browser its new session
    /// token. Returns the actor for the audit event, with the note, or the errors for the form.
    ///
    /// # Errors
    /// As [`confirm_password`].
    pub async fn confirm(
        &self,
        auth: &Auth,
        admin: &Admin,
        cookies: &CookieJar<'_>,
        requires_password: bool,
    ) -> Result<Result<Actor, FieldErrors>, Error> {
        if requires_password
            && let Some(errors) =
                confirm_password(auth, admin, cookies, &self.current_password).await?
        {
            return Ok(Err(errors));
        }
        Ok(self.note.attach_to(admin.actor()))
    }
}

/// Checks the admin's own password and sends the browser its new session token. Returns the errors for the form.
///
/// # Errors
/// [`Error::SignInRequired`] if the session was revoked meanwhile, otherwise as `Accounts::confirm`.
pub async fn confirm_password(
    auth: &Auth,
    admin: &Admin,
    cookies: &CookieJar<'_>,
    current_password: &Password,
) -> Result<Option<FieldErrors>, Error> {
    // A page that was opened while the password was still fresh has no field for it.
    if current_password.reveal().is_empty() {
        let message = "Enter your current password.";
        return Ok(Some(FieldErrors::single("current_password", message)));
    }
    let confirmed = auth
        .accounts
        .confirm(admin.session(), current_password, admin.caller())
        .await;
    match confirmed {
        Ok(secret) => {
            cookie::set(cookies, auth.settings(), TokenKind::Admin, &secret);
            Ok(None)
        }
        Err(Error::Invalid(errors)) => Ok(Some(errors)),
        Err(Error::InvalidToken) => Err(Error::SignInRequired(None)),
        Err(error) => Err(error),
    }
}

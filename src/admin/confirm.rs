//! Asking an admin for the own password again.

use rocket::http::CookieJar;

use super::session;
use crate::auth::Auth;
use crate::auth::guard::Admin;
use crate::error::{Error, FieldErrors};
use crate::password::Password;

/// Takes the admin's own password again, and gives the browser the token that this brings. What is
/// wrong with it comes back, for the form that asked.
///
/// # Errors
/// [`Error::SignInRequired`] if the session has ended meanwhile; else as [`Auth::confirm`].
pub async fn confirm(
    auth: &Auth,
    admin: &Admin,
    cookies: &CookieJar<'_>,
    current: &Password,
) -> Result<Option<FieldErrors>, Error> {
    // A page that was opened while it was not asked for has no field for it.
    if current.reveal().is_empty() {
        let what = "Enter your current password, too.";
        return Ok(Some(FieldErrors::of("current_password", what)));
    }
    let confirmed = auth.confirm(admin.session(), current, admin.caller()).await;
    match confirmed {
        Ok(secret) => {
            session::keep(cookies, auth.settings(), &secret);
            Ok(None)
        }
        Err(Error::Invalid(errors)) => Ok(Some(errors)),
        // The session ended meanwhile.
        Err(Error::InvalidToken) => Err(Error::SignInRequired(None)),
        Err(error) => Err(error),
    }
}

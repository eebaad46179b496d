//! Flash messages: the result of an action, shown once on the page that the action redirects to.

use rocket::Request;
use rocket::response::{self, Redirect, Responder};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::config::Settings;
use crate::error::Error;
use crate::password::Password;
use crate::web::caller::Caller;
use crate::web::cookies::{cookie, name};

/// The cookie of the message. It is encrypted, so nobody else can put words on an admin's page. Rocket's own flash
/// cookie is plain, and lacks `Secure` behind a proxy that terminates TLS.
const COOKIE: &str = "flash";

/// The response to an action: a redirect with a flash message.
pub struct FlashRedirect {
    to: Redirect,
    kind: &'static str,
    sentence: String,
    secret: Option<OneTimeSecret>,
}

/// A secret that the next page shows once.
pub struct OneTimeSecret {
    /// `password` or `link`.
    what: &'static str,
    text: Zeroizing<String>,
}

impl OneTimeSecret {
    /// Shows a generated password.
    pub fn password(password: &Password) -> Self {
        let text = Zeroizing::new(password.reveal().to_owned());
        Self {
            what: "password",
            text,
        }
    }

    /// Shows a link with a key.
    pub fn link(url: &str) -> Self {
        let text = Zeroizing::new(url.to_owned());
        Self { what: "link", text }
    }
}

impl FlashRedirect {
    /// Adds a secret to show once.
    #[must_use]
    pub fn with_secret(self, secret: Option<OneTimeSecret>) -> Self {
        Self { secret, ..self }
    }

    /// The action succeeded.
    pub fn success(to: Redirect, sentence: impl Into<String>) -> Self {
        Self::new(to, "success", sentence.into())
    }

    /// The action was refused.
    pub fn refused(to: Redirect, sentence: impl Into<String>) -> Self {
        Self::new(to, "error", sentence.into())
    }

    fn new(to: Redirect, kind: &'static str, sentence: String) -> Self {
        Self {
            to,
            kind,
            sentence,
            secret: None,
        }
    }

    /// The action failed. The error is logged. Use this instead of an error response after a password confirmation: the
    /// session then has a new token, and Rocket drops new cookies from error responses.
    pub fn failed(to: Redirect, error: &Error, caller: &Caller) -> Self {
        error.log(&caller.request_id);
        Self::refused(to, error.detail())
    }

    /// A bulk action failed and may be partly done. The error is logged.
    pub fn failed_midway(to: Redirect, error: &Error, caller: &Caller) -> Self {
        error.log(&caller.request_id);
        Self::refused(
            to,
            format!(
                "{} Some changes may already have been made.",
                error.detail()
            ),
        )
    }
}

impl<'r> Responder<'r, 'static> for FlashRedirect {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        if let Some(settings) = request.rocket().state::<Settings>() {
            let (what, secret) = match &self.secret {
                Some(secret) => (secret.what, secret.text.as_str()),
                None => ("", ""),
            };
            // Only the sentence, which comes last, may contain line breaks.
            let value = [self.kind, what, secret, &self.sentence].join("\n");
            let value = Zeroizing::new(value);
            request
                .cookies()
                .add_private(cookie(settings, COOKIE, &value));
        }
        self.to.respond_to(request)
    }
}

/// The message of the last action, as templates see it.
#[derive(Serialize)]
pub(crate) struct FlashMessage {
    kind: String,
    /// What `secret` is: `password`, `link`, or empty without a secret.
    what: String,
    secret: String,
    sentence: String,
}

/// Takes the message out of the cookie, so that it is shown once.
pub(crate) fn take(request: &Request<'_>) -> Option<FlashMessage> {
    let settings = request.rocket().state::<Settings>()?;
    let cookies = request.cookies();
    let stored = cookies.get_private(&name(settings, COOKIE))?;
    cookies.remove_private(cookie(settings, COOKIE, ""));
    let mut parts = stored.value().splitn(4, '\n').map(str::to_owned);
    Some(FlashMessage {
        kind: parts.next()?,
        what: parts.next()?,
        secret: parts.next()?,
        sentence: parts.next()?,
    })
}

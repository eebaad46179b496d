//! What an action has to say on the page that it leads to.

use rocket::Request;
use rocket::response::{self, Redirect, Responder};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::auth::guard::Admin;
use crate::config::Settings;
use crate::error::Error;
use crate::password::Password;
use crate::web::cookies::{cookie, name};

/// The cookie that carries the sentence from an action to the page, encrypted: nobody else can put
/// words into the admin's frame. (Rocket's own is plain, and without `Secure` behind a proxy that
/// speaks https for us.)
const FLASH: &str = "flash";

/// Where a change leads: back to a page, with a sentence of what became of it.
pub struct Done {
    to: Redirect,
    kind: &'static str,
    sentence: String,
    /// A password that was generated, to be shown once.
    secret: Zeroizing<String>,
}

impl Done {
    /// The same with a generated password, which the page shows this once.
    pub fn with_secret(self, password: &Password) -> Self {
        let secret = Zeroizing::new(password.reveal().to_owned());
        Self { secret, ..self }
    }

    /// It was done.
    pub fn success(to: Redirect, sentence: impl Into<String>) -> Self {
        let sentence = sentence.into();
        Self {
            to,
            kind: "success",
            sentence,
            secret: Zeroizing::default(),
        }
    }

    /// It was refused.
    pub fn refused(to: Redirect, sentence: impl Into<String>) -> Self {
        let sentence = sentence.into();
        Self {
            to,
            kind: "error",
            sentence,
            secret: Zeroizing::default(),
        }
    }

    /// It failed. To be said on a page, and not as an error, where the password was given just now:
    /// the session has a new token then, and Rocket drops new cookies where an error is answered.
    pub fn failed(to: Redirect, error: &Error, admin: &Admin) -> Self {
        error.write_down(&admin.caller().request_id);
        Self::refused(to, error.detail())
    }

    /// The same of what is done bit by bit.
    pub fn failed_midway(to: Redirect, error: &Error, admin: &Admin) -> Self {
        error.write_down(&admin.caller().request_id);
        Self::refused(to, format!("{} Some of it may be done.", error.detail()))
    }
}

impl<'r> Responder<'r, 'static> for Done {
    fn respond_to(self, request: &'r Request<'_>) -> response::Result<'static> {
        if let Some(settings) = request.rocket().state::<Settings>() {
            let value = Zeroizing::new(format!(
                "{}:{}:{}",
                self.kind,
                self.secret.as_str(),
                self.sentence
            ));
            request
                .cookies()
                .add_private(cookie(settings, FLASH, &value));
        }
        self.to.respond_to(request)
    }
}

/// What the last action left, once.
#[derive(Serialize)]
pub(super) struct Message {
    kind: String,
    /// A generated password, if it is not empty.
    secret: String,
    sentence: String,
}

/// What the last action left.
pub(super) fn take(request: &Request<'_>) -> Option<Message> {
    let settings = request.rocket().state::<Settings>()?;
    let cookies = request.cookies();
    let left = cookies.get_private(&name(settings, FLASH))?;
    cookies.remove_private(cookie(settings, FLASH, ""));
    let mut parts = left.value().splitn(3, ':').map(str::to_owned);
    Some(Message {
        kind: parts.next()?,
        secret: parts.next()?,
        sentence: parts.next()?,
    })
}

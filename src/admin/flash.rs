//! What an action has to say on the page that it leads to.

use rocket::Request;
use rocket::response::{self, Redirect, Responder};

use crate::auth::guard::Admin;
use crate::config::Settings;
use crate::error::Error;
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
}

impl Done {
    /// It was done.
    pub fn success(to: Redirect, sentence: impl Into<String>) -> Self {
        let sentence = sentence.into();
        Self {
            to,
            kind: "success",
            sentence,
        }
    }

    /// It was refused.
    pub fn refused(to: Redirect, sentence: impl Into<String>) -> Self {
        let sentence = sentence.into();
        Self {
            to,
            kind: "error",
            sentence,
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
            let value = format!("{}:{}", self.kind, self.sentence);
            request
                .cookies()
                .add_private(cookie(settings, FLASH, &value));
        }
        self.to.respond_to(request)
    }
}

/// The kind and the sentence of what the last action left, once.
pub(super) fn take(request: &Request<'_>) -> Option<(String, String)> {
    let settings = request.rocket().state::<Settings>()?;
    let cookies = request.cookies();
    let left = cookies.get_private(&name(settings, FLASH))?;
    cookies.remove_private(cookie(settings, FLASH, ""));
    let (kind, sentence) = left.value().split_once(':')?;
    Some((kind.to_owned(), sentence.to_owned()))
}

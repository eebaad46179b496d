//! Mails that a debug build without a mail server keeps in memory: `GET /dev/mail`.

use rocket::fairing::AdHoc;
use rocket::{State, get, routes};
use serde::Serialize;

use crate::auth::Auth;
use crate::context;
use crate::error::Error;
use crate::mail::Mail;
use crate::web::deadline::bounded;
use crate::web::loopback::Loopback;
use crate::web::page::PublicLayout;
use crate::web::templates::Template;

/// Mounts the route, in debug builds only.
pub fn stage() -> AdHoc {
    AdHoc::on_ignite("account: development mail", |rocket| async {
        if cfg!(debug_assertions) {
            rocket.mount("/dev", bounded(routes![list]))
        } else {
            rocket
        }
    })
}

/// A mail as the page shows it.
#[derive(Serialize)]
struct MailView {
    to: String,
    subject: String,
    text: String,
}

impl From<Mail> for MailView {
    fn from(mail: Mail) -> Self {
        Self {
            to: mail.to,
            subject: mail.subject,
            text: mail.text,
        }
    }
}

#[get("/mail")]
fn list(auth: &State<Auth>, _loopback: Loopback, layout: PublicLayout) -> Result<Template, Error> {
    let mails = auth.outbox.in_memory().ok_or(Error::NotFound)?;
    let mails: Vec<_> = mails.into_iter().map(MailView::from).collect();
    Ok(layout.render("dev_mail", context! { mails }))
}

//! The command `mail …`.

use std::time::Duration;

use clap::Subcommand;
use tokio::time::timeout;

use super::{Failure, output};
use crate::config::Settings;
use crate::identity::MailId;
use crate::identity::email::EmailAddress;
use crate::mail::{self, Mailer};

/// A command reports an unreachable server within 15 seconds.
const SEND_TIMEOUT: Duration = Duration::from_secs(14);

#[derive(Subcommand)]
pub enum MailCommand {
    /// Send a test email and print the mail server's response
    Test {
        /// The recipient's email address
        address: String,
    },
}

impl MailCommand {
    pub async fn run(self, settings: &Settings) -> Result<(), Failure> {
        let Self::Test { address } = self;
        let address = EmailAddress::parse(&address).map_err(Failure::Refused)?;
        let (Some(url), Some(from)) = (&settings.mail_url, &settings.mail_from) else {
            return Err(Failure::Refused(
                "no mail server is configured; set app.mail_url and app.mail_from".into(),
            ));
        };
        let text = format!("This is a test email from {}.\n", settings.name);
        let mail = mail::Mail {
            id: MailId::new().to_string(),
            to: address.key().to_owned(),
            subject: format!("Test email from {}", settings.name),
            html: format!("<p>{}</p>", tera::escape_html(&text)),
            text,
        };
        let mailer = Mailer::new(url, from)?;
        let response = timeout(SEND_TIMEOUT, mailer.send(&mail))
            .await
            .map_err(|_| Failure::Refused(format!("{url:?} did not respond in time")))?
            .map_err(|error| Failure::Refused(format!("{url:?}: {error}")))?;
        output::line(&response)
    }
}

//! The command `user invite`. It prints the link before it stores anything.

use super::{Failure, output, parse_username};
use crate::auth::Auth;
use crate::config::SignUpPolicy;
use crate::error::Error;
use crate::identity::email::EmailAddress;
use crate::models::event::Actor;
use crate::models::user::Role;

/// Invites a user. Without a name, creates an invitation to sign up.
pub async fn run(
    auth: &Auth,
    name: Option<&str>,
    email: Option<&str>,
    admin: bool,
) -> Result<(), Failure> {
    let email = email.map(EmailAddress::parse).transpose();
    let email =
        email.map_err(|reason| Failure::Refused(format!("invalid email address: {reason}")))?;
    let actor = Actor::command_line();
    let mut print_failure = None;
    let print = |link: &str| {
        output::secret(link).map_err(|failure| {
            print_failure = Some(failure);
            Error::Internal("the link cannot be printed")
        })
    };
    let invited = match name {
        Some(name) => {
            let name = parse_username(name)?;
            let role = if admin { Role::Admin } else { Role::User };
            auth.links
                .invite(&name, role, email.as_ref(), &actor, print)
                .await
                .map(drop)
        }
        None if auth.settings().sign_up == SignUpPolicy::Closed => {
            return Err(Failure::Refused(
                "sign-up is closed; set app.sign_up to \"invite\", or give a username".into(),
            ));
        }
        None => {
            auth.links
                .invite_to_sign_up(email.as_ref(), &actor, print)
                .await
        }
    };
    if let Some(failure) = print_failure {
        return Err(failure);
    }
    invited?;
    output::message("The link works once, within seven days.");
    if let Some(email) = email {
        output::message(&if auth.outbox.is_enabled() {
            format!("The link is also sent to {} by email.", email.as_str())
        } else {
            "No email was sent, because app.mail_url is not set. Send the link to the user yourself."
                .to_owned()
        });
    }
    Ok(())
}

//! One-time links for invitations, forgotten passwords and email addresses to verify.
//!
//! A link is consumed in the transaction of its effect: of several requests with one key, one succeeds. Changing the
//! password or the email address invalidates all links of the user.

use super::accounts::{ConfirmedUser, create, event_details, parse_stored_username};
use super::outbox::{MailKind, MailValues, Outbox, mail_values};
use super::passwords::Passwords;
use super::revocation::{self, Reason, TokenSelector};
use super::session_change::SessionChanges;
use super::throttle::{self, Throttle};
use crate::config::SignUpPolicy;
use crate::db::{Conn, Pool};
use crate::error::Error;
use crate::identity::email::EmailAddress;
use crate::identity::{UserId, Username};
use crate::models::event::{self, Action, Actor, EventDetails};
use crate::models::link;
pub use crate::models::link::{Link, Purpose};
use crate::models::now;
use crate::models::user::{self, Role, UserRow};
use crate::password::Password;
use crate::secret::Digest;
use crate::web::caller::Caller;

/// Message for a key that is wrong, used, expired or for another purpose.
pub const INVALID_LINK: &str = "This link is invalid or has expired.";

const USERNAME_IS_EMAIL: &str = "Enter a username that is not an email address.";

/// Issues and redeems one-time links. Cheap to clone.
#[derive(Clone)]
pub struct Links {
    pub(super) pool: Pool,
    pub(super) passwords: Passwords,
    pub(super) changes: SessionChanges,
    pub(super) outbox: Outbox,
    pub(super) throttle: Throttle,
}

/// A new account to sign up.
#[derive(Clone, Copy)]
pub struct NewAccount<'a> {
    /// The username.
    pub username: &'a Username,
    /// The password.
    pub password: &'a Password,
    /// An email address, to be verified.
    pub email: Option<&'a EmailAddress>,
    /// The key of an invitation to sign up.
    pub invitation_key: Option<&'a str>,
}

impl Links {
    /// Creates a user without a password and a link to set one. `show_link` gets the link before the transaction
    /// commits. The link is also mailed if there is an email address.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the name is taken; any error of `show_link`; [`Error::Database`].
    pub async fn invite(
        &self,
        username: &Username,
        role: Role,
        email: Option<&EmailAddress>,
        actor: &Actor,
        show_link: impl FnOnce(&str) -> Result<(), Error>,
    ) -> Result<UserId, Error> {
        let mut tx = self.pool.write().await?;
        let id = create(&mut tx, username, None, role, actor).await?;
        if let Some(email) = email {
            user::set_unverified_email(&mut tx, id, email.as_str()).await?;
        }
        let invitation = NewInvitation {
            purpose: Purpose::Invite,
            kind: MailKind::Invite,
            user: Some((id, username.as_str())),
            email,
        };
        self.issue_invitation(&mut tx, invitation, actor, show_link)
            .await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Issues another link for a user who has not set a password yet, and invalidates the previous one.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] if the user has a password; any error of `show_link`;
    /// [`Error::Database`].
    pub async fn invite_again(
        &self,
        id: UserId,
        actor: &Actor,
        show_link: impl FnOnce(&str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut tx = self.pool.write().await?;
        user::lock(&mut tx, id).await?;
        let user = user::find(&mut tx, id).await?.ok_or(Error::NotFound)?;
        if user::has_password(&mut tx, id).await? {
            return Err(Error::Conflict("This user has already set a password."));
        }
        link::invalidate(&mut tx, id).await?;
        let email = user::email(&mut tx, id).await?;
        let email = email.and_then(|(email, _)| EmailAddress::parse(&email).ok());
        let invitation = NewInvitation {
            purpose: Purpose::Invite,
            kind: MailKind::Invite,
            user: Some((id, &user.username)),
            email: email.as_ref(),
        };
        self.issue_invitation(&mut tx, invitation, actor, show_link)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Issues an invitation for one sign-up.
    ///
    /// # Errors
    /// Any error of `show_link`; [`Error::Database`].
    pub async fn invite_to_sign_up(
        &self,
        email: Option<&EmailAddress>,
        actor: &Actor,
        show_link: impl FnOnce(&str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut tx = self.pool.write().await?;
        let invitation = NewInvitation {
            purpose: Purpose::SignUp,
            kind: MailKind::SignUp,
            user: None,
            email,
        };
        self.issue_invitation(&mut tx, invitation, actor, show_link)
            .await?;
        Ok(tx.commit().await?)
    }

    async fn issue_invitation(
        &self,
        tx: &mut Conn,
        invitation: NewInvitation<'_>,
        actor: &Actor,
        show_link: impl FnOnce(&str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let NewInvitation {
            purpose,
            kind,
            user,
            email,
        } = invitation;
        let id = user.map(|(id, _)| id);
        let link = self.outbox.create_link(tx, purpose, id, None).await?;
        if let Some(email) = email {
            let values = MailValues::new();
            self.outbox
                .enqueue(tx, kind, id, Some(link), email.key(), &values)
                .await?;
        }
        let details = EventDetails {
            subject: user,
            reason: Some(purpose.as_str()),
            ..EventDetails::default()
        };
        event::insert(tx, Action::UserInvited, actor, details, now()).await?;
        show_link(&self.outbox.link_url(purpose, link))
    }

    /// The link with this key, if it can be used for one of these purposes. Does not consume it.
    ///
    /// # Errors
    /// [`Error::Invalid`] with `key`; [`Error::Database`].
    pub async fn find(&self, key: &str, purposes: &[Purpose]) -> Result<Link, Error> {
        let mut db = self.pool.read().await?;
        self.find_in(&mut db, key, purposes).await
    }

    async fn find_in(&self, db: &mut Conn, key: &str, purposes: &[Purpose]) -> Result<Link, Error> {
        let link = link::find(db, &Digest::for_key(key), now()).await?;
        // Changing `secret_key` invalidates earlier links: the old key may have leaked.
        let has_current_key = |link: &Link| *self.outbox.settings.link_keys.key(link.id) == key;
        link.filter(|link| purposes.contains(&link.purpose) && has_current_key(link))
            .ok_or_else(invalid_key)
    }

    /// Redeems a link to set a password, and revokes all tokens of its user. `field` is the password's form field.
    ///
    /// # Errors
    /// [`Error::Invalid`] with `key` or `field`; [`Error::Overloaded`]; [`Error::Database`].
    pub async fn set_password(
        &self,
        key: &str,
        field: &'static str,
        new: &Password,
        actor: &Actor,
    ) -> Result<(), Error> {
        let purposes = [Purpose::Reset, Purpose::Invite];
        let user = {
            let mut db = self.pool.read().await?;
            let link = self.find_in(&mut db, key, &purposes).await?;
            owner(&mut db, &link).await?
        };
        let hash = self
            .passwords
            .hash(field, &parse_stored_username(&user.username)?, new)
            .await?;
        let now = now();
        let mut tx = self.changes.begin_for(user.id).await?;
        tx.lock(user.id).await?;
        let link = self.find_in(&mut tx, key, &purposes).await?;
        let user = owner(&mut tx, &link).await?;
        user::set_password(&mut tx, user.id, &hash).await?;
        link::invalidate(&mut tx, user.id).await?;
        throttle::clear_locks(&mut tx, user.id, now).await?;
        event::insert(
            &mut tx,
            Action::PasswordReset,
            actor,
            event_details(&user),
            now,
        )
        .await?;
        let selector = TokenSelector::ByUser(user.id, None);
        revocation::revoke(&mut tx, selector, Reason::PasswordChanged, actor, now).await?;
        let values = mail_values([("signed_out", true.into())]);
        self.outbox
            .notify(&mut tx, MailKind::PasswordChanged, user.id, &values)
            .await?;
        // The inviting admin knows this link too, so using it does not verify an email address.
        if link.purpose == Purpose::Invite
            && let Some((address, false)) = user::email(&mut tx, user.id).await?
            && let Ok(address) = EmailAddress::parse(&address)
        {
            self.outbox
                .request(&mut tx, MailKind::Verify, Some(user.id), &address)
                .await?;
        }
        tx.commit().await
    }

    /// Redeems a link that verifies an email address.
    ///
    /// # Errors
    /// [`Error::Invalid`] with `key`, also if another user has verified the email address meanwhile;
    /// [`Error::Database`].
    pub async fn verify(&self, key: &str, actor: &Actor) -> Result<(), Error> {
        let now = now();
        let mut tx = self.pool.write().await?;
        let link = self.find_in(&mut tx, key, &[Purpose::Verify]).await?;
        user::lock(&mut tx, link.user().ok_or_else(invalid_key)?).await?;
        let user = owner(&mut tx, &link).await?;
        let email = link.email.as_deref().map(EmailAddress::parse);
        let Some(Ok(email)) = email else {
            return Err(Error::Internal("a verification link has no address"));
        };
        if !link::consume(&mut tx, link.id).await? {
            return Err(invalid_key());
        }
        // Queued before the new address is stored, because `notify` mails the stored one.
        let values = mail_values([("email", email.as_str().into())]);
        self.outbox
            .notify(&mut tx, MailKind::EmailChanged, user.id, &values)
            .await?;
        if !user::set_verified_email(&mut tx, user.id, &email, now).await? {
            return Err(invalid_key());
        }
        link::invalidate(&mut tx, user.id).await?;
        event::insert(
            &mut tx,
            Action::EmailVerified,
            actor,
            event_details(&user),
            now,
        )
        .await?;
        Ok(tx.commit().await?)
    }

    /// Requests a mail with a link to reset the password of the user with this email address. Nothing reveals whether
    /// there is one.
    ///
    /// # Errors
    /// [`Error::Throttled`]; [`Error::Database`].
    pub async fn request_reset(&self, email: &EmailAddress, caller: &Caller) -> Result<(), Error> {
        self.throttle.count_request(caller).await?;
        let mut tx = self.pool.write().await?;
        self.outbox
            .request(&mut tx, MailKind::Reset, None, email)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Requests a mail with a link to verify a new email address, and notifies the user's current one.
    ///
    /// # Errors
    /// [`Error::Invalid`] with `email` if the user has verified it already; [`Error::InvalidToken`] if the password was
    /// changed meanwhile; [`Error::Throttled`]; [`Error::Database`].
    pub async fn request_verification(
        &self,
        confirmed: &ConfirmedUser,
        email: &EmailAddress,
        caller: &Caller,
        actor: &Actor,
    ) -> Result<(), Error> {
        self.throttle.count_request(caller).await?;
        let user = confirmed.user;
        let mut tx = self.pool.write().await?;
        confirmed.lock(&mut tx).await?;
        let found = user::find(&mut tx, user)
            .await?
            .ok_or(Error::InvalidToken)?;
        if user::verified_email_key(&mut tx, user).await?.as_deref() == Some(email.key()) {
            return Err(Error::invalid(
                "email",
                "This is already your email address.",
            ));
        }
        event::insert(
            &mut tx,
            Action::EmailRequested,
            actor,
            event_details(&found),
            now(),
        )
        .await?;
        user::set_unverified_email(&mut tx, user, email.as_str()).await?;
        self.outbox
            .request(&mut tx, MailKind::Verify, Some(user), email)
            .await?;
        let values = mail_values([("email", email.as_str().into())]);
        self.outbox
            .notify(&mut tx, MailKind::EmailChanging, user, &values)
            .await?;
        Ok(tx.commit().await?)
    }

    /// Creates a user who signs up.
    ///
    /// # Errors
    /// [`Error::SignUpClosed`]; [`Error::Invalid`] with `username`, `password` or `invite`; [`Error::Throttled`];
    /// [`Error::Overloaded`]; [`Error::Database`].
    pub async fn sign_up(
        &self,
        new: NewAccount<'_>,
        caller: &Caller,
        actor: &Actor,
    ) -> Result<UserId, Error> {
        let NewAccount {
            username,
            password,
            email,
            invitation_key,
        } = new;
        let invitation_key = match (self.outbox.settings.sign_up, invitation_key) {
            (SignUpPolicy::Closed, _) | (SignUpPolicy::Invite, None) => {
                return Err(Error::SignUpClosed);
            }
            (SignUpPolicy::Open, None) => None,
            (_, Some(key)) => Some(key),
        };
        // The username could be another user's email address, and would keep that user from signing in with it.
        if EmailAddress::parse(username.key()).is_ok() {
            return Err(Error::invalid("username", USERNAME_IS_EMAIL));
        }
        self.throttle.count_request(caller).await?;
        if let Some(key) = invitation_key {
            let found = self.find(key, &[Purpose::SignUp]).await;
            found.map_err(into_invite_error)?;
        }
        let hash = self.passwords.hash("password", username, password).await?;
        let mut tx = self.pool.write().await?;
        if let Some(key) = invitation_key {
            let link = self.find_in(&mut tx, key, &[Purpose::SignUp]).await;
            if !link::consume(&mut tx, link.map_err(into_invite_error)?.id).await? {
                return Err(into_invite_error(invalid_key()));
            }
        }
        let id = create(&mut tx, username, Some(&hash), Role::User, actor).await?;
        if let Some(email) = email {
            user::set_unverified_email(&mut tx, id, email.as_str()).await?;
            self.outbox
                .request(&mut tx, MailKind::Verify, Some(id), email)
                .await?;
        }
        tx.commit().await?;
        Ok(id)
    }
}

/// An invitation to be issued.
struct NewInvitation<'a> {
    purpose: Purpose,
    kind: MailKind,
    user: Option<(UserId, &'a str)>,
    email: Option<&'a EmailAddress>,
}

fn invalid_key() -> Error {
    Error::invalid("key", INVALID_LINK)
}

/// Moves an error from the field `key` to `invite`.
fn into_invite_error(error: Error) -> Error {
    match error {
        Error::Invalid(_) => Error::invalid("invite", INVALID_LINK),
        error => error,
    }
}

/// The user of a link. A disabled user's links are invalid.
async fn owner(db: &mut Conn, link: &Link) -> Result<UserRow, Error> {
    let id = link.user().ok_or_else(invalid_key)?;
    let user = user::find(db, id).await?.ok_or_else(invalid_key)?;
    match user.disabled_at {
        None => Ok(user),
        Some(_) => Err(invalid_key()),
    }
}

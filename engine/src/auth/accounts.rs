//! Accounts: users, their roles and their passwords. A change that locks a user out also revokes their tokens, in the
//! same transaction.

mod self_service;

use super::outbox::{MailKind, Outbox, mail_values};
use super::passwords::Passwords;
use super::revocation::{self, Reason, TokenSelector};
use super::session_change::SessionChanges;
use super::sessions::Sessions;
use super::throttle::{self, Throttle};
use crate::db::{Conn, Pool, is_retryable};
use crate::error::Error;
use crate::identity::{TokenId, UserId, Username};
use crate::models::event::{self, Action, Actor, EventDetails};
use crate::models::token::TokenKind;
use crate::models::user::{self, Role, UserRow};
use crate::models::{link, now};
use crate::password::Password;

pub use self::self_service::ConfirmedUser;

const LAST_ADMIN: &str = "This is the last active admin. Make another user an admin first.";
pub(crate) const NAME_TAKEN: &str = "A user with that username already exists.";

/// What happens to a user's tokens when an admin or the command line sets the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExistingTokens {
    /// Revoke them, because others may know the old password. The given token is kept: it is the session of an admin
    /// who sets their own password.
    RevokeAllExcept(Option<TokenId>),
    /// Keep them all.
    Keep,
}

/// Creates, changes and deletes users, and checks passwords again for sensitive actions. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    pub(super) pool: Pool,
    pub(super) passwords: Passwords,
    pub(super) throttle: Throttle,
    pub(super) sessions: Sessions,
    pub(super) changes: SessionChanges,
    pub(super) outbox: Outbox,
}

impl Accounts {
    /// Creates a user.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the name is taken or the password rejected; [`Error::Overloaded`]; [`Error::Database`].
    pub async fn create_user(
        &self,
        username: &Username,
        password: &Password,
        role: Role,
        actor: &Actor,
    ) -> Result<UserId, Error> {
        let hash = self.passwords.hash("password", username, password).await?;
        let mut tx = self.pool.write().await?;
        let id = create(&mut tx, username, Some(&hash), role, actor).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Creates the first admin. If several requests race, one succeeds.
    ///
    /// # Errors
    /// [`Error::Conflict`] if an admin exists; otherwise as [`Accounts::create_user`].
    pub async fn create_first_admin(
        &self,
        username: &Username,
        password: &Password,
        actor: &Actor,
    ) -> Result<UserId, Error> {
        const ADMIN_EXISTS: &str = "An admin already exists.";
        let hash = self.passwords.hash("password", username, password).await?;
        // There is no row yet that two requests could both lock, so the transaction is serializable.
        let mut tx = self.pool.write_serializable().await?;
        if user::any_admin(&mut tx).await? {
            return Err(Error::Conflict(ADMIN_EXISTS));
        }
        let created = create(&mut tx, username, Some(&hash), Role::Admin, actor).await;
        let done = match created {
            Ok(id) => tx.commit().await.map(|()| id).map_err(Error::from),
            Err(error) => Err(error),
        };
        done.map_err(|error| match error {
            Error::Database(error) if is_retryable(&error) => Error::Conflict(ADMIN_EXISTS),
            error => error,
        })
    }

    /// Whether there is an admin, active or not, who has set a password.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn has_admin(&self) -> Result<bool, Error> {
        let mut db = self.pool.read().await?;
        Ok(user::any_admin(&mut db).await?)
    }

    /// Disables a user, revokes their tokens and returns how many. Idempotent.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] for the last active admin; [`Error::Database`].
    pub async fn disable(&self, id: UserId, actor: &Actor) -> Result<u64, Error> {
        let now = now();
        let mut tx = self.changes.begin_for(id).await?;
        let user = find_unless_last_admin(&mut tx, id).await?;
        if user::disable(&mut tx, id, now).await? {
            event::insert(
                &mut tx,
                Action::UserDisabled,
                actor,
                event_details(&user),
                now,
            )
            .await?;
        }
        let selector = TokenSelector::ByUser(id, None);
        let revoked =
            revocation::revoke(&mut tx, selector, Reason::UserDisabled, actor, now).await?;
        tx.commit().await?;
        Ok(revoked)
    }

    /// Enables a disabled user. Idempotent.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Database`].
    pub async fn enable(&self, id: UserId, actor: &Actor) -> Result<(), Error> {
        let mut tx = self.pool.write().await?;
        let user = find(&mut tx, id).await?;
        if user::enable(&mut tx, id).await? {
            event::insert(
                &mut tx,
                Action::UserEnabled,
                actor,
                event_details(&user),
                now(),
            )
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// Makes a user an admin. Idempotent.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Database`].
    pub async fn promote(&self, id: UserId, actor: &Actor) -> Result<(), Error> {
        let mut tx = self.changes.begin_for(id).await?;
        let user = find(&mut tx, id).await?;
        if user::set_role(&mut tx, id, Role::Admin).await? {
            tx.mark_changed(id);
            event::insert(
                &mut tx,
                Action::UserPromoted,
                actor,
                event_details(&user),
                now(),
            )
            .await?;
        }
        tx.commit().await
    }

    /// Removes the admin role and revokes the user's admin sessions. Their other tokens stay valid. Idempotent.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] for the last active admin; [`Error::Database`].
    pub async fn demote(&self, id: UserId, actor: &Actor) -> Result<(), Error> {
        let now = now();
        let mut tx = self.changes.begin_for(id).await?;
        let user = find_unless_last_admin(&mut tx, id).await?;
        if user::set_role(&mut tx, id, Role::User).await? {
            tx.mark_changed(id);
            event::insert(
                &mut tx,
                Action::UserDemoted,
                actor,
                event_details(&user),
                now,
            )
            .await?;
        }
        let selector = TokenSelector::ByKind(id, TokenKind::Admin);
        revocation::revoke(&mut tx, selector, Reason::UserDemoted, actor, now).await?;
        tx.commit().await
    }

    /// Deletes a user and their tokens, and returns how many tokens. Their audit events are kept.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] for the last active admin; [`Error::Database`].
    pub async fn delete_user(&self, id: UserId, actor: &Actor) -> Result<u64, Error> {
        self.delete(id, None, actor).await
    }

    async fn delete(
        &self,
        id: UserId,
        confirmed: Option<&ConfirmedUser>,
        actor: &Actor,
    ) -> Result<u64, Error> {
        let now = now();
        let mut tx = self.changes.begin_for(id).await?;
        let user = find_unless_last_admin(&mut tx, id).await?;
        if let Some(confirmed) = confirmed {
            confirmed.lock(&mut tx).await?;
        }
        // A login locks the user's row until it commits. From here on, this transaction holds the lock.
        user::disable(&mut tx, id, now).await?;
        let selector = TokenSelector::ByUser(id, None);
        let revoked =
            revocation::revoke(&mut tx, selector, Reason::UserDeleted, actor, now).await?;
        // Deleted in the order in which a failed login locks the rows.
        throttle::delete_budget(&mut tx, id).await?;
        user::delete(&mut tx, id).await?;
        event::insert(
            &mut tx,
            Action::UserDeleted,
            actor,
            event_details(&user),
            now,
        )
        .await?;
        tx.commit().await?;
        Ok(revoked)
    }

    /// Sets a user's password on behalf of an admin or the command line, revokes the user's tokens unless `tokens`
    /// keeps them, and returns how many.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] with `password`; [`Error::Overloaded`]; [`Error::Database`].
    pub async fn set_password(
        &self,
        user: &UserRow,
        new: &Password,
        tokens: ExistingTokens,
        actor: &Actor,
    ) -> Result<u64, Error> {
        let username = parse_stored_username(&user.username)?;
        let hash = self.passwords.hash("password", &username, new).await?;
        let now = now();
        let mut tx = self.changes.begin_for(user.id).await?;
        if !user::set_password(&mut tx, user.id, &hash).await? {
            return Err(Error::NotFound);
        }
        event::insert(
            &mut tx,
            Action::PasswordReset,
            actor,
            event_details(user),
            now,
        )
        .await?;
        let revoked = match tokens {
            ExistingTokens::RevokeAllExcept(kept) => {
                let selector = TokenSelector::ByUser(user.id, kept);
                revocation::revoke(&mut tx, selector, Reason::PasswordChanged, actor, now).await?
            }
            ExistingTokens::Keep => 0,
        };
        let is_signed_out = tokens != ExistingTokens::Keep;
        self.after_password_change(&mut tx, user.id, is_signed_out)
            .await?;
        tx.commit().await?;
        Ok(revoked)
    }

    /// Invalidates the user's existing links, and notifies the user.
    async fn after_password_change(
        &self,
        tx: &mut Conn,
        user: UserId,
        is_signed_out: bool,
    ) -> Result<(), Error> {
        link::invalidate(tx, user).await?;
        let values = mail_values([("signed_out", is_signed_out.into())]);
        self.outbox
            .notify(tx, MailKind::PasswordChanged, user, &values)
            .await
    }
}

pub(super) fn parse_stored_username(stored: &str) -> Result<Username, Error> {
    Username::parse(stored).map_err(|_| Error::Internal("a stored username is invalid"))
}

pub(super) async fn create(
    tx: &mut Conn,
    username: &Username,
    hash: Option<&str>,
    role: Role,
    actor: &Actor,
) -> Result<UserId, Error> {
    let (id, now) = (UserId::new(), now());
    if !user::insert(tx, id, username, hash, role, now).await? {
        return Err(Error::invalid("username", NAME_TAKEN));
    }
    let details = EventDetails {
        subject: Some((id, username.as_str())),
        ..EventDetails::default()
    };
    event::insert(tx, Action::UserCreated, actor, details, now).await?;
    Ok(id)
}

async fn find(tx: &mut Conn, id: UserId) -> Result<UserRow, Error> {
    user::find(tx, id).await?.ok_or(Error::NotFound)
}

/// The user, or [`Error::Conflict`] for the last active admin.
async fn find_unless_last_admin(tx: &mut Conn, id: UserId) -> Result<UserRow, Error> {
    let admins = user::lock_active_admins(tx).await?;
    let user = find(tx, id).await?;
    let is_active = user.role == Role::Admin && user.disabled_at.is_none();
    if is_active && admins <= 1 && user::has_password(tx, id).await? {
        return Err(Error::Conflict(LAST_ADMIN));
    }
    Ok(user)
}

pub(super) fn event_details(user: &UserRow) -> EventDetails<'_> {
    EventDetails {
        subject: Some((user.id, &user.username)),
        ..EventDetails::default()
    }
}

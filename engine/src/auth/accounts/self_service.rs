//! Changes that users make to their own accounts. All but the choice of notices require the current password.

use tokio::time::Instant;

use super::{Accounts, parse_stored_username};
use crate::auth::passwords::{CheckedPassword, PresentedPassword};
use crate::auth::revocation::{self, Reason, TokenSelector};
use crate::auth::session::Session;
use crate::auth::throttle::RejectedLogin;
use crate::db::Conn;
use crate::error::Error;
use crate::identity::UserId;
use crate::models::event::{self, Action, Actor, EventDetails};
use crate::models::now;
use crate::models::user::{self, Credentials};
use crate::password::{Password, Permit, Verdict};
use crate::secret::Secret;
use crate::web::caller::Caller;

/// A user whose password was checked a moment ago.
pub struct ConfirmedUser {
    pub(in crate::auth) user: UserId,
    hash: String,
}

impl ConfirmedUser {
    /// Locks the user's row. Fails if the password was changed since.
    ///
    /// # Errors
    /// [`Error::InvalidToken`]; [`Error::Database`].
    pub(in crate::auth) async fn lock(&self, tx: &mut Conn) -> Result<(), Error> {
        if user::lock_with_password(tx, self.user, &self.hash).await? {
            Ok(())
        } else {
            Err(Error::InvalidToken)
        }
    }
}

impl Accounts {
    /// Deletes the current user, as [`Accounts::delete_user`] does.
    ///
    /// # Errors
    /// [`Error::InvalidToken`] if the password was changed meanwhile; as [`Accounts::delete_user`].
    pub async fn delete_own(&self, confirmed: &ConfirmedUser, actor: &Actor) -> Result<u64, Error> {
        self.delete(confirmed.user, Some(confirmed), actor).await
    }

    /// Changes the current user's password, revokes all their other tokens and returns how many.
    ///
    /// # Errors
    /// [`Error::Invalid`] with `new_password`; [`Error::InvalidToken`] if the user was changed meanwhile; otherwise as
    /// [`Accounts::confirm`].
    pub async fn change_password(
        &self,
        session: &Session,
        current: &Password,
        new: &Password,
        caller: &Caller,
    ) -> Result<u64, Error> {
        let (id, actor) = (session.user_id, session.actor(caller));
        let details = EventDetails {
            subject: Some((id, &session.username)),
            ..EventDetails::default()
        };
        let started_at = Instant::now();
        // If a login replaces an outdated hash meanwhile, the first round finds another hash than it checked.
        for _ in 0..2 {
            let (permit, checked) = self
                .check_own_password(session, current, caller, started_at)
                .await?;
            self.passwords.require_valid(
                "new_password",
                &parse_stored_username(&checked.username)?,
                new,
            )?;
            let hash = permit.hash(new).await?;
            drop(permit);
            let now = now();
            let mut tx = self.changes.begin_for(id).await?;
            if user::change_password(&mut tx, id, &checked.password_hash, &hash).await? {
                event::insert(&mut tx, Action::PasswordChanged, &actor, details, now).await?;
                let selector = TokenSelector::ByUser(id, Some(session.token_id));
                let revoked =
                    revocation::revoke(&mut tx, selector, Reason::PasswordChanged, &actor, now)
                        .await?;
                self.after_password_change(&mut tx, id, true).await?;
                tx.commit().await?;
                return Ok(revoked);
            }
        }
        Err(Error::InvalidToken)
    }

    /// Checks the current user's password again for a sensitive action, and replaces the session's token.
    ///
    /// # Errors
    /// [`Error::Invalid`] with `current_password`; [`Error::InvalidToken`] if the session has ended meanwhile;
    /// [`Error::Throttled`]; [`Error::Overloaded`]; [`Error::Database`].
    pub async fn confirm(
        &self,
        session: &Session,
        current: &Password,
        caller: &Caller,
    ) -> Result<Secret, Error> {
        self.check_own_password(session, current, caller, Instant::now())
            .await?;
        self.sessions.renew(session).await
    }

    /// Stores whether a user wants mails that are not about account security.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn set_notices(&self, id: UserId, wanted: bool) -> Result<(), Error> {
        let mut tx = self.pool.write().await?;
        user::set_notices(&mut tx, id, wanted).await?;
        Ok(tx.commit().await?)
    }

    /// Checks the password of the current user, for a change that requires it.
    ///
    /// # Errors
    /// As [`Accounts::confirm`].
    pub async fn check_password(
        &self,
        session: &Session,
        current: &Password,
        caller: &Caller,
    ) -> Result<ConfirmedUser, Error> {
        let started_at = Instant::now();
        let (_, found) = self
            .check_own_password(session, current, caller, started_at)
            .await?;
        Ok(ConfirmedUser {
            user: session.user_id,
            hash: found.password_hash,
        })
    }

    /// Checks the current user's password. Failures count towards the same limits as failed logins, because a thief of
    /// a token does not have the password yet.
    async fn check_own_password(
        &self,
        session: &Session,
        current: &Password,
        caller: &Caller,
        started_at: Instant,
    ) -> Result<(Permit, Credentials), Error> {
        let id = session.user_id;
        let found = {
            let mut db = self.pool.read().await?;
            user::credentials(&mut db, id).await?
        };
        let found = found.ok_or(Error::InvalidToken)?;
        let (username, password_hash) = (
            parse_stored_username(&found.username)?,
            found.password_hash.clone(),
        );
        let presented = PresentedPassword {
            username: &username,
            password: current,
            caller,
            session: Some(session.token_id),
            started_at,
        };
        let CheckedPassword {
            verdict,
            attempt,
            permit,
        } = self
            .passwords
            .check(&presented, Some((id, password_hash)))
            .await?;
        if verdict == Verdict::Wrong {
            drop(permit);
            let rejected = RejectedLogin {
                user: Some((id, session.username.clone())),
                reason: "confirmation",
            };
            let actor = session.actor(caller);
            self.throttle
                .record_failure(&actor, &rejected, &attempt)
                .await?;
            return Err(Error::invalid(
                "current_password",
                "This password is incorrect.",
            ));
        }
        self.throttle.release(&attempt).await?;
        Ok((permit, found))
    }
}

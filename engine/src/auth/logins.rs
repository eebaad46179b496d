//! Login: checks a password and issues a token.
//!
//! **Races.** Tens of milliseconds of hashing lie between checking a password and issuing the token. The issuing
//! transaction therefore begins with an `UPDATE` of the user's row that requires the hash that was checked and an
//! active user. If the user was disabled or the password changed meanwhile, no token is issued. The row stays locked
//! until the token is stored, so two logins of one user cannot both find room for one more token.

use std::sync::Arc;

use rand::distr::{Alphanumeric, SampleString};
use tokio::time::Instant;

use super::metrics::AuthMetrics;
use super::outbox::{MailKind, Outbox, mail_values};
use super::passwords::{CheckedPassword, Passwords, PresentedPassword};
use super::revocation::{Reason, TokenSelector};
use super::session::Session;
use super::session_change::SessionChanges;
use super::sessions::{IssuedToken, Sessions};
use super::throttle::{LoginAttempt, RejectedLogin, Throttle, remember_address};
use crate::db::Pool;
use crate::error::Error;
use crate::identity::device::Device;
use crate::identity::email::EmailAddress;
use crate::identity::{ClientName, Username};
use crate::models::event::Actor;
use crate::models::token::TokenKind;
use crate::models::user::{self, Credentials, Role};
use crate::models::{known_device, now};
use crate::password::{Password, Verdict};
use crate::web::caller::Caller;

/// Signs users in. Cheap to clone.
#[derive(Clone)]
pub struct Logins {
    pub(super) pool: Pool,
    pub(super) passwords: Passwords,
    pub(super) throttle: Throttle,
    pub(super) sessions: Sessions,
    pub(super) changes: SessionChanges,
    pub(super) metrics: Arc<AuthMetrics>,
    pub(super) outbox: Outbox,
}

impl Logins {
    /// Signs in a client of the JSON API. The new token replaces the client's previous one.
    ///
    /// # Errors
    /// [`Error::InvalidCredentials`], the same and after the same work for an unknown user, a wrong password and a
    /// disabled user; [`Error::Throttled`] after too many failures or, for the right password alone, too many
    /// successes; [`Error::TooManyTokens`]; [`Error::Overloaded`]; [`Error::Database`].
    pub async fn sign_in(
        &self,
        username: &Username,
        password: &Password,
        client: ClientName,
        caller: &Caller,
    ) -> Result<IssuedToken, Error> {
        self.sign_in_as(TokenKind::Api, username, password, client, caller)
            .await
    }

    /// Signs in a browser for the admin or the account pages. For the admin, a user without that role gets the same
    /// error as for a wrong password. The new cookie replaces that of the browser's `previous` session of this kind, so
    /// this revokes it.
    ///
    /// # Errors
    /// As [`Logins::sign_in`], without [`Error::TooManyTokens`].
    pub async fn sign_in_browser(
        &self,
        kind: TokenKind,
        username: &str,
        password: &Password,
        caller: &Caller,
        previous: Option<&Session>,
    ) -> Result<IssuedToken, Error> {
        let username = Username::parse(username).map_err(|_| Error::InvalidCredentials)?;
        let name = format!(
            "browser-{}",
            Alphanumeric.sample_string(&mut rand::rng(), 8)
        );
        let client =
            ClientName::parse(&name).map_err(|_| Error::Internal("invalid client name"))?;
        let issued = self
            .sign_in_as(kind, &username, password, client, caller)
            .await?;
        if let Some(previous) = previous.filter(|session| session.kind == kind) {
            let selector = TokenSelector::Owned(previous.token_id, previous.user_id);
            let actor = previous.actor(caller);
            if let Err(error) = self
                .sessions
                .revoke(selector, Reason::Replaced, &actor)
                .await
            {
                tracing::warn!(
                    "could not revoke a browser's earlier session, which stays valid until it expires: {error}"
                );
            }
        }
        Ok(issued)
    }

    async fn sign_in_as(
        &self,
        kind: TokenKind,
        username: &Username,
        password: &Password,
        client: ClientName,
        caller: &Caller,
    ) -> Result<IssuedToken, Error> {
        let issued = self.check_and_issue(kind, username, password, client, caller);
        let issued = issued.await;
        self.metrics.login(kind, &issued);
        issued
    }

    async fn check_and_issue(
        &self,
        kind: TokenKind,
        username: &Username,
        password: &Password,
        client: ClientName,
        caller: &Caller,
    ) -> Result<IssuedToken, Error> {
        let presented = PresentedPassword {
            username,
            password,
            caller,
            session: None,
            started_at: Instant::now(),
        };
        let email = EmailAddress::parse(username.as_str()).ok();
        let email = email.as_ref().map(EmailAddress::key);
        // If two logins both replace an outdated hash, the later one finds another hash than it checked. The second
        // round settles it.
        for _ in 0..3 {
            let found = {
                let mut db = self.pool.read().await?;
                user::credentials_by_name(&mut db, username, email).await?
            };
            let account = found
                .as_ref()
                .map(|user| (user.id, user.password_hash.clone()));
            let CheckedPassword {
                verdict,
                attempt,
                permit,
            } = self.passwords.check(&presented, account).await?;
            let user = match authorize(found, verdict, kind) {
                Ok(user) => user,
                Err(rejected) => {
                    drop(permit);
                    let actor = Actor::from_caller(kind, None, caller);
                    self.throttle
                        .record_failure(&actor, &rejected, &attempt)
                        .await?;
                    return Err(Error::InvalidCredentials);
                }
            };
            let password_hash = match verdict {
                Verdict::RightButOutdated => permit.hash(password).await?,
                Verdict::Right | Verdict::Wrong => user.password_hash.clone(),
            };
            drop(permit);
            let issued = self
                .complete_login(
                    &user,
                    &password_hash,
                    kind,
                    client.clone(),
                    caller,
                    &attempt,
                )
                .await;
            match issued {
                Ok(Some(issued)) => return Ok(issued),
                // The transaction was rolled back, so the attempt is still pending.
                Ok(None) => self.throttle.release(&attempt).await?,
                Err(error) => {
                    self.throttle.release(&attempt).await?;
                    return Err(error);
                }
            }
        }
        Err(Error::InvalidCredentials)
    }

    /// Stores the login and a new token. None if the user changed since the password was checked.
    async fn complete_login(
        &self,
        user: &Credentials,
        password_hash: &str,
        kind: TokenKind,
        client: ClientName,
        caller: &Caller,
        attempt: &LoginAttempt,
    ) -> Result<Option<IssuedToken>, Error> {
        let now = now();
        let actor = Actor::from_caller(kind, Some((user.id, user.username.clone())), caller);
        let mut tx = self.changes.begin().await?;
        if !user::record_login(&mut tx, user, password_hash, now).await? {
            return Ok(None);
        }
        self.throttle
            .count_login(&mut tx, user, &actor, now)
            .await?;
        let issued = self
            .sessions
            .issue(&mut tx, user, kind, client, caller, &actor);
        let issued = issued.await?;
        let device = Device::describe(caller.user_agent.as_deref().unwrap_or_default());
        let is_new = known_device::remember(&mut tx, user.id, &device, now).await?
            || !attempt.is_from_known_address();
        if is_new && user.last_login_at.is_some() {
            let address = caller.address.map(|address| address.to_string());
            let values = mail_values([
                ("device", device.into()),
                ("address", address.unwrap_or_default().into()),
                ("at", now.into()),
            ]);
            self.outbox
                .notify(&mut tx, MailKind::NewDevice, user.id, &values)
                .await?;
        }
        remember_address(&mut tx, user.id, caller).await?;
        attempt.succeed(&mut tx).await?;
        tx.commit().await?;
        Ok(Some(issued))
    }
}

/// The user, if the verdict and the account's state allow a sign-in of this kind.
fn authorize(
    found: Option<Credentials>,
    verdict: Verdict,
    kind: TokenKind,
) -> Result<Credentials, RejectedLogin> {
    let Some(user) = found else {
        return Err(RejectedLogin {
            user: None,
            reason: "unknown",
        });
    };
    let reason = if verdict == Verdict::Wrong {
        "password"
    } else if user.disabled_at.is_some() {
        "disabled"
    } else if kind == TokenKind::Admin && user.role != Role::Admin {
        "role"
    } else {
        return Ok(user);
    };
    Err(RejectedLogin {
        user: Some((user.id, user.username)),
        reason,
    })
}

//! The only place that checks passwords, within the limits of [`super::throttle`], and hashes new ones.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::throttle::{Budgets, LoginAttempt, Throttle};
use crate::config::Settings;
use crate::db::is_retryable;
use crate::error::{Error, FieldErrors};
use crate::identity::{TokenId, UserId, Username};
use crate::password::{self, Hasher, Password, Permit, QueueSlot, Verdict};
use crate::web::caller::Caller;

/// First interval between checks for room in the budgets. Room appears when a pending attempt ends, which takes about
/// as long as a hash.
const MIN_POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Longest interval between these checks.
const MAX_POLL_INTERVAL: Duration = Duration::from_millis(200);
/// Maximum wait for room in the budgets.
const ROOM_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum wait for room and a permit together.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(7);

/// A password to check.
pub(super) struct PresentedPassword<'a> {
    pub(super) username: &'a Username,
    pub(super) password: &'a Password,
    pub(super) caller: &'a Caller,
    /// The session in which the user confirms their password. None for a login.
    pub(super) session: Option<TokenId>,
    /// When the request began to wait.
    pub(super) started_at: Instant,
}

/// A password that was checked against an account.
pub(super) struct CheckedPassword {
    pub(super) verdict: Verdict,
    /// To be released, or recorded as failed.
    pub(super) attempt: LoginAttempt,
    /// For hashing a new password.
    pub(super) permit: Permit,
}

/// Checks and hashes passwords. Cheap to clone.
#[derive(Clone)]
pub(super) struct Passwords {
    pub(super) settings: Arc<Settings>,
    pub(super) hasher: Hasher,
    pub(super) throttle: Throttle,
}

impl Passwords {
    /// Checks a password. `user` is the account's id and hash, if the account exists. The work is the same either way,
    /// also in the database.
    ///
    /// # Errors
    /// [`Error::Throttled`], before any hashing and without a slot in the queue; [`Error::Overloaded`];
    /// [`Error::Database`].
    pub(super) async fn check(
        &self,
        presented: &PresentedPassword<'_>,
        user: Option<(UserId, String)>,
    ) -> Result<CheckedPassword, Error> {
        let (id, hash) = user.unzip();
        let budgets = self
            .throttle
            .budgets(presented.username, presented.caller, presented.session, id)
            .await?;
        let (attempt, slot) = self.begin_attempt(&budgets, presented.started_at).await?;
        let checked = async {
            let permit = slot.permit(presented.started_at + PERMIT_TIMEOUT).await?;
            let verdict = permit.verify(presented.password, hash).await?;
            Ok((verdict, permit))
        };
        match checked.await {
            Ok((verdict, permit)) => Ok(CheckedPassword {
                verdict,
                attempt,
                permit,
            }),
            Err(error) => {
                self.throttle.release(&attempt).await?;
                Err(error)
            }
        }
    }

    /// Counts an attempt and reserves a slot in the queue. If pending attempts use up a budget, waits for their outcome
    /// and holds no slot meanwhile.
    async fn begin_attempt(
        &self,
        budgets: &Budgets,
        started_at: Instant,
    ) -> Result<(LoginAttempt, QueueSlot), Error> {
        let mut pause = MIN_POLL_INTERVAL;
        loop {
            let has_slot = budgets
                .known_user
                .is_none_or(|user| self.hasher.has_slot_for(user));
            if has_slot && self.throttle.has_room(budgets).await? {
                let pending = match self.throttle.begin(budgets, &self.hasher).await {
                    // It collided with the deletion of old counters.
                    Err(Error::Database(error)) if is_retryable(&error) => None,
                    result => result?,
                };
                if let Some(attempt) = pending {
                    let slot = match budgets.known_user {
                        Some(user) => self.hasher.reserve_for(user),
                        None => self.hasher.reserve(budgets.priority),
                    };
                    return match slot {
                        Ok(slot) => Ok((attempt, slot)),
                        Err(full) => {
                            self.throttle.release(&attempt).await?;
                            Err(full)
                        }
                    };
                }
            }
            if started_at.elapsed() + pause > ROOM_TIMEOUT {
                return Err(Error::Overloaded);
            }
            sleep(pause).await;
            pause = (pause * 2).min(MAX_POLL_INTERVAL);
        }
    }

    /// Hashes a new password if it is allowed. Errors name `field`.
    pub(super) async fn hash(
        &self,
        field: &'static str,
        username: &Username,
        password: &Password,
    ) -> Result<String, Error> {
        self.require_valid(field, username, password)?;
        self.hasher.hash(password).await
    }

    /// Checks that a new password is allowed. Errors name `field`.
    pub(super) fn require_valid(
        &self,
        field: &'static str,
        username: &Username,
        password: &Password,
    ) -> Result<(), Error> {
        let mut errors = FieldErrors::default();
        for error in password::validation_errors(&self.settings, username, password) {
            errors.add(field, error);
        }
        errors.into_result(())
    }
}

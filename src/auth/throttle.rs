//! Guessing passwords is slowed down: failed logins are counted for the account and for the
//! address that they come from, and past a limit no more are taken for a while.
//!
//! - The counts stand in the database: a restart does not reset them, and all processes share them.
//! - A failure is counted *before* the password is hashed and given back if it was right. Of a
//!   burst of guesses at the same moment no more are hashed than the limit allows.
//! - An account has one budget for strangers and one for each address that signed in to it before,
//!   so that whoever guesses from elsewhere can't lock the owner out. Issued tokens are not
//!   concerned at all.
//!   (Who shares an address with the owner, and only they, can tell by the other budget that there
//!   is an account.)
//! - Names that no account has are counted alike, under a pseudonym, so that the limit tells
//!   nothing about who has an account.
//! - A row is made for a password that is about to be hashed and goes soon after its window: there
//!   are never more rows than the hasher does hashes in [`WINDOW`] and a minute. Nothing is kept in
//!   the process.
//!
//! (OWASP ASVS 5.0, 6.1.1 and 6.3.1; NIST SP 800-63B-4, 3.2.2, allows up to 100 failures in a row.)

use sqlx::AnyConnection;

use super::Auth;
use crate::db::may_be_tried_again;
use crate::error::Error;
use crate::identity::{UserId, Username};
use crate::models::attempt::{self, Counted};
use crate::models::{known_address, now};
use crate::web::client::Caller;

/// Seconds in which failures are counted together.
const WINDOW: i64 = 5 * 60;
/// Places that a user may have signed in from and have a budget for.
const KNOWN_ADDRESSES: i64 = 20;

/// The budgets that an attempt draws on: keys of the `attempts` table.
pub(super) struct Budgets {
    account: String,
    address: String,
}

/// An attempt that was counted.
pub(super) struct Attempt {
    budgets: Budgets,
    account: Counted,
    address: Counted,
}

impl Auth {
    /// The budgets of an attempt to sign in under that name.
    ///
    /// `user` is the account's id, if there is such an account. What is asked of the database is
    /// the same in either case.
    pub(super) async fn budgets(
        &self,
        db: &mut AnyConnection,
        username: &Username,
        user: Option<UserId>,
        caller: &Caller,
    ) -> Result<Budgets, Error> {
        let network = caller.network();
        let nobody = UserId::new();
        let known = known_address::is_known(db, user.unwrap_or(nobody), &network).await?;
        let pseudonym = self.settings.name_key.pseudonym(username.key());
        Ok(Budgets {
            account: match user {
                Some(id) if known => format!("home:{id}:{network}"),
                Some(id) => format!("user:{id}"),
                None => format!("name:{pseudonym}"),
            },
            address: format!("from:{network}"),
        })
    }

    /// Refuses at once, without a place in the queue, what is over its budget already.
    ///
    /// # Errors
    /// [`Error::Throttled`]; [`Error::Database`].
    pub(super) async fn check_budgets(
        &self,
        db: &mut AnyConnection,
        budgets: &Budgets,
    ) -> Result<(), Error> {
        let (per_account, per_address) = self.limits();
        let (account, address) = (budgets.account.as_str(), budgets.address.as_str());
        let now = now();
        let exhausted =
            attempt::exhausted_until(db, (account, per_account), (address, per_address), now)
                .await?;
        match exhausted {
            Some(until) => Err(throttled(until - now)),
            None => Ok(()),
        }
    }

    /// Counts an attempt as a failure, until it is known to be none. Call it right before hashing.
    ///
    /// # Errors
    /// [`Error::Throttled`], and nothing is counted; [`Error::Database`].
    pub(super) async fn count_attempt(&self, budgets: Budgets) -> Result<Attempt, Error> {
        let counted = match self.count(&budgets).await {
            // Old counts were being deleted just then.
            Err(Error::Database(error)) if may_be_tried_again(&error) => {
                self.count(&budgets).await?
            }
            other => other?,
        };
        if let Some((account, address)) = counted {
            return Ok(Attempt {
                budgets,
                account,
                address,
            });
        }
        let mut db = self.pool.read().await?;
        self.check_budgets(&mut db, &budgets).await?;
        // Whoever used the budget up has given back since.
        Err(throttled(1))
    }

    async fn count(&self, budgets: &Budgets) -> Result<Option<(Counted, Counted)>, Error> {
        let (per_account, per_address) = self.limits();
        let now = now();
        let mut tx = self.pool.write().await?;
        // First the account, then the address, here and wherever both rows are locked: so no two
        // logins wait for each other.
        let (key, end) = (budgets.account.as_str(), now + WINDOW);
        if let Some(account) = attempt::count(&mut tx, key, per_account, now, end).await? {
            let key = budgets.address.as_str();
            if let Some(address) = attempt::count(&mut tx, key, per_address, now, end).await? {
                tx.commit().await?;
                return Ok(Some((account, address)));
            }
        }
        tx.rollback().await?;
        Ok(None)
    }

    /// Takes back that an attempt failed, in a transaction of its own.
    pub(super) async fn forgive(&self, attempt: &Attempt) -> Result<(), Error> {
        let mut tx = self.pool.write().await?;
        attempt.forgive_within(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// What the failure of `attempt` uses up, if anything, as the trail says it.
    pub(super) fn used_up(&self, attempt: &Attempt) -> Option<&'static str> {
        let (per_account, per_address) = self.limits();
        if attempt.account.failures >= per_account {
            Some("too many failures for the account")
        } else if attempt.address.failures >= per_address {
            Some("too many failures from the address")
        } else {
            None
        }
    }

    fn limits(&self) -> (i64, i64) {
        let settings = &self.settings;
        (
            settings.login_failures_per_account.into(),
            settings.login_failures_per_address.into(),
        )
    }
}

impl Attempt {
    /// Takes back that it failed.
    pub(super) async fn forgive_within(&self, tx: &mut AnyConnection) -> Result<(), Error> {
        let Self {
            budgets,
            account,
            address,
        } = self;
        attempt::give_back(tx, &budgets.account, account.ends_at).await?;
        attempt::give_back(tx, &budgets.address, address.ends_at).await?;
        Ok(())
    }
}

/// Notes that the user signed in from where `caller` is: a budget of its own from now on.
pub(super) async fn remember_address(
    tx: &mut AnyConnection,
    user: UserId,
    caller: &Caller,
) -> Result<(), Error> {
    let network = caller.network();
    Ok(known_address::note(tx, user, &network, now(), KNOWN_ADDRESSES).await?)
}

fn throttled(seconds: i64) -> Error {
    Error::Throttled(
        u64::try_from(seconds)
            .unwrap_or(0)
            .clamp(1, WINDOW.unsigned_abs()),
    )
}

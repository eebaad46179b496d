//! Throttling of password guesses: failed logins are counted per account and per address, and past a limit further
//! attempts are rejected for a while.
//!
//! - The counts are in the database: they survive a restart, and all processes share them.
//! - An attempt is counted *before* it waits for a permit to hash. So a burst of simultaneous guesses cannot hash, or
//!   queue, more than the limits allow. An attempt is pending while it is checked. Others without room besides it wait
//!   for its outcome, so that a burst of right passwords succeeds. An attempt whose process was killed lapses
//!   (`window.rs`).
//! - An account has one budget for strangers, one for each address that has signed in to it, and one for each live
//!   session. So guesses from elsewhere cannot lock the owner out. Issued tokens are not affected. (A neighbour at the
//!   owner's address can tell from the other budget that the account exists.)
//! - Consecutive failures of strangers extend their window, up to a day: an account takes at most a hundred guesses,
//!   and then ten a day (NIST SP 800-63B-4, 3.2.2, allows 100 in a row). This blocks only strangers.
//! - Unknown usernames are counted alike, under a pseudonym, so that the limit does not reveal which accounts exist.
//! - An attempt writes at most four rows, and only if the hash queue has a free slot. They are deleted soon after their
//!   window, except for runs of failures: one row per account, and those of the latest hundred thousand unknown names.
//!   The process keeps nothing.
//!
//! (OWASP ASVS 5.0, 6.1.1 and 6.3.1.)

use std::sync::Arc;

use self::budget::Budget;
use super::outbox::Outbox;
use crate::config::Settings;
use crate::db::{Conn, Pool};
use crate::error::Error;
use crate::identity::UserId;
use crate::models::event::{self, Action, Actor, EventDetails};
use crate::models::user::Credentials;
use crate::models::{attempt, known_address, login_count, now};
use crate::password::{HashPriority, Hasher};
use crate::web::caller::Caller;

mod budget;
mod record;
mod unlock;
mod window;

pub(super) use self::budget::{Budgets, delete_budget};
pub(super) use self::record::RejectedLogin;
pub use self::unlock::AccountLocks;
pub(super) use self::unlock::clear_locks;

/// Maximum number of addresses per user that have their own budget.
const MAX_KNOWN_ADDRESSES: i64 = 20;
/// An attempt that is counted as pending.
pub(super) struct LoginAttempt {
    account: BudgetAttempt,
    /// Of the IP address, then of wider networks.
    networks: Vec<BudgetAttempt>,
    priority: HashPriority,
}

impl LoginAttempt {
    pub(super) fn is_from_known_address(&self) -> bool {
        self.priority == HashPriority::Known
    }
}

/// A pending attempt in one budget.
struct BudgetAttempt {
    budget: Budget,
    generation: i64,
}

/// Counts attempts to sign in, and rejects them past the limits. Cheap to clone.
#[derive(Clone)]
pub struct Throttle {
    pub(super) pool: Pool,
    pub(super) settings: Arc<Settings>,
    pub(super) outbox: Outbox,
}

impl Throttle {
    /// Whether all budgets have room for one more attempt besides failed and pending ones.
    ///
    /// # Errors
    /// [`Error::Throttled`] if the failures alone reach a limit; [`Error::Database`].
    pub(super) async fn has_room(&self, budgets: &Budgets) -> Result<bool, Error> {
        let now = now();
        let keys: Vec<&str> = budgets.all().map(|budget| budget.key.as_str()).collect();
        let found = {
            let mut db = self.pool.read().await?;
            attempt::find(&mut db, &keys).await?
        };
        let found: Vec<_> = found.into_iter().map(|row| row.at(now)).collect();
        let limited: Vec<_> = budgets
            .all()
            .filter_map(|budget| {
                let row = found.iter().find(|row| row.key == budget.key)?;
                Some((row, budget.limit))
            })
            .collect();
        let blocked = limited.iter();
        let blocked = blocked.filter_map(|(row, limit)| row.blocked_for(*limit, now));
        if let Some(seconds) = blocked.max() {
            return Err(throttled(seconds));
        }
        let mut limited = limited.iter();
        Ok(limited.all(|(row, limit)| row.has_room(*limit)))
    }

    /// Counts an attempt as pending. None if there is no room.
    pub(super) async fn begin(
        &self,
        budgets: &Budgets,
        hasher: &Hasher,
    ) -> Result<Option<LoginAttempt>, Error> {
        // A rejected flood writes nothing. Many requests may have come at once, so check again inside the write
        // transaction.
        require_slot(hasher, budgets.priority)?;
        let mut tx = self.pool.write_non_durable().await?;
        require_slot(hasher, budgets.priority)?;
        let now = now();
        let Some(account) = begin(&mut tx, &budgets.account, now).await? else {
            tx.rollback().await?;
            return Ok(None);
        };
        let mut networks = vec![];
        for budget in &budgets.networks {
            let Some(pending) = begin(&mut tx, budget, now).await? else {
                tx.rollback().await?;
                return Ok(None);
            };
            networks.push(pending);
        }
        tx.commit().await?;
        Ok(Some(LoginAttempt {
            account,
            networks,
            priority: budgets.priority,
        }))
    }

    /// Counts a successful login, and records when the limit is reached. Call this while the user's row is locked.
    ///
    /// # Errors
    /// [`Error::Throttled`] past the limit; [`Error::Database`].
    pub(super) async fn count_login(
        &self,
        tx: &mut Conn,
        user: &Credentials,
        actor: &Actor,
        now: i64,
    ) -> Result<(), Error> {
        let limit = i64::from(self.settings.logins_per_account);
        let (id, end) = (user.id, now + window::WINDOW);
        let counted =
            login_count::increment(tx, id, now, end, end + window::MAX_CLOCK_SKEW).await?;
        if counted.logins > limit {
            return Err(throttled(counted.ends_at - now));
        }
        if counted.logins == limit {
            let details = EventDetails {
                subject: Some((id, &user.username)),
                reason: Some("logins"),
                ..EventDetails::default()
            };
            event::insert(tx, Action::LoginThrottled, actor, details, now).await?;
        }
        Ok(())
    }
}

impl Throttle {
    /// Counts a request that anyone can make and that causes mail. The limits are those for failed logins from an
    /// address and its networks.
    ///
    /// # Errors
    /// [`Error::Throttled`] past a limit; [`Error::Database`].
    pub(super) async fn count_request(&self, caller: &Caller) -> Result<(), Error> {
        let now = now();
        let mut tx = self.pool.write_non_durable().await?;
        for budget in self.networks(caller, caller.network(), HashPriority::Stranger) {
            let key = format!("mail-{}", budget.key);
            let counted = attempt::increment(&mut tx, &key, now, now + window::WINDOW).await?;
            // Rejected requests are not counted, so one address cannot use up its neighbours' budgets.
            if counted > budget.limit {
                return Err(throttled(window::WINDOW));
            }
        }
        Ok(tx.commit().await?)
    }
}

fn require_slot(hasher: &Hasher, priority: HashPriority) -> Result<(), Error> {
    if hasher.has_slot(priority) {
        Ok(())
    } else {
        Err(Error::Overloaded)
    }
}

async fn begin(tx: &mut Conn, budget: &Budget, now: i64) -> Result<Option<BudgetAttempt>, Error> {
    let mut row = attempt::lock(tx, &budget.key).await?.at(now);
    if !row.has_room(budget.limit) {
        return Ok(None);
    }
    let generation = row.begin(now);
    record::store(tx, &row).await?;
    Ok(Some(BudgetAttempt {
        budget: budget.clone(),
        generation,
    }))
}

/// Remembers the caller's address for this user. It has a budget of its own from now on.
pub(super) async fn remember_address(
    tx: &mut Conn,
    user: UserId,
    caller: &Caller,
) -> Result<(), Error> {
    let network = caller.network();
    Ok(known_address::remember(tx, user, &network, now(), MAX_KNOWN_ADDRESSES).await?)
}

fn throttled(seconds: i64) -> Error {
    Error::Throttled(seconds.max(1).unsigned_abs())
}

//! Locks that failed logins put on an account, and how to clear them.

use super::Throttle;
use super::budget::{known_address_key, strangers_key};
use crate::db::Conn;
use crate::error::Error;
use crate::identity::UserId;
use crate::models::event::{self, Action, Actor, EventDetails};
use crate::models::{attempt, known_address, now, user};

/// The locks on an account. Times are unix seconds.
#[derive(Debug, Default)]
pub struct AccountLocks {
    /// Until when strangers are blocked, if they are.
    pub strangers_until: Option<i64>,
    /// Consecutive failed logins of strangers.
    pub failures: i64,
    /// Blocked addresses that the user has signed in from, and until when.
    pub known_addresses: Vec<(String, i64)>,
}

impl Throttle {
    /// List filter for users whose accounts block strangers.
    pub fn locked_status(&self) -> user::UserStatus {
        user::UserStatus::Locked(self.settings.login_failures_per_account.into())
    }

    /// The current locks on an account.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn locks(&self, id: UserId) -> Result<AccountLocks, Error> {
        let limit = i64::from(self.settings.login_failures_per_account);
        let mut db = self.pool.read().await?;
        let keys = keys(&mut db, id).await?;
        let names: Vec<&str> = keys.iter().map(|(key, _)| key.as_str()).collect();
        let (mut locks, now) = (AccountLocks::default(), now());
        for row in attempt::find(&mut db, &names).await? {
            let row = row.at(now);
            let until = row.blocked_for(limit, now).map(|seconds| now + seconds);
            let found = keys.iter().find(|(key, _)| *key == row.key);
            if let Some(network) = found.and_then(|(_, network)| network.clone()) {
                locks
                    .known_addresses
                    .extend(until.map(|until| (network, until)));
            } else {
                (locks.strangers_until, locks.failures) = (until, row.run);
            }
        }
        Ok(locks)
    }

    /// Clears the locks on an account. Idempotent.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Database`].
    pub async fn unlock(&self, id: UserId, actor: &Actor) -> Result<(), Error> {
        let now = now();
        let mut tx = self.pool.write().await?;
        user::lock(&mut tx, id).await?;
        let user = user::find(&mut tx, id).await?.ok_or(Error::NotFound)?;
        clear_locks(&mut tx, id, now).await?;
        let details = EventDetails {
            subject: Some((id, &user.username)),
            ..EventDetails::default()
        };
        event::insert(&mut tx, Action::UserUnlocked, actor, details, now).await?;
        Ok(tx.commit().await?)
    }
}

/// Clears the failures at an account.
pub(in crate::auth) async fn clear_locks(
    tx: &mut Conn,
    user: UserId,
    now: i64,
) -> Result<(), Error> {
    for (key, _) in keys(tx, user).await? {
        attempt::clear(tx, &key, now).await?;
    }
    Ok(())
}

/// Keys of the budgets that others may have used up: for strangers, and for known addresses.
async fn keys(db: &mut Conn, user: UserId) -> Result<Vec<(String, Option<String>)>, Error> {
    let mut keys = vec![(strangers_key(user), None)];
    for network in known_address::networks(db, user).await? {
        keys.push((known_address_key(user, &network), Some(network)));
    }
    Ok(keys)
}

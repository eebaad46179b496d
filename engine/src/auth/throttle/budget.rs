//! Budgets that an attempt draws on.

use super::Throttle;
use crate::db::Conn;
use crate::error::Error;
use crate::identity::email::EmailAddress;
use crate::identity::{TokenId, UserId, Username};
use crate::models::{attempt, known_address};
use crate::password::HashPriority;
use crate::web::caller::Caller;

/// A limit on failed attempts in a window.
#[derive(Debug, Clone)]
pub(in crate::auth) struct Budget {
    /// Key in the `attempts` table.
    pub(in crate::auth) key: String,
    pub(in crate::auth) limit: i64,
}

/// The budgets of one attempt.
#[derive(Debug, Clone)]
pub(in crate::auth) struct Budgets {
    /// For strangers, for the caller's address, or for the session.
    pub(in crate::auth) account: Budget,
    /// Of the address, then of its wider networks, narrowest first.
    pub(in crate::auth) networks: Vec<Budget>,
    pub(in crate::auth) priority: HashPriority,
    /// The user, if the address or session is known.
    pub(in crate::auth) known_user: Option<UserId>,
}

/// IPv6 networks wider than a /64, and their budgets in multiples of an address's. A customer gets a /64 at least and
/// up to a /48 (RFC 6177), so a wide network may be one guesser or many households.
const WIDER_NETWORKS: [(u32, i64); 2] = [(56, 4), (48, 16)];

impl Budgets {
    /// In the order in which all code locks their rows, so that two attempts cannot deadlock.
    pub(in crate::auth) fn all(&self) -> impl Iterator<Item = &Budget> {
        std::iter::once(&self.account).chain(&self.networks)
    }
}

impl Throttle {
    /// The budgets of an attempt at a username, in a session if there is one. `user` is the account's id, if it exists.
    pub(in crate::auth) async fn budgets(
        &self,
        username: &Username,
        caller: &Caller,
        session: Option<TokenId>,
        user: Option<UserId>,
    ) -> Result<Budgets, Error> {
        let network = caller.network();
        let dummy_id = UserId::new();
        let is_known = {
            let mut db = self.pool.read().await?;
            known_address::is_known(&mut db, user.unwrap_or(dummy_id), &network).await?
        };
        // An email address is compared as at sign-in. Otherwise, another spelling would reveal whether an account has
        // it.
        let email = EmailAddress::parse(username.as_str()).ok();
        let name = email.as_ref().map_or(username.key(), EmailAddress::key);
        let pseudonym = self.settings.name_key.pseudonym(name);
        let (key, priority) = match (user, session) {
            (Some(id), _) if is_known => (known_address_key(id, &network), HashPriority::Known),
            // Strangers can neither use it up nor learn anything from it.
            (Some(_), Some(session)) => (format!("token:{session}"), HashPriority::Known),
            (Some(id), None) => (strangers_key(id), HashPriority::Stranger),
            (None, _) => (format!("name:{pseudonym}"), HashPriority::Stranger),
        };
        Ok(Budgets {
            account: Budget {
                key,
                limit: self.settings.login_failures_per_account.into(),
            },
            networks: self.networks(caller, network, priority),
            priority,
            known_user: user.filter(|_| priority == HashPriority::Known),
        })
    }

    /// Known callers draw only on the budget of their own /64, so that guessers all over a /48 do not block them.
    pub(super) fn networks(
        &self,
        caller: &Caller,
        narrowest: String,
        priority: HashPriority,
    ) -> Vec<Budget> {
        let limit = i64::from(self.settings.login_failures_per_address);
        let budget = |network: String, times| Budget {
            key: format!("from:{network}"),
            limit: limit * times,
        };
        let mut networks = vec![budget(narrowest, 1)];
        if priority == HashPriority::Stranger {
            let wider = WIDER_NETWORKS.iter().filter_map(|(bits, times)| {
                let network = caller.wider_network(*bits)?;
                Some(budget(network, *times))
            });
            networks.extend(wider);
        }
        networks
    }
}

/// Key of an account's budget for strangers.
pub(super) fn strangers_key(user: UserId) -> String {
    format!("user:{user}")
}

/// Key of an account's budget for an address that has signed in to it.
pub(super) fn known_address_key(user: UserId, network: &str) -> String {
    format!("home:{user}:{network}")
}

/// Deletes the budget for strangers of a deleted user.
pub(in crate::auth) async fn delete_budget(tx: &mut Conn, user: UserId) -> Result<(), Error> {
    Ok(attempt::delete(tx, &strangers_key(user)).await?)
}

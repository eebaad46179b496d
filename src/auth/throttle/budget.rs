//! Which budgets an attempt draws on.

use super::Presented;
use crate::auth::Auth;
use crate::db::Conn;
use crate::error::Error;
use crate::identity::UserId;
use crate::models::{attempt, known_address};
use crate::password::Rank;
use crate::web::client::Caller;

/// How many attempts may fail in a window.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    /// Of the `attempts` table.
    pub(super) key: String,
    pub(super) limit: i64,
}

/// Those of one attempt.
#[derive(Debug, Clone)]
pub(super) struct Budgets {
    /// The account's for strangers, for the caller's address, or for the session.
    pub(super) account: Budget,
    /// The address's or, narrowest first, those of the networks that it is in.
    pub(super) networks: Vec<Budget>,
    pub(super) rank: Rank,
    /// The user, if they are known.
    pub(super) known: Option<UserId>,
}

/// Networks of IPv6 wider than a /64, and how many times an address's budget each has. A customer is
/// given a /64 at least and up to a /48 (RFC 6177): a wide one may be one guesser or many households.
const WIDER: [(u32, i64); 2] = [(56, 4), (48, 16)];

impl Budgets {
    /// In the order in which their rows are locked, here and wherever several are: so no two attempts
    /// wait for each other.
    pub(super) fn all(&self) -> impl Iterator<Item = &Budget> {
        std::iter::once(&self.account).chain(&self.networks)
    }
}

impl Auth {
    pub(super) async fn budgets(
        &self,
        presented: &Presented<'_>,
        user: Option<UserId>,
    ) -> Result<Budgets, Error> {
        let network = presented.caller.network();
        let nobody = UserId::new();
        let is_known = {
            let mut db = self.pool.read().await?;
            known_address::is_known(&mut db, user.unwrap_or(nobody), &network).await?
        };
        let pseudonym = self.settings.name_key.pseudonym(presented.username.key());
        let (key, rank) = match (user, presented.session) {
            (Some(id), _) if is_known => (at_home(id, &network), Rank::Known),
            // Strangers can neither use it up nor learn anything from it.
            (Some(_), Some(session)) => (format!("token:{session}"), Rank::Known),
            (Some(id), None) => (of_strangers(id), Rank::Stranger),
            (None, _) => (format!("name:{pseudonym}"), Rank::Stranger),
        };
        Ok(Budgets {
            account: Budget {
                key,
                limit: self.settings.login_failures_per_account.into(),
            },
            networks: self.networks(presented.caller, network, rank),
            rank,
            known: user.filter(|_| rank == Rank::Known),
        })
    }

    /// Guessers all over a /48 don't shut out the households in it that are known: those draw on the
    /// budget of their own /64 alone.
    fn networks(&self, caller: &Caller, narrowest: String, rank: Rank) -> Vec<Budget> {
        let limit = i64::from(self.settings.login_failures_per_address);
        let budget = |network: String, times| Budget {
            key: format!("from:{network}"),
            limit: limit * times,
        };
        let mut networks = vec![budget(narrowest, 1)];
        if rank == Rank::Stranger {
            let wider = WIDER.iter().filter_map(|(bits, times)| {
                let network = caller.wider_network(*bits)?;
                Some(budget(network, *times))
            });
            networks.extend(wider);
        }
        networks
    }
}

/// The key of what strangers may try at an account.
pub(super) fn of_strangers(user: UserId) -> String {
    format!("user:{user}")
}

/// The key of what may be tried at an account from an address that has signed in to it.
pub(super) fn at_home(user: UserId, network: &str) -> String {
    format!("home:{user}:{network}")
}

/// Forgets what strangers tried at the account of a user who is deleted.
pub(in crate::auth) async fn forget(tx: &mut Conn, user: UserId) -> Result<(), Error> {
    Ok(attempt::delete(tx, &of_strangers(user)).await?)
}

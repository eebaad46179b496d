//! What failed logins have closed, and how it is opened again.

use super::budget::{at_home, of_strangers};
use crate::auth::Auth;
use crate::db::Conn;
use crate::error::Error;
use crate::identity::UserId;
use crate::models::event::{self, About, Action, Actor};
use crate::models::{attempt, known_address, now, user};

/// What failed logins have closed at an account. Times are unix seconds.
#[derive(Debug, Default)]
pub struct Locks {
    /// Until when strangers are blocked, if they are.
    pub strangers: Option<i64>,
    /// Failed logins of strangers in a row.
    pub failures: i64,
    /// Addresses that the user has signed in from and that are blocked, and until when.
    pub known: Vec<(String, i64)>,
}

impl Auth {
    /// The users at whose accounts strangers are blocked, as a list's filter.
    pub fn locked(&self) -> user::Status {
        user::Status::Locked(self.settings.login_failures_per_account.into())
    }

    /// What is closed at that account now.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn locks(&self, id: UserId) -> Result<Locks, Error> {
        let limit = i64::from(self.settings.login_failures_per_account);
        let mut db = self.pool.read().await?;
        let keys = keys(&mut db, id).await?;
        let names: Vec<&str> = keys.iter().map(|(key, _)| key.as_str()).collect();
        let (mut locks, now) = (Locks::default(), now());
        for counts in attempt::find(&mut db, &names).await? {
            let counts = counts.at(now);
            let until = counts.blocked_for(limit, now).map(|seconds| now + seconds);
            let found = keys.iter().find(|(key, _)| *key == counts.key);
            if let Some(network) = found.and_then(|(_, network)| network.clone()) {
                locks.known.extend(until.map(|until| (network, until)));
            } else {
                (locks.strangers, locks.failures) = (until, counts.run);
            }
        }
        Ok(locks)
    }

    /// Opens what failed logins have closed at an account. Again is harmless.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Database`].
    pub async fn unlock(&self, id: UserId, actor: &Actor) -> Result<(), Error> {
        let now = now();
        let mut tx = self.pool.write().await?;
        user::lock(&mut tx, id).await?;
        let user = user::find(&mut tx, id).await?.ok_or(Error::NotFound)?;
        for (key, _) in keys(&mut tx, id).await? {
            attempt::clear(&mut tx, &key, now).await?;
        }
        let about = About {
            subject: Some((id, &user.username)),
            ..About::default()
        };
        event::insert(&mut tx, Action::UserUnlocked, actor, about, now).await?;
        Ok(tx.commit().await?)
    }
}

/// The budgets of an account that others may have used up: strangers', and those of known addresses.
async fn keys(db: &mut Conn, user: UserId) -> Result<Vec<(String, Option<String>)>, Error> {
    let mut keys = vec![(of_strangers(user), None)];
    for network in known_address::networks(db, user).await? {
        keys.push((at_home(user, &network), Some(network)));
    }
    Ok(keys)
}

//! When tokens were last used, kept in memory for a moment and written in batches: a request that
//! reads must not wait for a write.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Auth;
use super::cache::Entry;
use super::sessions::ends_at;
use crate::config::Lifetime;
use crate::error::Error;
use crate::identity::address::Address;
use crate::identity::{TokenId, UserId};
use crate::models::token::{self, Use};
use crate::models::{now, user};
use crate::web::client::Caller;

/// A token's last use is written at most once in this many seconds, and more often only where its
/// life without use is so short that this would cut it.
const COARSENESS: i64 = 60;

/// Uses that wait. Tokens of one age, which stand together in the database's tables, come one after
/// another; and what is written makes room at once.
#[derive(Default)]
pub(super) struct Usage(Mutex<BTreeMap<TokenId, Use>>);

impl Usage {
    /// Notes a use of a token at `now`, if the last one that was noted is old enough.
    pub(super) fn note(&self, entry: &Entry, now: i64, idle_ttl: Lifetime, caller: &Caller) {
        let tenth = idle_ttl
            .length()
            .and_then(|life| i64::try_from(life.as_secs() / 10).ok())
            .unwrap_or(COARSENESS);
        let spacing = tenth.min(COARSENESS);
        if entry.is_due(now, spacing) {
            let session = &entry.session;
            let last = Use {
                user_id: session.user_id,
                at: now,
                spacing,
                ends_at: ends_at(session.expires_at, idle_ttl, now),
                address: caller.address.map(Address::from),
                user_agent: caller.user_agent.clone(),
            };
            self.pending().insert(session.token_id, last);
        }
    }

    /// Some of those that wait; they don't, then.
    fn take(&self, most: usize) -> Vec<(TokenId, Use)> {
        let mut pending = self.pending();
        std::iter::from_fn(|| pending.pop_first())
            .take(most)
            .collect()
    }

    fn pending(&self) -> MutexGuard<'_, BTreeMap<TokenId, Use>> {
        // A map of plain values is whole whatever panicked beside it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Auth {
    /// Writes the uses that were noted since the last time.
    ///
    /// # Errors
    /// [`Error::Database`]; they are kept for the next time then.
    pub async fn flush_usage(&self) -> Result<(), Error> {
        let mut waiting = self.usage.pending().len();
        while waiting > 0 {
            let batch = self.usage.take(self.pool.engine().rows_at_once());
            waiting = waiting.saturating_sub(batch.len().max(1));
            if let Err(error) = self.write_usage(&batch).await {
                let mut pending = self.usage.pending();
                for (id, last) in batch {
                    pending.entry(id).or_insert(last);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    async fn write_usage(&self, batch: &[(TokenId, Use)]) -> Result<(), Error> {
        let mut seen: BTreeMap<UserId, i64> = BTreeMap::new();
        for (_, last) in batch {
            let at = seen.entry(last.user_id).or_insert(last.at);
            *at = last.at.max(*at);
        }
        let now = now();
        let mut tx = self.pool.write_lightly().await?;
        // The users' rows first, as wherever both are locked.
        for (user, at) in seen {
            user::note_seen(&mut tx, user, at, now).await?;
        }
        for (id, last) in batch {
            token::note_use(&mut tx, *id, last, now).await?;
        }
        Ok(tx.commit().await?)
    }
}

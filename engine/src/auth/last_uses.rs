//! Last uses of tokens, kept in memory for a moment and written in batches, so that a request that only reads does not
//! wait for a write.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::session::{StoredSession, ends_at};
use crate::config::Lifetime;
use crate::db::Pool;
use crate::error::Error;
use crate::identity::address::Address;
use crate::identity::{TokenId, UserId};
use crate::models::token::{self, TokenUse};
use crate::models::{now, user};
use crate::web::caller::Caller;

/// Minimum number of seconds between two recorded uses of a token. A short idle timeout reduces it to a tenth of that
/// timeout.
const MIN_USE_INTERVAL: i64 = 60;

/// Records uses and writes them later. Cheap to clone.
#[derive(Clone)]
pub struct LastUses {
    pool: Pool,
    /// Pending uses, sorted by id, because tokens of one age are adjacent in the database. Unlike a hash map, this frees
    /// memory when uses are removed.
    pending: Arc<Mutex<BTreeMap<TokenId, TokenUse>>>,
}

impl LastUses {
    pub(super) fn new(pool: Pool) -> Self {
        Self {
            pool,
            pending: Arc::default(),
        }
    }

    /// Records a use of a token at `now`, unless the last recorded one is too recent.
    pub(super) fn collect(
        &self,
        live: &StoredSession,
        now: i64,
        idle_ttl: Lifetime,
        caller: &Caller,
    ) {
        let tenth = idle_ttl
            .duration()
            .and_then(|life| i64::try_from(life.as_secs() / 10).ok())
            .unwrap_or(MIN_USE_INTERVAL);
        let min_interval = tenth.min(MIN_USE_INTERVAL);
        if live.is_due(now, min_interval) {
            let session = &live.session;
            let token_use = TokenUse {
                user_id: session.user_id,
                at: now,
                min_interval,
                ends_at: ends_at(session.expires_at, idle_ttl, now),
                address: caller.address.map(Address::from),
                user_agent: caller.user_agent.clone(),
            };
            self.lock_pending().insert(session.token_id, token_use);
        }
    }

    /// Drains up to `max` pending uses.
    fn drain(&self, max: usize) -> Vec<(TokenId, TokenUse)> {
        let mut pending = self.lock_pending();
        std::iter::from_fn(|| pending.pop_first())
            .take(max)
            .collect()
    }

    fn lock_pending(&self) -> MutexGuard<'_, BTreeMap<TokenId, TokenUse>> {
        // A panic elsewhere cannot leave a map of plain values inconsistent.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the pending uses.
    ///
    /// # Errors
    /// [`Error::Database`]; unwritten uses stay pending.
    pub async fn flush(&self) -> Result<(), Error> {
        let mut remaining = self.lock_pending().len();
        while remaining > 0 {
            let batch = self.drain(self.pool.engine().maintenance_batch_size());
            remaining = remaining.saturating_sub(batch.len().max(1));
            if let Err(error) = self.write(&batch).await {
                let mut pending = self.lock_pending();
                for (id, token_use) in batch {
                    pending.entry(id).or_insert(token_use);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    async fn write(&self, batch: &[(TokenId, TokenUse)]) -> Result<(), Error> {
        let mut seen: BTreeMap<UserId, i64> = BTreeMap::new();
        for (_, token_use) in batch {
            let at = seen.entry(token_use.user_id).or_insert(token_use.at);
            *at = token_use.at.max(*at);
        }
        let now = now();
        let mut tx = self.pool.write_non_durable().await?;
        // The users' rows first, as everywhere that locks both.
        for (user, at) in seen {
            user::record_seen(&mut tx, user, at, now).await?;
        }
        for (id, token_use) in batch {
            token::record_use(&mut tx, *id, token_use, now).await?;
        }
        Ok(tx.commit().await?)
    }
}

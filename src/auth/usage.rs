//! When tokens were last used, kept in memory for a moment and written in batches: a request that
//! reads must not wait for a write.

use std::collections::HashMap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Auth;
use super::cache::Entry;
use super::sessions::ends_at;
use crate::config::Lifetime;
use crate::error::Error;
use crate::identity::TokenId;
use crate::models::token::{self, Use};
use crate::models::user;
use crate::web::client::Caller;

/// A token's last use is written at most once in this many seconds, and more often only where its
/// life without use is so short that this would cut it.
const COARSENESS: i64 = 60;

#[derive(Default)]
pub(super) struct Usage(Mutex<HashMap<TokenId, Use>>);

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
                address: caller.address.map(|address| address.to_string()),
                user_agent: caller.user_agent.clone(),
            };
            self.pending().insert(session.token_id, last);
        }
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<TokenId, Use>> {
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
        let batch = mem::take(&mut *self.usage.pending());
        if batch.is_empty() {
            return Ok(());
        }
        let written = self.write_usage(&batch).await;
        if written.is_err() {
            let mut pending = self.usage.pending();
            for (id, last) in batch {
                pending.entry(id).or_insert(last);
            }
        }
        written
    }

    async fn write_usage(&self, batch: &HashMap<TokenId, Use>) -> Result<(), Error> {
        let batch: Vec<_> = batch.iter().collect();
        for chunk in batch.chunks(self.pool.engine().rows_at_once()) {
            let mut tx = self.pool.write_lightly().await?;
            for (id, last) in chunk {
                // The user's row first, as wherever both are locked.
                user::note_seen(&mut tx, last.user_id, last.at).await?;
                token::note_use(&mut tx, **id, last).await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }
}

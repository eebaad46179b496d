//! Transactions that may revoke tokens. Afterwards this process invalidates its cache, and other processes notice the
//! changed counters.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::sleep;

use super::cache::{Cache, MAX_PROPAGATION};
use super::outbox::{MailKind, Outbox, mail_values};
use crate::db::{Conn, Pool, Write};
use crate::error::Error;
use crate::identity::UserId;
use crate::models::ending::{self, STRIPE_COUNT, stripe_of};
use crate::models::user;

/// Begins transactions that may revoke tokens. Cheap to clone.
#[derive(Clone)]
pub(super) struct SessionChanges {
    pool: Pool,
    /// None if `token_cache` is off.
    cache: Option<Arc<Cache>>,
    /// Whether this process has invalidated cached sessions, so that it may have revoked a token.
    may_have_revoked: Arc<AtomicBool>,
    outbox: Outbox,
}

/// A transaction that may change sessions, by revoking tokens or changing their users.
pub(super) struct SessionChange<'a> {
    tx: Write,
    /// Stripes (groups of users, see [`ending`]) whose counters the commit increments.
    changed: BTreeSet<usize>,
    invalidation: Invalidation<'a>,
    /// Number of tokens of each user that an admin revoked.
    admin_revocations: BTreeMap<UserId, u64>,
}

/// Stripes to invalidate when the change ends, whether it succeeds or fails. This covers changes where another process
/// was faster: once a response says that nothing was left to revoke, this process rejects the token.
struct Invalidation<'a> {
    changes: &'a SessionChanges,
    stripes: BTreeSet<usize>,
}

impl Drop for Invalidation<'_> {
    fn drop(&mut self) {
        self.changes.invalidate(std::mem::take(&mut self.stripes));
    }
}

impl SessionChanges {
    pub(super) fn new(pool: Pool, cache: Option<Arc<Cache>>, outbox: Outbox) -> Self {
        Self {
            pool,
            cache,
            may_have_revoked: Arc::default(),
            outbox,
        }
    }

    pub(super) async fn begin(&self) -> sqlx::Result<SessionChange<'_>> {
        Ok(SessionChange {
            tx: self.pool.write().await?,
            changed: BTreeSet::new(),
            invalidation: Invalidation {
                changes: self,
                stripes: BTreeSet::new(),
            },
            admin_revocations: BTreeMap::new(),
        })
    }

    /// Begins a change of a user or their tokens.
    pub(super) async fn begin_for(&self, user: UserId) -> sqlx::Result<SessionChange<'_>> {
        let mut change = self.begin().await?;
        change.invalidate_at_end(user);
        Ok(change)
    }

    /// Invalidates the whole cache of this process.
    pub(super) fn invalidate_all(&self) {
        self.invalidate(0..STRIPE_COUNT);
    }

    fn invalidate(&self, stripes: impl IntoIterator<Item = usize>) {
        let mut stripes = stripes.into_iter().peekable();
        if stripes.peek().is_some() {
            self.may_have_revoked.store(true, Ordering::Relaxed);
            if let Some(cache) = &self.cache {
                cache.invalidate(stripes);
            }
        }
    }

    /// Waits until other processes reject the tokens that this one has revoked, if any.
    pub(super) async fn wait_for_propagation(&self) {
        if self.may_have_revoked.load(Ordering::Relaxed) {
            sleep(MAX_PROPAGATION).await;
        }
    }
}

impl SessionChange<'_> {
    /// Records that tokens of this user were revoked, or that the user changed. The commit increments the counter.
    pub(super) fn mark_changed(&mut self, user: UserId) {
        self.changed.insert(stripe_of(user));
    }

    /// Invalidates the user's cached sessions when the change ends, even if nothing is left to revoke: another process
    /// may have revoked a token a moment ago, and this one may not have noticed yet.
    pub(super) fn invalidate_at_end(&mut self, user: UserId) {
        self.invalidation.stripes.insert(stripe_of(user));
    }

    /// Like [`SessionChange::invalidate_at_end`], and locks the user's row so that the user cannot sign in meanwhile.
    pub(super) async fn lock(&mut self, user: UserId) -> sqlx::Result<()> {
        self.invalidate_at_end(user);
        user::lock(&mut self.tx, user).await
    }

    /// Like [`SessionChange::invalidate_at_end`], for a token whose user is unknown.
    pub(super) fn invalidate_all_at_end(&mut self) {
        self.invalidation.stripes.extend(0..STRIPE_COUNT);
    }

    /// Records that an admin revoked a token of this user. The commit notifies the user.
    pub(super) fn count_admin_revocation(&mut self, user: UserId) {
        *self.admin_revocations.entry(user).or_default() += 1;
    }

    /// Commits the transaction. Once this returns, this process rejects the revoked tokens.
    pub(super) async fn commit(mut self) -> Result<(), Error> {
        for (user, count) in std::mem::take(&mut self.admin_revocations) {
            let values = mail_values([("count", count.into())]);
            let outbox = &self.invalidation.changes.outbox;
            outbox
                .notify(&mut self.tx, MailKind::TokensRevoked, user, &values)
                .await?;
        }
        // Last and in ascending order, so that two changes cannot deadlock on each other's rows.
        for &stripe in &self.changed {
            ending::increment(&mut self.tx, stripe).await?;
        }
        // Even if the commit fails: the database may have applied it.
        self.invalidation.stripes.extend(self.changed);
        Ok(self.tx.commit().await?)
    }
}

impl Deref for SessionChange<'_> {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.tx
    }
}

impl DerefMut for SessionChange<'_> {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.tx
    }
}

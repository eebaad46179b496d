//! A transaction that may end tokens: whoever remembers them learns of it.

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering;

use rocket::tokio::time::sleep;

use super::Auth;
use super::cache::FOLLOWED;
use crate::db::{Conn, Write};
use crate::error::Error;
use crate::identity::UserId;
use crate::models::ending::{self, STRIPES, stripe_of};

/// A transaction, and the users whose sessions are others after it.
pub(super) struct Change<'a> {
    tx: Write,
    /// Where something changes.
    changed: BTreeSet<usize>,
    asked: Asked<'a>,
}

/// Where something was to change, though perhaps somebody else was faster. It is forgotten at the end of the
/// change, however that comes: also who is told that there is nothing to end is let in by it no more.
struct Asked<'a> {
    auth: &'a Auth,
    stripes: BTreeSet<usize>,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.auth.forget(std::mem::take(&mut self.stripes));
    }
}

impl Auth {
    /// Begins a change.
    pub(super) async fn change(&self) -> sqlx::Result<Change<'_>> {
        Ok(Change {
            tx: self.pool.write().await?,
            changed: BTreeSet::new(),
            asked: Asked {
                auth: self,
                stripes: BTreeSet::new(),
            },
        })
    }

    /// Begins a change of that user, or of their tokens.
    pub(super) async fn change_of(&self, user: UserId) -> sqlx::Result<Change<'_>> {
        let mut change = self.change().await?;
        change.asks(user);
        Ok(change)
    }

    /// Forgets what is remembered of those stripes, here.
    pub(super) fn forget(&self, stripes: impl IntoIterator<Item = usize>) {
        let mut stripes = stripes.into_iter().peekable();
        if stripes.peek().is_some() {
            self.ended.store(true, Ordering::Relaxed);
            if let Some(cache) = &self.cache {
                cache.forget(stripes);
            }
        }
    }

    /// Waits until other processes let nobody in by what this one has ended, if anything.
    pub async fn followed(&self) {
        if self.ended.load(Ordering::Relaxed) {
            sleep(FOLLOWED).await;
        }
    }
}

impl Change<'_> {
    /// Tokens of that user have ended, or say something else of the user.
    pub(super) fn concerns(&mut self, user: UserId) {
        self.changed.insert(stripe_of(user));
    }

    /// Somebody wants that user's tokens to have ended, or to say something else. Where another process
    /// has just done it, this one may not know yet when it answers.
    pub(super) fn asks(&mut self, user: UserId) {
        self.asked.stripes.insert(stripe_of(user));
    }

    /// The same of a token whose user is not known.
    pub(super) fn asks_of_all(&mut self) {
        self.asked.stripes.extend(0..STRIPES);
    }

    /// Makes the change. When this has returned, nobody is let in by what it ended.
    pub(super) async fn commit(mut self) -> Result<(), Error> {
        // At the end and in order: two changes that wait for each other's rows would wait for ever.
        for &stripe in &self.changed {
            ending::count_one(&mut self.tx, stripe).await?;
        }
        // Also where the commit fails: it may have been made.
        self.asked.stripes.extend(self.changed);
        Ok(self.tx.commit().await?)
    }
}

impl Deref for Change<'_> {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.tx
    }
}

impl DerefMut for Change<'_> {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.tx
    }
}

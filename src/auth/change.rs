//! A transaction that may end tokens: whoever remembers them learns of it.

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering;

use rocket::tokio::time::sleep;
use sqlx::AnyConnection;

use super::Auth;
use super::cache::FOLLOWED;
use crate::db::Write;
use crate::error::Error;
use crate::identity::UserId;
use crate::models::ending::{self, stripe_of};

/// A transaction, and the users whose sessions are others after it.
pub(super) struct Change<'a> {
    auth: &'a Auth,
    tx: Write,
    stripes: BTreeSet<usize>,
}

impl Auth {
    /// Begins a change.
    pub(super) async fn change(&self) -> sqlx::Result<Change<'_>> {
        Ok(Change {
            auth: self,
            tx: self.pool.write().await?,
            stripes: BTreeSet::new(),
        })
    }
}

impl Auth {
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
        self.stripes.insert(stripe_of(user));
    }

    /// Makes the change. When this has returned, nobody is let in by what it ended.
    pub(super) async fn commit(mut self) -> Result<(), Error> {
        // At the end and in order: two changes that wait for each other's rows would wait for ever.
        for &stripe in &self.stripes {
            ending::count_one(&mut self.tx, stripe).await?;
        }
        self.tx.commit().await?;
        if !self.stripes.is_empty() {
            self.auth.ended.store(true, Ordering::Relaxed);
        }
        if let Some(cache) = &self.auth.cache {
            cache.forget(self.stripes);
        }
        Ok(())
    }
}

impl Deref for Change<'_> {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.tx
    }
}

impl DerefMut for Change<'_> {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.tx
    }
}

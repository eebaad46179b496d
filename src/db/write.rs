//! A transaction for writing.

use std::ops::{Deref, DerefMut};

use rocket::tokio::sync::OwnedSemaphorePermit;
use sqlx::{Any, AnyConnection, Transaction};

/// A transaction that may write. Undone if it is dropped before it is committed.
pub struct Write {
    transaction: Transaction<'static, Any>,
    /// SQLite has one writer at a time. This process's own queue for it in the order in which they came;
    /// left to SQLite they look again every 100 ms, and those that come late are as likely to be next.
    _turn: Option<OwnedSemaphorePermit>,
}

impl Write {
    pub(super) fn new(
        transaction: Transaction<'static, Any>,
        turn: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            transaction,
            _turn: turn,
        }
    }

    /// Makes it so.
    ///
    /// # Errors
    /// The database failed; most likely it is not so.
    pub async fn commit(self) -> sqlx::Result<()> {
        self.transaction.commit().await
    }

    /// Undoes it.
    ///
    /// # Errors
    /// The database failed; it is undone all the same.
    pub async fn rollback(self) -> sqlx::Result<()> {
        self.transaction.rollback().await
    }
}

impl Deref for Write {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.transaction
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }
}

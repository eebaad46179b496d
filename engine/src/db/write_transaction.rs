//! Write transactions.

use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use super::Conn;

/// A write transaction. Dropping it before the commit rolls it back.
pub struct Write {
    conn: Conn,
    /// SQLite has one writer at a time. This process queues its writers in order of arrival. Without the queue, SQLite
    /// would poll every 100 ms, and late writers could overtake earlier ones.
    permit: Option<OwnedSemaphorePermit>,
    last: Arc<LastWrite>,
}

impl Write {
    pub(super) fn new(
        conn: Conn,
        permit: Option<OwnedSemaphorePermit>,
        last: Arc<LastWrite>,
    ) -> Self {
        Self { conn, permit, last }
    }

    /// Commits the transaction.
    ///
    /// # Errors
    /// A statement had failed, and nothing is committed. Or the commit failed, and its outcome is unknown.
    pub async fn commit(mut self) -> sqlx::Result<()> {
        if self.conn.commit().await? > 0 {
            self.last.record();
        }
        Ok(())
    }

    /// Rolls the transaction back.
    ///
    /// # Errors
    /// The database failed. The transaction is rolled back anyway.
    pub async fn rollback(mut self) -> sqlx::Result<()> {
        self.conn.rollback().await
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        // The next writer waits until the rollback is done.
        let permit = self.permit.take();
        if self.conn.is_in_transaction()
            && let Ok(runtime) = Handle::try_current()
        {
            let mut conn = mem::replace(&mut self.conn, Conn::closed());
            runtime.spawn(async move {
                // If it fails, the connection is closed, which also rolls back.
                let _ = conn.rollback().await;
                drop((conn, permit));
            });
        }
    }
}

impl Deref for Write {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }
}

/// When this process last committed a change.
#[derive(Default)]
pub(super) struct LastWrite(Mutex<Option<Instant>>);

impl LastWrite {
    fn record(&self) {
        *self.lock() = Some(Instant::now());
    }

    pub(super) fn is_within(&self, time: Duration) -> bool {
        self.lock().is_some_and(|at| at.elapsed() <= time)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

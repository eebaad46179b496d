//! A transaction for writing.

use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rocket::tokio::runtime::Handle;
use rocket::tokio::sync::OwnedSemaphorePermit;

use super::Conn;

/// A transaction that may write. Rolled back if it is dropped before it is committed.
pub struct Write {
    conn: Conn,
    /// SQLite has one writer at a time. This process's own queue for it in the order in which they came;
    /// left to SQLite they look again every 100 ms, and those that come late are as likely to be next.
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
    /// The database failed, and the transaction may or may not be committed; or one of its
    /// statements had failed, and nothing is committed.
    pub async fn commit(mut self) -> sqlx::Result<()> {
        if self.conn.commit().await? > 0 {
            self.last.note();
        }
        Ok(())
    }

    /// Rolls the transaction back.
    ///
    /// # Errors
    /// The database failed; the transaction is rolled back all the same.
    pub async fn rollback(mut self) -> sqlx::Result<()> {
        self.conn.rollback().await
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        // The next writer waits until this one has let go.
        let permit = self.permit.take();
        if self.conn.is_in_transaction()
            && let Ok(runtime) = Handle::try_current()
        {
            let mut conn = mem::replace(&mut self.conn, Conn::closed());
            runtime.spawn(async move {
                // If it fails, the connection is closed, which rolls back as well.
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
pub(super) struct LastWrite {
    start: Instant,
    /// Milliseconds from the start, plus one; 0: never.
    at: AtomicU64,
}

impl LastWrite {
    pub(super) fn never() -> Self {
        Self {
            start: Instant::now(),
            at: AtomicU64::new(0),
        }
    }

    pub(super) fn note(&self) {
        self.at.store(self.age() + 1, Ordering::Relaxed);
    }

    pub(super) fn is_within(&self, time: Duration) -> bool {
        let at = self.at.load(Ordering::Relaxed);
        let passed = (self.age() + 1).saturating_sub(at);
        at > 0 && Duration::from_millis(passed) <= time
    }

    fn age(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

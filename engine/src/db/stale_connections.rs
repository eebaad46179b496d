//! Detection of connections that must not be reused.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Which of a pool's connections must not be reused: those opened up to a certain time.
///
/// After a server refuses a change on a read-only connection, older ones may be read-only for their whole life too.
/// After a server or network failure ends one connection, the others have probably ended too.
#[derive(Default)]
pub(super) struct StaleConnections {
    /// Connections opened up to this time are stale.
    until: Mutex<Option<Instant>>,
    /// Whether a connection refused a change and none has accepted one since.
    refuses: AtomicBool,
}

impl StaleConnections {
    /// Records that a connection refused a change.
    pub(super) fn record_refused(&self) {
        self.mark_all_stale();
        self.refuses.store(true, Ordering::Relaxed);
    }

    /// Records that a connection was lost.
    pub(super) fn record_lost(&self) {
        self.mark_all_stale();
    }

    /// Records that a change was accepted. Connections opened until now may still be read-only.
    pub(super) fn record_accepted(&self) {
        if self.refuses.swap(false, Ordering::Relaxed) {
            self.mark_all_stale();
        }
    }

    pub(super) fn includes(&self, opened: Instant) -> bool {
        self.until().is_some_and(|until| opened <= until)
    }

    fn mark_all_stale(&self) {
        *self.until() = Some(Instant::now());
    }

    fn until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Detection of database sessions that must not be reused.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The sessions of a pool that must not be reused, by their start.
///
/// After a server refuses a change in a read-only session, older sessions may be read-only for their whole life too.
/// After a server or network failure ends one session, the others have probably ended too.
#[derive(Default)]
pub(super) struct Stale {
    /// Sessions that started up to this time are stale.
    until: Mutex<Option<Instant>>,
    /// Whether a session refused a change and none has accepted one since.
    refuses: AtomicBool,
}

impl Stale {
    /// Records that a session refused a change.
    pub(super) fn record_refused(&self) {
        self.record_lost();
        self.refuses.store(true, Ordering::Relaxed);
    }

    /// Records that a session has ended.
    pub(super) fn record_lost(&self) {
        *self.until() = Some(Instant::now());
    }

    /// Records that a change was accepted. Sessions that started until now may still be read-only.
    pub(super) fn record_accepted(&self) {
        if self.refuses.swap(false, Ordering::Relaxed) {
            self.record_lost();
        }
    }

    pub(super) fn includes(&self, began: Instant) -> bool {
        self.until().is_some_and(|until| began <= until)
    }

    fn until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

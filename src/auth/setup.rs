//! The one-time key that lets the first admin be made in a browser.

use std::sync::{Mutex, PoisonError};

use crate::secret;

/// The key of this process, while there is one. It is printed at the start, where only who
/// started the server sees it, and gone once it was used or the server stopped.
#[derive(Default)]
pub struct Setup(Mutex<Option<String>>);

impl Setup {
    /// Makes a new key, in place of any before.
    pub fn open(&self) -> String {
        let key = secret::one_time_key();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.clone());
        key
    }

    /// Whether `given` is the key.
    pub fn is_key(&self, given: &str) -> bool {
        let key = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        key.as_deref().is_some_and(|key| secret::is_key(given, key))
    }

    /// Ends the key.
    pub fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

//! One-time key to create the first admin in a browser.

use std::sync::{Mutex, PoisonError};

use crate::secret;

/// The setup key of this process, if there is one. It is printed at startup, where only the operator sees it, and is
/// invalid after its use or a restart.
#[derive(Default)]
pub struct Setup(Mutex<Option<String>>);

impl Setup {
    /// Generates a new key, in place of any previous one.
    pub fn generate_key(&self) -> String {
        let key = secret::one_time_key();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.clone());
        key
    }

    /// Whether `presented` is the key.
    pub fn is_key(&self, presented: &str) -> bool {
        let key = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        key.as_deref()
            .is_some_and(|key| secret::is_key(presented, key))
    }

    /// Invalidates the key.
    pub fn invalidate_key(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

//! The database tables: all SQL, one module per table, and no HTTP.
//!
//! Functions take a connection or transaction, so that a caller can combine several changes.
//!
//! # Errors
//! Every fallible function here fails if the database does.

// Documented once, above.
#![allow(clippy::missing_errors_doc)]

use std::time::{SystemTime, UNIX_EPOCH};

mod address;
pub(crate) mod attempt;
pub(crate) mod backup;
pub(crate) mod demo;
pub(crate) mod ending;
pub mod event;
pub(crate) mod known_address;
pub(crate) mod known_device;
pub(crate) mod link;
pub mod list;
pub(crate) mod login_count;
pub(crate) mod outbox;
pub(crate) mod readiness;
pub mod stats;
pub mod token;
pub mod user;

/// Stands for never: the last second of the year 9999, unix seconds.
pub const NEVER: i64 = 253_402_300_799;

/// The current time, unix seconds.
pub fn now() -> i64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_epoch.as_secs()).unwrap_or(NEVER)
}

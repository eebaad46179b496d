//! The tables: every line of SQL, one module a table. No HTTP here.
//!
//! A function takes the connection (or transaction) that it works on, so that a caller can make
//! several changes one.

use std::time::{SystemTime, UNIX_EPOCH};

mod address;
pub mod attempt;
pub mod condition;
pub mod copy;
pub mod demo;
pub mod ending;
pub mod event;
pub mod known_address;
pub mod list;
pub mod login_count;
pub mod note; // example: notes
pub mod readiness;
pub mod stats;
pub mod token;
pub mod user;

/// A time that never comes: the last second of the year 9999.
pub const NEVER: i64 = 253_402_300_799;

/// Now, in unix seconds.
pub fn now() -> i64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since_epoch.as_secs()).unwrap_or(NEVER)
}

//! The JSON API. One module per subject, each with its `stage()`.

pub mod account;
pub mod description;
pub mod docs;
pub mod email;
pub mod health;
pub mod metrics;
pub mod reset;
pub mod session;
pub mod sign_up;
pub mod tokens;

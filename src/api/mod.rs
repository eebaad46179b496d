//! The JSON API: a module a subject, each with its `stage()`.

pub mod account;
pub mod description;
pub mod docs;
pub mod health;
pub mod metrics;
pub mod notes; // example: notes
pub mod session;
pub mod tokens;

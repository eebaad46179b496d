//! The JSON API: a module a subject, each with its `stage()`.

pub mod account;
pub mod health;
pub mod session;
pub mod tokens;

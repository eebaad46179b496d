//! Black-box tests over HTTP, a file a subject, in one binary. A test that uses `on_both` runs on
//! SQLite and on a throw-away PostgreSQL, each time on a fresh database.

// A test may stop where something is not as it must be.
#![allow(clippy::unwrap_used)]

mod account;
mod admin;
mod audit;
mod backup;
mod binary;
mod bodies;
mod browser;
mod bulk;
mod cache;
mod check;
mod clients;
mod clocks;
mod cookies;
mod cors;
mod deploy;
mod docs;
mod find;
// fork: drop
mod fork;
// fork: keep
mod fuzz;
#[cfg(target_os = "linux")]
mod host;
mod hostile;
mod house;
mod incident;
mod lists;
mod login;
mod look;
mod names;
mod notes; // example: notes
mod observe;
mod openapi;
mod output;
#[cfg(target_os = "linux")]
mod overload;
mod plans;
mod pooler;
#[cfg(target_os = "linux")]
mod proxy;
mod races;
mod reach;
mod routes;
mod secrets;
mod seed;
mod session;
mod settings;
mod shutdown;
mod speech;
mod support;
mod throttle;
#[cfg(target_os = "linux")]
mod waits;

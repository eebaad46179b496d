//! Tests of what the application promises, over HTTP: one file per subject, one binary. `engine/tests` tests the
//! engine. `on_both` runs a test on SQLite and on a temporary PostgreSQL, each with a fresh database.

// A test may panic.
#![allow(clippy::unwrap_used)]

mod architecture;
mod backup;
mod bodies;
mod browser;
mod clients;
mod deploy;
mod doc_page;
mod docs;
mod fuzz;
#[cfg(target_os = "linux")]
mod host;
mod incident;
mod names;
mod needs;
mod notes;
mod openapi;
mod plans;
mod pooler;
mod prose;
#[cfg(target_os = "linux")]
mod proxy;
mod resources;
mod routes;
mod smtp;

// fork: drop
mod eject;
mod existing;
mod fork;
mod resource;
mod xtask;
// fork: keep

#[path = "../engine/tests/support/mod.rs"]
mod support;

use multitoken::rocket;

/// The application's name.
const NAME: &str = env!("CARGO_PKG_NAME");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const PROGRAM: &str = env!("CARGO_BIN_EXE_multitoken");

/// The binary under test.
fn program() -> std::path::PathBuf {
    PROGRAM.into()
}

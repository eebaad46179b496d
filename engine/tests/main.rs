//! Integration tests of the engine: one module per subject, all in one binary. They use the application in this process
//! or the example program `multitoken`, which adds nothing to the engine. Tests with `on_both` run on SQLite and on a
//! temporary PostgreSQL server, each time on a fresh database.

// A failed expectation may panic.
#![allow(clippy::unwrap_used)]

mod account;
mod account_pages;
mod admin;
mod audit;
mod binary;
mod bulk;
mod cache;
mod check;
mod clocks;
mod connect;
mod cookies;
mod cors;
#[cfg(target_os = "linux")]
mod database_failures;
mod existing;
mod find;
mod http;
mod injection;
mod invite;
mod links;
mod lists;
mod login;
mod mail;
mod notices;
mod observability;
#[cfg(target_os = "linux")]
mod overload;
mod races;
mod secrets;
mod seed;
mod session;
mod settings;
mod shutdown;
mod stdio;
mod support;
mod throttle;
mod ui;

use std::path::PathBuf;

#[path = "../examples/multitoken.rs"]
#[allow(dead_code)]
mod application;

use application::rocket;

const NAME: &str = "multitoken";
/// The working directory of the programs under test.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The program under test.
fn program() -> PathBuf {
    example("multitoken")
}

/// The path of an example program. `cargo test` builds examples before it runs the tests.
fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let built = tests.ancestors().nth(2).unwrap();
    built.join("examples").join(name)
}

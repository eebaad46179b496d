//! Test support: a fresh application for each test, and clients for it. The application's own tests use it, too.

// Neither test binary uses everything here.
#![allow(dead_code, unused_imports)]

pub mod admin;
pub mod app;
pub mod needs;
pub mod postgres;
pub mod relay;
pub mod server;

pub use app::{App, PASSWORD, on_both, on_both_with};

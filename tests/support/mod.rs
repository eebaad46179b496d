//! A fresh application for each test, and words to speak to it.

pub mod app;
pub mod needs;
pub mod page;
pub mod postgres;
pub mod relay;
pub mod server;

pub use app::{App, PASSWORD, on_both, on_both_with};

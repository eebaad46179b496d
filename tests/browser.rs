//! The admin in a real browser, against the real binary.

mod driver;
mod tab;
mod visit;

mod journeys;
mod keyboard;
mod questions;
mod theme;

//! The admin in a real browser, against the real binary.

mod driver;
mod pages;
mod tab;
mod visit;

mod checks;
mod docs;
mod elsewhere;
mod jobs;
mod journeys;
mod keyboard;
mod notes; // example: notes
mod phone;
mod questions;
mod rows;
mod screenshots;
mod theme;

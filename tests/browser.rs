//! The admin and the account pages in a real browser, with the real binary.

mod driver;
mod mail;
mod pages;
mod tab;
mod visit;

mod accounts;
mod checks;
mod docs;
mod elsewhere;
mod jobs;
mod journeys;
mod keyboard;
mod phone;
mod pictures;
mod questions;
mod resources;
mod rows;
mod screenshots;
mod theme;

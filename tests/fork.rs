//! `cargo xtask fork` and `cargo xtask update`: a fork gets its own name and takes later versions of the template, or
//! nothing changes.

mod adopt;
mod conflicts;
mod engine;
mod guide;
mod lock;
mod made;
mod names;
mod past;
mod refused;
mod settings;
pub mod tools;
mod unready;
mod update;

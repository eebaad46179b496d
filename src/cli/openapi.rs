//! `multitoken openapi`.

use super::{Failure, output};
use crate::api::description;
use crate::config::Settings;

pub fn run(settings: &Settings) -> Result<(), Failure> {
    output::line(&description::json(settings)?)
}

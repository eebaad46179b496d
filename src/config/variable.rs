//! Environment variables that are not Rocket's, as settings.

use std::env;

use rocket::figment::error::Error;
use rocket::figment::util::nest;
use rocket::figment::value::{Dict, Map, Value};
use rocket::figment::{Metadata, Profile, Provider};

use super::Unfit;

const NAMES: [&str; 2] = ["PORT", "DATABASE_URL"];

/// A variable that sets one key, in every profile. What can't be read of it names the variable.
pub(super) struct Variable {
    name: &'static str,
    key: &'static str,
    value: Option<Value>,
}

impl Variable {
    /// One that holds a value as TOML has it.
    pub(super) fn read(name: &'static str, key: &'static str) -> Self {
        let text = env::var(name).ok();
        let value = text.map(|text| text.trim().parse().unwrap_or_else(|never| match never {}));
        Self { name, key, value }
    }

    /// One that holds a text.
    pub(super) fn text(name: &'static str, key: &'static str) -> Self {
        let value = env::var(name).ok().map(|text| Value::from(text.trim()));
        Self { name, key, value }
    }
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("the environment variable {}", self.name))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let data = match self.value.clone().map(|value| nest(self.key, value)) {
            Some(Value::Dict(_, dict)) => dict,
            _ => Dict::new(),
        };
        Ok(Profile::Global.collect(data))
    }
}

/// Refuses a variable that would count as not set.
pub(super) fn demand_utf8() -> Result<(), Unfit> {
    let is_unfit = |name: &&str| env::var_os(name).is_some_and(|value| value.to_str().is_none());
    match NAMES.into_iter().find(is_unfit) {
        Some(name) => Err(Unfit(format!("{name}: is no UTF-8"))),
        None => Ok(()),
    }
}

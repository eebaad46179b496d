//! Figment provider for environment variables without Rocket's prefix.

use std::env;

use figment::error::Error;
use figment::util::nest;
use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

use super::invalid::InvalidSetting;

const VARIABLES: [&str; 2] = ["PORT", "DATABASE_URL"];

/// An environment variable that sets one key in every profile. Errors name the variable.
pub(super) struct Variable {
    name: &'static str,
    key: String,
    value: Option<Value>,
}

impl Variable {
    /// A variable with a value in TOML syntax.
    pub(super) fn read(name: &'static str, key: &str) -> Self {
        let text = env::var(name).ok();
        let value = text.map(|text| text.trim().parse().unwrap_or_else(|never| match never {}));
        Self {
            name,
            key: key.to_owned(),
            value,
        }
    }

    /// A variable with a text.
    pub(super) fn text(name: &'static str, key: &str) -> Self {
        let value = env::var(name).ok().map(|text| Value::from(text.trim()));
        Self {
            name,
            key: key.to_owned(),
            value,
        }
    }
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("the environment variable {}", self.name))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let data = match self.value.clone().map(|value| nest(&self.key, value)) {
            Some(Value::Dict(_, dict)) => dict,
            _ => Dict::new(),
        };
        Ok(Profile::Global.collect(data))
    }
}

/// Refuses a variable that is not UTF-8, because it would count as not set.
pub(super) fn require_utf8() -> Result<(), InvalidSetting> {
    let is_not_utf8 = |name: &&str| env::var_os(name).is_some_and(|value| value.to_str().is_none());
    match VARIABLES.into_iter().find(is_not_utf8) {
        Some(name) => Err(InvalidSetting::new(format!("{name}: not valid UTF-8"))),
        None => Ok(()),
    }
}

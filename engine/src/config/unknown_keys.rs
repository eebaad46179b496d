//! Check for unknown keys. Rocket ignores them, so a misspelt setting would go unnoticed.

use figment::value::{Dict, Value};
use figment::{Figment, Source};
use rocket::Config;

use crate::application::application;

use super::invalid::InvalidSetting;

/// Top-level keys beside Rocket's own.
const TOP_LEVEL_KEYS: [&str; 5] = [
    "app",
    "databases",
    "template_dir",
    // `ROCKET_CONFIG` and `ROCKET_CODEGEN_DEBUG`, which Rocket's macros read.
    "config",
    "codegen_debug",
];
/// Keys of tables that nothing else checks. `limits` takes any key, and `app` and each database check their own.
const TABLE_KEYS: [(&str, &[&str]); 1] =
    [("shutdown", &["ctrlc", "force", "grace", "mercy", "signals"])];

/// Refuses an unknown key.
pub(super) fn refuse(figment: &Figment) -> Result<(), InvalidSetting> {
    let table: Dict = figment.extract()?;
    let is_known = |key: &str| TOP_LEVEL_KEYS.contains(&key) || Config::PARAMETERS.contains(&key);
    let mut unknown = table.keys().filter(|key| !is_known(key)).cloned();
    if let Some(key) = unknown.next() {
        return Err(unknown_key(figment, &key));
    }
    let database = [application().name];
    for (name, known) in TABLE_KEYS.into_iter().chain([("databases", &database[..])]) {
        let Some(Value::Dict(_, table)) = table.get(name) else {
            continue;
        };
        let mut unknown = table.keys().filter(|key| !known.contains(&key.as_str()));
        if let Some(key) = unknown.next() {
            return Err(unknown_key(figment, &format!("{name}.{key}")));
        }
    }
    Ok(())
}

fn unknown_key(figment: &Figment, key: &str) -> InvalidSetting {
    let source = figment.find_metadata(key).map(|data| {
        match data.source.as_ref().and_then(Source::file_path) {
            Some(file) => format!(" (in {})", file.display()),
            None if data.name.contains("ROCKET_") => {
                format!(", set by ROCKET_{}", key.to_uppercase())
            }
            None => format!(" (in {})", data.name),
        }
    });
    InvalidSetting::new(format!(
        "{key}: unknown setting{}; see docs/settings.md for all settings",
        source.unwrap_or_default()
    ))
}

//! Which keys there are: Rocket ignores one that it does not know, and the operator believes it set.

use rocket::Config;
use rocket::figment::value::{Dict, Value};
use rocket::figment::{Figment, Source};

use super::{Unfit, holds_secrets, one_line};

/// At the top, beside Rocket's own. A database of your own needs no entry, only its name below.
const OURS: [&str; 5] = [
    "app",
    "databases",
    "template_dir",
    // `ROCKET_CONFIG`, and `ROCKET_CODEGEN_DEBUG`, which is read by Rocket's macros.
    "config",
    "codegen_debug",
];
/// In tables that nothing else checks. Those in `limits` are free, and `app` and each database know their own.
const WITHIN: [(&str, &[&str]); 2] = [
    ("databases", &["multitoken"]),
    ("shutdown", &["ctrlc", "force", "grace", "mercy", "signals"]),
];

/// Refuses a key that nothing reads.
pub(super) fn demand(figment: &Figment) -> Result<(), Unfit> {
    let table: Dict = figment
        .extract()
        .map_err(|error| Unfit(one_line(&error, holds_secrets)))?;
    let is_known = |key: &str| OURS.contains(&key) || Config::PARAMETERS.contains(&key);
    let mut unknown = table.keys().filter(|key| !is_known(key)).cloned();
    if let Some(key) = unknown.next() {
        return Err(refusal(figment, &key));
    }
    for (name, known) in WITHIN {
        let Some(Value::Dict(_, table)) = table.get(name) else {
            continue;
        };
        let mut unknown = table.keys().filter(|key| !known.contains(&key.as_str()));
        if let Some(key) = unknown.next() {
            return Err(refusal(figment, &format!("{name}.{key}")));
        }
    }
    Ok(())
}

fn refusal(figment: &Figment, key: &str) -> Unfit {
    let place = figment.find_metadata(key).map(|data| {
        // Of a variable the message names what it is called.
        match data.source.as_ref().and_then(Source::file_path) {
            Some(file) => format!(" (in {})", file.display()),
            None if data.name.contains("ROCKET_") => {
                format!(", which ROCKET_{} sets", key.to_uppercase())
            }
            None => format!(" (in {})", data.name),
        }
    });
    Unfit(format!(
        "{key}: there is no such setting{}; docs/settings.md has them all",
        place.unwrap_or_default()
    ))
}

//! What templates can ask for beside Tera's own: where an asset is, and numbers and times
//! as people read them.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use rocket::fairing::Fairing;
use rocket_dyn_templates::{Template, tera};
use tera::{Error, Function, Result, Value};

use super::assets::Assets;
use super::time::relative;

/// Templates; debug builds read them anew once a file has changed (inotify tells Rocket). With
/// - `asset(path="admin.css")`: where that file is;
/// - `at | ago`: how far unix seconds lie from now;
/// - `count | number`: with separators between the thousands.
pub fn fairing(assets: Assets) -> impl Fairing {
    Template::custom(move |engines| {
        let tera = &mut engines.tera;
        tera.register_function("asset", Asset(assets.clone()));
        tera.register_filter("ago", ago);
        tera.register_filter("number", number);
    })
}

struct Asset(Assets);

impl Function for Asset {
    fn call(&self, arguments: &HashMap<String, Value>) -> Result<Value> {
        let path = arguments.get("path").and_then(Value::as_str);
        let path = path.ok_or_else(|| Error::msg("asset() takes a path"))?;
        Ok(Value::String(self.0.path(path)))
    }

    /// The paths are those that templates write, with a digest: nothing to escape.
    fn is_safe(&self) -> bool {
        true
    }
}

fn ago(value: &Value, _: &HashMap<String, Value>) -> Result<Value> {
    let at = value
        .as_i64()
        .ok_or_else(|| Error::msg("ago takes unix seconds"))?;
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
    Ok(Value::String(relative(at, now)))
}

fn number(value: &Value, _: &HashMap<String, Value>) -> Result<Value> {
    let number = value
        .as_i64()
        .ok_or_else(|| Error::msg("number takes a whole number"))?;
    Ok(Value::String(grouped(number)))
}

/// A whole number with a comma between the thousands: "12,345".
pub fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
            (-1000, "-1,000"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}

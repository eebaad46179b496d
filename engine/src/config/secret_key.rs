//! `secret_key`: validation, and the keys derived from it.

use std::collections::HashSet;

use figment::Figment;
use figment::value::Value;
use rocket::Config;
use rocket::config::SecretKey;

use super::invalid::InvalidSetting;
use crate::secret::{LinkKeys, NameKey};

/// Keys published in documentation and examples: Rocket's guides 0.4 and 0.5, the syntect server's compose files.
const PUBLISHED_KEYS: &[&str] = &[
    "hPRYyVRiMyxpw5sBB1XeCMN1kFsDCqKvBi2QJxBVHQk=",
    "itlYmFR2vYKrOmFhupMIn/hyB6lYCCTXz4yaQX89XVg=",
    "8Xui8SN4mI+7egV/9dlfYYLGQJeEx4+DwmSQLwDVXJg=",
    "SeerutKeyIsI7releuantAndknvsuZPluaseIgnorYA=",
];
/// A random key of 32 bytes in base64 or hexadecimal usually has 15 or more different characters, and almost never
/// fewer than 12. A word repeated by hand has fewer than ten.
const MIN_DISTINCT_CHARACTERS: usize = 10;

/// Refuses, outside the debug profile, a key that would let anyone forge what it protects.
///
/// # Errors
/// The key is missing, published or too simple.
pub fn check_secret_key(figment: &Figment) -> Result<(), InvalidSetting> {
    if figment.profile() == Config::DEBUG_PROFILE {
        return Ok(());
    }
    match secret_key_problem(figment)? {
        Some(problem) => Err(InvalidSetting::new(format!("secret_key: {problem}"))),
        None => Ok(()),
    }
}

/// What is wrong with `secret_key` and how to fix it, in any profile. None if it is valid.
pub fn secret_key_problem(figment: &Figment) -> Result<Option<String>, InvalidSetting> {
    const REMEDY: &str =
        "generate one with `openssl rand -base64 32` and set it as ROCKET_SECRET_KEY";
    let config: Config = figment.extract()?;
    if !config.secret_key.is_provided() {
        return Ok(Some(format!("not set; {REMEDY}")));
    }
    let published = PUBLISHED_KEYS.iter().any(|key| {
        Figment::from(("key", *key))
            .extract_inner::<SecretKey>("key")
            .is_ok_and(|key| key == config.secret_key)
    });
    if published {
        return Ok(Some(format!("this key is published; {REMEDY}")));
    }
    let characters: HashSet<u8> = configured_key(figment).into_iter().collect();
    Ok((characters.len() < MIN_DISTINCT_CHARACTERS)
        .then(|| format!("this key can be guessed; {REMEDY}")))
}

/// The keys of pseudonyms and one-time links. Without a `secret_key`, which the debug profile allows, they are the same
/// everywhere and not secret, but survive a restart.
pub(super) fn derive_keys(figment: &Figment) -> (NameKey, LinkKeys) {
    let key = configured_key(figment);
    (NameKey::derive(&key), LinkKeys::derive(&key))
}

/// `secret_key` as written in the configuration, or empty.
fn configured_key(figment: &Figment) -> Vec<u8> {
    let value = figment.find_value("secret_key").ok();
    match value {
        Some(Value::String(_, text)) => text.into_bytes(),
        Some(other) => serde_json::to_vec(&other).unwrap_or_default(),
        None => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_profile_requires_a_random_unpublished_secret_key() {
        let release = |key: Option<Value>| {
            let figment = Figment::from(Config::release_default()).select("release");
            match key {
                Some(key) => check_secret_key(&figment.merge(("secret_key", key))),
                None => check_secret_key(&figment),
            }
        };
        assert!(
            release(None)
                .unwrap_err()
                .to_string()
                .contains("secret_key")
        );
        for key in PUBLISHED_KEYS {
            let error = release(Some((*key).into())).unwrap_err().to_string();
            assert!(error.contains("published"), "{error}");
        }
        assert!(release(Some(vec![0_u8; 64].into())).is_err());
        for simple in ["YWFh".repeat(11), "61".repeat(32)] {
            let error = release(Some(simple.into())).unwrap_err().to_string();
            assert!(error.contains("guessed"), "{error}");
        }
        let own: [u8; 32] = rand::random();
        assert!(release(Some(own.to_vec().into())).is_ok());
        let hex = own
            .iter()
            .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        assert!(release(Some(hex.into())).is_ok());
    }
}

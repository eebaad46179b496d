//! `secret_key`: whether it is fit to be one, and what is made of it.

use std::collections::HashSet;

use rocket::Config;
use rocket::config::SecretKey;
use rocket::figment::Figment;
use rocket::figment::value::Value;

use super::{Unfit, holds_secrets, one_line};
use crate::secret::NameKey;

/// `secret_key`s that documentation and examples print (Rocket's guides 0.4 and 0.5, the
/// syntect server's compose files): whoever has read them has them.
const PUBLISHED_KEYS: &[&str] = &[
    "hPRYyVRiMyxpw5sBB1XeCMN1kFsDCqKvBi2QJxBVHQk=",
    "itlYmFR2vYKrOmFhupMIn/hyB6lYCCTXz4yaQX89XVg=",
    "8Xui8SN4mI+7egV/9dlfYYLGQJeEx4+DwmSQLwDVXJg=",
    "SeerutKeyIsI7releuantAndknvsuZPluaseIgnorYA=",
];
/// A random key of 32 bytes has 15 or more different characters, in base64 or hexadecimal, all but
/// never fewer than 12; a word that somebody typed over and over has fewer than ten.
const FEWEST_CHARACTERS: usize = 10;

/// Refuses what would let anyone forge what the key protects: no key of one's own outside the
/// debug profile, one that everybody can read, or one that is no random key.
///
/// # Errors
/// The key is missing, published or too simple.
pub fn check_secret_key(figment: &Figment) -> Result<(), Unfit> {
    if figment.profile() == Config::DEBUG_PROFILE {
        return Ok(());
    }
    match secret_key_complaint(figment)? {
        Some(complaint) => Err(Unfit(format!("secret_key: {complaint}"))),
        None => Ok(()),
    }
}

/// What is wrong with `secret_key`, and how to mend it, in whatever profile; none if nothing is.
///
/// # Errors
/// The configuration can't be read.
pub fn secret_key_complaint(figment: &Figment) -> Result<Option<String>, Unfit> {
    const MEND: &str = "make one with `openssl rand -base64 32` and set it as ROCKET_SECRET_KEY";
    let config: Config = figment
        .extract()
        .map_err(|error| Unfit(one_line(&error, holds_secrets)))?;
    if !config.secret_key.is_provided() {
        return Ok(Some(format!("there is none; {MEND}")));
    }
    let published = PUBLISHED_KEYS.iter().any(|key| {
        Figment::from(("key", *key))
            .extract_inner::<SecretKey>("key")
            .is_ok_and(|key| key == config.secret_key)
    });
    if published {
        return Ok(Some(format!("this one is published; {MEND}")));
    }
    let characters: HashSet<u8> = written(figment).into_iter().collect();
    Ok((characters.len() < FEWEST_CHARACTERS).then(|| format!("this one can be guessed; {MEND}")))
}

/// The key that pseudonyms are made with. In the debug profile, where there may be no
/// `secret_key`, it is one that everybody knows, so that it survives a restart.
pub(super) fn name_key(figment: &Figment) -> NameKey {
    NameKey::derive(&written(figment))
}

/// `secret_key` as it is written in the configuration; empty if it is not.
fn written(figment: &Figment) -> Vec<u8> {
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
    fn outside_debug_a_secret_key_of_ones_own_is_demanded() {
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

//! Passwords: validation, and Argon2id hashing behind a bounded queue.

use std::collections::HashSet;
use std::fmt;
use std::io::Read;
use std::sync::LazyLock;

use flate2::read::GzDecoder;
use rand::distr::{Alphanumeric, SampleString};
use zeroize::Zeroizing;

use crate::config::Settings;
use crate::identity::{Username, canonical};

mod hashing;
mod queue;

pub(crate) use hashing::Verdict;
pub(crate) use queue::{HashPriority, Hasher, Permit, QueueSlot};

/// A password, byte for byte. `Debug` does not show it, and it is wiped from memory on drop.
#[derive(Default)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// The maximum length in bytes. It is enough for any passphrase, and bounds the work of hashing.
    pub const MAX: usize = 1024;

    /// Takes ownership of a `String` without leaving a copy in memory.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Generates a password of 24 characters: 142 random bits.
    pub fn generate() -> Self {
        Self::new(Alphanumeric.sample_string(&mut rand::rng(), 24))
    }

    /// The plaintext, for showing a generated password once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Why `password` is refused as a new password of `username`. Empty if it is accepted.
///
/// The rules follow NIST SP 800-63B-4 and OWASP ASVS 5.0, 6.2: a minimum length, no common passwords, no words of the
/// user or the service, and no composition rules.
pub(crate) fn validation_errors(
    settings: &Settings,
    username: &Username,
    password: &Password,
) -> Vec<String> {
    let mut errors = vec![];
    let min = settings.password_min_length;
    let folded = canonical(&password.0);
    let contains = |word: &str| word.chars().count() >= 4 && folded.contains(word);

    if password.0.chars().count() < min {
        errors.push(format!(
            "This password is too short. It must contain at least {min} characters."
        ));
    }
    if password.0.len() > Password::MAX {
        errors.push(format!(
            "Ensure this field has no more than {} bytes.",
            Password::MAX
        ));
    }
    if COMMON_PASSWORDS.contains(folded.as_str()) {
        errors.push("This password is too common.".into());
    }
    if contains(&canonical(username.as_str())) {
        errors.push("This password contains the username.".into());
    }
    if contains(&canonical(settings.name.trim())) {
        errors.push(format!(
            "This password contains \"{}\".",
            settings.name.trim()
        ));
    }
    errors
}

/// Django's list of 20,000 common passwords, in lower case.
static COMMON_PASSWORDS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    static LIST: &[u8] = include_bytes!("../../vendor/django/common-passwords.txt.gz");
    let mut text = String::new();
    if let Err(error) = GzDecoder::new(LIST).read_to_string(&mut text) {
        // The list is embedded. If it did not unpack, a test would fail.
        tracing::error!(%error, "the list of common passwords cannot be unpacked");
    }
    String::leak(text).lines().collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints_about(username: &str, password: &str) -> Vec<String> {
        let username = Username::parse(username).unwrap();
        let settings = Settings {
            name: "Harbour".into(),
            ..Settings::default()
        };
        validation_errors(&settings, &username, &Password::new(password))
    }

    #[test]
    fn common_short_long_and_name_based_passwords_are_refused() {
        assert!(
            COMMON_PASSWORDS.len() > 19_000,
            "{} common passwords",
            COMMON_PASSWORDS.len()
        );
        for password in ["password", "PassWord", "iloveyou1", "12345678"] {
            assert!(
                !complaints_about("alice", password).is_empty(),
                "{password}"
            );
        }
        assert!(!complaints_about("alice", "seven77").is_empty());
        assert!(!complaints_about("alice", "my-name-is-ALICE").is_empty());
        let name = "ﷺ".repeat(20);
        assert!(!complaints_about(&name, &format!("i am {name}")).is_empty());
        assert!(!complaints_about("alice", "pass\u{200B}word").is_empty());
        assert!(!complaints_about("alice", "i-like-harbour-a-lot").is_empty());
        assert!(!complaints_about("alice", &"x".repeat(1025)).is_empty());
    }

    #[test]
    fn a_password_is_zeroed_on_drop() {
        fn is_wiped(_: &impl zeroize::ZeroizeOnDrop) {}
        is_wiped(&Password::generate().0);
        is_wiped(&canonical("correct horse"));
    }

    #[test]
    fn other_passwords_are_accepted_without_composition_rules() {
        for password in [
            "correct horse battery",
            "        ",
            "пароль-из-слов",
            &"é".repeat(512),
        ] {
            assert_eq!(complaints_about("alice", password), [""; 0], "{password}");
        }
        // Names of up to three characters occur in too many words.
        assert_eq!(complaints_about("bob", "bobsled-in-winter"), [""; 0]);
    }
}

//! Passwords: which are accepted, and how they are hashed (Argon2id) without stopping the server.

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

pub use hashing::Verdict;
pub use queue::{Hasher, Permit, Place, Rank};

/// A password as it was given, byte for byte. It can't be printed, and is wiped from memory when it is
/// dropped.
pub struct Password(Zeroizing<String>);

impl Password {
    /// The most bytes that one has: enough for any passphrase, and a bound on the work of hashing.
    pub const MAX: usize = 1024;

    /// Takes what was typed. A `String` is taken as it is, without a copy that would stay behind.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Makes one of 24 characters: 142 random bits.
    pub fn generate() -> Self {
        Self::new(Alphanumeric.sample_string(&mut rand::rng(), 24))
    }

    /// The password itself, for the one time that a made one is shown.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// What is wrong with `password` for a new password of `username`; empty if nothing is.
///
/// The rules are those of NIST SP 800-63B-4 and OWASP ASVS 5.0, 6.2: a length, a list of common
/// passwords, words that belong to the user or the service, and no rules of composition.
pub fn complaints(settings: &Settings, username: &Username, password: &Password) -> Vec<String> {
    let mut complaints = vec![];
    let min = settings.password_min_length;
    let folded = canonical(&password.0);
    let contains = |word: &str| word.chars().count() >= 4 && folded.contains(word);

    if password.0.chars().count() < min {
        complaints.push(format!(
            "This password is too short. It must contain at least {min} characters."
        ));
    }
    if password.0.len() > Password::MAX {
        complaints.push(format!(
            "Ensure this field has no more than {} bytes.",
            Password::MAX
        ));
    }
    if COMMON.contains(folded.as_str()) {
        complaints.push("This password is too common.".into());
    }
    if contains(&canonical(username.as_str())) {
        complaints.push("This password contains the username.".into());
    }
    if contains(&canonical(settings.name.trim())) {
        complaints.push(format!(
            "This password contains \"{}\".",
            settings.name.trim()
        ));
    }
    complaints
}

/// Common passwords, in lower case, most used first: Django's list of 20,000.
static COMMON: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    static LIST: &[u8] = include_bytes!("../vendor/django/common-passwords.txt.gz");
    let mut text = String::new();
    if let Err(error) = GzDecoder::new(LIST).read_to_string(&mut text) {
        // It is part of the executable: either it always unpacks or a test fails.
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
        complaints(&settings, &username, &Password::new(password))
    }

    #[test]
    fn common_short_long_and_telling_passwords_are_refused() {
        assert!(COMMON.len() > 19_000, "{} common passwords", COMMON.len());
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
    fn a_password_is_wiped_when_it_is_dropped() {
        fn is_wiped(_: &impl zeroize::ZeroizeOnDrop) {}
        is_wiped(&Password::generate().0);
        is_wiped(&canonical("correct horse"));
    }

    #[test]
    fn others_are_accepted_without_rules_of_composition() {
        for password in [
            "correct horse battery",
            "        ",
            "пароль-из-слов",
            &"é".repeat(512),
        ] {
            assert_eq!(complaints_about("alice", password), [""; 0], "{password}");
        }
        // Names of up to three characters stand in too many words.
        assert_eq!(complaints_about("bob", "bobsled-in-winter"), [""; 0]);
    }
}

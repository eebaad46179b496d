//! A token's plaintext, its digest and its written form.
//!
//! Written, a token is `<prefix>_`, 43 base62 characters that are random, and 6 base62 characters
//! of CRC-32 over what precedes them. The prefix lets scanners of leaked secrets recognise it, and
//! the checksum lets them, and us, discard a false one without asking a database.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use rand::distr::{Alphanumeric, SampleString};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Random base62 characters: 43 of them are log2(62) × 43 = 256.03 bits.
const RANDOM_LENGTH: usize = 43;
/// Base62 characters that a CRC-32 takes: 62⁶ > 2³².
const CHECKSUM_LENGTH: usize = 6;
const HEX: &[u8; 16] = b"0123456789abcdef";
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The plaintext of a token: who holds it is let in.
///
/// It exists where a token is issued and where one is presented, never in storage; printing it
/// takes [`Secret::reveal`]. It is wiped from memory when it is dropped.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Draws a new token from the operating system's seeded generator (a CSPRNG).
    pub fn generate(prefix: &str) -> Self {
        let length = prefix.len() + 1 + RANDOM_LENGTH + CHECKSUM_LENGTH;
        // All of it at once: a text that has to grow leaves a copy behind.
        let mut text = Zeroizing::new(String::with_capacity(length));
        text.push_str(prefix);
        text.push('_');
        Alphanumeric.append_string(&mut rand::rng(), &mut text, RANDOM_LENGTH);
        let checksum = checksum(&text);
        text.push_str(checksum.as_str());
        Self(text)
    }

    /// What is stored in its place.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// Its last four characters, by which its owner tells it from others.
    pub fn hint(&self) -> &str {
        &self.0[self.0.len() - 4..]
    }

    /// The plaintext itself, for the one answer that hands it over.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whether `text` can be a token's prefix: 1 to 12 of a-z and 0-9.
pub fn is_prefix(text: &str) -> bool {
    (1..=12).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// SHA-256 of a secret, in hexadecimal.
///
/// A fast hash is enough: 256 random bits can't be guessed, so there is nothing to slow down. Who
/// reads the database learns no token from it, and who can only read has no use for a digest;
/// comparing digests (which the index does) tells nothing about the token through its timing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// The digest of a token that somebody presents, whatever its prefix; none if its shape or checksum
    /// is wrong.
    pub fn of_presented(text: &str) -> Option<Self> {
        let (prefix, rest) = text.split_once('_')?;
        let well_formed = is_prefix(prefix)
            && rest.len() == RANDOM_LENGTH + CHECKSUM_LENGTH
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !well_formed {
            return None;
        }
        let (body, sum) = text.split_at(text.len() - CHECKSUM_LENGTH);
        (checksum(body).as_str() == sum).then(|| Self::of(text))
    }

    /// The hexadecimal form, 64 characters, as it is stored.
    pub fn to_hex(self) -> String {
        hex(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(HEX[usize::from(value)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// Makes pseudonyms for names that must not be written down, because no account has them: people
/// type their password where the username goes.
///
/// It is HMAC-SHA-256 (RFC 2104): without the key nobody can try guesses on a pseudonym.
#[derive(Clone)]
pub struct NameKey([u8; 64]);

impl NameKey {
    /// The key that belongs to a secret.
    pub fn derive(secret: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(b"names of accounts that do not exist")
            .chain_update(secret)
            .finalize();
        let mut key = [0; 64];
        key[..digest.len()].copy_from_slice(&digest);
        Self(key)
    }

    /// What stands in for `name`: 16 hexadecimal digits, always the same ones.
    pub fn pseudonym(&self, name: &str) -> String {
        let mut mac = Hmac::<Sha256>::new(&self.0.into());
        mac.update(name.as_bytes());
        hex(&mac.finalize().into_bytes()[..8])
    }
}

impl Default for NameKey {
    fn default() -> Self {
        Self::derive(b"")
    }
}

impl fmt::Debug for NameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameKey(…)")
    }
}

/// A one-time key, of as many random bits as a token.
pub fn one_time_key() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), RANDOM_LENGTH)
}

/// Whether `given` is `key`, in a time that tells nothing of how much of it is right: it is their
/// digests that are compared.
pub fn is_key(given: &str, key: &str) -> bool {
    Digest::of(given) == Digest::of(key)
}

/// Base62 characters.
struct Checksum([u8; CHECKSUM_LENGTH]);

impl Checksum {
    fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

fn checksum(body: &str) -> Checksum {
    let mut rest = crc32fast::hash(body.as_bytes()) as usize;
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[rest % 62];
        rest /= 62;
    }
    Checksum(digits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LENGTH: usize = "mtk_".len() + 49;

    #[test]
    fn a_token_is_read_back_and_a_changed_one_is_not() {
        let secret = Secret::generate("mtk");
        let text = secret.reveal();
        assert_eq!(text.len(), LENGTH);
        assert_eq!(Digest::of_presented(text), Some(secret.digest()));
        for at in 0..text.len() {
            let mut changed = text.as_bytes().to_vec();
            changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(
                Digest::of_presented(&changed).is_none(),
                "{changed} was taken for {text}"
            );
        }
    }

    #[test]
    fn the_checksum_is_crc32_in_base62() {
        // CRC-32 of "123456789" is 0xCBF43926: the check value that the algorithm is published with.
        let mut value: u64 = 0;
        for digit in checksum("123456789").0 {
            value = value * 62 + BASE62.iter().position(|&b| b == digit).unwrap() as u64;
        }
        assert_eq!(value, 0xCBF4_3926);
    }

    #[test]
    fn nonsense_is_no_token() {
        for text in [
            "",
            "_",
            "mtk_",
            "mtk",
            "MTK_x",
            "é_é",
            &"a".repeat(100),
            &"_".repeat(53),
        ] {
            assert!(Digest::of_presented(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_secret_is_wiped_when_it_is_dropped_and_was_never_moved() {
        fn is_wiped(_: &impl zeroize::ZeroizeOnDrop) {}
        let secret = Secret::generate("mtk");
        is_wiped(&secret.0);
        assert_eq!(secret.0.capacity(), LENGTH);
    }

    #[test]
    fn debug_shows_nothing() {
        let secret = Secret::generate("mtk");
        assert_eq!(
            format!("{secret:?} {:?} {:?}", secret.digest(), NameKey::default()),
            "Secret(…) Digest(…) NameKey(…)"
        );
    }

    #[test]
    fn a_pseudonym_depends_on_key_and_name() {
        let (one, two) = (NameKey::derive(b"one"), NameKey::derive(b"two"));
        assert_eq!(one.pseudonym("hunter2"), one.pseudonym("hunter2"));
        assert_ne!(one.pseudonym("hunter2"), two.pseudonym("hunter2"));
        assert_ne!(one.pseudonym("hunter2"), one.pseudonym("hunter3"));
        assert_eq!(one.pseudonym("hunter2").len(), 16);
    }

    proptest! {
        #[test]
        fn what_is_generated_is_read_back(prefix in "[a-z0-9]{1,12}") {
            let secret = Secret::generate(&prefix);
            let (body, sum) = secret.reveal().split_at(prefix.len() + 1 + RANDOM_LENGTH);
            prop_assert!(sum == checksum(body).as_str());
            prop_assert_eq!(Digest::of_presented(secret.reveal()), Some(secret.digest()));
        }

        #[test]
        fn what_is_read_has_the_written_form_and_its_checksum(
            text in prop_oneof![any::<String>(), "[a-z0-9]{0,13}_?[0-9A-Za-z]{47,51}", "\\PC{40,70}"],
        ) {
            // All but never does a text that was made up bear the right checksum.
            let (body, _) = text.split_at_checked(text.len().saturating_sub(6)).unwrap_or_default();
            for text in [text.clone(), format!("{body}{}", checksum(body).as_str())] {
                if let Some(digest) = Digest::of_presented(&text) {
                    let (prefix, rest) = text.split_once('_').unwrap();
                    prop_assert!(is_prefix(prefix) && rest.len() == 49);
                    prop_assert!(rest.bytes().all(|byte| byte.is_ascii_alphanumeric()));
                    prop_assert_eq!(digest.to_hex(), hex(&Sha256::digest(&text)));
                }
            }
        }

        #[test]
        fn one_changed_character_is_found_out(at in 0..LENGTH, other in any::<char>()) {
            let secret = Secret::generate("mtk");
            let mut changed: Vec<char> = secret.reveal().chars().collect();
            // The one in a million that is the same is changed too.
            changed[at] = if changed[at] == other { '\u{e9}' } else { other };
            let changed: String = changed.iter().collect();
            prop_assert!(Digest::of_presented(&changed).is_none());
        }
    }
}

//! Token plaintexts, their digests, and keys derived from `secret_key`.
//!
//! A token is `<prefix>_`, 43 random base62 characters, and 6 base62 characters of CRC-32 over everything before. The
//! prefix lets secret scanners recognise tokens. The checksum lets scanners and this process reject false ones without
//! a query.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use rand::distr::{Alphanumeric, SampleString};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Random base62 characters: log2(62) × 43 = 256.03 bits.
const RANDOM_LENGTH: usize = 43;
/// Base62 characters of a CRC-32: 62⁶ > 2³².
const CHECKSUM_LENGTH: usize = 6;
const HEX: &[u8; 16] = b"0123456789abcdef";
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The plaintext of a token. Anyone holding it can use the token.
///
/// It exists only while a token is issued, never in storage. Only [`Secret::reveal`] shows it. It is wiped from memory
/// on drop.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Generates a token with a CSPRNG that the operating system seeds.
    pub fn generate(prefix: &str) -> Self {
        let length = prefix.len() + 1 + RANDOM_LENGTH + CHECKSUM_LENGTH;
        // Allocated once, because a string that grows leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(length));
        text.push_str(prefix);
        text.push('_');
        Alphanumeric.append_string(&mut rand::rng(), &mut text, RANDOM_LENGTH);
        let checksum = checksum(&text);
        text.push_str(checksum.as_str());
        Self(text)
    }

    /// The digest, which is stored instead of the plaintext.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }

    /// The last four characters, by which the user recognises the token.
    pub fn hint(&self) -> &str {
        &self.0[self.0.len() - 4..]
    }

    /// The plaintext, for the one response that contains it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whether `text` is a valid token prefix: 1 to 12 characters of a-z and 0-9.
pub(crate) fn is_prefix(text: &str) -> bool {
    (1..=12).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// SHA-256 of a secret.
///
/// A fast hash is enough, because 256 random bits can't be guessed. Read access to the database reveals no token, and a
/// digest can't be used as one. The index compares digests, so its timing reveals nothing about a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// The digest of the key of a one-time link.
    pub fn for_key(key: &str) -> Self {
        Self::of(key)
    }

    /// The digest of a presented token with any prefix. None if its format or checksum is wrong.
    pub fn parse_presented(text: &str) -> Option<Self> {
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

    /// The stored form: 64 hexadecimal digits.
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

/// A key for pseudonyms of unknown usernames. These must not be stored, because people sometimes type their password in
/// place of the username.
///
/// A pseudonym is an HMAC-SHA-256 (RFC 2104), so guesses can't be tested without the key.
#[derive(Clone)]
pub struct NameKey(MacKey);

impl NameKey {
    pub(crate) fn derive(secret: &[u8]) -> Self {
        Self(MacKey::derive(
            "names of accounts that do not exist",
            secret,
        ))
    }

    /// The pseudonym of `name`: 16 hexadecimal digits, always the same.
    pub(crate) fn pseudonym(&self, name: &str) -> String {
        hex(&self.0.mac(name)[..8])
    }
}

/// A generator of keys for one-time links.
///
/// A key is the HMAC-SHA-256 of the link's id: 256 bits. A mail that is sent again has the same key, although neither
/// key nor mail is stored. So read access to the database is not enough to use a link.
#[derive(Clone)]
pub struct LinkKeys(MacKey);

impl LinkKeys {
    pub(crate) fn derive(secret: &[u8]) -> Self {
        Self(MacKey::derive("keys of one-time links", secret))
    }

    /// The key of the link with this id: 64 hexadecimal digits.
    pub(crate) fn key(&self, id: impl fmt::Display) -> Zeroizing<String> {
        Zeroizing::new(hex(&self.0.mac(&id.to_string())))
    }
}

impl Default for LinkKeys {
    fn default() -> Self {
        Self::derive(b"")
    }
}

impl fmt::Debug for LinkKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkKeys(…)")
    }
}

/// A key for HMAC-SHA-256, separate for each purpose.
#[derive(Clone)]
struct MacKey([u8; 64]);

impl MacKey {
    fn derive(label: &str, secret: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(label)
            .chain_update(secret)
            .finalize();
        let mut key = [0; 64];
        key[..digest.len()].copy_from_slice(&digest);
        Self(key)
    }

    fn mac(&self, text: &str) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new(&self.0.into());
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().into()
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

/// Generates a random one-time key, as strong as a token.
pub(crate) fn one_time_key() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), RANDOM_LENGTH)
}

/// Whether `presented` is `key`. Comparing digests keeps the timing independent of how much of it is right.
pub(crate) fn is_key(presented: &str, key: &str) -> bool {
    Digest::of(presented) == Digest::of(key)
}

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
    fn a_token_is_accepted_and_a_changed_one_is_not() {
        let secret = Secret::generate("mtk");
        let text = secret.reveal();
        assert_eq!(text.len(), LENGTH);
        assert_eq!(Digest::parse_presented(text), Some(secret.digest()));
        for at in 0..text.len() {
            let mut changed = text.as_bytes().to_vec();
            changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(
                Digest::parse_presented(&changed).is_none(),
                "{changed} was taken for {text}"
            );
        }
    }

    #[test]
    fn the_checksum_is_crc32_in_base62() {
        // The published check value of CRC-32.
        let mut value: u64 = 0;
        for digit in checksum("123456789").0 {
            value = value * 62 + BASE62.iter().position(|&b| b == digit).unwrap() as u64;
        }
        assert_eq!(value, 0xCBF4_3926);
    }

    #[test]
    fn malformed_tokens_are_rejected() {
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
            assert!(Digest::parse_presented(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_secret_is_zeroed_on_drop_and_never_reallocated() {
        fn assert_zeroed(_: &impl zeroize::ZeroizeOnDrop) {}
        let secret = Secret::generate("mtk");
        assert_zeroed(&secret.0);
        assert_eq!(secret.0.capacity(), LENGTH);
    }

    #[test]
    fn debug_reveals_nothing() {
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
        fn generated_tokens_are_accepted(prefix in "[a-z0-9]{1,12}") {
            let secret = Secret::generate(&prefix);
            let (body, sum) = secret.reveal().split_at(prefix.len() + 1 + RANDOM_LENGTH);
            prop_assert!(sum == checksum(body).as_str());
            prop_assert_eq!(Digest::parse_presented(secret.reveal()), Some(secret.digest()));
        }

        #[test]
        fn accepted_tokens_have_the_canonical_form_and_a_valid_checksum(
            text in prop_oneof![any::<String>(), "[a-z0-9]{0,13}_?[0-9A-Za-z]{47,51}", "\\PC{40,70}"],
        ) {
            // A random text almost never has the right checksum, so add it.
            let (body, _) = text.split_at_checked(text.len().saturating_sub(6)).unwrap_or_default();
            for text in [text.clone(), format!("{body}{}", checksum(body).as_str())] {
                if let Some(digest) = Digest::parse_presented(&text) {
                    let (prefix, rest) = text.split_once('_').unwrap();
                    prop_assert!(is_prefix(prefix) && rest.len() == 49);
                    prop_assert!(rest.bytes().all(|byte| byte.is_ascii_alphanumeric()));
                    prop_assert_eq!(digest.to_hex(), hex(&Sha256::digest(&text)));
                }
            }
        }

        #[test]
        fn one_changed_character_is_detected(at in 0..LENGTH, other in any::<char>()) {
            let secret = Secret::generate("mtk");
            let mut changed: Vec<char> = secret.reveal().chars().collect();
            // If both characters are the same, use another one.
            changed[at] = if changed[at] == other { '\u{e9}' } else { other };
            let changed: String = changed.iter().collect();
            prop_assert!(Digest::parse_presented(&changed).is_none());
        }
    }
}

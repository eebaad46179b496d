//! Usernames and client names, with keys for comparison.

use sha2::{Digest, Sha256};

use super::canonical::canonical;
use super::text::{BLANK, validate_line};

/// A username as typed, with the key for comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username {
    text: String,
    key: String,
}

impl Username {
    /// The maximum length in characters, as in Django's `User`.
    pub const MAX: usize = 150;

    /// Accepts 1 to 150 characters without [control characters](super::is_control), at least one of them visible. Drops
    /// surrounding white space.
    ///
    /// # Errors
    /// A message for the user.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (text, key) = parse_name(text, Self::MAX)?;
        Ok(Self { text, key })
    }

    /// The name as typed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The form for comparison: see [`key`].
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// The name of a client (a device, an app, a browser) as typed, with the key for comparison. A user has one token per
/// client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientName {
    text: String,
    key: String,
}

impl ClientName {
    /// The maximum length in characters, a usual one of Django's `CharField`.
    pub const MAX: usize = 255;

    /// Accepts 1 to 255 characters under the rules of [`Username::parse`].
    ///
    /// # Errors
    /// A message for the user.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (text, key) = parse_name(text, Self::MAX)?;
        Ok(Self { text, key })
    }

    /// The name as typed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The form for comparison: see [`key`].
    pub fn key(&self) -> &str {
        &self.key
    }
}

fn parse_name(text: &str, max: usize) -> Result<(String, String), String> {
    let text = validate_line(text, max)?;
    let key = key(text);
    if key.is_empty() {
        return Err(BLANK.into());
    }
    Ok((text.to_owned(), key))
}

/// The maximum length of a [`key`] in bytes. Every ASCII name fits. The limit keeps indexes small: normalization can
/// make a name 18 times as long.
const MAX_KEY_LENGTH: usize = 255;
/// The bytes of a "…" and a SHA-256 in hexadecimal.
const DIGEST_LENGTH: usize = 64 + '…'.len_utf8();

/// The `canonical` text, for comparing, sorting and searching names. A long text is replaced by its beginning and a
/// digest of the whole, so that prefix searches work and only equal names have equal keys.
pub fn key(text: &str) -> String {
    let text = canonical(text);
    if text.len() <= MAX_KEY_LENGTH {
        return text.to_string();
    }
    let beginning = &text[..text.floor_char_boundary(MAX_KEY_LENGTH - DIGEST_LENGTH)];
    let digest = Sha256::digest(text.as_bytes());
    // Canonical texts never contain "…" (NFKC turns it into three dots), so no name looks like a shortened key.
    let mut key = format!("{beginning}…");
    key.extend(digest.iter().map(|byte| format!("{byte:02x}")));
    key
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::text::is_control;
    use super::*;

    #[test]
    fn usernames_that_differ_only_in_case_or_form_share_a_key() {
        let key = |text| Username::parse(text).unwrap().key().to_owned();
        assert_eq!(key("Alice"), key("ａＬＩＣＥ"));
        assert_eq!(key("Straße"), key("STRASSE"));
        assert_eq!(key("re\u{301}mi"), key("RÉMI"));
        assert_eq!(key("ﬁona"), key("Fiona"));
        assert_ne!(key("alice"), key("alicé"));
        let client = |text| ClientName::parse(text).unwrap().key().to_owned();
        assert_eq!(client("Laptop"), client("lap\u{AD}top\u{FE0F}"));
        assert_ne!(client("laptop"), client("lap-top"));
        assert_eq!(Username::parse(" Alice ").unwrap().as_str(), "Alice");
    }

    /// Samples of Default_Ignorable_Code_Point (Unicode Character Database, DerivedCoreProperties.txt).
    const IGNORABLE: [char; 18] = [
        '\u{AD}',
        '\u{34F}',
        '\u{115F}',
        '\u{1160}',
        '\u{17B4}',
        '\u{180B}',
        '\u{180E}',
        '\u{200B}',
        '\u{200D}',
        '\u{2060}',
        '\u{2065}',
        '\u{3164}',
        '\u{FE0F}',
        '\u{FEFF}',
        '\u{FFA0}',
        '\u{1D173}',
        '\u{E0041}',
        '\u{E01EF}',
    ];

    #[test]
    fn invisible_characters_make_neither_another_name_nor_a_name() {
        let key = |text: &str| Username::parse(text).map(|name| name.key().to_owned());
        for char in IGNORABLE {
            for text in [format!("alice{char}"), format!("{char}AL{char}ice{char}")] {
                assert_eq!(key(&text), key("alice"), "{text:?}");
            }
            // It does not separate an accent from its letter.
            assert_eq!(key(&format!("re{char}\u{301}mi")), key("rémi"), "{char:?}");
            for text in [format!("{char}"), format!("{char} {char}\u{200B}")] {
                assert_eq!(key(&text), Err(BLANK.into()), "{text:?}");
                let client = ClientName::parse(&text);
                assert_eq!(client, Err(BLANK.into()), "{text:?}");
            }
        }
        // The name keeps it; only the key does not.
        let name = Username::parse("ali\u{200B}ce").unwrap();
        assert_eq!(name.as_str(), "ali\u{200B}ce");
    }

    #[test]
    fn a_long_key_is_a_prefix_and_a_digest() {
        let key = |text: &str| ClientName::parse(text).unwrap().key().to_owned();
        // 4,590 characters in normalized form. The first 254 are the same as in the others.
        let long = "ﷺ".repeat(255);
        let others = ["ﷺ".repeat(254), "ﷺ".repeat(254) + "x", "é".repeat(128)];
        for text in others.iter().chain([&long]) {
            let key = key(text);
            assert!(
                (MAX_KEY_LENGTH - 3..=MAX_KEY_LENGTH).contains(&key.len()),
                "{}",
                key.len()
            );
            let (prefix, digest) = key.split_once('…').unwrap();
            assert!(canonical(text).starts_with(prefix) && prefix.len() > 180);
            assert_eq!(digest.len(), 64);
            assert_eq!(*text == long, key == super::key(&long), "{text}");
            // No other name has this key.
            assert_ne!(super::key(&key), key);
        }
        assert_eq!(key(&"É".repeat(200)), key(&"é".repeat(200)));
        assert_eq!(key(&"A".repeat(255)), "a".repeat(255));
    }

    #[test]
    fn invalid_names_are_refused() {
        for text in [
            "",
            " ",
            "a\0b",
            "a\nb",
            "a\u{202E}b",
            "a\u{85}b",
            "a\u{2028}b",
            "a\u{2029}b",
            "ab\u{2028}",
            "\u{2029}ab",
            &"x".repeat(151),
        ] {
            assert!(Username::parse(text).is_err(), "{text:?}");
            assert!(ClientName::parse(text).is_err() || text.len() == 151);
        }
        assert!(Username::parse(&"ﷺ".repeat(150)).is_ok());
        assert!(Username::parse(&"ﷺ".repeat(151)).is_err());
        assert!(Username::parse(&"é".repeat(150)).is_ok());
        assert!(ClientName::parse(&"é".repeat(255)).is_ok());
        assert!(ClientName::parse(&"é".repeat(256)).is_err());
        assert!(ClientName::parse(&format!(" {}", "é".repeat(255))).is_err());
    }

    proptest! {
        #[test]
        fn a_username_and_its_canonical_form_have_the_same_key(
            text in prop_oneof![
                any::<String>(), "\\PC{0,40}", "[A-Za-zß-ſǅ-ǳİıſK\u{300}-\u{345}ﬀ-ﬆ]{1,20}",
                "[a-e´\u{301}\u{345}\u{200B}\u{3164}\u{FFA0}\u{AD}\u{1100}\u{1161} ]{1,20}",
            ],
        ) {
            let once = canonical(&text);
            prop_assert_eq!(canonical(&once), once.clone(), "it is stable");
            if let Ok(name) = Username::parse(&text) {
                prop_assert_eq!(name.as_str(), text.trim());
                prop_assert!((1..=MAX_KEY_LENGTH).contains(&name.key().len()));
                prop_assert!(!name.as_str().chars().any(is_control));
                prop_assert!(!name.key().chars().any(is_control));
                // Both the stored name and its canonical form find the same user.
                for form in [name.as_str(), &canonical(&text)] {
                    if form.chars().count() <= Username::MAX {
                        let again = Username::parse(form);
                        prop_assert_eq!(again.as_ref().map(Username::key), Ok(name.key()));
                    }
                }
            }
        }

        #[test]
        fn case_and_compatibility_forms_make_no_other_user(text in "[a-zA-Zà-üÀ-Ü0-9]{1,20}") {
            let key = |text: &str| Username::parse(text).map(|name| name.key().to_owned());
            prop_assert_eq!(key(&text.to_uppercase()), key(&text));
            let wide = |c: char| match c {
                '!'..='~' => char::from_u32(c as u32 + 0xFEE0).unwrap(),
                other => other,
            };
            prop_assert_eq!(key(&text.chars().map(wide).collect::<String>()), key(&text));
        }
    }
}

//! Names and ids as types: who holds one holds a checked value.

pub mod address;
pub mod device;

use std::fmt;

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use rocket::http::impl_from_uri_param_identity;
use rocket::http::uri::fmt::{Formatter, Path, UriDisplay};
use rocket::request::FromParam;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};
use zeroize::Zeroizing;

const REQUIRED: &str = "This field may not be blank.";
const CONTROL: &str = "Control characters are not allowed.";

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new one, greater than all that this process made before (UUIDv7, RFC 9562).
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// One as it would have been made at that time, unix milliseconds.
            pub fn at(milliseconds: i64) -> Self {
                let time = u64::try_from(milliseconds).unwrap_or_default();
                let id = Builder::from_unix_timestamp_millis(time, &rand::random());
                Self(id.into_uuid())
            }

            /// The last of its 16 bytes, which is random.
            pub fn last_byte(self) -> u8 {
                self.0.as_bytes()[15]
            }

            /// Reads the hyphenated lower-case form, the only one that we write.
            pub fn parse(text: &str) -> Option<Self> {
                let id = Uuid::try_parse(text).ok()?;
                (id.hyphenated().to_string() == text).then_some(Self(id))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut text = Uuid::encode_buffer();
                serializer.serialize_str(self.0.hyphenated().encode_lower(&mut text))
            }
        }

        impl TryFrom<String> for $name {
            type Error = &'static str;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text).ok_or("not an id")
            }
        }

        impl<'a> FromParam<'a> for $name {
            type Error = crate::error::Error;

            fn from_param(text: &'a str) -> Result<Self, Self::Error> {
                Self::parse(text).ok_or(crate::error::Error::NotFound)
            }
        }

        impl UriDisplay<Path> for $name {
            fn fmt(&self, f: &mut Formatter<'_, Path>) -> fmt::Result {
                f.write_value(self.to_string())
            }
        }

        impl_from_uri_param_identity!([Path] $name);
    };
}

id! {
    /// Names a user for as long as the user exists.
    UserId
}
id! {
    /// Names a token; a token that replaces another has a new one.
    TokenId
}
id! {
    /// Names a line of the audit trail.
    EventId
}
id! { #[doc = "Names a note."] NoteId } // example: notes

/// What every id made at that time (unix milliseconds) or later sorts after, and every earlier one before.
pub fn id_bound(milliseconds: i64) -> String {
    let hex = format!("{:012x}", milliseconds.clamp(0, (1 << 48) - 1));
    // The first 48 bits of a UUIDv7 are its time (RFC 9562, section 5.7).
    format!("{}-{}", &hex[..8], &hex[8..])
}

/// A username: as it was typed, and the key that it is compared by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username {
    text: String,
    key: String,
}

impl Username {
    /// The most characters that a username has: as many as Django's `User` takes.
    pub const MAX: usize = 150;

    /// Takes 1 to 150 characters that [`is_control`] allows, some of them visible. Surrounding white
    /// space is dropped.
    ///
    /// # Errors
    /// What is wrong, as a sentence for the user.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (text, key) = named(text, Self::MAX)?;
        Ok(Self { text, key })
    }

    /// As it was typed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What is compared: see [`key`].
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// A text after NFKC_Casefold (UAX #44): without case, compatibility forms and default ignorable code
/// points, which show nothing. `Straße`, `STRASSE`, `ｓｔｒａｓｓｅ` and `Stra\u{200B}ße` become the same.
/// Surrounding white space is dropped.
///
/// Each step can make work for another: an accent that stands alone becomes one on a space, say. So they
/// are repeated until the text is stable, as the property itself was derived. The text may be a
/// password, so the copies in between are wiped.
pub fn canonical(text: &str) -> Zeroizing<String> {
    /// Two steps make any text stable that only has to be normalized and folded (definition D146).
    const MAX_STEPS: usize = 8;
    let mut folded = fold(text);
    for _ in 0..MAX_STEPS {
        let next = fold(&folded);
        if next == folded {
            break;
        }
        folded = next;
    }
    folded
}

fn fold(text: &str) -> Zeroizing<String> {
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let nfd = DecomposingNormalizerBorrowed::new_nfd();
    let nfkc = ComposingNormalizerBorrowed::new_nfkc();
    let mut visible = Zeroizing::new(String::with_capacity(text.len()));
    visible.extend(text.chars().filter(|char| !ignorable.contains(*char)));
    let decomposed = Zeroizing::new(nfd.normalize(&visible).into_owned());
    let folded = Zeroizing::new(CaseMapper::new().fold_string(&decomposed).into_owned());
    let composed = Zeroizing::new(nfkc.normalize(&folded).into_owned());
    Zeroizing::new(composed.trim().to_owned())
}

/// The maximum length of a [`key`], in bytes. A client's name in ASCII always fits. Normalizing can make a
/// name 18 times as long, and several indexes hold its key.
const KEY_MAX: usize = 255;
/// The bytes of a SHA-256 in hexadecimal, and of a "…" before it.
const DIGEST: usize = 64 + '…'.len_utf8();

/// What names are compared, sorted and searched by: the [`canonical`] text. A long one is replaced by its
/// beginning and a digest of the whole, so that it is found by either and still equals only itself.
pub fn key(text: &str) -> String {
    let text = canonical(text);
    if text.len() <= KEY_MAX {
        return text.to_string();
    }
    let beginning = &text[..text.floor_char_boundary(KEY_MAX - DIGEST)];
    let digest = Sha256::digest(text.as_bytes());
    // No canonical text has this character (NFKC makes three dots of it), so no name looks like a key.
    let mut key = format!("{beginning}…");
    key.extend(digest.iter().map(|byte| format!("{byte:02x}")));
    key
}

/// A name, and its key.
fn named(text: &str, max: usize) -> Result<(String, String), String> {
    let text = checked(text, max)?;
    let key = key(text);
    if key.is_empty() {
        return Err(REQUIRED.into());
    }
    Ok((text.to_owned(), key))
}

/// The name of a client (a device, an app, a browser): a user has one token for each. It is displayed as
/// it was typed and compared by its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientName {
    text: String,
    key: String,
}

impl ClientName {
    /// The most characters that a client's name has: as many as a `CharField` of Django's mostly takes.
    pub const MAX: usize = 255;

    /// Takes 1 to 255 characters that [`is_control`] allows, some of them visible. Surrounding white
    /// space is dropped.
    ///
    /// # Errors
    /// What is wrong, as a sentence for the user.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (text, key) = named(text, Self::MAX)?;
        Ok(Self { text, key })
    }

    /// As it was typed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What is compared: see [`key`].
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Whether the character can garble a line of text that it stands in: control characters
/// (General_Category Cc), line and paragraph separators (Zl, Zp), those that turn the writing direction
/// (Bidi_Control, UAX #9), and the last of all, which is no character and marks the end of what begins
/// alike.
pub fn is_control(char: char) -> bool {
    char.is_control()
        || char == char::MAX
        || matches!(char, '\u{2028}' | '\u{2029}')
        || matches!(char, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Takes 1 to `max` characters that [`is_control`] allows. Surrounding white space counts, as it does for the `maxLength` of a JSON Schema, and is dropped.
///
/// # Errors
/// What is wrong, as a sentence for the user.
pub fn checked(text: &str, max: usize) -> Result<&str, String> {
    // Not dropped as white space around the text.
    if text.contains(['\u{2028}', '\u{2029}']) {
        return Err(CONTROL.into());
    }
    let length = text.chars().count();
    let text = text.trim();
    if text.is_empty() {
        Err(REQUIRED.into())
    } else if length > max {
        Err(format!(
            "Ensure this field has no more than {max} characters."
        ))
    } else if text.chars().any(is_control) {
        Err(CONTROL.into())
    } else {
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn usernames_that_look_alike_by_case_or_form_share_a_key() {
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

    #[test]
    fn canonical_is_stable() {
        for text in ["ᾳͅ", "ǰ̣", "K", "ſ", "Å", "㎒", "ΐ", "İ", "ﷺ"] {
            assert_eq!(canonical(&canonical(text)), canonical(text), "{text}");
        }
        // All characters take minutes. These blocks have nearly all that have case, forms or no shape.
        let blocks = [
            '\0'..'\u{2000}',
            '\u{2000}'..'\u{3400}',
            '\u{F900}'..'\u{FFFF}',
        ];
        let beyond = [
            '\u{1D400}'..'\u{1D800}',
            '\u{1E900}'..'\u{1EF00}',
            '\u{E0000}'..'\u{E0200}',
        ];
        for char in blocks.into_iter().chain(beyond).flatten() {
            let once = canonical(&format!("a{char}\u{301}"));
            assert_eq!(fold(&once), once, "{char:?}");
        }
    }

    /// A few of each kind that the Unicode Character Database lists (DerivedCoreProperties.txt).
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
    fn what_shows_nothing_makes_no_other_name_and_no_name_alone() {
        let key = |text: &str| Username::parse(text).map(|name| name.key().to_owned());
        for char in IGNORABLE {
            for text in [format!("alice{char}"), format!("{char}AL{char}ice{char}")] {
                assert_eq!(key(&text), key("alice"), "{text:?}");
            }
            // It does not keep an accent from its letter.
            assert_eq!(key(&format!("re{char}\u{301}mi")), key("rémi"), "{char:?}");
            for text in [format!("{char}"), format!("{char} {char}\u{200B}")] {
                assert_eq!(key(&text), Err(REQUIRED.into()), "{text:?}");
                let client = ClientName::parse(&text);
                assert_eq!(client, Err(REQUIRED.into()), "{text:?}");
            }
        }
        // What was typed is kept.
        let name = Username::parse("ali\u{200B}ce").unwrap();
        assert_eq!(name.as_str(), "ali\u{200B}ce");
    }

    #[test]
    fn a_long_key_is_a_beginning_and_a_digest() {
        let key = |text: &str| ClientName::parse(text).unwrap().key().to_owned();
        // 4,590 characters once normalized, whose first 254 are those of the others, too.
        let long = "ﷺ".repeat(255);
        let others = ["ﷺ".repeat(254), "ﷺ".repeat(254) + "x", "é".repeat(128)];
        for text in others.iter().chain([&long]) {
            let key = key(text);
            assert!(
                (KEY_MAX - 3..=KEY_MAX).contains(&key.len()),
                "{}",
                key.len()
            );
            let (beginning, digest) = key.split_once('…').unwrap();
            assert!(canonical(text).starts_with(beginning) && beginning.len() > 180);
            assert_eq!(digest.len(), 64);
            assert_eq!(*text == long, key == super::key(&long), "{text}");
            // It belongs to no name but this one.
            assert_ne!(super::key(&key), key);
        }
        assert_eq!(key(&"É".repeat(200)), key(&"é".repeat(200)));
        assert_eq!(key(&"A".repeat(255)), "a".repeat(255));
    }

    #[test]
    fn unfit_names_are_refused() {
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

    #[test]
    fn ids_sort_by_the_time_that_they_are_of() {
        let ids = [0, 1, 1_700_000_000_000, 1_700_000_000_001].map(EventId::at);
        assert!(ids.is_sorted());
        assert_ne!(EventId::at(1), EventId::at(1));
        assert!(EventId::at(1_700_000_000_001) < EventId::new());
        let [.., last] = ids.map(|id| id.to_string());
        assert!(EventId::parse(&last).is_some());
        // RFC 9562, section 5.7: 48 bits of milliseconds, then the version.
        assert!(last.starts_with("018bcfe5-6801-7"), "{last}");
        assert!(id_bound(1_700_000_000_001) < last && last < id_bound(1_700_000_000_002));
    }

    #[test]
    fn an_id_has_one_written_form() {
        let id = UserId::new().to_string();
        assert!(UserId::parse(&id).is_some());
        for other in [
            id.to_uppercase(),
            id.replace('-', ""),
            format!("{{{id}}}"),
            String::new(),
        ] {
            assert!(UserId::parse(&other).is_none(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_username_is_compared_by_a_key_that_is_its_own(
            text in prop_oneof![
                any::<String>(), "\\PC{0,40}", "[A-Za-zß-ſǅ-ǳİıſK\u{300}-\u{345}ﬀ-ﬆ]{1,20}",
                "[a-e´\u{301}\u{345}\u{200B}\u{3164}\u{FFA0}\u{AD}\u{1100}\u{1161} ]{1,20}",
            ],
        ) {
            let once = canonical(&text);
            prop_assert_eq!(canonical(&once), once.clone(), "it is stable");
            if let Ok(name) = Username::parse(&text) {
                prop_assert_eq!(name.as_str(), text.trim());
                prop_assert!((1..=KEY_MAX).contains(&name.key().len()));
                prop_assert!(!name.as_str().chars().any(is_control));
                prop_assert!(!name.key().chars().any(is_control));
                // Signing in by what is stored, or by its canonical form, finds the same user.
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

//! Names and ids as types: who holds one holds a checked value.

use std::fmt;

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use rocket::http::impl_from_uri_param_identity;
use rocket::http::uri::fmt::{Formatter, Path, UriDisplay};
use rocket::request::FromParam;
use uuid::{Builder, Uuid};

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

/// A username: as it was typed, and the key that it is compared by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username {
    text: String,
    key: String,
}

impl Username {
    /// The most characters that a username has: as many as Django's `User` takes.
    pub const MAX: usize = 150;

    /// Takes 1 to 150 characters without control or bidi-control characters; white space around
    /// them is dropped.
    ///
    /// # Errors
    /// What is wrong, as a sentence for the user.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = checked(text, Self::MAX)?;
        // Normalising can make a text several times as long, and an index entry has its limits.
        let key = checked(&canonical(text), Self::MAX)?.to_owned();
        Ok(Self {
            text: text.to_owned(),
            key,
        })
    }

    /// As it was typed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What is compared: equal for names that differ only in case or in compatibility forms.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// NFKC and case folding, so that `Straße`, `STRASSE` and `ｓｔｒａｓｓｅ` are one name.
///
/// Folding can undo a normal form and normalising can bring back capitals, so each is done twice:
/// this is the Unicode Standard's compatibility caseless match (definition D146), composed.
pub fn canonical(text: &str) -> String {
    let nfd = DecomposingNormalizerBorrowed::new_nfd();
    let nfkc = ComposingNormalizerBorrowed::new_nfkc();
    let case = CaseMapper::new();
    let once = nfkc
        .normalize(&case.fold_string(&nfd.normalize(text)))
        .into_owned();
    // An accent that stands alone becomes one on a space.
    let twice = nfkc.normalize(&case.fold_string(&once)).into_owned();
    twice.trim().to_owned()
}

/// The name of a client (a device, an app, a browser): a user has one token for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientName(String);

impl ClientName {
    /// The most characters that a client's name has: as many as a `CharField` of Django's mostly takes.
    pub const MAX: usize = 255;

    /// Takes 1 to 255 characters without control or bidi-control characters; white space around
    /// them is dropped.
    ///
    /// # Errors
    /// What is wrong, as a sentence for the user.
    pub fn parse(text: &str) -> Result<Self, String> {
        checked(text, Self::MAX).map(|text| Self(text.to_owned()))
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it is searched by: equal for names that differ only in case or in compatibility forms.
    /// To be told apart they need only be spelt differently.
    pub fn key(&self) -> String {
        canonical(&self.0)
    }
}

/// Whether the character can garble a line of text that it stands in: control characters
/// (General_Category Cc), those that turn the writing direction (Bidi_Control, UAX #9), and the last of
/// all, which is no character and marks the end of what begins alike.
pub fn is_control(char: char) -> bool {
    char.is_control()
        || char == char::MAX
        || matches!(char, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Takes 1 to `max` characters without control or bidi-control characters; white space around them
/// counts, as it does for the `maxLength` of a JSON Schema, and is dropped.
///
/// # Errors
/// What is wrong, as a sentence for the user.
pub fn checked(text: &str, max: usize) -> Result<&str, String> {
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
        assert_eq!(Username::parse(" Alice ").unwrap().as_str(), "Alice");
    }

    #[test]
    fn canonical_is_stable() {
        for text in ["ᾳͅ", "ǰ̣", "K", "ſ", "Å", "㎒", "ΐ", "İ", "ﷺ"] {
            assert_eq!(canonical(&canonical(text)), canonical(text), "{text}");
        }
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
            &"x".repeat(151),
        ] {
            assert!(Username::parse(text).is_err(), "{text:?}");
        }
        assert!(
            Username::parse(&"ﷺ".repeat(150)).is_err(),
            "2,700 characters once normalised"
        );
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
            text in prop_oneof![any::<String>(), "\\PC{0,40}", "[A-Za-zß-ſǅ-ǳİıſK\u{300}-\u{345}ﬀ-ﬆ]{1,20}"],
        ) {
            let once = canonical(&text);
            prop_assert_eq!(canonical(&once), once.clone(), "it is stable");
            if let Ok(name) = Username::parse(&text) {
                prop_assert_eq!(name.as_str(), text.trim());
                prop_assert!((1..=Username::MAX).contains(&name.key().chars().count()));
                prop_assert!(!name.as_str().chars().any(is_control));
                prop_assert!(!name.key().chars().any(is_control));
                // Signing in by what is stored, or by its key, finds the same user.
                for form in [name.as_str(), name.key()] {
                    let again = Username::parse(form);
                    prop_assert_eq!(again.as_ref().map(Username::key), Ok(name.key()));
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

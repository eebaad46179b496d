//! Typed row ids.

#[doc(hidden)]
pub use uuid;

/// Declares a UUIDv7 type for the rows of a table: `id! { /// The id of a bookmark. BookmarkId }`. It works as a path
/// segment, in JSON, and as text in the database.
#[macro_export]
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($crate::identity::uuid::Uuid);

        impl $name {
            /// A new id, greater than all ids that this process created before (UUIDv7, RFC 9562).
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self {
                Self($crate::identity::uuid::Uuid::now_v7())
            }

            /// A new id as of a time in Unix milliseconds.
            pub fn at(milliseconds: i64) -> Self {
                let time = u64::try_from(milliseconds).unwrap_or_default();
                let id = $crate::identity::uuid::Builder::from_unix_timestamp_millis(time, &$crate::identity::random());
                Self(id.into_uuid())
            }

            /// The last byte, which is random.
            pub fn last_byte(self) -> u8 {
                self.0.as_bytes()[15]
            }

            /// Parses the hyphenated lower-case form. Other forms are refused.
            pub fn parse(text: &str) -> Option<Self> {
                let id = $crate::identity::uuid::Uuid::try_parse(text).ok()?;
                (id.hyphenated().to_string() == text).then_some(Self(id))
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut text = $crate::identity::uuid::Uuid::encode_buffer();
                serializer.serialize_str(self.0.hyphenated().encode_lower(&mut text))
            }
        }

        impl TryFrom<String> for $name {
            type Error = &'static str;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::parse(&text).ok_or("not an id")
            }
        }

        impl<'a> ::rocket::request::FromParam<'a> for $name {
            type Error = $crate::error::Error;

            fn from_param(text: &'a str) -> Result<Self, Self::Error> {
                Self::parse(text).ok_or($crate::error::Error::NotFound)
            }
        }

        impl ::rocket::http::uri::fmt::UriDisplay<::rocket::http::uri::fmt::Path> for $name {
            fn fmt(&self, f: &mut ::rocket::http::uri::fmt::Formatter<'_, ::rocket::http::uri::fmt::Path>) -> ::std::fmt::Result {
                f.write_value(self.to_string())
            }
        }

        ::rocket::http::impl_from_uri_param_identity!([::rocket::http::uri::fmt::Path] $name);
    };
}

id! {
    /// The id of a user.
    UserId
}
id! {
    /// The id of a token. A token that replaces another has a new id.
    TokenId
}
id! {
    /// The id of an audit event.
    EventId
}
id! {
    /// The id of a one-time link.
    LinkId
}
id! {
    /// The id of a mail.
    MailId
}

#[doc(hidden)]
pub fn random() -> [u8; 10] {
    rand::random()
}

/// A text that sorts before every id created at this time (Unix milliseconds) or later, and after every earlier one.
pub fn id_bound(milliseconds: i64) -> String {
    let hex = format!("{:012x}", milliseconds.clamp(0, (1 << 48) - 1));
    // The first 48 bits of a UUIDv7 are its time (RFC 9562, section 5.7).
    format!("{}-{}", &hex[..8], &hex[8..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_their_time() {
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
    fn an_id_has_one_canonical_form() {
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
}

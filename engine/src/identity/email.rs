//! E-mail addresses.

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use super::text::validate_line;

/// An email address as typed, with the key for comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailAddress {
    text: String,
    key: String,
}

const INVALID: &str = "Enter a valid email address.";

impl EmailAddress {
    /// The maximum length in characters (RFC 5321, 4.5.3.1.3, without `<` and `>`).
    pub const MAX: usize = 254;
    /// The maximum length of the local part (RFC 5321, 4.5.3.1.1).
    const MAX_LOCAL: usize = 64;

    /// Accepts what `<input type=email>` accepts (HTML standard, "valid email address"), and domains in any script.
    /// Drops surrounding white space.
    ///
    /// # Errors
    /// A message for the user.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = validate_line(text, Self::MAX)?;
        let (local, domain) = text.rsplit_once('@').ok_or(INVALID)?;
        let is_local = |c: char| c.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c);
        if !(1..=Self::MAX_LOCAL).contains(&local.len()) || !local.chars().all(is_local) {
            return Err(INVALID.into());
        }
        let domain = ascii(domain).ok_or(INVALID)?;
        let key = format!("{local}@{domain}");
        if key.len() > Self::MAX {
            return Err(INVALID.into());
        }
        Ok(Self {
            text: text.to_owned(),
            key,
        })
    }

    /// The address as typed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The form for comparison and sending, with the domain in lower-case ASCII. The local part is unchanged, because
    /// only the mail server knows whether its case counts (RFC 5321, 2.4).
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Converts a domain to the ASCII form of the DNS (UTS #46).
fn ascii(domain: &str) -> Option<String> {
    let domain = Uts46::new()
        .to_ascii(
            domain.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::CheckFirstLast,
            DnsLength::Verify,
        )
        .ok()?;
    Some(domain.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_browsers_accept_are_accepted() {
        let long = "a".repeat(64);
        for text in [
            "alice@example.com",
            " alice@example.com ",
            "alice+news@mail.example.co.uk",
            "a.b.'c'/d=e@example",
            "..@example.com",
            &format!("{long}@example.com"),
        ] {
            let address = EmailAddress::parse(text).unwrap();
            assert_eq!(address.as_str(), text.trim(), "{text}");
            assert_eq!(address.key(), text.trim(), "{text}");
        }
    }

    #[test]
    fn invalid_addresses_and_header_injections_are_refused() {
        let long = "a".repeat(65);
        for text in [
            "",
            "alice",
            "@example.com",
            "alice@",
            "alice@@example.com",
            "alice@-example.com",
            "alice@example-.com",
            "alice@.example.com",
            "alice@example..com",
            "alice@example.com.",
            "alice@exam_ple.com",
            "alice@example.com\r\nBcc: bob@example.com",
            "alice\n@example.com",
            "Alice <alice@example.com>",
            "\"alice\"@example.com",
            "älice@example.com",
            "alice@[127.0.0.1]",
            "alice@example.com, bob@example.com",
            "alice@exam\u{202e}ple.com",
            "alice@xn--a.com",
            &format!("{long}@example.com"),
            &format!("alice@{long}.com"),
            &format!("alice@{}com", "a.".repeat(150)),
        ] {
            assert!(EmailAddress::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn domains_match_in_any_spelling_but_local_parts_byte_for_byte() {
        let key = |text| EmailAddress::parse(text).unwrap().key().to_owned();
        assert_eq!(key("alice@EXAMPLE.com"), "alice@example.com");
        assert_eq!(key("alice@Bücher.example"), "alice@xn--bcher-kva.example");
        assert_eq!(
            key("alice@xn--bcher-kva.example"),
            key("alice@bücher.example")
        );
        assert_ne!(key("Alice@example.com"), key("alice@example.com"));
    }
}

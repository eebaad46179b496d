//! Mail settings: the server and the sender.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use lettre::message::Mailbox;
use serde::{Deserialize, Deserializer, de};
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::identity::email::EmailAddress;

/// The setting `mail_url`: `smtp://user:password@host:587`, `smtps://…` or `file:FOLDER`.
#[derive(Clone)]
pub enum MailUrl {
    /// A mail server.
    Smtp(SmtpServer),
    /// A folder that gets one `.eml` file per mail.
    Folder(PathBuf),
}

/// A mail server.
#[derive(Clone)]
pub struct SmtpServer {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) encryption: SmtpEncryption,
    pub(crate) credentials: Option<(String, Zeroizing<String>)>,
}

/// How the connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SmtpEncryption {
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// Required STARTTLS (RFC 3207).
    StartTls,
    /// No encryption, because the server is on this machine.
    Loopback,
}

impl fmt::Display for SmtpEncryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "TLS",
            Self::StartTls => "STARTTLS",
            Self::Loopback => "unencrypted",
        })
    }
}

const INVALID: &str = "this is not a mail server URL; use smtp://user:password@host:587, \
    smtps://user:password@host or file:FOLDER";

impl MailUrl {
    fn parse(text: &str) -> Option<Self> {
        if let Some(folder) = text.strip_prefix("file:") {
            return (!folder.is_empty()).then(|| Self::Folder(folder.into()));
        }
        let url = Url::parse(text).ok()?;
        let is_bare =
            matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str().filter(|host| is_bare && !host.is_empty())?;
        let (encryption, port) = match url.scheme() {
            "smtps" => (SmtpEncryption::Tls, 465),
            "smtp" if is_loopback(host) => (SmtpEncryption::Loopback, 25),
            "smtp" => (SmtpEncryption::StartTls, 587),
            _ => return None,
        };
        let decoded = |text: &str| {
            let text = percent_encoding::percent_decode_str(text).decode_utf8();
            text.ok().map(|text| Zeroizing::new(text.into_owned()))
        };
        let credentials = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => Some((
                decoded(user)?.to_string(),
                decoded(password.unwrap_or_default())?,
            )),
        };
        Some(Self::Smtp(SmtpServer {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(port),
            encryption,
            credentials,
        }))
    }
}

/// The URL parser does not parse the hosts of unknown schemes.
fn is_loopback(host: &str) -> bool {
    match Host::parse(host) {
        Ok(Host::Domain(name)) => name == "localhost",
        Ok(Host::Ipv4(address)) => address.is_loopback(),
        Ok(Host::Ipv6(address)) => address.is_loopback(),
        Err(_) => false,
    }
}

impl<'de> Deserialize<'de> for MailUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        // The message does not repeat the URL, which holds a password.
        Self::parse(&text).ok_or_else(|| de::Error::custom(INVALID))
    }
}

/// Omits the credentials.
impl fmt::Debug for MailUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Smtp(server) => {
                write!(f, "{}:{} ({})", server.host, server.port, server.encryption)
            }
            Self::Folder(folder) => write!(f, "{}", folder.display()),
        }
    }
}

/// The setting `mail_from`: `app@example.com` or `Acme Portal <app@example.com>`.
#[derive(Debug, Clone)]
pub struct Sender(pub(crate) Mailbox);

impl Sender {
    fn parse(text: &str) -> Option<Self> {
        let mut sender = Mailbox::from_str(text).ok()?;
        if sender
            .name
            .iter()
            .any(|name| name.contains(char::is_control))
        {
            return None;
        }
        // In ASCII, for mail servers without SMTPUTF8.
        let address = EmailAddress::parse(sender.email.as_ref()).ok()?;
        sender.email = address.key().parse().ok()?;
        Some(Self(sender))
    }
}

impl<'de> Deserialize<'de> for Sender {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let sender = Self::parse(&text);
        sender.ok_or_else(|| {
            de::Error::custom(
                "this is not a sender; use app@example.com or \"Name <app@example.com>\"",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smtp(text: &str) -> (String, u16, SmtpEncryption, Option<(String, String)>) {
        match MailUrl::parse(text) {
            Some(MailUrl::Smtp(server)) => (
                server.host,
                server.port,
                server.encryption,
                server
                    .credentials
                    .map(|(user, password)| (user, password.to_string())),
            ),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn the_connection_is_encrypted_unless_the_server_is_on_this_machine() {
        assert_eq!(
            smtp("smtp://app%40example.com:p%2Fw@mail.example.com:2525"),
            (
                "mail.example.com".into(),
                2525,
                SmtpEncryption::StartTls,
                Some(("app@example.com".into(), "p/w".into()))
            )
        );
        for (text, port, encryption) in [
            ("smtp://mail.example.com", 587, SmtpEncryption::StartTls),
            ("smtps://mail.example.com/", 465, SmtpEncryption::Tls),
            ("smtp://localhost", 25, SmtpEncryption::Loopback),
            ("smtp://127.0.0.1:1025", 1025, SmtpEncryption::Loopback),
            ("smtp://[::1]:1025", 1025, SmtpEncryption::Loopback),
            ("smtps://127.0.0.1", 465, SmtpEncryption::Tls),
            ("smtp://10.0.0.1", 587, SmtpEncryption::StartTls),
            (
                "smtp://127.0.0.1.example.com",
                587,
                SmtpEncryption::StartTls,
            ),
        ] {
            let (_, its_port, its_security, _) = smtp(text);
            assert_eq!((its_port, its_security), (port, encryption), "{text}");
        }
    }

    #[test]
    fn an_invalid_mail_url_is_refused_and_not_repeated() {
        for text in [
            "",
            "mail.example.com",
            "http://mail.example.com",
            "smtp://",
            "smtp://:canary@",
            "smtp://u:canary@mail.example.com/path",
            "smtp://u:canary@mail.example.com?tls=none",
            "smtp://u:canary@mail.example.com:many",
            "file:",
        ] {
            let value = serde_json::Value::from(text);
            let error = serde_json::from_value::<MailUrl>(value).unwrap_err();
            assert!(!error.to_string().contains("canary"), "{error}");
        }
        let shown = format!("{:?}", MailUrl::parse("smtp://u:canary@mail.example.com"));
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn a_sender_has_an_ascii_address_and_a_single_line_name() {
        for (text, sender) in [
            ("app@example.com", "app@example.com"),
            ("Acme <app@example.com>", "Acme <app@example.com>"),
            (
                "Bücher <app@bücher.example>",
                "Bücher <app@xn--bcher-kva.example>",
            ),
        ] {
            let Some(Sender(parsed)) = Sender::parse(text) else {
                panic!("{text}");
            };
            let Mailbox { name, email } = parsed;
            let name = name.map(|name| format!("{name} <{email}>"));
            assert_eq!(name.unwrap_or(email.to_string()), sender);
        }
        for text in [
            "",
            "app",
            "Acme",
            "bücher@example.com",
            "a@example.com, b@example.com",
            "Acme\r\nBcc: x@example.com <app@example.com>",
        ] {
            assert!(Sender::parse(text).is_none(), "{text:?}");
        }
    }
}

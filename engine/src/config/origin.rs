//! Web origins in settings.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use url::{Host, Url};

/// An origin: scheme, host and port of an http or https URL.
#[derive(Debug, Clone)]
pub struct WebOrigin(Url);

impl<'de> Deserialize<'de> for WebOrigin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Url::parse(&text)
            .ok()
            .filter(|url| {
                matches!(url.scheme(), "http" | "https")
                    && url.path() == "/"
                    && url.query().is_none()
                    && url.fragment().is_none()
                    && url.username().is_empty()
                    && url.password().is_none()
            })
            .map(Self)
            // The message does not repeat the URL, which may hold a password.
            .ok_or_else(|| {
                de::Error::custom(
                    "this is not an origin; use a URL without a path, such as https://app.example.com",
                )
            })
    }
}

impl WebOrigin {
    /// Whether the scheme is https.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The port, unless it is the scheme's default.
    pub(crate) fn port(&self) -> Option<u16> {
        self.0.port()
    }

    /// Whether the host is the browser's own machine.
    pub(crate) fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }
}

impl fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

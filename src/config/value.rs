//! What a setting's value may be, beyond numbers and texts.

use std::fmt;
use std::net::{AddrParseError, IpAddr};
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};
use url::{Host, Url};

/// How long something lives: a number with a unit (`90d`, `30m`, `2h 30m`), or `never` ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime(Option<Duration>);

impl Lifetime {
    /// A life of that many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Some(Duration::from_secs(seconds)))
    }

    /// When what begins at `start` ends, both in unix seconds; none if never.
    pub fn end_after(self, start: i64) -> Option<i64> {
        let seconds = i64::try_from(self.0?.as_secs()).unwrap_or(i64::MAX);
        Some(start.saturating_add(seconds))
    }

    /// The length itself; none if it never ends.
    pub fn length(self) -> Option<Duration> {
        self.0
    }
}

const SHORTEST: Duration = Duration::from_secs(1);
/// 1000 years of 365.25 days: later times have no place in a calendar of four digits.
const LONGEST: Duration = Duration::from_hours(1000 * 8_766);

impl<'de> Deserialize<'de> for Lifetime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "never" {
            return Ok(Self(None));
        }
        match humantime::parse_duration(&text) {
            Ok(life) if (SHORTEST..=LONGEST).contains(&life) => Ok(Self(Some(life))),
            _ => Err(de::Error::custom(format!(
                "\"{text}\" is no length of time from a second to 1000 years; write 90d, 12h, 30m or never"
            ))),
        }
    }
}

/// A network: `10.0.0.0/8`, `fd00::/8`, or a single address.
#[derive(Debug, Clone, Copy)]
pub struct Network(IpNet);

impl Network {
    /// Whether the address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// Whether it is wider than any network that one operator has: than `10.0.0.0/8` or, for IPv6,
    /// `fc00::/7`, which are the widest of private ones.
    pub fn is_vast(&self) -> bool {
        match self.0 {
            IpNet::V4(network) => network.prefix_len() < 8,
            IpNet::V6(network) => network.prefix_len() < 7,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Network {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
            .map(Self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| {
            de::Error::custom(format!(
                "\"{text}\" is no network; write 10.0.0.0/8, fd00::/8 or one address"
            ))
        })
    }
}

/// An origin: scheme, host and port of a http or https URL.
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
            // Without repeating it: a password may stand in it.
            .ok_or_else(|| {
                de::Error::custom(
                    "this is no origin; write https://app.example.com, without a path",
                )
            })
    }
}

impl WebOrigin {
    /// Whether it is reached by https.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Its port, unless that is the scheme's own.
    pub fn port(&self) -> Option<u16> {
        self.0.port()
    }

    /// Whether it is whatever listens on the machine that the browser runs on.
    pub fn is_loopback(&self) -> bool {
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

//! What a setting's value may be, beyond numbers and texts.

use std::fmt;
use std::net::{AddrParseError, IpAddr};
use std::str::FromStr;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
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
            .map(|network| Self(canonical(network)))
    }
}

/// An IPv4-mapped network as the IPv4 network that it stands for: the addresses that are compared with it are
/// canonical, too.
fn canonical(network: IpNet) -> IpNet {
    const MAPPED: u8 = 96;
    let IpNet::V6(mapped) = network else {
        return network;
    };
    let length = mapped.prefix_len().checked_sub(MAPPED);
    let address = mapped.addr().to_ipv4_mapped();
    let (Some(length), Some(address)) = (length, address) else {
        return network;
    };
    Ipv4Net::new(address, length).map_or(network, IpNet::V4)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_mapped_network_is_an_ipv4_network() {
        for (network, inside, outside) in [
            ("::ffff:127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("::ffff:10.0.0.0/104", "10.255.0.1", "11.0.0.1"),
            ("::ffff:c0a8:0/112", "192.168.255.1", "192.169.0.1"),
            ("2001:db8::/32", "2001:db8::1", "2001:db9::1"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network}");
            assert!(!network.contains(outside.parse().unwrap()), "{network}");
        }
        assert!("::ffff:0:0/96".parse::<Network>().unwrap().is_vast());
    }
}

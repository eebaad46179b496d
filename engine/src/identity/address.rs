//! IP addresses and networks, with keys that sort numerically.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// An IP address. IPv4-mapped addresses (`::ffff:192.0.2.1`) become IPv4 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address(IpAddr);

impl Address {
    /// The stored form: `4` or `6` and the address in hexadecimal. It sorts numerically, so a network is a range of
    /// keys.
    pub fn key(self) -> String {
        match self.0 {
            IpAddr::V4(address) => format!("4{:08x}", address.to_bits()),
            IpAddr::V6(address) => format!("6{:032x}", address.to_bits()),
        }
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        Self(address.to_canonical())
    }
}

/// Parses a key.
impl TryFrom<String> for Address {
    type Error = &'static str;

    fn try_from(key: String) -> Result<Self, Self::Error> {
        let address = match (key.get(..1), key.get(1..)) {
            (Some("4"), Some(digits)) => {
                let bits = u32::from_str_radix(digits, 16).ok();
                bits.map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)))
            }
            (Some("6"), Some(digits)) => {
                let bits = u128::from_str_radix(digits, 16).ok();
                bits.map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)))
            }
            _ => None,
        };
        address.map(Self).ok_or("not an address")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An IP network or a single address, as a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// Parses an address or a network (`192.0.2.0/24`, `2001:db8::/32`) in any spelling. Host bits are ignored.
    /// Networks inside `::ffff:0:0/96` become IPv4 networks.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let parse_address = |text: &str| {
            let text = text
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
                .unwrap_or(text);
            text.parse::<IpAddr>().ok()
        };
        let Some((address, length)) = text.split_once('/') else {
            return parse_address(text).map(|address| Self(address.to_canonical().into()));
        };
        let digits = (1..=3).contains(&length.len()) && length.bytes().all(|b| b.is_ascii_digit());
        let (address, length) = (
            parse_address(address)?,
            length.parse::<u8>().ok().filter(|_| digits)?,
        );
        let (address, length) = match address.to_canonical() {
            IpAddr::V4(inner) if address.is_ipv6() && length >= 96 => (inner.into(), length - 96),
            // The network contains more than the IPv4-mapped addresses.
            IpAddr::V4(_) if address.is_ipv6() => (address, length),
            canonical => (canonical, length),
        };
        Some(Self(IpNet::new(address, length).ok()?.trunc()))
    }

    /// The keys of the first and the last address.
    pub fn keys(self) -> [String; 2] {
        // Not canonical, because the ends of `::/0` must stay IPv6 addresses.
        [self.0.network(), self.0.broadcast()].map(|end| Address(end).key())
    }

    /// The address, if the network is a single one.
    pub fn single(self) -> Option<Address> {
        (self.0.prefix_len() == self.0.max_prefix_len()).then(|| Address(self.0.addr()))
    }

    /// The /24 (IPv4) or /64 (IPv6) network of an address, which one customer usually has.
    pub fn containing(address: Address) -> Option<Self> {
        let length = if address.0.is_ipv4() { 24 } else { 64 };
        Some(Self(IpNet::new(address.0, length).ok()?.trunc()))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.single() {
            Some(address) => address.fmt(f),
            None => self.0.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> String {
        Address::from(text.parse::<IpAddr>().unwrap()).key()
    }

    #[test]
    fn keys_sort_like_addresses_and_parse_back() {
        let sorted = [
            "0.0.0.0",
            "9.255.0.1",
            "10.0.0.2",
            "192.0.2.4",
            "192.0.2.40",
            "255.255.255.255",
            "::1",
            "2001:db8::1",
            "2001:db8::a:0",
            "fe80::1",
        ];
        let keys = sorted.map(key);
        assert!(keys.is_sorted());
        for (text, key) in sorted.iter().zip(keys) {
            assert_eq!(Address::try_from(key).unwrap().to_string(), *text);
        }
        assert_eq!(key("::ffff:192.0.2.4"), key("192.0.2.4"));
        for text in ["", "4", "4zz", "7c0000204", "é"] {
            assert!(Address::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_network_is_a_range_of_keys_in_any_spelling() {
        for (text, shown, inside, outside) in [
            ("192.0.2.4", "192.0.2.4", "192.0.2.4", "192.0.2.40"),
            (" 192.0.2.4/32 ", "192.0.2.4", "192.0.2.4", "192.0.2.5"),
            ("192.0.2.77/24", "192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("::ffff:192.0.2.4", "192.0.2.4", "192.0.2.4", "192.0.2.5"),
            (
                "::FFFF:192.0.2.4/120",
                "192.0.2.0/24",
                "192.0.2.0",
                "192.0.1.255",
            ),
            (
                "2001:DB8:0::1/32",
                "2001:db8::/32",
                "2001:db8:ffff::",
                "2001:db9::",
            ),
            ("[2001:db8::1]", "2001:db8::1", "2001:db8::1", "2001:db8::2"),
            ("::/0", "::/0", "fe80::1", "192.0.2.1"),
            ("0.0.0.0/0", "0.0.0.0/0", "255.255.255.255", "::1"),
        ] {
            let network = Network::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(network.to_string(), shown);
            let [first, last] = network.keys();
            let contains =
                |text: &str| (first.as_str()..=last.as_str()).contains(&key(text).as_str());
            assert!(contains(inside) && !contains(outside), "{text}");
        }
        for text in [
            "",
            "192.0.2",
            "192.0.2.0/33",
            "192.0.2.0/+4",
            "192.0.2.0/",
            "x/8",
            "::1/129",
            "1.2.3.4.5",
        ] {
            assert!(Network::parse(text).is_none(), "{text}");
        }
    }
}

//! Who is asking: the network address and what the client says of itself.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use rocket::request::{FromRequest, Outcome, Request};

use super::request_id;
use crate::config::{Network, Settings};
use crate::identity::is_control;

/// The other end of a request, signed in or not. Add this parameter to a handler that passes it on
/// to `auth`; it never fails.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The client's address. `X-Forwarded-For` counts only as far as `trusted_proxies` wrote it.
    pub address: Option<IpAddr>,
    /// `User-Agent`, at most 255 characters of it, without control characters.
    pub user_agent: Option<String>,
    /// Names this request in the log, in the answer and in the audit trail.
    pub request_id: String,
}

/// The peers whose `X-Forwarded-For` was not believed and that the log names. Strangers may send that header,
/// too, so there are several, and not any number.
static REPORTED: Mutex<Vec<IpAddr>> = Mutex::new(vec![]);
const MOST_REPORTED: usize = 16;

impl Caller {
    /// The network that the caller counts as: an IPv4 address, or the /64 network of an IPv6 one,
    /// which is what one customer is given at least (RFC 6177).
    pub fn network(&self) -> String {
        match self.address {
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => network_of(address, 64),
            None => "unknown".into(),
        }
    }

    /// The network of so many bits that a caller by IPv6 is in; none for others.
    pub fn wider_network(&self, bits: u32) -> Option<String> {
        match self.address {
            Some(IpAddr::V6(address)) => Some(network_of(address, bits)),
            _ => None,
        }
    }

    /// The caller of `request`.
    pub fn of(request: &Request<'_>) -> Self {
        Self {
            address: address_of(request),
            user_agent: request.headers().get_one("User-Agent").map(readable),
            request_id: request_id::of(request).to_owned(),
        }
    }
}

fn network_of(address: Ipv6Addr, bits: u32) -> String {
    let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
    format!("{}/{bits}", Ipv6Addr::from_bits(address.to_bits() & mask))
}

/// Whether a trusted proxy sent `request`.
pub fn comes_from_proxy(request: &Request<'_>) -> bool {
    let peer = request.remote().map(|peer| peer.ip().to_canonical());
    peer.is_some_and(|peer| {
        trusted(request)
            .iter()
            .any(|network| network.contains(peer))
    })
}

fn trusted<'r>(request: &'r Request<'_>) -> &'r [Network] {
    let settings = request.rocket().state::<Settings>();
    settings.map_or(&[], |settings| &settings.trusted_proxies)
}

/// The address that `request` comes from, as far as it can be known.
pub fn address_of(request: &Request<'_>) -> Option<IpAddr> {
    struct Address(Option<IpAddr>);
    let address = request.local_cache(|| {
        let trusted = trusted(request);
        let forwarded: Vec<&str> = request.headers().get("X-Forwarded-For").collect();
        let peer = request.remote().map(|peer| peer.ip().to_canonical());
        if !forwarded.is_empty()
            && let Some(peer) = peer
            && !trusted.iter().any(|network| network.contains(peer))
        {
            report(peer);
        }
        Address(peer.map(|peer| client_address(peer, &forwarded, trusted)))
    });
    address.0
}

/// Tells the operator of a proxy that is not listed, once.
fn report(peer: IpAddr) {
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    if reported.len() < MOST_REPORTED && !reported.contains(&peer) {
        reported.push(peer);
        tracing::warn!(
            %peer,
            "a request came with X-Forwarded-For from an address that app.trusted_proxies does not name; if it \
             is a proxy in front, name it there, or all its clients count as one"
        );
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Caller {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        Outcome::Success(Self::of(request))
    }
}

/// Each proxy appends the address that it was called from. Read from the end, the first address
/// that is not a trusted proxy's is the last that a trusted one vouches for; what stands before it
/// is whatever the client wrote.
fn client_address(peer: IpAddr, forwarded: &[&str], trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut address = peer.to_canonical();
    let hops = forwarded.iter().rev().flat_map(|header| header.rsplit(','));
    for hop in hops {
        if !is_trusted(address) {
            break;
        }
        match parse_address(hop.trim()) {
            Some(before) => address = before,
            None => break,
        }
    }
    address
}

fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let address = bare
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|a| a.ip()));
    address.ok().map(|address| address.to_canonical())
}

fn readable(text: &str) -> String {
    text.chars()
        .filter(|&char| !is_control(char))
        .take(255)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwarded_addresses_count_as_far_as_trusted_proxies_wrote_them() {
        let trusted: Vec<Network> = ["10.0.0.0/8", "fd00::/8"]
            .iter()
            .map(|n| n.parse().unwrap())
            .collect();
        let from = |peer: &str, forwarded: &[&str]| {
            client_address(peer.parse().unwrap(), forwarded, &trusted).to_string()
        };
        // A stranger's word is not believed, a proxy's is.
        assert_eq!(from("203.0.113.9", &["1.1.1.1"]), "203.0.113.9");
        assert_eq!(from("10.0.0.1", &["203.0.113.7"]), "203.0.113.7");
        assert_eq!(
            from("10.0.0.1", &["9.9.9.9, 203.0.113.7, 10.0.0.2"]),
            "203.0.113.7"
        );
        assert_eq!(from("10.0.0.1", &["9.9.9.9", "203.0.113.7"]), "203.0.113.7");
        assert_eq!(from("10.0.0.1", &["9.9.9.9, nonsense"]), "10.0.0.1");
        assert_eq!(from("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(from("fd00::1", &["[2001:db8::5]:4711"]), "2001:db8::5");
        assert_eq!(from("::ffff:10.0.0.1", &["203.0.113.7:80"]), "203.0.113.7");
    }

    #[test]
    fn ipv6_has_wider_networks() {
        let caller = |address: &str| Caller {
            address: Some(address.parse().unwrap()),
            user_agent: None,
            request_id: String::new(),
        };
        let network = |address, bits| caller(address).wider_network(bits).unwrap();
        assert_eq!(network("2001:db8:1:23ff::9", 56), "2001:db8:1:2300::/56");
        assert_eq!(network("2001:db8:1:ffff::9", 48), "2001:db8:1::/48");
        assert_eq!(caller("203.0.113.9").wider_network(48), None);
    }

    #[test]
    fn a_network_is_an_ipv4_address_or_half_an_ipv6_one() {
        let network = |address: &str| {
            let caller = Caller {
                address: Some(address.parse().unwrap()),
                user_agent: None,
                request_id: String::new(),
            };
            caller.network()
        };
        assert_eq!(network("203.0.113.9"), "203.0.113.9");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
    }

    #[test]
    fn user_agents_are_cut_and_cleaned() {
        assert_eq!(readable("curl/8\u{1b}[31m\u{202e}x"), "curl/8[31mx");
        assert_eq!(readable(&"é".repeat(300)).chars().count(), 255);
    }
}

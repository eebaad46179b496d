//! The caller of a request: its network address, its `User-Agent` and the request id.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};

use rocket::request::{FromRequest, Outcome, Request};

use super::{proxies, request_id};
use crate::identity::is_control;

/// The caller of a request, signed in or not. Add this parameter to a handler that passes it on to `auth`. It never
/// fails.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The client's address. `X-Forwarded-For` counts only as far as `trusted_proxies` wrote it.
    pub address: Option<IpAddr>,
    /// The first 255 characters of `User-Agent`, without control characters.
    pub user_agent: Option<String>,
    /// Identifies this request in the log, the response and the audit log.
    pub request_id: String,
}

impl Caller {
    /// The network whose attempts the throttle counts together: an IPv4 address, or the /64 network of an IPv6 address,
    /// which is the least that one customer is given (RFC 6177). Callers without an address share one.
    pub(crate) fn network(&self) -> String {
        match self.address {
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => network_of(address, 64),
            None => "unknown".into(),
        }
    }

    /// The IPv6 network of the caller with a prefix of `bits`. None for IPv4.
    pub(crate) fn wider_network(&self, bits: u32) -> Option<String> {
        match self.address {
            Some(IpAddr::V6(address)) => Some(network_of(address, bits)),
            _ => None,
        }
    }

    /// The caller of `request`.
    pub fn of(request: &Request<'_>) -> Self {
        Self {
            address: proxies::client_address(request),
            user_agent: request.headers().get_one("User-Agent").map(sanitized),
            request_id: request_id::of(request).to_owned(),
        }
    }
}

fn network_of(address: Ipv6Addr, bits: u32) -> String {
    let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
    format!("{}/{bits}", Ipv6Addr::from_bits(address.to_bits() & mask))
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Caller {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        Outcome::Success(Self::of(request))
    }
}

fn sanitized(text: &str) -> String {
    text.chars()
        .filter(|&char| !is_control(char))
        .take(255)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(address: &str) -> Caller {
        Caller {
            address: Some(address.parse().unwrap()),
            user_agent: None,
            request_id: String::new(),
        }
    }

    #[test]
    fn ipv6_has_wider_networks() {
        let network = |address, bits| caller(address).wider_network(bits).unwrap();
        assert_eq!(network("2001:db8:1:23ff::9", 56), "2001:db8:1:2300::/56");
        assert_eq!(network("2001:db8:1:ffff::9", 48), "2001:db8:1::/48");
        assert_eq!(caller("203.0.113.9").wider_network(48), None);
    }

    #[test]
    fn a_network_is_an_ipv4_address_or_half_an_ipv6_one() {
        let network = |address| caller(address).network();
        assert_eq!(network("203.0.113.9"), "203.0.113.9");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff::"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
    }

    #[test]
    fn user_agents_are_truncated_and_cleaned() {
        assert_eq!(sanitized("curl/8\u{1b}[31m\u{202e}x"), "curl/8[31mx");
        assert_eq!(sanitized(&"é".repeat(300)).chars().count(), 255);
    }
}

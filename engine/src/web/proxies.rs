//! Client addresses behind trusted proxies.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};

use rocket::request::Request;

use crate::config::{Settings, TrustedNetwork};

/// Untrusted peers that sent `X-Forwarded-For` and were logged. Any client may send that header, so the list is
/// limited.
static REPORTED: Mutex<Vec<IpAddr>> = Mutex::new(vec![]);
const MAX_REPORTED: usize = 16;

pub fn is_from_proxy(request: &Request<'_>) -> bool {
    peer(request).is_some_and(|peer| is_in(peer, trusted(request)))
}

/// The client's address: the peer's, or the one that trusted proxies report.
pub fn client_address(request: &Request<'_>) -> Option<IpAddr> {
    struct ClientAddress(Option<IpAddr>);
    let address = request.local_cache(|| {
        let trusted = trusted(request);
        let forwarded: Vec<&str> = request.headers().get("X-Forwarded-For").collect();
        ClientAddress(peer(request).map(|peer| {
            if !forwarded.is_empty() && !is_in(peer, trusted) {
                report(peer);
            }
            forwarded_client(peer, &forwarded, trusted)
        }))
    });
    address.0
}

fn peer(request: &Request<'_>) -> Option<IpAddr> {
    request.remote().map(|peer| peer.ip().to_canonical())
}

fn trusted<'r>(request: &'r Request<'_>) -> &'r [TrustedNetwork] {
    let settings = request.rocket().state::<Settings>();
    settings.map_or(&[], |settings| &settings.trusted_proxies)
}

fn is_in(address: IpAddr, networks: &[TrustedNetwork]) -> bool {
    networks.iter().any(|network| network.contains(address))
}

/// Warns the operator once about a proxy that may be missing in the settings.
fn report(peer: IpAddr) {
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    if reported.len() < MAX_REPORTED && !reported.contains(&peer) {
        reported.push(peer);
        tracing::warn!(
            %peer,
            "ignored X-Forwarded-For from an address that is not in app.trusted_proxies; if this is your proxy, add it \
             there, or all its clients share one address"
        );
    }
}

/// Each proxy appends the address of its peer. Read from the end, the first address that is not a trusted proxy's is
/// the client's. Everything before it was written by the client and may be forged.
fn forwarded_client(peer: IpAddr, forwarded: &[&str], trusted: &[TrustedNetwork]) -> IpAddr {
    let mut address = peer.to_canonical();
    let mut hops = forwarded.iter().rev().flat_map(|header| header.rsplit(','));
    while is_in(address, trusted)
        && let Some(previous) = hops.next().and_then(|hop| parse_address(hop.trim()))
    {
        address = previous;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_forwarded_addresses_written_by_trusted_proxies_count() {
        let trusted: Vec<TrustedNetwork> = ["10.0.0.0/8", "fd00::/8"]
            .iter()
            .map(|n| n.parse().unwrap())
            .collect();
        let from = |peer: &str, forwarded: &[&str]| {
            forwarded_client(peer.parse().unwrap(), forwarded, &trusted).to_string()
        };
        // The header of an untrusted peer is ignored.
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
}

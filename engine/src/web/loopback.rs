//! Guard for requests that this machine sends to itself.

use std::net::IpAddr;

use rocket::Request;
use rocket::request::{FromRequest, Outcome};

use super::drain;
use crate::error::Error;

/// A request from a loopback address for a loopback host. Add this parameter to a handler that nobody else may reach.
/// Other requests get 404. The host is checked too, because a web page can resolve its own domain name to this machine
/// (DNS rebinding).
pub struct Loopback;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Loopback {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let is_local_peer = request.remote().is_some_and(|peer| peer.ip().is_loopback());
        let host = request.host().map(|host| host.domain().to_string());
        if is_local_peer && host.is_some_and(|host| is_loopback(&host)) {
            Outcome::Success(Self)
        } else {
            drain::refuse(request, Error::NotFound.stash(request))
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn hosts_that_only_start_like_a_loopback_address_are_not_loopback() {
        for host in ["localhost", "127.0.0.1", "127.1.2.3", "[::1]", "::1"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "127.0.0.1.evil.example",
            "127.evil.example",
            "localhost.evil.example",
            "0.0.0.0",
            "192.0.2.1",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}

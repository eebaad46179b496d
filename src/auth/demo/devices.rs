//! Clients that people have, and addresses that they connect from.

use std::net::IpAddr;

use rand::seq::IteratorRandom;
use rand::{RngExt, rng};

use crate::identity::address::Address;
use crate::identity::device::Device;
use crate::identity::key;
use crate::models::demo::DemoToken;
use crate::models::token::Kind;

/// A name in each line, and what its clients send as their `User-Agent`.
const KINDS: &str = "\
iPhone 16|Inventory/4.12.1 (iOS 18.6)|Inventory/4.9.2 (iOS 18.1)|Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1
iPad|Inventory/4.12.1 (iOS 18.6)|Inventory/4.9.2 (iOS 18.1)|Scanner/2.0.1 (iOS 18.6)
old iPhone|Inventory/3.7 (iOS 16.7)|Inventory/4.2 (iOS 16.7)
Pixel 9|Inventory/4.12.1 (Android 15)|Inventory/4.12.0 (Android 15)|Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36
Galaxy S24|Inventory/4.12.0 (Android 14)|Scanner/2.0.1 (Android 14)|okhttp/4.12.0
スマホ|Inventory/4.12.1 (Android 15)|Inventory/4.9.2 (Android 13)
téléphone de maman|Inventory/4.9.2 (Android 13)|okhttp/4.9.3
work laptop|Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0|Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0
home PC|Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36|Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0
MacBook Air|Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15
backup script|curl/8.14.1|curl/7.88.1|Wget/1.25.0
ci-runner|Go-http-client/2.0|python-requests/2.32.5
monitoring|Prometheus/3.5.0|Prometheus/2.53.0
Home Assistant|HomeAssistant/2025.9.1 aiohttp/3.12.15";

/// That many clients of different names, each as a token that lacks all else.
pub(super) fn clients(number: u32) -> Vec<DemoToken> {
    let (kinds, mut rng) = (KINDS.lines().count(), rng());
    let lines = KINDS.lines().cycle().skip(rng.random_range(0..kinds));
    let client = |(number, line): (usize, &str)| {
        let (kind, agents) = line.split_once('|').unwrap_or_default();
        let name = match number / kinds {
            0 => kind.to_owned(),
            others => format!("{kind} {}", others + 1),
        };
        let user_agent = agents.split('|').choose(&mut rng).unwrap_or_default();
        let device = Device::parse(user_agent);
        DemoToken {
            kind: Kind::Api.as_str(),
            client_key: key(&name),
            client: name,
            user_agent: user_agent.to_owned(),
            device_key: device.as_ref().map(Device::key),
            app: device.as_ref().map(|device| device.app.clone()),
            app_version: device.and_then(|device| device.version),
            ..DemoToken::default()
        }
    };
    lines
        .take(number as usize)
        .enumerate()
        .map(client)
        .collect()
}

/// An address of the ranges that are kept for documentation (RFC 5737, RFC 3849). Many users share each.
pub(super) fn address() -> String {
    let mut rng = rng();
    let host = rng.random_range(1..=40);
    let address = match rng.random_range(0..8) {
        0 | 1 => IpAddr::from([0x2001, 0xdb8, host.into(), 0, 0, 0, 0, 1]),
        2..5 => IpAddr::from([198, 51, 100, host]),
        _ => IpAddr::from([192, 0, 2, host]),
    };
    Address::from(address).key()
}

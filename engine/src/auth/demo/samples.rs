//! Realistic usernames, clients and addresses.

use std::net::IpAddr;

use rand::seq::IteratorRandom;
use rand::{RngExt, rng};

use super::FIRST_ADMIN_NAME;
use crate::identity::address::Address;
use crate::identity::device::Device;
use crate::identity::email::EmailAddress;
use crate::identity::{Username, key};
use crate::models::demo::DemoToken;
use crate::models::token::TokenKind;

const GIVEN_NAMES: &str = "maya jonas aisha liam chloé mateo ingrid kwame zoë björn fatima noah søren priya łukasz ana \
    tomáš elif grace diego nia håkon leila pedro yara ravi siobhán tariq hugo rosa wei alexandra";
const FAMILY_NAMES: &str = "okafor lindqvist rossi müller nakamura garcía kowalski silva dubois novák singh haddad jensen \
    papadakis yılmaz smith mbeki fernández ivanova nguyen kim moreau weber costa hughes patel osei featherstonehaugh";
const OTHER_NAMES: &str = "佐藤美咲 鈴木翔太 王秀英 李伟 김민준 Анна.Соколова дмитрий.попов Νίκος.Παπαδόπουλος प्रिया.शर्मा \
    فاطمة.الزهراء محمد.المصري נועה.כהן";
const DOMAINS: &str = "example.com example.org example.net";
/// Repeated up to the maximum length.
const LONG_NAME: &str = "maria-del-carmen-fernandez-de-la-cueva-y-enriquez-de-cabrera-";
/// One client per line: its name, and `User-Agent` headers that it may send.
const CLIENTS: &str = "\
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
ci-runner|Go-http-client/2.0|python-requests/2.32.5|Prometheus/3.5.0
Home Assistant|HomeAssistant/2025.9.1 aiohttp/3.12.15";

/// A random username. If it is taken, call this again with another suffix.
pub(super) fn username(user: u32, suffix: &str) -> Result<Username, String> {
    let one_of = |names: &'static str| names.split(' ').choose(&mut rng()).unwrap_or_default();
    let (given, family) = (one_of(GIVEN_NAMES), one_of(FAMILY_NAMES));
    Username::parse(&match user % 10 {
        _ if user == 0 && suffix.is_empty() => FIRST_ADMIN_NAME.to_owned(),
        _ if user % 200 == 7 => {
            LONG_NAME.repeat(3)[..Username::MAX - suffix.len()].to_owned() + suffix
        }
        3 => one_of(OTHER_NAMES).replace('.', " ") + suffix,
        1 | 6 => format!("{given}.{family}{suffix}@{}", one_of(DOMAINS)),
        2 | 7 => format!("{given} {family}{suffix}"),
        8 => format!("{given}{suffix}"),
        _ => format!("{given}.{family}{suffix}"),
    })
}

/// An email address for a user: the username itself, if it is one.
pub(super) fn email(username: &Username, suffix: &str) -> Option<EmailAddress> {
    if let Ok(email) = EmailAddress::parse(username.as_str()) {
        return Some(email);
    }
    let local = username.as_str().chars().take(30);
    let local = local.filter(|c| c.is_ascii_alphanumeric() || *c == '.');
    let local = local.collect::<String>() + suffix;
    let domain = DOMAINS.split(' ').choose(&mut rng()).unwrap_or_default();
    EmailAddress::parse(&format!("{local}@{domain}")).ok()
}

/// `number` clients with distinct names, each as a token without its other fields.
pub(super) fn clients(number: u32) -> Vec<DemoToken> {
    let (kinds, mut rng) = (CLIENTS.lines().count(), rng());
    let lines = CLIENTS.lines().cycle().skip(rng.random_range(0..kinds));
    let client = |(number, line): (usize, &str)| {
        let (kind, agents) = line.split_once('|').unwrap_or_default();
        let name = match number / kinds {
            0 => kind.to_owned(),
            round => format!("{kind} {}", round + 1),
        };
        let user_agent = agents.split('|').choose(&mut rng).unwrap_or_default();
        let device = Device::parse(user_agent);
        DemoToken {
            kind: TokenKind::Api.as_str(),
            client_key: key(&name),
            client: name,
            user_agent: user_agent.to_owned(),
            device_key: device.as_ref().map(Device::key),
            app: device.as_ref().map(|device| device.app.clone()),
            app_version: device.and_then(|device| device.version),
            ..DemoToken::default()
        }
    };
    let lines = lines.take(number as usize).enumerate();
    lines.map(client).collect()
}

/// A documentation address (RFC 5737, RFC 3849). Many users share each.
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

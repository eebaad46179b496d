//! Clients that people have: what they call them, and what those say that they are.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};

use super::pick;
use crate::identity::ClientName;
use crate::models::demo::Client;

macro_rules! chromium {
    ($on:literal) => {
        chromium!($on, "142.0.0.0 Safari/537.36")
    };
    ($on:literal, $version:literal) => {
        concat!(
            "Mozilla/5.0 (",
            $on,
            ") AppleWebKit/537.36 (KHTML, like Gecko) Chrome/",
            $version
        )
    };
}

macro_rules! safari {
    ($on:literal, $version:literal) => {
        concat!(
            "Mozilla/5.0 (",
            $on,
            ") AppleWebKit/605.1.15 (KHTML, like Gecko) Version/",
            $version
        )
    };
}

macro_rules! firefox {
    ($on:literal, $gecko:literal) => {
        concat!(
            "Mozilla/5.0 (",
            $on,
            "; rv:145.0) Gecko/",
            $gecko,
            " Firefox/145.0"
        )
    };
}

const WINDOWS_CHROME: &str = chromium!("Windows NT 10.0; Win64; x64");
const WINDOWS_CHROME_OLD: &str =
    chromium!("Windows NT 10.0; Win64; x64", "138.0.0.0 Safari/537.36");
const WINDOWS_EDGE: &str = chromium!(
    "Windows NT 10.0; Win64; x64",
    "142.0.0.0 Safari/537.36 Edg/142.0.0.0"
);
const WINDOWS_FIREFOX: &str = firefox!("Windows NT 10.0; Win64; x64", "20100101");
const MAC_CHROME: &str = chromium!("Macintosh; Intel Mac OS X 10_15_7");
const MAC_FIREFOX: &str = firefox!("Macintosh; Intel Mac OS X 10.15", "20100101");
const MAC_SAFARI: &str = safari!("Macintosh; Intel Mac OS X 10_15_7", "18.6 Safari/605.1.15");
const LINUX_CHROME: &str = chromium!("X11; Linux x86_64");
const LINUX_FIREFOX: &str = firefox!("X11; Linux x86_64", "20100101");
const CHROMEBOOK: &str = chromium!("X11; CrOS x86_64 14541.0.0");
const IPHONE: &str = safari!(
    "iPhone; CPU iPhone OS 18_6 like Mac OS X",
    "18.6 Mobile/15E148 Safari/604.1"
);
const IPHONE_OLD: &str = safari!(
    "iPhone; CPU iPhone OS 16_7 like Mac OS X",
    "16.6 Mobile/15E148 Safari/604.1"
);
const IPAD: &str = safari!(
    "iPad; CPU OS 18_6 like Mac OS X",
    "18.6 Mobile/15E148 Safari/604.1"
);
const ANDROID: &str = chromium!("Linux; Android 10; K", "142.0.0.0 Mobile Safari/537.36");
const ANDROID_FIREFOX: &str = firefox!("Android 15; Mobile", "145.0");
const SAMSUNG: &str = concat!(
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) ",
    "SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36"
);
const APPLE_APP: &str = "Acme/4.12.0 CFNetwork/3826.600.41 Darwin/24.6.0";
const OKHTTP: &str = "okhttp/4.12.0";
const CURL: &str = "curl/8.14.1";
const WGET: &str = "Wget/1.25.0";
const REQUESTS: &str = "python-requests/2.32.5";
const HTTPX: &str = "python-httpx/0.28.1";
const AIOHTTP: &str = "Python/3.13 aiohttp/3.12.15";
const GO: &str = "Go-http-client/2.0";
const NODE: &str = "axios/1.12.2";
const JAVA: &str = "Java-http-client/21.0.8";
const POSTMAN: &str = "PostmanRuntime/7.46.1";
const INSOMNIA: &str = "insomnia/11.6.1";
const POWERSHELL: &str = concat!(
    "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) ",
    "WindowsPowerShell/5.1.26100.6584"
);

/// Name, how common it is, and what it sends as `User-Agent`.
type Sort = (&'static str, f64, &'static [&'static str]);

const SORTS: [Sort; 64] = [
    ("iPhone 15", 30.0, &[IPHONE, APPLE_APP]),
    ("iPhone 16 Pro", 25.0, &[IPHONE, APPLE_APP]),
    ("iPhone 14", 15.0, &[IPHONE, APPLE_APP]),
    ("iPhone SE", 10.0, &[IPHONE_OLD, APPLE_APP]),
    ("old iPhone", 4.0, &[IPHONE_OLD]),
    ("iPad", 16.0, &[IPAD, APPLE_APP]),
    ("iPad Pro", 7.0, &[IPAD, APPLE_APP]),
    (
        "Apple Watch",
        5.0,
        &["AcmeWatch/2.3 CFNetwork/3826.600.41 Darwin/24.6.0"],
    ),
    ("MacBook Air", 22.0, &[MAC_SAFARI, MAC_CHROME, MAC_FIREFOX]),
    ("MacBook Pro", 20.0, &[MAC_CHROME, MAC_SAFARI, MAC_FIREFOX]),
    ("iMac im Büro", 3.0, &[MAC_SAFARI]),
    ("Mac mini", 4.0, &[MAC_CHROME, MAC_SAFARI]),
    ("Safari on Mac", 9.0, &[MAC_SAFARI]),
    (
        "Chrome on Windows",
        30.0,
        &[WINDOWS_CHROME, WINDOWS_CHROME_OLD],
    ),
    ("Edge on Windows", 18.0, &[WINDOWS_EDGE]),
    ("Firefox on Windows", 10.0, &[WINDOWS_FIREFOX]),
    ("Firefox on Linux", 6.0, &[LINUX_FIREFOX]),
    ("Chrome on Linux", 4.0, &[LINUX_CHROME]),
    ("Chrome on Mac", 9.0, &[MAC_CHROME]),
    (
        "ThinkPad",
        9.0,
        &[LINUX_FIREFOX, WINDOWS_CHROME, LINUX_CHROME],
    ),
    ("Dell XPS 13", 6.0, &[WINDOWS_EDGE, LINUX_FIREFOX]),
    ("Surface Pro", 5.0, &[WINDOWS_EDGE]),
    (
        "work laptop",
        14.0,
        &[WINDOWS_EDGE, WINDOWS_CHROME, MAC_CHROME],
    ),
    ("home PC", 10.0, &[WINDOWS_CHROME, WINDOWS_FIREFOX]),
    ("laptop", 12.0, &[WINDOWS_CHROME, MAC_SAFARI, LINUX_FIREFOX]),
    ("Chromebook", 4.0, &[CHROMEBOOK]),
    ("Pixel 9", 14.0, &[ANDROID, OKHTTP]),
    ("Pixel 7a", 8.0, &[ANDROID, OKHTTP]),
    ("Galaxy S24", 16.0, &[SAMSUNG, ANDROID, OKHTTP]),
    ("Galaxy A54", 12.0, &[SAMSUNG, OKHTTP]),
    ("Galaxy Tab", 5.0, &[SAMSUNG, OKHTTP]),
    ("Fairphone 5", 3.0, &[ANDROID_FIREFOX, OKHTTP]),
    ("OnePlus 12", 4.0, &[ANDROID, OKHTTP]),
    ("Xiaomi 14", 6.0, &[ANDROID, OKHTTP]),
    ("スマホ", 2.0, &[ANDROID, IPHONE]),
    ("téléphone de maman", 1.0, &[ANDROID, IPHONE_OLD]),
    ("Телефон", 2.0, &[ANDROID, OKHTTP]),
    ("手机", 2.0, &[ANDROID, OKHTTP]),
    ("Garmin watch", 4.0, &[OKHTTP]),
    (
        "living room TV",
        3.0,
        &[
            "Mozilla/5.0 (SMART-TV; LINUX; Tizen 8.0) AppleWebKit/537.36 (KHTML, like Gecko) Version/8.0 TV Safari/537.36",
        ],
    ),
    (
        "e-reader",
        1.0,
        &[
            "Mozilla/5.0 (Linux; U; en-US) AppleWebKit/528.5+ (KHTML, like Gecko, Safari/528.5+) Version/4.0 Kindle/3.0 (screen 600x800; rotate)",
        ],
    ),
    ("car", 1.0, &[OKHTTP]),
    ("backup script", 5.0, &[CURL, REQUESTS]),
    ("nightly-export", 3.0, &[REQUESTS, HTTPX]),
    ("ci-runner", 6.0, &[CURL, GO]),
    ("GitHub Actions", 4.0, &[CURL, NODE]),
    ("deploy-bot", 3.0, &[GO]),
    ("cron@web-01", 2.0, &[WGET, CURL]),
    ("monitoring", 3.0, &[GO, AIOHTTP]),
    ("Grafana", 2.0, &["Grafana/12.1.1"]),
    ("Prometheus", 1.0, &["Prometheus/3.5.0"]),
    (
        "Home Assistant",
        3.0,
        &["HomeAssistant/2025.9.1 aiohttp/3.12.15 Python/3.13"],
    ),
    ("Raspberry Pi", 4.0, &[AIOHTTP, CURL]),
    ("NAS", 2.0, &[WGET]),
    ("Jupyter notebook", 3.0, &[REQUESTS, HTTPX]),
    (
        "spreadsheet import",
        2.0,
        &["Mozilla/5.0 (compatible; Google-Apps-Script; beanserver; +https://script.google.com)"],
    ),
    ("Postman", 5.0, &[POSTMAN]),
    ("Insomnia", 2.0, &[INSOMNIA]),
    ("curl", 4.0, &[CURL]),
    ("PowerShell", 2.0, &[POWERSHELL]),
    ("staging", 2.0, &[JAVA, NODE]),
    ("billing-service", 2.0, &[JAVA]),
    ("integration tests", 2.0, &[NODE, HTTPX]),
    ("Slack bot", 2.0, &[NODE]),
];

/// A client that a user has.
pub(super) type Owned = (Arc<Client>, &'static [&'static str]);

/// All clients that there are to choose from: the sorts, then second ones, then third ones.
pub(super) struct Clients(Vec<Owned>);

impl Clients {
    /// At least so many.
    pub(super) fn at_least(number: usize) -> Self {
        let rounds = number.div_ceil(SORTS.len()).max(1);
        let made = (1..=rounds).flat_map(|round| {
            let name = move |name: &str| match round {
                1 => name.to_owned(),
                _ => format!("{name} ({round})"),
            };
            SORTS.iter().filter_map(move |(sort, _, agents)| {
                let name = ClientName::parse(&name(sort)).ok()?;
                let key = name.key().to_owned();
                Some((Arc::new(Client { name, key }), *agents))
            })
        });
        Self(made.collect())
    }

    /// So many different ones, the more common ones rather.
    pub(super) fn choose(&self, rng: &mut impl Rng, number: usize) -> Vec<Owned> {
        let whole = number / SORTS.len() * SORTS.len();
        let mut chosen = self.0[..whole].to_vec();
        let rest: Vec<(&Owned, f64)> = (self.0[whole..].iter())
            .zip(SORTS.iter().map(|(_, weight, _)| *weight))
            .collect();
        let more = rest.sample_weighted(rng, number - whole, |(_, weight)| *weight);
        chosen.extend(
            more.into_iter()
                .flatten()
                .map(|(owned, _)| (*owned).clone()),
        );
        chosen
    }

    /// Any one.
    pub(super) fn any(&self, rng: &mut impl Rng) -> Owned {
        pick(rng, &self.0).clone()
    }
}

/// The networks that are kept for documentation (RFC 5737).
const NETWORKS: [[u8; 3]; 3] = [[192, 0, 2], [198, 51, 100], [203, 0, 113]];

/// An address that nobody has: of [`NETWORKS`] or, for one in four, of 2001:db8::/32 (RFC 3849).
pub(super) fn address(rng: &mut impl Rng) -> Arc<str> {
    let text = if rng.random_ratio(1, 4) {
        let (site, host): (u32, u64) = (rng.random(), rng.random());
        let bits = 0x2001_0db8 << 96 | u128::from(site) << 64 | u128::from(host);
        Ipv6Addr::from_bits(bits).to_string()
    } else {
        let [a, b, c] = *pick(rng, &NETWORKS);
        Ipv4Addr::new(a, b, c, rng.random_range(1..=254)).to_string()
    };
    text.into()
}

//! App and version of a client, parsed from its `User-Agent`.

use std::fmt::Write;

use super::key;

/// The app and version that a client claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The app's name, such as `Firefox` or `curl`.
    pub app: String,
    /// The version as written, such as `4.12.1`.
    pub version: Option<String>,
}

/// Product tokens of browsers and the names that people know. The first match wins, because browsers based on Chromium
/// claim to be Chrome, and Chrome claims to be Safari.
const BROWSERS: [(&str, &str); 14] = [
    ("Edg", "Edge"),
    ("EdgA", "Edge"),
    ("EdgiOS", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Vivaldi", "Vivaldi"),
    ("YaBrowser", "Yandex Browser"),
    ("DuckDuckGo", "DuckDuckGo"),
    ("FxiOS", "Firefox"),
    ("Firefox", "Firefox"),
    ("CriOS", "Chrome"),
    ("HeadlessChrome", "Chrome"),
    ("Chrome", "Chrome"),
    // Safari puts its version in this product.
    ("Version", "Safari"),
];
/// Systems in a `User-Agent` and the names that people know. The first match wins, because iPhones also mention Mac OS
/// X, and Android mentions Linux.
const SYSTEMS: [(&str, &str); 7] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];
/// The maximum length of a name or version, in characters.
const MAX_LENGTH: usize = 64;

impl Device {
    /// Parses `Inventory/3.2 (…)` as Inventory 3.2, and finds browsers among the products that they list. None for an
    /// empty text.
    pub fn parse(user_agent: &str) -> Option<Self> {
        let mut products = user_agent
            .split_whitespace()
            .map(|word| match word.split_once('/') {
                Some((app, version)) => (app, Some(version)),
                None => (word, None),
            });
        let (first, version) = products.next()?;
        let found = if first == "Mozilla" {
            let products: Vec<_> = products.collect();
            let browser = BROWSERS.iter().find_map(|(product, name)| {
                let (_, version) = products.iter().find(|(app, _)| app == product)?;
                Some((*name, *version))
            });
            browser.unwrap_or((first, version))
        } else {
            (first, version)
        };
        let truncate = |text: &str| -> String {
            let text = text.trim_end_matches([';', ',']);
            text.chars()
                .filter(|c| !super::is_control(*c))
                .take(MAX_LENGTH)
                .collect()
        };
        let (app, version) = (truncate(found.0), found.1.map(truncate));
        let version = version.filter(|version| !version.is_empty());
        (!key(&app).is_empty()).then_some(Self { app, version })
    }

    /// The app and the system, such as `Firefox on Windows`. An empty text is `unknown`.
    pub fn describe(user_agent: &str) -> String {
        let app = Self::parse(user_agent).map_or_else(|| "unknown".into(), |device| device.app);
        match Self::system(user_agent) {
            Some(system) => format!("{app} on {system}"),
            None => app,
        }
    }

    /// The system that a browser claims to run on.
    pub fn system(user_agent: &str) -> Option<&'static str> {
        let named = SYSTEMS
            .iter()
            .find(|(marker, _)| user_agent.contains(marker));
        named.map(|(_, name)| *name)
    }

    /// The key for sorting and searching: the app, then the version in numeric order.
    pub fn key(&self) -> String {
        let version = self.version.as_deref().unwrap_or_default();
        app_key(&self.app) + &version_key(version)
    }

    /// The key range of an app, excluding the end.
    pub(crate) fn keys(app: &str) -> [String; 2] {
        [app_key(app), app_key(app) + &char::MAX.to_string()]
    }

    /// The key range of older versions of an app, excluding the end. Devices without a version are not included.
    pub(crate) fn older_keys(app: &str, version: &str) -> [String; 2] {
        // Every version sorts after a space.
        [app_key(app) + " ", app_key(app) + &version_key(version)]
    }
}

/// Whether a text is a version, which begins with a digit, or with `v` and a digit.
pub fn is_version(text: &str) -> bool {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// The prefix of an app's keys. Keys of names never contain this separator.
fn app_key(app: &str) -> String {
    format!("{}\u{1}", key(app))
}

/// A version in a form that sorts numerically: each number is preceded by its count of digits. `4.9` sorts before
/// `4.12`. `4.12-rc1` sorts after it, because the meaning of suffixes is unknown.
fn version_key(version: &str) -> String {
    let mut sorted = String::new();
    let bare = version
        .strip_prefix(['v', 'V'])
        .filter(|rest| is_version(rest));
    let mut rest = bare.unwrap_or(version);
    while let Some(first) = rest.chars().next() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if digits == 0 {
            sorted.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let number = rest[..digits].trim_start_matches('0');
        // Two digits suffice for 64 characters.
        let _ = write!(sorted, "{:02}{number}", number.len());
        rest = &rest[digits..];
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_and_programs_are_recognised() {
        let chromium = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";
        for (user_agent, app, version) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox",
                "140.0",
            ),
            (chromium, "Chrome", "141.0.0.0"),
            (&format!("{chromium} Edg/141.0.3.1"), "Edge", "141.0.3.1"),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
                "Safari",
                "18.6",
            ),
            ("curl/8.14.1", "curl", "8.14.1"),
            (
                "Inventory/4.12.1 (iOS 18.1; build 9)",
                "Inventory",
                "4.12.1",
            ),
            ("python-requests", "python-requests", ""),
            ("Mozilla/5.0 (compatible)", "Mozilla", "5.0"),
            ("okhttp/4.9;", "okhttp", "4.9"),
        ] {
            let device = Device::parse(user_agent).unwrap();
            assert_eq!(
                (
                    device.app.as_str(),
                    device.version.as_deref().unwrap_or_default()
                ),
                (app, version)
            );
        }
        assert_eq!(Device::parse(""), None);
        assert_eq!(Device::parse(" \u{200B} "), None);
    }

    #[test]
    fn a_browser_names_its_system() {
        for (user_agent, system) in [
            (
                "(Windows NT 10.0; Win64; x64) Chrome/141.0.0.0",
                Some("Windows"),
            ),
            ("(X11; Linux x86_64; rv:140.0) Firefox/140.0", Some("Linux")),
            (
                "(iPhone; CPU iPhone OS 18_6 like Mac OS X) Safari/604.1",
                Some("iPhone"),
            ),
            (
                "(Macintosh; Intel Mac OS X 10_15_7) Safari/605.1.15",
                Some("macOS"),
            ),
            (
                "(Linux; Android 16; Pixel 9) Chrome/141.0.0.0",
                Some("Android"),
            ),
            (
                "(X11; CrOS x86_64 14541.0.0) Chrome/141.0.0.0",
                Some("ChromeOS"),
            ),
            ("curl/8.14.1", None),
        ] {
            assert_eq!(Device::system(user_agent), system, "{user_agent}");
            let described = Device::describe(user_agent);
            assert_eq!(described.contains(" on "), system.is_some(), "{described}");
        }
    }

    #[test]
    fn versions_sort_by_their_numbers() {
        let sorted = [
            "", "3", "4", "4.0", "4.9.9", "4.12", "4.12.1", "4.100", "10.0",
        ];
        let device = |app: &str, version: &str| Device {
            app: app.into(),
            version: Some(version.into()).filter(|version: &String| !version.is_empty()),
        };
        let keys = sorted.map(|version| device("App", version).key());
        assert!(keys.is_sorted(), "{keys:?}");
        assert_eq!(device("app", "v4.9").key(), device("APP", "4.09").key());
        let [first, end] = Device::keys("App");
        let [older, than] = Device::older_keys("App", "4.12");
        for (version, key) in sorted.iter().zip(&keys) {
            assert!((&first..&end).contains(&key), "{version}");
            let is_older = ["3", "4", "4.0", "4.9.9"].contains(version);
            assert_eq!((&older..&than).contains(&key), is_older, "{version}");
        }
        assert!(!(first..end).contains(&device("Apple", "1").key()));
    }
}

//! What a client says that it is: the app and its version, read from a `User-Agent`.

use std::fmt::Write;

use super::key;

/// An app and its version. Both are what the client claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// `Firefox`, `curl`, `Inventory`.
    pub app: String,
    /// As it was written: `4.12.1`. None if there is none.
    pub version: Option<String>,
}

/// Products that a browser names beside its own, by the name that people know: the first that is there is the
/// browser. Chromium's others claim to be Chrome, and Chrome to be Safari.
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
    // Safari's own version stands in another product.
    ("Version", "Safari"),
];
/// The maximum length of an app's name and of a version, in characters.
const MAX: usize = 64;

impl Device {
    /// Reads `Inventory/3.2 (…)` as Inventory 3.2, and finds the browser among the products that one names.
    /// None for an empty text.
    pub fn parse(user_agent: &str) -> Option<Self> {
        let mut products = user_agent
            .split_whitespace()
            .map(|word| match word.split_once('/') {
                Some((app, version)) => (app, Some(version)),
                None => (word, None),
            });
        let (first, version) = products.next()?;
        let found = if first == "Mozilla" {
            let others: Vec<_> = products.collect();
            let browser = BROWSERS.iter().find_map(|(product, name)| {
                let (_, version) = others.iter().find(|(app, _)| app == product)?;
                Some((*name, *version))
            });
            browser.unwrap_or((first, version))
        } else {
            (first, version)
        };
        let cut = |text: &str| -> String {
            let text = text.trim_end_matches([';', ',']);
            text.chars()
                .filter(|c| !super::is_control(*c))
                .take(MAX)
                .collect()
        };
        let (app, version) = (cut(found.0), found.1.map(cut));
        let version = version.filter(|version| !version.is_empty());
        (!key(&app).is_empty()).then_some(Self { app, version })
    }

    /// What devices are sorted and found by: the app, then the version by its numbers.
    pub fn key(&self) -> String {
        let version = self.version.as_deref().unwrap_or_default();
        app_key(&self.app) + &version_key(version)
    }

    /// The keys of an app's versions: from the first on, before the second.
    pub fn keys(app: &str) -> [String; 2] {
        [app_key(app), app_key(app) + &char::MAX.to_string()]
    }

    /// The keys of the versions of an app that are older than that one: from the first on, before the second.
    /// A device without a version is not known to be older.
    pub fn older_keys(app: &str, version: &str) -> [String; 2] {
        // Every version sorts after a space.
        [app_key(app) + " ", app_key(app) + &version_key(version)]
    }
}

/// Whether a text can be compared with versions: it begins with a number.
pub fn is_version(text: &str) -> bool {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// What the keys of an app's versions begin with. No key of a name has this character.
fn app_key(app: &str) -> String {
    format!("{}\u{1}", key(app))
}

/// A version in a form that sorts as its numbers do: each is preceded by how many digits it has. `4.9` comes
/// before `4.12`, and `4.12-rc1` after it, as there is no telling what a suffix means.
fn version_key(version: &str) -> String {
    let mut sorted = String::new();
    // `v1.2` is 1.2.
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
        // At most 64 characters, so two digits are enough.
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

//! A `User-Agent` in words: "Firefox 140 on Linux".

use std::sync::OnceLock;

use serde::Deserialize;
use ua_parser::{os, user_agent};

use crate::error::Error;

/// The rules that all of ua-parser's implementations share.
const RULES: &str = include_str!("../../vendor/uap-core/regexes.yaml");

/// Some 12 MB once they are compiled, which a process that shows no such page does without.
static RECOGNISER: OnceLock<Option<Recogniser>> = OnceLock::new();

struct Recogniser {
    browsers: user_agent::Extractor<'static>,
    systems: os::Extractor<'static>,
}

#[derive(Deserialize)]
struct Rules {
    user_agent_parsers: Vec<user_agent::Parser<'static>>,
    os_parsers: Vec<os::Parser<'static>>,
}

impl Recogniser {
    fn compile() -> Result<Self, Error> {
        let rules: Rules = serde_saphyr::from_str(RULES)
            .map_err(|_| Error::Internal("the rules for user agents are no YAML"))?;
        let browsers = user_agent::Builder::new()
            .push_all(rules.user_agent_parsers)
            .ok()
            .and_then(|builder| builder.build().ok());
        let systems = os::Builder::new()
            .push_all(rules.os_parsers)
            .ok()
            .and_then(|builder| builder.build().ok());
        let unfit = Error::Internal("the rules for user agents can't be compiled");
        let (browsers, systems) = browsers.zip(systems).ok_or(unfit)?;
        Ok(Self { browsers, systems })
    }
}

/// What a client is, by its own word: the browser or app, its version and the system, as far as they
/// can be made out; else the first thing that it says.
pub fn describe(user_agent: &str) -> String {
    let recogniser = RECOGNISER.get_or_init(|| {
        Recogniser::compile()
            .inspect_err(|error| tracing::error!("{error}"))
            .ok()
    });
    let browser = recogniser
        .as_ref()
        .and_then(|known| known.browsers.extract(user_agent))
        .map(|found| versioned(&found.family, found.major));
    let system = recogniser
        .as_ref()
        .and_then(|known| known.systems.extract(user_agent))
        .map(|found| match &*found.os {
            // These say the same version for all that came since.
            "Windows" => "Windows".to_owned(),
            "Mac OS X" => "macOS".to_owned(),
            os => versioned(os, found.major.as_deref()),
        });
    match (browser, system) {
        (Some(browser), Some(system)) if browser != system => format!("{browser} on {system}"),
        (Some(one), _) | (None, Some(one)) => one,
        (None, None) => first_word(user_agent),
    }
}

fn versioned(name: &str, major: Option<&str>) -> String {
    match major {
        Some(major) => format!("{name} {major}"),
        None => name.to_owned(),
    }
}

/// `MyApp/3.2 (…)` as "MyApp 3.2".
fn first_word(user_agent: &str) -> String {
    let word = user_agent.split_whitespace().next().unwrap_or_default();
    let word: String = word.chars().take(40).collect();
    word.replacen('/', " ", 1)
}

#[cfg(test)]
mod tests {
    use super::describe;

    #[test]
    fn browsers_and_programs_are_told_in_words() {
        for (said, words) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox 140 on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0",
                "Edge 141 on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
                "Mobile Safari 18 on iOS 18",
            ),
            ("curl/8.14.1", "curl 8"),
            ("Inventory/3.2", "Inventory 3.2"),
            ("", ""),
        ] {
            assert_eq!(describe(said), words, "{said}");
        }
    }
}

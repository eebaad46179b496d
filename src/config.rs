//! Typed settings: Rocket's figment, the application's `app` table in it, and their checks.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rocket::Config;
use rocket::figment::error::Kind;
use rocket::figment::providers::{Env, Format, Serialized, Toml};
use rocket::figment::{Figment, Profile, Source};
use serde::Deserialize;

use self::variable::Variable;

use crate::secret::{self, NameKey};

mod key;
mod known;
mod value;
mod variable;

pub use key::{check_secret_key, secret_key_complaint};
pub use value::{Lifetime, Network, WebOrigin};

/// More than any hash should take; a number with a digit too many would end the process at the first
/// login.
const MOST_MEMORY_KIB: u32 = 4 * 1024 * 1024;
/// Threads that serve. An operating system refuses to make any number of them, and then the process panics.
const MOST_WORKERS: usize = 1024;
/// Threads for what blocks, which are made as they are needed.
const MOST_BLOCKING: usize = 65_536;
/// Where the database is when nothing says otherwise.
const DEFAULT_DATABASE: &str = "sqlite:data/multitoken.db";

/// The settings of Rocket and of the application, from the least to the most specific: built-in
/// defaults, `Rocket.toml` (or the file that `ROCKET_CONFIG` names), `PORT`, `ROCKET_*`, `DATABASE_URL`.
pub fn figment() -> Figment {
    Figment::from(Config::default())
        // Who sends `X-Real-IP` may claim any address, and the server's name helps only attackers.
        .merge(Serialized::default("ip_header", false))
        .merge(Serialized::default("ident", false))
        // A release of Rocket's would log warnings only; one line a request is meant to be there.
        .merge(Serialized::default("log_level", "normal"))
        // Seconds in which requests under way are answered when the server ends: Rocket's two are fewer
        // than the last in a full queue for hashing may have to wait.
        .merge(Serialized::default("shutdown.grace", 10))
        .merge(Serialized::default(
            "databases.multitoken.url",
            DEFAULT_DATABASE,
        ))
        .merge(Toml::file(Env::var_or("ROCKET_CONFIG", "Rocket.toml")).nested())
        // What platforms that assign a port call it.
        .merge(Variable::read("PORT", "port"))
        .merge(Env::prefixed("ROCKET_").ignore(&["PROFILE"]).global())
        .select(Profile::from_env_or(
            "ROCKET_PROFILE",
            Config::DEFAULT_PROFILE,
        ))
        .merge(Variable::text("DATABASE_URL", "databases.multitoken.url"))
}

/// The settings of the application: each field is a key of the `app` table.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The title in the admin.
    pub name: String,
    /// The origin that browsers see, if it is not made of `address` and `port`.
    pub public_url: Option<WebOrigin>,
    /// What a token begins with.
    pub token_prefix: String,
    /// A token's absolute life. By default 90 days: it is a client's, whose user should rarely be asked again. NIST
    /// SP 800-63B-4 (2.1.3) recommends 30 at most for a person's session at AAL1.
    pub token_ttl: Lifetime,
    /// A token's life without use. By default 30 days: a client that slept longer is mostly gone.
    pub token_idle_ttl: Lifetime,
    /// Live tokens of kind `api` that a user may have. By default 50: more clients than a person has, few enough to
    /// look through.
    pub tokens_per_user: u32,
    /// What a login does when there are as many.
    pub tokens_full: TokensFull,
    /// How long the audit trail is kept.
    pub events_ttl: Lifetime,
    /// An admin session's absolute life. By default a working day; NIST SP 800-63B-4 (2.2.3) has 24 hours.
    pub admin_session_ttl: Lifetime,
    /// An admin session's life without use. By default 30 minutes; NIST SP 800-63B-4 (2.2.3) has an hour.
    pub admin_idle_ttl: Lifetime,
    /// Characters that a password has at least.
    pub password_min_length: usize,
    /// Memory of one Argon2id hash, in KiB (OWASP: 19,456 with 2 iterations).
    pub hash_memory_kib: u32,
    /// Passes of one Argon2id hash over its memory.
    pub hash_iterations: u32,
    /// Lanes of one Argon2id hash.
    pub hash_lanes: u32,
    /// Passwords hashed at once; as many as there are cores if not set.
    pub hash_threads: Option<usize>,
    /// Networks of the proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Whether live tokens are remembered for a moment; if not, each request asks the database.
    pub token_cache: bool,
    /// Origins whose pages may call the JSON API.
    pub cors_origins: Vec<WebOrigin>,
    /// Failed logins to an account in five minutes, past which it takes no more from strangers; NIST SP 800-63B-4
    /// (3.2.2) lets through up to 100 before the account is closed.
    pub login_failures_per_account: u32,
    /// Failed logins from an address in five minutes, past which it gets no more.
    pub login_failures_per_address: u32,
    /// Logins to an account that succeed in five minutes, past which it takes no more: each writes to the database,
    /// and a user who signs in all the time would fill its disk.
    pub logins_per_account: u32,
    /// Whether `/metrics` is served, to whoever asks.
    pub metrics: bool,
    /// Made of `secret_key`: stands in for names that must not be written down.
    #[serde(skip)]
    pub name_key: NameKey,
    /// The port of the origin that browsers see, unless it is the scheme's own.
    #[serde(skip)]
    pub port: Option<u16>,
}

impl Default for Settings {
    fn default() -> Self {
        const DAY: u64 = 24 * 60 * 60;
        Self {
            name: "Multitoken".into(),
            public_url: None,
            token_prefix: "mtk".into(),
            token_ttl: Lifetime::seconds(90 * DAY),
            token_idle_ttl: Lifetime::seconds(30 * DAY),
            tokens_per_user: 50,
            tokens_full: TokensFull::EvictOldest,
            events_ttl: Lifetime::seconds(365 * DAY),
            admin_session_ttl: Lifetime::seconds(8 * 60 * 60),
            admin_idle_ttl: Lifetime::seconds(30 * 60),
            password_min_length: 8,
            hash_memory_kib: 19_456,
            hash_iterations: 2,
            hash_lanes: 1,
            hash_threads: None,
            trusted_proxies: vec![],
            token_cache: true,
            cors_origins: vec![],
            login_failures_per_account: 10,
            login_failures_per_address: 50,
            logins_per_account: 100,
            metrics: false,
            name_key: NameKey::default(),
            port: None,
        }
    }
}

/// The configuration's part that is ours.
#[derive(Deserialize)]
struct Tables {
    #[serde(default)]
    app: Settings,
}

/// What happens at a login of a user who has `tokens_per_user` tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokensFull {
    /// The oldest of them ends.
    EvictOldest,
    /// The login is refused.
    Reject,
}

/// The settings can't be used; the text names the key and says what would do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(String);

impl Unfit {
    /// A folder that ships with the application can't be read.
    pub fn unreadable(folder: &Path, error: &std::io::Error) -> Self {
        Self(format!(
            "cannot read what is in {}: {error}",
            folder.display()
        ))
    }
}

impl Settings {
    /// Reads and checks the whole configuration, Rocket's part too.
    ///
    /// # Errors
    /// The first key that is unknown or unfit, by name.
    pub fn load(figment: &Figment) -> Result<Self, Unfit> {
        let unfit = |error: rocket::figment::Error| Unfit(one_line(&error, holds_secrets));
        demand_file()?;
        variable::demand_utf8()?;
        // Rocket would serve plain http without a word.
        if figment.contains("tls") {
            return Err(Unfit(
                "tls: this build speaks plain http; let a reverse proxy speak https for it".into(),
            ));
        }
        known::demand(figment)?;
        let config: Config = figment.extract().map_err(unfit)?;
        demand_threads(&config)?;
        let Tables { app: mut settings } = figment.extract().map_err(unfit)?;
        settings.check()?;
        settings.port = match &settings.public_url {
            Some(origin) => origin.port(),
            None => Some(config.port).filter(|port| *port != 80),
        };
        settings.name_key = key::name_key(figment);
        Ok(settings)
    }

    fn check(&self) -> Result<(), Unfit> {
        let demand = |fits: bool, message: &str| {
            if fits {
                Ok(())
            } else {
                Err(Unfit(message.into()))
            }
        };
        demand(
            !self.name.trim().is_empty(),
            "app.name: give the application a name",
        )?;
        demand(
            secret::is_prefix(&self.token_prefix),
            "app.token_prefix: takes 1 to 12 of a-z and 0-9",
        )?;
        demand(
            self.tokens_per_user > 0,
            "app.tokens_per_user: takes a number from 1 up",
        )?;
        demand(
            (1..=1024).contains(&self.password_min_length),
            "app.password_min_length: takes a number from 1 to 1024",
        )?;
        demand(
            self.hash_lanes > 0,
            "app.hash_lanes: takes a number from 1 up",
        )?;
        demand(
            self.hash_iterations > 0,
            "app.hash_iterations: takes a number from 1 up",
        )?;
        demand(
            self.hash_memory_kib <= MOST_MEMORY_KIB,
            "app.hash_memory_kib: takes a number up to 4194304 (4 GiB)",
        )?;
        demand(
            argon2::Params::new(
                self.hash_memory_kib,
                self.hash_iterations,
                self.hash_lanes,
                None,
            )
            .is_ok(),
            "app.hash_memory_kib: takes a number from 8 × hash_lanes up",
        )?;
        demand(
            self.login_failures_per_account > 0,
            "app.login_failures_per_account: takes a number from 1 up",
        )?;
        demand(
            self.login_failures_per_address > 0,
            "app.login_failures_per_address: takes a number from 1 up",
        )?;
        demand(
            self.logins_per_account > 0,
            "app.logins_per_account: takes a number from 1 up",
        )?;
        demand(
            self.hash_threads.is_none_or(|n| (1..=1024).contains(&n)),
            "app.hash_threads: takes a number from 1 to 1024",
        )
    }

    /// The origin that browsers see: `public_url`, else what Rocket listens on.
    pub fn origin(&self, rocket: &Config) -> String {
        if let Some(origin) = &self.public_url {
            return origin.to_string();
        }
        let host = match rocket.address {
            any if any.is_unspecified() => "localhost".to_owned(),
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        match rocket.port {
            80 => format!("http://{host}"),
            port => format!("http://{host}:{port}"),
        }
    }

    /// Whether pages of that origin may call the JSON API.
    pub fn may_call_api(&self, origin: &str) -> bool {
        let named = |allowed: &WebOrigin| allowed.to_string() == origin;
        self.cors_origins.iter().any(named)
    }

    /// Whether browsers reach the application by https.
    pub fn is_https(&self) -> bool {
        self.public_url.as_ref().is_some_and(WebOrigin::is_https)
    }
}

/// Refuses numbers of threads with which the runtime would panic.
fn demand_threads(rocket: &Config) -> Result<(), Unfit> {
    for (key, threads, most) in [
        (Config::WORKERS, rocket.workers, MOST_WORKERS),
        (Config::MAX_BLOCKING, rocket.max_blocking, MOST_BLOCKING),
    ] {
        if !(1..=most).contains(&threads) {
            return Err(Unfit(format!("{key}: takes a number from 1 to {most}")));
        }
    }
    Ok(())
}

/// Refuses a file that `ROCKET_CONFIG` names and that is not there: it is looked for here and in the
/// folders above.
fn demand_file() -> Result<(), Unfit> {
    let Some(name) = Env::var("ROCKET_CONFIG") else {
        return Ok(());
    };
    let here = std::env::current_dir().unwrap_or_default();
    if here.ancestors().any(|folder| folder.join(&name).is_file()) {
        Ok(())
    } else {
        Err(Unfit(format!("ROCKET_CONFIG: there is no file {name}")))
    }
}

/// Whether the values of a key, or of keys below it, may be secret.
pub(crate) fn holds_secrets(key: &str) -> bool {
    let tables = ["secret_key", "databases", "tls"];
    tables.iter().any(|table| key.starts_with(table))
}

/// Each error with its key and where the value came from, on one line. The values of keys that
/// may be secret are left out.
pub(crate) fn one_line(
    error: &rocket::figment::Error,
    may_be_secret: impl Fn(&str) -> bool,
) -> String {
    let line = |error: rocket::figment::Error| {
        let key = error.path.join(".");
        let what = match &error.kind {
            Kind::InvalidType(_, wanted) | Kind::InvalidValue(_, wanted) if may_be_secret(&key) => {
                format!("this value does not do; it takes {wanted}")
            }
            // A line that is no TOML comes with its text, which may be anything.
            kind => {
                let text = kind.to_string();
                let lines: Vec<&str> = text.lines().collect();
                match lines[..] {
                    [first, _, .., last] => format!("{first}: {last}"),
                    _ => text,
                }
            }
        };
        // A file that can't be read at all has no key.
        let what = match key.as_str() {
            "" => what,
            key => format!("{key}: {what}"),
        };
        match error.metadata.as_ref() {
            Some(data) => match data.source.as_ref().and_then(Source::file_path) {
                Some(file) => format!("{what} (in {})", file.display()),
                None => format!("{what} (in {})", data.name),
            },
            None => what,
        }
    };
    error
        .clone()
        .into_iter()
        .map(line)
        .collect::<Vec<_>>()
        .join("; ")
}

/// A folder that ships with the application (`templates`, `static`): in the working directory, or
/// beside the executable, or, for a development build, where it was built.
///
/// # Errors
/// It is in none of these places.
pub fn folder(name: &str) -> Result<PathBuf, Unfit> {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|exe| exe.parent().map(Path::to_owned));
    let source = cfg!(debug_assertions).then(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    [Some(PathBuf::from(".")), beside, source]
        .into_iter()
        .flatten()
        .map(|place| place.join(name))
        .find(|path| path.is_dir())
        .ok_or_else(|| {
            Unfit(format!(
                "the folder \"{name}\" is neither here nor beside the executable; \
                 start in the folder that holds it, or copy it there"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(key: &str, value: &str) -> Result<Settings, Unfit> {
        let figment = Figment::from(Config::debug_default())
            .merge(Toml::string(&format!("[debug.app]\n{key} = {value}")).nested());
        Settings::load(&figment)
    }

    #[test]
    fn unfit_values_are_refused_by_key() {
        for (key, value) in [
            ("tokne_ttl", "\"1d\""),
            ("token_ttl", "\"soon\""),
            ("token_ttl", "\"0s\""),
            ("token_ttl", "90"),
            ("token_prefix", "\"Mtk\""),
            ("token_prefix", "\"\""),
            ("tokens_per_user", "0"),
            ("tokens_full", "\"panic\""),
            ("public_url", "\"app.example.com\""),
            ("public_url", "\"https://app.example.com/path\""),
            ("password_min_length", "2000"),
            ("hash_memory_kib", "7"),
            ("hash_memory_kib", "4194305"),
            ("hash_iterations", "0"),
            ("hash_lanes", "0"),
            ("hash_threads", "0"),
            ("hash_threads", "1025"),
            ("token_ttl", "\"1001y\""),
            ("login_failures_per_account", "0"),
            ("login_failures_per_address", "0"),
            ("logins_per_account", "0"),
            ("cors_origins", "[\"*\"]"),
            ("cors_origins", "[\"null\"]"),
            ("trusted_proxies", "[\"everyone\"]"),
        ] {
            let error = load(key, value).expect_err(key).to_string();
            assert!(error.contains(key), "{key} is not named in: {error}");
        }
    }

    #[test]
    fn keys_that_nothing_reads_are_refused_by_name() {
        let load = |lines: &str| {
            let figment = Figment::from(Config::debug_default());
            Settings::load(&figment.merge(Toml::string(lines).nested()))
        };
        for (lines, key) in [
            ("[default]\nprot = 1", "prot"),
            ("[debug]\nenv = \"x\"", "env"),
            ("[global]\nlog = \"x\"", "log"),
            ("[default.shutdown]\ngarce = 1", "shutdown.garce"),
            ("[default.database]\nurl = \"x\"", "database"),
            (
                "[default.databases.multitokens]\nurl = \"x\"",
                "databases.multitokens",
            ),
            ("[default]\nworkers = 0", "workers"),
            ("[default]\nworkers = 100000", "workers"),
            ("[default]\nworkers = -1", "workers"),
            ("[default]\nmax_blocking = 0", "max_blocking"),
            ("[default]\nlimits = 1", "limits"),
            ("[default.limits]\njson = \"much\"", "limits.json"),
        ] {
            let error = load(lines).expect_err(lines).to_string();
            assert!(error.starts_with(&format!("{key}: ")), "{lines}: {error}");
        }
        for lines in [
            "[default.limits]\nmy-own = \"1MiB\"",
            "[default.shutdown]\nctrlc = true\nsignals = []\ngrace = 1\nmercy = 1\nforce = true",
            "[another]\nprot = 1",
        ] {
            assert!(load(lines).is_ok(), "{lines}");
        }
    }

    #[test]
    fn fit_values_are_taken() {
        assert_eq!(
            load("token_ttl", "\"never\"")
                .unwrap()
                .token_ttl
                .end_after(5),
            None
        );
        assert_eq!(
            load("token_ttl", "\"90d\"").unwrap().token_ttl.end_after(1),
            Some(7_776_001)
        );
        let settings = load("public_url", "\"https://App.example.com:443/\"").unwrap();
        assert!(settings.is_https());
        assert_eq!(
            settings.origin(&Config::debug_default()),
            "https://app.example.com"
        );
        for networks in ["[\"127.0.0.1\", \"10.0.0.0/8\"]", "[\"::1\", \"fd00::/8\"]"] {
            assert_eq!(
                load("trusted_proxies", networks)
                    .unwrap()
                    .trusted_proxies
                    .len(),
                2
            );
        }
        assert_eq!(load("hash_memory_kib", "8").unwrap().hash_memory_kib, 8);
    }

    #[test]
    fn requests_are_logged_in_every_profile() {
        for profile in ["debug", "release"] {
            let level: rocket::config::LogLevel = figment()
                .select(profile)
                .extract_inner("log_level")
                .unwrap();
            assert_eq!(level, rocket::config::LogLevel::Normal, "{profile}");
        }
    }

    #[test]
    fn secret_values_are_not_repeated_in_messages() {
        // The right length for a key, and no base64.
        let canary = "canary!!".repeat(11);
        let figment = Figment::from(Config::debug_default()).merge(("secret_key", &canary));
        let said = Settings::load(&figment).unwrap_err().to_string();
        assert!(said.starts_with("secret_key: this value"), "{said}");
        assert!(!said.contains("canary"), "{said}");

        let figment = Figment::new().merge(("databases.multitoken.url", &canary));
        let error = figment.extract_inner::<u16>("databases.multitoken.url");
        let said = one_line(&error.unwrap_err(), holds_secrets);
        assert!(said.starts_with("databases.multitoken.url: this value"));
        assert!(!said.contains("canary"), "{said}");
    }
}

//! Loading and validation of the settings.

use std::env;
use std::net::IpAddr;

use argon2::Params;
use figment::Figment;
use figment::providers::Env;
use rocket::Config;
use serde::Deserialize;

use super::invalid::InvalidSetting;
use super::settings::Settings;
use super::{secret_key, unknown_keys, variable};
use crate::secret;

/// The maximum memory of one hash. Without it, a typing error in the number could crash the process at the first login.
const MAX_HASH_MEMORY_KIB: u32 = 4 * 1024 * 1024;
/// The maximum number of worker threads. The process would panic if the operating system refused to create them.
const MAX_WORKERS: usize = 1024;
/// The maximum number of blocking threads, which are created on demand.
const MAX_BLOCKING_THREADS: usize = 65_536;

#[derive(Deserialize)]
struct Tables {
    #[serde(default)]
    app: Settings,
}

impl Settings {
    /// Reads and checks the whole configuration, including Rocket's part.
    ///
    /// # Errors
    /// A key is unknown or invalid. The text names it.
    pub fn load(figment: &Figment) -> Result<Self, InvalidSetting> {
        require_config_file()?;
        variable::require_utf8()?;
        // Rocket without its TLS feature would serve plain http without a warning.
        if figment.contains("tls") {
            return Err(InvalidSetting::new(
                "tls: this build serves plain http only; put an https reverse proxy in front of it",
            ));
        }
        unknown_keys::refuse(figment)?;
        Self::read(figment)
    }

    /// Reads and checks the application's part.
    ///
    /// # Errors
    /// A value is invalid. The text names its key.
    pub fn read(figment: &Figment) -> Result<Self, InvalidSetting> {
        let config: Config = figment.extract()?;
        check_threads(&config)?;
        let Tables { app: mut settings } = figment.extract()?;
        check(&settings)?;
        settings.port = match &settings.public_url {
            Some(origin) => origin.port(),
            None => Some(config.port).filter(|port| *port != 80),
        };
        settings.origin = origin(&settings, &config);
        (settings.name_key, settings.link_keys) = secret_key::derive_keys(figment);
        Ok(settings)
    }
}

fn origin(settings: &Settings, rocket: &Config) -> String {
    if let Some(origin) = &settings.public_url {
        return origin.to_string();
    }
    let host = match rocket.address {
        address if address.is_unspecified() => "localhost".to_owned(),
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    match rocket.port {
        80 => format!("http://{host}"),
        port => format!("http://{host}:{port}"),
    }
}

fn check(settings: &Settings) -> Result<(), InvalidSetting> {
    let (memory, passes, lanes) = (
        settings.hash_memory_kib,
        settings.hash_iterations,
        settings.hash_lanes,
    );
    for (key, number) in [
        ("tokens_per_user", settings.tokens_per_user),
        ("hash_lanes", lanes),
        ("hash_iterations", passes),
        (
            "login_failures_per_account",
            settings.login_failures_per_account,
        ),
        (
            "login_failures_per_address",
            settings.login_failures_per_address,
        ),
        ("logins_per_account", settings.logins_per_account),
    ] {
        require(number > 0, &format!("app.{key}: must be at least 1"))?;
    }
    require(
        !settings.name.trim().is_empty(),
        "app.name: must not be empty",
    )?;
    // The name appears in the subject of mails.
    let is_line = settings.name.chars().count() <= 100 && !settings.name.contains(char::is_control);
    require(
        is_line,
        "app.name: must be one line of at most 100 characters",
    )?;
    require(
        secret::is_prefix(&settings.token_prefix),
        "app.token_prefix: must be 1 to 12 characters of a-z and 0-9",
    )?;
    require(
        settings.mail_url.is_none() || settings.mail_from.is_some(),
        "app.mail_from: required if app.mail_url is set",
    )?;
    require(
        (1..=1024).contains(&settings.password_min_length),
        "app.password_min_length: must be a number from 1 to 1024",
    )?;
    require(
        memory <= MAX_HASH_MEMORY_KIB,
        "app.hash_memory_kib: must be at most 4194304 (4 GiB)",
    )?;
    require(
        Params::new(memory, passes, lanes, None).is_ok(),
        "app.hash_memory_kib: must be at least 8 × hash_lanes",
    )?;
    require(
        settings
            .hash_threads
            .is_none_or(|n| (1..=1024).contains(&n)),
        "app.hash_threads: must be a number from 1 to 1024",
    )
}

fn require(is_valid: bool, message: &str) -> Result<(), InvalidSetting> {
    if is_valid {
        Ok(())
    } else {
        Err(InvalidSetting::new(message))
    }
}

/// Refuses numbers of threads that would make the runtime panic.
fn check_threads(rocket: &Config) -> Result<(), InvalidSetting> {
    for (key, threads, max) in [
        (Config::WORKERS, rocket.workers, MAX_WORKERS),
        (
            Config::MAX_BLOCKING,
            rocket.max_blocking,
            MAX_BLOCKING_THREADS,
        ),
    ] {
        if !(1..=max).contains(&threads) {
            return Err(InvalidSetting::new(format!(
                "{key}: must be a number from 1 to {max}"
            )));
        }
    }
    Ok(())
}

/// Refuses a missing `ROCKET_CONFIG`. Like figment, it looks in the working directory and its parents.
fn require_config_file() -> Result<(), InvalidSetting> {
    let Some(name) = Env::var("ROCKET_CONFIG") else {
        return Ok(());
    };
    let current = env::current_dir().unwrap_or_default();
    if current
        .ancestors()
        .any(|folder| folder.join(&name).is_file())
    {
        Ok(())
    } else {
        Err(InvalidSetting::new(format!(
            "ROCKET_CONFIG: there is no file {name}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use figment::providers::{Format, Toml};

    use super::super::invalid::{format_error, may_hold_secret};
    use super::*;

    fn load(key: &str, value: &str) -> Result<Settings, InvalidSetting> {
        let figment = Figment::from(Config::debug_default())
            .merge(Toml::string(&format!("[debug.app]\n{key} = {value}")).nested());
        Settings::load(&figment)
    }

    #[test]
    fn invalid_values_are_refused_with_their_key() {
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
    fn unknown_keys_are_refused_by_name() {
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
    fn valid_values_are_accepted() {
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
        assert_eq!(settings.origin, "https://app.example.com");
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
    fn secret_values_are_not_repeated_in_messages() {
        // The length of a key, but not Base64.
        let canary = "canary!!".repeat(11);
        let figment = Figment::from(Config::debug_default()).merge(("secret_key", &canary));
        let said = Settings::load(&figment).unwrap_err().to_string();
        assert!(said.starts_with("secret_key: this value"), "{said}");
        assert!(!said.contains("canary"), "{said}");

        let figment = Figment::new().merge(("databases.multitoken.url", &canary));
        let error = figment.extract_inner::<u16>("databases.multitoken.url");
        let said = format_error(&error.unwrap_err(), may_hold_secret);
        assert!(said.starts_with("databases.multitoken.url: this value"));
        assert!(!said.contains("canary"), "{said}");
    }
}

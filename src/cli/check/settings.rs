//! What the settings say.

use rocket::Config;
use rocket::config::LogLevel;
use rocket::figment::Figment;

use super::Findings;
use crate::cli::Failure;
use crate::config::{self, Lifetime, Settings, WebOrigin};

/// Memory in KiB, and the passes over it that it takes at least: the OWASP Password Storage Cheat Sheet's
/// choices for Argon2id, which are equally strong.
const OWASP: [(u32, u32); 5] = [
    (47_104, 1),
    (19_456, 2),
    (12_288, 3),
    (9_216, 4),
    (7_168, 5),
];
/// Characters of a password (OWASP ASVS 5.0, 6.2.1).
const SHORTEST_PASSWORD: usize = 8;
/// Failures that an account may take before it is closed to guessing (NIST SP 800-63B-4, 3.2.2). Here it is
/// open again after five minutes.
const MOST_FAILURES_PER_ACCOUNT: u32 = 100;
/// Twenty times the default: more people than that do not mistype from behind one address.
const MOST_FAILURES_PER_ADDRESS: u32 = 1000;

pub(super) fn judge(
    figment: &Figment,
    settings: &Settings,
    found: &mut Findings,
) -> Result<(), Failure> {
    let rocket: Config = figment
        .extract()
        .map_err(|error| Failure::Refused(error.to_string()))?;
    profile(figment, found);
    if let Some(complaint) = config::secret_key_complaint(figment)? {
        found.must_fix("secret_key", complaint);
    }
    public_url(&rocket, settings, found);
    proxies(&rocket, settings, found);
    cors(settings, found);
    passwords(settings, found);
    guessing(settings, found);
    lifetimes(settings, found);
    observation(&rocket, settings, found);
    Ok(())
}

fn profile(figment: &Figment, found: &mut Findings) {
    if figment.profile() == Config::DEBUG_PROFILE {
        found.must_fix(
            "ROCKET_PROFILE",
            "the debug profile starts without a secret_key of its own; set it to release, or take a \
             release build",
        );
    }
    if cfg!(debug_assertions) {
        found.advise(
            "build",
            "this is a debug build, which is many times slower; take one of cargo build --release",
        );
    }
}

fn public_url(rocket: &Config, settings: &Settings, found: &mut Findings) {
    const MEND: &str = "cookies go without Secure and passwords can be read on the way; have a proxy \
                        speak https, and name the https origin here";
    match &settings.public_url {
        Some(url) if url.is_https() => {}
        Some(url) => found.must_fix("app.public_url", format!("{url} is plain http: {MEND}")),
        None => {
            let origin = settings.origin(rocket);
            found.must_fix(
                "app.public_url",
                format!("there is none, so it is {origin}: {MEND}"),
            );
        }
    }
}

fn proxies(rocket: &Config, settings: &Settings, found: &mut Findings) {
    const KEY: &str = "app.trusted_proxies";
    let address = rocket.address;
    if settings.trusted_proxies.is_empty() {
        let shared = format!(
            "it names none, so that all who come by a proxy count as one, whom {} failed logins shut out; \
             name the proxy's address",
            settings.login_failures_per_address
        );
        if address.is_loopback() {
            found.must_fix(KEY, shared);
        } else {
            let open = "whoever comes without one speaks plain http and has no time-out";
            found.must_fix(
                KEY,
                format!("the server listens on {address}, and {shared}; {open}"),
            );
        }
    } else if !address.is_loopback() {
        found.advise(
            "address",
            format!(
                "the server listens on {address}; see to it that only the proxy gets there, by a firewall \
                 or a network of their own, or listen on 127.0.0.1"
            ),
        );
    }
    for network in settings
        .trusted_proxies
        .iter()
        .filter(|network| network.is_vast())
    {
        found.must_fix(
            KEY,
            format!(
                "{network} is half the internet and more, where anybody may claim any address; name the \
                 proxies' own"
            ),
        );
    }
}

fn cors(settings: &Settings, found: &mut Findings) {
    const KEY: &str = "app.cors_origins";
    let plain = |origin: &&WebOrigin| !origin.is_https();
    for origin in settings.cors_origins.iter().filter(plain) {
        if origin.is_loopback() {
            found.advise(
                KEY,
                format!(
                    "{origin} is on each visitor's own machine; take it out if it is a developer's"
                ),
            );
        } else {
            found.must_fix(
                KEY,
                format!(
                    "pages of {origin} can be changed on the way, and with them what they send here; \
                     name an https origin"
                ),
            );
        }
    }
}

fn passwords(settings: &Settings, found: &mut Findings) {
    let (memory, passes) = (settings.hash_memory_kib, settings.hash_iterations);
    let suffices = |(least, with): (u32, u32)| memory >= least && passes >= with;
    if !OWASP.into_iter().any(suffices) {
        let choices = OWASP.map(|(least, with)| format!("{least} with {with}"));
        found.must_fix(
            "app.hash_memory_kib",
            format!(
                "{memory} with hash_iterations = {passes} makes hashes that are guessed too fast; OWASP \
                 asks for {}",
                choices.join(" or ")
            ),
        );
    }
    let least = settings.password_min_length;
    if least < SHORTEST_PASSWORD {
        found.must_fix(
            "app.password_min_length",
            format!("passwords of {least} are guessed; ask for {SHORTEST_PASSWORD} at least"),
        );
    }
}

fn guessing(settings: &Settings, found: &mut Findings) {
    for (key, limit, most) in [
        (
            "app.login_failures_per_account",
            settings.login_failures_per_account,
            MOST_FAILURES_PER_ACCOUNT,
        ),
        (
            "app.login_failures_per_address",
            settings.login_failures_per_address,
            MOST_FAILURES_PER_ADDRESS,
        ),
    ] {
        if limit > most {
            found.must_fix(
                key,
                format!(
                    "{limit} guesses in five minutes are as good as no limit; allow {most} at most"
                ),
            );
        }
    }
}

fn lifetimes(settings: &Settings, found: &mut Findings) {
    let is_endless = |life: Lifetime| life.length().is_none();
    for (key, absolute, idle, what) in [
        (
            "app.token_idle_ttl",
            settings.token_ttl,
            settings.token_idle_ttl,
            "token_ttl: a token that was lost or stolen opens the door for ever",
        ),
        (
            "app.admin_idle_ttl",
            settings.admin_session_ttl,
            settings.admin_idle_ttl,
            "admin_session_ttl: a browser that was left somewhere stays signed in for ever",
        ),
    ] {
        if is_endless(absolute) && is_endless(idle) {
            found.must_fix(
                key,
                format!("it is \"never\", as is {what}; let one of them end"),
            );
        }
    }
}

fn observation(rocket: &Config, settings: &Settings, found: &mut Findings) {
    if settings.metrics {
        found.advise(
            "app.metrics",
            "whoever reaches /metrics reads it; have the proxy refuse that path",
        );
    }
    match rocket.log_level {
        LogLevel::Normal => {}
        LogLevel::Debug => found.advise(
            "log_level",
            "debug is for looking for a fault; set it to normal",
        ),
        LogLevel::Critical | LogLevel::Off => found.advise(
            "log_level",
            "requests leave no line, and after an incident there is nothing to look at; set it to normal",
        ),
    }
}

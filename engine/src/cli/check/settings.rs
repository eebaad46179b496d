//! Findings about the settings.

use figment::Figment;
use rocket::Config;
use rocket::config::LogLevel;

use super::Findings;
use crate::cli::Failure;
use crate::config::{self, Lifetime, MailUrl, Settings, SignUpPolicy, WebOrigin};

/// Argon2id memory in KiB, each with its minimum of iterations. The OWASP Password Storage Cheat Sheet calls these
/// equally strong.
const OWASP_MINIMUMS: [(u32, u32); 5] = [
    (47_104, 1),
    (19_456, 2),
    (12_288, 3),
    (9_216, 4),
    (7_168, 5),
];
/// In characters (OWASP ASVS 5.0, 6.2.1).
const MIN_PASSWORD_LENGTH: usize = 8;
/// NIST SP 800-63B-4, 3.2.2, allows 100 failures before an account is closed. Here it reopens after five
/// minutes, and after 20, 50 and 100 failures in a row after 15 minutes, an hour and a day.
const MAX_FAILURES_PER_ACCOUNT: u32 = 100;
/// Twenty times the default. Mistyped passwords from one address do not reach it.
const MAX_FAILURES_PER_ADDRESS: u32 = 1000;

pub(super) fn check(
    figment: &Figment,
    settings: &Settings,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let rocket: Config = figment
        .extract()
        .map_err(|error| Failure::Refused(error.to_string()))?;
    profile(figment, findings);
    if let Some(complaint) = config::secret_key_problem(figment)? {
        findings.must_fix("secret_key", complaint);
    }
    public_url(settings, findings);
    proxies(&rocket, settings, findings);
    cors(settings, findings);
    passwords(settings, findings);
    login_limits(settings, findings);
    lifetimes(settings, findings);
    mail(settings, findings);
    observability(&rocket, settings, findings);
    Ok(())
}

fn profile(figment: &Figment, findings: &mut Findings) {
    if figment.profile() == Config::DEBUG_PROFILE {
        findings.must_fix(
            "ROCKET_PROFILE",
            "the debug profile does not require a secret_key; set ROCKET_PROFILE to release, or use a \
             release build",
        );
    }
    if cfg!(debug_assertions) {
        findings.advise(
            "build",
            "this is a debug build, which is many times slower; use cargo build --release",
        );
    }
}

fn public_url(settings: &Settings, findings: &mut Findings) {
    const FIX: &str = "cookies are sent without Secure, and passwords can be read on the network; put an \
                        https reverse proxy in front and set app.public_url to its https origin";
    match &settings.public_url {
        Some(url) if url.is_https() => {}
        Some(url) => findings.must_fix("app.public_url", format!("{url} is plain http: {FIX}")),
        None => {
            let origin = &settings.origin;
            findings.must_fix(
                "app.public_url",
                format!("not set, so the origin is {origin}: {FIX}"),
            );
        }
    }
}

fn proxies(rocket: &Config, settings: &Settings, findings: &mut Findings) {
    const KEY: &str = "app.trusted_proxies";
    let address = rocket.address;
    if settings.trusted_proxies.is_empty() {
        let shared = format!(
            "no proxy is set, so all clients behind a proxy share its address, and {} failed logins block \
             them all; add the proxy's address",
            settings.login_failures_per_address
        );
        if address.is_loopback() {
            findings.must_fix(KEY, shared);
        } else {
            let open = "clients can bypass the proxy and use plain http without timeouts";
            findings.must_fix(
                KEY,
                format!("the server listens on {address}, so {open}. Also, {shared}"),
            );
        }
    } else if !address.is_loopback() {
        findings.advise(
            "address",
            format!(
                "the server listens on {address}; make sure that only the proxy can reach it, with a firewall \
                 or a private network, or listen on 127.0.0.1"
            ),
        );
    }
    for network in settings
        .trusted_proxies
        .iter()
        .filter(|network| network.is_too_wide())
    {
        findings.must_fix(
            KEY,
            format!(
                "{network} covers half of the internet or more, so clients can forge their address; list only \
                 the addresses of your proxies"
            ),
        );
    }
}

fn cors(settings: &Settings, findings: &mut Findings) {
    const KEY: &str = "app.cors_origins";
    let plain = |origin: &&WebOrigin| !origin.is_https();
    for origin in settings.cors_origins.iter().filter(plain) {
        if origin.is_loopback() {
            findings.advise(
                KEY,
                format!(
                    "{origin} is on each visitor's own machine; remove it if it is only for development"
                ),
            );
        } else {
            findings.must_fix(
                KEY,
                format!(
                    "{origin} is plain http, so an attacker on the network can change its pages and their \
                     requests; use an https origin"
                ),
            );
        }
    }
}

fn passwords(settings: &Settings, findings: &mut Findings) {
    let (memory, passes) = (settings.hash_memory_kib, settings.hash_iterations);
    let suffices =
        |(min_memory, min_passes): (u32, u32)| memory >= min_memory && passes >= min_passes;
    if !OWASP_MINIMUMS.into_iter().any(suffices) {
        let choices = OWASP_MINIMUMS.map(|(memory, passes)| format!("{memory} with {passes}"));
        findings.must_fix(
            "app.hash_memory_kib",
            format!(
                "{memory} with hash_iterations = {passes} is weaker than OWASP recommends, so stolen hashes are \
                 easier to crack; use at least {}",
                choices.join(" or ")
            ),
        );
    }
    let length = settings.password_min_length;
    if length < MIN_PASSWORD_LENGTH {
        findings.must_fix(
            "app.password_min_length",
            format!("passwords of {length} characters are too easy to guess; require at least {MIN_PASSWORD_LENGTH}"),
        );
    }
}

fn login_limits(settings: &Settings, findings: &mut Findings) {
    for (key, limit, max) in [
        (
            "app.login_failures_per_account",
            settings.login_failures_per_account,
            MAX_FAILURES_PER_ACCOUNT,
        ),
        (
            "app.login_failures_per_address",
            settings.login_failures_per_address,
            MAX_FAILURES_PER_ADDRESS,
        ),
    ] {
        if limit > max {
            findings.must_fix(
                key,
                format!(
                    "{limit} attempts in five minutes do not stop password guessing; allow at most {max}"
                ),
            );
        }
    }
}

fn lifetimes(settings: &Settings, findings: &mut Findings) {
    let is_endless = |life: Lifetime| life.duration().is_none();
    for (key, absolute, idle, what) in [
        (
            "app.token_idle_ttl",
            settings.token_ttl,
            settings.token_idle_ttl,
            "token_ttl are \"never\", so a lost or stolen token works forever",
        ),
        (
            "app.admin_idle_ttl",
            settings.admin_session_ttl,
            settings.admin_idle_ttl,
            "admin_session_ttl are \"never\", so an abandoned browser stays signed in forever",
        ),
        (
            "app.account_idle_ttl",
            settings.account_session_ttl,
            settings.account_idle_ttl,
            "account_session_ttl are \"never\", so an abandoned browser stays signed in forever",
        ),
    ] {
        if is_endless(absolute) && is_endless(idle) {
            findings.must_fix(key, format!("this setting and {what}; limit one of them"));
        }
    }
}

fn mail(settings: &Settings, findings: &mut Findings) {
    const KEY: &str = "app.mail_url";
    match &settings.mail_url {
        None if settings.sign_up != SignUpPolicy::Closed => findings.advise(
            KEY,
            "not set, so users who sign up cannot verify their email address or reset a forgotten password; \
             set app.mail_url and app.mail_from",
        ),
        Some(MailUrl::Folder(folder)) => findings.advise(
            KEY,
            format!(
                "emails are written to {} and not delivered; set a mail server",
                folder.display()
            ),
        ),
        _ => {}
    }
}

fn observability(rocket: &Config, settings: &Settings, findings: &mut Findings) {
    if settings.metrics {
        findings.advise(
            "app.metrics",
            "/metrics needs no authentication; make sure that the proxy blocks it, as deploy/Caddyfile does",
        );
    }
    match rocket.log_level {
        LogLevel::Normal => {}
        LogLevel::Debug => findings.advise(
            "log_level",
            "debug is only for troubleshooting; set it to normal",
        ),
        LogLevel::Critical | LogLevel::Off => findings.advise(
            "log_level",
            "requests are not logged, so incidents cannot be investigated; set it to normal",
        ),
    }
}

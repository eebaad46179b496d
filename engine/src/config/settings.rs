//! The application's settings: the table `app`.

use serde::Deserialize;

use super::lifetime::Lifetime;
use super::mail::{MailUrl, Sender};
use super::network::TrustedNetwork;
use super::origin::WebOrigin;
use crate::secret::{LinkKeys, NameKey};

/// The application's settings. Each field is a key of the table `app`, unless it is derived.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a table such as {name=\"Acme\"}"
)]
pub struct Settings {
    /// The application's title on pages and in mails.
    pub name: String,
    /// The origin that browsers see. By default it is made of `address` and `port`.
    pub public_url: Option<WebOrigin>,
    /// The prefix of new tokens.
    pub token_prefix: String,
    /// Absolute lifetime of a token. The default is 90 days, because clients should rarely ask for the password. NIST
    /// SP 800-63B-4 (2.1.3) recommends at most 30 days for a person's session at AAL1.
    pub token_ttl: Lifetime,
    /// Idle timeout of a token. The default is 30 days, because most clients that pause longer are gone.
    pub token_idle_ttl: Lifetime,
    /// Maximum number of live tokens of kind `api` per user. The default is 50: more clients than a person has, and few
    /// enough to review.
    pub tokens_per_user: u32,
    /// What a login does at that maximum.
    pub tokens_full: TokenLimitPolicy,
    /// Retention of the audit log.
    pub events_ttl: Lifetime,
    /// Absolute lifetime of an admin session. The default is a working day. NIST SP 800-63B-4 (2.2.3) allows 24 hours.
    pub admin_session_ttl: Lifetime,
    /// Idle timeout of an admin session. The default is 30 minutes. NIST SP 800-63B-4 (2.2.3) allows an hour.
    pub admin_idle_ttl: Lifetime,
    /// Absolute lifetime of an account session. The default is 30 days, the maximum that NIST SP 800-63B-4 (2.1.3)
    /// recommends at AAL1.
    pub account_session_ttl: Lifetime,
    /// Idle timeout of an account session.
    pub account_idle_ttl: Lifetime,
    /// Minimum length of a password, in characters.
    pub password_min_length: usize,
    /// Memory of one Argon2id hash, in KiB (OWASP: 19,456 with 2 iterations).
    pub hash_memory_kib: u32,
    /// Passes of one Argon2id hash over its memory.
    pub hash_iterations: u32,
    /// Lanes of one Argon2id hash.
    pub hash_lanes: u32,
    /// Maximum number of concurrent hashes. By default the number of cores.
    pub hash_threads: Option<usize>,
    /// Networks of the proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<TrustedNetwork>,
    /// Whether live tokens are cached. If not, each request queries the database.
    pub token_cache: bool,
    /// Origins whose pages may call the JSON API.
    pub cors_origins: Vec<WebOrigin>,
    /// Maximum number of failed logins to an account by strangers in five minutes. NIST SP 800-63B-4 (3.2.2) allows up
    /// to 100 consecutive failures before the account is disabled.
    pub login_failures_per_account: u32,
    /// Maximum number of failed logins from an address in five minutes.
    pub login_failures_per_address: u32,
    /// Maximum number of successful logins to an account in five minutes. Each one writes to the database, so a client
    /// that signs in constantly would fill the disk.
    pub logins_per_account: u32,
    /// Who may sign up.
    pub sign_up: SignUpPolicy,
    /// The mail server. Without it, no mail is sent.
    pub mail_url: Option<MailUrl>,
    /// The sender of mails.
    pub mail_from: Option<Sender>,
    /// Whether `/metrics` is served, without authentication.
    pub metrics: bool,
    /// The origin that browsers see: `public_url`, or else Rocket's address and port.
    #[serde(skip)]
    pub origin: String,
    /// The key of pseudonyms, derived from `secret_key`.
    #[serde(skip)]
    pub name_key: NameKey,
    /// The keys of one-time links, derived from `secret_key`.
    #[serde(skip)]
    pub link_keys: LinkKeys,
    /// The port of that origin, unless it is the scheme's default.
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
            token_ttl: Lifetime::from_secs(90 * DAY),
            token_idle_ttl: Lifetime::from_secs(30 * DAY),
            tokens_per_user: 50,
            tokens_full: TokenLimitPolicy::EvictOldest,
            events_ttl: Lifetime::from_secs(365 * DAY),
            admin_session_ttl: Lifetime::from_secs(8 * 60 * 60),
            admin_idle_ttl: Lifetime::from_secs(30 * 60),
            account_session_ttl: Lifetime::from_secs(30 * DAY),
            account_idle_ttl: Lifetime::from_secs(14 * DAY),
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
            sign_up: SignUpPolicy::Closed,
            mail_url: None,
            mail_from: None,
            metrics: false,
            origin: String::new(),
            name_key: NameKey::default(),
            link_keys: LinkKeys::default(),
            port: None,
        }
    }
}

/// What happens at a login of a user with `tokens_per_user` live tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenLimitPolicy {
    /// The oldest token ends.
    EvictOldest,
    /// The login is refused.
    Reject,
}

/// Who may sign up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignUpPolicy {
    /// Nobody.
    Closed,
    /// Anyone with an invitation.
    Invite,
    /// Anyone.
    Open,
}

impl Settings {
    pub(crate) fn is_cors_origin(&self, origin: &str) -> bool {
        let is_allowed = |allowed: &WebOrigin| allowed.to_string() == origin;
        self.cors_origins.iter().any(is_allowed)
    }

    /// Whether browsers use https.
    pub fn is_https(&self) -> bool {
        self.public_url.as_ref().is_some_and(WebOrigin::is_https)
    }
}

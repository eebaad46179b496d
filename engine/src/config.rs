//! Typed settings: Rocket's figment with the application's table `app`, and their validation.

use figment::providers::{Env, Format, Serialized, Toml};
use figment::{Figment, Profile};
use rocket::Config;

use self::variable::Variable;
use crate::application::application;

mod invalid;
mod lifetime;
mod load;
mod mail;
mod network;
mod origin;
mod secret_key;
mod settings;
mod unknown_keys;
mod variable;

pub use self::invalid::InvalidSetting;
pub(crate) use self::invalid::format_error;
pub use self::lifetime::Lifetime;
pub(crate) use self::mail::SmtpEncryption;
pub use self::mail::{MailUrl, Sender, SmtpServer};
pub use self::network::TrustedNetwork;
pub use self::origin::WebOrigin;
pub(crate) use self::secret_key::{check_secret_key, secret_key_problem};
pub use self::settings::{Settings, SignUpPolicy, TokenLimitPolicy};

/// The settings of Rocket and of the application. Later sources win: built-in defaults, `Rocket.toml` (or the file that
/// `ROCKET_CONFIG` names), `PORT`, `ROCKET_*`, `DATABASE_URL`.
pub(crate) fn figment() -> Figment {
    let url = format!("{}.url", database_key());
    let file = format!("sqlite:data/{}.db", application().name);
    Figment::from(Config::default())
        // Any client could claim an address with `X-Real-IP`. The `Server` header helps only attackers.
        .merge(Serialized::default("ip_header", false))
        .merge(Serialized::default("ident", false))
        // Rocket's release profile logs warnings only, without the line of each request.
        .merge(Serialized::default("log_level", "normal"))
        // Seconds for requests in flight at shutdown. A full hash queue may take longer than Rocket's default of two.
        .merge(Serialized::default("shutdown.grace", 10))
        .merge(Serialized::default(&url, file))
        .merge(Toml::file(Env::var_or("ROCKET_CONFIG", "Rocket.toml")).nested())
        // Platforms that assign a port use this variable.
        .merge(Variable::read("PORT", "port"))
        .merge(Env::prefixed("ROCKET_").ignore(&["PROFILE"]).global())
        .select(Profile::from_env_or(
            "ROCKET_PROFILE",
            Config::DEFAULT_PROFILE,
        ))
        .merge(Variable::text("DATABASE_URL", &url))
}

/// The key of the database's settings: `databases.<name>`.
pub(crate) fn database_key() -> String {
    format!("databases.{}", application().name)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}

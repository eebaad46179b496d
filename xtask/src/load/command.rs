//! Commands of the release binary, and free ports.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::load::Result;

/// The settings that a server starts with.
#[derive(Clone, Copy)]
pub enum ServerSettings {
    Default,
    /// With `token_cache = false`.
    WithoutCache,
}

/// A command of the release binary on a database, with the secret key that a release build requires.
pub fn app_command(url: &str, settings: ServerSettings) -> Command {
    let key = rand::random::<[u128; 2]>().map(|half| format!("{half:032x}"));
    let app = match settings {
        // The load test signs in more often than the default rate limits allow.
        ServerSettings::Default => {
            "{logins_per_account=4294967295,login_failures_per_address=4294967295}"
        }
        ServerSettings::WithoutCache => {
            "{logins_per_account=4294967295,login_failures_per_address=4294967295,token_cache=false}"
        }
    };
    let mut command = Command::new(crate::release_binary());
    command
        .current_dir(crate::ROOT)
        .env("DATABASE_URL", url)
        .env("ROCKET_SECRET_KEY", key.concat())
        .env("ROCKET_APP", app)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// A port that was free a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

//! The URL of a PostgreSQL database, for sqlx, for PostgreSQL's tools and for messages.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::Fault;

mod url;

/// A parsed PostgreSQL URL. Absent parts come from `PGHOST`, `PGUSER` and so on, or their defaults.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Server {
    user: Option<String>,
    password: Option<String>,
    /// A name, an IP address without brackets, or the folder of a socket.
    host: Option<String>,
    port: Option<u16>,
    database: Option<String>,
    /// Other parameters, by the names that sqlx and PostgreSQL's tools share.
    parameters: Vec<(String, String)>,
}

/// Parameters that PostgreSQL's tools and sqlx both accept, with sqlx's alternative names.
const SHARED_PARAMETERS: [(&str, &[&str]); 6] = [
    ("application_name", &[]),
    ("options", &[]),
    ("sslmode", &["ssl-mode"]),
    ("sslrootcert", &["ssl-root-cert", "ssl-ca"]),
    ("sslcert", &["ssl-cert"]),
    ("sslkey", &["ssl-key"]),
];

impl Server {
    /// The connect options for sqlx.
    ///
    /// # Errors
    /// A file that the URL names, or a variable such as `PGSSLMODE`, can't be read.
    pub fn options(&self) -> Result<PgConnectOptions, Fault> {
        PgConnectOptions::from_str(&self.url()).map_err(|_| Fault::unreadable_url())
    }

    /// The URL for sqlx, which accepts IPv6 addresses and socket folders only as parameters.
    pub(super) fn url(&self) -> String {
        let port = self.port.map(|port| port.to_string());
        let components = [
            ("host", &self.host),
            ("port", &port),
            ("user", &self.user),
            ("password", &self.password),
            ("dbname", &self.database),
        ];
        let components = components
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let rest = self
            .parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value));
        format!("postgres:///{}", query_string(components.chain(rest)))
    }

    /// The URL for PostgreSQL's tools, without the password.
    pub fn url_for_tools(&self) -> String {
        let user = self.user.as_ref().map(|user| format!("{}@", encode(user)));
        let host = self.host.as_ref().map(|host| match host.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => format!("[{address}]"),
            _ => encode(host),
        });
        let port = self.port.map(|port| format!(":{port}"));
        let database = self
            .database
            .as_ref()
            .map(|name| format!("/{}", encode(name)));
        let is_shared = |(name, _): &&(String, String)| {
            SHARED_PARAMETERS.iter().any(|(shared, _)| shared == name)
        };
        let rest = self.parameters.iter().filter(is_shared);
        format!(
            "postgres://{}{}{}{}{}",
            user.unwrap_or_default(),
            host.unwrap_or_default(),
            port.unwrap_or_default(),
            database.unwrap_or_default(),
            query_string(rest.map(|(name, value)| (name.as_str(), value)))
        )
    }

    /// The location for messages, without password and parameters.
    pub(super) fn place(&self) -> String {
        let Ok(options) = self.options() else {
            return "PostgreSQL".into();
        };
        let port = options.get_port();
        let database = options.get_database().unwrap_or(options.get_username());
        let host = options.get_host();
        let folder = options.get_socket().map(PathBuf::as_path);
        let folder = folder.or_else(|| host.starts_with('/').then(|| Path::new(host)));
        match folder {
            Some(folder) => {
                let socket = folder.join(format!(".s.PGSQL.{port}"));
                format!("PostgreSQL at {}, database {database}", socket.display())
            }
            None if host.contains(':') => format!("PostgreSQL at [{host}]:{port}/{database}"),
            None => format!("PostgreSQL at {host}:{port}/{database}"),
        }
    }

    /// The certificate and key files that the URL names.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &Path)> {
        let is_file = |(name, value): &&(String, String)| {
            ["sslrootcert", "sslcert", "sslkey"].contains(&name.as_str())
                // The parameter may be the certificate itself.
                && !value.starts_with("-----BEGIN")
        };
        let files = self.parameters.iter().filter(is_file);
        files.map(|(name, value)| (name.as_str(), Path::new(value)))
    }
}

/// The timeout for resolving a host name.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether another machine could impersonate the server: the connection uses a network and does not verify the
/// certificate.
pub async fn can_be_impersonated(server: &PgConnectOptions) -> bool {
    if matches!(
        server.get_ssl_mode(),
        PgSslMode::VerifyCa | PgSslMode::VerifyFull
    ) {
        return false;
    }
    let host = server.get_host();
    if server.get_socket().is_some() || host.starts_with('/') {
        return false;
    }
    match timeout(LOOKUP_TIMEOUT, lookup_host((host, server.get_port()))).await {
        Ok(Ok(mut addresses)) => {
            !addresses.all(|address| address.ip().to_canonical().is_loopback())
        }
        _ => true,
    }
}

/// Unreserved characters (RFC 3986, section 2.3).
const ENCODE_SET: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

fn encode(text: &str) -> String {
    utf8_percent_encode(text, &ENCODE_SET).to_string()
}

fn query_string<'a>(pairs: impl Iterator<Item = (&'a str, &'a String)>) -> String {
    let pairs: Vec<_> = pairs
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    match pairs.len() {
        0 => String::new(),
        _ => format!("?{}", pairs.join("&")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rest: &str) -> Server {
        Server::parse(rest).unwrap_or_else(|why| panic!("{rest} {why}"))
    }

    #[test]
    fn the_url_determines_the_host_or_socket() {
        for (url, host, socket) in [
            ("u@[::1]:5433/db", "::1", None),
            ("u@h:5433/db", "h", None),
            ("u@%2Frun%2Fpg:5433/db", "", Some("/run/pg")),
            ("u@:5433/db?host=/run/pg", "", Some("/run/pg")),
        ] {
            let options = parse(url).options().unwrap();
            let folder = options.get_socket().map(|folder| folder.to_str().unwrap());
            assert_eq!(folder, socket, "{url}");
            assert!(socket.is_some() || options.get_host() == host, "{url}");
            assert_eq!(
                (options.get_port(), options.get_username()),
                (5433, "u"),
                "{url}"
            );
            assert_eq!(options.get_database(), Some("db"), "{url}");
        }
    }

    #[test]
    fn printed_urls_contain_no_password() {
        for (url, place, for_tools) in [
            (
                "u:canary@[::1]:5433/db?sslmode=require",
                "PostgreSQL at [::1]:5433/db",
                "postgres://u@[::1]:5433/db?sslmode=require",
            ),
            (
                "u:canary@h:5433/db?password=canary&ssl-mode=require&statement-cache-capacity=9",
                "PostgreSQL at h:5433/db",
                "postgres://u@h:5433/db?sslmode=require",
            ),
            (
                "u:canary@%2Frun%2Fpg:5433/db",
                "PostgreSQL at /run/pg/.s.PGSQL.5433, database db",
                "postgres://u@%2Frun%2Fpg:5433/db",
            ),
            (
                "h:5433/d%20b?user=u&password=canary&options=-c%20a%3Db",
                "PostgreSQL at h:5433/d b",
                "postgres://u@h:5433/d%20b?options=-c%20a%3Db",
            ),
        ] {
            let server = parse(url);
            assert_eq!(server.place(), place);
            assert_eq!(server.url_for_tools(), for_tools);
            assert_eq!(
                parse(for_tools.trim_start_matches("postgres://")).place(),
                place
            );
        }
    }
}

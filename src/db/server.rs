//! Where a PostgreSQL database is: its URL, read as PostgreSQL's own tools read it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rocket::tokio::net::lookup_host;
use rocket::tokio::time::timeout;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::Fault;

/// A database of a PostgreSQL server. What is absent comes from `PGHOST`, `PGUSER`, … or their defaults.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Server {
    user: Option<String>,
    password: Option<String>,
    /// A name, an address without brackets, or the folder of a socket.
    host: Option<String>,
    port: Option<u16>,
    database: Option<String>,
    /// The rest, under the names that sqlx and PostgreSQL's tools share.
    parameters: Vec<(String, String)>,
}

/// Other parameters that PostgreSQL's tools take and sqlx takes, too; those of the tools come first.
const TAKEN: [(&str, &[&str]); 6] = [
    ("application_name", &[]),
    ("options", &[]),
    ("sslmode", &["ssl-mode"]),
    ("sslrootcert", &["ssl-root-cert", "ssl-ca"]),
    ("sslcert", &["ssl-cert"]),
    ("sslkey", &["ssl-key"]),
];
/// sqlx alone takes it.
const CACHE: &str = "statement-cache-capacity";
/// Parameters of PostgreSQL's tools that change nothing here: the time to connect has its own setting, and
/// there is one host, which has to take writes.
const WITHOUT_EFFECT: [&str; 11] = [
    "client_encoding",
    "connect_timeout",
    "fallback_application_name",
    "gssencmode",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
];

const PASSWORD: &str = "can't be read; what is no letter or digit in a password must be percent-encoded (`/` is `%2F`)";
const HOSTS: &str = "names several hosts; name one";
const PORT: &str = "has a port that is no number from 1 to 65535";

impl Server {
    /// Reads what stands behind `postgres://`, in the steps of libpq's `conninfo_uri_parse_options`
    /// (`fe-connect.c`). What it complains of never repeats the URL, in which a password may stand anywhere.
    pub(super) fn parse(rest: &str) -> Result<Self, String> {
        let mut server = Self::default();
        let head = rest.split('/').next().unwrap_or(rest);
        let (credentials, rest) = match last_at(head) {
            Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
            None => (None, rest),
        };
        if let Some(credentials) = credentials {
            let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
            server.user = filled(decoded(user)?);
            server.password = filled(decoded(password)?);
        }
        let net = rest.split(['/', '?']).next().unwrap_or(rest);
        let (path, query) = rest[net.len()..]
            .split_once('?')
            .unwrap_or((&rest[net.len()..], ""));
        let database = path.strip_prefix('/').unwrap_or(path);
        // A password with a `/` in it ends up where the database's name should be.
        if database.contains(['@', ':', '/']) {
            return Err(PASSWORD.into());
        }
        server.database = filled(decoded(database)?);
        server.read_net(net)?;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let may_be_password = credentials.is_none() && query.contains('@');
            let named = pair.split_once('=');
            let (name, value) = named.ok_or("has a parameter without a value")?;
            let taken = server.read_parameter(&decoded(name)?, decoded(value)?);
            taken.map_err(|why| {
                if may_be_password {
                    PASSWORD.into()
                } else {
                    why
                }
            })?;
        }
        Ok(server)
    }

    /// `HOST:PORT`, either of which may be missing.
    fn read_net(&mut self, net: &str) -> Result<(), String> {
        if net.contains(',') {
            return Err(HOSTS.into());
        }
        let (host, port) = match net.strip_prefix('[') {
            Some(bracketed) => {
                let (address, port) = bracketed
                    .split_once(']')
                    .ok_or("has a bracket without its other half")?;
                let is_end = port.is_empty() || port.starts_with(':');
                if address.is_empty() || !is_end {
                    return Err("has an IPv6 address that can't be read".into());
                }
                (address, port.strip_prefix(':').unwrap_or_default())
            }
            None => net.split_once(':').unwrap_or((net, "")),
        };
        if !port.is_empty() {
            self.port = Some(port_of(port)?);
        }
        self.host = host_of(decoded(host)?)?;
        Ok(())
    }

    fn read_parameter(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "host" => self.host = host_of(value)?,
            "hostaddr" if value.parse::<IpAddr>().is_ok() => self.host = Some(value),
            "hostaddr" if value.contains(',') => return Err(HOSTS.into()),
            "hostaddr" => return Err("has a hostaddr that is no address".into()),
            "port" => self.port = Some(port_of(&value)?),
            "dbname" => self.database = filled(value),
            "user" => self.user = filled(value),
            "password" => self.password = filled(value),
            // As JDBC has it, and libpq for its sake.
            "ssl" if value == "true" => self.set("sslmode", "require".into()),
            CACHE if value.parse::<usize>().is_ok() => self.set(name, value),
            CACHE => return Err(format!("has a {CACHE} that is no number")),
            name if WITHOUT_EFFECT.contains(&name) => {}
            name => {
                let has_name =
                    |(taken, others): &&(&str, &[&str])| *taken == name || others.contains(&name);
                let known = TAKEN.iter().find(has_name).map(|(taken, _)| *taken);
                if known == Some("sslmode") && PgSslMode::from_str(&value).is_err() {
                    return Err(
                        "has an sslmode that is none of disable, allow, prefer, require, \
                                verify-ca and verify-full"
                            .into(),
                    );
                }
                match known {
                    Some(known) => self.set(known, value),
                    None if name.starts_with("options[") && name.ends_with(']') => {
                        self.set(name, value);
                    }
                    None => {
                        let name: String = name.chars().filter(|c| !c.is_control()).collect();
                        return Err(format!(
                            "has the parameter {name}, which is not supported here; leave it out"
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: String) {
        self.parameters.push((name.to_owned(), value));
    }

    /// How sqlx connects to it.
    ///
    /// # Errors
    /// A file that it names can't be read, or a variable like `PGSSLMODE`.
    pub fn options(&self) -> Result<PgConnectOptions, Fault> {
        PgConnectOptions::from_str(&self.url()).map_err(|_| super::target::unreadable())
    }

    /// Its URL as sqlx takes it, which reads an IPv6 address or a socket's folder as a parameter only.
    pub(super) fn url(&self) -> String {
        let port = self.port.map(|port| port.to_string());
        let own = [
            ("host", &self.host),
            ("port", &port),
            ("user", &self.user),
            ("password", &self.password),
            ("dbname", &self.database),
        ];
        let own = own
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let rest = self
            .parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value));
        format!("postgres:///{}", query(own.chain(rest)))
    }

    /// Its URL as PostgreSQL's own tools take it, without the password.
    pub fn url_for_tools(&self) -> String {
        let user = self.user.as_ref().map(|user| format!("{}@", encoded(user)));
        let host = self.host.as_ref().map(|host| match host.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => format!("[{address}]"),
            _ => encoded(host),
        });
        let port = self.port.map(|port| format!(":{port}"));
        let database = self
            .database
            .as_ref()
            .map(|name| format!("/{}", encoded(name)));
        let is_theirs =
            |(name, _): &&(String, String)| TAKEN.iter().any(|(taken, _)| taken == name);
        let rest = self.parameters.iter().filter(is_theirs);
        format!(
            "postgres://{}{}{}{}{}",
            user.unwrap_or_default(),
            host.unwrap_or_default(),
            port.unwrap_or_default(),
            database.unwrap_or_default(),
            query(rest.map(|(name, value)| (name.as_str(), value)))
        )
    }

    /// Where it is, for messages: no password, no parameters.
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

    /// The certificates and keys that it names.
    pub(super) fn files(&self) -> impl Iterator<Item = (&str, &Path)> {
        let is_file = |(name, value): &&(String, String)| {
            ["sslrootcert", "sslcert", "sslkey"].contains(&name.as_str())
                // What it holds may stand there itself.
                && !value.starts_with("-----BEGIN")
        };
        let files = self.parameters.iter().filter(is_file);
        files.map(|(name, value)| (name.as_str(), Path::new(value)))
    }
}

/// How long a name's addresses are looked up.
const LOOKING_UP: Duration = Duration::from_secs(2);

/// Whether another machine may pose as the server: it is reached by a network, and its certificate is not
/// checked.
pub async fn may_be_posed_as(server: &PgConnectOptions) -> bool {
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
    match timeout(LOOKING_UP, lookup_host((host, server.get_port()))).await {
        Ok(Ok(mut addresses)) => {
            !addresses.all(|address| address.ip().to_canonical().is_loopback())
        }
        _ => true,
    }
}

/// Where the credentials end: at the first `@`, but that a password with another one in it is taken, too.
fn last_at(head: &str) -> Option<usize> {
    let first = head.find('@')?;
    let host = head[first + 1..].split('?').next().unwrap_or_default();
    Some(host.rfind('@').map_or(first, |further| first + 1 + further))
}

fn port_of(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ if text.contains(',') => Err(HOSTS.into()),
        _ => Err(format!(
            "{PORT}, or a password that must be percent-encoded"
        )),
    }
}

fn host_of(text: String) -> Result<Option<String>, String> {
    if text.contains(',') {
        return Err(HOSTS.into());
    }
    let is_plain = |c: char| c.is_alphanumeric() || ".-_:%".contains(c);
    if text.starts_with('/') || text.chars().all(is_plain) {
        Ok(filled(text))
    } else {
        Err("has a host that can't be read".into())
    }
}

fn filled(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// What percent-encoding stands for.
fn decoded(text: &str) -> Result<String, String> {
    let mut parts = text.split('%');
    parts.next();
    let is_byte = |part: &str| {
        let digits = part.as_bytes().get(..2);
        digits.is_some_and(|two| two != b"00" && two.iter().all(u8::is_ascii_hexdigit))
    };
    if !parts.all(is_byte) {
        return Err("has a `%` that begins no percent-encoding; itself it is `%25`".into());
    }
    let text = percent_decode_str(text).decode_utf8();
    text.map(Into::into)
        .map_err(|_| "is no UTF-8 once it is percent-decoded".into())
}

/// Letters, digits, and what means nothing in a URL.
const KEPT: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, &KEPT).to_string()
}

fn query<'a>(pairs: impl Iterator<Item = (&'a str, &'a String)>) -> String {
    let pairs: Vec<_> = pairs
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)))
        .collect();
    match pairs.len() {
        0 => String::new(),
        _ => format!("?{}", pairs.join("&")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rest: &str) -> Server {
        Server::parse(rest).unwrap_or_else(|why| panic!("{rest} {why}"))
    }

    #[test]
    fn urls_are_read_as_psql_reads_them() {
        // User, password, host, port, database.
        for (url, parts) in [
            ("", ["", "", "", "", ""]),
            ("h", ["", "", "h", "", ""]),
            ("u:p@h:5433/db", ["u", "p", "h", "5433", "db"]),
            ("u@[::1]:5433/db", ["u", "", "::1", "5433", "db"]),
            ("u@[2001:db8::1]/db", ["u", "", "2001:db8::1", "", "db"]),
            ("%2Frun%2Fpg/db", ["", "", "/run/pg", "", "db"]),
            (
                "u:p@%2Frun%2Fpg:5433/db",
                ["u", "p", "/run/pg", "5433", "db"],
            ),
            ("u:p@/db?host=/run/pg", ["u", "p", "/run/pg", "", "db"]),
            ("/db?host=/run/pg&user=u", ["u", "", "/run/pg", "", "db"]),
            ("u@:5433/db", ["u", "", "", "5433", "db"]),
            ("h?dbname=db&port=5433", ["", "", "h", "5433", "db"]),
            ("u@h/db?host=other&user=o", ["o", "", "other", "", "db"]),
            ("/?hostaddr=::1", ["", "", "::1", "", ""]),
            ("u:@h/", ["u", "", "h", "", ""]),
            (
                "u%40x:p%2F%40%3A%25@h/d%20b",
                ["u@x", "p/@:%", "h", "", "d b"],
            ),
            ("u:p?#:@h/db", ["u", "p?#:", "h", "", "db"]),
            ("u:p@ss@h/db", ["u", "p@ss", "h", "", "db"]),
            ("u:p+q@h/db?password=r+s", ["u", "r+s", "h", "", "db"]),
            (
                "h/db?user=alice@example.com",
                ["alice@example.com", "", "h", "", "db"],
            ),
        ] {
            let server = read(url);
            let port = server.port.map(|port| port.to_string());
            let texts = [
                server.user,
                server.password,
                server.host,
                port,
                server.database,
            ];
            assert_eq!(texts.map(Option::unwrap_or_default), parts, "{url}");
        }
        let ignored = read("h/db?connect_timeout=5&keepalives=1&application_name=a&ssl=true");
        let kept = [("application_name", "a"), ("sslmode", "require")];
        assert_eq!(
            ignored.parameters,
            kept.map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
    }

    #[test]
    fn sqlx_connects_where_the_url_leads() {
        for (url, host, socket) in [
            ("u@[::1]:5433/db", "::1", None),
            ("u@h:5433/db", "h", None),
            ("u@%2Frun%2Fpg:5433/db", "", Some("/run/pg")),
            ("u@:5433/db?host=/run/pg", "", Some("/run/pg")),
        ] {
            let options = read(url).options().unwrap();
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
    fn what_is_printed_holds_no_password() {
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
            let server = read(url);
            assert_eq!(server.place(), place);
            assert_eq!(server.url_for_tools(), for_tools);
            assert_eq!(
                read(for_tools.trim_start_matches("postgres://")).place(),
                place
            );
        }
    }

    #[test]
    fn what_psql_refuses_is_refused_and_not_repeated() {
        for (url, word) in [
            ("u:canary/x@h/db", "percent-encoded"),
            ("u:12/canary@h/db", "percent-encoded"),
            ("u:12/x?canary=y@h/db", "percent-encoded"),
            ("u:canary@h1,h2/db", "several hosts"),
            ("u:canary@h1:1,h2:2/db", "several hosts"),
            ("/db?host=a,b", "several hosts"),
            ("u:canary@h:99999/db", "port"),
            ("u:canary@h:0/db", "port"),
            ("u:canary@::1/db", "port"),
            ("u:canary@[::1/db", "bracket"),
            ("u:canary@[]/db", "IPv6"),
            ("u:canary@[::1]5432/db", "IPv6"),
            ("u:canary%@h/db", "%25"),
            ("u:canary%00@h/db", "%25"),
            ("u:canary%ff@h/db", "UTF-8"),
            ("h/db?sslmode=canary", "verify-full"),
            ("h/db?sslmod=verify-full", "sslmod"),
            ("h/db?channel_binding=require", "channel_binding"),
            ("h/db?canary", "parameter"),
            ("h/db?hostaddr=canary", "hostaddr"),
            ("h/db?statement-cache-capacity=canary", CACHE),
        ] {
            let why = Server::parse(url).expect_err(url);
            assert!(
                why.contains(word) && !why.contains("canary"),
                "{url}: {why}"
            );
        }
    }
}

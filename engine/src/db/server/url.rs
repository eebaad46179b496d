//! Parser for PostgreSQL URLs, compatible with PostgreSQL's own tools.

use std::net::IpAddr;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use sqlx::postgres::PgSslMode;

use super::{SHARED_PARAMETERS, Server};

/// Accepted by sqlx only.
const STATEMENT_CACHE: &str = "statement-cache-capacity";
/// Parameters of PostgreSQL's tools without effect here: the connect timeout has its own setting, and there is only one
/// host, which must accept writes.
const IGNORED_PARAMETERS: [&str; 11] = [
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

const UNPARSABLE: &str =
    "cannot be parsed; special characters in the password must be percent-encoded (`/` is `%2F`)";
const SEVERAL_HOSTS: &str = "names several hosts; name one";
const INVALID_PORT: &str = "has a port that is not a number from 1 to 65535";

impl Server {
    /// Parses what follows `postgres://`, in the steps of libpq's `conninfo_uri_parse_options` (`fe-connect.c`). Error
    /// messages never repeat the URL, because a password may be anywhere in it.
    pub(in crate::db) fn parse(rest: &str) -> Result<Self, String> {
        let mut server = Self::default();
        let head = rest.split('/').next().unwrap_or(rest);
        let (credentials, rest) = match credentials_end(head) {
            Some(end) => (Some(&rest[..end]), &rest[end + 1..]),
            None => (None, rest),
        };
        if let Some(credentials) = credentials {
            let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
            server.user = non_empty(decode(user)?);
            server.password = non_empty(decode(password)?);
        }
        let authority = rest.split(['/', '?']).next().unwrap_or(rest);
        let (path, query) = rest[authority.len()..]
            .split_once('?')
            .unwrap_or((&rest[authority.len()..], ""));
        let database = path.strip_prefix('/').unwrap_or(path);
        // A password with a `/` ends up in the position of the database's name.
        if database.contains(['@', ':', '/']) {
            return Err(UNPARSABLE.into());
        }
        server.database = non_empty(decode(database)?);
        server.read_authority(authority)?;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let may_be_password = credentials.is_none() && query.contains('@');
            let parameter = pair.split_once('=');
            let (name, value) = parameter.ok_or("has a parameter without a value")?;
            let accepted = server.read_parameter(&decode(name)?, decode(value)?);
            accepted.map_err(|why| {
                if may_be_password {
                    UNPARSABLE.into()
                } else {
                    why
                }
            })?;
        }
        Ok(server)
    }

    /// `HOST:PORT`, either of which may be missing.
    fn read_authority(&mut self, authority: &str) -> Result<(), String> {
        if authority.contains(',') {
            return Err(SEVERAL_HOSTS.into());
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(bracketed) => {
                let (address, port) = bracketed
                    .split_once(']')
                    .ok_or("has an unmatched bracket")?;
                let is_end = port.is_empty() || port.starts_with(':');
                if address.is_empty() || !is_end {
                    return Err("has an invalid IPv6 address".into());
                }
                (address, port.strip_prefix(':').unwrap_or_default())
            }
            None => authority.split_once(':').unwrap_or((authority, "")),
        };
        if !port.is_empty() {
            self.port = Some(parse_port(port)?);
        }
        self.host = parse_host(decode(host)?)?;
        Ok(())
    }

    fn read_parameter(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "host" => self.host = parse_host(value)?,
            "hostaddr" if value.parse::<IpAddr>().is_ok() => self.host = Some(value),
            "hostaddr" if value.contains(',') => return Err(SEVERAL_HOSTS.into()),
            "hostaddr" => return Err("has a hostaddr that is not an IP address".into()),
            "port" => self.port = Some(parse_port(&value)?),
            "dbname" => self.database = non_empty(value),
            "user" => self.user = non_empty(value),
            "password" => self.password = non_empty(value),
            // JDBC's parameter, which libpq accepts too.
            "ssl" if value == "true" => self.set("sslmode", "require".into()),
            STATEMENT_CACHE if value.parse::<usize>().is_ok() => self.set(name, value),
            STATEMENT_CACHE => return Err(format!("has a {STATEMENT_CACHE} that is not a number")),
            name if IGNORED_PARAMETERS.contains(&name) => {}
            name => {
                let has_name = |(shared, aliases): &&(&str, &[&str])| {
                    *shared == name || aliases.contains(&name)
                };
                let known = SHARED_PARAMETERS
                    .iter()
                    .find(has_name)
                    .map(|(shared, _)| *shared);
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
}

/// The end of the credentials: the first `@`, or a later one before the query, so that a password may contain `@`.
fn credentials_end(head: &str) -> Option<usize> {
    let first = head.find('@')?;
    let host = head[first + 1..].split('?').next().unwrap_or_default();
    Some(host.rfind('@').map_or(first, |later| first + 1 + later))
}

fn parse_port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ if text.contains(',') => Err(SEVERAL_HOSTS.into()),
        _ => Err(format!(
            "{INVALID_PORT}, or a password that must be percent-encoded"
        )),
    }
}

fn parse_host(text: String) -> Result<Option<String>, String> {
    if text.contains(',') {
        return Err(SEVERAL_HOSTS.into());
    }
    let is_plain = |c: char| c.is_alphanumeric() || ".-_:%".contains(c);
    if text.starts_with('/') || text.chars().all(is_plain) {
        Ok(non_empty(text))
    } else {
        Err("has an invalid host".into())
    }
}

fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn decode(text: &str) -> Result<String, String> {
    let mut parts = text.split('%');
    parts.next();
    let is_byte = |part: &str| {
        let digits = part.as_bytes().get(..2);
        digits.is_some_and(|two| two != b"00" && two.iter().all(u8::is_ascii_hexdigit))
    };
    if !parts.all(is_byte) {
        return Err("has a `%` without two hexadecimal digits; write `%25` for `%` itself".into());
    }
    let text = percent_decode_str(text).decode_utf8();
    text.map(Into::into)
        .map_err(|_| "is not UTF-8 after percent-decoding".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rest: &str) -> Server {
        Server::parse(rest).unwrap_or_else(|why| panic!("{rest} {why}"))
    }

    #[test]
    fn urls_are_parsed_like_psql_does() {
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
            let server = parse(url);
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
        let ignored = parse("h/db?connect_timeout=5&keepalives=1&application_name=a&ssl=true");
        let kept = [("application_name", "a"), ("sslmode", "require")];
        assert_eq!(
            ignored.parameters,
            kept.map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
    }

    #[test]
    fn urls_that_psql_refuses_are_refused_and_not_repeated() {
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
            ("h/db?statement-cache-capacity=canary", STATEMENT_CACHE),
        ] {
            let why = Server::parse(url).expect_err(url);
            assert!(
                why.contains(word) && !why.contains("canary"),
                "{url}: {why}"
            );
        }
    }
}

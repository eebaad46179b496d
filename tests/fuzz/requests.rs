//! Random requests that are complete, whatever they contain.

use std::sync::LazyLock;

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::resources::{RESOURCES, Resource};
use crate::support::PASSWORD;

/// Method, path, and in how many of ten requests credentials are sent: rarely where that would revoke them.
const ROUTES: &[(&str, &str, u32)] = &[
    ("GET", "/healthz", 1),
    ("GET", "/readyz", 1),
    ("GET", "/openapi.json", 1),
    ("GET", "/docs", 1),
    ("GET", "/static/admin.css", 1),
    ("GET", "/static/", 1),
    ("GET", "/", 1),
    ("POST", "/auth/login/", 1),
    ("POST", "/auth/logout/", 1),
    ("POST", "/auth/obtain-token/", 1),
    ("POST", "/auth/invalidate-token/", 1),
    ("POST", "/auth/logout/all/", 1),
    ("POST", "/auth/logout/others/", 4),
    ("GET", "/auth/me/", 9),
    ("GET", "/auth/tokens/", 9),
    ("DELETE", "/auth/tokens/{id}/", 5),
    ("POST", "/auth/password/", 5),
    ("POST", "/auth/sign-up/", 1),
    ("POST", "/auth/email/", 5),
    ("POST", "/auth/email/confirm/", 1),
    ("POST", "/auth/reset/", 1),
    ("POST", "/auth/reset/confirm/", 1),
    ("DELETE", "/auth/me/", 1),
    ("GET", "/account/", 9),
    ("GET", "/account/login", 1),
    ("POST", "/account/login", 1),
    ("POST", "/account/logout", 1),
    ("GET", "/account/sign-up", 1),
    ("POST", "/account/sign-up", 1),
    ("GET", "/account/password", 9),
    ("POST", "/account/password", 1),
    ("GET", "/account/email", 9),
    ("POST", "/account/email", 4),
    ("POST", "/account/notices", 4),
    ("GET", "/account/verify", 1),
    ("POST", "/account/verify", 1),
    ("POST", "/account/forgot", 1),
    ("GET", "/account/set-password", 1),
    ("POST", "/account/set-password", 1),
    ("POST", "/account/tokens/{id}/revoke", 4),
    ("POST", "/account/tokens/revoke-others", 1),
    ("POST", "/account/delete", 1),
    ("GET", "/account/nothing/here", 9),
    ("GET", "/dev/mail", 1),
    ("GET", "/admin/", 9),
    ("GET", "/admin/login", 1),
    ("POST", "/admin/login", 1),
    ("POST", "/admin/logout", 1),
    ("GET", "/admin/setup", 1),
    ("POST", "/admin/setup", 1),
    ("GET", "/admin/users", 9),
    ("GET", "/admin/tokens", 9),
    ("GET", "/admin/audit", 9),
    ("GET", "/admin/audit/{id}", 4),
    ("GET", "/admin/addresses/{id}", 4),
    ("POST", "/admin/find", 9),
    ("GET", "/admin/users/{id}", 9),
    ("GET", "/admin/users/{id}/{action}", 9),
    ("POST", "/admin/users/{id}/{action}", 4),
    ("GET", "/admin/tokens/revoke", 9),
    ("GET", "/admin/tokens/{id}/revoke", 9),
    ("POST", "/admin/tokens/{id}/revoke", 4),
    ("GET", "/admin/nothing/here", 9),
];

/// The routes of the engine and of resources.
fn routes() -> &'static [(&'static str, String, u32)] {
    static ALL: LazyLock<Vec<(&str, String, u32)>> = LazyLock::new(|| {
        let engines = ROUTES
            .iter()
            .map(|(method, path, odds)| (*method, (*path).to_owned(), *odds));
        let of = |resource: &Resource| {
            let (path, admin) = (resource.path(), resource.admin());
            [
                ("GET", path.clone(), 9),
                ("POST", path.clone(), 9),
                ("PUT", format!("{path}{{id}}/"), 9),
                ("DELETE", format!("{path}{{id}}/"), 9),
                ("GET", admin.clone(), 9),
                ("POST", format!("{admin}/new"), 4),
            ]
        };
        engines.chain(RESOURCES.iter().flat_map(of)).collect()
    });
    &ALL
}

/// The fields of every body.
fn all_fields() -> &'static [String] {
    static ALL: LazyLock<Vec<String>> = LazyLock::new(|| {
        let engines = FIELDS.split('|').map(str::to_owned);
        engines
            .chain(RESOURCES.iter().flat_map(Resource::fields))
            .collect()
    });
    &ALL
}

const METHODS: &str = "GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE|CONNECT|BREW|get";
const ACTIONS: &str = "disable|enable|promote|demote|password|revoke-tokens|delete";
const FIELDS: &str = "username|password|client|current_password|new_password|confirm|email|key|invite|\
    notices|_method";
const QUERIES: &str = "q|user|client|address|device|status|sort|token|reason|from|tz|last|after|before|next|key|invite|_method";
const HEADERS: &str = "Accept|Accept-Encoding|Access-Control-Request-Method|Authorization|\
    Connection|Content-Encoding|Content-Type|Cookie|Expect|Forwarded|Host|If-Modified-Since|\
    If-None-Match|Origin|Range|Referer|Sec-Fetch-Site|TE|Upgrade|User-Agent|X-Forwarded-For|\
    X-HTTP-Method-Override|X-Real-IP|X-Request-Id";
const TYPES: &str = "application/json; charset=utf-16|application/json ;|multipart/form-data; boundary=\"a|multipart/form-data; boundary=a|\
    multipart/form-data|text/plain|*/*|json|\u{e9}|application/json, text/html";
/// Text that may appear in a path, a header or a field.
const TEXTS: &str = "| |%00|%ff|%|%2|%zz|%2e%2e%2f|%0d%0aX:%20y|..|.|//|\\|;|?|#|&|=|[]|\0|\t|\u{7f}|\
    \u{85}|\u{202e}|\u{feff}|\u{ffff}|é|💥|ﷺ|İ|\u{1d165}|-1|0|1|2|501|9223372036854775808|1e9|NaN|\
    null|<script>|{{7*7}}|{% raw %}|' OR 1=1 --|_|yes|head|delete|/admin/users?q=a|//evil.example|\
    close|upgrade, h2c|100-continue|same-origin|https://app.example.com|text/html|bytes=0-1|\
    multitoken_flash=a; multitoken_admin=|Bearer|Bearer mtk_|127.0.0.1, [::1]:80|correct horse battery";
const JSON: &str = "null|true|0|-0|1e999|-1|18446744073709551616|[]|{}|\"\\ud800\"|\"\\u0000\"|\
    \"\\udc00\\ud800\"|\"\\u202e\"|{\"a\":{\"a\":[]}}|[[[1]]]|\"";
pub struct Request {
    pub bytes: Vec<u8>,
    pub is_head: bool,
}

/// Valid credentials and existing ids.
#[derive(Default)]
pub struct KnownState {
    pub token: String,
    /// The session cookie, starting at the port in its name.
    pub cookie: String,
    pub user: String,
    pub ids: Vec<String>,
}

pub struct Generator {
    pub rng: StdRng,
    pub known: KnownState,
}

/// A request as a client or one of our pages sends it.
pub fn post(path: &str, kind: &str, body: &str) -> Request {
    let length = body.len();
    let text = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nSec-Fetch-Site: same-origin\r\nContent-Type: {kind}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    Request {
        bytes: text.into_bytes(),
        is_head: false,
    }
}

impl KnownState {
    /// A GET request with all credentials.
    pub fn get(&self, path: &str) -> Request {
        let credentials = self.credentials();
        Request {
            bytes: format!("GET {path} HTTP/1.1\r\nHost: a\r\n{credentials}\r\n").into_bytes(),
            is_head: false,
        }
    }

    fn credentials(&self) -> String {
        let Self { token, cookie, .. } = self;
        format!("Authorization: Bearer {token}\r\nCookie: multitoken_admin_{cookie}\r\n")
    }
}

impl Generator {
    /// A complete request. Its parts may be nonsense.
    pub fn well_formed(&mut self) -> Request {
        let (usual, path, odds) = routes().choose(&mut self.rng).unwrap().clone();
        let method = if self.one_in(8) {
            self.one_of(METHODS)
        } else {
            usual
        };
        let minor = u8::from(!self.one_in(30));
        let mut bytes = format!("{method} ").into_bytes();
        bytes.extend(without_line_breaks(self.target(&path)));
        bytes.extend(format!(" HTTP/1.{minor}\r\n").bytes());
        if !self.one_in(30) {
            bytes.extend(b"Host: a\r\n");
        }
        if self.rng.random_ratio(odds, 10) {
            bytes.extend(self.known.credentials().bytes());
        }
        if !self.one_in(4) {
            bytes.extend(b"Sec-Fetch-Site: same-origin\r\n");
        }
        for _ in 0..self.rng.random_range(0..4) {
            bytes.extend(format!("{}: ", self.one_of(HEADERS)).bytes());
            let mut value = without_line_breaks(self.text());
            if !self.one_in(10) {
                // Rocket would reject control characters before any handler runs.
                value.retain(|byte| !byte.is_ascii_control());
            }
            bytes.extend(value);
            bytes.extend(b"\r\n");
        }
        if ["POST", "PUT", "DELETE"].contains(&usual) || self.one_in(8) {
            self.add_body(&mut bytes);
        } else {
            bytes.extend(b"\r\n");
        }
        Request {
            bytes,
            is_head: method == "HEAD",
        }
    }

    /// The path with its parameters filled in, sometimes with a query or other text.
    fn target(&mut self, path: &str) -> Vec<u8> {
        let nobody = "01980000-0000-7000-8000-000000000000";
        let id = self.known.ids.choose(&mut self.rng);
        let path = path.replace("{id}", id.map_or(nobody, String::as_str));
        let mut target = path.replace("{action}", self.one_of(ACTIONS)).into_bytes();
        if self.one_in(6) {
            let at = self.rng.random_range(0..=target.len());
            insert(&mut target, at..at, self.text());
        }
        if self.one_in(3) {
            for separator in "?&&".chars().take(self.rng.random_range(1..4)) {
                target.extend(format!("{separator}{}=", self.one_of(QUERIES)).bytes());
                target.extend(self.text());
            }
        }
        if self.one_in(10) {
            target
        } else {
            percent_encoded(&target)
        }
    }

    fn add_body(&mut self, request: &mut Vec<u8>) {
        let (kind, mut body) = match self.rng.random_range(0..13) {
            0..6 => ("application/json", self.json()),
            6..10 => ("application/x-www-form-urlencoded", self.form()),
            10 => ("application/json", self.nested()),
            11 => ("multipart/form-data; boundary=XX", self.multipart()),
            _ => ("application/json", self.noise(20_000)),
        };
        if self.one_in(8) {
            self.corrupt(&mut body);
        }
        let kind = if self.one_in(12) {
            self.one_of(TYPES)
        } else {
            kind
        };
        request.extend(format!("Content-Type: {kind}\r\n").bytes());
        if self.one_in(6) {
            request.extend(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in body.chunks(self.rng.random_range(1..2_000)) {
                request.extend(format!("{:x}\r\n", chunk.len()).bytes());
                request.extend(chunk);
                request.extend(b"\r\n");
            }
            request.extend(b"0\r\n\r\n");
        } else {
            request.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
            request.extend(body);
        }
    }

    fn json(&mut self) -> Vec<u8> {
        let mut fields = vec![];
        for name in self.fields() {
            let value = match self.rng.random_range(0..10) {
                0 => self.one_of(JSON).to_owned(),
                _ => serde_json::to_string(&self.value_of(name)).unwrap(),
            };
            fields.push(format!("\"{name}\": {value}"));
        }
        format!("{{{}}}", fields.join(", ")).into_bytes()
    }

    fn form(&mut self) -> Vec<u8> {
        let mut fields = vec![];
        for name in self.fields() {
            let value = self.value_of(name);
            // Percent signs are sent unencoded on purpose.
            fields.push(format!("{name}={}", value.replace(' ', "+")));
        }
        fields.join("&").into_bytes()
    }

    fn multipart(&mut self) -> Vec<u8> {
        let mut parts = String::new();
        for name in self.fields() {
            let value = self.value_of(name);
            let file = if self.one_in(12) { "; filename=x" } else { "" };
            let disposition = format!("Content-Disposition: form-data; name=\"{name}\"{file}");
            parts += &*format!("--XX\r\n{disposition}\r\n\r\n{value}\r\n");
        }
        (parts + "--XX--\r\n").into_bytes()
    }

    fn nested(&mut self) -> Vec<u8> {
        let depth = self.rng.random_range(1..6_000);
        let open = ["[", "{\"username\":"][self.rng.random_range(0..2)];
        let mut text = open.repeat(depth);
        if self.rng.random() {
            text += &if open == "[" { "]" } else { "}" }.repeat(depth);
        }
        text.into_bytes()
    }

    /// Names of fields: all, some, or some twice.
    fn fields(&mut self) -> Vec<&'static str> {
        let all = all_fields().iter().map(String::as_str);
        let mut names: Vec<_> = all.filter(|_| !self.one_in(8)).collect();
        while self.one_in(3) {
            names.insert(0, all_fields().choose(&mut self.rng).unwrap());
        }
        names
    }

    fn value_of(&mut self, field: &str) -> String {
        if self.one_in(5) {
            return String::from_utf8_lossy(&self.text()).into_owned();
        }
        match field {
            "username" => self.known.user.clone(),
            "client" => "laptop".into(),
            "email" => format!("{}@example.com", self.known.user),
            "confirm" => ["yes", "no", "no", "no"][self.rng.random_range(0..4)].into(),
            "_method" => self.one_of(METHODS).to_lowercase(),
            _ => {
                let examples = RESOURCES.iter().flat_map(Resource::form);
                let example = examples.into_iter().find(|(name, _)| name == field);
                example.map_or_else(|| PASSWORD.into(), |(_, text)| text)
            }
        }
    }

    fn text(&mut self) -> Vec<u8> {
        let text = self.one_of(TEXTS);
        match self.rng.random_range(0..12) {
            0..7 => text.into(),
            7 => format!("{text}{}", self.one_of(TEXTS)).into(),
            8 => text.repeat(self.rng.random_range(1..400)).into(),
            9 => self.noise(40),
            10 => self.known.user.clone().into(),
            _ => {
                let mut token = self.known.token.clone().into();
                self.corrupt(&mut token);
                token
            }
        }
    }

    pub fn noise(&mut self, max: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.rng.random_range(1..max)];
        self.rng.fill(&mut bytes[..]);
        bytes
    }

    /// Changes, removes or inserts some bytes.
    pub fn corrupt(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.rng.random_range(1..8) {
            let at = self.rng.random_range(0..=bytes.len());
            let end = (at + self.rng.random_range(0..3)).min(bytes.len());
            let length = self.rng.random_range(1..3);
            let new = self.noise(4);
            insert(bytes, at..end, &new[..new.len().min(length)]);
        }
    }

    pub fn one_in(&mut self, many: u32) -> bool {
        self.rng.random_ratio(1, many)
    }

    pub fn one_of(&mut self, list: &'static str) -> &'static str {
        let items: Vec<_> = list.split('|').collect();
        items.choose(&mut self.rng).unwrap()
    }
}

pub fn insert(bytes: &mut Vec<u8>, at: std::ops::Range<usize>, new: impl AsRef<[u8]>) {
    bytes.splice(at, new.as_ref().iter().copied());
}

/// Percent-encodes bytes that a target may not contain. Percent signs stay.
fn percent_encoded(target: &[u8]) -> Vec<u8> {
    let mut encoded = vec![];
    for &byte in target {
        if byte.is_ascii_graphic() && !b"<>\\\"^`#".contains(&byte) {
            encoded.push(byte);
        } else {
            encoded.extend(format!("%{byte:02X}").bytes());
        }
    }
    encoded
}

fn without_line_breaks(mut text: Vec<u8>) -> Vec<u8> {
    text.retain(|byte| !b"\r\n".contains(byte));
    text
}

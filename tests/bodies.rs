//! Request bodies that arrive in pieces, late or not at all, over a raw socket.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rocket::http::Method;
use rocket::local::asynchronous::Client;
use serde_json::json;

use crate::resources::RESOURCES;
use crate::support::app::figment;
use crate::support::server::{Server, sqlite};
use crate::support::{PASSWORD, needs};

/// An id that no row has.
const UNKNOWN_ID: &str = "01a20b47-0ace-7599-b4a7-bd71f3e71044";
/// Within the limit, and more than one TCP segment.
const LENGTH: usize = 6 * 1024;
const TIMEOUT: Duration = Duration::from_secs(30);
const FORM: &str = "application/x-www-form-urlencoded";

struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(server: &Server) -> Self {
        let stream = TcpStream::connect(server.origin.trim_start_matches("http://")).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// Whether the server sends nothing for a while and keeps the connection open.
    fn is_silent(&mut self) -> bool {
        let wait = Some(Duration::from_millis(150));
        self.0.get_ref().set_read_timeout(wait).unwrap();
        loop {
            match self.0.fill_buf() {
                // A process that was stopped for a moment, as a container may be.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => {
                    return matches!(result, Err(error) if error.kind() == ErrorKind::WouldBlock);
                }
            }
        }
    }

    /// Reads the next response: status, head and body. `None` if the connection was closed.
    fn response(&mut self) -> Option<(u16, String, String)> {
        self.0.get_ref().set_read_timeout(Some(TIMEOUT)).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let head = head.to_lowercase();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let length = head
            .split_once("content-length: ")
            .map_or("0", |(_, rest)| rest.split("\r\n").next().unwrap());
        let mut body = vec![0; length.parse().unwrap()];
        self.0.read_exact(&mut body).ok()?;
        Some((status, head, String::from_utf8(body).unwrap()))
    }

    /// Whether the connection still serves another request.
    fn is_reusable(&mut self) -> bool {
        let next = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
        self.0.get_mut().write_all(next).is_ok()
            && self.response().is_some_and(|(status, ..)| status == 200)
    }
}

/// The head of a request with a body of `length` bytes.
fn head(method: &str, path: &str, headers: &[(&str, &str)], length: usize) -> String {
    let lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let headers = lines.concat();
    format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {length}\r\n\r\n")
}

/// Sends a body in two pieces and returns the status and head of the response. The server must not respond before the
/// second piece, and must keep the connection open.
fn send_in_pieces(
    server: &Server,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> (u16, String) {
    let what = format!("{method} {path} {headers:?}");
    let mut connection = Connection::open(server);
    connection.send(head(method, path, headers, LENGTH));
    connection.send("x=".to_owned() + "y".repeat(LENGTH / 2 - 2).as_str());
    assert!(
        connection.is_silent(),
        "the response came before the end of the body: {what}"
    );
    connection.send("y".repeat(LENGTH - LENGTH / 2));
    let (status, head, _) = connection
        .response()
        .unwrap_or_else(|| panic!("no answer: {what}"));
    assert!(
        connection.is_reusable(),
        "the connection was closed: {what}"
    );
    (status, head)
}

async fn start_server(folder: &tempfile::TempDir) -> Server {
    // Room for two logins for each route, however many resources there are.
    let settings =
        "{hash_memory_kib=8,hash_iterations=1,logins_per_account=100000,tokens_per_user=10000}";
    let variables = [("ROCKET_APP", settings)];
    let server = Server::start_with(&sqlite(folder.path()), &variables).await;
    let create = ["user", "create", "root", "--admin", "--password-stdin"];
    assert!(server.run(&create, PASSWORD).status.success());
    server
}

#[test]
fn a_body_is_read_to_its_end_before_it_is_refused() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let server = start_server(&folder).await;
        let bearer = format!("Bearer {}", server.login("root", "laptop").await);
        let (kind, known) = (("Content-Type", FORM), ("Authorization", bearer.as_str()));
        let wrong = ("Authorization", "Bearer mtk_x");
        let ours = ("Sec-Fetch-Site", "same-origin");
        let foreign = ("Origin", "https://evil.example");
        let multipart = ("Content-Type", "multipart/form-data; boundary=x");
        let token = format!("/auth/tokens/{UNKNOWN_ID}/");
        for (method, path, headers, status) in [
            ("POST", "/auth/logout/", vec![multipart], 401),
            ("POST", "/auth/logout/", vec![wrong, kind], 401),
            ("POST", "/auth/password/", vec![wrong], 401),
            ("DELETE", &token, vec![multipart], 401),
            ("DELETE", &token, vec![known, multipart], 404),
            ("GET", "/auth/me", vec![kind], 401),
            ("POST", "/auth/login/", vec![foreign, kind], 403),
            ("POST", "/auth/login/", vec![kind], 400),
            ("POST", "/auth/login/", vec![multipart], 400),
            (
                "POST",
                "/auth/login/",
                vec![("Content-Type", "text/plain")],
                415,
            ),
            (
                "POST",
                "/auth/login/",
                vec![kind, ("Content-Encoding", "gzip")],
                415,
            ),
            ("POST", "/admin/login", vec![kind], 403),
            ("POST", "/admin/login", vec![kind, ours], 400),
            ("POST", "/admin/logout", vec![kind], 403),
            ("POST", "/admin/logout", vec![kind, ours], 303),
            ("POST", "/admin/users/new", vec![kind, ours], 303),
            ("POST", "/admin/users/new", vec![kind, foreign], 403),
            ("POST", "/nothing", vec![multipart], 404),
            ("PUT", "/auth/nothing", vec![kind], 404),
            ("PATCH", "/admin/nothing", vec![kind], 404),
            ("DELETE", "/a/b/c/d", vec![], 404),
            ("GET", "/nothing", vec![kind], 404),
            ("OPTIONS", "/nothing", vec![kind], 404),
            ("OPTIONS", "/auth/login/", vec![kind], 204),
            ("PUT", "/auth/me/", vec![multipart], 405),
            ("POST", "/healthz", vec![kind], 405),
            ("PATCH", "/auth/login", vec![], 405),
            ("DELETE", "/admin/login", vec![kind], 405),
        ] {
            let (answered, _) = send_in_pieces(&server, method, path, &headers);
            assert_eq!(answered, status, "{method} {path} {headers:?}");
        }
        for resource in RESOURCES {
            let row = format!("{}{UNKNOWN_ID}", resource.path());
            for (method, headers, statuses) in [
                ("PUT", vec![wrong, kind], [401, 401]),
                // If the resource requires no field, the body is valid and only the row is missing.
                ("PUT", vec![known, kind], [400, 404]),
                ("DELETE", vec![known], [404, 404]),
            ] {
                let (answered, _) = send_in_pieces(&server, method, &row, &headers);
                assert!(statuses.contains(&answered), "{method} {row}: {answered}");
            }
        }
        // An invalid token, a chunked body, and a body in the same write as its head.
        let mut connection = Connection::open(&server);
        let chunked = "POST /auth/logout HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        connection.send(format!("{chunked}10\r\n0123456789abcdef\r\n"));
        assert!(connection.is_silent());
        connection.send("5\r\n01234\r\n0\r\n\r\n");
        assert_eq!(connection.response().unwrap().0, 401);
        assert!(connection.is_reusable());
        connection.send(head("POST", "/auth/nothing", &[], LENGTH) + "x".repeat(LENGTH).as_str());
        assert_eq!(connection.response().unwrap().0, 404);
        assert!(connection.is_reusable());
        // Without a body, the refusal is immediate.
        connection.send("POST /auth/logout HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(connection.response().unwrap().0, 401);
        assert!(connection.is_reusable());
        assert_eq!(server.terminate(), Some(0));
    });
}

/// Every route that may have a body, with its parameters filled in.
async fn routes() -> Vec<(Method, String)> {
    let folder = tempfile::tempdir().unwrap();
    let rocket = crate::rocket(figment(&sqlite(folder.path()), &json!({}))).unwrap();
    let client = Client::untracked(rocket).await.unwrap();
    let routes = client.rocket().routes().filter(|route| {
        let has_body = [Method::Post, Method::Put, Method::Patch, Method::Delete];
        route.rank < 1000 && has_body.contains(&route.method)
    });
    let routes = routes.map(|route| {
        let path = route.uri.path().replace("<id>", UNKNOWN_ID);
        let path = path.replace("<action>", "disable");
        let path = path.replace("<_path..>", "nothing");
        assert!(!path.contains('<'), "replace the parameters of {path} here");
        (route.method, path)
    });
    routes.collect()
}

/// Headers that are accepted on every route: an API token and an admin session.
async fn credentials(server: &Server, client: &str) -> [(&'static str, String); 4] {
    let token = server.login("root", client).await;
    [
        ("Authorization", format!("Bearer {token}")),
        ("Cookie", server.admin_cookie("root").await),
        ("Sec-Fetch-Site", "same-origin".to_owned()),
        ("Content-Type", FORM.to_owned()),
    ]
}

#[test]
fn every_route_reads_a_body_even_if_it_needs_none() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let server = start_server(&folder).await;
        let routes = routes().await;
        assert!(routes.len() > 15, "{routes:?}");
        for (number, (method, path)) in routes.iter().enumerate() {
            let headers = credentials(&server, &format!("client {number}")).await;
            let headers = headers
                .each_ref()
                .map(|(name, value)| (*name, value.as_str()));
            let (status, _) = send_in_pieces(&server, method.as_str(), path, &headers);
            assert!(
                ![401, 403, 405].contains(&status),
                "{method} {path}: {status}"
            );
        }
        // The content and type of such a body do not matter.
        for (kind, body) in [
            ("application/json", "{}"),
            ("application/json", "nonsense"),
            ("multipart/form-data", "x=y"),
            ("\u{e9}", "x=y"),
        ] {
            let token = server.login("root", "laptop").await;
            let bearer = format!("Bearer {token}");
            let headers = [("Authorization", bearer.as_str()), ("Content-Type", kind)];
            let mut connection = Connection::open(&server);
            connection.send(head("POST", "/auth/logout/", &headers, body.len()) + body);
            let (status, _, text) = connection.response().unwrap();
            assert_eq!((status, text.as_str()), (200, ""), "{kind} {body}");
            assert_eq!(server.me(&token).await, 401);
        }
        let token = server.login("root", "laptop").await;
        let bearer = format!("Bearer {token}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Encoding", "gzip"),
        ];
        let mut connection = Connection::open(&server);
        connection.send(head("POST", "/auth/logout/", &headers, 2) + "{}");
        assert_eq!(connection.response().unwrap().0, 415);
        assert_eq!(server.me(&token).await, 200);
    });
}

#[test]
#[ignore = "slow"]
fn an_incomplete_body_times_out_with_408() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let server = start_server(&folder).await;
        let mut requests = vec![
            ("POST", "/auth/nothing".to_owned(), vec![]),
            ("PUT", "/auth/me/".to_owned(), vec![]),
            ("OPTIONS", "/auth/me/".to_owned(), vec![]),
            ("POST", "/auth/logout/".to_owned(), vec![]),
            ("POST", "/admin/logout".to_owned(), vec![]),
        ];
        for (number, (method, path)) in routes().await.into_iter().enumerate() {
            let headers = credentials(&server, &format!("client {number}")).await;
            requests.push((method.as_str(), path, headers.to_vec()));
        }
        let wait = |(method, path, headers): (&str, String, Vec<(&str, String)>)| {
            let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
            let mut connection = Connection::open(&server);
            connection.send(head(method, &path, &headers, LENGTH) + "x=0123456789ab");
            let start = Instant::now();
            // A byte per second does not extend the timeout.
            for _ in 0..5 {
                thread::sleep(Duration::from_secs(1));
                connection.send("y");
            }
            let (status, head, body) = connection
                .response()
                .unwrap_or_else(|| panic!("{method} {path}"));
            let took = start.elapsed();
            assert_eq!(status, 408, "{method} {path}: {body}");
            let in_time = (Duration::from_secs(9)..Duration::from_secs(20)).contains(&took);
            assert!(in_time, "{method} {path}: {took:?}");
            if !path.starts_with("/admin") && !path.starts_with("/account") {
                assert!(
                    head.contains("content-type: application/problem+json"),
                    "{head}"
                );
                assert!(body.contains("\"status\":408"), "{body}");
            }
        };
        thread::scope(|scope| {
            let waiting = requests
                .into_iter()
                .map(|request| scope.spawn(|| wait(request)));
            for waiting in waiting.collect::<Vec<_>>() {
                waiting.join().unwrap();
            }
        });
        assert_eq!(server.terminate(), Some(0));
    });
}

#[test]
fn a_client_receives_the_413_for_a_body_over_the_limit() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let server = start_server(&folder).await;
        let token = server.login("root", "laptop").await;
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", FORM)];
        for path in ["/auth/login/", "/auth/logout/", "/auth/password/"] {
            for length in [8 * 1024 + 1, 300 * 1024] {
                let mut connection = Connection::open(&server);
                connection.send(head("POST", path, &headers, length));
                for part in vec![b'x'; length].chunks(64 * 1024) {
                    connection.send(part);
                }
                let (status, ..) = connection.response().unwrap();
                assert_eq!(status, 413, "{path} {length}");
                assert!(connection.is_reusable(), "{path} {length}");
            }
        }
        assert_eq!(server.me(&token).await, 200, "not signed out");
        let exact =
            head("POST", "/auth/logout/", &headers, 8 * 1024) + "x".repeat(8 * 1024).as_str();
        let mut connection = Connection::open(&server);
        connection.send(exact);
        assert_eq!(connection.response().unwrap().0, 200);
        // A body far over the limit is refused without reading all of it.
        let mut connection = Connection::open(&server);
        connection
            .send(head("POST", "/auth/login/", &headers, 1 << 30) + "x".repeat(16 * 1024).as_str());
        let start = Instant::now();
        assert_eq!(connection.response().unwrap().0, 413);
        assert!(start.elapsed() < Duration::from_secs(8));
    });
}

#[test]
fn fetch_in_node_receives_every_refusal_of_a_form() {
    if needs::executable("node", &[]).is_none() {
        return needs::missing("Node.js", "nodejs");
    }
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let server = start_server(&folder).await;
        let token = server.login("root", "laptop").await;
        let output = Command::new("node")
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/node/refusals.mjs"
            ))
            .args([&server.origin, &token])
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(printed.trim(), "240 of 240");
        assert_eq!(server.me(&token).await, 200);
    });
}

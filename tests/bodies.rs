//! Bodies that arrive bit by bit, late or not at all, on a socket.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rocket::http::Method;
use rocket::local::asynchronous::Client;
use serde_json::json;

use crate::support::app::figment;
use crate::support::server::{Server, sqlite};
use crate::support::{PASSWORD, needs};

/// An id that names nothing.
const NOBODY: &str = "01a20b47-0ace-7599-b4a7-bd71f3e71044";
/// Within the limit, and more than one segment.
const LENGTH: usize = 6 * 1024;
const TIMEOUT: Duration = Duration::from_secs(30);
const FORM: &str = "application/x-www-form-urlencoded";

/// A connection of a client that takes its time.
struct Wire(BufReader<TcpStream>);

impl Wire {
    fn to(server: &Server) -> Self {
        let stream = TcpStream::connect(server.origin.trim_start_matches("http://")).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// Whether nothing comes back for a while, and the connection stays open.
    fn is_silent(&mut self) -> bool {
        let wait = Some(Duration::from_millis(150));
        self.0.get_ref().set_read_timeout(wait).unwrap();
        matches!(self.0.fill_buf(), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    /// The next answer's status, head and body; none if the connection was closed.
    fn answer(&mut self) -> Option<(u16, String, String)> {
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

    /// Whether another request on the same connection is answered.
    fn goes_on(&mut self) -> bool {
        let next = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
        self.0.get_mut().write_all(next).is_ok()
            && self.answer().is_some_and(|(status, ..)| status == 200)
    }
}

/// The head of a request with a body of so many bytes.
fn head(method: &str, path: &str, headers: &[(&str, &str)], length: usize) -> String {
    let lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let headers = lines.concat();
    format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {length}\r\n\r\n")
}

/// Sends a body in two pieces, and gives the status of the answer, which must not come before the second
/// nor cost the connection.
fn in_pieces(server: &Server, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let what = format!("{method} {path} {headers:?}");
    let mut wire = Wire::to(server);
    wire.send(head(method, path, headers, LENGTH));
    wire.send("x=".to_owned() + "y".repeat(LENGTH / 2 - 2).as_str());
    assert!(wire.is_silent(), "answered before the end: {what}");
    wire.send("y".repeat(LENGTH - LENGTH / 2));
    let (status, head, _) = wire.answer().unwrap_or_else(|| panic!("no answer: {what}"));
    assert!(wire.goes_on(), "the connection ended: {what}");
    (status, head)
}

async fn server(folder: &tempfile::TempDir) -> Server {
    let server = Server::start(&sqlite(folder.path())).await;
    let create = ["user", "create", "root", "--admin", "--password-stdin"];
    assert!(server.run(&create, PASSWORD).status.success());
    server
}

#[test]
fn a_body_is_read_to_its_end_before_a_refusal() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let server = server(&folder).await;
        let bearer = format!("Bearer {}", server.login("root", "laptop").await);
        let (kind, known) = (("Content-Type", FORM), ("Authorization", bearer.as_str()));
        let wrong = ("Authorization", "Bearer mtk_x");
        let ours = ("Sec-Fetch-Site", "same-origin");
        let foreign = ("Origin", "https://evil.example");
        let multipart = ("Content-Type", "multipart/form-data; boundary=x");
        let token = format!("/auth/tokens/{NOBODY}/");
        let note = format!("/notes/{NOBODY}"); // example: notes
        for (method, path, headers, status) in [
            ("POST", "/auth/logout/", vec![multipart], 401),
            ("POST", "/auth/logout/", vec![wrong, kind], 401),
            ("POST", "/auth/password/", vec![wrong], 401),
            ("DELETE", &token, vec![multipart], 401),
            ("DELETE", &token, vec![known, multipart], 404),
            ("PUT", &note, vec![wrong, kind], 401), // example: notes
            ("PUT", &note, vec![known, kind], 400), // example: notes
            ("DELETE", &note, vec![known], 404),    // example: notes
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
            let (answered, _) = in_pieces(&server, method, path, &headers);
            assert_eq!(answered, status, "{method} {path} {headers:?}");
        }
        // An id that says nothing, chunks, and a body that comes with its head.
        let mut wire = Wire::to(&server);
        let chunked = "POST /auth/logout HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        wire.send(format!("{chunked}10\r\n0123456789abcdef\r\n"));
        assert!(wire.is_silent());
        wire.send("5\r\n01234\r\n0\r\n\r\n");
        assert_eq!(wire.answer().unwrap().0, 401);
        assert!(wire.goes_on());
        wire.send(head("POST", "/auth/nothing", &[], LENGTH) + "x".repeat(LENGTH).as_str());
        assert_eq!(wire.answer().unwrap().0, 404);
        assert!(wire.goes_on());
        // Without a body a refusal waits for nothing.
        wire.send("POST /auth/logout HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(wire.answer().unwrap().0, 401);
        assert!(wire.goes_on());
        assert_eq!(server.terminate(), Some(0));
    });
}

/// Every route that may have a body, with something in its parameters.
async fn routes() -> Vec<(Method, String)> {
    let folder = tempfile::tempdir().unwrap();
    let rocket = multitoken::rocket(figment(&sqlite(folder.path()), &json!({}))).unwrap();
    let client = Client::untracked(rocket).await.unwrap();
    let routes = client.rocket().routes().filter(|route| {
        let has_body = [Method::Post, Method::Put, Method::Patch, Method::Delete];
        route.rank < 1000 && has_body.contains(&route.method)
    });
    let routes = routes.map(|route| {
        let path = route.uri.path().replace("<id>", NOBODY);
        let path = path.replace("<action>", "disable");
        let path = path.replace("<_path..>", "nothing");
        assert!(!path.contains('<'), "say here what stands in {path}");
        (route.method, path)
    });
    routes.collect()
}

/// Headers that let the request in anywhere: an API token, and an admin's session.
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
fn every_route_with_a_body_reads_it_even_if_it_wants_none() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let server = server(&folder).await;
        let routes = routes().await;
        assert!(routes.len() > 15, "{routes:?}");
        for (number, (method, path)) in routes.iter().enumerate() {
            let headers = credentials(&server, &format!("client {number}")).await;
            let headers = headers
                .each_ref()
                .map(|(name, value)| (*name, value.as_str()));
            let (status, _) = in_pieces(&server, method.as_str(), path, &headers);
            assert!(
                ![401, 403, 405].contains(&status),
                "{method} {path}: {status}"
            );
        }
        // What such a body holds, and as what it is sent, does not matter.
        for (kind, body) in [
            ("application/json", "{}"),
            ("application/json", "nonsense"),
            ("multipart/form-data", "x=y"),
            ("\u{e9}", "x=y"),
        ] {
            let token = server.login("root", "laptop").await;
            let bearer = format!("Bearer {token}");
            let headers = [("Authorization", bearer.as_str()), ("Content-Type", kind)];
            let mut wire = Wire::to(&server);
            wire.send(head("POST", "/auth/logout/", &headers, body.len()) + body);
            let (status, _, text) = wire.answer().unwrap();
            assert_eq!((status, text.as_str()), (200, ""), "{kind} {body}");
            assert_eq!(server.me(&token).await, 401);
        }
        let token = server.login("root", "laptop").await;
        let bearer = format!("Bearer {token}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("Content-Encoding", "gzip"),
        ];
        let mut wire = Wire::to(&server);
        wire.send(head("POST", "/auth/logout/", &headers, 2) + "{}");
        assert_eq!(wire.answer().unwrap().0, 415);
        assert_eq!(server.me(&token).await, 200);
    });
}

#[test]
fn a_body_whose_rest_does_not_come_is_not_waited_for() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let server = server(&folder).await;
        let mut asked = vec![
            ("POST", "/auth/nothing".to_owned(), vec![]),
            ("PUT", "/auth/me/".to_owned(), vec![]),
            ("OPTIONS", "/auth/me/".to_owned(), vec![]),
            ("POST", "/auth/logout/".to_owned(), vec![]),
            ("POST", "/admin/logout".to_owned(), vec![]),
        ];
        for (number, (method, path)) in routes().await.into_iter().enumerate() {
            let headers = credentials(&server, &format!("client {number}")).await;
            asked.push((method.as_str(), path, headers.to_vec()));
        }
        let wait = |(method, path, headers): (&str, String, Vec<(&str, String)>)| {
            let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
            let mut wire = Wire::to(&server);
            wire.send(head(method, &path, &headers, LENGTH) + "x=0123456789ab");
            let start = Instant::now();
            // A byte now and then buys no time.
            for _ in 0..5 {
                thread::sleep(Duration::from_secs(1));
                wire.send("y");
            }
            let (status, head, body) = wire.answer().unwrap_or_else(|| panic!("{method} {path}"));
            let took = start.elapsed();
            assert_eq!(status, 408, "{method} {path}: {body}");
            let in_time = (Duration::from_secs(9)..Duration::from_secs(20)).contains(&took);
            assert!(in_time, "{method} {path}: {took:?}");
            if !path.starts_with("/admin") {
                assert!(
                    head.contains("content-type: application/problem+json"),
                    "{head}"
                );
                assert!(body.contains("\"status\":408"), "{body}");
            }
        };
        thread::scope(|scope| {
            let waiting = asked.into_iter().map(|asked| scope.spawn(|| wait(asked)));
            for waiting in waiting.collect::<Vec<_>>() {
                waiting.join().unwrap();
            }
        });
        assert_eq!(server.terminate(), Some(0));
    });
}

#[test]
fn a_body_over_the_limit_is_refused_where_the_client_sees_it() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let server = server(&folder).await;
        let token = server.login("root", "laptop").await;
        let bearer = format!("Bearer {token}");
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", FORM)];
        for path in ["/auth/login/", "/auth/logout/", "/auth/password/"] {
            for length in [8 * 1024 + 1, 300 * 1024] {
                let mut wire = Wire::to(&server);
                wire.send(head("POST", path, &headers, length));
                for part in vec![b'x'; length].chunks(64 * 1024) {
                    wire.send(part);
                }
                let (status, ..) = wire.answer().unwrap();
                assert_eq!(status, 413, "{path} {length}");
                assert!(wire.goes_on(), "{path} {length}");
            }
        }
        assert_eq!(server.me(&token).await, 200, "not signed out");
        let exact =
            head("POST", "/auth/logout/", &headers, 8 * 1024) + "x".repeat(8 * 1024).as_str();
        let mut wire = Wire::to(&server);
        wire.send(exact);
        assert_eq!(wire.answer().unwrap().0, 200);
        // One that is too long and goes on and on is not waited for either.
        let mut wire = Wire::to(&server);
        wire.send(head("POST", "/auth/login/", &headers, 1 << 30) + "x".repeat(16 * 1024).as_str());
        let start = Instant::now();
        assert_eq!(wire.answer().unwrap().0, 413);
        assert!(start.elapsed() < Duration::from_secs(8));
    });
}

#[test]
fn the_fetch_of_node_loses_no_refusal_of_a_form() {
    if needs::executable("node", &[]).is_none() {
        return needs::missing("Node.js", "nodejs");
    }
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let server = server(&folder).await;
        let token = server.login("root", "laptop").await;
        let output = Command::new("node")
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/node/refusals.mjs"
            ))
            .args([&server.origin, &token])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(said.trim(), "240 of 240");
        assert_eq!(server.me(&token).await, 200);
    });
}

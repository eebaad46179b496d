//! The reverse proxy configured by `deploy/Caddyfile`: what it forwards, what it blocks, and when it disconnects a
//! client. Runs with Debian's Caddy and with the version in `deploy/compose.yaml`.

use std::io::Write;
use std::process::{self, Command};
use std::thread;
use std::time::{Duration, Instant};

use rocket::tokio::task::spawn_blocking;
use sqlx::{AnyConnection, Connection};

use self::caddy::{Site, on_site, token_of};
use self::client::{CLIENT, Response, connect, exchange, request, start_tls, trickle};
use crate::doc_page::stdout_of;
use crate::support::PASSWORD;
use crate::support::app::{address_key, form};
use crate::support::server::sqlite;

mod caddy;
mod client;

#[test]
fn plain_http_redirects_browsers_and_refuses_requests_with_secrets() {
    on_site(&[], async |site| {
        let answer = site.get("/healthz", &[]).await;
        assert!(answer.status == 200 && answer.is_from_application());
        assert_eq!(answer.header_values("strict-transport-security").len(), 1);
        assert_eq!(answer.header_values("content-security-policy").len(), 1);
        assert_eq!(answer.header("server"), None);

        let origin = format!("https://localhost:{}", site.https);
        let plain = site.send_plain_http("GET /admin/?q=a%20b", &[], "").await;
        assert_eq!(plain.status, 301);
        assert_eq!(
            plain.header("location"),
            Some(format!("{origin}/admin/?q=a%20b").as_str())
        );
        // A forged `Host` does not change the target of the redirect.
        let evil = b"GET /admin/ HTTP/1.0\r\nHost: evil.example\r\n\r\n";
        let plain = exchange(&mut connect(CLIENT, site.http).await, evil);
        assert_eq!(
            plain.header("location"),
            Some(format!("{origin}/admin/").as_str())
        );

        let bearer = ("Authorization", "Bearer x");
        for (line, headers) in [
            ("POST /auth/login/", &[][..]),
            ("GET /auth/me/", &[bearer]),
            ("GET /auth/me/", &[]),
            ("GET //auth/me", &[]),
            ("GET /%61uth/me", &[]),
            ("GET /anything/", &[bearer]),
            ("POST /admin/login", &[]),
        ] {
            let plain = site.send_plain_http(line, headers, "").await;
            assert_eq!(plain.status, 403, "{line}");
            assert_eq!(plain.header("location"), None, "{line}");
            assert!(!plain.is_from_application(), "{line}");
        }
    });
}

#[test]
fn the_application_sees_the_real_client_address_despite_forged_headers() {
    on_site(&[], async |site| {
        site.create_user("alice", &[]);
        for claim in [
            &[][..],
            &[("X-Forwarded-For", "203.0.113.9")],
            &[
                ("X-Forwarded-For", "203.0.113.9"),
                ("X-Forwarded-For", "127.0.0.1"),
            ],
            &[
                ("X-Real-IP", "203.0.113.9"),
                ("Forwarded", "for=203.0.113.9"),
            ],
            &[
                ("Connection", "X-Forwarded-For"),
                ("X-Forwarded-For", "203.0.113.9"),
            ],
        ] {
            let token = token_of(&site.login("alice", claim).await);
            let tokens = site.tokens(&token).await;
            assert_eq!(tokens["results"][0]["last_address"], CLIENT, "{claim:?}");
        }
        // The application would ignore a header that is not text.
        let body = format!(r#"{{"username":"alice","password":"{PASSWORD}","client":"laptop"}}"#);
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Forwarded-For", "?"),
        ];
        let mut bytes = request("POST /auth/login/", &headers, &body).into_bytes();
        let mark = bytes.iter().position(|byte| *byte == b'?').unwrap();
        bytes[mark] = 0xff;
        let answer = site.send_from(CLIENT, &bytes).await;
        assert!([200, 400].contains(&answer.status), "{}", answer.status);
        // A client from another address is recorded with that address.
        let other = request("POST /auth/login/", &headers[..1], &body);
        let token = token_of(&site.send_from("127.0.0.3", other.as_bytes()).await);
        assert_eq!(
            site.tokens(&token).await["results"]
                .as_array()
                .unwrap()
                .len(),
            1
        );

        let url = sqlite(site.folder());
        sqlx::any::install_default_drivers();
        let mut db = AnyConnection::connect(&url).await.unwrap();
        let addresses = "SELECT DISTINCT address FROM events WHERE address IS NOT NULL ORDER BY 1";
        let addresses: Vec<String> = sqlx::query_scalar(addresses)
            .fetch_all(&mut db)
            .await
            .unwrap();
        assert_eq!(addresses, [CLIENT, "127.0.0.3"].map(address_key));
        db.close().await.unwrap();
    });
}

#[test]
fn an_admin_signs_in_through_the_proxy_and_other_origins_cannot() {
    on_site(&[], async |site| {
        site.create_user("root", &["--admin"]);
        let fields = form(&[("username", "root"), ("password", PASSWORD)]);
        let origin = format!("https://localhost:{}", site.https);
        let login = async |origin: &str| {
            let headers = [
                ("Content-Type", "application/x-www-form-urlencoded"),
                ("Origin", origin),
            ];
            site.send("POST /admin/login", &headers, &fields).await
        };
        assert_eq!(login("https://evil.example").await.status, 403);
        assert_eq!(login("https://localhost").await.status, 403);
        let signed_in = login(&origin).await;
        assert_eq!(signed_in.status, 303, "{}", signed_in.body);
        let cookie = signed_in.header("set-cookie").unwrap();
        assert!(
            cookie.starts_with("__Host-") && cookie.contains("; Secure"),
            "{cookie}"
        );
        let cookie = cookie.split(';').next().unwrap();
        let page = site.get("/admin/", &[("Cookie", cookie)]).await;
        assert_eq!(page.status, 200);
        // Pages are not compressed, because compressing text chosen by an attacker together with secrets leaks them
        // (BREACH).
        let gzip = [("Cookie", cookie), ("Accept-Encoding", "gzip, br, zstd")];
        let page = site.get("/admin/?q=x", &gzip).await;
        assert!(page.status == 200 && page.header("content-encoding").is_none());
        let style = page
            .body
            .split('"')
            .find(|part| part.ends_with("admin.css"));
        let style = site.get(style.unwrap(), &gzip[1..]).await;
        assert_eq!(style.header("content-encoding"), Some("br"));
    });
}

/// The first headers of a login request.
const LOGIN_HEAD: &str =
    "POST /auth/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
/// More than the 14 bytes of a body that Rocket waits for.
const PARTIAL_BODY: &str = r#"{"username":"alice","pass"#;

#[test]
#[ignore = "slow"]
fn slow_clients_are_disconnected_while_others_are_served() {
    const HEADER: Duration = Duration::from_secs(2);
    const BODY: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(3);
    // Other tests may keep the machine busy.
    const SLACK: Duration = Duration::from_secs(6);
    let variables = [
        ("READ_HEADER_TIMEOUT", "2s"),
        ("READ_BODY_TIMEOUT", "10s"),
        ("IDLE_TIMEOUT", "3s"),
    ];
    on_site(&variables, async |site| {
        site.create_user("alice", &[]);
        let token = token_of(&site.login("alice", &[]).await);
        let bearer = format!("Bearer {token}");

        let half = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: a";
        let posting = format!("{LOGIN_HEAD}Content-Length: 100\r\n\r\n");
        let few = format!("{posting}{{\"user");
        let chunked = format!("{LOGIN_HEAD}Transfer-Encoding: chunked\r\n\r\n6\r\n{{\"user\r\n");
        let alive = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let mut started = vec![];
        for (what, bytes, drip, bound) in [
            ("says nothing", String::new(), "", HEADER),
            ("stops in its headers", half.to_owned(), "", HEADER),
            (
                "sends a header a byte a second",
                half.to_owned(),
                "a",
                HEADER,
            ),
            // With fewer than 14 bytes, Rocket does not hand the request to the application.
            ("stops before its body", posting.clone(), "", BODY),
            ("stops after six bytes of its body", few.clone(), "", BODY),
            ("stops in its body", posting + PARTIAL_BODY, "", BODY),
            ("sends its body a byte a second", few, "a", BODY),
            (
                "sends its body in chunks, slowly",
                chunked,
                "1\r\na\r\n",
                BODY,
            ),
            ("has been answered and stays", alive.to_owned(), "", IDLE),
        ] {
            let socket = connect(CLIENT, site.https).await;
            let mut stream = start_tls(socket.try_clone().unwrap(), &site.authority());
            let trickling =
                move || trickle(&mut stream, &socket, bytes.as_bytes(), drip.as_bytes());
            started.push((what, bound, thread::spawn(trickling)));
        }
        let mut silent = connect(CLIENT, site.https).await;
        let handshake = thread::spawn(move || {
            let socket = silent.try_clone().unwrap();
            trickle(&mut silent, &socket, b"", b"")
        });
        started.push(("never shakes hands", HEADER, handshake));
        let idle = idle_connections(&site, 300).await;

        // Other clients are served meanwhile.
        let (start, mut served) = (Instant::now(), 0);
        while start.elapsed() < BODY {
            let sent = Instant::now();
            let me = site.get("/auth/me/", &[("Authorization", &bearer)]).await;
            assert_eq!(me.status, 200);
            assert!(
                sent.elapsed() < Duration::from_secs(2),
                "{:?}",
                sent.elapsed()
            );
            served += 1;
        }
        assert!(served > 10, "{served} requests were served");
        drop(idle);

        for (what, bound, trickle) in started {
            let (time, answer) = spawn_blocking(|| trickle.join().unwrap()).await.unwrap();
            let early = bound.saturating_sub(Duration::from_millis(500));
            assert!(time >= early && time < bound + SLACK, "{what}: {time:?}");
            // Caddy itself ends a request with a late body with an empty 200.
            let served = answer.is_some_and(|answer| answer.is_from_application());
            assert_eq!(served, what.contains("answered"), "{what}");
        }
    });
}

/// Connections that complete the TLS handshake and send nothing.
async fn idle_connections(site: &Site, count: usize) -> Vec<impl Sized + use<>> {
    let mut idle = vec![];
    for _ in 0..count {
        let mut stream = start_tls(connect(CLIENT, site.https).await, &site.authority());
        std::io::Write::flush(&mut stream).unwrap();
        idle.push(stream);
    }
    idle
}

#[test]
#[ignore = "slow"]
fn a_thousand_incomplete_bodies_delay_no_other_request() {
    // The connections must outlast the test.
    on_site(&[("READ_BODY_TIMEOUT", "3m")], async |site| {
        let own = process::id().to_string();
        stdout_of(Command::new("prlimit").args(["--pid", &own, "--nofile=8192:"]));
        site.create_user("alice", &[]);
        let halves = [
            format!("{LOGIN_HEAD}Content-Length: 100\r\n\r\n"),
            format!("{LOGIN_HEAD}Content-Length: 100\r\n\r\n{{\"user"),
            format!("{LOGIN_HEAD}Content-Length: 100\r\n\r\n{PARTIAL_BODY}"),
            format!(
                "{LOGIN_HEAD}Content-Length: 99999\r\n\r\n{}",
                "x".repeat(9_000)
            ),
            format!("{LOGIN_HEAD}Transfer-Encoding: chunked\r\n\r\n"),
            format!("{LOGIN_HEAD}Transfer-Encoding: chunked\r\n\r\n19\r\n{PARTIAL_BODY}\r\n"),
        ];
        let (start, mut held) = (Instant::now(), vec![]);
        for half in halves.iter().cycle().take(1_000) {
            let mut stream = start_tls(connect(CLIENT, site.https).await, &site.authority());
            stream.write_all(half.as_bytes()).unwrap();
            stream.flush().unwrap();
            held.push(stream);
        }
        for _ in 0..3 {
            let sent = Instant::now();
            assert_eq!(site.get("/healthz", &[]).await.status, 200);
            let time = sent.elapsed();
            assert!(time < Duration::from_secs(1), "{time:?}");
        }
        token_of(&site.login("alice", &[]).await);
        assert!(start.elapsed() < Duration::from_mins(3));
        drop(held);
    });
}

/// Requests a file over a new connection. Fails if nothing arrives within two seconds.
async fn read_first_byte(site: &Site, path: &str) -> std::io::Result<usize> {
    let socket = connect(CLIENT, site.https).await;
    let clock = socket.try_clone().unwrap();
    let mut stream = start_tls(socket, &site.authority());
    clock
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    let request = request(&format!("GET {path}"), &[], "");
    stream.write_all(request.as_bytes()).unwrap();
    std::io::Read::read(&mut stream, &mut [0])
}

#[test]
#[ignore = "slow"]
fn slow_readers_of_public_files_delay_no_other_request() {
    let few = [("APP_CONNECTIONS", "4"), ("FILE_CONNECTIONS", "4")];
    on_site(&few, async |site| {
        let page = site.get("/docs", &[]).await.body;
        let mut names = page.split('"');
        let script = names.find(|name| name.ends_with("bundle.js")).unwrap();
        // More than the kernel buffers for a client that reads nothing.
        let ask = format!("GET {script} HTTP/1.1\r\nHost: localhost\r\n\r\n").repeat(6);
        let mut held = vec![];
        for _ in 0..8 {
            let mut stream = start_tls(connect(CLIENT, site.https).await, &site.authority());
            stream.write_all(ask.as_bytes()).unwrap();
            stream.flush().unwrap();
            held.push(stream);
        }
        // The slow readers soon use up the connections for files, so another reader has to wait.
        let start = Instant::now();
        while read_first_byte(&site, script).await.is_ok() {
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "no reader has to wait"
            );
        }

        let sent = Instant::now();
        assert_eq!(site.get("/healthz", &[]).await.status, 200);
        assert_eq!(site.get("/admin/login", &[]).await.status, 200);
        // In the slow readers' queue this would take minutes. Beside other tests it takes seconds.
        let time = sent.elapsed();
        assert!(time < Duration::from_secs(15), "{time:?}");
        drop(held);
    });
}

#[test]
fn a_request_with_two_authorization_headers_is_not_forwarded() {
    on_site(&[], async |site| {
        site.create_user("alice", &[]);
        let token = token_of(&site.login("alice", &[]).await);
        let own = format!("Bearer {token}").into_bytes();
        let (own, other, none): (&[u8], &[u8], &[u8]) = (&own, b"Bearer x", b"");
        let (not_text, star): (&[u8], &[u8]) = (b"Bearer \xff", b"*");
        for (values, status) in [
            (&[own][..], 200),
            (&[other], 401),
            (&[not_text], 401),
            (&[none], 401),
            (&[star], 401),
            (&[b"Digest a=b, c=d"], 401),
            (&[b"{http.request.uri}"], 401),
            (&[own, own], 400),
            (&[own, other], 400),
            (&[own, not_text], 400),
            (&[not_text, own], 400),
            (&[own, none], 400),
            (&[none, own], 400),
            (&[none, none], 400),
            (&[star, own], 400),
            (&[own, star], 400),
            (&[own, other, not_text], 400),
        ] {
            for name in ["Authorization: ", "authorization:"] {
                let mut bytes =
                    b"GET /auth/me/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".to_vec();
                for (number, value) in values.iter().enumerate() {
                    let name = if number == 0 { name } else { "Authorization: " };
                    bytes.extend([name.as_bytes(), value, b"\r\n"].concat());
                }
                bytes.extend(b"\r\n");
                let answer = site.send_from(CLIENT, &bytes).await;
                let request = String::from_utf8_lossy(&bytes);
                assert_eq!(answer.status, status, "{request}");
                assert_eq!(answer.is_from_application(), status != 400, "{request}");
            }
        }
    });
}

#[test]
fn oversized_requests_and_internal_paths_are_not_forwarded() {
    on_site(&[], async |site| {
        let json = ("Content-Type", "application/json");
        // For this path, the application itself would not answer 413.
        let announced = "POST /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                         Content-Length: 100000\r\n\r\n";
        let large = site.send_from(CLIENT, announced.as_bytes()).await;
        assert!(large.status == 413 && !large.is_from_application());
        let chunked = format!(
            "POST /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
            100_001,
            "x".repeat(100_001)
        );
        // The application may respond first.
        let mut statuses = vec![];
        while !statuses.contains(&413) {
            assert!(statuses.len() < 50, "{statuses:?}");
            statuses.push(site.send_from(CLIENT, chunked.as_bytes()).await.status);
        }
        // The proxy's limits are above the application's own.
        let own = site
            .send("POST /auth/login/", &[json], &"x".repeat(9_000))
            .await;
        assert!(own.status == 413 && own.is_from_application());

        let header = "x".repeat(64_000);
        let large = site.get("/healthz", &[("X-Large", &header)]).await;
        assert_eq!(large.status, 431);
        let fits = site.get("/healthz", &[("X-Large", &header[..8_000])]).await;
        assert_eq!(fits.status, 200);

        for path in [
            "/metrics",
            "/metrics/",
            "//metrics",
            "/%6detrics",
            "/metrics?x",
            "/./metrics",
        ] {
            let answer = site.get(path, &[]).await;
            assert!(
                answer.status == 404 && !answer.is_from_application(),
                "{path}"
            );
        }
        let other = site.get("/metrics-of-mine", &[]).await;
        assert!(other.status == 404 && other.is_from_application());
    });
}

#[test]
#[ignore = "slow"]
fn the_proxy_reports_a_stopped_application_and_waits_for_a_restart() {
    on_site(&[], async |mut site| {
        site.app = None;
        let start = Instant::now();
        let answer = site.get("/healthz", &[]).await;
        assert_eq!(answer.status, 502);
        assert!(
            start.elapsed() < Duration::from_secs(8),
            "{:?}",
            start.elapsed()
        );
        site.start_app().await;
        assert_eq!(site.get("/healthz", &[]).await.status, 200);

        // The proxy waits for an application that restarts.
        assert_eq!(site.app.take().unwrap().terminate(), Some(0));
        let socket = connect(CLIENT, site.https).await;
        let mut stream = start_tls(socket, &site.authority());
        let ask = request("GET /healthz", &[], "");
        let asking = thread::spawn(move || exchange(&mut stream, ask.as_bytes()));
        rocket::tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!asking.is_finished());
        site.start_app().await;
        let answer: Response = spawn_blocking(|| asking.join().unwrap()).await.unwrap();
        assert_eq!(answer.status, 200);
    });
}

#[test]
fn the_access_log_has_no_secrets_and_no_request_ids_chosen_by_clients() {
    on_site(&[], async |site| {
        site.create_user("root", &["--admin"]);
        let token = token_of(&site.login("root", &[]).await);
        let bearer = format!("Bearer {token}");
        let named = [
            ("Authorization", bearer.as_str()),
            ("X-Request-Id", "of-the-client.1"),
        ];
        let claimed = site.get("/auth/me/", &named).await;
        let claimed = claimed.header("x-request-id").unwrap();
        let made = site.get("/auth/me/", &named[..1]).await;
        let made = made.header("x-request-id").unwrap();

        let fields = form(&[("username", "root"), ("password", PASSWORD)]);
        let origin = format!("https://localhost:{}", site.https);
        let headers = [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Origin", origin.as_str()),
        ];
        let login = site.send("POST /admin/login", &headers, &fields).await;
        let cookie = login
            .header("set-cookie")
            .unwrap()
            .split(';')
            .next()
            .unwrap();
        let referer = format!("{origin}/admin/setup?key=canary-key");
        let headers = [("Cookie", cookie), ("Referer", referer.as_str())];
        site.get("/admin/setup?key=canary-key", &headers).await;
        site.send_plain_http("GET /admin/setup?key=canary-key", &headers, "")
            .await;
        site.send_plain_http("GET /auth/me/", &named, "").await;

        let log = site.log_after_requests(8).await;
        let secret = cookie.split_once('=').unwrap().1;
        let stranger = named[1].1;
        for canary in [token.as_str(), secret, "canary-key", PASSWORD, stranger] {
            assert!(!log.contains(canary), "{canary} is in {log}");
        }
        for id in [claimed, made] {
            assert!(id.len() == 36 && log.contains(id), "{id} is not in {log}");
        }
        let lines = log.lines().filter(|line| line.contains("handled request"));
        for line in lines {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(line["status"].is_number() && line["request"]["uri"].is_string());
        }
    });
}

#[test]
fn clients_cannot_write_long_lines_into_the_access_log() {
    const MAX_LINE: usize = 3_000;
    on_site(&[], async |mut site| {
        let end = b"Host: localhost\r\nConnection: close\r\n\r\n";
        let quotes = b"\"".repeat(14_000);
        let not_text = b"\xff".repeat(14_000);
        let parts: &[&[&[u8]]] = &[
            &[b"GET /", &quotes, b" HTTP/1.1\r\n", end],
            &[b"GET /", &not_text, b" HTTP/1.1\r\n", end],
            &[b"GET /%3Fcanary", &quotes, b" HTTP/1.1\r\n", end],
            &[b"GET /?canary=", &quotes, b" HTTP/1.1\r\n", end],
            &[b"GET http://localhost/x?canary HTTP/1.1\r\n", end],
            &[b"GET / HTTP/1.1\r\nUser-Agent: ", &quotes, b"\r\n", end],
            &[b"GET / HTTP/1.1\r\n", &b"X: \"\r\n".repeat(2_000), end],
            &[
                b"GET / HTTP/1.1\r\nReferer: http://localhost/?canary\r\n",
                end,
            ],
            &[
                b"GET / HTTP/1.0\r\nHost: ",
                &b"h".repeat(14_000),
                b"\r\n\r\n",
            ],
        ];
        let mut sent = 0;
        for request in parts {
            site.send_from(CLIENT, &request.concat()).await;
            let mut plain = connect(CLIENT, site.http).await;
            exchange(&mut plain, &request.concat());
            sent += 2;
        }
        // Errors of the proxy itself are log lines, too.
        site.app = None;
        site.send_from(CLIENT, &parts[3].concat()).await;
        site.log_after_requests(sent + 1).await;
        let log = site.log_containing("refused").await;
        assert!(!log.contains("canary"), "{log}");
        let longest = log.lines().map(str::len).max().unwrap();
        assert!(longest < MAX_LINE, "{longest}");
    });
}

#[test]
fn a_response_in_progress_is_delivered_when_the_application_stops() {
    on_site(&[], async |mut site| {
        site.create_user("alice", &[]);
        // A slow response: hashing the password takes seconds.
        assert_eq!(site.app.take().unwrap().terminate(), Some(0));
        site.slow_hashing();
        site.start_app().await;
        let body = format!(r#"{{"username":"alice","password":"{PASSWORD}","client":"laptop"}}"#);
        let login = request(
            "POST /auth/login/",
            &[("Content-Type", "application/json")],
            &body,
        );
        let socket = connect(CLIENT, site.https).await;
        let mut stream = start_tls(socket, &site.authority());
        let asking = thread::spawn(move || exchange(&mut stream, login.as_bytes()));
        let app = site.app.as_ref().unwrap();
        while !is_hashing(&app.get("/metrics", "").await.text().await.unwrap()) {
            assert!(!asking.is_finished());
            rocket::tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(site.app.take().unwrap().terminate(), Some(0));
        let answer: Response = spawn_blocking(|| asking.join().unwrap()).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    });
}

/// Whether these metrics say that a password is being hashed.
fn is_hashing(metrics: &str) -> bool {
    let gauge = r#"_password_hashes{state="running"} "#;
    let (_, running) = metrics.split_once(gauge).unwrap();
    !running.starts_with('0')
}

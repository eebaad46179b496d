//! The reverse proxy that `deploy/Caddyfile` configures, started from Debian's package and driven: what it
//! passes on, what it keeps out, and whom it cuts off.

use std::thread;
use std::time::{Duration, Instant};

use rocket::tokio::task::spawn_blocking;
use sqlx::{AnyConnection, Connection};

use self::caddy::{Site, on_site, token_of};
use self::client::{Answer, CLIENT, connect, exchange, request, secure, trickle};
use crate::support::PASSWORD;
use crate::support::app::form;
use crate::support::server::sqlite;

mod caddy;
mod client;

#[test]
fn browsers_are_led_to_https_and_clients_that_give_secrets_away_are_refused() {
    on_site(&[], async |site| {
        let answer = site.get("/healthz", &[]).await;
        assert!(answer.status == 200 && answer.is_of_application());
        assert_eq!(answer.all("strict-transport-security").len(), 1);
        assert_eq!(answer.all("content-security-policy").len(), 1);
        assert_eq!(answer.header("server"), None);

        let origin = format!("https://localhost:{}", site.https);
        let plain = site.send_plainly("GET /admin/?q=a%20b", &[], "").await;
        assert_eq!(plain.status, 301);
        assert_eq!(
            plain.header("location"),
            Some(format!("{origin}/admin/?q=a%20b").as_str())
        );
        // A host of the client's own choice doesn't lead it elsewhere.
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
            ("GET /notes/", &[bearer]),
            ("POST /admin/login", &[]),
        ] {
            let plain = site.send_plainly(line, headers, "").await;
            assert_eq!(plain.status, 403, "{line}");
            assert_eq!(plain.header("location"), None, "{line}");
            assert!(!plain.is_of_application(), "{line}");
        }
    });
}

#[test]
fn the_application_sees_the_clients_address_whatever_the_client_claims() {
    on_site(&[], async |site| {
        site.user("alice", &[]);
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
        // Bytes that are no text, for which the application would leave the whole line out.
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
        // Two who come from two places are two.
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
        assert_eq!(addresses, [CLIENT, "127.0.0.3"]);
        db.close().await.unwrap();
    });
}

#[test]
fn an_admin_signs_in_through_it_and_another_site_does_not() {
    on_site(&[], async |site| {
        site.user("root", &["--admin"]);
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
        // What a link has put into a page and what only an admin may see never share a compression.
        let gzip = [("Cookie", cookie), ("Accept-Encoding", "gzip, br, zstd")];
        let page = site.get("/admin/?q=x", &gzip).await;
        assert!(page.status == 200 && page.header("content-encoding").is_none());
        let style = page
            .body
            .split('"')
            .find(|part| part.ends_with("admin.css"));
        let style = site.get(style.unwrap(), &gzip[1..]).await;
        assert_eq!(style.header("content-encoding"), Some("gzip"));
    });
}

#[test]
fn slow_clients_are_cut_off_while_honest_ones_are_served() {
    const HEADER: Duration = Duration::from_secs(2);
    const BODY: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(3);
    // The machine may be busy with other tests.
    const SLACK: Duration = Duration::from_secs(6);
    let variables = [
        ("READ_HEADER_TIMEOUT", "2s"),
        ("READ_BODY_TIMEOUT", "10s"),
        ("IDLE_TIMEOUT", "3s"),
    ];
    on_site(&variables, async |site| {
        site.user("alice", &[]);
        let token = token_of(&site.login("alice", &[]).await);
        let bearer = format!("Bearer {token}");

        let half = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: a";
        let posting = "POST /auth/login/ HTTP/1.1\r\nHost: localhost\r\n\
                       Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"user";
        let chunked = "POST /auth/login/ HTTP/1.1\r\nHost: localhost\r\n\
                       Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n{\"user\r\n";
        let alive = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let mut started = vec![];
        for (what, bytes, drip, bound) in [
            ("says nothing", "", "", HEADER),
            ("stops in its headers", half, "", HEADER),
            ("sends a header a byte a second", half, "a", HEADER),
            ("stops in its body", posting, "", BODY),
            ("sends its body a byte a second", posting, "a", BODY),
            (
                "sends its body in chunks, slowly",
                chunked,
                "1\r\na\r\n",
                BODY,
            ),
            ("has been answered and stays", alive, "", IDLE),
        ] {
            let socket = connect(CLIENT, site.https).await;
            let mut stream = secure(socket.try_clone().unwrap(), &site.authority());
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
        let idle = idlers(&site, 300).await;

        // They hold nothing up meanwhile.
        let (start, mut served) = (Instant::now(), 0);
        while start.elapsed() < BODY {
            let asked = Instant::now();
            let me = site.get("/auth/me/", &[("Authorization", &bearer)]).await;
            assert_eq!(me.status, 200);
            assert!(
                asked.elapsed() < Duration::from_secs(2),
                "{:?}",
                asked.elapsed()
            );
            served += 1;
        }
        assert!(served > 10, "{served} requests were served");
        drop(idle);

        for (what, bound, trickle) in started {
            let (time, answer) = spawn_blocking(|| trickle.join().unwrap()).await.unwrap();
            let early = bound.saturating_sub(Duration::from_millis(500));
            assert!(time >= early && time < bound + SLACK, "{what}: {time:?}");
            // Of a body that is late versions up to 2.11.3 think nothing, and answer 200 with nothing in it.
            let served = answer.is_some_and(|answer| answer.is_of_application());
            assert_eq!(served, what.contains("answered"), "{what}");
        }
    });
}

/// Connections that shake hands and then say nothing.
async fn idlers(site: &Site, count: usize) -> Vec<impl Sized + use<>> {
    let mut idle = vec![];
    for _ in 0..count {
        let mut stream = secure(connect(CLIENT, site.https).await, &site.authority());
        std::io::Write::flush(&mut stream).unwrap();
        idle.push(stream);
    }
    idle
}

#[test]
fn what_is_too_large_or_meant_for_the_inside_does_not_come_through() {
    on_site(&[], async |site| {
        let json = ("Content-Type", "application/json");
        // Where the application itself would not say so.
        let announced = "POST /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                         Content-Length: 100000\r\n\r\n";
        let large = site.send_from(CLIENT, announced.as_bytes()).await;
        assert!(large.status == 413 && !large.is_of_application());
        let chunked = format!(
            "POST /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n",
            100_001,
            "x".repeat(100_001)
        );
        // The application may be quicker to refuse it.
        let mut statuses = vec![];
        while !statuses.contains(&413) {
            assert!(statuses.len() < 50, "{statuses:?}");
            statuses.push(site.send_from(CLIENT, chunked.as_bytes()).await.status);
        }
        // The application's own limits are within it.
        let own = site
            .send("POST /auth/login/", &[json], &"x".repeat(9_000))
            .await;
        assert!(own.status == 413 && own.is_of_application());

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
                answer.status == 404 && !answer.is_of_application(),
                "{path}"
            );
        }
        let other = site.get("/metrics-of-mine", &[]).await;
        assert!(other.status == 404 && other.is_of_application());
    });
}

#[test]
fn while_the_application_is_away_it_says_so_and_then_goes_on() {
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

        // Restarted, it is waited for.
        assert_eq!(site.app.take().unwrap().terminate(), Some(0));
        let socket = connect(CLIENT, site.https).await;
        let mut stream = secure(socket, &site.authority());
        let ask = request("GET /healthz", &[], "");
        let asking = thread::spawn(move || exchange(&mut stream, ask.as_bytes()));
        rocket::tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!asking.is_finished());
        site.start_app().await;
        let answer: Answer = spawn_blocking(|| asking.join().unwrap()).await.unwrap();
        assert_eq!(answer.status, 200);
    });
}

#[test]
fn its_log_has_no_secrets_and_the_applications_request_ids() {
    on_site(&[], async |site| {
        site.user("root", &["--admin"]);
        let token = token_of(&site.login("root", &[]).await);
        let bearer = format!("Bearer {token}");
        let named = [
            ("Authorization", bearer.as_str()),
            ("X-Request-Id", "of-the-client.1"),
        ];
        let answer = site.get("/auth/me/", &named).await;
        assert_eq!(answer.header("x-request-id"), Some("of-the-client.1"));
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
        site.send_plainly("GET /admin/setup?key=canary-key", &headers, "")
            .await;
        site.send_plainly("GET /auth/me/", &named, "").await;

        // It writes a line when the answer is out.
        let start = Instant::now();
        while site.log().matches("handled request").count() < 8 {
            assert!(start.elapsed() < Duration::from_secs(10), "{}", site.log());
            thread::sleep(Duration::from_millis(20));
        }
        let log = site.log();
        let secret = cookie.split_once('=').unwrap().1;
        for canary in [token.as_str(), secret, "canary-key", PASSWORD] {
            assert!(!log.contains(canary), "{canary} is in {log}");
        }
        for id in ["of-the-client.1", made] {
            assert!(log.contains(id), "{id} is not in {log}");
        }
        let lines = log.lines().filter(|line| line.contains("handled request"));
        for line in lines {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(line["status"].is_number() && line["request"]["uri"].is_string());
        }
    });
}

#[test]
fn an_answer_that_is_being_made_comes_through_when_the_application_is_told_to_end() {
    on_site(&[], async |mut site| {
        site.user("alice", &[]);
        // One that takes a while: its password is hashed.
        assert_eq!(site.app.take().unwrap().terminate(), Some(0));
        site.slow_down();
        site.start_app().await;
        let body = format!(r#"{{"username":"alice","password":"{PASSWORD}","client":"laptop"}}"#);
        let login = request(
            "POST /auth/login/",
            &[("Content-Type", "application/json")],
            &body,
        );
        let socket = connect(CLIENT, site.https).await;
        let mut stream = secure(socket, &site.authority());
        let asking = thread::spawn(move || exchange(&mut stream, login.as_bytes()));
        rocket::tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!asking.is_finished());
        assert_eq!(site.app.take().unwrap().terminate(), Some(0));
        let answer: Answer = spawn_blocking(|| asking.join().unwrap()).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    });
}

//! The clients of `docs/api.md`, as it writes them; the browser's is tried in `browser`.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::PASSWORD;
use crate::support::needs;
use crate::support::page::{blocks, done, page, shell};
use crate::support::server::{Server, on_each_url};

/// Where the page has the server.
const THERE: &str = "http://127.0.0.1:8000";

async fn server_with_alice(url: &str) -> Server {
    let server = Server::start(url).await;
    server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
    server
}

/// A question or an answer of HTTP: its first line's words, its headers, its body.
fn message(text: &str) -> (Vec<&str>, Vec<(&str, &str)>, Value) {
    let (head, body) = text.split_once("\n\n").unwrap();
    let mut lines = head.lines();
    let first = lines.next().unwrap().split(' ').collect();
    let headers = lines.map(|line| line.split_once(": ").unwrap()).collect();
    (first, headers, serde_json::from_str(body).unwrap())
}

/// Sends the first block under the heading, and holds the answer against the second; but what differs
/// each time.
async fn is_answered_so(server: &Server, heading: &str, differs: &[&str]) {
    let blocks = blocks(&page("api.md"), heading, "http");
    let (line, headers, body) = message(&blocks[0]);
    assert_eq!(line[0], "POST");
    let client = reqwest::Client::new();
    let mut post = client.post(format!("{}{}", server.origin, line[1]));
    for (name, value) in headers.into_iter().filter(|(name, _)| *name != "Host") {
        post = post.header(name, value);
    }
    let answer = post.body(body.to_string()).send().await.unwrap();
    let (line, headers, mut wanted) = message(&blocks[1]);
    assert_eq!(answer.status().to_string(), line[1..].join(" "));
    for (name, value) in headers {
        assert_eq!(answer.headers()[name], value, "{name}");
    }
    let mut answer: Value = answer.json().await.unwrap();
    for name in differs {
        // Of one length they are, at least.
        let length = |value: &Value| value[name].as_str().map(str::len);
        assert_eq!(length(&answer), length(&wanted), "{name}");
        answer[name].take();
        wanted[name].take();
    }
    assert_eq!(answer, wanted);
}

#[test]
fn what_goes_over_the_wire_is_as_the_page_has_it() {
    on_each_url(async |url| {
        let server = server_with_alice(&url).await;
        is_answered_so(&server, "One exchange", &["auth_token", "expires_at"]).await;
        is_answered_so(&server, "When it says no", &["request_id"]).await;
    });
}

#[test]
fn the_first_page_signs_in_and_revokes() {
    if needs::executable("curl", &[]).is_none() {
        return needs::missing("curl", "curl");
    }
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        let readme = page("../README.md");
        let blocks = blocks(&readme, "Sign in", "sh");
        let session = blocks[..3].concat();
        let session = session.replace("cargo run -q --", "multitoken");
        let session = session.replace(THERE, &server.origin);
        let said = done(shell(Path::new("."), &session).env("DATABASE_URL", &url));
        assert!(said.contains("\"username\":\"alice\"") && said.contains("\"results\""));
        assert!(said.contains("1 token revoked\n"), "{said}");
        let (_, last) = said.split_once("revoked\n").unwrap();
        assert!(last.starts_with("HTTP/1.1 401 Unauthorized"), "{last}");
        let challenge = last
            .lines()
            .find_map(|line| line.strip_prefix("www-authenticate: "));
        let challenge = format!("`WWW-Authenticate: {}`", challenge.unwrap());
        assert!(readme.contains(&challenge), "{challenge}");
        let seed = blocks[3].replace("cargo run --", "multitoken");
        done(shell(Path::new("."), &seed).env("DATABASE_URL", &url));
        assert_eq!(server.try_login("demo-admin", PASSWORD).await, 200);
    });
}

#[test]
fn curl_signs_in_ends_another_client_and_signs_out() {
    for program in ["curl", "jq"] {
        if needs::executable(program, &[]).is_none() {
            return needs::missing(program, program);
        }
    }
    on_each_url(async |url| {
        let server = server_with_alice(&url).await;
        let phone = server.login("alice", "phone").await;
        let folder = tempfile::tempdir().unwrap();
        let blocks = blocks(&page("api.md"), "With curl", "sh");
        let run = |number: usize| {
            let script = blocks[number].replace(THERE, &server.origin);
            let mut shell = shell(folder.path(), &script);
            done(shell.env("PASSWORD", PASSWORD).env("HOME", folder.path()))
        };
        assert!(run(0).contains("\"username\":\"alice\""));
        let file = folder.path().join(concat!(".", env!("CARGO_PKG_NAME")));
        assert_eq!(mode(&file), 0o600);
        let header = std::fs::read_to_string(&file).unwrap();
        let token = header.trim().rsplit(' ').next().unwrap();
        assert_eq!(server.me(token).await, 200);
        let listed = run(1);
        assert!(
            listed.lines().any(|line| line.starts_with("phone ")),
            "{listed}"
        );
        assert_eq!(server.me(&phone).await, 401);
        run(2);
        assert_eq!(server.me(token).await, 401);
        assert!(!file.exists());
    });
}

fn mode(file: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[test]
fn python_signs_in_looks_around_and_signs_out() {
    let Some(schemathesis) = needs::schemathesis() else {
        return;
    };
    // Beside it is what it is built on, requests among it.
    let python = schemathesis.with_file_name("python3");
    on_each_url(async |url| {
        let app = "{hash_memory_kib=8,hash_iterations=1,login_failures_per_account=1}";
        let server = Server::start_with(&url, &[("ROCKET_APP", app)]).await;
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        server.login("alice", "phone").await;
        let script = blocks(&page("api.md"), "In Python", "python").remove(0);
        let home = tempfile::tempdir().unwrap();
        std::fs::write(
            home.path().join(".netrc"),
            "machine 127.0.0.1 login alice password wrong\n",
        )
        .unwrap();
        let run = || {
            let mut command = Command::new(&python);
            command
                .args(["-c", &script.replace(THERE, &server.origin)])
                .env("HOME", home.path())
                .env("PASSWORD", PASSWORD);
            command
        };
        let said = done(&mut run());
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines[0], "alice");
        assert!(lines.contains(&"phone None"), "{said}");
        assert!(lines.iter().any(|line| line.starts_with("report on ")));
        let left = server.run(&["token", "list", "--user", "alice", "--json"], "");
        let left = crate::support::server::stdout(&left);
        assert!(
            left.contains("phone") && !left.contains("report on"),
            "{left}"
        );
        // To be told to wait for minutes is reported, and not waited for.
        server.try_login("alice", "wrong").await;
        let (start, output) = (Instant::now(), run().output().unwrap());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("429 Client Error"), "{said}");
        assert!(start.elapsed() < Duration::from_secs(20));
    });
}

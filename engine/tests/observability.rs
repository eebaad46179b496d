//! What an operator can observe: the access log and metrics.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rocket::http::{Method, Status};
use rocket::tokio::time::sleep;
use rocket_multitoken::models::user::Role;
use serde_json::{Value, json};

use crate::support::PASSWORD;
use crate::support::app::{App, PROXY, on_both_with};
use crate::support::server::{Server, command, free_port, on_each_url, sqlite};

/// The log's events about requests to a route.
fn events(log: &str, route: &str) -> Vec<Value> {
    let lines = log.lines().filter(|line| line.starts_with('{'));
    let events = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["route"] == route).collect()
}

#[test]
fn each_request_logs_one_event_with_user_and_client() {
    on_each_url(async |url| {
        let settings = "{hash_memory_kib=8,hash_iterations=1,trusted_proxies=[\"127.0.0.1\"]}";
        let server = Server::start_with(&url, &[("ROCKET_APP", settings)]).await;
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let shown = server.run(&["user", "show", "alice", "--json"], "");
        let alice: Value = serde_json::from_slice(&shown.stdout).unwrap();
        let token = server.login("alice", "my \"laptop\"").await;
        let get = |path: &str, token: &str, id: &str| {
            let get = reqwest::Client::new().get(format!("{}{path}", server.origin));
            get.bearer_auth(token).header("X-Request-Id", id.to_owned())
        };
        let accepted = get("/auth/me/?next=CANARY", &token, "a-1").send().await;
        let refused = get("/auth/me", "nonsense", "a-2").send().await;
        let unknown = get("/auth/CANARY", &token, "a-3").send().await;
        assert_eq!(accepted.unwrap().status(), 200);
        assert_eq!(refused.unwrap().status(), 401);
        assert_eq!(unknown.unwrap().status(), 404);
        let log = server.log_up_to_now().await;
        assert!(!log.contains("CANARY"), "{log}");
        let of_me = events(&log, "/auth/me");
        let [accepted, refused] = &of_me[..] else {
            panic!("{of_me:?}");
        };
        for (event, status, id) in [(accepted, 200, "a-1"), (refused, 401, "a-2")] {
            assert_eq!(event["message"], "request");
            assert_eq!(event["level"], "INFO");
            assert_eq!(event["method"], "GET");
            assert_eq!(event["status"], status);
            assert_eq!(event["request_id"], id);
            assert_eq!(event["address"], "127.0.0.1");
            assert!(event["duration_ms"].as_f64().unwrap() < 10_000.0);
            assert!(event["timestamp"].as_str().unwrap().ends_with('Z'));
        }
        assert_eq!(accepted["user_id"], alice["id"]);
        assert_eq!(accepted["client"], "my \"laptop\"");
        assert_eq!(
            (&refused["user_id"], &refused["client"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(events(&log, "-")[0]["status"], 404);
        let login = &events(&log, "/auth/login")[0];
        assert_eq!(
            (&login["method"], &login["status"]),
            (&json!("POST"), &json!(200))
        );
    });
}

// On other systems `script` takes other arguments.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_shows_plain_lines_and_no_json() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let url = sqlite(folder.path());
        assert!(command(&url, &["migrate"]).status().unwrap().success());
        let port = free_port().to_string();
        let program = crate::program();
        let output = Command::new("script")
            .args([
                "-qec",
                &format!("timeout -s TERM 3 {}", program.display()),
                "/dev/null",
            ])
            .env("DATABASE_URL", &url)
            .env("ROCKET_PORT", port)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains("listening on 127.0.0.1:"), "{printed}");
        assert!(
            printed.contains("INFO") && !printed.contains("{\"timestamp\""),
            "{printed}"
        );
    });
}

#[test]
fn a_template_error_is_logged_and_not_shown() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let url = sqlite(folder.path());
        let templates = folder.path().join("templates");
        let mut copy = Command::new("cp");
        copy.arg("-r")
            .arg(format!("{}/templates", crate::ROOT))
            .arg(&templates);
        assert!(copy.status().unwrap().success());
        let broken = "{{ page.nothing.at_all }}";
        fs::write(templates.join("admin/login.html.tera"), broken).unwrap();
        let path = templates.to_str().unwrap();
        let server = Server::start_with(&url, &[("ROCKET_TEMPLATE_DIR", path)]).await;
        let page = server.get("/admin/login", "").await;
        assert_eq!(page.status(), 500);
        assert!(!page.text().await.unwrap().contains("nothing"));
        let log = server.log_up_to_now().await;
        let causes = log
            .lines()
            .filter(|line| line.contains("page.nothing.at_all"));
        assert_eq!(causes.count(), 1, "{log}");
    });
}

#[test]
fn the_request_id_is_recorded_in_the_audit_log() {
    on_both_with(json!({"trusted_proxies": [PROXY]}), async |app| {
        app.user("alice", Role::User).await;
        let body = json!({"username": "alice", "password": PASSWORD, "client": "laptop"});
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Request-Id", "edge-42"),
        ];
        let response = app.send(Method::Post, "/auth/login/", &headers, body.to_string());
        assert_eq!(response.await.header("X-Request-Id"), Some("edge-42"));
        let sql = "SELECT request_id FROM events WHERE action = 'token.issued'";
        assert_eq!(app.texts(sql).await, ["edge-42"]);
    });
}

#[test]
fn an_untrusted_client_cannot_choose_the_request_id() {
    for proxies in [json!([]), json!(["10.0.0.0/8", "203.0.113.6"])] {
        on_both_with(json!({"trusted_proxies": proxies}), async |app| {
            app.user("alice", Role::User).await;
            let body = json!({"username": "alice", "password": PASSWORD, "client": "laptop"});
            let headers = [
                ("Content-Type", "application/json"),
                ("X-Request-Id", "edge-42"),
                ("X-Forwarded-For", "10.0.0.1"),
            ];
            let response = app.send(Method::Post, "/auth/login/", &headers, body.to_string());
            let response = response.await;
            let generated = response.header("X-Request-Id").unwrap();
            assert_eq!(generated.len(), 36, "{generated}");
            let sql = "SELECT request_id FROM events WHERE action = 'token.issued'";
            assert_eq!(app.texts(sql).await, [generated]);
        });
    }
}

/// The samples of `/metrics` by name and labels.
async fn scrape(app: &App) -> BTreeMap<String, f64> {
    let response = app.send(Method::Get, "/metrics", &[], "").await;
    assert_eq!(response.status, Status::Ok, "{}", response.text);
    let kind = response.header("Content-Type").unwrap();
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    let mut samples = BTreeMap::new();
    let mut described = vec![];
    for line in response.text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let words: Vec<&str> = comment.splitn(3, ' ').collect();
            assert!(["HELP", "TYPE"].contains(&words[0]), "{line}");
            described.push(words[1].to_owned());
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        let family = name.split('{').next().unwrap();
        assert!(
            described.iter().any(|known| family.starts_with(known)),
            "{line}"
        );
        assert!(
            samples
                .insert(name.to_owned(), value.parse().unwrap())
                .is_none()
        );
    }
    samples
}

#[test]
fn metrics_count_requests_logins_and_token_lookups() {
    on_both_with(
        json!({"metrics": true, "login_failures_per_account": 2}),
        async |app| {
            app.user("alice", Role::User).await;
            let token = app.login("alice", "laptop").await;
            for _ in 0..3 {
                app.try_login("alice", "wrong", "laptop").await;
            }
            for _ in 0..5 {
                assert!(app.works(&token).await);
            }
            assert!(!app.works("nonsense").await);
            app.get("/auth/CANARY", &token).await;
            app.send(Method::Put, "/auth/me/", &[], "").await;

            let samples = scrape(&app).await;
            let value = |name: &str| samples.get(&format!("multitoken_{name}")).copied();
            let requests = |method, route, status| {
                value(&format!(
                    "http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}"
                ))
            };
            assert_eq!(requests("GET", "/auth/me", 200), Some(5.0));
            assert_eq!(requests("GET", "/auth/me", 401), Some(1.0));
            assert_eq!(requests("PUT", "/auth/me", 405), Some(1.0));
            assert_eq!(requests("GET", "-", 404), Some(1.0));
            assert_eq!(requests("POST", "/auth/login", 200), Some(1.0));
            assert_eq!(
                requests("GET", "/metrics", 200),
                None,
                "this request is not finished yet"
            );
            assert!(!samples.keys().any(|name| name.contains("CANARY")));
            let histogram = "http_request_duration_seconds";
            let of_me = "{method=\"GET\",route=\"/auth/me\"";
            assert_eq!(value(&format!("{histogram}_count{of_me}}}")), Some(6.0));
            assert_eq!(
                value(&format!("{histogram}_bucket{of_me},le=\"+Inf\"}}")),
                Some(6.0)
            );
            assert!(value(&format!("{histogram}_sum{of_me}}}")).unwrap() > 0.0);
            let logins = |outcome| {
                value(&format!(
                    "logins_total{{kind=\"api\",outcome=\"{outcome}\"}}"
                ))
            };
            assert_eq!(logins("success"), Some(1.0));
            assert_eq!(logins("refused"), Some(2.0));
            assert_eq!(logins("throttled"), Some(1.0));
            let lookups = |source| value(&format!("token_lookups_total{{source=\"{source}\"}}"));
            let (cache, database) = (lookups("cache").unwrap(), lookups("database").unwrap());
            // The first lookup wakes the task that follows revocations. Until it has run, the cache is not trusted.
            assert!(
                database >= 1.0 && (cache + database - 5.0).abs() < 0.1,
                "{cache} {database}"
            );
            assert_eq!(value("password_hashes{state=\"running\"}"), Some(0.0));
            assert_eq!(value("password_hashes{state=\"waiting\"}"), Some(0.0));
            assert!(value("password_hashes{state=\"limit\"}").unwrap() >= 65.0);
            let idle = value("database_connections{state=\"idle\"}").unwrap();
            let limit = value("database_connections{state=\"limit\"}").unwrap();
            assert!(idle >= 1.0 && idle <= limit, "{idle} {limit}");
            assert!(
                scrape(&app)
                    .await
                    .keys()
                    .any(|name| name.contains("route=\"/metrics\""))
            );
        },
    );
}

#[test]
fn live_tokens_are_counted_by_kind_and_metrics_are_off_by_default() {
    on_each_url(async |url| {
        let setup = Server::start(&url).await;
        setup.run(
            &["user", "create", "alice", "--admin", "--password-stdin"],
            PASSWORD,
        );
        setup.login("alice", "laptop").await;
        setup.login("alice", "phone").await;
        setup.admin_cookie("alice").await;
        let settings = "{metrics=true,hash_memory_kib=8,hash_iterations=1}";
        let server = Server::start_with(&url, &[("ROCKET_APP", settings)]).await;
        let start = Instant::now();
        let mut metrics = String::new();
        // A background task counts them.
        while !metrics.contains("live_tokens") && start.elapsed() < Duration::from_secs(10) {
            sleep(Duration::from_millis(50)).await;
            metrics = server.get("/metrics", "").await.text().await.unwrap();
        }
        for line in [
            "live_tokens{kind=\"api\"} 2",
            "live_tokens{kind=\"admin\"} 1",
        ] {
            assert!(
                metrics.contains(&format!("multitoken_{line}\n")),
                "{metrics}"
            );
        }
        let off_by_default = setup.get("/metrics", "").await;
        assert_eq!(off_by_default.status(), 404, "off by default");
    });
}

#[test]
fn the_monitoring_guide_names_every_metric_and_no_other() {
    on_both_with(json!({"metrics": true}), async |app| {
        app.user("alice", Role::User).await;
        app.login("alice", "laptop").await;
        scrape(&app).await;
        let response = app.send(Method::Get, "/metrics", &[], "").await;
        let types = response
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "));
        let mut exposed: Vec<String> = types.map(str::to_owned).collect();
        let live = "multitoken_live_tokens gauge".to_owned();
        if !exposed.contains(&live) {
            // A background task counts them and may not have run yet.
            exposed.push(live);
        }
        exposed.sort();
        let path = Path::new(crate::ROOT).join("docs/monitoring.md");
        let page = std::fs::read_to_string(path).unwrap();
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
        let mut documented: Vec<String> = rows
            .filter_map(|row| {
                let mut cells = row.split(" | ");
                Some(format!(
                    "{} {}",
                    cells.next()?.trim_end_matches('`'),
                    cells.next()?
                ))
            })
            .collect();
        documented.sort();
        assert_eq!(documented, exposed);
    });
}

//! Settings of the server process: invalid and unknown ones are named, nothing panics, and each source overrides the
//! previous one.

use std::fs;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::PASSWORD;
use crate::support::server::{Server, command, free_port, run, sqlite, stderr, stdout};

/// Starts the server with these variables, asserts that it fails, and returns stderr.
fn failing_start(url: &str, variables: &[(&str, &str)]) -> String {
    let mut command = command(url, &["serve"]);
    // If a value were accepted, the start would fail at this address instead of continuing.
    command
        .env("ROCKET_ADDRESS", "192.0.2.1")
        .envs(variables.iter().copied());
    let output: Output = command.output().unwrap();
    let printed = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{variables:?}: {printed}");
    assert!(!printed.contains("panicked"), "{variables:?}: {printed}");
    printed
}

#[test]
fn an_invalid_or_unknown_environment_variable_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    for (name, value, key) in [
        ("ROCKET_WORKERS", "0", "workers: "),
        ("ROCKET_WORKERS", "-1", "workers: "),
        ("ROCKET_WORKERS", "100000", "workers: "),
        ("ROCKET_WORKERS", "99999999999999999999", "workers: "),
        ("ROCKET_WORKERS", "many", "workers: "),
        ("ROCKET_MAX_BLOCKING", "0", "max_blocking: "),
        ("ROCKET_MAX_BLOCKING", "99999999", "max_blocking: "),
        ("ROCKET_KEEP_ALIVE", "-1", "keep_alive: "),
        ("ROCKET_LIMITS", "1", "limits: "),
        ("ROCKET_LIMITS", "{json=\"much\"}", "limits.json: "),
        ("ROCKET_PORT", "99999", "port: "),
        ("ROCKET_PORT", "", "port: "),
        ("ROCKET_ADDRESS", "nonsense", "address: "),
        ("ROCKET_LOG_LEVEL", "nonsense", "log_level: "),
        ("ROCKET_CLI_COLORS", "perhaps", "cli_colors: "),
        ("ROCKET_IDENT", "a\nb", "ident: "),
        ("ROCKET_IP_HEADER", "no header", "ip_header: "),
        ("ROCKET_SHUTDOWN", "{grace=-1}", "shutdown.grace: "),
        ("ROCKET_SHUTDOWN", "{force=\"perhaps\"}", "shutdown.force: "),
        ("ROCKET_SHUTDOWN", "{garce=1}", "shutdown.garce: "),
        ("ROCKET_PROT", "1", "prot: "),
        ("ROCKET_PROT", "1", "ROCKET_PROT"),
        ("ROCKET_ENV", "production", "env: "),
        (
            "ROCKET_DATABASES",
            "{other={url=\"x\"}}",
            "databases.other: ",
        ),
        (
            "ROCKET_DATABASES",
            "{multitoken={pool=1}}",
            "databases.multitoken: ",
        ),
        (
            "ROCKET_DATABASES",
            "{multitoken={max_connections=0}}",
            "max_connections",
        ),
        (
            "ROCKET_DATABASES",
            "{multitoken={max_connections=4294967295}}",
            "max_connections",
        ),
        (
            "ROCKET_DATABASES",
            "{multitoken={max_connections=2,min_connections=3}}",
            "min_connections",
        ),
        (
            "ROCKET_DATABASES",
            "{multitoken={connect_timeout=0}}",
            "connect_timeout",
        ),
        ("ROCKET_APP", "{tokne_ttl=\"1d\"}", "tokne_ttl"),
        (
            "ROCKET_APP",
            "{mail_url=\"smtp://mail.example.com\"}",
            "app.mail_from: ",
        ),
        (
            "ROCKET_APP",
            "{mail_url=\"smtp://mail.example.com\",mail_from=\"nobody\"}",
            "app.mail_from: ",
        ),
        (
            "ROCKET_APP",
            "{mail_url=\"mail.example.com\",mail_from=\"app@example.com\"}",
            "app.mail_url: ",
        ),
        ("PORT", "99999", "PORT"),
        ("PORT", "-1", "PORT"),
        ("PORT", "http", "PORT"),
        ("PORT", "", "PORT"),
        ("DATABASE_URL", "", "DATABASE_URL"),
    ] {
        let printed = failing_start(&url, &[(name, value)]);
        assert!(printed.contains(key), "{name}={value}: {printed}");
    }
    assert!(!folder.path().join("data").exists());
}

#[test]
fn the_password_of_a_mail_server_is_not_printed() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    for app in [
        "{mail_url=\"smtp://app:canary@mail.example.com\"}",
        "{mail_url=\"smtp://app:canary@mail.example.com/x\"}",
        "{mail_url=[\"smtp://app:canary@mail.example.com\"]}",
        // A quotation mark or a brace is missing.
        "{mail_url=\"smtp://app:canary@mail.example.com\"",
        "mail_url=\"smtp://app:canary@mail.example.com\"",
        "{mail_url=smtp://app:canary@mail.example.com}",
    ] {
        let printed = failing_start(&url, &[("ROCKET_APP", app)]);
        assert!(
            printed.contains("app") && !printed.contains("canary"),
            "{printed}"
        );
    }
}

#[test]
fn an_unknown_key_in_the_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    let file = folder.path().join("Rocket.toml");
    let file_name = file.to_str().unwrap();
    for (lines, key) in [
        ("[default]\nprot = 1", "prot: "),
        ("[default]\nprot = 1", "Rocket.toml"),
        ("[debug]\nprot = 1", "prot: "),
        ("[global]\nprot = 1", "prot: "),
        ("[default.application]\nname = \"x\"", "application: "),
        (
            "[default.databases.multitokens]\nurl = \"x\"",
            "databases.multitokens: ",
        ),
        ("[default.shutdown]\ngarce = 1", "shutdown.garce: "),
        ("[default]\nworkers = 0", "workers: "),
        ("[default.app]\nname = \"A\\nB\"", "app.name: "),
        ("[default", "Rocket.toml"),
    ] {
        fs::write(&file, lines).unwrap();
        let printed = failing_start(&url, &[("ROCKET_CONFIG", file_name)]);
        assert!(printed.contains(key), "{lines}: {printed}");
    }
    // Keys of other profiles and a fork's own limits are accepted.
    fs::write(
        &file,
        "[other]\nprot = 1\n[default.limits]\nmine = \"1MiB\"",
    )
    .unwrap();
    let mut command = command(&url, &["migrate"]);
    let output = command.env("ROCKET_CONFIG", file_name).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn port_overrides_the_file_and_is_overridden_by_rocket_port() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let url = sqlite(folder.path());
        let [in_file, assigned, chosen] = [free_port(), free_port(), free_port()];
        let file = folder.path().join("Rocket.toml");
        fs::write(
            &file,
            format!("[default]\nport = {in_file}\n[debug]\nport = {in_file}"),
        )
        .unwrap();
        let config = ("ROCKET_CONFIG", file.to_str().unwrap());
        let server =
            Server::start_on(chosen, &url, &[config, ("PORT", &assigned.to_string())]).await;
        assert_eq!(server.terminate(), Some(0));

        let mut command = command(&url, &["serve"]);
        command
            .env("ROCKET_LOG_LEVEL", "normal")
            .env(config.0, config.1)
            .env("PORT", format!(" {assigned} "));
        let server = Server::start_command(command, assigned, &url).await;
        // `PORT` changes the port only: the address is still loopback.
        let listening = format!("listening on 127.0.0.1:{assigned},");
        assert!(
            server.log_up_to_now().await.contains(&listening),
            "{}",
            server.log()
        );
        assert_eq!(server.terminate(), Some(0));
    });
}

/// Signs in with a forwarded address and returns the recorded address.
async fn recorded_address(server: &Server, url: &str, client: &str) -> String {
    let body = json!({"username": "alice", "password": PASSWORD, "client": client});
    let post = reqwest::Client::new().post(format!("{}/auth/login/", server.origin));
    let post = post.header("X-Forwarded-For", "203.0.113.9").json(&body);
    assert_eq!(post.send().await.unwrap().status(), 200);
    let list = run(url, &["token", "list", "--client", client, "--json"], "");
    let list: Value = serde_json::from_str(&stdout(&list)).unwrap();
    list[0]["last_address"].as_str().unwrap().to_owned()
}

#[test]
fn a_trusted_proxy_is_recognised_in_any_spelling_and_others_are_reported() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let url = sqlite(folder.path());
        let created = run(
            &url,
            &["user", "create", "alice", "--password-stdin"],
            PASSWORD,
        );
        assert!(created.status.success(), "{}", stderr(&created));
        for (number, (trusted, is_listed)) in [
            ("\"127.0.0.1\"", true),
            ("\"::ffff:127.0.0.1\"", true),
            ("\"::ffff:127.0.0.0/104\"", true),
            ("", false),
            ("\"10.0.0.1\"", false),
            ("\"::ffff:10.0.0.0/104\", \"fd00::/8\"", false),
        ]
        .into_iter()
        .enumerate()
        {
            let app =
                format!("{{hash_memory_kib=8,hash_iterations=1,trusted_proxies=[{trusted}]}}");
            let server = Server::start_with(&url, &[("ROCKET_APP", &app)]).await;
            let expected = if is_listed {
                "203.0.113.9"
            } else {
                "127.0.0.1"
            };
            for time in ["first", "second"] {
                let client = format!("{time}{number}");
                assert_eq!(
                    recorded_address(&server, &url, &client).await,
                    expected,
                    "{trusted}"
                );
            }
            let log = server.log_up_to_now().await;
            let reports = log
                .lines()
                .filter(|line| line.contains("app.trusted_proxies"));
            let reports: Vec<_> = reports.collect();
            assert_eq!(reports.len(), usize::from(!is_listed), "{trusted}: {log}");
            assert!(
                reports.iter().all(|line| line.contains("127.0.0.1")),
                "{log}"
            );
            assert_eq!(server.terminate(), Some(0));
        }
    });
}

//! The server process: starting, serving on a socket, commands beside it, the log.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

use serde_json::Value;
use sqlx::Connection;

use crate::support::PASSWORD;
use crate::support::server::{
    Server, command, free_port, on_each_url, run, sqlite, stderr, stdout,
};

#[test]
fn commands_take_effect_in_a_running_server() {
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        let create = ["user", "create", "alice", "--password-stdin"];
        let created = server.run(&create, &format!("{PASSWORD}\n"));
        assert_eq!(created.status.code(), Some(0), "{}", stderr(&created));
        let again = server.run(&create, &format!("{PASSWORD}\n"));
        assert_eq!(again.status.code(), Some(1));
        assert!(stderr(&again).contains("already exists"));

        let (laptop, phone) = (
            server.login("alice", "laptop").await,
            server.login("alice", "phone").await,
        );
        assert_eq!(
            (server.me(&laptop).await, server.me(&phone).await),
            (200, 200)
        );
        let list = server.run(
            &[
                "token", "list", "--user", "ALICE", "--client", "laptop", "--json",
            ],
            "",
        );
        assert!(!stdout(&list).contains(&laptop));
        let list: Value = serde_json::from_str(&stdout(&list)).unwrap();
        assert_eq!(list.as_array().unwrap().len(), 1);
        let id = list[0]["id"].as_str().unwrap().to_owned();
        let revoked = server.run(&["token", "revoke", &id], "");
        assert_eq!(
            (revoked.status.code(), stdout(&revoked).as_str()),
            (Some(0), "1 token revoked\n")
        );
        assert_eq!(
            (server.me(&laptop).await, server.me(&phone).await),
            (401, 200)
        );
        assert_eq!(
            server.run(&["token", "revoke", &id], "").status.code(),
            Some(1)
        );

        assert_eq!(
            server.run(&["user", "disable", "alice"], "").status.code(),
            Some(0)
        );
        assert_eq!(server.me(&phone).await, 401);
        assert_eq!(
            server.run(&["user", "enable", "alice"], "").status.code(),
            Some(0)
        );
        let kept = server.login("alice", "laptop").await;
        let set = ["user", "set-password", "alice", "--generate-password"];
        let keeping = server.run(&[&set[..], &["--keep-tokens"]].concat(), "");
        assert_eq!(stdout(&keeping).trim().len(), 24);
        assert_eq!(server.me(&kept).await, 200);
        assert_eq!(server.run(&set, "").status.code(), Some(0));
        assert_eq!(server.me(&kept).await, 401);

        let shown = server.run(&["user", "show", "alice", "--json"], "");
        let shown: Value = serde_json::from_str(&stdout(&shown)).unwrap();
        assert!(shown["id"].is_string() && shown["username"] == "alice");
        assert_eq!(
            server.run(&["user", "promote", "alice"], "").status.code(),
            Some(0)
        );
        assert_eq!(
            server.run(&["user", "demote", "alice"], "").status.code(),
            Some(1),
            "the last admin cannot be demoted"
        );
        assert!(stdout(&server.run(&["user", "list"], "")).contains("alice"));
        assert_eq!(
            server.run(&["user", "delete", "alice"], "").status.code(),
            Some(2),
            "requires --yes"
        );
        assert!(server.run(&["token", "prune"], "").status.success());
        assert_eq!(server.terminate(), Some(0));
    });
}

#[test]
fn environment_variables_override_the_settings_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("Rocket.toml");
    let named = sqlite(folder.path()).replace("test.db", "named.db");
    std::fs::write(
        &file,
        format!("[default.databases.multitoken]\nurl = \"{named}\"\n"),
    )
    .unwrap();
    let migrate = |url: Option<&str>| {
        let mut command = command("", &["migrate"]);
        command
            .env("ROCKET_CONFIG", &file)
            .env_remove("DATABASE_URL");
        if let Some(url) = url {
            command.env("DATABASE_URL", url);
        }
        assert!(command.output().unwrap().status.success());
    };
    let exists = |name: &str| folder.path().join("data").join(name).exists();
    migrate(Some(&sqlite(folder.path())));
    assert!(exists("test.db") && !exists("named.db"));
    migrate(None);
    assert!(exists("named.db"));
}

#[test]
fn pending_last_uses_are_written_on_shutdown() {
    on_each_url(async |url| {
        // Last uses are written every second. The process ends before that.
        let server = Server::start(&url).await;
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let token = server.login("alice", "laptop").await;
        assert_eq!(server.me(&token).await, 200);
        assert_eq!(server.terminate(), Some(0));
        let list = stdout(&run(&url, &["token", "list", "--json"], ""));
        let list: Value = serde_json::from_str(&list).unwrap();
        assert!(list[0]["last_used_at"].is_string(), "{list}");
        assert_eq!(list[0]["last_address"], "127.0.0.1");
    });
}

#[test]
fn usage_errors_exit_with_2_and_failures_with_1_and_create_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    for args in [
        &["nonsense"][..],
        &["user", "create"],
        &[
            "user",
            "create",
            "a",
            "--password-stdin",
            "--generate-password",
        ],
        &["token", "revoke"],
        &["token", "revoke", "--client", "x"],
        &["user", "create", "alice"],
    ] {
        assert_eq!(run(&url, args, "").status.code(), Some(2), "{args:?}");
    }
    for args in [
        &["user", "show", "nobody"][..],
        &["user", "disable", "nobody"],
        &["token", "revoke", "nonsense"],
        &["token", "list", "--user", "nobody"],
        &["user", "create", "a\u{7}b", "--generate-password"],
    ] {
        let output = run(&url, args, "");
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(stdout(&output).is_empty() && !output.stderr.is_empty());
    }
    for weak in ["short\n", "password\n", &"x".repeat(1025)] {
        let output = run(&url, &["user", "create", "alice", "--password-stdin"], weak);
        assert_eq!(output.status.code(), Some(1));
    }
    assert_eq!(
        stdout(&run(&url, &["user", "list", "--json"], "")).trim(),
        "[]"
    );
}

#[test]
fn migrate_status_changes_nothing_and_migrate_applies_everything() {
    on_each_url(async |url| {
        let pending = stdout(&run(&url, &["migrate", "--status"], ""));
        assert!(
            pending.contains("pending") && !pending.contains("applied"),
            "{pending}"
        );
        assert!(run(&url, &["migrate"], "").status.success());
        let applied = stdout(&run(&url, &["migrate", "--status"], ""));
        assert!(
            applied.contains("applied") && !applied.contains("pending"),
            "{applied}"
        );
    });
}

#[test]
fn several_processes_can_start_at_once_on_a_fresh_database() {
    on_each_url(async |url| {
        let starts: Vec<_> = (0..8)
            .map(|number| {
                let name = format!("user{number}");
                command(&url, &["user", "create", &name, "--generate-password"])
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap()
            })
            .collect();
        for start in starts {
            let output = start.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", stderr(&output));
        }
        let users = stdout(&run(&url, &["user", "list", "--json"], ""));
        let users: Value = serde_json::from_str(&users).unwrap();
        assert_eq!(users.as_array().unwrap().len(), 8);
    });
}

#[test]
fn a_failing_start_names_the_cause_and_exits_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    let start = |url: &str, variables: &[(&str, &str)]| {
        let mut command = command(url, &["serve"]);
        command
            .env("ROCKET_PORT", free_port().to_string())
            .envs(variables.iter().copied());
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        stderr(&output)
    };
    assert!(start(&url, &[("ROCKET_PROFILE", "release")]).contains("secret_key"));
    // Settings are checked before the database is created.
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    assert!(start(&url, &[("ROCKET_PORT", &port)]).contains(&port));
    assert!(start(&url, &[("ROCKET_PORT", "many")]).contains("port:"));
    assert!(start(&url, &[("ROCKET_APP", "{tokne_ttl=\"1d\"}")]).contains("tokne_ttl"));
    assert!(start(&url, &[("ROCKET_APP", "{token_ttl=\"soon\"}")]).contains("app.token_ttl:"));
    assert!(start(&url, &[("ROCKET_TLS", "{certs=\"/x\",key=\"/x\"}")]).contains("tls:"));
    assert!(start(&url, &[("ROCKET_CONFIG", "/nope.toml")]).contains("/nope.toml"));
    let key = "hPRYyVRiMyxpw5sBB1XeCMN1kFsDCqKvBi2QJxBVHQk=";
    let published = [("ROCKET_PROFILE", "release"), ("ROCKET_SECRET_KEY", key)];
    assert!(start(&url, &published).contains("published"));
    assert!(start("mysql://localhost/x", &[]).contains("postgres://"));
    let away = format!("postgres://u:canary-password@127.0.0.1:{}/db", free_port());
    let message = start(&away, &[]);
    assert!(
        message.contains("cannot connect") && !message.contains("canary-password"),
        "{message}"
    );
    std::fs::write(folder.path().join("file"), "").unwrap();
    let blocked = format!("sqlite:{}/file/test.db", folder.path().display());
    assert!(start(&blocked, &[]).contains("cannot use"));
}

#[test]
fn a_newer_schema_is_refused() {
    on_each_url(async |url| {
        assert!(run(&url, &["migrate"], "").status.success());
        sqlx::any::install_default_drivers();
        let mut db = sqlx::AnyConnection::connect(&url).await.unwrap();
        sqlx::query("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 2")
            .execute(&mut db)
            .await
            .unwrap();
        let output = command(&url, &["serve"]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let message = stderr(&output);
        assert!(
            message.contains("newer version") && message.contains("9999"),
            "{message}"
        );
    });
}

#[test]
fn malformed_requests_get_an_error_with_the_security_headers() {
    rocket::async_test(async {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&sqlite(folder.path())).await;
        let address = server.origin.trim_start_matches("http://").to_owned();
        let send_raw = |text: &[u8]| {
            let mut stream = TcpStream::connect(&address).unwrap();
            stream.write_all(text).unwrap();
            let mut response = String::new();
            let _ = stream.read_to_string(&mut response);
            response.to_lowercase()
        };
        let response = send_raw(b"BREW /auth/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        assert!(response.starts_with("http/1.1 4"), "{response}");
        assert!(response.contains("content-security-policy") && !response.contains("\r\nserver:"));
        let binary = b"GET /auth/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer \xff\xfe\r\n\r\n";
        let response = send_raw(binary);
        assert!(
            response.starts_with("http/1.1 401") && !response.contains("invalid_token"),
            "{response}"
        );
        assert!(send_raw(b"nonsense\r\n\r\n").starts_with("http/1.1 400"));
        assert_eq!(server.terminate(), Some(0));
    });
}

//! `multitoken check`, which finds settings and data that are unsafe on the internet.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::Value;
use sqlx::{AnyConnection, Connection};

use crate::support::PASSWORD;
use crate::support::server::{command, free_port, on_each_url, run, sqlite, stderr, stdout};

/// Safe settings, except for the `app_table` table and the key.
const SAFE: [(&str, &str); 3] = [
    ("ROCKET_PROFILE", "release"),
    ("ROCKET_LOG_LEVEL", "normal"),
    ("ROCKET_ADDRESS", "127.0.0.1"),
];
/// A random key, so that it cannot be a published one.
static KEY: LazyLock<String> = LazyLock::new(|| {
    let key: [u8; 32] = rand::random();
    let digits = key.iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
});
const SAFE_APP: [(&str, &str); 2] = [
    ("public_url", "\"https://app.example.com\""),
    ("trusted_proxies", "[\"127.0.0.1\"]"),
];

/// Findings as `severity about: message`.
type Findings = Vec<String>;

fn app_table(changes: &[(&str, &str)]) -> String {
    let kept = SAFE_APP
        .iter()
        .filter(|(key, _)| changes.iter().all(|(other, _)| other != key));
    let pairs: Vec<_> = kept
        .chain(changes.iter().filter(|(_, value)| !value.is_empty()))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

fn safe_command(url: &str, args: &[&str]) -> Command {
    let mut command = command(url, args);
    command
        .envs(SAFE)
        .env("ROCKET_SECRET_KEY", &*KEY)
        .env("ROCKET_APP", app_table(&[]));
    command
}

fn parse(output: &Output) -> Findings {
    let list: Value = serde_json::from_str(&stdout(output))
        .unwrap_or_else(|_| panic!("{}{}", stdout(output), stderr(output)));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings: Findings = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            assert_eq!(one.as_object().unwrap().len(), 3, "{one}");
            let [severity, about, message] =
                ["severity", "about", "message"].map(|k| text(&one[k]));
            format!("{severity} {about}: {message}")
        })
        .filter(|line| !line.starts_with("advice build: "))
        .collect();
    let severe = findings.iter().any(|line| line.starts_with("must fix "));
    assert_eq!(
        output.status.code(),
        Some(i32::from(severe)),
        "{findings:?}"
    );
    findings
}

/// Runs `check` with safe settings, except for these changes.
fn findings(url: &str, changes: &[(&str, &str)], variables: &[(&str, &str)]) -> Findings {
    let mut command = safe_command(url, &["check", "--json"]);
    let command = command
        .env("ROCKET_APP", app_table(changes))
        .envs(variables.iter().copied());
    parse(&command.output().unwrap())
}

/// Creates a database with an admin.
fn prepare(url: &str) {
    let create = ["user", "create", "root", "--admin", "--generate-password"];
    let created = safe_command(url, &create).output().unwrap();
    assert!(created.status.success(), "{}", stderr(&created));
}

async fn execute(url: &str, sql: &'static str) {
    sqlx::any::install_default_drivers();
    let mut db = AnyConnection::connect(url).await.unwrap();
    sqlx::query(sql).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

fn assert_one(findings: &Findings, prefix: &str, word: &str) {
    let matching =
        findings.len() == 1 && findings[0].starts_with(prefix) && findings[0].contains(word);
    assert!(matching, "{prefix} … {word}: {findings:?}");
}

#[test]
fn a_safe_installation_passes() {
    on_each_url(async |url| {
        prepare(&url);
        assert_eq!(findings(&url, &[], &[]), [""; 0]);
        let shown = safe_command(&url, &["check"]).output().unwrap();
        assert_eq!(shown.status.code(), Some(0), "{}", stderr(&shown));
        let text = stdout(&shown);
        let expected = if cfg!(debug_assertions) {
            "advice    build: "
        } else {
            "No problems found."
        };
        assert!(text.starts_with(expected) && text.lines().count() == 1);
        assert!(shown.stderr.is_empty());
    });
}

#[test]
fn a_broken_template_is_reported() {
    on_each_url(async |url| {
        prepare(&url);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("templates/admin/audit.html.tera");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "{% if %}").unwrap();
        let mut command = safe_command(&url, &["check", "--json"]);
        let findings = parse(&command.current_dir(folder.path()).output().unwrap());
        assert_one(&findings, "must fix files: ", "admin/audit");
    });
}

#[test]
fn each_unsafe_application_setting_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    prepare(&url);
    for (key, value, prefix, word) in [
        ("public_url", "", "must fix app.public_url: ", "not set"),
        (
            "public_url",
            "\"http://app.example.com\"",
            "must fix app.public_url: ",
            "plain http",
        ),
        (
            "trusted_proxies",
            "",
            "must fix app.trusted_proxies: ",
            "no proxy is set",
        ),
        (
            "trusted_proxies",
            "[\"0.0.0.0/0\"]",
            "must fix app.trusted_proxies: ",
            "0.0.0.0/0",
        ),
        (
            "trusted_proxies",
            "[\"10.0.0.0/7\"]",
            "must fix app.trusted_proxies: ",
            "10.0.0.0/7",
        ),
        (
            "trusted_proxies",
            "[\"::/0\"]",
            "must fix app.trusted_proxies: ",
            "::/0",
        ),
        (
            "cors_origins",
            "[\"http://spa.example.com\"]",
            "must fix app.cors_origins: ",
            "http://spa.example.com",
        ),
        (
            "cors_origins",
            "[\"http://localhost:3000\"]",
            "advice app.cors_origins: ",
            "localhost",
        ),
        (
            "cors_origins",
            "[\"http://[::1]:3000\"]",
            "advice app.cors_origins: ",
            "own machine",
        ),
        (
            "hash_memory_kib",
            "19455",
            "must fix app.hash_memory_kib: ",
            "19455",
        ),
        (
            "hash_iterations",
            "1",
            "must fix app.hash_memory_kib: ",
            "OWASP",
        ),
        (
            "password_min_length",
            "7",
            "must fix app.password_min_length: ",
            "7",
        ),
        (
            "login_failures_per_account",
            "101",
            "must fix app.login_failures_per_account: ",
            "101",
        ),
        (
            "login_failures_per_address",
            "1001",
            "must fix app.login_failures_per_address: ",
            "1001",
        ),
        ("metrics", "true", "advice app.metrics: ", "/metrics"),
    ] {
        assert_one(&findings(&url, &[(key, value)], &[]), prefix, word);
    }
}

#[test]
fn each_unsafe_rocket_setting_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    prepare(&url);
    for (name, value, prefix, word) in [
        (
            "ROCKET_PROFILE",
            "debug",
            "must fix ROCKET_PROFILE: ",
            "release",
        ),
        ("ROCKET_LOG_LEVEL", "debug", "advice log_level: ", "debug"),
        (
            "ROCKET_LOG_LEVEL",
            "off",
            "advice log_level: ",
            "not logged",
        ),
        (
            "ROCKET_LOG_LEVEL",
            "critical",
            "advice log_level: ",
            "not logged",
        ),
        ("ROCKET_ADDRESS", "0.0.0.0", "advice address: ", "0.0.0.0"),
        ("ROCKET_ADDRESS", "::", "advice address: ", "::"),
        (
            "ROCKET_SECRET_KEY",
            "hPRYyVRiMyxpw5sBB1XeCMN1kFsDCqKvBi2QJxBVHQk=",
            "must fix secret_key: ",
            "published",
        ),
        (
            "ROCKET_SECRET_KEY",
            "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=",
            "must fix secret_key: ",
            "guessed",
        ),
    ] {
        assert_one(&findings(&url, &[], &[(name, value)]), prefix, word);
    }
    let mut keyless = safe_command(&url, &["check", "--json"]);
    let findings = parse(&keyless.env_remove("ROCKET_SECRET_KEY").output().unwrap());
    assert_one(&findings, "must fix secret_key: ", "openssl rand");
}

#[test]
fn mail_that_cannot_be_delivered_is_reported() {
    on_each_url(async |url| {
        prepare(&url);
        let mail = |mail_url: &'static str| {
            [
                ("mail_url", mail_url),
                ("mail_from", "\"app@example.com\""),
                ("sign_up", "\"open\""),
            ]
        };
        for who in ["\"open\"", "\"invite\""] {
            let findings = findings(&url, &[("sign_up", who)], &[]);
            assert_one(&findings, "advice app.mail_url: ", "not set");
        }
        // Nothing listens on this port. `check` sends no mail.
        let server = mail("\"smtp://127.0.0.1:9\"");
        assert_eq!(findings(&url, &server, &[]), [""; 0]);
        let folder = findings(&url, &mail("\"file:mails\""), &[]);
        assert_one(&folder, "advice app.mail_url: ", "to mails");

        execute(
            &url,
            "UPDATE users SET email = 'root@example.com', email_key = 'root@example.com'",
        )
        .await;
        assert_one(
            &findings(&url, &[], &[]),
            "advice app.mail_url: ",
            "1 user ",
        );
        execute(
            &url,
            "INSERT INTO outbox (id, purpose, address, facts, tries, due_at, ends_at)
             VALUES ('1', 'reset', 'a@example.com', '{}', 3, 0, 0),
                    ('2', 'reset', 'a@example.com', '{}', 4, 0, 0)",
        )
        .await;
        assert_one(&findings(&url, &server, &[]), "advice mail: ", "1 email ");
    });
}

#[test]
fn related_settings_are_checked_together() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    prepare(&url);
    for (memory, passes) in [
        ("47104", "1"),
        ("19456", "2"),
        ("12288", "3"),
        ("9216", "4"),
        ("7168", "5"),
        ("65536", "3"),
        ("7168", "9"),
    ] {
        let hash = [("hash_memory_kib", memory), ("hash_iterations", passes)];
        let findings = findings(&url, &hash, &[]);
        // Ignore the finding about stored hashes: the admin's was made with other parameters.
        let matching = findings.iter().filter(|line| line.contains("hash_memory"));
        assert_eq!(matching.count(), 0, "{memory} {passes}: {findings:?}");
    }
    for (memory, passes) in [("47103", "1"), ("12288", "2"), ("7167", "50")] {
        let hash = [("hash_memory_kib", memory), ("hash_iterations", passes)];
        let findings = findings(&url, &hash, &[]);
        let matching = findings.iter().filter(|line| line.contains("hash_memory"));
        assert_eq!(matching.count(), 1, "{memory} {passes}: {findings:?}");
    }
    for (one, other, about) in [
        ("token_ttl", "token_idle_ttl", "app.token_idle_ttl"),
        ("admin_session_ttl", "admin_idle_ttl", "app.admin_idle_ttl"),
        (
            "account_session_ttl",
            "account_idle_ttl",
            "app.account_idle_ttl",
        ),
    ] {
        let never = "\"never\"";
        assert_eq!(findings(&url, &[(one, never)], &[]), [""; 0]);
        assert_eq!(findings(&url, &[(other, never)], &[]), [""; 0]);
        let both = findings(&url, &[(one, never), (other, never)], &[]);
        assert_one(&both, &format!("must fix {about}: "), one);
    }
    let open = findings(
        &url,
        &[("trusted_proxies", "[]")],
        &[("ROCKET_ADDRESS", "0.0.0.0")],
    );
    assert_one(&open, "must fix app.trusted_proxies: ", "0.0.0.0");
    // The largest private networks.
    let private = "[\"10.0.0.0/8\", \"fc00::/7\"]";
    assert_eq!(
        findings(&url, &[("trusted_proxies", private)], &[]),
        [""; 0]
    );
}

#[test]
fn all_findings_are_reported_at_once_with_severe_ones_first() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    // The settings of a developer's machine.
    let mut plain = command(&url, &["check"]);
    let output = plain.env_remove("ROCKET_APP").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = stdout(&output);
    for about in [
        "must fix  ROCKET_PROFILE: ",
        "must fix  secret_key: ",
        "must fix  app.public_url: ",
        "must fix  app.trusted_proxies: ",
        "must fix  databases.multitoken: ",
        "advice    log_level: ",
    ] {
        assert!(text.contains(about), "{about}: {text}");
    }
    let severe = text.lines().map(|line| line.starts_with("must fix  "));
    assert!(severe.rev().is_sorted(), "{text}");
    assert_eq!(
        stderr(&output),
        "error: 5 problems must be fixed before this installation is reachable from the internet\n"
    );

    for unknown in ["{tokne_ttl=\"1d\"}", "{tokne_ttl=\"soon\"}"] {
        let mut command = command(&url, &["check", "--json"]);
        let output = command.env("ROCKET_APP", unknown).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty() && stderr(&output).contains("tokne_ttl"));
    }
    assert!(!folder.path().join("data").exists(), "it created nothing");
}

#[test]
fn an_unusable_database_is_reported_and_not_changed() {
    on_each_url(async |url| {
        let status = || stdout(&run(&url, &["migrate", "--status"], ""));
        let fresh = findings(&url, &[], &[]);
        let is_file = url.starts_with("sqlite:");
        let (about, word) = if is_file {
            ("databases.multitoken", "no database")
        } else {
            ("migrations", "no migration is applied")
        };
        assert_one(&fresh, &format!("must fix {about}: "), word);
        assert!(!status().contains("applied"), "it applied no migration");

        prepare(&url);
        execute(&url, "DELETE FROM _sqlx_migrations WHERE version = 5").await;
        let earlier = findings(&url, &[], &[]);
        assert_one(&earlier, "must fix migrations: ", "1 migration pending");
        assert!(status().contains("pending"), "it applied no migration");
        execute(
            &url,
            "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 4",
        )
        .await;
        let both = findings(&url, &[], &[]);
        assert!(both.len() == 2 && both[1].contains("1 migration of a newer"));
        assert!(status().contains("of a newer version"));
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.db");
    fs::write(&file, "of another program, and long enough").unwrap();
    set_mode(&file, 0o600);
    let other = findings(&format!("sqlite:{}", file.display()), &[], &[]);
    assert!(
        other.iter().any(|line| line.starts_with("must fix ")),
        "{other:?}"
    );
    for (url, word) in [
        ("mysql://localhost/x".to_owned(), "unknown scheme"),
        (
            format!("postgres://u:canary@127.0.0.1:{}/db", free_port()),
            "cannot connect",
        ),
    ] {
        let away = findings(&url, &[], &[]);
        assert_one(&away, "must fix databases.multitoken: ", word);
        assert!(!away[0].contains("canary"));
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) {}

#[test]
#[cfg(unix)]
fn an_sqlite_database_with_open_permissions_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    prepare(&url);
    let data = folder.path().join("data");
    let file = data.join("test.db");
    for (path, mode, severity) in [
        (&file, 0o644, "must fix"),
        (&file, 0o602, "must fix"),
        (&file, 0o640, "advice"),
        (&data, 0o777, "must fix"),
        (&data, 0o703, "must fix"),
        (&data, 0o755, "advice"),
        (&data, 0o770, "advice"),
    ] {
        let before = fs::metadata(path).unwrap().permissions();
        set_mode(path, mode);
        let findings = findings(&url, &[], &[]);
        let prefix = format!("{severity} databases.multitoken: ");
        assert_one(&findings, &prefix, &format!("{mode:o}"));
        fs::set_permissions(path, before).unwrap();
    }
    // SQLite keeps this file while a server runs.
    let wal = data.join("test.db-wal");
    fs::write(&wal, "").unwrap();
    set_mode(&wal, 0o644);
    assert!(findings(&url, &[], &[])[0].contains("test.db-wal"));
}

#[test]
fn an_unencrypted_connection_to_another_machine_is_reported() {
    on_each_url(async |url| {
        if url.starts_with("sqlite:") {
            return;
        }
        prepare(&url);
        // Connects to this machine, but is not a loopback address.
        let elsewhere = url
            .replace("localhost", "0.0.0.0")
            .replace("127.0.0.1", "0.0.0.0");
        assert_ne!(elsewhere, url);
        let plain = findings(&elsewhere, &[], &[]);
        assert_one(
            &plain,
            "must fix databases.multitoken: the connection to 0.0.0.0 is not encrypted",
            "add ?sslmode=verify-full",
        );
        let refused = findings(&format!("{elsewhere}?sslmode=verify-full"), &[], &[]);
        assert_one(
            &refused,
            "must fix databases.multitoken: ",
            "cannot connect",
        );
    });
    // Nothing answers there. The findings about encryption appear all the same.
    let away = |mode: &str| {
        let url = format!("postgres://u@0.0.0.0:{}/db{mode}", free_port());
        findings(&url, &[], &[]).join("\n")
    };
    assert!(away("").contains("must fix databases.multitoken: the connection to 0.0.0.0"));
    assert!(
        away("?sslmode=require")
            .contains("must fix databases.multitoken: the identity of 0.0.0.0 is not verified")
    );
    assert!(!away("?sslmode=verify-full").contains("sslrootcert"));
}

#[test]
fn missing_admins_and_weak_or_shared_passwords_are_reported() {
    on_each_url(async |url| {
        assert!(run(&url, &["migrate"], "").status.success());
        let nobody = findings(&url, &[], &[]);
        assert_one(&nobody, "must fix users: ", "no active admin");
        prepare(&url);
        execute(&url, "UPDATE users SET disabled_at = 1").await;
        let disabled = findings(&url, &[], &[]);
        assert_one(&disabled, "must fix users: ", "no active admin");
        execute(&url, "UPDATE users SET disabled_at = NULL").await;

        let weak = run(
            &url,
            &["user", "create", "alice", "--password-stdin"],
            PASSWORD,
        );
        assert!(weak.status.success(), "{}", stderr(&weak));
        assert_one(
            &findings(&url, &[], &[]),
            "advice users: ",
            "1 password stored",
        );
        let name = ["user", "delete", "alice", "--yes"];
        assert!(run(&url, &name, "").status.success());

        let seed = ["seed", "--users", "9", "--tokens-per-user", "1"];
        let seed = [&seed[..], &["--password", PASSWORD]].concat();
        let seeded = safe_command(&url, &seed).output().unwrap();
        assert!(seeded.status.success(), "{}", stderr(&seeded));
        // Without a mail server, email addresses are a finding of their own.
        execute(
            &url,
            "UPDATE users SET email = NULL, email_key = NULL, email_verified_at = NULL",
        )
        .await;
        let demo = findings(&url, &[], &[]);
        assert_eq!(demo.len(), 2, "{demo:?}");
        assert!(demo[0].contains("demo-admin") && demo[1].contains("the same password"));
        assert!(demo.iter().all(|line| line.starts_with("must fix users: ")));
        execute(
            &url,
            "UPDATE users SET disabled_at = 1 WHERE username <> 'root'",
        )
        .await;
        assert_eq!(findings(&url, &[], &[]), [""; 0]);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn low_disk_space_for_an_sqlite_database_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    set_mode(&data, 0o700);
    // Mount a file system of this size for the process only.
    let check = |size: &str| {
        let binary = safe_command(&url, &["check", "--json"]);
        let mut shell = Command::new("unshare");
        let mount = "mount -t tmpfs -o mode=700,size=$1 none \"$2\" && \"$0\" migrate >&2 && exec \"$0\" check --json";
        shell.args(["--mount", "sh", "-c", mount]);
        shell.arg(binary.get_program()).arg(size).arg(&data);
        shell.envs(
            binary
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        shell.output().unwrap()
    };
    let probe = Command::new("unshare")
        .args(["--mount", "mount", "-t", "tmpfs", "none"])
        .arg(&data)
        .output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        return crate::support::needs::lacks(
            "a file system can't be mounted here, which takes root",
        );
    }
    let about_space = |output: &Output| -> Findings {
        let findings = parse(output);
        findings
            .into_iter()
            .filter(|line| line.contains("MiB are free"))
            .collect()
    };
    assert_one(
        &about_space(&check("30m")),
        "must fix databases.multitoken: ",
        "free at least",
    );
    assert_one(
        &about_space(&check("300m")),
        "advice databases.multitoken: ",
        "disk is full",
    );
    assert_eq!(about_space(&check("1200m")), [""; 0]);
}

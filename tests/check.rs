//! Whether an installation is fit for the internet: `multitoken check`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::Value;
use sqlx::{AnyConnection, Connection};

use crate::support::PASSWORD;
use crate::support::server::{command, free_port, on_each_url, run, sqlite, stderr, stdout};

/// Settings that are fit, but for the `app` table and the key.
const FIT: [(&str, &str); 3] = [
    ("ROCKET_PROFILE", "release"),
    ("ROCKET_LOG_LEVEL", "normal"),
    ("ROCKET_ADDRESS", "127.0.0.1"),
];
/// One that stands nowhere.
static KEY: LazyLock<String> = LazyLock::new(|| {
    let key: [u8; 32] = rand::random();
    let digits = key.iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
});
const FIT_APP: [(&str, &str); 2] = [
    ("public_url", "\"https://app.example.com\""),
    ("trusted_proxies", "[\"127.0.0.1\"]"),
];

/// `severity about: message`, line by line.
type Found = Vec<String>;

fn app(changes: &[(&str, &str)]) -> String {
    let kept = FIT_APP
        .iter()
        .filter(|(key, _)| changes.iter().all(|(other, _)| other != key));
    let pairs: Vec<_> = kept
        .chain(changes.iter().filter(|(_, value)| !value.is_empty()))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

fn fit(url: &str, args: &[&str]) -> Command {
    let mut command = command(url, args);
    command
        .envs(FIT)
        .env("ROCKET_SECRET_KEY", &*KEY)
        .env("ROCKET_APP", app(&[]));
    command
}

fn read(output: &Output) -> Found {
    let list: Value = serde_json::from_str(&stdout(output))
        .unwrap_or_else(|_| panic!("{}{}", stdout(output), stderr(output)));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let found: Found = list
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
    let grave = found.iter().any(|line| line.starts_with("must fix "));
    assert_eq!(output.status.code(), Some(i32::from(grave)), "{found:?}");
    found
}

/// What is found where all is well but for these.
fn found(url: &str, changes: &[(&str, &str)], variables: &[(&str, &str)]) -> Found {
    let mut command = fit(url, &["check", "--json"]);
    let command = command
        .env("ROCKET_APP", app(changes))
        .envs(variables.iter().copied());
    read(&command.output().unwrap())
}

/// A database with an admin, at that URL.
fn prepare(url: &str) {
    let create = ["user", "create", "root", "--admin", "--generate-password"];
    let made = fit(url, &create).output().unwrap();
    assert!(made.status.success(), "{}", stderr(&made));
}

async fn execute(url: &str, sql: &'static str) {
    sqlx::any::install_default_drivers();
    let mut db = AnyConnection::connect(url).await.unwrap();
    sqlx::query(sql).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

fn assert_one(found: &Found, begins: &str, word: &str) {
    let matching = found.len() == 1 && found[0].starts_with(begins) && found[0].contains(word);
    assert!(matching, "{begins} … {word}: {found:?}");
}

#[test]
fn a_fit_installation_passes() {
    on_each_url(async |url| {
        prepare(&url);
        assert_eq!(found(&url, &[], &[]), [""; 0]);
        let shown = fit(&url, &["check"]).output().unwrap();
        assert_eq!(shown.status.code(), Some(0), "{}", stderr(&shown));
        let text = stdout(&shown);
        let expected = if cfg!(debug_assertions) {
            "advice    build: "
        } else {
            "Nothing found."
        };
        assert!(text.starts_with(expected) && text.lines().count() == 1);
        assert!(shown.stderr.is_empty());
    });
}

#[test]
fn each_setting_of_the_application_that_is_unfit_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    prepare(&url);
    for (key, value, begins, word) in [
        (
            "public_url",
            "",
            "must fix app.public_url: ",
            "there is none",
        ),
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
            "names none",
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
        assert_one(&found(&url, &[(key, value)], &[]), begins, word);
    }
}

#[test]
fn each_of_rockets_settings_that_is_unfit_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    prepare(&url);
    for (name, value, begins, word) in [
        (
            "ROCKET_PROFILE",
            "debug",
            "must fix ROCKET_PROFILE: ",
            "release",
        ),
        ("ROCKET_LOG_LEVEL", "debug", "advice log_level: ", "debug"),
        ("ROCKET_LOG_LEVEL", "off", "advice log_level: ", "no line"),
        (
            "ROCKET_LOG_LEVEL",
            "critical",
            "advice log_level: ",
            "no line",
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
        assert_one(&found(&url, &[], &[(name, value)]), begins, word);
    }
    let mut keyless = fit(&url, &["check", "--json"]);
    let found = read(&keyless.env_remove("ROCKET_SECRET_KEY").output().unwrap());
    assert_one(&found, "must fix secret_key: ", "openssl rand");
}

#[test]
fn settings_are_judged_together_where_they_belong_together() {
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
        let found = found(&url, &hash, &[]);
        // The one password there is was hashed before.
        let judged = found.iter().filter(|line| line.contains("hash_memory"));
        assert_eq!(judged.count(), 0, "{memory} {passes}: {found:?}");
    }
    for (memory, passes) in [("47103", "1"), ("12288", "2"), ("7167", "50")] {
        let hash = [("hash_memory_kib", memory), ("hash_iterations", passes)];
        let found = found(&url, &hash, &[]);
        let judged = found.iter().filter(|line| line.contains("hash_memory"));
        assert_eq!(judged.count(), 1, "{memory} {passes}: {found:?}");
    }
    for (one, other, about) in [
        ("token_ttl", "token_idle_ttl", "app.token_idle_ttl"),
        ("admin_session_ttl", "admin_idle_ttl", "app.admin_idle_ttl"),
    ] {
        let never = "\"never\"";
        assert_eq!(found(&url, &[(one, never)], &[]), [""; 0]);
        assert_eq!(found(&url, &[(other, never)], &[]), [""; 0]);
        let both = found(&url, &[(one, never), (other, never)], &[]);
        assert_one(&both, &format!("must fix {about}: "), one);
    }
    let open = found(
        &url,
        &[("trusted_proxies", "[]")],
        &[("ROCKET_ADDRESS", "0.0.0.0")],
    );
    assert_one(&open, "must fix app.trusted_proxies: ", "0.0.0.0");
    // The widest networks that one operator has.
    let private = "[\"10.0.0.0/8\", \"fc00::/7\"]";
    assert_eq!(found(&url, &[("trusted_proxies", private)], &[]), [""; 0]);
}

#[test]
fn all_is_found_at_once_and_what_is_grave_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    // As it is on a developer's machine.
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
    let grave = text.lines().map(|line| line.starts_with("must fix  "));
    assert!(grave.rev().is_sorted(), "{text}");
    assert_eq!(
        stderr(&output),
        "error: 5 things must be fixed before this is on the internet\n"
    );

    for unfit in ["{tokne_ttl=\"1d\"}", "{tokne_ttl=\"soon\"}"] {
        let mut command = command(&url, &["check", "--json"]);
        let output = command.env("ROCKET_APP", unfit).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty() && stderr(&output).contains("tokne_ttl"));
    }
    assert!(!folder.path().join("data").exists(), "it made nothing");
}

#[test]
fn a_database_that_can_not_serve_is_named_and_left_as_it_is() {
    on_each_url(async |url| {
        let status = || stdout(&run(&url, &["migrate", "--status"], ""));
        let fresh = found(&url, &[], &[]);
        let is_file = url.starts_with("sqlite:");
        let (about, word) = if is_file {
            ("databases.multitoken", "no database")
        } else {
            ("migrations", "none is applied")
        };
        assert_one(&fresh, &format!("must fix {about}: "), word);
        assert!(!status().contains("applied"), "it applied nothing");

        prepare(&url);
        execute(&url, "DELETE FROM _sqlx_migrations WHERE version = 5").await;
        let earlier = found(&url, &[], &[]);
        assert_one(&earlier, "must fix migrations: ", "1 migration pending");
        assert!(status().contains("pending"), "it applied nothing");
        execute(
            &url,
            "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 4",
        )
        .await;
        let both = found(&url, &[], &[]);
        assert!(both.len() == 2 && both[1].contains("1 migration of a newer"));
        assert!(status().contains("of a newer version"));
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.db");
    fs::write(&file, "of another program, and long enough").unwrap();
    set_mode(&file, 0o600);
    let other = found(&format!("sqlite:{}", file.display()), &[], &[]);
    assert!(
        other.iter().any(|line| line.starts_with("must fix ")),
        "{other:?}"
    );
    for (url, word) in [
        ("mysql://localhost/x".to_owned(), "no known kind"),
        (
            format!("postgres://u:canary@127.0.0.1:{}/db", free_port()),
            "cannot connect",
        ),
    ] {
        let away = found(&url, &[], &[]);
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
fn an_sqlite_database_that_others_can_get_at_is_named() {
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
        let found = found(&url, &[], &[]);
        let begins = format!("{severity} databases.multitoken: ");
        assert_one(&found, &begins, &format!("{mode:o}"));
        fs::set_permissions(path, before).unwrap();
    }
    // It stands beside while a server runs.
    let wal = data.join("test.db-wal");
    fs::write(&wal, "").unwrap();
    set_mode(&wal, 0o644);
    assert!(found(&url, &[], &[])[0].contains("test.db-wal"));
}

#[test]
fn a_connection_to_another_machine_has_to_be_encrypted() {
    on_each_url(async |url| {
        if url.starts_with("sqlite:") {
            return;
        }
        prepare(&url);
        // Leads here, but is not the address of this machine's own network.
        let elsewhere = url
            .replace("localhost", "0.0.0.0")
            .replace("127.0.0.1", "0.0.0.0");
        assert_ne!(elsewhere, url);
        let plain = found(&elsewhere, &[], &[]);
        assert_one(
            &plain,
            "must fix databases.multitoken: the connection to 0.0.0.0 is not encrypted",
            "add ?sslmode=verify-full",
        );
        let refused = found(&format!("{elsewhere}?sslmode=verify-full"), &[], &[]);
        assert_one(
            &refused,
            "must fix databases.multitoken: ",
            "cannot connect",
        );
    });
    // Nothing answers there; what would be is told all the same.
    let away = |mode: &str| {
        let url = format!("postgres://u@0.0.0.0:{}/db{mode}", free_port());
        found(&url, &[], &[]).join("\n")
    };
    assert!(away("").contains("must fix databases.multitoken: the connection to 0.0.0.0"));
    assert!(away("?sslmode=require").contains("must fix databases.multitoken: anyone on the way"));
    assert!(!away("?sslmode=verify-full").contains("sslrootcert"));
}

#[test]
fn accounts_that_open_a_door_are_named() {
    on_each_url(async |url| {
        assert!(run(&url, &["migrate"], "").status.success());
        let nobody = found(&url, &[], &[]);
        assert_one(&nobody, "must fix users: ", "no active admin");
        prepare(&url);
        execute(&url, "UPDATE users SET disabled_at = 1").await;
        let disabled = found(&url, &[], &[]);
        assert_one(&disabled, "must fix users: ", "no active admin");
        execute(&url, "UPDATE users SET disabled_at = NULL").await;

        let weak = run(
            &url,
            &["user", "create", "alice", "--password-stdin"],
            PASSWORD,
        );
        assert!(weak.status.success(), "{}", stderr(&weak));
        assert_one(&found(&url, &[], &[]), "advice users: ", "1 password kept");
        let name = ["user", "delete", "alice", "--yes"];
        assert!(run(&url, &name, "").status.success());

        let seed = ["seed", "--users", "9", "--tokens-per-user", "1"];
        let seed = [&seed[..], &["--password", PASSWORD]].concat();
        let seeded = fit(&url, &seed).output().unwrap();
        assert!(seeded.status.success(), "{}", stderr(&seeded));
        let demo = found(&url, &[], &[]);
        assert_eq!(demo.len(), 2, "{demo:?}");
        assert!(demo[0].contains("demo-admin") && demo[1].contains("the same password"));
        assert!(demo.iter().all(|line| line.starts_with("must fix users: ")));
        execute(
            &url,
            "UPDATE users SET disabled_at = 1 WHERE username <> 'root'",
        )
        .await;
        assert_eq!(found(&url, &[], &[]), [""; 0]);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn little_space_for_an_sqlite_database_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    set_mode(&data, 0o700);
    // A file system of a certain size, which goes with the process.
    let check = |size: &str| {
        let binary = fit(&url, &["check", "--json"]);
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
    let about_space = |output: &Output| -> Found {
        let found = read(output);
        found
            .into_iter()
            .filter(|line| line.contains("MiB are free"))
            .collect()
    };
    assert_one(
        &about_space(&check("30m")),
        "must fix databases.multitoken: ",
        "make room",
    );
    assert_one(
        &about_space(&check("300m")),
        "advice databases.multitoken: ",
        "runs full",
    );
    assert_eq!(about_space(&check("1200m")), [""; 0]);
}

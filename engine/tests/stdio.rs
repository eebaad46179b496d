//! Input and output of commands: a result that cannot be written is a failure, and a secret that is shown once is
//! written before the transaction is committed.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::process::{Command, Output, Stdio};

use sqlx::{AnyConnection, Connection};

use crate::support::PASSWORD;
use crate::support::server::{command, on_each_url, run, sqlite, stderr, stdout};

/// Runs a command with a stdout that cannot be written: `full`, `with_closed_stdout`, or `left` by its reader.
fn run_unwritable(url: &str, args: &[&str], target: &str) -> Output {
    let mut command = command(url, args);
    match target {
        "full" => {
            let full: File = OpenOptions::new().write(true).open("/dev/full").unwrap();
            command.stdout(full);
        }
        "closed" => command = with_closed_stdout(&command),
        _ => {}
    }
    if target != "left" {
        return command.output().unwrap();
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    child.wait_with_output().unwrap()
}

/// The command as started by a shell with stdout closed.
fn with_closed_stdout(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$0\" \"$@\" >&-"]);
    shell.arg(command.get_program()).args(command.get_args());
    shell.envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    shell
}

/// Every username with its password hash.
async fn users(url: &str) -> Vec<String> {
    sqlx::any::install_default_drivers();
    let mut db = AnyConnection::connect(url).await.unwrap();
    let users = "SELECT username || ' ' || COALESCE(password_hash, '') FROM users ORDER BY 1";
    let users = sqlx::query_scalar(users).fetch_all(&mut db).await.unwrap();
    db.close().await.unwrap();
    users
}

#[test]
fn a_password_or_link_that_cannot_be_printed_changes_nothing() {
    on_each_url(async |url| {
        let create = ["user", "create", "alice", "--password-stdin"];
        assert!(run(&url, &create, PASSWORD).status.success());
        let before = users(&url).await;
        for args in [
            &["user", "create", "bob", "--generate-password"][..],
            &["user", "set-password", "alice", "--generate-password"],
            &["user", "invite", "bob"],
        ] {
            for target in ["full", "closed", "left"] {
                let output = run_unwritable(&url, args, target);
                assert_eq!(output.status.code(), Some(1), "{args:?} {target}");
                let message = stderr(&output);
                assert!(
                    message.contains("nothing was changed"),
                    "{args:?} {target}: {message}"
                );
                assert_eq!(users(&url).await, before, "{args:?} {target}");
            }
        }
        // Discarding the output on purpose is allowed.
        let set = ["user", "set-password", "alice", "--generate-password"];
        let set = command(&url, &set).stdout(Stdio::null()).status().unwrap();
        assert!(set.success());
        assert_ne!(users(&url).await, before);
        // A username that exists gets no password.
        let again = run(
            &url,
            &["user", "create", "ALICE", "--generate-password"],
            "",
        );
        assert_eq!(
            (again.status.code(), stdout(&again).as_str()),
            (Some(1), "")
        );
        assert!(stderr(&again).contains("already exists"));
    });
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    assert!(run(&url, &["migrate"], "").status.success());
    let copy = folder.path().join("copy.db");
    for args in [
        &["migrate"][..],
        &["migrate", "--status"],
        &["migrate", "--status", "--json"],
        &["user", "list"],
        &["user", "list", "--json"],
        &["token", "list"],
        &["token", "prune"],
        &["check"],
        &["openapi"],
        &["backup", copy.to_str().unwrap()],
        &[
            "seed",
            "--users",
            "1",
            "--tokens-per-user",
            "0",
            "--password",
            PASSWORD,
        ],
        &["--help"],
        &["user", "--help"],
        &["--version"],
    ] {
        let full = run_unwritable(&url, args, "full");
        assert_eq!(full.status.code(), Some(1), "{args:?}");
        assert!(!stderr(&full).contains("panicked"), "{}", stderr(&full));
    }
    let message = stderr(&run_unwritable(&url, &["user", "list"], "full"));
    assert!(
        message.contains("stdout") && message.contains("No space left"),
        "{message}"
    );
    // A reader that closes the pipe early (`| head`) causes no message.
    let left = run_unwritable(&url, &["user", "list"], "left");
    assert_eq!((left.status.code(), stderr(&left).as_str()), (Some(1), ""));
}

#[test]
fn a_password_on_stdin_is_read_exactly_except_for_bom_and_newline() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    let create = |name: &str, input: &[u8]| {
        let args = ["user", "create", name, "--password-stdin"];
        let mut child = command(&url, &args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    };
    let longest = "x7".repeat(512);
    let with_all = format!("\u{feff}{longest}\r\n");
    for (name, input) in [
        ("plain", PASSWORD.as_bytes()),
        ("marked", format!("\u{feff}{PASSWORD}\r\n").as_bytes()),
        ("line", format!("{PASSWORD}\n").as_bytes()),
        ("longest", with_all.as_bytes()),
    ] {
        let created = create(name, input);
        assert!(created.status.success(), "{name}: {}", stderr(&created));
    }
    for (name, input, word) in [
        ("latin", &b"correct h\xf6rse battery\n"[..], "UTF-8"),
        ("utf16", b"\xff\xfec\0o\0r\0r\0e\0c\0t\0\n\0", "UTF-8"),
        ("long", format!("{longest}y").as_bytes(), "1024"),
        ("longer", "é".repeat(2000).as_bytes(), "1024"),
        ("mark", "\u{feff}\n".as_bytes(), ""),
    ] {
        let refused = create(name, input);
        assert_eq!(refused.status.code(), Some(1), "{name}");
        assert!(
            stderr(&refused).contains(word),
            "{name}: {}",
            stderr(&refused)
        );
    }
    rocket::async_test(async {
        let server = crate::support::server::Server::start(&url).await;
        for name in ["plain", "marked", "line"] {
            assert_eq!(server.try_login(name, PASSWORD).await, 200, "{name}");
        }
        assert_eq!(server.try_login("longest", &longest).await, 200);
        assert_eq!(server.terminate(), Some(0));
    });
}

//! What commands print and read: a result that can't be written is no success, and what is printed only once is
//! written before it counts.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::process::{Command, Output, Stdio};

use sqlx::{AnyConnection, Connection};

use crate::support::PASSWORD;
use crate::support::server::{command, on_each_url, run, sqlite, stderr, stdout};

/// A command whose result is lost.
fn unread(url: &str, args: &[&str], how: &str) -> Output {
    let mut command = command(url, args);
    match how {
        "full" => {
            let full: File = OpenOptions::new().write(true).open("/dev/full").unwrap();
            command.stdout(full);
        }
        "closed" => command = closed(&command),
        _ => {}
    }
    if how != "left" {
        return command.output().unwrap();
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    child.wait_with_output().unwrap()
}

/// The command as a shell starts it with stdout closed.
fn closed(command: &Command) -> Command {
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

/// Every user with what stands for the password.
async fn users(url: &str) -> Vec<String> {
    sqlx::any::install_default_drivers();
    let mut db = AnyConnection::connect(url).await.unwrap();
    let users = "SELECT username || ' ' || password_hash FROM users ORDER BY 1";
    let users = sqlx::query_scalar(users).fetch_all(&mut db).await.unwrap();
    db.close().await.unwrap();
    users
}

#[test]
fn a_generated_password_that_can_not_be_printed_is_not_set() {
    on_each_url(async |url| {
        let create = ["user", "create", "alice", "--password-stdin"];
        assert!(run(&url, &create, PASSWORD).status.success());
        let before = users(&url).await;
        for args in [
            &["user", "create", "bob", "--generate-password"][..],
            &["user", "set-password", "alice", "--generate-password"],
        ] {
            for how in ["full", "closed", "left"] {
                let output = unread(&url, args, how);
                assert_eq!(output.status.code(), Some(1), "{args:?} {how}");
                let said = stderr(&output);
                assert!(
                    said.contains("nothing was changed"),
                    "{args:?} {how}: {said}"
                );
                assert_eq!(users(&url).await, before, "{args:?} {how}");
            }
        }
        // What is thrown away on purpose is none of our business.
        let set = ["user", "set-password", "alice", "--generate-password"];
        let set = command(&url, &set).stdout(Stdio::null()).status().unwrap();
        assert!(set.success());
        assert_ne!(users(&url).await, before);
        // A name that is taken gets no password.
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
fn a_result_that_can_not_be_written_is_a_failure() {
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
        let full = unread(&url, args, "full");
        assert_eq!(full.status.code(), Some(1), "{args:?}");
        assert!(!stderr(&full).contains("panicked"), "{}", stderr(&full));
    }
    let said = stderr(&unread(&url, &["user", "list"], "full"));
    assert!(
        said.contains("stdout") && said.contains("No space left"),
        "{said}"
    );
    // A reader that closes the pipe early (`| head`) is told nothing.
    let left = unread(&url, &["user", "list"], "left");
    assert_eq!((left.status.code(), stderr(&left).as_str()), (Some(1), ""));
}

#[test]
fn a_password_on_stdin_is_what_was_typed() {
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
        let made = create(name, input);
        assert!(made.status.success(), "{name}: {}", stderr(&made));
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

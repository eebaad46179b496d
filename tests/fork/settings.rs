//! Settings of the user and of the template do not change an update, and nothing in the template runs before a
//! developer has seen it.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::fork::tools::{Pair, edit, read, repository_state, write};
use crate::support::server::{stderr, stdout};
use crate::xtask::{commit, git, head, is_clone, isolated, program};

/// Runs `update` in the fork with these git settings.
fn update_with(pair: &Pair, settings: &[(&str, &str)], args: &[&str]) -> Output {
    let mut command = isolated(program(), &pair.fork(), true);
    command.env("GIT_CONFIG_COUNT", settings.len().to_string());
    for (number, (key, value)) in settings.iter().enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{number}"), key);
        command.env(format!("GIT_CONFIG_VALUE_{number}"), value);
    }
    command.arg("update").args(args).output().unwrap()
}

#[cfg(unix)]
#[test]
#[ignore = "slow"]
fn an_update_runs_no_code_of_the_template() {
    use std::os::unix::fs::PermissionsExt;
    if !is_clone() {
        return;
    }
    for setting in [
        "[alias]\nfmt = \"run\"\n",
        "[build]\nrustc = \"tools/rustc\"\n",
    ] {
        let pair = Pair::new(&[]);
        let (template, ran) = (pair.template(), pair.fork().with_file_name("ran"));
        let main =
            format!("fn main() {{\n    std::fs::write({ran:?}, \"Multitoken\").unwrap();\n}}\n");
        write(&template, "src/main.rs", &main);
        let script = format!("#!/bin/sh\ntouch '{}'\nexec rustc \"$@\"\n", ran.display());
        write(&template, "tools/rustc", &script);
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(template.join("tools/rustc"), executable).unwrap();
        write(&template, ".cargo/config.toml", setting);
        commit(&template, "Settings");
        for args in [&["--dry-run"][..], &[]] {
            let printed = pair.assert_updated(args);
            assert!(!ran.exists(), "{setting}{args:?}");
            assert!(
                printed.contains("could not be updated (.cargo/config.toml has changed"),
                "{printed}"
            );
        }
    }
}

#[test]
#[ignore = "slow"]
fn only_renamed_files_are_formatted() {
    if !is_clone() {
        return;
    }
    let unparsable = "mod  odd ;\nfn odd( {\n";
    let unformatted = "fn  odd ( ) { }\n";
    let pair = Pair::new(&[
        ("engine/src/lib.rs", unformatted),
        (
            "src/main.rs",
            "use beta::B;\nuse multitoken::M;\n\nmod nowhere;\n",
        ),
        ("src/other.rs", unformatted),
    ]);
    let fork = pair.fork();
    let sorted = "use acme::M;\nuse beta::B;\n\nmod nowhere;\n";
    assert_eq!(read(&fork, "src/main.rs"), sorted);
    assert_eq!(read(&fork, "src/other.rs"), unformatted);
    assert_eq!(read(&fork, "engine/src/lib.rs"), unformatted);
    write(&pair.template(), "engine/src/lib.rs", unparsable);
    commit(&pair.template(), "Odd");
    pair.assert_updated(&[]);
    assert_eq!(read(&fork, "engine/src/lib.rs"), unparsable);
}

#[cfg(unix)]
#[test]
#[ignore = "slow"]
fn git_settings_and_control_characters_do_not_affect_an_update() {
    if !is_clone() {
        return;
    }
    let pair = Pair::new(&[]);
    let template = pair.template();
    let entry = "## [Unreleased]\n\n### Changed\n\n- A \u{1b}[8mhole.\n";
    edit(&template, "CHANGELOG.md", "## [Unreleased]\n", entry);
    write(&template, "docs/\u{1b}[2Jü.md", "New\n");
    commit(&template, "New");
    let unsigned = git(&template, &["cat-file", "commit", "HEAD"]);
    let signature =
        "\ngpgsig -----BEGIN SSH SIGNATURE-----\n AAAA\n -----END SSH SIGNATURE-----\n\n";
    write(
        &template,
        ".git/signed",
        &unsigned.replacen("\n\n", signature, 1),
    );
    let object = ["hash-object", "-t", "commit", "-w", ".git/signed"];
    let signed = git(&template, &object);
    git(&template, &["update-ref", "HEAD", signed.trim()]);

    let settings = [("color.ui", "always"), ("log.showSignature", "true")];
    let from = ["--from", "../template"];
    let output = update_with(&pair, &settings, &from);
    assert!(output.status.success(), "{}", stderr(&output));
    let printed = stdout(&output);
    assert!(
        printed.contains(
            "New in the template's changelog:\n\n## [Unreleased]\n### Changed\n- A [8mhole.\n"
        ),
        "{printed}"
    );
    assert!(printed.contains("\n  docs/[2Jü.md\n"), "{printed}");
    let state = git(&pair.fork(), &["log", "-1", "--format=%an", "template"]);
    assert_eq!(state, "Alice\n");
    let again = update_with(&pair, &settings, &from);
    assert!(stdout(&again).contains("Already up to date"));
}

#[test]
#[ignore = "slow"]
fn the_given_url_is_recorded() {
    if !is_clone() {
        return;
    }
    let pair = Pair::new(&[]);
    let (template, fork) = (pair.template(), pair.fork());
    let key = format!("url.{}.insteadOf", template.display());
    let assert_recorded = |args: &[&str], recorded: &str| {
        write(&template, "new.txt", &format!("{args:?}"));
        commit(&template, "New");
        let settings = [
            (&*key, "https://a.example/b"),
            (&key, "ssh://me@c.example/d"),
        ];
        let output = update_with(&pair, &settings, args);
        assert!(output.status.success(), "{}", stderr(&output));
        let record = read(&fork, "template.toml");
        assert!(
            record.contains(&format!("\nfrom = \"{recorded}\"\n")),
            "{record}"
        );
    };
    let (first, other) = ("https://a.example/b", "ssh://me@c.example/d");
    assert_recorded(&["--from", first], first);
    assert_recorded(&["--from", other], other);
    assert_recorded(&["--from", "../template"], other);
    assert_recorded(&[], other);
    assert_recorded(&["--from", first, "--adopt", "HEAD"], first);
}

#[test]
#[ignore = "slow"]
fn an_update_that_fails_at_the_lock_file_changes_nothing() {
    if !is_clone() {
        return;
    }
    let pair = Pair::new(&[]);
    let fork = pair.fork();
    // Git merges this without a conflict, but cargo would write another order.
    let lock = read(&fork, "Cargo.lock");
    let more = "[[package]]\nname = \"z\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"acme\"";
    write(
        &fork,
        "Cargo.lock",
        &lock.replacen("[[package]]\nname = \"acme\"", more, 1),
    );
    commit(&fork, "Ours");
    edit(&pair.template(), "Cargo.lock", "version = 4", "version = 3");
    commit(&pair.template(), "Theirs");
    let before = (repository_state(&fork), head(&fork));
    let mut command = isolated(program(), &fork, true);
    command.env("CARGO", Path::new("/nowhere/cargo"));
    let output = command.args(["update", "--from", "../template"]).output();
    assert_eq!(output.unwrap().status.code(), Some(1));
    assert!(before == (repository_state(&fork), head(&fork)));
}

//! `docs/adding-a-resource.md`: what it quotes stands in the files, and what it says deletes the example does.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::needs;
use crate::support::page::{blocks, page, quotations};

/// What the example's own files are, and no other.
const FILES: [&str; 12] = [
    "migrations/0006_notes.sql",
    "src/admin/notes.rs",
    "src/api/notes.rs",
    "src/models/note.rs",
    "templates/admin/confirm_note.html.tera",
    "templates/admin/new_note.html.tera",
    "templates/admin/notes.html.tera",
    "tests/browser/notes.rs",
    "tests/browser/pages/notes.rs",
    "tests/notes.rs",
    "tests/notes/guide.rs",
    "tests/plans/tour/notes.rs",
];
/// What would be left of it.
const TRACES: [&str; 8] = [
    "example: notes",
    "\"/notes",
    "/admin/notes",
    "notes::",
    "note::",
    "NoteId",
    "NoteDeleted",
    "at_notes",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn what_the_guide_quotes_stands_in_the_files_that_it_names() {
    let quoted = quotations("adding-a-resource.md");
    assert!(quoted >= 8, "{quoted} quotations");
}

#[test]
fn one_command_deletes_the_example_and_leaves_nothing_of_it() {
    for (program, package) in [
        ("git", "git"),
        ("perl", "perl-base"),
        ("xargs", "findutils"),
    ] {
        if needs::executable(program, &[]).is_none() {
            return needs::missing(program, package);
        }
    }
    let Some(clone) = clone() else {
        return;
    };
    let before = files(&clone);
    let guide = page("adding-a-resource.md");
    let [command] = &blocks(&guide, "Deleting the example", "sh")[..] else {
        panic!("not one command");
    };
    done(
        Command::new("sh")
            .args(["-ec", command])
            .current_dir(&clone),
    );

    let after = files(&clone);
    let deleted: Vec<_> = before.difference(&after).map(String::as_str).collect();
    assert_eq!(deleted, FILES);
    for path in after.iter().filter(|path| !path.starts_with("docs/")) {
        let bytes = fs::read(clone.join(path)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for trace in TRACES {
            assert!(!text.contains(trace), "{path} has {trace}");
        }
    }
    is_sound(&clone);
}

/// A repository of its own with what this one tracks, as it is now.
fn clone() -> Option<PathBuf> {
    let tracked = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root())
        .output()
        .unwrap();
    if !tracked.status.success() {
        needs::lacks("this is no git repository");
        return None;
    }
    // Always in the same place, so that what is compiled there is compiled again only where it changed.
    let clone = Path::new(env!("CARGO_TARGET_TMPDIR")).join("without-the-example");
    let _ = fs::remove_dir_all(&clone);
    let tracked = String::from_utf8(tracked.stdout).unwrap();
    for path in tracked
        .split('\0')
        .filter(|path| root().join(path).is_file())
    {
        let copy = clone.join(path);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(root().join(path), copy).unwrap();
    }
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        let git = git.args(args).current_dir(&clone);
        // Whatever hooks and signatures whoever runs this has.
        done(git.env("GIT_CONFIG_GLOBAL", "/dev/null"));
    };
    git(&["init", "-q"]);
    git(&["add", "-A"]);
    let somebody = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
    git(&[&somebody[..], &["commit", "-qm", "With the example"]].concat());
    Some(clone)
}

fn files(clone: &Path) -> BTreeSet<String> {
    let listed = done(Command::new("git").arg("ls-files").current_dir(clone));
    let listed = String::from_utf8(listed.stdout).unwrap();
    listed.lines().map(str::to_owned).collect()
}

/// Whether what is left is formatted and, with `CI=true`, compiles without a warning.
fn is_sound(clone: &Path) {
    let formatted = cargo(clone, &["fmt", "--check"]);
    let said = words(&formatted);
    if said.contains("is not installed") {
        return needs::missing("rustfmt", "rustfmt");
    }
    assert!(formatted.status.success(), "{said}");
    if std::env::var("CI").as_deref() == Ok("true") {
        be_another_package(clone);
        // The lints, which come first there, have left what all others need compiled.
        let checked = cargo(clone, &["check", "--all-targets", "--locked", "--offline"]);
        let said = words(&checked);
        assert!(
            checked.status.success() && !said.contains("warning"),
            "{said}"
        );
    } else {
        eprintln!("whether the rest compiles is looked at with CI=true");
    }
}

/// Gives it another version: cargo takes what has the same name and version for the same package, wherever it
/// lies, and each would have the other compiled anew.
fn be_another_package(clone: &Path) {
    let line = |version| {
        format!(
            "name = \"{}\"\nversion = \"{version}\"\n",
            env!("CARGO_PKG_NAME")
        )
    };
    for file in ["Cargo.toml", "Cargo.lock"] {
        let text = fs::read_to_string(clone.join(file)).unwrap();
        let other = text.replace(&line(env!("CARGO_PKG_VERSION")), &line("0.0.0"));
        assert_ne!(text, other, "{file} names no version");
        fs::write(clone.join(file), other).unwrap();
    }
}

fn cargo(clone: &Path, args: &[&str]) -> Output {
    let mut cargo = Command::new(env!("CARGO"));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    cargo
        .args(args)
        .current_dir(clone)
        .env("CARGO_TARGET_DIR", target);
    // What this test was told about its own package would have others compiled anew.
    let own = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "OUT_DIR"];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if own.iter().any(|own| text.starts_with(own)) {
            cargo.env_remove(&name);
        }
    }
    cargo.output().unwrap()
}

fn words(output: &Output) -> String {
    let both = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

fn done(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

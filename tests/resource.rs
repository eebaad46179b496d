//! `cargo xtask resource`: what it generates passes all tests, what it removes leaves no trace, and a refusal changes
//! nothing.

mod output;
mod remove;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Output;

use tempfile::{TempDir, tempdir};

use self::output::{add_args, remove_args};
use crate::ROOT;
use crate::support::needs;
use crate::support::server::{stderr, stdout};
use crate::xtask::{RebuildEngine, cargo, commit, contents, copy_to, git, is_clone, xtask};

/// A copy of this project. `None` if it is not a clone or rustfmt is missing.
fn copy_project() -> Option<TempDir> {
    if needs::executable("rustfmt", &[]).is_none() {
        needs::missing("rustfmt", "rustfmt");
        return None;
    }
    if !is_clone() {
        return None;
    }
    let folder = tempdir().unwrap();
    copy_to(folder.path());
    commit(folder.path(), "As it is");
    Some(folder)
}

fn run_resource(root: &Path, args: &str) -> Output {
    let args: Vec<&str> = ["resource"].into_iter().chain(args.split(' ')).collect();
    xtask(root, &args)
}

fn assert_succeeds(root: &Path, args: &str) -> String {
    let output = run_resource(root, args);
    assert!(output.status.success(), "{args}: {}", stderr(&output));
    stdout(&output)
}

/// Asserts that the command fails with a message that contains `why`, and changes nothing.
fn assert_refused(root: &Path, args: &str, why: &str) {
    let before = contents(root);
    let output = run_resource(root, args);
    let printed = stderr(&output);
    assert!(!output.status.success(), "{args}");
    assert!(printed.contains(why), "{args}: {printed}");
    assert_same(&contents(root), &before);
}

fn assert_same(found: &BTreeMap<String, Vec<u8>>, wanted: &BTreeMap<String, Vec<u8>>) {
    let paths: Vec<_> = found.keys().chain(wanted.keys()).collect();
    for path in paths {
        let (found, wanted) = (found.get(path), wanted.get(path));
        let text = |bytes: Option<&Vec<u8>>| {
            bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        };
        assert!(
            found == wanted,
            "{path}\n{:#?}\n{:#?}",
            text(found),
            text(wanted)
        );
    }
}

/// Text that must not remain once the example is removed.
const TRACES: [&str; 6] = [
    "/notes",
    "notes::",
    "mod notes",
    "NoteId",
    "note.deleted",
    "TABLE notes",
];

#[test]
fn the_example_is_what_the_command_generates() {
    let Some(folder) = copy_project() else { return };
    let before = contents(folder.path());
    let printed = assert_succeeds(folder.path(), &remove_args());
    for part in [
        "src/notes/api.rs",
        "DROP TABLE notes;",
        "WHERE version = 1000;",
    ] {
        assert!(printed.contains(part), "{printed}");
    }
    let without = contents(folder.path());
    assert_eq!(before.len() - without.len(), 9);
    for (path, bytes) in &without {
        let text = String::from_utf8_lossy(bytes);
        let is_application = ["src/", "templates/", "migrations/", "tests/"]
            .iter()
            .any(|folder| path.starts_with(folder));
        // These tests name the example.
        let is_ours = ["tests/fork/", "tests/resource.rs", "tests/resource/"]
            .iter()
            .any(|start| path.starts_with(start));
        if is_application && !is_ours {
            for trace in TRACES {
                assert!(!text.contains(trace), "{path} has {trace}");
            }
        }
    }

    // An update may bring back one line of the example.
    let list = "tests/resources.rs";
    fs::write(folder.path().join(list), &before[list]).unwrap();
    assert_succeeds(folder.path(), "--remove notes");
    assert_same(&contents(folder.path()), &without);

    assert_succeeds(folder.path(), "notes text:prose");
    assert_same(&contents(folder.path()), &before);
}

#[test]
fn a_refused_command_changes_nothing() {
    let Some(folder) = copy_project() else { return };
    for (args, why) in [
        ("notes text:prose", "src/notes already exists"),
        ("note_ text:prose", "cannot be a name"),
        ("users name:text", "\"users\""),
        ("tokens name:text", "\"tokens\""),
        ("docs name:text", "\"docs\""),
        ("values name:text", "SQL keyword"),
        ("matches name:text --singular match", "Rust keyword"),
        ("pagers name:text", "Pager"),
        ("sheep name:text", "--singular"),
        ("movies name:text", "--singular"),
        ("caches name:text", "--singular"),
        ("dishes name:text", "--singular"),
        ("statuses name:text", "--singular"),
        ("foxes name:text", "--singular"),
        ("quizzes name:text", "--singular"),
        ("heroes name:text", "--singular"),
        ("wolves name:text", "--singular"),
        ("good_news name:text", "--singular"),
        ("series name:text", "--singular"),
        ("species name:text", "--singular"),
        ("usernames name:text", "\"usernames\""),
        ("sqlite_rows name:text", "cannot be a table"),
        ("pg_rows name:text", "cannot be a table"),
        ("oks name:text", "Ok"),
        ("somes name:text", "Some"),
        ("errs name:text", "Err"),
        ("nones name:text", "None"),
        ("password_changes name:text", "schema PasswordChange "),
        ("token_types name:text", "schema TokenType "),
        ("roles name:text", "schema Role "),
        ("note_fields name:text", "schema NoteFields "),
        ("bookmarks raise:text", "SQL keyword"),
        ("fish name:text --singular fish", "no distinct singular"),
        ("Bookmarks title:text", "cannot be a name"),
        ("../bookmarks title:text", "cannot be a name"),
        ("1bookmarks title:text", "cannot be a name"),
        ("bookmarks", "required"),
        ("bookmarks title", "not a field"),
        (
            "bookmarks title:string",
            "text, prose, number, url, flag, date, time",
        ),
        ("bookmarks title:text title:url", "twice"),
        ("bookmarks id:text", "\"id\""),
        ("bookmarks user:text", "\"user\""),
        ("bookmarks created_at:time", "\"created_at\""),
        ("bookmarks request_id:text", "\"request_id\""),
        ("bookmarks type:text", "Rust keyword"),
        ("bookmarks select:text", "SQL keyword"),
        ("bookmarks bookmark:text", "name of the resource"),
        ("bookmarks Title:text", "cannot be a name"),
        ("bookmarks done:flag?", "leave out the ?"),
        (
            "bookmarks a:text b:text c:text d:text e:text f:text",
            "at most 64 KiB",
        ),
        ("--remove bookmarks", "not a resource"),
        ("--remove admin", "not a resource"),
        ("--remove ../src/notes", "not a resource"),
    ] {
        assert_refused(folder.path(), args, why);
    }
    let migration = folder.path().join("migrations/1001_more.sql");
    fs::write(
        migration,
        "create table IF NOT EXISTS bookmarks (id TEXT);\n",
    )
    .unwrap();
    let table = "1001_more.sql already creates a table bookmarks";
    assert_refused(folder.path(), "bookmarks title:text", table);
    let engines = folder.path().join("engine/migrations/0999_more.sql");
    fs::write(engines, "CREATE TABLE parcels (\n").unwrap();
    let table = "0999_more.sql already creates a table parcels";
    assert_refused(folder.path(), "parcels title:text", table);
    fs::write(
        folder.path().join("src/own.rs"),
        "#[get(\"/lists_of_mine/<id>\")]",
    )
    .unwrap();
    assert_refused(
        folder.path(),
        "lists_of_mine title:text --singular list_of_mine",
        "src/own.rs",
    );
}

#[test]
fn a_missing_insertion_point_is_reported_and_a_failed_write_undone() {
    let Some(folder) = copy_project() else { return };
    let library = folder.path().join("src/lib.rs");
    let before = fs::read_to_string(&library).unwrap();
    let renamed = before.replace("ACTIONS", "OWN_ACTIONS");
    fs::write(&library, renamed).unwrap();
    let missing = "src/lib.rs: `bookmarks::DELETED,`";
    assert_refused(folder.path(), "bookmarks title:text", missing);
    // The list is on one line, and another list follows.
    let (head, tail) = before.split_once("const ACTIONS").unwrap();
    let (_, tail) = tail.split_once("];").unwrap();
    let short =
        format!("{head}const ACTIONS: &[&str] = &[];\n{tail}\nconst OTHER: &[&str] = &[\n];\n");
    fs::write(&library, short).unwrap();
    assert_refused(folder.path(), "bookmarks title:text", missing);
    fs::write(&library, &before).unwrap();

    // Some files are written before this error.
    let templates = folder.path().join("templates");
    fs::remove_dir_all(&templates).unwrap();
    fs::write(&templates, "no folder").unwrap();
    assert_refused(folder.path(), "bookmarks title:text", "Nothing was changed");
}

#[test]
fn resources_can_be_added_beside_own_modules_and_ejected_stages() {
    let Some(folder) = copy_project() else { return };
    let root = folder.path();
    assert_succeeds(root, "--remove notes");
    let library = root.join("src/lib.rs");
    let own = fs::read_to_string(&library).unwrap();
    let lines = own.lines().filter(|line| !line.contains(".attach(admin::"));
    let own = lines.collect::<Vec<_>>().join("\n") + "\n";
    let own = own.replace(
        "\nuse rocket::figment",
        "\n#[cfg(unix)]\npub mod zoo;\nuse rocket::figment",
    );
    fs::write(&library, &own).unwrap();
    let before = contents(root);
    assert_succeeds(root, "bookmarks title:text");
    assert_succeeds(root, "parcels size:number");
    let text = fs::read_to_string(&library).unwrap();
    for part in [
        "pub mod bookmarks;\npub mod parcels;\n#[cfg(unix)]\npub mod zoo;\n",
        "    bookmarks::DELETED,\n    parcels::DELETED,\n];",
        "        .attach(bookmarks::stage())\n        .attach(parcels::stage())\n        .attach(web::fallbacks",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(root.join("migrations/1000_bookmarks.sql").exists());
    assert!(root.join("migrations/1001_parcels.sql").exists());

    // The command does not remove changes that git could not restore.
    assert_refused(root, "--remove parcels", "uncommitted changes");
    assert_succeeds(root, "--remove parcels --force");
    git(root, &["add", "-A"]);
    git(root, &["commit", "-qm", "Bookmarks"]);
    fs::write(root.join("src/bookmarks/model.rs"), "// edited").unwrap();
    assert_refused(root, "--remove bookmarks", "src/bookmarks/model.rs");
    git(root, &["commit", "-qam", "Edited"]);
    assert_succeeds(root, "--remove bookmarks");
    assert_same(&contents(root), &before);
}

/// A field of each kind, required and optional. Together they exceed a body of 8 KiB.
const FIELDS: &str = "title:text about:prose? count:number rank:number? link:url? source:url done:flag due:date \
    until:date? starts:time ends:time? status:text?";
/// Tests that cover every resource.
const RESOURCE_TESTS: [&str; 9] = [
    "resources::",
    "routes::",
    "openapi::",
    "architecture::",
    "bodies::",
    "plans::",
    "fuzz::no_request",
    "browser::checks",
    "browser::resources",
];

#[test]
#[ignore = "slow"]
fn resources_with_fields_of_every_kind_pass_all_tests_and_leave_no_trace() {
    // A fixed path, so that unchanged code is not compiled again in the next run.
    let root = &Path::new(env!("CARGO_TARGET_TMPDIR")).join("with-resources");
    let _rebuild = RebuildEngine;
    if !is_clone() {
        return;
    }
    let _ = fs::remove_dir_all(root);
    fs::create_dir_all(root).unwrap();
    copy_to(root);
    commit(root, "As it is");
    for tools in [
        "tests/npm/node_modules",
        "tests/schemathesis/.venv",
        "tests/smtp/.venv",
    ] {
        let there = Path::new(ROOT).join(tools);
        if there.exists() {
            symlink(there, root.join(tools)).unwrap();
        }
    }
    change_version(root);
    git(root, &["commit", "-qam", "Another package"]);
    let before = git(root, &["rev-parse", "HEAD^{tree}"]);

    assert_succeeds(root, &format!("line_items {FIELDS}"));
    assert_succeeds(root, &add_args());
    let tests = [
        &RESOURCE_TESTS[..],
        &["line_items::", "bookmarks::", "notes::"],
    ]
    .concat();
    assert_sound(root, &[&["--include-ignored"], &tests[..]].concat());
    git(root, &["add", "-A"]);
    git(root, &["commit", "-qm", "Resources"]);
    assert_succeeds(root, "--remove line_items");
    assert_succeeds(root, "--remove bookmarks");
    git(root, &["commit", "-qam", "None of them"]);
    assert_eq!(git(root, &["rev-parse", "HEAD^{tree}"]), before);

    assert_succeeds(root, "--remove notes");
    assert_sound(
        root,
        &[
            "resources::",
            "routes::",
            "openapi::",
            "architecture::",
            "bodies::",
        ],
    );
    fs::remove_dir_all(root).unwrap();
}

/// Asserts that the project is formatted, compiles without warnings, and passes these tests. Tests of every page and
/// random requests are limited to the resources and to a small number.
fn assert_sound(root: &Path, tests: &[&str]) {
    let run = |args: &[&str]| {
        let mut cargo = cargo(root);
        cargo.args(args);
        cargo.env("PAGES", "line,bookmark,note");
        cargo.env("EXAMPLES", "50").env("FUZZ_REQUESTS", "2000");
        let output = cargo.output().unwrap();
        assert!(
            output.status.success(),
            "cargo {args:?}: {}\n{}",
            stdout(&output),
            stderr(&output)
        );
        stdout(&output)
    };
    run(&["fmt", "--check"]);
    let lints = [
        "clippy",
        "--all-targets",
        "--locked",
        "--offline",
        "--",
        "-D",
        "warnings",
    ];
    run(&lints);
    let test = ["test", "--locked", "--offline", "--test", "all", "--"];
    let printed = run(&[&test[..], tests].concat());
    assert!(!printed.contains(" 0 passed"), "{printed}");
}

/// Changes the version. Cargo would otherwise take the copy for this project, and compile each of them again after
/// the other.
fn change_version(root: &Path) {
    let name = env!("CARGO_PKG_NAME");
    let line = |version| format!("name = \"{name}\"\nversion = \"{version}\"\n");
    for file in ["Cargo.toml", "Cargo.lock"] {
        let text = fs::read_to_string(root.join(file)).unwrap();
        let other = text.replace(&line(env!("CARGO_PKG_VERSION")), &line("0.0.0"));
        assert_ne!(text, other, "{file} names no version");
        fs::write(root.join(file), other).unwrap();
    }
}

//! `cargo xtask eject`: a stage's source moves into the application, or nothing changes.

mod every;
mod guide;
mod user_data;

use std::path::Path;
use std::process::Output;

use tempfile::TempDir;

use crate::fork::tools::{Pair, edit, minimal_template, repository_state, write};
use crate::support::server::{stderr, stdout};
use crate::xtask::{commit, contents, git, isolated, program};

const FILES: [(&str, &str); 9] = [
    ("Cargo.toml", MANIFEST),
    ("engine/Cargo.toml", ENGINE),
    ("helper/Cargo.toml", HELPER),
    ("helper/src/lib.rs", "//! Helps.\n"),
    ("src/lib.rs", APPLICATION),
    (
        "engine/src/api/session.rs",
        "//! Signing in. And out.\n\nuse crate::error::Error;\n// unused::path\nuse helper_crate::Help;\n\n// Like \"tpl_0123456789ab\".\npub fn stage() -> AdHoc {\n    done()\n}\n",
    ),
    (
        "engine/src/api/tokens.rs",
        "//! Tokens.\n\nuse crate::auth::Auth;\n\npub fn stage() -> AdHoc {\n    done()\n}\n",
    ),
    (
        "engine/src/admin/bulk.rs",
        "//! Many.\n\nmod users;\n\nuse crate::admin::BASE;\n\npub fn stage() -> AdHoc {\n    done()\n}\n",
    ),
    (
        "engine/src/admin/bulk/users.rs",
        "//! Users.\n\nuse super::Many;\nuse crate::context;\n",
    ),
];
const MANIFEST: &str = "[workspace]\nmembers = [\"engine\", \"helper\"]\n\n[workspace.dependencies]\n\
    helper-crate = { path = \"helper\" }\n\n[package]\nname = \"multitoken\"\nversion = \"0.2.0\"\nedition = \"2024\"\n\n\
    [dependencies]\nrocket_multitoken = { path = \"engine\" }\n\n[lints]\n";
const ENGINE: &str = "[package]\nname = \"rocket_multitoken\"\nversion = \"0.2.0\"\nedition = \"2024\"\n\n\
    [dependencies]\nhelper-crate.workspace = true\n";
const HELPER: &str = "[package]\nname = \"helper-crate\"\nversion = \"0.2.0\"\n";
const APPLICATION: &str = "//! The application: `api::session::stage()` and more.\n\n\
    use rocket_multitoken::{Application, admin, api};\n\npub fn rocket() -> Rocket {\n    new()\n        \
    .attach(api::session::stage())\n        .attach(api::tokens::stage())\n        .attach(admin::bulk::stage())\n        \
    .attach(admin::stage())\n}\n";
const RECORD: &str =
    "commit = \"abc\"\nname = \"multitoken\"\ntitle = \"Multitoken\"\ntoken_prefix = \"mtk\"\n";

/// A minimal fork.
fn project() -> TempDir {
    let folder = minimal_template(&FILES);
    write(folder.path(), "template.toml", RECORD);
    // Writes Cargo.lock as cargo does.
    let mut cargo = isolated(env!("CARGO"), folder.path(), true);
    let metadata = ["metadata", "--offline", "--format-version", "1"];
    let resolved = cargo.args(metadata).output().unwrap();
    assert!(resolved.status.success(), "{}", stderr(&resolved));
    commit(folder.path(), "A record");
    folder
}

fn eject(folder: &Path, args: &[&str]) -> Output {
    let mut command = isolated(program(), folder, true);
    command.arg("eject").args(args).output().unwrap()
}

fn text(folder: &Path, path: &str) -> String {
    std::fs::read_to_string(folder.join(path)).unwrap()
}

#[test]
fn ejecting_moves_a_stage_with_all_its_files_and_changes_no_others() {
    let project = project();
    let before = contents(project.path());
    let done = eject(project.path(), &["admin/bulk", "api/session"]);
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(stdout(&done).contains("Ejected admin/bulk to src/admin_bulk.rs."));

    let mut after = contents(project.path());
    let mut new = |path: &str| String::from_utf8(after.remove(path).unwrap()).unwrap();
    assert_eq!(
        new("src/api_session.rs"),
        "//! Signing in. And out.\n\nuse rocket_multitoken::error::Error;\n// unused::path\nuse helper_crate::Help;\n\n\
         // Like \"mtk_0123456789ab\".\npub fn stage() -> AdHoc {\n    done()\n}\n"
    );
    assert!(new("src/admin_bulk.rs").contains("mod users;\n\nuse rocket_multitoken::admin::BASE;"));
    assert_eq!(
        new("src/admin_bulk/users.rs"),
        "//! Users.\n\nuse super::Many;\nuse rocket_multitoken::context;\n"
    );
    assert_eq!(
        new("src/lib.rs"),
        APPLICATION
            .replace("\n\nuse", "\n\nmod admin_bulk;\nmod api_session;\nuse")
            .replace("attach(api::session", "attach(api_session")
            .replace("admin::bulk", "admin_bulk")
    );
    let dependencies = "path = \"engine\" }\nhelper-crate.workspace = true\n\n[lints]";
    assert!(new("Cargo.toml").contains(dependencies));
    let package =
        "name = \"multitoken\"\nversion = \"0.2.0\"\ndependencies = [\n \"helper-crate\",\n";
    assert!(new("Cargo.lock").contains(package));
    let record = new("template.toml");
    assert!(
        record.starts_with(RECORD) && record.matches("\" = \"").count() == 2,
        "{record}"
    );
    // No other file changed, and one git command undoes everything.
    for (path, content) in &after {
        assert_eq!(before.get(path), Some(content), "{path}");
    }
    git(project.path(), &["reset", "-q", "--hard"]);
    assert_eq!(contents(project.path()), before);
}

#[test]
fn an_import_is_removed_with_its_last_stage() {
    let project = project();
    for (stage, import) in [
        (
            "api/session",
            "use rocket_multitoken::{Application, admin, api};",
        ),
        ("api/tokens", "use rocket_multitoken::{Application, admin};"),
        // `admin::stage()` remains, so the import stays.
        ("admin/bulk", "use rocket_multitoken::{Application, admin};"),
    ] {
        let done = eject(project.path(), &[stage]);
        assert!(done.status.success(), "{}", stderr(&done));
        commit(project.path(), stage);
        let application = text(project.path(), "src/lib.rs");
        assert!(application.contains(import), "{stage}: {application}");
    }
}

#[test]
fn attributes_and_comments_stay_with_their_item() {
    for above in [
        "#[cfg(unix)]\n/// Animals.\npub mod zoo;\n",
        "// Animals.\n#[cfg(any(\n    unix,\n    windows, // It has them too, under a long enough name that this is no single line.\n))]\nmod zoo;\n",
        "#[allow(unused)]\n",
    ] {
        let project = project();
        let whole = APPLICATION.replace("\n\nuse", &format!("\n\n#![warn(unused)]\n{above}use"));
        write(project.path(), "src/lib.rs", &whole);
        commit(project.path(), "A module");
        let done = eject(project.path(), &["api/session"]);
        assert!(done.status.success(), "{}", stderr(&done));
        let expected = whole
            .replace("unused)]\n#[", "unused)]\nmod api_session;\n#[")
            .replace("unused)]\n//", "unused)]\nmod api_session;\n//")
            .replace("attach(api::session", "attach(api_session");
        assert_eq!(text(project.path(), "src/lib.rs"), expected);
    }
}

#[test]
fn ejecting_works_in_a_shallow_clone_without_a_branch() {
    let project = project();
    let folder = tempfile::tempdir().unwrap();
    let from = format!("file://{}", project.path().display());
    git(
        folder.path(),
        &["clone", "-q", "--depth", "1", &from, "clone"],
    );
    let clone = folder.path().join("clone");
    assert_eq!(
        git(&clone, &["rev-parse", "--is-shallow-repository"]).trim(),
        "true"
    );
    git(&clone, &["checkout", "-q", "--detach"]);
    let done = eject(&clone, &["api/session"]);
    assert!(done.status.success(), "{}", stderr(&done));
    commit(&clone, "Eject");
    let reviewed = eject(&clone, &["--reviewed", "api/session"]);
    assert!(reviewed.status.success(), "{}", stderr(&reviewed));
}

#[test]
fn a_stage_that_cannot_be_ejected_changes_nothing() {
    type Preparation = fn(&Path);
    let cases: [(&[&str], Preparation, &str); 12] = [
        (
            &["api/sesion"],
            |_| (),
            "api/sesion is not a stage. These can be ejected: admin/bulk, api/session, api/tokens",
        ),
        (&["auth/guard"], |_| (), "auth/guard cannot be ejected"),
        // A list with an invalid stage ejects none of the others.
        (
            &["api/tokens", "secret"],
            |_| (),
            "secret cannot be ejected",
        ),
        (
            &["api/session"],
            |root| {
                assert!(eject(root, &["api/session"]).status.success());
                commit(root, "Eject");
            },
            "api/session is already ejected: see src/api_session.rs",
        ),
        (
            &["api/session"],
            |root| {
                edit(
                    root,
                    "src/lib.rs",
                    "        .attach(api::session::stage())\n",
                    "",
                );
                commit(root, "Remove");
            },
            "src/lib.rs must contain exactly one line `.attach(api::session::stage())`",
        ),
        (
            &["api/session"],
            |root| {
                edit(root, "src/lib.rs", "api::tokens", "api::session");
                commit(root, "Twice");
            },
            "src/lib.rs must contain exactly one line",
        ),
        (
            &["admin/bulk"],
            |root| {
                write(root, "src/admin_bulk/users.rs", "// My own.\n");
                commit(root, "Own");
            },
            "src/admin_bulk/users.rs already exists",
        ),
        (
            &["api/session"],
            |root| write(root, "notes.txt", "x"),
            "uncommitted changes",
        ),
        (
            &["api/session"],
            |root| {
                std::fs::remove_file(root.join("template.toml")).unwrap();
                commit(root, "No fork");
            },
            "there is no template.toml",
        ),
        (
            &["--reviewed", "api/session"],
            |_| (),
            "api/session is not ejected",
        ),
        (
            &["api/session"],
            |root| {
                edit(root, "src/lib.rs", "    new()\n", "    new(\n");
                commit(root, "Unclosed");
            },
            "src/lib.rs: rustfmt: error: ",
        ),
        // Resolving the dependencies is the last step that can fail.
        (
            &["admin/bulk", "api/session"],
            |root| {
                edit(
                    root,
                    "Cargo.toml",
                    "helper-crate = { path = \"helper\" }",
                    "",
                );
                commit(root, "Broken");
            },
            "Nothing was changed",
        ),
    ];
    for (args, prepare, reason) in cases {
        let project = project();
        prepare(project.path());
        let before = repository_state(project.path());
        let refused = eject(project.path(), args);
        assert_eq!(refused.status.code(), Some(1), "{args:?}");
        let printed = stderr(&refused);
        assert!(printed.contains(reason), "{args:?}: {printed}");
        assert_eq!(repository_state(project.path()), before, "{args:?}");
    }
}

#[test]
fn stages_are_listed_even_if_none_can_be_ejected() {
    let project = project();
    git(project.path(), &["rm", "-q", "template.toml"]);
    let listed = stdout(&eject(project.path(), &["--list"]));
    let lines: Vec<_> = listed
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .collect();
    assert_eq!(
        lines.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["admin/bulk", "api/session", "api/tokens"]
    );
    assert_eq!(lines[1].1.trim(), "Signing in");
}

#[test]
fn updates_report_a_changed_stage_until_it_is_reviewed() {
    let session = "engine/src/api/session.rs";
    let pair = Pair::new(&FILES);
    let done = eject(&pair.fork(), &["api/session", "api/tokens"]);
    assert!(done.status.success(), "{}", stderr(&done));
    commit(&pair.fork(), "Eject");

    let reported = |path: &str, old: &str, new: &str| {
        edit(&pair.template(), path, old, new);
        commit(&pair.template(), "A fix");
        pair.assert_updated(&[])
    };
    let printed = reported("engine/src/admin/bulk/users.rs", "Users", "All users");
    assert!(!printed.contains("ejected stage"), "{printed}");
    let printed = reported(session, "Error;", "Error as _;");
    assert!(
        printed.contains("the ejected stage api/session has changed"),
        "{printed}"
    );
    assert!(!printed.contains("api/tokens has changed"), "{printed}");
    assert!(text(&pair.fork(), "src/api_session.rs").contains("Error;"));
    // Every update repeats the report, even one without changes.
    assert!(
        pair.assert_updated(&[])
            .contains("the ejected stage api/session has changed")
    );
    let printed = reported("engine/src/admin/bulk/users.rs", "All", "Some");
    assert!(
        printed.contains("the ejected stage api/session has changed"),
        "{printed}"
    );

    assert!(
        eject(&pair.fork(), &["--reviewed", "api/session"])
            .status
            .success()
    );
    commit(&pair.fork(), "Reviewed");
    let printed = reported("engine/src/admin/bulk/users.rs", "Some", "No");
    assert!(!printed.contains("ejected stage"), "{printed}");
}

#[test]
fn updates_report_a_removed_stage_until_its_entry_is_removed() {
    let pair = Pair::new(&FILES);
    let done = eject(&pair.fork(), &["api/session", "api/tokens"]);
    assert!(done.status.success(), "{}", stderr(&done));
    commit(&pair.fork(), "Eject");
    git(
        &pair.template(),
        &[
            "mv",
            "engine/src/api/tokens.rs",
            "engine/src/api/clients.rs",
        ],
    );
    commit(&pair.template(), "Rename");
    let printed = pair.assert_updated(&[]);
    let gone = "the ejected stage api/tokens was renamed or removed";
    assert!(printed.contains(gone), "{printed}");

    let reviewed = eject(&pair.fork(), &["--reviewed", "api/tokens", "api/tokens"]);
    assert!(reviewed.status.success(), "{}", stderr(&reviewed));
    let no_stage = "The engine no longer has the stage api/tokens";
    assert!(stdout(&reviewed).contains(no_stage));
    let record = text(&pair.fork(), "template.toml");
    assert!(record.contains("api/session") && !record.contains("api/tokens"));
    assert!(pair.fork().join("src/api_tokens.rs").exists());
    commit(&pair.fork(), "Reviewed");
    edit(
        &pair.template(),
        "engine/src/admin/bulk.rs",
        "Many.",
        "Many at once.",
    );
    commit(&pair.template(), "A fix");
    let printed = pair.assert_updated(&[]);
    assert!(!printed.contains("ejected stage"), "{printed}");
}

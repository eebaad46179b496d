//! Forks of the last versions, with typical edits, are updated to this version. Nothing is compiled.
//!
//! With `KEEP_FORKS=FOLDER`, the oldest and the newest fork stay in that folder as `oldest` and `newest`, to be built
//! and tested. The `template` that they were updated from is there, too.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use crate::ROOT;
use crate::fork::tools::{TEMPLATE_NAME, edit, fork, read, write};
use crate::support::server::{stderr, stdout};
use crate::xtask::xtask;
use crate::xtask::{commit, contents, git, head, is_clone, isolated, program};

/// The maximum number of versions, if this checkout has as many.
const MAX_VERSIONS: usize = 20;

/// Commits that conflict with edits of older forks, and the files with conflicts.
const EXPECTED_CONFLICTS: [(&str, &[&str]); 0] = [];

/// The fork changes the start of this page, the template its end.
const PAGE: &str = "templates/admin/login.html.tera";
const OWN_STAGE: &str = "//! Reports, a stage of the fork's own.\n\n\
    use rocket::fairing::AdHoc;\n\n\
    /// Mounts its routes.\n\
    pub fn stage() -> AdHoc {\n    AdHoc::on_ignite(\"reports\", |rocket| async { rocket })\n}\n";

#[test]
#[ignore = "slow"]
fn forks_of_the_last_versions_update_to_this_one() {
    if !is_clone() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("template");
    git(folder.path(), &["clone", "-q", ROOT, "template"]);
    let commits = git(&template, &["rev-list", "--first-parent", "HEAD"]);
    let has_engine = |commit: &&str| {
        let tree = format!("{commit}:engine");
        let mut git = isolated("git", &template, true);
        git.args(["cat-file", "-e", &tree])
            .output()
            .unwrap()
            .status
            .success()
    };
    let mut versions: Vec<_> = commits
        .lines()
        .take_while(has_engine)
        .take(MAX_VERSIONS)
        .collect();
    versions.reverse();
    // Gives a fork of the newest version something to update to.
    let end = "</main>";
    edit(&template, PAGE, end, &format!("{{# New. #}}\n{end}"));
    edit(&template, "engine/src/lib.rs", "\nuse ", "\n// New.\nuse ");
    commit(&template, "New");

    let keep = |project: &Path, name: &str| {
        if let Some(folder) = std::env::var_os("KEEP_FORKS") {
            let place = PathBuf::from(folder).join(name);
            git(project, &["clone", "-q", ".", place.to_str().unwrap()]);
        }
    };
    keep(&template, "template");
    let tried = |number: usize| {
        let place = folder.path().join(number.to_string());
        update_fork_of(&template, &place, versions[number]);
        for (name, kept) in [("oldest", 0), ("newest", versions.len() - 1)] {
            if number == kept {
                keep(&place, name);
            }
        }
        fs::remove_dir_all(place).unwrap();
    };
    let numbers: Vec<_> = (0..versions.len()).collect();
    thread::scope(|scope| {
        for some in numbers.chunks(versions.len().div_ceil(4)) {
            scope.spawn(|| some.iter().for_each(|number| tried(*number)));
        }
    });
    println!("{} forks were updated", versions.len());
}

/// Forks this version, edits the fork, updates it, and checks the result.
fn update_fork_of(template: &Path, place: &Path, version: &str) {
    let names = ["acme-portal", place.to_str().unwrap(), "--at", version];
    let made = fork(template, template, &names);
    assert!(made.status.success(), "{version}: {}", stderr(&made));
    let run = |args: &[&str]| {
        let from = ["update", "--from", template.to_str().unwrap()];
        let mut command = isolated(program(), place, true);
        command.args([&from[..], args].concat()).output().unwrap()
    };
    // Versions before `update` existed made forks without a record.
    if !place.join("xtask/src/update/mod.rs").exists() {
        fs::remove_dir_all(place.join(".git")).unwrap();
        fs::remove_file(place.join("template.toml")).unwrap();
        git(place, &["init", "-q", "-b", "main"]);
        commit(place, "All");
        let adopted = run(&["--adopt", version]);
        assert!(adopted.status.success(), "{version}: {}", stderr(&adopted));
        let printed = stdout(&adopted);
        assert!(
            printed.contains(" 0 are changed here and 0 deleted"),
            "{version}: {printed}"
        );
    }
    let deleted = edit_as_forks_do(place);
    let before = contents(place);

    let output = run(&[]);
    let (printed, conflicts) = (
        stdout(&output),
        git(place, &["diff", "--name-only", "--diff-filter=U"]),
    );
    let contains = |commit: &str| {
        let mut git = isolated("git", template, true);
        let ask = ["merge-base", "--is-ancestor", commit, version];
        git.args(ask).output().unwrap().status.success()
    };
    let expected = EXPECTED_CONFLICTS
        .iter()
        .filter(|(commit, _)| !contains(commit));
    let files: BTreeSet<_> = expected.flat_map(|(_, files)| *files).copied().collect();
    assert_eq!(
        conflicts.lines().collect::<BTreeSet<_>>(),
        files,
        "{version}: {printed}{}",
        stderr(&output)
    );
    if files.is_empty() {
        assert!(output.status.success(), "{version}: {}", stderr(&output));
    } else {
        // Resolves each conflict: the template's version, with the fork's edits applied again.
        for file in &files {
            git(place, &["checkout", "--theirs", "--", file]);
        }
        edit_readme(place);
        if files.contains("src/lib.rs") {
            add_stage(place);
            commit(place, "Update");
            delete_example(place);
        }
        commit(place, "Updated");
    }
    assert_merged(template, place, version, &deleted);
    // Files that only the fork has are unchanged.
    let after = contents(place);
    for own in [
        "src/reports.rs",
        "templates/reports.html.tera",
        "CHANGELOG.md",
    ] {
        assert!(before[own] == after[own], "{version}: {own}");
    }
}

/// Edits the brand, the port and a page, adds a stage, and deletes the example. Returns the deleted paths.
fn edit_as_forks_do(place: &Path) -> Vec<String> {
    edit(
        place,
        "Rocket.toml",
        "name = \"Acme Portal\"",
        "name = \"Acme\"",
    );
    edit(place, "Rocket.toml", "port = 8000", "port = 9000");
    edit_readme(place);
    edit(
        place,
        PAGE,
        "Sign in to manage users",
        "Sign in to manage members",
    );
    write(place, "src/reports.rs", OWN_STAGE);
    write(place, "templates/reports.html.tera", "<h1>Reports</h1>\n");
    add_stage(place);
    commit(place, "Ours");

    delete_example(place);
    commit(place, "Without the example");
    let deleted = git(
        place,
        &["diff", "--name-only", "--diff-filter=D", "HEAD^", "HEAD"],
    );
    let deleted: Vec<_> = deleted.lines().map(str::to_owned).collect();
    assert!(deleted.len() > 8, "{deleted:?}");
    deleted
}

fn edit_readme(place: &Path) {
    let own = "\nAcme's portal. Users sign in";
    edit(place, "README.md", "\nUsers sign in", own);
}

fn add_stage(place: &Path) {
    edit(
        place,
        "src/lib.rs",
        "pub mod notes;",
        "pub mod reports;\npub mod notes;",
    );
    let stage = ".attach(notes::stage())";
    edit(
        place,
        "src/lib.rs",
        stage,
        &format!(".attach(reports::stage())\n        {stage}"),
    );
}

/// Follows docs/adding-a-resource.md of the version.
fn delete_example(place: &Path) {
    if place.join("xtask/src/resource").exists() {
        let removed = xtask(place, &["resource", "--remove", "notes"]);
        assert!(removed.status.success(), "{}", stderr(&removed));
        return;
    }
    // Versions before this command marked the example's lines instead.
    let listed = git(place, &["ls-files"]);
    let is_example = |path: &&str| {
        let words = path
            .split(['/', '.', '_'])
            .any(|word| ["note", "notes"].contains(&word));
        words && !path.starts_with("docs/") && !path.starts_with("engine/")
    };
    for path in listed.lines().filter(is_example) {
        fs::remove_file(place.join(path)).unwrap();
    }
    delete_marked_lines(place);
}

fn delete_marked_lines(place: &Path) {
    for (path, bytes) in contents(place) {
        let is_elsewhere = path.starts_with("docs/") || path.starts_with("xtask/");
        let marked = str::from_utf8(&bytes).is_ok_and(|text| text.contains("example: notes"));
        if marked && !is_elsewhere {
            let text = read(place, &path);
            let lines = text.split_inclusive('\n');
            let kept = lines.filter(|line| !line.contains("example: notes"));
            write(place, &path, &kept.collect::<String>());
        }
    }
}

/// Asserts that the fork has its own edits and the template's last version, and nowhere the template's name.
fn assert_merged(template: &Path, place: &Path, version: &str, deleted: &[String]) {
    assert_eq!(git(place, &["status", "--porcelain"]), "", "{version}");
    let engine = |root| git(root, &["rev-parse", "HEAD:engine"]);
    assert_eq!(engine(place), engine(template), "{version}");
    assert!(
        read(place, "template.toml").contains(&head(template)),
        "{version}"
    );
    for (path, text) in [
        ("Rocket.toml", "name = \"Acme\"\ntoken_prefix = \"ap\""),
        ("Rocket.toml", "port = 9000"),
        ("README.md", "\nAcme's portal. Users sign in"),
        (PAGE, "Sign in to manage members and tokens"),
        (PAGE, "{# New. #}\n"),
        ("src/lib.rs", "pub mod reports;"),
        ("src/lib.rs", ".attach(reports::stage())"),
    ] {
        assert!(
            read(place, path).contains(text),
            "{version}: {path} has lost {text}"
        );
    }
    let files = contents(place);
    assert!(!read(place, "src/lib.rs").contains("notes"), "{version}");
    for path in deleted {
        assert!(
            !files.contains_key(path),
            "{version}: {path} is there again"
        );
    }
    for (path, bytes) in &files {
        let is_theirs = path.contains("LICENSE") || path.contains("vendor/");
        if !is_theirs && !path.starts_with("engine/") {
            let text = String::from_utf8_lossy(bytes).to_lowercase();
            let text = text.replace(&format!("rocket_{TEMPLATE_NAME}"), "");
            let old = [TEMPLATE_NAME, "mtk_", "\"mtk\""]
                .iter()
                .find(|old| text.contains(*old));
            assert!(
                old.is_none() && !path.contains(TEMPLATE_NAME),
                "{version}: {path} has {old:?}"
            );
        }
    }
}

//! Forks that cannot be made: nothing is written.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::fork::tools::{fork, minimal_template, write};
use crate::support::server::{stderr, stdout};
use crate::xtask::{commit, contents, git, head, is_clone, isolated, program};

/// Asserts that `fork` fails with one line that contains `why`, and changes neither `folder`, where it runs, nor the
/// project at `root`.
pub fn assert_fork_refused(root: &Path, folder: &Path, args: &[&str], why: &str) {
    let all = || {
        let entries = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        (
            contents(root),
            contents(folder),
            entries.collect::<BTreeSet<_>>(),
        )
    };
    let before = all();
    let output = fork(root, folder, args);
    let printed = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {printed}");
    assert!(
        printed.starts_with("error: ") && printed.contains(why),
        "{args:?}: {printed}"
    );
    assert_eq!(printed.lines().count(), 1, "{args:?}: {printed}");
    assert!(output.stdout.is_empty());
    assert!(before == all(), "{args:?}");
}

#[test]
#[ignore = "slow"]
fn an_unusable_destination_is_refused() {
    if !is_clone() {
        return;
    }
    let (clone, folder) = (minimal_template(&[]), tempfile::tempdir().unwrap());
    fs::write(folder.path().join("file"), "").unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("nowhere", folder.path().join("dangling")).unwrap();
        std::os::unix::fs::symlink(clone.path(), folder.path().join("inside")).unwrap();
    }
    let inside = clone.path().join("fork");
    for (destination, why) in [
        ("file", "exists"),
        ("empty", "exists"),
        (".", "exists"),
        ("nowhere/fork", "parent folder"),
        ("nowhere/..", "no name"),
        ("file/fork", "parent folder"),
        (inside.to_str().unwrap(), "inside the project"),
        #[cfg(unix)]
        ("inside/src/fork", "inside the project"),
        #[cfg(unix)]
        ("dangling", "exists"),
    ] {
        assert_fork_refused(clone.path(), folder.path(), &["acme", destination], why);
    }
}

#[test]
#[ignore = "slow"]
fn only_a_clone_of_the_template_can_be_forked() {
    if !is_clone() {
        return;
    }
    let (clone, folder) = (minimal_template(&[]), tempfile::tempdir().unwrap());
    let (none, within) = (tempfile::tempdir().unwrap(), clone.path().join("src"));
    assert_fork_refused(none.path(), folder.path(), &["acme", "fork"], "not a clone");
    assert_fork_refused(&within, folder.path(), &["acme", "fork"], "not a clone");
    let made = fork(clone.path(), none.path(), &["acme", "acme"]);
    assert!(made.status.success(), "{}", stderr(&made));
    let renamed = none.path().join("acme");
    assert_fork_refused(
        &renamed,
        folder.path(),
        &["portal", "fork"],
        "not the template",
    );
    for (file, text, why) in [
        ("a.md", "<!-- fork: drop -->\n", "a.md: the mark"),
        ("a.md", "a\n<!-- fork: keep -->\n", "a.md: the mark"),
        ("a.md", "# fork: drop\n# fork: drop\n", "a.md: the mark"),
        ("vendor/own", "MultiToken", "vendor/own: it is copied"),
        ("own", "MultiToken\0", "own: it is copied"),
    ] {
        let clone = minimal_template(&[(file, text)]);
        assert_fork_refused(clone.path(), folder.path(), &["acme", "fork"], why);
    }
}

#[test]
#[ignore = "slow"]
fn a_failure_halfway_leaves_no_files() {
    if !is_clone() {
        return;
    }
    let clone = minimal_template(&[("src/main.rs", "fn multitoken( {}\n")]);
    let folder = tempfile::tempdir().unwrap();
    let output = fork(clone.path(), folder.path(), &["acme", "fork"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).starts_with("error: src/main.rs: rustfmt: "),
        "{}",
        stderr(&output)
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
#[ignore = "slow"]
fn without_a_git_identity_the_files_are_staged_and_not_committed() {
    if !is_clone() {
        return;
    }
    let clone = minimal_template(&[]);
    let folder = tempfile::tempdir().unwrap();
    let mut command = isolated(program(), folder.path(), false);
    command.env("CARGO_MANIFEST_DIR", clone.path().join("xtask"));
    let output = command.args(["fork", "acme", "fork"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let printed = stdout(&output);
    assert!(
        printed.contains("staged, but git could not create it")
            && printed.contains("git commit -m \"Start Acme\""),
        "{printed}"
    );
    let root = folder.path().join("fork");
    let staged = git(&root, &["status", "--porcelain"]);
    assert_eq!(staged, "A  CHANGELOG.md\nA  template.toml\n");
    assert_eq!(git(&root, &["branch", "--show-current"]), "main\n");
    let ids = git(&root, &["rev-parse", "main", "template"]);
    assert_eq!(ids.lines().next(), ids.lines().nth(1));
}

#[test]
#[ignore = "slow"]
fn a_fork_contains_only_committed_files() {
    if !is_clone() {
        return;
    }
    let (clone, folder) = (minimal_template(&[]), tempfile::tempdir().unwrap());
    let first = head(clone.path());
    write(clone.path(), "new.txt", "Multitoken\n");
    commit(clone.path(), "More");
    write(clone.path(), "new.txt", "Changed\n");
    let args = ["acme", "fork"];
    assert_fork_refused(clone.path(), folder.path(), &args, "uncommitted changes");
    let unknown = ["acme", "fork", "--at", "v9"];
    assert_fork_refused(clone.path(), folder.path(), &unknown, "no commit \"v9\"");
    for (at, text) in [("HEAD", Some("Acme\n")), (&*first, None)] {
        let made = fork(clone.path(), folder.path(), &["acme", at, "--at", at]);
        assert!(made.status.success(), "{}", stderr(&made));
        let made = fs::read_to_string(folder.path().join(at).join("new.txt"));
        assert_eq!(made.ok().as_deref(), text);
    }
}

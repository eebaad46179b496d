//! Updates without conflicts: the fork keeps its changes and deletions, and receives the template's changes.

use crate::fork::tools::{Pair, edit, read, write};
use crate::support::server::stdout;
use crate::xtask::{commit, contents, contents_with_git, git, head, is_clone};

/// The source of a resource. The fork deletes it and has a similar file, which git could take for a rename.
const MODEL: &str = "//! A model.\n\nfn find() {}\n\nfn add() {}\n\nfn delete() {}\n";

const PAGE: &str = "Multitoken\n\nOne\n\nTwo\n\nThree\n\nFour\n\nFive\n";

/// A template with some files, and a fork with changes.
fn changed_pair() -> Pair {
    let pair = Pair::new(&[
        ("docs/page.md", PAGE),
        (
            "docs/moved.md",
            "A page of some length\n\nabout Multitoken\n",
        ),
        ("docs/deleted.md", "One\n"),
        ("docs/long.md", "1\n\nOne\n\n2\n\nTwo\n\n3\n\nThree\n"),
        ("notes/model.rs", MODEL),
        ("notes/api.rs", "//! An interface.\n"),
    ]);
    let (template, fork) = (pair.template(), pair.fork());
    edit(&fork, "Rocket.toml", "8000", "9000");
    edit(&fork, "docs/page.md", "One", "One of ours");
    git(&fork, &["mv", "docs/moved.md", "docs/here.md"]);
    git(
        &fork,
        &["rm", "-rq", "docs/deleted.md", "docs/long.md", "notes"],
    );
    write(&fork, "src/own.rs", &MODEL.replace("find", "read"));
    commit(&fork, "Ours");

    edit(&template, "docs/page.md", "Five", "Five of mtk_");
    edit(&template, "docs/moved.md", "length", "length,");
    edit(&template, "docs/deleted.md", "One", "Two");
    git(&template, &["mv", "docs/long.md", "docs/other.md"]);
    edit(&template, "docs/other.md", "Two", "Two of theirs");
    edit(&template, "notes/model.rs", "delete", "remove");
    git(&template, &["mv", "notes/api.rs", "notes/json.rs"]);
    write(&template, "notes/admin.rs", "//! New.\n");
    write(&template, "src/multitoken.rs", "//! Multitoken\n");
    edit(&template, "engine/src/lib.rs", "mtk", "Changed: mtk");
    write(&template, "engine/src/new.rs", "//! New.\n");
    let entry = "## [Unreleased]\n\n### Fixed\n\n- A hole.\n";
    edit(&template, "CHANGELOG.md", "## [Unreleased]\n", entry);
    commit(&template, "More");
    pair
}

#[test]
#[ignore = "slow"]
fn an_update_brings_the_templates_changes_and_keeps_the_forks() {
    if !is_clone() {
        return;
    }
    let pair = changed_pair();
    let fork = pair.fork();
    let (before, new) = (head(&fork), head(&pair.template()));
    let state = git(&fork, &["rev-parse", "template"]);
    let printed = pair.assert_updated(&[]);

    let page = PAGE
        .replace("Multitoken", "Acme")
        .replace("One", "One of ours");
    assert_eq!(
        read(&fork, "docs/page.md"),
        page.replace("Five", "Five of ac_")
    );
    assert_eq!(
        read(&fork, "docs/here.md"),
        "A page of some length,\n\nabout Acme\n"
    );
    assert!(read(&fork, "Rocket.toml").contains("9000"));
    assert_eq!(
        read(&fork, "engine/src/lib.rs"),
        "//! Changed: mtk, Multitoken\n"
    );
    let files = contents(&fork);
    assert_eq!(read(&fork, "src/own.rs"), MODEL.replace("find", "read"));
    for there in ["src/acme.rs", "engine/src/new.rs"] {
        assert!(files.contains_key(there), "{there}");
    }
    let docs = files.keys().filter(|path| path.starts_with("docs/"));
    assert_eq!(docs.collect::<Vec<_>>(), ["docs/here.md", "docs/page.md"]);
    assert!(!files.keys().any(|path| path.starts_with("notes/")));
    assert!(!read(&fork, "CHANGELOG.md").contains("hole"));
    assert!(read(&fork, "template.toml").starts_with(&format!("commit = \"{new}\"\n")));

    // One merge commit of the fork and the template's new state.
    let parents = git(&fork, &["log", "-1", "--format=%P%n%B"]);
    let merged = git(&fork, &["rev-parse", "template"]);
    let message = format!("Update from the template at {}\n\n", &new[..7]);
    assert_eq!(parents, format!("{before} {merged}{message}"));
    assert_eq!(git(&fork, &["rev-parse", "template^"]), state);
    assert_eq!(
        git(&fork, &["branch", "--format=%(refname:short)"]),
        "main\ntemplate\n"
    );

    assert!(
        printed.contains("- A hole.") && printed.contains("engine/ (2 files)"),
        "{printed}"
    );
    let (_, deleted) = printed.split_once("stay deleted in your fork:\n").unwrap();
    let deleted: Vec<_> = deleted
        .lines()
        .take_while(|line| !line.is_empty())
        .collect();
    let expected = [
        "docs/deleted.md",
        "docs/other.md",
        "notes/admin.rs",
        "notes/json.rs",
        "notes/model.rs",
    ];
    assert_eq!(deleted, expected.map(|path| format!("  {path}")));

    let done = contents_with_git(&fork);
    let printed = pair.assert_updated(&[]);
    assert_eq!(
        printed,
        format!("Already up to date with the template at {}.\n", &new[..7])
    );
    assert!(done == contents_with_git(&fork));
}

#[test]
#[ignore = "slow"]
fn a_dry_run_reports_the_update_and_writes_nothing() {
    if !is_clone() {
        return;
    }
    let pair = changed_pair();
    assert!(
        pair.assert_updated(&["--dry-run"])
            .contains("\nNo conflicts.\n")
    );
    edit(&pair.fork(), "docs/page.md", "Five", "Six");
    commit(&pair.fork(), "In the way");
    let before = contents_with_git(&pair.fork());
    let printed = pair.assert_updated(&["--dry-run"]);
    assert!(before == contents_with_git(&pair.fork()));
    for part in [
        "would change:\n",
        "\n  engine/ (2 files)\n",
        "\n  src/acme.rs\n",
        "\n  template.toml\n",
        "stay deleted in your fork:\n  docs/deleted.md\n",
        "would have conflicts:\n  docs/page.md (changed in both)\n",
        "- A hole.",
        "Nothing was changed.",
    ] {
        assert!(printed.contains(part), "{part:?} is not in {printed}");
    }
    // The update does what the dry run reported.
    let output = pair.update(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("  docs/page.md (changed in both)\n"));
}

#[test]
#[ignore = "slow"]
fn an_update_can_stop_at_a_tag_and_use_another_repository() {
    if !is_clone() {
        return;
    }
    let pair = Pair::new(&[]);
    let (template, fork) = (pair.template(), pair.fork());
    write(&template, "one.txt", "One\n");
    commit(&template, "One");
    git(&template, &["tag", "v1"]);
    write(&template, "two.txt", "Two\n");
    let last = commit(&template, "Two");
    pair.assert_updated(&["--to", "v1"]);
    assert!(fork.join("one.txt").exists() && !fork.join("two.txt").exists());
    pair.assert_refused(&["--to", "v1^"], "is older than");

    // A shallow clone, by URL, whose history ends after the commit that the fork is at.
    write(&template, "three.txt", "Three\n");
    let newest = commit(&template, "Three");
    let shallow = tempfile::tempdir().unwrap();
    let address = |path: &std::path::Path| format!("file://{}", path.display());
    let from = address(&template);
    git(
        shallow.path(),
        &["clone", "-q", "--depth", "1", &from, "cut"],
    );
    let cut = address(&shallow.path().join("cut"));
    let printed = pair.assert_updated(&["--from", &cut]);
    assert!(
        printed.contains("is missing. See its changelog"),
        "{printed}"
    );
    assert!(fork.join("two.txt").exists() && fork.join("three.txt").exists());
    let record = read(&fork, "template.toml");
    assert!(record.contains(&newest) && !record.contains(&last) && !record.contains("from"));
}

//! The engine, which an update replaces as a whole.

use crate::fork::tools::{Pair, edit, read, update, write};
use crate::support::server::{stderr, stdout};
use crate::xtask::{commit, git, head, is_clone};

const LIB: &str = "//! mtk, Multitoken\n\n// One\n\n// Two\n\n// Three\n";

/// A fork and a template that both changed the engine.
fn changed_pair() -> Pair {
    let pair = Pair::new(&[
        ("engine/src/lib.rs", LIB),
        ("engine/src/gone.rs", "// A\n"),
        ("engine/src/kept.rs", "// B\n"),
    ]);
    let (template, fork) = (pair.template(), pair.fork());
    edit(&fork, "engine/src/lib.rs", "One", "One of ours");
    write(&fork, "engine/src/own.rs", "// Ours\n");
    git(&fork, &["rm", "-q", "engine/src/kept.rs"]);
    edit(&fork, "engine/src/gone.rs", "A", "Ours");
    commit(&fork, "Ours");
    edit(&template, "engine/src/lib.rs", "Three", "Three of theirs");
    edit(&template, "engine/src/kept.rs", "B", "Theirs");
    git(&template, &["rm", "-q", "engine/src/gone.rs"]);
    commit(&template, "Theirs");
    pair
}

#[test]
#[ignore = "slow"]
fn an_update_is_refused_if_the_fork_changed_the_engine() {
    if !is_clone() {
        return;
    }
    let pair = changed_pair();
    let files =
        "\n  engine/src/gone.rs\n  engine/src/kept.rs\n  engine/src/lib.rs\n  engine/src/own.rs\n";
    for args in [&[][..], &["--dry-run"]] {
        pair.assert_refused(args, files);
        pair.assert_refused(args, "--merge-engine");
    }
    let both = pair.update(&["--merge-engine", "--replace-engine"]);
    assert_eq!(both.status.code(), Some(2));
}

#[test]
#[ignore = "slow"]
fn replacing_the_engine_discards_the_forks_changes() {
    if !is_clone() {
        return;
    }
    let pair = changed_pair();
    let printed = pair.assert_updated(&["--replace-engine"]);
    let discarded = "\nYour changes to these files were discarded:\n  engine/";
    assert!(printed.contains(discarded), "{printed}");
    assert!(!printed.contains("stay deleted"), "{printed}");
    let tree = |root: &std::path::Path| git(root, &["rev-parse", "HEAD:engine"]);
    assert_eq!(tree(&pair.fork()), tree(&pair.template()));
    assert!(!pair.fork().join("engine/src/own.rs").exists());

    // From now on, the fork's engine counts as unchanged.
    edit(&pair.template(), "engine/src/lib.rs", "Two", "2");
    commit(&pair.template(), "More");
    pair.assert_updated(&[]);
    assert_eq!(tree(&pair.fork()), tree(&pair.template()));
}

#[test]
#[ignore = "slow"]
fn merging_the_engine_keeps_the_changes_of_both() {
    if !is_clone() {
        return;
    }
    let pair = changed_pair();
    let fork = pair.fork();
    let output = pair.update(&["--merge-engine"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let conflict =
        "have conflicts:\n  engine/src/gone.rs (changed here, deleted in the template)\n\n";
    assert!(stdout(&output).contains(conflict), "{}", stdout(&output));
    git(&fork, &["rm", "-q", "engine/src/gone.rs"]);
    git(&fork, &["commit", "-q", "--no-edit"]);
    let merged = LIB.replace("One", "One of ours");
    assert_eq!(
        read(&fork, "engine/src/lib.rs"),
        merged.replace("Three", "Three of theirs")
    );
    assert!(fork.join("engine/src/own.rs").exists() && !fork.join("engine/src/kept.rs").exists());
    // The fork's changes remain changes.
    write(&pair.template(), "more.md", "More\n");
    commit(&pair.template(), "More");
    pair.assert_refused(&[], "\n  engine/src/kept.rs\n");
    pair.assert_updated(&["--merge-engine"]);
    assert!(read(&fork, "engine/src/lib.rs").contains("One of ours"));
    assert_eq!(
        update(&fork, &["--from", "../template"]).status.code(),
        Some(0)
    );
    assert!(read(&fork, "template.toml").contains(&head(&pair.template())));
}

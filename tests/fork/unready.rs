//! Updates that are refused write nothing, not even into `.git`.

use std::fs;

use crate::fork::tools::{Pair, edit, update, write};
use crate::support::server::stderr;
use crate::xtask::{commit, git, head, is_clone};

/// A fork whose template has a newer version.
fn outdated_pair() -> Pair {
    let pair = Pair::new(&[("page.md", "Multitoken\n")]);
    edit(&pair.template(), "page.md", "Multitoken", "Multitoken!");
    commit(&pair.template(), "New");
    pair
}

#[test]
#[ignore = "slow"]
fn a_fork_with_changes_or_without_a_branch_is_not_updated() {
    if !is_clone() {
        return;
    }
    let pair = outdated_pair();
    let fork = pair.fork();
    for args in [&[][..], &["--dry-run"], &["--adopt", "HEAD"]] {
        edit(&fork, "page.md", "Acme", "Ours");
        pair.assert_refused(
            args,
            "uncommitted changes: commit, stash or ignore them first\n   M page.md\n",
        );
        git(&fork, &["add", "page.md"]);
        pair.assert_refused(args, "\n  M  page.md\n");
        git(&fork, &["restore", "-SW", "page.md"]);
        write(&fork, "own.rs", "");
        pair.assert_refused(args, "\n  ?? own.rs\n");
        fs::remove_file(fork.join("own.rs")).unwrap();

        git(&fork, &["switch", "-q", "--detach"]);
        pair.assert_refused(args, "no branch is checked out");
        git(&fork, &["switch", "-q", "template"]);
        pair.assert_refused(args, "run `git switch`");
        git(&fork, &["switch", "-q", "main"]);

        git(&fork, &["switch", "-q", "-c", "other"]);
        let other = commit_page(&pair, "Others");
        git(&fork, &["switch", "-q", "main"]);
        commit_page(&pair, "Ours");
        for unfinished in ["merge", "cherry-pick"] {
            let mut command = crate::xtask::isolated("git", &fork, true);
            assert!(
                !command
                    .args([unfinished, &other])
                    .output()
                    .unwrap()
                    .status
                    .success()
            );
            pair.assert_refused(args, "in progress");
            git(&fork, &[unfinished, "--abort"]);
        }
        git(&fork, &["reset", "-q", "--hard", "HEAD^"]);
        git(&fork, &["branch", "-q", "-D", "other"]);
    }
    pair.assert_updated(&[]);
}

fn commit_page(pair: &Pair, text: &str) -> String {
    write(&pair.fork(), "page.md", text);
    commit(&pair.fork(), text)
}

#[test]
#[ignore = "slow"]
fn an_unknown_commit_or_repository_is_refused() {
    if !is_clone() {
        return;
    }
    let pair = outdated_pair();
    let fork = pair.fork();
    let (old, new) = (
        git(&pair.template(), &["rev-parse", "HEAD^"]),
        head(&pair.template()),
    );
    pair.assert_refused(&["--to", "v9"], "has no commit \"v9\"");
    pair.assert_refused(&["--to", "HEAD:page.md"], "has no commit");
    pair.assert_refused(
        &["--from", "../nowhere"],
        "cannot fetch the template from ../nowhere",
    );
    assert_eq!(update(&fork, &["--from"]).status.code(), Some(2));
    let nowhere = update(&fork, &[]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(stderr(&nowhere).contains("name the repository with --from PATH|URL"));

    // A branch that does not contain the fork's version.
    git(
        &pair.template(),
        &["switch", "-q", "-c", "side", old.trim()],
    );
    write(&pair.template(), "side.md", "");
    commit(&pair.template(), "Side");
    pair.assert_updated(&["--to", "main"]);
    pair.assert_refused(&[], "does not descend from");
    pair.assert_refused(&["--to", old.trim()], "is older than");
    assert!(
        pair.assert_updated(&["--to", &new])
            .contains("Already up to date")
    );

    // A fork cannot serve as a template.
    pair.assert_refused(&["--from", "."], "does not descend from");
}

#[test]
#[ignore = "slow"]
fn a_fork_without_a_record_is_told_how_to_restore_it() {
    if !is_clone() {
        return;
    }
    let pair = outdated_pair();
    let fork = pair.fork();
    let old = git(&pair.template(), &["rev-parse", "HEAD^"]);
    let whole = head(&fork);
    git(&fork, &["rm", "-q", "template.toml"]);
    commit(&fork, "Lost");
    pair.assert_refused(&[], "--adopt COMMIT");
    git(&fork, &["reset", "-q", "--hard", &whole]);

    fs::write(fork.join("template.toml"), "commit = 1\n").unwrap();
    commit(&fork, "Broken");
    pair.assert_refused(&[], "template.toml: ");
    git(&fork, &["reset", "-q", "--hard", &whole]);

    // Some teams merge with squashing, which loses the template's history.
    git(&fork, &["switch", "-q", "--orphan", "squashed"]);
    git(&fork, &["checkout", "-q", "main", "--", "."]);
    commit(&fork, "All");
    pair.assert_refused(&[], &format!("`cargo xtask update --adopt {}`", old.trim()));
    let adopted = pair.update(&["--adopt", old.trim()]);
    assert!(adopted.status.success(), "{}", stderr(&adopted));
    pair.assert_updated(&[]);

    // An unrelated branch named `template`.
    git(&fork, &["switch", "-q", "main"]);
    git(&fork, &["branch", "-q", "-f", "template", "main"]);
    pair.assert_refused(&[], "git branch -m template OTHER-NAME");
}

#[test]
#[ignore = "slow"]
fn without_a_git_identity_nothing_is_committed() {
    if !is_clone() {
        return;
    }
    let pair = outdated_pair();
    let before = crate::xtask::contents_with_git(&pair.fork());
    let run = |args: &[&str]| {
        let program = crate::xtask::program();
        let mut command = crate::xtask::isolated(program, &pair.fork(), false);
        let common = ["update", "--from", "../template"];
        command.args([&common[..], args].concat()).output().unwrap()
    };
    for args in [&[][..], &["--adopt", "HEAD"]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("git has no name and email for commits"));
    }
    let trial = run(&["--dry-run"]);
    assert!(trial.status.success(), "{}", stderr(&trial));
    assert!(before == crate::xtask::contents_with_git(&pair.fork()));
}

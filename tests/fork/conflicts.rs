//! Updates with conflicts: git's own, which can be resolved or aborted.

use std::fs;

use crate::fork::tools::{Pair, edit, read, repository_state, write};
use crate::support::server::{stderr, stdout};
use crate::xtask::{commit, contents, git, head, is_clone};

/// Both change the same line, and the template deletes a file that the fork changed.
fn conflicting_pair() -> Pair {
    let pair = Pair::new(&[("page.md", "Multitoken\n"), ("gone.md", "One\n")]);
    let (template, fork) = (pair.template(), pair.fork());
    edit(&fork, "page.md", "Acme", "Our Acme");
    edit(&fork, "gone.md", "One", "Ours");
    commit(&fork, "Ours");
    edit(&template, "page.md", "Multitoken", "Multitoken!");
    git(&template, &["rm", "-q", "gone.md"]);
    write(&template, "new.md", "New\n");
    commit(&template, "Theirs");
    pair
}

fn assert_conflicts(pair: &Pair) {
    let output = pair.update(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "error: there are conflicts\n");
    let printed = stdout(&output);
    for part in [
        "\n\nThese files have conflicts:\n  gone.md (changed here, deleted in the template)\n  page.md (changed in both)\n",
        // At the end of the output, where it is read.
        "\n\nResolve them, then run: git add --all; cargo test; git commit --no-edit\n",
        "git merge --abort",
    ] {
        assert!(printed.contains(part), "{printed}");
    }
    let fork = pair.fork();
    let page = read(&fork, "page.md");
    let marked = "<<<<<<< HEAD\nOur Acme\n=======\nAcme!\n>>>>>>> template\n";
    assert_eq!(page, marked);
    let status = git(&fork, &["status", "--porcelain"]);
    let expected = "UD gone.md\nA  new.md\nUU page.md\nM  template.toml\n";
    assert_eq!(status, expected);
}

#[test]
#[ignore = "slow"]
fn conflicts_are_resolved_and_committed_with_git() {
    if !is_clone() {
        return;
    }
    let pair = conflicting_pair();
    let fork = pair.fork();
    assert_conflicts(&pair);
    pair.assert_refused(&[], "in progress");

    write(&fork, "page.md", "Our Acme!\n");
    git(&fork, &["rm", "-q", "gone.md"]);
    git(&fork, &["add", "page.md"]);
    git(&fork, &["commit", "-q", "--no-edit"]);
    let new = head(&pair.template());
    assert!(read(&fork, "template.toml").contains(&new));
    let subject = git(&fork, &["log", "-1", "--format=%s"]);
    assert_eq!(
        subject,
        format!("Update from the template at {}\n", &new[..7])
    );
    assert!(pair.assert_updated(&[]).contains("Already up to date"));

    edit(&pair.template(), "page.md", "Multitoken!", "Multitoken!!");
    edit(&fork, "new.md", "New", "Ours");
    commit(&fork, "Ours");
    commit(&pair.template(), "Theirs");
    let output = pair.update(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(read(&fork, "page.md").contains("Our Acme!\n=======\nAcme!!\n"));
}

#[test]
#[ignore = "slow"]
fn an_aborted_update_can_be_repeated() {
    if !is_clone() {
        return;
    }
    let pair = conflicting_pair();
    let fork = pair.fork();
    let files = contents(&fork);
    let before = head(&fork);
    let base = git(&fork, &["rev-parse", "template"]);
    for _ in 0..2 {
        assert_conflicts(&pair);
        git(&fork, &["merge", "--abort"]);
        assert!(contents(&fork) == files && head(&fork) == before);
        assert_eq!(git(&fork, &["status", "--porcelain"]), "");
        // Each attempt adds one commit to the same base, not one to the last attempt.
        assert_eq!(git(&fork, &["rev-parse", "template^"]), base);
    }
    let aborted = git(&fork, &["rev-parse", "template"]);

    // The template takes back what conflicted.
    edit(&pair.template(), "page.md", "Multitoken!", "Multitoken");
    write(&pair.template(), "gone.md", "One\n");
    commit(&pair.template(), "Taken back");
    pair.assert_updated(&[]);
    assert_eq!(read(&fork, "page.md"), "Our Acme\n");
    assert_eq!(read(&fork, "gone.md"), "Ours\n");
    assert_eq!(read(&fork, "new.md"), "New\n");
    assert_eq!(git(&fork, &["rev-parse", "template^"]), aborted);
    let merged = git(&fork, &["rev-parse", "HEAD^2", "template"]);
    assert_eq!(merged.lines().next(), merged.lines().nth(1));
}

#[cfg(unix)]
#[test]
#[ignore = "slow"]
fn an_update_that_git_refuses_to_commit_changes_nothing() {
    use std::os::unix::fs::PermissionsExt;
    if !is_clone() {
        return;
    }
    let pair = Pair::new(&[]);
    let fork = pair.fork();
    write(&pair.template(), "new.md", "New\n");
    commit(&pair.template(), "New");
    for hook in ["pre-commit", "commit-msg"] {
        let path = fork.join(".git/hooks").join(hook);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "#!/bin/sh\necho refused by a hook >&2\nexit 1\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let before = repository_state(&fork);
        let output = pair.update(&[]);
        assert_eq!(output.status.code(), Some(1), "{hook}");
        let printed = stderr(&output);
        assert!(
            printed.contains("nothing was updated") && printed.contains("refused by a hook"),
            "{printed}"
        );
        assert!(before == repository_state(&fork), "{hook}");
        fs::remove_file(path).unwrap();
    }
    pair.assert_updated(&[]);
}

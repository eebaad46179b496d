//! Forks made by hand or by an older command.

use std::fs;

use crate::fork::tools::{Pair, edit, read, update, write};
use crate::support::server::{stderr, stdout};
use crate::xtask::{commit, contents, git, head, is_clone};

/// Turns the fork into one without a record or a common history.
fn remove_record_and_history(pair: &Pair) {
    let fork = pair.fork();
    fs::remove_dir_all(fork.join(".git")).unwrap();
    fs::remove_file(fork.join("template.toml")).unwrap();
    git(&fork, &["init", "-q", "-b", "main"]);
    commit(&fork, "All");
}

#[test]
#[ignore = "slow"]
fn a_fork_made_by_hand_is_registered_and_then_updated() {
    if !is_clone() {
        return;
    }
    let pair = Pair::new(&[
        ("page.md", "Multitoken\n"),
        ("other.md", "mtk_\n"),
        ("gone.md", ""),
    ]);
    remove_record_and_history(&pair);
    let (template, fork) = (pair.template(), pair.fork());
    let old = head(&template);
    write(&template, "new.md", "Multitoken\n");
    edit(&template, "page.md", "Multitoken", "Multitoken!");
    commit(&template, "New");
    edit(&fork, "other.md", "ac_", "ac_1");
    git(&fork, &["rm", "-q", "gone.md"]);
    let own = commit(&fork, "Ours");
    let before = contents(&fork);

    let output = pair.update(&["--adopt", &old[..10]]);
    assert!(output.status.success(), "{}", stderr(&output));
    let printed = stdout(&output);
    assert!(
        printed.contains("acme (\"Acme\", ac_)")
            && printed.contains("9 files, 1 are changed here and 1 deleted"),
        "{printed}"
    );
    let mut after = contents(&fork);
    let record = after.remove("template.toml").unwrap();
    assert!(before == after);
    assert_eq!(
        String::from_utf8(record).unwrap(),
        format!("commit = \"{old}\"\nname = \"acme\"\ntitle = \"Acme\"\ntoken_prefix = \"ac\"\n")
    );
    assert_eq!(git(&fork, &["rev-parse", "HEAD^"]).trim(), own);
    assert_eq!(git(&fork, &["status", "--porcelain"]), "");

    pair.assert_updated(&[]);
    assert_eq!(read(&fork, "page.md"), "Acme!\n");
    assert_eq!(read(&fork, "new.md"), "Acme\n");
    assert_eq!(read(&fork, "other.md"), "ac_1\n");
    assert!(!fork.join("gone.md").exists());
}

#[test]
#[ignore = "slow"]
fn adopting_accepts_names_that_the_settings_no_longer_have() {
    if !is_clone() {
        return;
    }
    let pair = Pair::new(&[("page.md", "Multitoken\n")]);
    remove_record_and_history(&pair);
    let fork = pair.fork();
    edit(&fork, "Rocket.toml", "Acme", "Acme & Sons");
    edit(&fork, "Rocket.toml", "ac", "acs");
    commit(&fork, "Brand");
    pair.assert_refused(&["--adopt", "HEAD"], "cannot be the title");
    pair.assert_refused(&["--adopt", "v9"], "has no commit \"v9\"");
    let names = ["--adopt", "HEAD", "--title", "Acme", "--token-prefix", "ac"];
    let output = pair.update(&names);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stdout(&output).contains("1 are changed here and 0 deleted"));
    let record = read(&fork, "template.toml");
    assert!(
        record.contains("title = \"Acme\"\ntoken_prefix = \"ac\"\n"),
        "{record}"
    );

    // The template cannot be registered as its own fork.
    let itself = update(&pair.template(), &["--from", ".", "--adopt", "HEAD"]);
    assert_eq!(itself.status.code(), Some(1));
    assert!(stderr(&itself).contains("this is the template"));
    // `--title` needs `--adopt`.
    assert_eq!(pair.update(&["--title", "Acme"]).status.code(), Some(2));
    assert_eq!(
        pair.update(&["--adopt", "HEAD", "--dry-run"]).status.code(),
        Some(2)
    );
}

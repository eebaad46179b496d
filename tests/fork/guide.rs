//! The commands of `docs/making-it-yours.md` and `docs/staying-up-to-date.md`, in their order.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::ROOT;
use crate::doc_page::{blocks, page};
use crate::fork::tools::{Pair, edit, read, write};
use crate::support::server::{stderr, stdout};
use crate::xtask::{commit, contents, git, head, is_clone, isolated, program};

/// A shell in `folder` in which `cargo xtask` runs the program that the tests built.
fn shell(folder: &Path, script: &str, tools: &Path) -> Command {
    write(
        tools,
        "cargo",
        &format!(
            "#!/bin/sh\nif [ \"$1\" = xtask ]; then shift; CARGO_MANIFEST_DIR=$PWD/xtask exec {} \"$@\"; fi\nexec {} \"$@\"\n",
            program().display(),
            env!("CARGO")
        ),
    );
    let made_executable = Command::new("chmod")
        .args(["+x", "cargo"])
        .current_dir(tools)
        .status();
    assert!(made_executable.unwrap().success());
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = isolated("sh", folder, true);
    command
        .args(["-euc", script])
        .env("PATH", format!("{}:{path}", tools.display()));
    command
}

fn stdout_of(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        stdout(&output),
        stderr(&output)
    );
    stdout(&output)
}

#[test]
#[ignore = "slow"]
fn the_pages_commands_make_brand_and_publish_a_fork() {
    if !is_clone() {
        return;
    }
    let guide = page("making-it-yours.md");
    let (folder, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    git(folder.path(), &["clone", "-q", ROOT, "template"]);
    let [make] = &blocks(&guide, "Fork it", "sh")[..] else {
        panic!("the heading has several blocks");
    };
    let printed = stdout_of(shell(&folder.path().join("template"), make, tools.path()));
    assert!(
        printed.contains("begin with ap_.") && printed.contains("Start Acme Portal"),
        "{printed}"
    );

    // The page's settings exist in the file and take effect.
    let fork = folder.path().join("acme-portal");
    let settings = blocks(&guide, "What to change first", "toml").remove(0);
    for line in settings.lines().filter(|line| line.contains(" = ")) {
        let (key, _) = line.split_once(" = ").unwrap();
        let text = read(&fork, "Rocket.toml");
        let at = format!("\n{key} = ");
        assert_eq!(text.matches(&at).count(), 1, "{key}");
        let (before, rest) = text.split_once(&at).unwrap();
        let (_, after) = rest.split_once('\n').unwrap();
        write(&fork, "Rocket.toml", &format!("{before}\n{line}\n{after}"));
    }
    // The binary under test has the template's name, and so its database setting.
    let text = read(&fork, "Rocket.toml");
    let text = text.replace(
        "databases.acme-portal",
        &format!("databases.{}", crate::NAME),
    );
    write(tools.path(), "Rocket.toml", &text);
    let mut openapi = Command::new(crate::PROGRAM);
    openapi.arg("openapi").current_dir(tools.path());
    let document: serde_json::Value = serde_json::from_str(&stdout_of(openapi)).unwrap();
    assert_eq!(document["info"]["title"], "Acme");

    let publish = blocks(&guide, "What to change first", "sh").remove(0);
    git(
        folder.path(),
        &["init", "-q", "--bare", "-b", "main", "remote"],
    );
    let publish = publish.replace("git@example.com:acme/acme-portal.git", "../remote");
    stdout_of(shell(&fork, &publish, tools.path()));
    let pushed = git(
        &folder.path().join("remote"),
        &["branch", "--format=%(refname:short)"],
    );
    assert_eq!(pushed, "main\ntemplate\n");

    // A clone of the fork can update, too, without a local branch `template`.
    git(folder.path(), &["clone", "-q", "remote", "clone"]);
    write(&folder.path().join("template"), "new.md", "Multitoken\n");
    commit(&folder.path().join("template"), "New");
    let update = "cargo xtask update --from ../template";
    stdout_of(shell(&folder.path().join("clone"), update, tools.path()));
    assert_eq!(
        read(&folder.path().join("clone"), "new.md"),
        "Acme Portal\n"
    );
}

#[test]
#[ignore = "slow"]
fn the_pages_commands_update_a_fork() {
    if !is_clone() {
        return;
    }
    let guide = page("staying-up-to-date.md");
    let pair = Pair::new(&[
        ("page.md", "Multitoken\n"),
        ("engine/src/new.rs", "// One\n"),
    ]);
    let (template, fork) = (pair.template(), pair.fork());
    let tools = tempfile::tempdir().unwrap();
    let run = |script: &str| stdout_of(shell(&fork, script, tools.path()));
    // Forks of a clone from a URL have such a record. This URL is a local path.
    let record = read(&fork, "template.toml");
    let record = format!("from = \"{}\"\n{record}", template.display());
    write(&fork, "template.toml", &record);
    commit(&fork, "Address");
    git(
        pair.fork().parent().unwrap(),
        &["init", "-q", "--bare", "remote"],
    );
    git(&fork, &["remote", "add", "origin", "../remote"]);
    let template_is = |text: &str| {
        write(&template, "page.md", text);
        commit(&template, text)
    };

    let taken = blocks(&guide, "Take an update", "sh");
    let new = template_is("Multitoken!\n");
    let before = contents(&fork);
    assert!(run(&taken[0]).contains("Nothing was changed."));
    assert!(contents(&fork) == before);
    run(&taken[1]);
    assert!(read(&fork, "template.toml").contains(&new));
    let pushed = git(&fork, &["ls-remote", "origin", "main"]);
    assert!(pushed.starts_with(&head(&fork)), "{pushed}");

    let resolved = blocks(&guide, "Resolve conflicts", "sh");
    let conflict = |text: &str| {
        write(&fork, "page.md", &format!("Ours: {text}"));
        commit(&fork, "Ours");
        let new = template_is(text);
        let mut update = shell(&fork, "cargo xtask update", tools.path());
        assert_eq!(update.output().unwrap().status.code(), Some(1));
        new
    };
    conflict("1\n");
    run(&resolved[1]);
    assert_eq!(read(&fork, "page.md"), "Ours: 1\n");
    let new = conflict("2\n");
    write(&fork, "page.md", "Both\n");
    run(&resolved[0]);
    assert_eq!(git(&fork, &["show", "HEAD:page.md"]), "Both\n");
    assert!(git(&fork, &["show", "HEAD:template.toml"]).contains(&new));

    let engine = blocks(&guide, "If you changed the engine", "sh").remove(0);
    let choices: Vec<_> = engine.lines().collect();
    assert_eq!(choices.len(), 2);
    edit(&fork, "engine/src/new.rs", "One", "One of ours");
    commit(&fork, "Ours");
    for (choice, kept) in choices.iter().zip([true, false]) {
        write(&template, "other.md", choice);
        commit(&template, "Other");
        run(choice);
        assert_eq!(read(&fork, "engine/src/new.rs").contains("ours"), kept);
        assert_eq!(read(&fork, "other.md"), *choice);
    }

    let adopt = blocks(&guide, "If the fork has no template.toml", "sh").remove(0);
    fs::remove_file(fork.join("template.toml")).unwrap();
    commit(&fork, "Without a record");
    let old = head(&template);
    let printed = run(&adopt.replace("1a2b3c4", &old[..7]));
    assert!(
        printed.contains("is registered with the template at"),
        "{printed}"
    );
    assert!(read(&fork, "template.toml").contains(&old));
}

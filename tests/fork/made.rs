//! What a new fork contains, and its history.

use std::fs;
use std::path::Path;

use crate::ROOT;
use crate::fork::tools::{TEMPLATE_NAME, fork, minimal_template, read};
use crate::support::server::{stderr, stdout};
use crate::xtask::{cargo, contents, git, head, is_clone};

#[test]
#[ignore = "slow"]
fn a_fork_has_its_own_names_and_none_of_the_templates() {
    if !is_clone() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let template = Path::new(ROOT);
    // `--at HEAD` ignores uncommitted files.
    let args = ["acme-portal", "fork", "--at", "HEAD"];
    let made = fork(template, folder.path(), &args);
    assert!(made.status.success(), "{}", stderr(&made));
    let printed = stdout(&made);
    let (first, then) = printed.split_once('\n').unwrap();
    let commit = head(template);
    let short = &commit[..7];
    assert_eq!(
        first,
        format!(
            "Created fork with the crate acme-portal and the title \"Acme Portal\", from the template at \
             {short}. Its tokens begin with ap_."
        )
    );
    assert!(then.contains("SECURITY.md") && then.contains("Cargo.toml"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let root = folder.path().join("fork");

    let files = contents(&root);
    assert!(files.len() > 150, "{} files", files.len());
    for (name, bytes) in &files {
        if ["LICENSE", "engine/"]
            .iter()
            .any(|start| name.starts_with(start))
            || name.contains("vendor/")
        {
            let id = |root, at: &str| git(root, &["rev-parse", &format!("{at}:{name}")]);
            assert_eq!(
                id(template, "HEAD"),
                id(&root, "HEAD"),
                "{name} was changed"
            );
        } else {
            let text = String::from_utf8_lossy(bytes).to_lowercase();
            let text = text.replace("rocket_multitoken", "the engine");
            // The template's URL keeps its name.
            let lines = text.lines().filter(|line| !line.starts_with("from = "));
            let text: String = lines.flat_map(|line| [line, "\n"]).collect();
            for word in [
                TEMPLATE_NAME,
                "mtk_",
                "\"mtk\"",
                "django-rest-",
                "fork: drop",
                "fork: keep",
            ] {
                // The module that implements the marks contains them.
                let knows = name == "xtask/src/render/marks.rs" && word.starts_with("fork: ");
                assert!(
                    knows || !text.contains(word) && !name.contains(word),
                    "{name} has {word}"
                );
            }
        }
        if Path::new(name)
            .extension()
            .is_some_and(|ending| ending == "md")
        {
            for link in links(str::from_utf8(bytes).unwrap()) {
                let there = link.is_empty() || link.contains("//");
                let there = there || root.join(name).with_file_name(link).exists();
                assert!(there, "{name} links to {link}");
            }
        }
    }
    assert!(files.contains_key("README.md") && files.contains_key("xtask/src/update/mod.rs"));
    let is_left_out = |name: &&String| name.starts_with("tests/fork") || name.contains("src/fork");
    assert_eq!(files.keys().find(is_left_out), None);
    let settings = String::from_utf8(files["Rocket.toml"].clone()).unwrap();
    assert!(settings.contains("[default.databases.acme-portal]"));
    assert!(
        settings.contains("\"sqlite:data/acme-portal.db\"") && settings.contains("\"Acme Portal\"")
    );
    let main = String::from_utf8(files["src/main.rs"].clone()).unwrap();
    assert!(main.contains("rocket_multitoken::cli::run(&acme_portal::APPLICATION"));

    let formatted = cargo(&root).args(["fmt", "--check"]).output().unwrap();
    assert!(formatted.status.success(), "{}", stdout(&formatted));
    // `--locked` fails unless the lock file is what cargo would write.
    let locked = ["tree", "--locked", "--offline", "--depth", "0"];
    let locked = cargo(&root).args(locked).output().unwrap();
    assert!(locked.status.success(), "{}", stderr(&locked));

    assert_history(template, &root, &commit);
    assert_eq!(git(&root, &["status", "--porcelain", "--ignored"]), "");
    assert_eq!(git(&root, &["ls-files"]).lines().count(), files.len());
    assert!(git(&root, &["ls-files", "-s", ".ci/run"]).starts_with("100755 "));
}

/// Asserts that the fork starts from the template at `commit`, and records it.
fn assert_history(template: &Path, root: &Path, commit: &str) {
    let short = &commit[..7];
    let log = git(root, &["log", "--format=%s (%an)", "--topo-order", "main"]);
    let author = git(template, &["log", "-1", "--format=%an"]);
    let author = author.trim();
    assert_eq!(
        log,
        format!("Start Acme Portal (Alice)\nTemplate at {short} ({author})\n")
    );
    let own = git(root, &["diff", "--name-status", "template", "main"]);
    assert_eq!(own, "A\tCHANGELOG.md\nA\ttemplate.toml\n");
    let parent = git(root, &["rev-parse", "main^", "template"]);
    assert_eq!(parent.lines().next(), parent.lines().nth(1));
    let record = read(root, "template.toml");
    let lines = record.lines().filter(|line| !line.starts_with("from = "));
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            &format!("commit = \"{commit}\""),
            "name = \"acme-portal\"",
            "title = \"Acme Portal\"",
            "token_prefix = \"ap\""
        ]
    );
}

#[test]
#[ignore = "slow"]
fn the_templates_url_is_recorded_without_secrets_unless_it_is_local() {
    if !is_clone() {
        return;
    }
    let (clone, folder) = (minimal_template(&[]), tempfile::tempdir().unwrap());
    git(clone.path(), &["remote", "add", "origin", "."]);
    for (number, (origin, recorded)) in [
        (
            "https://example.com/a/b.git",
            Some("https://example.com/a/b.git"),
        ),
        (
            "https://me:secret@example.com/b.git",
            Some("https://example.com/b.git"),
        ),
        (
            "https://token@example.com:8443/b.git",
            Some("https://example.com:8443/b.git"),
        ),
        (
            "ssh://git:secret@example.com/b.git",
            Some("ssh://git@example.com/b.git"),
        ),
        ("git@example.com:a/b.git", Some("git@example.com:a/b.git")),
        ("../b", None),
        ("/srv/a:b", None),
        ("file:///srv/b", None),
        ("C:\\b", None),
    ]
    .into_iter()
    .enumerate()
    {
        git(clone.path(), &["remote", "set-url", "origin", origin]);
        let name = format!("fork{number}");
        let made = fork(clone.path(), folder.path(), &["acme", &name]);
        assert!(made.status.success(), "{}", stderr(&made));
        let record = fs::read_to_string(folder.path().join(name).join("template.toml"));
        let record = record.unwrap();
        let from = record.lines().find(|line| line.starts_with("from"));
        let expected = recorded.map(|address| format!("from = \"{address}\""));
        assert_eq!(from, expected.as_deref(), "{origin}");
    }
}

/// The targets of a page's links, without anchors.
fn links(text: &str) -> impl Iterator<Item = &str> {
    ["](", "src=\""]
        .into_iter()
        .flat_map(move |opening| text.split(opening).skip(1))
        .filter_map(|rest| rest.split([')', '"', '#']).next())
}

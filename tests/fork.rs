//! `cargo run --example fork`: a clone becomes a project of another name, or nothing happens at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::needs;
use crate::support::server::{stderr, stdout};

const OWN: &str = "multitoken";
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The program, built as the tests are.
fn program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let profile = Path::new(env!("CARGO_BIN_EXE_multitoken"))
            .parent()
            .unwrap();
        let name = profile.file_name().unwrap().to_str().unwrap();
        let output = cargo(Path::new(ROOT))
            .args(["build", "--locked", "--offline", "--example", "fork"])
            .args(["--message-format", "json-render-diagnostics", "--profile"])
            .arg(if name == "debug" { "dev" } else { name })
            .arg("--target-dir")
            .arg(profile.parent().unwrap())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let said = stdout(&output);
        let said = said.lines().map(|line| serde_json::from_str(line).unwrap());
        let built: Vec<Value> = said
            .filter(|one: &Value| one["executable"].is_string())
            .collect();
        let fork = built
            .iter()
            .find(|one| one["target"]["name"] == "fork")
            .unwrap();
        fork["executable"].as_str().unwrap().into()
    })
}

/// Cargo without what it tells us of our own package: ring, say, would be built anew each time that
/// this changes.
fn cargo(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let of_package = ["CARGO_MANIFEST_", "CARGO_PKG_", "OUT_DIR"];
        if of_package.iter().any(|start| name.starts_with(start)) {
            command.env_remove(&*name);
        }
    }
    command.current_dir(folder);
    command
}

/// A command to which git shows nothing of this machine: no identity but the one given here.
fn aside(program: impl AsRef<Path>, folder: &Path, identity: bool) -> Command {
    let mut command = Command::new(program.as_ref());
    command
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        let (name, email) = (format!("GIT_{role}_NAME"), format!("GIT_{role}_EMAIL"));
        command
            .env_remove("EMAIL")
            .env_remove(&name)
            .env_remove(&email);
        if identity {
            command.env(name, "Alice").env(email, "alice@example.com");
        }
    }
    command
}

fn git(folder: &Path, args: &[&str]) -> String {
    let output = aside("git", folder, true).args(args).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

/// Runs it for the project at `root`, from `folder`.
fn fork(root: &Path, folder: &Path, args: &[&str]) -> Output {
    let mut command = aside(program(), folder, true);
    command
        .env("CARGO_MANIFEST_DIR", root)
        .args(args)
        .output()
        .unwrap()
}

/// Where git and a clone are missing there is nothing to fork.
fn is_clone() -> bool {
    if needs::executable("git", &[]).is_none() {
        needs::missing("git", "git");
        return false;
    }
    let there = Path::new(ROOT).join(".git").exists();
    if !there {
        needs::lacks("this is no clone");
    }
    there
}

/// Every file and link below `folder`, but for git's own, with what it holds.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(inner).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .strip_prefix(folder)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            if path.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                found.insert(name, target.to_str().unwrap().into());
            } else if path.is_file() {
                found.insert(name, fs::read(&path).unwrap());
            } else if name != ".git" {
                folders.push(path);
            }
        }
    }
    found
}

/// Where a text in Markdown leads, without the places on pages.
fn links(text: &str) -> impl Iterator<Item = &str> {
    ["](", "src=\""]
        .into_iter()
        .flat_map(move |opening| text.split(opening).skip(1))
        .filter_map(|rest| rest.split([')', '"', '#']).next())
}

/// A clone of a project that is as small as can be.
fn small(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let manifest =
        format!("[package]\nname = \"{OWN}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
    let lock = "version = 4\n\n[[package]]\nname = \"anyhow\"\nversion = \"1.0.0\"\n\n\
                [[package]]\nname = \"multitoken\"\nversion = \"0.1.0\"\ndependencies = [\n \"anyhow\",\n]\n\n\
                [[package]]\nname = \"zeroize\"\nversion = \"1.0.0\"\n";
    let own = [
        ("Cargo.toml", manifest.as_str()),
        ("Cargo.lock", lock),
        ("src/main.rs", "fn main() {}\n"),
    ];
    for (path, text) in own.iter().chain(files) {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    git(folder.path(), &["init", "-q"]);
    git(folder.path(), &["add", "-A"]);
    git(folder.path(), &["commit", "-q", "-m", "All"]);
    folder
}

#[test]
fn a_fork_is_a_project_of_its_own_and_knows_nothing_of_ours() {
    if !is_clone() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let made = fork(Path::new(ROOT), folder.path(), &["acme-portal", "fork"]);
    assert!(made.status.success(), "{}", stderr(&made));
    let said = stdout(&made);
    let (first, then) = said.split_once('\n').unwrap();
    assert_eq!(
        first,
        "fork holds acme-portal, \"Acme Portal\"; its tokens begin with ap_."
    );
    assert!(then.contains("SECURITY.md") && then.contains("Cargo.toml"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let root = folder.path().join("fork");

    let files = contents(&root);
    assert!(files.len() > 150, "{} files", files.len());
    for (name, bytes) in &files {
        if name.starts_with("LICENSE") || name.contains("vendor/") {
            assert!(
                *bytes == fs::read(Path::new(ROOT).join(name)).unwrap(),
                "{name} was changed"
            );
        } else {
            let text = String::from_utf8_lossy(bytes).to_lowercase();
            for word in [
                OWN,
                "mtk_",
                "\"mtk\"",
                "django-rest-",
                "fork: drop",
                "fork: keep",
            ] {
                assert!(
                    !text.contains(word) && !name.contains(word),
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
    assert!(files.contains_key("README.md") && !files.contains_key("tests/fork.rs"));
    let settings = String::from_utf8(files["Rocket.toml"].clone()).unwrap();
    assert!(settings.contains("[default.databases.acme-portal]"));
    assert!(
        settings.contains("\"sqlite:data/acme-portal.db\"") && settings.contains("\"Acme Portal\"")
    );
    let main = String::from_utf8(files["src/main.rs"].clone()).unwrap();
    assert!(main.contains("acme_portal::cli::run()"));

    let formatted = cargo(&root).args(["fmt", "--check"]).output().unwrap();
    assert!(formatted.status.success(), "{}", stdout(&formatted));
    // It refuses a lock file that is not as cargo would write it.
    let locked = ["tree", "--locked", "--offline", "--depth", "0"];
    let locked = cargo(&root).args(locked).output().unwrap();
    assert!(locked.status.success(), "{}", stderr(&locked));

    assert_eq!(
        git(&root, &["log", "--format=%an %s", "--all"]),
        "Alice Start Acme Portal\n"
    );
    assert_eq!(git(&root, &["status", "--porcelain", "--ignored"]), "");
    assert_eq!(git(&root, &["ls-files"]).lines().count(), files.len());
    assert!(git(&root, &["ls-files", "-s", ".ci/run"]).starts_with("100755 "));
}

#[test]
fn what_stands_around_a_name_decides_its_form() {
    if !is_clone() {
        return;
    }
    let text = "\
        use multitoken::web; ::multitoken::cli; who use multitoken;\n\
        env!(\"CARGO_BIN_EXE_multitoken\") target/release/multitoken target/doc/multitoken/index.html\n\
        `multitoken user` \"\\nmultitoken\" multitoken.service libmultitoken.rlib MULTITOKEN_TEST\n\
        __Host-multitoken_admin multitoken_requests_total databases.multitoken.url {multitoken={url}}\n\
        Multitoken, \"\\nMultitoken\"; MultitokenError, MultiToken::new realm=\"multitoken\" Münze: multitoken\n\
        mtk_x \"mtk\" \"\\nmtk_x\" \"Mtk\" MTK_x amtk mtka\n";
    let renamed = "\
        use tea_2_go::web; ::tea_2_go::cli; who use tea-2_go;\n\
        env!(\"CARGO_BIN_EXE_tea-2_go\") target/release/tea-2_go target/doc/tea_2_go/index.html\n\
        `tea-2_go user` \"\\ntea-2_go\" tea-2_go.service libtea_2_go.rlib TEA_2_GO_TEST\n\
        __Host-tea_2_go_admin tea_2_go_requests_total databases.tea-2_go.url {tea-2_go={url}}\n\
        Tea 2 Go, \"\\nTea 2 Go\"; Tea2GoError, Tea2Go::new realm=\"tea-2_go\" Münze: tea-2_go\n\
        t2g_x \"t2g\" \"\\nt2g_x\" \"T2g\" T2G_x amtk mtka\n";
    let marked = "One\n\n<!-- fork: drop -->\nMultitoken\n<!-- fork: keep -->\n\nTwo\n\n![Multitoken](a.png)\n";
    let clone = small(&[
        ("deploy/multitoken.service", text),
        ("README.md", marked),
        (".ci/steps", "one\n# fork: drop\ntwo\n# fork: keep\nthree\n"),
        ("a.png", "Multitoken"),
        ("docs/LICENSE-X", "Multitoken"),
        ("vendor/mtk.txt", "mtk"),
        ("removed.txt", ""),
        ("examples/fork/main.rs", "fn main() {}\n"),
        (".gitignore", "/deploy\n"),
    ]);
    let at = |path: &str| clone.path().join(path);
    #[cfg(unix)]
    std::os::unix::fs::symlink("deploy/multitoken.service", at("link")).unwrap();
    fs::write(at("binary"), b"\xffmtk\0").unwrap();
    git(clone.path(), &["add", "-f", "-A"]);
    fs::write(at("src/main.rs"), "fn main() {println!()}\n").unwrap();
    fs::write(at("untracked.txt"), "").unwrap();
    fs::remove_file(at("removed.txt")).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let made = fork(clone.path(), folder.path(), &["tea-2_go", "./tea/"]);
    assert!(made.status.success(), "{}", stderr(&made));
    let files = contents(&folder.path().join("tea"));
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            ".ci/steps",
            ".gitignore",
            "Cargo.lock",
            "Cargo.toml",
            "README.md",
            "binary",
            "deploy/tea-2_go.service",
            "docs/LICENSE-X",
            "link",
            "src/main.rs",
            "vendor/mtk.txt",
        ]
    );
    let text_of = |name: &str| str::from_utf8(&files[name]).unwrap();
    assert_eq!(text_of("deploy/tea-2_go.service"), renamed);
    assert_eq!(text_of("README.md"), "One\n\nTwo\n");
    assert_eq!(text_of(".ci/steps"), "one\nthree\n");
    assert_eq!(
        (text_of("docs/LICENSE-X"), text_of("vendor/mtk.txt")),
        ("Multitoken", "mtk")
    );
    assert_eq!(files["binary"], b"\xffmtk\0");
    assert_eq!(text_of("link"), "deploy/tea-2_go.service");
    assert_eq!(text_of("src/main.rs"), "fn main() {\n    println!()\n}\n");
    let lock = "version = 4\n\n[[package]]\nname = \"anyhow\"\nversion = \"1.0.0\"\n\n\
                [[package]]\nname = \"tea-2_go\"\nversion = \"0.1.0\"\ndependencies = [\n \"anyhow\",\n]\n\n\
                [[package]]\nname = \"zeroize\"\nversion = \"1.0.0\"\n";
    assert_eq!(text_of("Cargo.lock"), lock);

    for (name, first, last) in [("aaa", "aaa", "zeroize"), ("zzz", "anyhow", "zzz")] {
        let titled = ["--title", "Été 1.0", "--token-prefix", "x9"];
        let args = [&[name, name][..], &titled].concat();
        let made = fork(clone.path(), folder.path(), &args);
        assert!(
            stdout(&made).contains("\"Été 1.0\"; its tokens begin with x9_."),
            "{}",
            stderr(&made)
        );
        let files = contents(&folder.path().join(name));
        let lock = str::from_utf8(&files["Cargo.lock"]).unwrap().to_owned();
        let order: Vec<_> = lock
            .lines()
            .filter(|line| line.starts_with("name"))
            .collect();
        assert_eq!(order[0], format!("name = \"{first}\""));
        assert_eq!(order[2], format!("name = \"{last}\""));
        assert!(lock.ends_with("\"\n") || lock.ends_with("]\n"));
    }
}

/// Insists that it refuses, in a line that says why, and writes nothing: neither in `folder`, where it
/// runs, nor in the project at `root`.
fn insist_on_refusal(root: &Path, folder: &Path, args: &[&str], why: &str) {
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
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
    assert!(
        said.starts_with("error: ") && said.contains(why),
        "{args:?}: {said}"
    );
    assert_eq!(said.lines().count(), 1, "{args:?}: {said}");
    assert!(output.stdout.is_empty());
    assert!(before == all(), "{args:?}");
}

#[test]
fn names_that_can_not_be_are_refused() {
    if !is_clone() {
        return;
    }
    let (clone, folder) = (
        small(&[("src/letters/mod.rs", "")]),
        tempfile::tempdir().unwrap(),
    );
    for (name, why) in [
        ("", "words"),
        (" ", "words"),
        ("acme portal", "words"),
        ("Acme", "words"),
        ("acmé", "words"),
        ("2acme", "words"),
        ("acme-", "words"),
        ("_acme", "words"),
        ("a--b", "words"),
        ("../x", "words"),
        (&"a".repeat(32), "no longer"),
        ("fn", "taken"),
        ("async", "taken"),
        ("test", "taken"),
        ("core", "taken"),
        ("std", "taken"),
        ("proc-macro", "taken"),
        ("deps", "taken"),
        ("zeroize", "a dependency"),
        ("letters", "a module"),
        ("main", "a module"),
        (OWN, "this project"),
        ("my-multi-token", "this project"),
    ] {
        insist_on_refusal(clone.path(), folder.path(), &[name, "fork"], why);
    }
    for (option, value, why) in [
        ("--title", "", "letters"),
        ("--title", "A  b", "letters"),
        ("--title", " A", "letters"),
        ("--title", "A\nb", "letters"),
        ("--title", "Tom & Jerry", "letters"),
        ("--title", "\"A\"", "letters"),
        ("--title", "The Multitoken", "this project"),
        ("--title", &"A".repeat(41), "no longer"),
        ("--token-prefix", "", "a-z"),
        ("--token-prefix", "Ap", "a-z"),
        ("--token-prefix", "a_p", "a-z"),
        ("--token-prefix", "1", "a-z"),
        ("--token-prefix", &"a".repeat(13), "a-z"),
    ] {
        let args = ["acme", "fork", option, value];
        insist_on_refusal(clone.path(), folder.path(), &args, why);
    }
    for args in [
        &[][..],
        &["acme"],
        &["acme", ""],
        &["acme", "fork", "too"],
        &["acme", "fork", "--nonsense"],
    ] {
        let output = fork(clone.path(), folder.path(), args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_folder_that_can_not_be_made_is_refused() {
    if !is_clone() {
        return;
    }
    let (clone, folder) = (small(&[]), tempfile::tempdir().unwrap());
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
        ("nowhere/fork", "no folder"),
        ("nowhere/..", "no name"),
        ("file/fork", "no folder"),
        (inside.to_str().unwrap(), "within"),
        #[cfg(unix)]
        ("inside/src/fork", "within"),
        #[cfg(unix)]
        ("dangling", "exists"),
    ] {
        insist_on_refusal(clone.path(), folder.path(), &["acme", destination], why);
    }
}

#[test]
fn what_is_no_clone_of_ours_is_refused() {
    if !is_clone() {
        return;
    }
    let (clone, folder) = (small(&[]), tempfile::tempdir().unwrap());
    let (none, within) = (tempfile::tempdir().unwrap(), clone.path().join("src"));
    insist_on_refusal(none.path(), folder.path(), &["acme", "fork"], "no clone");
    insist_on_refusal(&within, folder.path(), &["acme", "fork"], "no clone");
    let made = fork(clone.path(), none.path(), &["acme", "acme"]);
    assert!(made.status.success(), "{}", stderr(&made));
    let renamed = none.path().join("acme");
    insist_on_refusal(&renamed, folder.path(), &["portal", "fork"], "another name");
    for (file, text, why) in [
        ("a.md", "<!-- fork: drop -->\n", "a.md: the mark"),
        ("a.md", "a\n<!-- fork: keep -->\n", "a.md: the mark"),
        ("a.md", "# fork: drop\n# fork: drop\n", "a.md: the mark"),
        ("vendor/own", "MultiToken", "vendor/own: it is copied"),
        ("own", "MultiToken\0", "own: it is copied"),
    ] {
        let clone = small(&[(file, text)]);
        insist_on_refusal(clone.path(), folder.path(), &["acme", "fork"], why);
    }
}

#[test]
fn what_fails_half_way_leaves_nothing_behind() {
    if !is_clone() {
        return;
    }
    let clone = small(&[("src/main.rs", "fn main( {}\n")]);
    let folder = tempfile::tempdir().unwrap();
    let output = fork(clone.path(), folder.path(), &["acme", "fork"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).starts_with("error: cargo fmt: "),
        "{}",
        stderr(&output)
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn without_an_identity_the_files_are_staged() {
    if !is_clone() {
        return;
    }
    let clone = small(&[]);
    let folder = tempfile::tempdir().unwrap();
    let mut command = aside(program(), folder.path(), false);
    command.env("CARGO_MANIFEST_DIR", clone.path());
    let output = command.args(["acme", "fork"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stdout(&output).contains("not committed"),
        "{}",
        stdout(&output)
    );
    let root = folder.path().join("fork");
    let staged = git(&root, &["status", "--porcelain"]);
    assert_eq!(staged, "A  Cargo.lock\nA  Cargo.toml\nA  src/main.rs\n");
    assert_eq!(git(&root, &["branch", "--show-current"]), "main\n");
}

#[test]
fn what_ci_does_not_test_under_another_name_never_says_the_name() {
    let run = fs::read_to_string(Path::new(ROOT).join(".ci/run")).unwrap();
    let (_, rest) = run.split_once("unnamed=(").unwrap();
    let (names, _) = rest.split_once(')').unwrap();
    let tests = Path::new(ROOT).join("tests");
    for name in names.split_whitespace() {
        let mut files = vec![tests.join(format!("{name}.rs"))];
        if let Ok(folder) = fs::read_dir(tests.join(name)) {
            files.extend(folder.map(|entry| entry.unwrap().path()));
        }
        files.retain(|file| file.extension().is_some_and(|ending| ending == "rs"));
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for line in text.lines().filter(|line| !line.starts_with("//!")) {
                // What the compiler looks up, and a name between a test and itself.
                let line = line.replace("CARGO_BIN_EXE_multitoken", "");
                let line = line
                    .replace("multitoken::", "")
                    .replace("MULTITOKEN_TEST", "");
                let line = line.to_lowercase();
                let is_named = [OWN, "mtk", "multi-token"]
                    .iter()
                    .any(|word| line.contains(word));
                assert!(!is_named, "{}: {line}", file.display());
            }
        }
    }
}

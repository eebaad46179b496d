//! Renaming: the fork's names replace the template's.

use std::fs;

use crate::fork::refused::assert_fork_refused;
use crate::fork::tools::{TEMPLATE_NAME, fork, minimal_template};
use crate::support::server::{stderr, stdout};
use crate::xtask::{commit, contents, git, is_clone};

/// A lock file with packages before and after the application's.
const LOCK: &str = "version = 4\n\n\
    [[package]]\nname = \"anyhow\"\nversion = \"1.0.0\"\n\n\
    [[package]]\nname = \"multitoken\"\nversion = \"0.2.0\"\ndependencies = [\n \"anyhow\",\n]\n\n\
    [[package]]\nname = \"rocket_multitoken\"\nversion = \"0.2.0\"\n\n\
    [[package]]\nname = \"zeroize\"\nversion = \"1.0.0\"\n";

#[test]
#[ignore = "slow"]
fn names_are_replaced_in_the_form_that_their_context_requires() {
    if !is_clone() {
        return;
    }
    let text = "\
        use multitoken::web; ::multitoken::cli; who use multitoken; rocket_multitoken::cli;\n\
        env!(\"CARGO_BIN_EXE_multitoken\") target/release/multitoken target/doc/multitoken/index.html\n\
        `multitoken user` \"\\nmultitoken\" multitoken.service libmultitoken.rlib MULTITOKEN_TEST\n\
        __Host-multitoken_admin multitoken_requests_total databases.multitoken.url {multitoken={url}}\n\
        Multitoken, \"\\nMultitoken\"; MultitokenError, MultiToken::new realm=\"multitoken\" Münze: multitoken\n\
        mtk_x \"mtk\" \"\\nmtk_x\" \"Mtk\" MTK_x amtk mtka\n";
    let renamed = "\
        use tea_2_go::web; ::tea_2_go::cli; who use tea-2_go; rocket_multitoken::cli;\n\
        env!(\"CARGO_BIN_EXE_tea-2_go\") target/release/tea-2_go target/doc/tea_2_go/index.html\n\
        `tea-2_go user` \"\\ntea-2_go\" tea-2_go.service libtea_2_go.rlib TEA_2_GO_TEST\n\
        __Host-tea_2_go_admin tea_2_go_requests_total databases.tea-2_go.url {tea-2_go={url}}\n\
        Tea 2 Go, \"\\nTea 2 Go\"; Tea2GoError, Tea2Go::new realm=\"tea-2_go\" Münze: tea-2_go\n\
        t2g_x \"t2g\" \"\\nt2g_x\" \"T2g\" T2G_x amtk mtka\n";
    let marked = "One\n\n<!-- fork: drop -->\nMultitoken\n<!-- fork: keep -->\n\nTwo\n\n![Multitoken](a.png)\n";
    let clone = minimal_template(&[
        ("deploy/multitoken.service", text),
        ("README.md", marked),
        (".ci/steps", "one\n# fork: drop\ntwo\n# fork: keep\nthree\n"),
        ("a.png", "Multitoken"),
        ("docs/LICENSE-X", "Multitoken"),
        ("vendor/mtk.txt", "mtk"),
        ("Cargo.lock", LOCK),
        ("CHANGELOG.md", "Ours\n"),
        ("xtask/src/fork/mod.rs", "fn main() {}\n"),
        (".gitignore", "/deploy\n"),
    ]);
    let at = |path: &str| clone.path().join(path);
    #[cfg(unix)]
    std::os::unix::fs::symlink("deploy/multitoken.service", at("link")).unwrap();
    fs::write(at("binary"), b"\xffmtk\0").unwrap();
    fs::write(
        at("src/main.rs"),
        "use multitoken::web;\nfn main() {println!()}\n",
    )
    .unwrap();
    commit(clone.path(), "More");
    fs::write(at("untracked.txt"), "").unwrap();

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
            "CHANGELOG.md",
            "Cargo.lock",
            "Cargo.toml",
            "README.md",
            "Rocket.toml",
            "binary",
            "deploy/tea-2_go.service",
            "docs/LICENSE-X",
            "engine/Cargo.toml",
            "engine/src/lib.rs",
            "link",
            "src/main.rs",
            "template.toml",
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
    assert_eq!(text_of("engine/src/lib.rs"), "//! mtk, Multitoken\n");
    assert_eq!(files["binary"], b"\xffmtk\0");
    assert_eq!(text_of("link"), "deploy/tea-2_go.service");
    assert_eq!(
        text_of("src/main.rs"),
        "use tea_2_go::web;\nfn main() {\n    println!()\n}\n"
    );
    // The fork starts with its own version.
    let own = "[[package]]\nname = \"multitoken\"\nversion = \"0.2.0\"\ndependencies = [\n \"anyhow\",\n]\n\n";
    let last = "[[package]]\nname = \"zeroize\"";
    let renamed = own
        .replace("multitoken", "tea-2_go")
        .replace("0.2.0", "0.1.0");
    let lock = LOCK
        .replace(own, "")
        .replace(last, &format!("{renamed}{last}"));
    assert_eq!(text_of("Cargo.lock"), lock);
    assert!(text_of("Cargo.toml").contains("name = \"tea-2_go\"\nversion = \"0.1.0\"\n"));
    assert!(text_of("CHANGELOG.md").contains("Keep a Changelog"));
}

#[test]
#[ignore = "slow"]
fn lock_files_stay_sorted_and_forks_of_one_name_share_their_history() {
    if !is_clone() {
        return;
    }
    let (clone, folder) = (
        minimal_template(&[("Cargo.lock", LOCK)]),
        tempfile::tempdir().unwrap(),
    );
    let made = fork(clone.path(), folder.path(), &["tea-2_go", "tea"]);
    assert!(made.status.success(), "{}", stderr(&made));
    let state_of = |fork: &str| git(&folder.path().join(fork), &["rev-parse", "template"]);
    let made = fork(clone.path(), folder.path(), &["tea-2_go", "again"]);
    assert!(made.status.success(), "{}", stderr(&made));
    assert_eq!(state_of("tea"), state_of("again"));

    for (name, first, last) in [("aaa", "aaa", "zeroize"), ("zzz", "anyhow", "zzz")] {
        let titled = ["--title", "Été 1.0", "--token-prefix", "x9"];
        let args = [&[name, name][..], &titled].concat();
        let made = fork(clone.path(), folder.path(), &args);
        assert!(made.status.success(), "{}", stderr(&made));
        let printed = stdout(&made);
        assert!(
            printed.contains("\"Été 1.0\"") && printed.contains("begin with x9_."),
            "{printed}"
        );
        let files = contents(&folder.path().join(name));
        let lock = str::from_utf8(&files["Cargo.lock"]).unwrap().to_owned();
        let order: Vec<_> = lock
            .lines()
            .filter(|line| line.starts_with("name"))
            .collect();
        assert_eq!(order[0], format!("name = \"{first}\""));
        assert_eq!(order[3], format!("name = \"{last}\""));
        assert!(lock.ends_with("\"\n") || lock.ends_with("]\n"));
    }
}

#[test]
#[ignore = "slow"]
fn invalid_names_are_refused_and_nothing_is_written() {
    if !is_clone() {
        return;
    }
    let (clone, folder) = (
        minimal_template(&[("src/letters/mod.rs", ""), ("Cargo.lock", LOCK)]),
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
        (&"a".repeat(32), "at most"),
        ("fn", "reserves"),
        ("async", "reserves"),
        ("test", "reserves"),
        ("core", "reserves"),
        ("std", "reserves"),
        ("proc-macro", "reserves"),
        ("deps", "reserves"),
        ("zeroize", "a dependency"),
        ("letters", "a module"),
        ("main", "a module"),
        (TEMPLATE_NAME, "the template's name"),
        ("my-multi-token", "the template's name"),
    ] {
        assert_fork_refused(clone.path(), folder.path(), &[name, "fork"], why);
    }
    for (option, value, why) in [
        ("--title", "", "letters"),
        ("--title", "A  b", "letters"),
        ("--title", " A", "letters"),
        ("--title", "A\nb", "letters"),
        ("--title", "Tom & Jerry", "letters"),
        ("--title", "\"A\"", "letters"),
        ("--title", "The Multitoken", "the template's name"),
        ("--title", &"A".repeat(41), "at most"),
        ("--token-prefix", "", "a-z"),
        ("--token-prefix", "Ap", "a-z"),
        ("--token-prefix", "a_p", "a-z"),
        ("--token-prefix", "1", "a-z"),
        ("--token-prefix", &"a".repeat(13), "a-z"),
    ] {
        let args = ["acme", "fork", option, value];
        assert_fork_refused(clone.path(), folder.path(), &args, why);
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

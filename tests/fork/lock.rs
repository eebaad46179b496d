//! Cargo.lock, which an update resolves instead of merging.

use crate::fork::tools::{Pair, edit, read, write};
use crate::support::server::stderr;
use crate::xtask::{cargo, commit, is_clone};

const REGISTRY: &str = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";

/// A registry package in a lock file.
fn package(name: &str, version: &str) -> String {
    format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n{REGISTRY}checksum = \"0\"\n")
}

#[test]
#[ignore = "slow"]
fn the_lock_file_has_the_packages_of_both_and_none_that_one_removed() {
    if !is_clone() {
        return;
    }
    let lock = |packages: &[(&str, &str)]| {
        let packages = packages
            .iter()
            .map(|(name, version)| package(name, version));
        let packages: Vec<_> = packages.collect();
        format!("version = 4\n\n{}", packages.join("\n"))
    };
    let base = [
        ("a", "1.0.0"),
        ("dropped-here", "1.0.0"),
        ("dropped-there", "1.0.0"),
        ("newer", "1.0.0"),
        ("pinned", "1.0.0"),
    ];
    // Cargo cannot resolve this dependency, so the merged lock file stays as it is.
    let manifest = "[workspace]\n\n[package]\nname = \"multitoken\"\nversion = \"0.2.0\"\nedition = \"2024\"\n\n[dependencies]\n\
                    rocket_multitoken = { path = \"engine\" }\nno-such-package = \"=999.0.0\"\n";
    let pair = Pair::new(&[("Cargo.lock", &lock(&base)), ("Cargo.toml", manifest)]);
    let ours = [
        ("a", "1.0.0"),
        ("dropped-there", "1.0.0"),
        ("newer", "1.0.0"),
        ("own", "3.0.0"),
        ("pinned", "1.2.0"),
    ];
    write(&pair.fork(), "Cargo.lock", &lock(&ours));
    commit(&pair.fork(), "Ours");
    let theirs = [
        ("a", "1.0.0"),
        ("dropped-here", "1.0.0"),
        ("new", "2.0.0"),
        ("newer", "1.1.0"),
        ("pinned", "1.0.0"),
    ];
    write(&pair.template(), "Cargo.lock", &lock(&theirs));
    commit(&pair.template(), "Theirs");

    let printed = pair.assert_updated(&[]);
    assert!(
        printed.contains("Cargo.lock could not be updated (")
            && printed.contains("no-such-package"),
        "{printed}"
    );
    let both = [
        ("a", "1.0.0"),
        ("new", "2.0.0"),
        ("newer", "1.1.0"),
        ("own", "3.0.0"),
        ("pinned", "1.2.0"),
    ];
    assert_eq!(read(&pair.fork(), "Cargo.lock"), lock(&both));
}

#[test]
#[ignore = "slow"]
fn cargo_updates_the_lock_file_for_the_merged_manifests() {
    if !is_clone() {
        return;
    }
    let pair = Pair::new(&[]);
    let (template, fork) = (pair.template(), pair.fork());
    for (root, name) in [(&template, "theirs"), (&fork, "ours")] {
        let manifest =
            format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\nedition = \"2024\"\n");
        write(root, &format!("{name}/Cargo.toml"), &manifest);
        write(root, &format!("{name}/src/lib.rs"), "//! Empty.\n");
    }
    // Both add a version and a dependency.
    edit(
        &template,
        "Cargo.toml",
        "version = \"0.2.0\"",
        "version = \"0.3.0\"",
    );
    let more = "engine\" }\n\n[build-dependencies]\ntheirs = { path = \"theirs\" }\n";
    edit(&template, "Cargo.toml", "engine\" }\n", more);
    edit(
        &fork,
        "Cargo.toml",
        "version = \"0.1.0\"",
        "version = \"0.7.0\"",
    );
    let more = "[dependencies.ours]\npath = \"ours\"\n\n[workspace]\n";
    edit(&fork, "Cargo.toml", "[workspace]\n", more);
    for root in [&template, &fork] {
        let update = ["update", "--workspace", "--offline"];
        let done = cargo(root).args(update).output().unwrap();
        assert!(done.status.success(), "{}", stderr(&done));
        commit(root, "A crate");
    }
    let printed = pair.assert_updated(&[]);
    assert!(!printed.contains("could not be updated"), "{printed}");
    let lock = read(&fork, "Cargo.lock");
    let fits = ["tree", "--locked", "--offline"];
    let fits = cargo(&fork).args(fits).output().unwrap();
    assert!(fits.status.success(), "{}: {lock}", stderr(&fits));
    assert!(
        lock.contains("name = \"acme\"\nversion = \"0.7.0\"\n"),
        "{lock}"
    );
    assert!(
        lock.contains("\"ours\"") && lock.contains("\"theirs\""),
        "{lock}"
    );
}

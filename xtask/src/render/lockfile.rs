//! Renames and merges Cargo.lock.

use std::collections::BTreeSet;

use crate::render::manifest;
use crate::render::names::ForkNames;

const PACKAGE_HEADING: &str = "[[package]]\n";

/// Cargo.lock with the fork's names and first version. Packages and dependencies are sorted in cargo's order.
pub fn rename(lockfile: &str, names: &ForkNames) -> String {
    let lockfile = names.rename(&lockfile.replace("\r\n", "\n"));
    let (head, packages) = split_packages(&lockfile);
    let packages = packages.map(sort_dependencies).map(|package| {
        if package_name(&package) == names.name {
            manifest::with_first_version_after(&package, 0)
        } else {
            package
        }
    });
    join_packages(head, packages.collect())
}

/// Merges the packages in the Cargo.lock of the fork and of the newer template. A package that one side added
/// or removed since `base` is added or removed. Cargo then adjusts the result to the manifests.
pub fn merge(base: &str, ours: &str, theirs: &str) -> String {
    let package_ids = |lockfile| {
        let (_, packages) = split_packages(lockfile);
        packages.map(package_id).collect::<BTreeSet<_>>()
    };
    let (base_ids, our_ids, their_ids) =
        (package_ids(base), package_ids(ours), package_ids(theirs));
    let (head, their_packages) = split_packages(theirs);
    let kept = their_packages.filter(|package| {
        let id = package_id(package);
        our_ids.contains(&id) || !base_ids.contains(&id)
    });
    let (_, our_packages) = split_packages(ours);
    let added = our_packages.filter(|package| {
        let id = package_id(package);
        !their_ids.contains(&id) && !base_ids.contains(&id)
    });
    join_packages(head, kept.chain(added).map(str::to_owned).collect())
}

/// Splits Cargo.lock into the text before the packages and the packages.
fn split_packages(lockfile: &str) -> (&str, impl Iterator<Item = &str>) {
    let mut parts = lockfile.split(PACKAGE_HEADING);
    (parts.next().unwrap_or_default(), parts.map(str::trim_end))
}

fn join_packages(head: &str, mut packages: Vec<String>) -> String {
    // The sort is stable, so several versions of a package keep their order.
    packages.sort_by(|a, b| package_name(a).cmp(package_name(b)));
    let packages = packages
        .iter()
        .map(|package| format!("{PACKAGE_HEADING}{package}\n"))
        .collect::<Vec<_>>();
    format!("{head}{}", packages.join("\n"))
}

fn sort_dependencies(package: &str) -> String {
    let mut lines: Vec<_> = package.lines().collect();
    lines
        .chunk_by_mut(|a, b| a.starts_with(' ') == b.starts_with(' '))
        .filter(|chunk| chunk[0].starts_with(' '))
        .for_each(<[&str]>::sort_unstable);
    lines.join("\n")
}

const NAME_PREFIX: &str = "name = \"";

fn package_name(package: &str) -> &str {
    let name = package.strip_prefix(NAME_PREFIX).unwrap_or_default();
    name.split('"').next().unwrap_or_default()
}

/// The identity of a package: name, version and source. For a member of the workspace, only the name.
fn package_id(package: &str) -> Vec<&str> {
    let lines: Vec<_> = package.lines().take(3).collect();
    if lines.last().is_some_and(|line| line.starts_with("source")) {
        lines
    } else {
        lines.into_iter().take(1).collect()
    }
}

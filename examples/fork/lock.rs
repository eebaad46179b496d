//! Cargo.lock under the new name.

use crate::names::OWN;

const PACKAGE: &str = "[[package]]\n";

/// The lock file with this package renamed, and at the place that its name gives it among the others:
/// as cargo would write it.
pub fn renamed(lock: &str, name: &str) -> String {
    let lock = lock.replace("\r\n", "\n");
    let mut parts = lock.split(PACKAGE);
    let head = parts.next().unwrap_or_default();
    let (mut own, mut packages): (Vec<_>, Vec<_>) = parts
        .map(|package| package.trim_end().to_owned())
        .partition(|package| name_of(package) == OWN);
    for package in own.drain(..) {
        let place = packages.partition_point(|other| name_of(other) < name);
        packages.insert(place, package.replacen(OWN, name, 1));
    }
    let packages: Vec<_> = packages
        .iter()
        .map(|package| format!("{PACKAGE}{package}\n"))
        .collect();
    format!("{head}{}", packages.join("\n"))
}

/// The names of all packages.
pub fn names(lock: &str) -> impl Iterator<Item = &str> {
    lock.lines()
        .filter(|line| line.starts_with(NAME))
        .map(name_of)
}

const NAME: &str = "name = \"";

fn name_of(package: &str) -> &str {
    let name = package.strip_prefix(NAME).unwrap_or_default();
    name.split('"').next().unwrap_or_default()
}

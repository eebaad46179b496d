//! The package in a Cargo.toml, and its version. A fork's version is independent of the template's. Otherwise every
//! release of the template would conflict with it.

use serde::Deserialize;

const VERSION_PREFIX: &str = "version = \"";
const FIRST_VERSION: &str = "version = \"0.1.0\"";

/// The part of a manifest that the commands for forks read.
#[derive(Deserialize)]
pub struct Manifest {
    pub package: Package,
    #[serde(default)]
    pub dependencies: toml::Table,
}

#[derive(Deserialize)]
pub struct Package {
    pub name: String,
}

pub fn with_first_version(manifest: &str) -> String {
    match manifest.find("[package]\n") {
        Some(at) => with_first_version_after(manifest, at),
        None => manifest.to_owned(),
    }
}

/// Replaces the first version after the position `from`.
pub fn with_first_version_after(text: &str, from: usize) -> String {
    let (before, after) = text.split_at(from);
    let mut lines: Vec<_> = after.split('\n').collect();
    if let Some(version) = lines
        .iter_mut()
        .find(|line| line.starts_with(VERSION_PREFIX))
    {
        *version = FIRST_VERSION;
    }
    before.to_owned() + &lines.join("\n")
}

//! Detects programs and permissions that a test needs. If one is missing, the test reports that and passes. With
//! `CI=true` it fails, so that nothing goes untested in CI.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The executable `name` in `PATH` or in `folders`.
pub fn executable(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(folders.iter().cloned())
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The folder with the PostgreSQL server's binaries, which Debian keeps out of `PATH`.
pub fn postgres() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let folders: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    let initdb = executable("initdb", &folders)?;
    initdb.parent().map(Path::to_owned)
}

/// Reports that `what` is missing, and the Debian package that provides it.
pub fn missing(what: &str, package: &str) {
    lacks(&format!("{what} is not installed (Debian: {package})"));
}

/// Reports what is missing. Panics if `CI=true`.
pub fn lacks(message: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{message}");
    eprintln!("{message}: this part of the test is left out");
}

/// Whether the tests run as root. PostgreSQL refuses to start as root.
pub fn root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|id| id.stdout == b"0\n")
}

//! What a test needs from the machine. Where it is missing the test says so and passes; with
//! `CI=true` it fails, so that nothing goes untested there.

use std::path::PathBuf;
use std::process::Command;

/// The first of `names` that is an executable in `PATH` or in `folders`.
pub fn executable(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(folders.iter().cloned())
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Says that `what` is missing, and which of Debian's packages has it.
pub fn missing(what: &str, package: &str) {
    let message = format!("{what} is not installed (Debian: {package})");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{message}");
    eprintln!("{message}: this part of the test is left out");
}

/// Whether the tests run as root, as whom PostgreSQL refuses to start.
pub fn root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|id| id.stdout == b"0\n")
}

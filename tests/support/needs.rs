//! What a test needs from the machine. Where it is missing the test says so and passes; with
//! `CI=true` it fails, so that nothing goes untested there.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The first of `names` that is an executable in `PATH` or in `folders`.
pub fn executable(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(folders.iter().cloned())
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The folder with the binaries of PostgreSQL's server, which Debian keeps out of `PATH`; none where
/// they are not installed.
pub fn postgres() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let folders: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    let initdb = executable("initdb", &folders)?;
    initdb.parent().map(Path::to_owned)
}

/// The folder with the packages that `tests/npm/package.json` names; none where one of them or Node.js is
/// not installed.
pub fn npm() -> Option<PathBuf> {
    if executable("node", &[]).is_none() {
        missing("Node.js", "nodejs");
        return None;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/npm");
    let packages = [
        "axe-core",
        "html-validate",
        "@types/node",
        "openapi-fetch",
        "openapi-typescript",
        "typescript",
    ];
    for name in packages {
        if !folder.join("node_modules").join(name).is_dir() {
            lacks(&format!(
                "{name} is not installed (npm ci --prefix tests/npm)"
            ));
            return None;
        }
    }
    Some(folder)
}

/// Schemathesis, with Python and what it is built on beside it; none where it is not installed.
pub fn schemathesis() -> Option<PathBuf> {
    of_python("schemathesis")
}

/// What generates clients in Python, with Python and what it is built on beside it; none where it is not
/// installed.
pub fn openapi_python_client() -> Option<PathBuf> {
    of_python("openapi-python-client")
}

fn of_python(name: &str) -> Option<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis/.venv/bin");
    let program = executable(name, &[own]);
    if program.is_none() {
        lacks(&format!(
            "{name} is not installed (python3 -m venv tests/schemathesis/.venv && \
             tests/schemathesis/.venv/bin/pip install -r tests/schemathesis/requirements.txt)"
        ));
    }
    program
}

/// Says that `what` is missing, and which of Debian's packages has it.
pub fn missing(what: &str, package: &str) {
    lacks(&format!("{what} is not installed (Debian: {package})"));
}

/// Says what is missing.
pub fn lacks(message: &str) {
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

//! Optional tools of the application's tests.

use std::path::{Path, PathBuf};

use crate::support::needs::{executable, lacks, missing};

/// The folder with the packages of `tests/npm/package.json`. `None` if one of them or Node.js is not installed.
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

/// The path of Schemathesis, in a Python environment with its dependencies. `None` if it is not installed.
pub fn schemathesis() -> Option<PathBuf> {
    python_tool("schemathesis")
}

/// The path of the generator of Python clients. `None` if it is not installed.
pub fn openapi_python_client() -> Option<PathBuf> {
    python_tool("openapi-python-client")
}

fn python_tool(name: &str) -> Option<PathBuf> {
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

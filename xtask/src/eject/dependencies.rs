//! Dependencies of the engine that an ejected stage adds to the application.

use std::fs;
use std::path::Path;
use std::process::Command;

use toml::Table;

use crate::Result;

/// The root's manifest with the engine's dependencies that `code` uses and the manifest lacks.
///
/// # Errors
/// A manifest can't be read.
pub fn with_missing(manifest: &str, root: &Path, code: &str) -> Result<String> {
    let engine = fs::read_to_string(root.join("engine/Cargo.toml"))?;
    let engine: Table = engine.parse()?;
    let application: Table = manifest.parse()?;
    let names = |manifest: &Table| -> Vec<String> {
        let table = manifest
            .get("dependencies")
            .and_then(|value| value.as_table());
        table.into_iter().flat_map(Table::keys).cloned().collect()
    };
    let existing = names(&application);
    let mut manifest = manifest.to_owned();
    for name in names(&engine) {
        if !existing.contains(&name) && uses_crate(code, &name.replace('-', "_")) {
            manifest = with_dependency(&manifest, &name)?;
        }
    }
    Ok(manifest)
}

/// Whether a path in the code begins with the crate's name.
fn uses_crate(code: &str, name: &str) -> bool {
    let path = format!("{name}::");
    let mut code = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.any(|line| {
        line.match_indices(&path).any(|(position, _)| {
            !line[..position].ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c))
        })
    })
}

/// The manifest with a dependency of the workspace, in alphabetical order.
fn with_dependency(manifest: &str, name: &str) -> Result<String> {
    let heading = "[dependencies]\n";
    let start = manifest
        .find(heading)
        .ok_or("Cargo.toml has no [dependencies] section")?
        + heading.len();
    let mut position = start;
    for line in manifest[start..].split_inclusive('\n') {
        let key = line.split(['.', ' ', '=']).next().unwrap_or_default();
        // The engine comes first.
        let is_before = key == "rocket_multitoken" || key < name;
        if line.trim().is_empty() || line.starts_with('[') || !is_before {
            break;
        }
        position += line.len();
    }
    let (before, after) = manifest.split_at(position);
    Ok(format!("{before}{name}.workspace = true\n{after}"))
}

/// Has cargo update Cargo.lock. No package is added, but the application depends on more of them.
pub fn update_lockfile(root: &Path) -> Result {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let metadata = ["metadata", "--offline", "--format-version", "1"];
    let output = Command::new(cargo)
        .args(metadata)
        .current_dir(root)
        .output()?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo cannot resolve the dependencies: {}", reason.trim()).into());
    }
    Ok(())
}

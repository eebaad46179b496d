//! The application's migrations.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

/// The first number of the application's migrations. Smaller ones belong to the engine.
const FIRST_NUMBER: u32 = 1000;
const LAST_NUMBER: u32 = 9999;

/// The application's folder, and the engine's.
pub const MIGRATION_FOLDERS: [&str; 2] = ["migrations", "engine/migrations"];

/// The migrations in a folder.
pub fn files(root: &Path, folder: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(root.join(folder)).map_err(|error| format!("{folder}: {error}"))?;
    let mut files = vec![];
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The number in a migration's name.
fn number(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    name.split('_').next()?.parse().ok()
}

/// The number after the last migration's.
///
/// # Errors
/// No number is left.
pub fn next_number(root: &Path) -> Result<u32> {
    let last = files(root, MIGRATION_FOLDERS[0])?
        .iter()
        .filter_map(|path| number(path))
        .max();
    let next = last.map_or(FIRST_NUMBER, |last| FIRST_NUMBER.max(last + 1));
    if next > LAST_NUMBER {
        return Err(format!("no migration number is left after {LAST_NUMBER}").into());
    }
    Ok(next)
}

/// The migration that created a table, such as `1000_notes.sql`, and its number.
pub fn find_for_table(root: &Path, table: &str) -> Result<Option<(u32, PathBuf)>> {
    let suffix = format!("_{table}.sql");
    let found = files(root, MIGRATION_FOLDERS[0])?
        .into_iter()
        .find_map(|path| {
            let number = number(&path)?;
            let name = path.file_name()?.to_str()?;
            let creates_table = name.strip_prefix(&number.to_string()) == Some(&suffix);
            creates_table.then_some((number, path))
        });
    Ok(found)
}

//! Finds files that the fork deleted and that an update would bring back under another path.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::Result;
use crate::git::git_paths;

/// The files of `state` that are new since `base` and belong to files that the fork deleted: those in a folder that the
/// fork emptied, and deleted files that the template moved.
pub fn find_returning_files(root: &Path, base: &str, state: &str) -> Result<BTreeSet<String>> {
    let args = [
        "diff",
        "-z",
        "--name-only",
        "--diff-filter=D",
        // A file that the fork moved does not count as deleted.
        "--find-renames=100%",
        base,
        "HEAD",
    ];
    let deleted: BTreeSet<_> = git_paths(root, &args)?.into_iter().collect();
    let emptied = emptied_folders(root, base)?;
    let is_emptied = |path: &str| parent_folders(path).any(|folder| emptied.contains(folder));

    let args = ["diff", "-z", "--name-status", "--find-renames", base, state];
    let mut fields = git_paths(root, &args)?.into_iter();
    let mut returning = BTreeSet::new();
    while let (Some(status), Some(path)) = (fields.next(), fields.next()) {
        // A moved file has two paths. Copies are not detected.
        let new_path = status.starts_with('R').then(|| fields.next()).flatten();
        match new_path {
            Some(new) if deleted.contains(&path) => returning.insert(new),
            None if status == "A" && is_emptied(&path) => returning.insert(path),
            _ => false,
        };
    }
    Ok(returning)
}

/// Folders that had several files and have none in the fork. A folder that had one file, such as a migration, does not
/// count, because the fork may want the next file.
fn emptied_folders(root: &Path, base: &str) -> Result<BTreeSet<String>> {
    let list_files = |commit| git_paths(root, &["ls-tree", "-r", "-z", "--name-only", commit]);
    let mut counts = BTreeMap::<_, usize>::new();
    for path in list_files(base)? {
        for folder in parent_folders(&path) {
            *counts.entry(folder.to_owned()).or_default() += 1;
        }
    }
    for path in list_files("HEAD")? {
        for folder in parent_folders(&path) {
            counts.remove(folder);
        }
    }
    let emptied = counts.into_iter().filter(|(_, count)| *count > 1);
    Ok(emptied.map(|(folder, _)| folder).collect())
}

/// The folders of a file, outermost first.
fn parent_folders(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

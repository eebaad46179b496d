//! Removes a resource with all its files and lines.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::names::ResourceNames;
use super::write::write_all;
use super::{migration, print_line, references, shared};
use crate::Result;
use crate::git::git;

/// Removes the resource.
///
/// # Errors
/// The resource does not exist, git could not restore it, or a file can't be deleted.
pub fn run(root: &Path, name: &str, force: bool) -> Result {
    // Only the plural is needed to find the files and lines.
    let names = ResourceNames {
        plural: name.to_owned(),
        singular: name.to_owned(),
    };
    let folder = root.join("src").join(name);
    let is_resource = folder.join("model.rs").is_file() && folder.join("api.rs").is_file();
    let changed = shared::without_lines(root, &names)?;
    // An update may bring back the lines of a removed example. Only resources have a line in `RESOURCE_LIST`.
    let has_leftover_line = changed
        .iter()
        .any(|file| file.path == shared::RESOURCE_LIST);
    if !(is_resource || has_leftover_line) || name.contains(['/', '.']) {
        return Err(format!("src/{name} is not a resource. Nothing was removed.").into());
    }
    let migration = migration::find_for_table(root, name)?;
    let references_in_migrations = references::in_migrations(
        root,
        name,
        migration.as_ref().map(|(_, path)| path.as_path()),
    )?;
    // If only lines came back, the user kept the migration on purpose.
    let migration = migration.filter(|_| is_resource || references_in_migrations.is_empty());
    if is_resource && !force && !references_in_migrations.is_empty() {
        return Err(format!(
            "other migrations use the table {name} and would fail without it:\n{}\n\
             Delete the migrations that were never released, or use --force. Nothing was removed.",
            references_in_migrations.join("\n")
        )
        .into());
    }
    let mut files = vec![];
    for folder in ["src", "templates", "tests"] {
        collect_files(&root.join(folder).join(name), &mut files)?;
    }
    files.push(root.join(format!("tests/{name}.rs")));
    files.extend(migration.iter().map(|(_, path)| path.clone()));
    files.retain(|path| path.symlink_metadata().is_ok());
    require_inside_project(root, &files)?;
    if !force && !files.is_empty() {
        require_committed(root, &files)?;
    }
    write_all(root, &changed, &files)?;

    for path in &files {
        let path = path.strip_prefix(root).unwrap_or(path);
        print_line(&format!("deleted {}", path.display()));
    }
    for file in &changed {
        print_line(&format!("changed {}", file.path));
    }
    let mut remaining = references::in_sources(root, name)?;
    remaining.extend(references::in_migrations(root, name, None)?);
    if !remaining.is_empty() {
        print_line(&format!(
            "\nThese lines still refer to it:\n{}",
            remaining.join("\n")
        ));
    }
    let pages = references::in_pages(root, name)?;
    if !pages.is_empty() {
        print_line(&format!(
            "\nThese pages may still mention it: {}",
            pages.join(", ")
        ));
    }
    if let Some((number, path)) = migration {
        print_migration_steps(root, name, number, &path);
    }
    Ok(())
}

/// Adds the files below a path to `files`. Does not follow symbolic links.
fn collect_files(path: &Path, files: &mut Vec<PathBuf>) -> Result {
    let Ok(metadata) = path.symlink_metadata() else {
        return Ok(());
    };
    if !metadata.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        collect_files(&entry?.path(), files)?;
    }
    Ok(())
}

/// Fails if a symbolic link, such as `templates/`, leads out of the project.
fn require_inside_project(root: &Path, files: &[PathBuf]) -> Result {
    for path in files {
        let folder = path.parent().unwrap_or(root);
        if !folder.canonicalize()?.starts_with(root) {
            return Err(format!(
                "{} is outside of the project, behind a symbolic link: remove the link first. Nothing was removed.",
                path.display()
            )
            .into());
        }
    }
    Ok(())
}

/// Fails if a file has uncommitted changes.
fn require_committed(root: &Path, files: &[PathBuf]) -> Result {
    let mut args: Vec<OsString> = [
        "status",
        "--porcelain",
        "--untracked-files=all",
        "--ignored",
        "--",
    ]
    .map(OsString::from)
    .into();
    args.extend(files.iter().map(OsString::from));
    let uncommitted = git(root, &args).map_err(|error| {
        format!("git cannot restore the files ({error}): use --force to remove them anyway")
    })?;
    if uncommitted.is_empty() {
        return Ok(());
    }
    Err(format!(
        "these files have uncommitted changes:\n{uncommitted}\n\
         Commit them, so that git can restore them, or use --force. Nothing was removed."
    )
    .into())
}

/// Prints how to update databases that have run the migration.
fn print_migration_steps(root: &Path, name: &str, number: u32, path: &Path) {
    let file = path.strip_prefix(root).unwrap_or(path).display();
    print_line(&format!(
        "\nIf a database has this migration, a server without it refuses to start on that database.\n\
         - To discard all data, delete the database, for example the folder data/.\n\
         - To discard only this table, stop the server, back up the database, and run there:\n  \
             DROP TABLE {name};\n  \
             DELETE FROM _sqlx_migrations WHERE version = {number};\n\
         - With several installations or a released version, keep the migration and add one that drops the table:\n  \
             git restore --source=HEAD --staged --worktree {file}\n\
         Events in the audit log are kept."
    ));
}

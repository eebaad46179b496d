//! Writes and deletes files, all or none.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::render::GeneratedFile;
use crate::Result;

/// The state of a path.
enum FileState {
    Absent,
    File(Vec<u8>),
    /// The target of a symbolic link.
    Link(PathBuf),
}

type FileChange = (PathBuf, FileState);

/// Writes and deletes files. If one fails, restores all of them.
///
/// # Errors
/// A file can't be read, written or deleted. The message names it.
pub fn write_all(root: &Path, written: &[GeneratedFile], deleted: &[PathBuf]) -> Result {
    let write = written.iter().map(|file| {
        (
            root.join(&file.path),
            FileState::File(file.text.clone().into()),
        )
    });
    let delete = deleted.iter().map(|path| (path.clone(), FileState::Absent));
    let mut undo: Vec<FileChange> = vec![];
    for (path, content) in write.chain(delete) {
        let failed = |error: io::Error| format!("{}: {error}", path.display());
        let is_deleted = matches!(content, FileState::Absent);
        let before = match read_state(&path, is_deleted) {
            Ok(before) => before,
            Err(error) => return Err(roll_back(undo, root, &failed(error)).into()),
        };
        undo.push((path.clone(), before));
        if let Err(error) = write_state(root, &path, &content) {
            return Err(roll_back(undo, root, &failed(error)).into());
        }
    }
    Ok(())
}

/// The state of a path. Deleting removes a symbolic link itself, but writing follows the link.
fn read_state(path: &Path, is_deleted: bool) -> io::Result<FileState> {
    if is_deleted && path.is_symlink() {
        return fs::read_link(path).map(FileState::Link);
    }
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(FileState::Absent),
        read => read.map(FileState::File),
    }
}

/// Restores the files, last change first, and returns the error message.
fn roll_back(undo: Vec<FileChange>, root: &Path, error: &str) -> String {
    let mut failures = vec![];
    for (path, before) in undo.into_iter().rev() {
        if let Err(error) = write_state(root, &path, &before) {
            failures.push(format!("{}: {error}", path.display()));
        }
    }
    if failures.is_empty() {
        format!("{error}. Nothing was changed.")
    } else {
        let failures = failures.join("\n");
        format!("{error}. These files could not be restored:\n{failures}")
    }
}

/// Writes a file and creates its folders, or deletes it and its empty folders.
fn write_state(root: &Path, path: &Path, state: &FileState) -> io::Result<()> {
    let folder = path.parent().unwrap_or(root);
    match state {
        FileState::File(bytes) => {
            fs::create_dir_all(folder)?;
            return fs::write(path, bytes);
        }
        FileState::Link(target) => {
            fs::create_dir_all(folder)?;
            return symlink(target, path);
        }
        FileState::Absent => {}
    }
    if path.symlink_metadata().is_ok() {
        fs::remove_file(path)?;
    }
    for folder in path
        .ancestors()
        .skip(1)
        .take_while(|folder| *folder != root)
    {
        // Fails for the first folder that is not empty.
        if fs::remove_dir(folder).is_err() {
            break;
        }
    }
    Ok(())
}

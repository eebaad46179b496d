//! The file and folder of a SQLite database.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Refuses an existing file that is not a SQLite database, before any file is created beside it.
pub(super) fn require_database(path: &Path) -> io::Result<()> {
    const HEADER: &[u8] = b"SQLite format 3\0";
    let is_file = match path.metadata() {
        Ok(metadata) => metadata.is_file(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut header = vec![];
    if is_file {
        let length = HEADER.len() as u64;
        File::open(path)?.take(length).read_to_end(&mut header)?;
    }
    // An empty file is a database without tables.
    if is_file && (header.is_empty() || header == HEADER) {
        Ok(())
    } else {
        Err(io::Error::other(
            "the file is not a database, or is encrypted",
        ))
    }
}

/// Creates a folder and its parents for this process's user only. Existing folders keep their permissions.
pub(super) fn create_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Opens a file. A new one is readable and writable by this process's user only.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

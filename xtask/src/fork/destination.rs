//! The folder of a new fork.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Result;

/// The path of a new folder in an existing one.
pub struct Destination {
    path: PathBuf,
    parent: PathBuf,
    name: OsString,
}

/// A temporary folder next to the destination, in which the fork is built. Removed on drop.
pub struct StagingFolder {
    destination: Destination,
    temp: TempDir,
}

impl Destination {
    /// # Errors
    /// The path exists, its parent does not, or it is inside the project at `root`.
    pub fn new(path: PathBuf, root: &Path) -> Result<Self> {
        let error = |why: &str| format!("{} cannot be the fork's folder: {why}", path.display());
        if path.symlink_metadata().is_ok() {
            return Err(error("it already exists").into());
        }
        let name = path
            .file_name()
            .ok_or_else(|| error("it has no name"))?
            .to_owned();
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let parent = fs::canonicalize(parent)
            .ok()
            .filter(|parent| parent.is_dir())
            .ok_or_else(|| error("its parent folder does not exist"))?;
        if parent.starts_with(root) {
            return Err(error("it is inside the project to copy").into());
        }
        Ok(Self { path, parent, name })
    }

    /// Creates a temporary folder next to the destination.
    pub fn create_staging(self) -> Result<StagingFolder> {
        let temp = tempfile::Builder::new()
            .prefix(".fork-")
            .tempdir_in(&self.parent);
        let temp = temp.map_err(|error| format!("{}: {error}", self.parent.display()))?;
        fs::create_dir(temp.path().join(&self.name))?;
        Ok(StagingFolder {
            destination: self,
            temp,
        })
    }
}

impl StagingFolder {
    /// The fork's root in the temporary folder.
    pub fn folder(&self) -> PathBuf {
        self.temp.path().join(&self.destination.name)
    }

    /// Moves the fork to its destination, and returns the destination as the user wrote it.
    pub fn publish(self) -> Result<PathBuf> {
        let path = self.destination.parent.join(&self.destination.name);
        fs::rename(self.folder(), &path)?;
        Ok(self.destination.path)
    }
}

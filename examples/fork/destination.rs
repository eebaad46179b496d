//! Where the fork comes to be.

use std::ffi::OsString;
use std::fs;
#[cfg(unix)]
use std::os::unix::fs::symlink;
#[cfg(windows)]
use std::os::windows::fs::symlink_file as symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Outcome;
use crate::source::{Content, File};

/// A folder that does not exist yet, in one that does.
pub struct Destination {
    place: PathBuf,
    parent: PathBuf,
    name: OsString,
}

/// A fork that is being put together, beside its place. It is removed when dropped.
pub struct Begun {
    destination: Destination,
    workshop: TempDir,
}

impl Destination {
    /// # Errors
    /// It exists, the folder that it would be in does not, or it would be in the project at `root`.
    pub fn new(place: PathBuf, root: &Path) -> Outcome<Self> {
        let refused = |why: &str| format!("{} can't be the fork's folder: {why}", place.display());
        if place.symlink_metadata().is_ok() {
            return Err(refused("it exists").into());
        }
        let name = place
            .file_name()
            .ok_or_else(|| refused("it has no name"))?
            .to_owned();
        let parent = match place.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let parent = fs::canonicalize(parent)
            .ok()
            .filter(|parent| parent.is_dir())
            .ok_or_else(|| refused("there is no folder that it could be made in"))?;
        if parent.starts_with(root) {
            return Err(refused("it would be within the project that is copied").into());
        }
        Ok(Self {
            place,
            parent,
            name,
        })
    }

    /// A place beside it, to put the fork together.
    pub fn begin(self) -> Outcome<Begun> {
        let workshop = tempfile::Builder::new()
            .prefix(".fork-")
            .tempdir_in(&self.parent);
        let workshop = workshop.map_err(|error| format!("{}: {error}", self.parent.display()))?;
        fs::create_dir(workshop.path().join(&self.name))?;
        Ok(Begun {
            destination: self,
            workshop,
        })
    }
}

impl Begun {
    /// Where it is for now.
    pub fn folder(&self) -> PathBuf {
        self.workshop.path().join(&self.destination.name)
    }

    /// Writes the files.
    pub fn write(&self, files: &[File]) -> Outcome {
        for file in files {
            self.write_one(file)
                .map_err(|error| format!("{}: {error}", file.path))?;
        }
        Ok(())
    }

    fn write_one(&self, file: &File) -> std::io::Result<()> {
        let place = self.folder().join(&file.path);
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        match &file.content {
            Content::Bytes(bytes, permissions) => {
                fs::write(&place, bytes)?;
                fs::set_permissions(&place, permissions.clone())
            }
            Content::Link(target) => symlink(target, &place),
        }
    }

    /// Moves it to its place, and gives that.
    pub fn finish(self) -> Outcome<PathBuf> {
        let place = self.destination.parent.join(&self.destination.name);
        fs::rename(self.folder(), &place)?;
        Ok(self.destination.place)
    }
}

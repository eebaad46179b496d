//! Template and asset files of the engine and of the application. The application's take precedence.
//!
//! Release builds embed the engine's files, so that the binary runs alone, and read the application's at startup. Debug
//! builds read both from disk, and reload them when a file changes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::read::DeflateDecoder;

use super::path_scope::Scope;

mod embedded {
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

/// The files of one folder, by relative path. Hidden files (`.name`) are left out.
pub struct Files {
    /// Deflated.
    embedded: &'static [(&'static str, &'static [u8])],
    /// The engine's folder in debug builds.
    engine: Option<PathBuf>,
    /// The application's folder.
    application: Option<PathBuf>,
}

/// Path, size and modification time of every file on disk: changes with the content.
pub type Stamp = Vec<(PathBuf, u64, Option<SystemTime>)>;

impl Files {
    /// Templates. The application's are in `configured`, or else in `templates`.
    pub fn templates(configured: Option<PathBuf>, scope: Scope) -> Self {
        let files = Self::for_folder("templates", embedded::TEMPLATES, scope);
        Self {
            application: configured.or(files.application),
            ..files
        }
    }

    /// Style sheets, scripts and icons. The application's are in `static`.
    pub fn assets(scope: Scope) -> Self {
        Self::for_folder("static", embedded::STATIC, scope)
    }

    /// An existing application may use folders of these names itself, so there they are inside `multitoken`.
    fn for_folder(
        name: &str,
        embedded: &'static [(&'static str, &'static [u8])],
        scope: Scope,
    ) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
        let engine = root
            .filter(|_| cfg!(debug_assertions))
            .map(|root| root.join(name));
        let executable = std::env::current_exe().ok();
        let beside = executable.as_deref().and_then(Path::parent);
        // The working directory first, then the executable's.
        let parents = [Some(Path::new(".")), beside].into_iter().flatten();
        Self {
            embedded,
            engine: engine.filter(|path| path.is_dir()),
            application: parents
                .map(|parent| match scope {
                    Scope::Everywhere => parent.join(name),
                    Scope::OwnPaths => parent.join("multitoken").join(name),
                })
                .find(|path| path.is_dir()),
        }
    }

    #[cfg(test)]
    pub fn of(folder: &Path) -> Self {
        Self {
            embedded: &[],
            engine: None,
            application: Some(folder.to_owned()),
        }
    }

    pub fn stamp(&self) -> io::Result<Stamp> {
        let mut found = vec![];
        for folder in [&self.engine, &self.application].into_iter().flatten() {
            collect(folder, &mut found)?;
        }
        found.sort();
        Ok(found)
    }

    pub fn read(&self) -> io::Result<BTreeMap<String, Vec<u8>>> {
        let mut files = BTreeMap::new();
        for (name, deflated) in self.embedded {
            let mut content = vec![];
            DeflateDecoder::new(*deflated).read_to_end(&mut content)?;
            files.insert((*name).to_owned(), content);
        }
        for folder in [&self.engine, &self.application].into_iter().flatten() {
            let mut found = vec![];
            collect(folder, &mut found)?;
            for (path, ..) in found {
                let relative = path.strip_prefix(folder).unwrap_or(&path);
                let name = relative.to_string_lossy().replace('\\', "/");
                files.insert(
                    name,
                    fs::read(&path).map_err(|error| with_path(&path, &error))?,
                );
            }
        }
        Ok(files)
    }
}

/// Adds the path to the error.
fn with_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn collect(folder: &Path, files: &mut Stamp) -> io::Result<()> {
    for entry in fs::read_dir(folder).map_err(|error| with_path(folder, &error))? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            let metadata = fs::metadata(&path)?;
            files.push((path, metadata.len(), metadata.modified().ok()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;

    use super::*;

    #[test]
    fn a_file_beside_the_application_takes_precedence_over_an_embedded_one() {
        let deflated = |text: &str| -> &'static [u8] {
            let mut to = DeflateEncoder::new(vec![], Compression::best());
            to.write_all(text.as_bytes()).unwrap();
            to.finish().unwrap().leak()
        };
        let embedded = vec![("a", deflated("theirs")), ("b/c", deflated("kept"))];
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "ours").unwrap();
        let files = Files {
            embedded: embedded.leak(),
            ..Files::of(folder.path())
        };
        let read = files.read().unwrap();
        assert_eq!(read["a"], b"ours");
        assert_eq!(read["b/c"], b"kept");

        let gone = Files::of(&folder.path().join("gone"));
        assert!(gone.read().unwrap_err().to_string().contains("/gone: "));
    }
}

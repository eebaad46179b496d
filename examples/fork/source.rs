//! The clone that is forked.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::git::git;
use crate::names::{Names, OWN};
use crate::{lock, marks};

/// What is no use in a fork: this program, and its test.
const LEFT_OUT: [&str; 2] = ["examples/fork/", "tests/fork.rs"];

/// A clone.
pub struct Source {
    root: PathBuf,
    /// What git tracks in it, but for what is left out.
    files: Vec<String>,
}

/// A file of the fork.
pub struct File {
    /// Where it is, from the fork's root.
    pub path: String,
    pub content: Content,
}

pub enum Content {
    /// A file, and who may do what with it.
    Bytes(Vec<u8>, Permissions),
    /// A symbolic link, and where it leads.
    Link(String),
}

impl Source {
    /// The project whose example is running.
    ///
    /// # Errors
    /// It is no clone of this project.
    pub fn here() -> Outcome<Self> {
        let root = std::env::var_os("CARGO_MANIFEST_DIR")
            .ok_or("this runs by `cargo run --example fork -- NAME FOLDER` only")?;
        let root = fs::canonicalize(root)?;
        let no_clone = |why: &str| format!("{} is no clone of this project: {why}", root.display());
        let top =
            git(&root, &["rev-parse", "--show-toplevel"]).map_err(|e| no_clone(&e.to_string()))?;
        if fs::canonicalize(top.trim_end_matches(['\r', '\n']))? != root {
            return Err(no_clone("the repository that it is in is another").into());
        }
        let manifest = fs::read_to_string(root.join("Cargo.toml"))?;
        if !manifest
            .lines()
            .any(|line| line == format!("name = \"{OWN}\""))
        {
            return Err(no_clone("the crate has another name").into());
        }
        let tracked = git(&root, &["ls-files", "-z"])?;
        // A file that two branches have changed is named twice; one that was removed is not wanted.
        let tracked: BTreeSet<_> = tracked.split_terminator('\0').collect();
        let stays = |path: &&str| !is_left_out(path) && root.join(path).symlink_metadata().is_ok();
        let files = tracked
            .into_iter()
            .filter(stays)
            .map(str::to_owned)
            .collect();
        Ok(Self { root, files })
    }

    /// Its folder, without symbolic links on the way.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A crate that is called like a module or a dependency can't be told from it in `use`.
    ///
    /// # Errors
    /// The name is one of theirs.
    pub fn refuse_taken(&self, names: &Names) -> Outcome {
        let lock = fs::read_to_string(self.root.join("Cargo.lock"))?;
        let packages = lock::names(&lock).map(|name| name.replace('-', "_"));
        if packages.into_iter().any(|name| name == names.identifier) {
            return Err(format!(
                "{:?} can't be the crate's name: a dependency has it",
                names.name
            )
            .into());
        }
        let sources = self
            .files
            .iter()
            .filter_map(|path| path.strip_suffix(".rs"));
        if sources
            .flat_map(|path| path.split('/'))
            .any(|module| module == names.identifier)
        {
            return Err(format!(
                "{:?} can't be the crate's name: a module has it",
                names.name
            )
            .into());
        }
        Ok(())
    }

    /// The fork's files.
    ///
    /// # Errors
    /// A file can't be read, or its marks are out of order.
    pub fn renamed(&self, names: &Names) -> Outcome<Vec<File>> {
        let read = |path: &String| {
            self.file(path, names)
                .map_err(|error| format!("{path}: {error}").into())
        };
        self.files.iter().map(read).collect()
    }

    fn file(&self, path: &str, names: &Names) -> Outcome<File> {
        let place = self.root.join(path);
        let metadata = place.symlink_metadata()?;
        if metadata.is_dir() {
            return Err("it is a repository of its own, which is not copied".into());
        }
        let content = if metadata.is_symlink() {
            let target = fs::read_link(&place)?;
            let target = target
                .to_str()
                .ok_or("it leads to a name that is no UTF-8")?;
            Content::Link(names.renamed(target))
        } else {
            let bytes = fs::read(&place)?;
            Content::Bytes(of_fork(path, bytes, names)?, metadata.permissions())
        };
        let path = if is_foreign(path) {
            path.into()
        } else {
            names.renamed(path)
        };
        Ok(File { path, content })
    }
}

fn of_fork(path: &str, bytes: Vec<u8>, names: &Names) -> Outcome<Vec<u8>> {
    match std::str::from_utf8(&bytes) {
        Ok(lock) if path == "Cargo.lock" => Ok(lock::renamed(lock, &names.name).into()),
        Ok(text) if !is_foreign(path) && !text.contains('\0') => {
            let markdown = Path::new(path)
                .extension()
                .is_some_and(|ending| ending == "md");
            Ok(names
                .renamed(&marks::without_dropped(text, markdown)?)
                .into())
        }
        _ if holds_own(&bytes) && !is_licence(path) => {
            Err(format!("it is copied byte for byte, and holds \"{OWN}\"").into())
        }
        _ => Ok(bytes),
    }
}

fn is_left_out(path: &str) -> bool {
    let is_ours = LEFT_OUT.iter().any(|start| path.starts_with(start));
    is_ours || marks::is_picture(path) && !is_foreign(path)
}

/// Whether a file is others' work, or tells whose it is.
fn is_foreign(path: &str) -> bool {
    is_licence(path) || path.split('/').any(|folder| folder == "vendor")
}

fn is_licence(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    ["COPYING", "LICENSE", "NOTICE"]
        .iter()
        .any(|start| name.starts_with(start))
}

fn holds_own(bytes: &[u8]) -> bool {
    let own = OWN.as_bytes();
    bytes
        .windows(own.len())
        .any(|window| window.eq_ignore_ascii_case(own))
}

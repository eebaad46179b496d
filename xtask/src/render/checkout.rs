//! A commit of the template, and the files that a fork gets from it.

use std::fs::{self, Permissions};
use std::path::Path;

use tempfile::TempDir;

use crate::Result;
use crate::git::{git, git_with_env};
use crate::render::names::ForkNames;
use crate::render::{ENGINE_FOLDER, lockfile, manifest, marks};
use crate::rustfmt::Style;

/// Files that a fork does not get: the command `fork` and its tests, documentation for other applications, and the
/// changelog, because a fork has its own.
const EXCLUDED: [&str; 10] = [
    "CHANGELOG.md",
    "docs/existing-application.md",
    "tests/eject.rs",
    "tests/eject/",
    "tests/existing.rs",
    "tests/fork.rs",
    "tests/fork/",
    "tests/resource.rs",
    "tests/xtask.rs",
    "xtask/src/fork/",
];

/// A checkout of a commit of the template.
pub struct TemplateCheckout {
    /// A temporary checkout.
    folder: TempDir,
    /// The paths of the files that a fork gets.
    files: Vec<String>,
}

/// A file of the fork.
pub struct RenderedFile {
    /// The path from the fork's root.
    pub path: String,
    pub content: FileContent,
}

pub enum FileContent {
    Bytes(Vec<u8>, Permissions),
    /// The target of a symbolic link.
    Link(String),
}

impl TemplateCheckout {
    /// Checks the commit out to a temporary folder.
    pub fn new(repository: &Path, commit: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let checkout = folder.path().join("files");
        fs::create_dir(&checkout)?;
        let git_folder = git(repository, &["rev-parse", "--absolute-git-dir"])?;
        let index = folder.path().join("index");
        let run_git = |args: &[&str]| {
            let environment = [
                ("GIT_DIR", git_folder.as_ref()),
                ("GIT_INDEX_FILE", index.as_os_str()),
                ("GIT_WORK_TREE", checkout.as_os_str()),
            ];
            let args = [&["-c", "core.autocrlf=false"][..], args].concat();
            git_with_env(&checkout, &args, &environment)
        };
        run_git(&["read-tree", commit])?;
        run_git(&["checkout-index", "--all"])?;
        let output = run_git(&["ls-files", "-z"])?;
        let files = output
            .split_terminator('\0')
            .filter(|path| !is_excluded(path))
            .map(str::to_owned)
            .collect();
        Ok(Self { folder, files })
    }

    /// The fork's files.
    ///
    /// # Errors
    /// A file can't be read or formatted, or its marks are out of order.
    pub fn render(&self, names: &ForkNames) -> Result<Vec<RenderedFile>> {
        let style = Style::of_package(&self.folder.path().join("files"))?;
        let render = |path: &String| {
            self.render_file(path, names, &style)
                .map_err(|error| format!("{path}: {error}").into())
        };
        self.files.iter().map(render).collect()
    }

    fn render_file(&self, path: &str, names: &ForkNames, style: &Style) -> Result<RenderedFile> {
        let source = self.folder.path().join("files").join(path);
        let metadata = source.symlink_metadata()?;
        if metadata.is_dir() {
            return Err("it is a git repository of its own, which cannot be copied".into());
        }
        let content = if metadata.is_symlink() {
            let target = fs::read_link(&source)?;
            let target = target
                .to_str()
                .ok_or("it links to a path that is not UTF-8")?;
            FileContent::Link(names.rename(target))
        } else {
            let bytes = fs::read(&source)?;
            FileContent::Bytes(
                render_bytes(path, bytes, names, style)?,
                metadata.permissions(),
            )
        };
        let target_path = if is_copied_unchanged(path) {
            path.into()
        } else {
            names.rename(path)
        };
        Ok(RenderedFile {
            path: target_path,
            content,
        })
    }
}

/// The content of a file in the fork.
///
/// # Errors
/// The text can't be rendered, or a file that is copied unchanged contains the template's name.
fn render_bytes(path: &str, bytes: Vec<u8>, names: &ForkNames, style: &Style) -> Result<Vec<u8>> {
    match std::str::from_utf8(&bytes) {
        Ok(text) if path == "Cargo.lock" => Ok(lockfile::rename(text, names).into()),
        Ok(text) if !is_copied_unchanged(path) && !text.contains('\0') => {
            let extension = Path::new(path).extension().unwrap_or_default();
            let renamed = names.rename(&marks::strip_marked(text, extension == "md")?);
            Ok(match path {
                "Cargo.toml" => manifest::with_first_version(&renamed),
                _ if extension == "rs" && renamed != text => style.format(&renamed)?,
                _ => renamed,
            }
            .into())
        }
        _ if names
            .template_names
            .occurs_in(&String::from_utf8_lossy(&bytes))
            && !is_licence(path)
            && !path.starts_with(ENGINE_FOLDER) =>
        {
            let name = names.template_names.name();
            Err(format!("it is copied unchanged, but contains \"{name}\"").into())
        }
        _ => Ok(bytes),
    }
}

fn is_excluded(path: &str) -> bool {
    let is_template_only = EXCLUDED.iter().any(|prefix| path.starts_with(prefix));
    is_template_only || marks::is_picture(path) && !is_copied_unchanged(path)
}

/// Whether a file belongs to the engine, is vendored or is a licence.
fn is_copied_unchanged(path: &str) -> bool {
    let is_vendored = path.split('/').any(|folder| folder == "vendor");
    is_vendored || is_licence(path) || path.starts_with(ENGINE_FOLDER)
}

fn is_licence(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    ["COPYING", "LICENSE", "NOTICE"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

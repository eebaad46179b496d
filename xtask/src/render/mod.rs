//! Renders the template under a fork's names.
//!
//! A fork renders newer template versions with its own copy of these rules, so the rules are few and must work for
//! future files. With a template called `NAME` and a fork called `acme-portal`:
//!
//! - `name` becomes `acme-portal`, or `acme_portal` as part of an identifier: next to a letter, a digit, `_` or `::`,
//!   or after `doc/`. The binary's name after `CARGO_BIN_EXE_` is not an identifier. Code that needs an identifier with
//!   nothing next to it uses `env!("CARGO_CRATE_NAME")`. SQL in files has the name in double quotes.
//! - `NAME` becomes `ACME_PORTAL`. `Name` becomes the title, `Acme Portal`, and `AcmePortal` in an identifier.
//! - The prefix of tokens becomes the fork's, unless a letter or a digit is next to it.
//! - Files and folders are renamed by the same rules.
//! - Lines between the marks (`marks.rs`) are left out, because they apply only to the template. So are the command
//!   `fork` and its tests, the changelog, and pictures with the lines of Markdown that show them.
//! - Changed Rust files are formatted, because names determine the order of imports.
//! - The package's version is 0.1.0 at first. Updates do not change it.
//! - The engine keeps its name, which is `rocket_` and the template's name. Its folder, licences, everything in a
//!   folder `vendor`, and files that are not text are copied byte for byte.

pub mod checkout;
pub mod lockfile;
pub mod manifest;
mod marks;
pub mod names;

use std::fs;
#[cfg(unix)]
use std::os::unix::fs::symlink;
#[cfg(windows)]
use std::os::windows::fs::symlink_file as symlink;
use std::path::Path;
use std::process::Command;

use checkout::{FileContent, RenderedFile, TemplateCheckout};
use names::ForkNames;

use crate::Result;

/// The engine's folder, which a fork copies unchanged.
pub const ENGINE_FOLDER: &str = "engine/";

/// Renders the template into `folder`.
///
/// # Errors
/// A file can't be rendered or written, or rustfmt is missing or fails.
pub fn render(checkout: &TemplateCheckout, names: &ForkNames, folder: &Path) -> Result {
    for file in checkout.render(names)? {
        write_file(folder, &file).map_err(|error| format!("{}: {error}", file.path))?;
    }
    Ok(())
}

fn write_file(folder: &Path, file: &RenderedFile) -> std::io::Result<()> {
    let path = folder.join(&file.path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match &file.content {
        FileContent::Bytes(bytes, permissions) => {
            fs::write(&path, bytes)?;
            fs::set_permissions(&path, permissions.clone())
        }
        FileContent::Link(target) => symlink(target, &path),
    }
}

/// A cargo command in `folder`.
pub fn cargo_command(folder: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder);
    command
}

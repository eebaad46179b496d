//! Adds or removes a resource: `cargo xtask resource bookmarks title:text url:url done:flag due:date`.
//!
//! All files are generated and formatted before the first one is written.

mod field;
mod migration;
mod names;
mod pages;
mod references;
mod remove;
mod render;
mod reserved;
mod shared;
mod write;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use self::field::Field;
use self::names::ResourceNames;
pub use self::shared::item_start;
use crate::Result;

const AFTER_HELP: &str = "Field kinds (append ? to make the field optional):
  text    one line of 1 to 1,000 characters
  prose   several lines, up to 500 characters in total
  number  an integer between -(2^53 - 1) and 2^53 - 1
  url     an http or https URL of up to 1,000 characters
  flag    true or false; false if absent
  date    2027-01-31
  time    2027-01-31T12:00:00Z, with any offset; stored in UTC, to the second

Example:
  cargo xtask resource bookmarks title:text url:url done:flag 'due:date?'

This writes src/bookmarks/, templates/bookmarks/, tests/bookmarks.rs and a migration, and adds five lines to
src/lib.rs, tests/main.rs and tests/resources.rs. docs/adding-a-resource.md explains them.";

/// Add a resource with a table, a JSON API, admin pages and tests, or remove one
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct ResourceOptions {
    /// The plural name, used for the table, module and path: words of a-z and 0-9, joined by _
    name: String,
    /// The fields, each as NAME:KIND or 'NAME:KIND?'
    #[arg(required_unless_present = "remove", conflicts_with = "remove")]
    fields: Vec<String>,
    /// The singular name [default: the plural without its s, if that is unambiguous]
    #[arg(long, conflicts_with = "remove")]
    singular: Option<String>,
    /// Remove the resource with all its files and lines
    #[arg(long)]
    remove: bool,
    /// With --remove: remove it even if git cannot restore a file, or if another migration names the table
    #[arg(long, requires = "remove")]
    force: bool,
}

/// Adds or removes the resource.
///
/// # Errors
/// A name or field is invalid, or a file can't be read or written. Nothing has changed.
pub fn run(options: ResourceOptions) -> Result {
    let root = workspace_root()?;
    if options.remove {
        return remove::run(&root, &options.name, options.force);
    }
    let fields = options.fields.iter().map(|field| Field::parse(field));
    let fields = fields.collect::<Result<Vec<_>>>()?;
    let names = ResourceNames::new(options.name, options.singular)?;
    names::check_fields(&names, &fields)?;
    names::require_unused_names(&root, &names)?;
    let number = migration::next_number(&root)?;
    let generated = render::generate(&root, &names, &fields, number)?;
    let shared = shared::with_lines(&root, &names)?;
    write::write_all(&root, &[&generated[..], &shared].concat(), &[])?;

    for file in &generated {
        print_line(&format!("created {}", file.path));
    }
    for file in &shared {
        print_line(&format!("changed {}", file.path));
    }
    print_line(&format!(
        "\nThe singular is `{singular}`. If that is wrong, remove the resource and add it again with --singular.\n\
         Next: run cargo test {plural}, then cargo run, and open /admin/{plural} or /docs.\n\
         Edit names and limits of the fields before you release the migration.\n\
         To undo everything: cargo xtask resource --remove {plural} --force",
        singular = names.singular,
        plural = names.plural
    ));
    Ok(())
}

/// Prints a line. Ignores a closed pipe, because all files are written by then.
fn print_line(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// The project that cargo runs this command in. The program may have been compiled from another copy.
fn workspace_root() -> Result<PathBuf> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR");
    let package = package.ok_or("run this as `cargo xtask resource`")?;
    let root = Path::new(&package)
        .parent()
        .ok_or("the folder of xtask has no parent folder")?;
    Ok(root.canonicalize()?)
}

const SOURCE_FOLDERS: [&str; 2] = ["src", "engine/src"];

/// The Rust files and templates in these folders, with their text. Skips hidden folders and `node_modules`.
fn read_sources(root: &Path, folders: &[&str]) -> Result<Vec<(PathBuf, String)>> {
    let mut folders: Vec<_> = folders.iter().map(|folder| root.join(folder)).collect();
    folders.retain(|folder| folder.is_dir());
    let mut files = vec![];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            let extension = path.extension().unwrap_or_default();
            if entry.file_type()?.is_dir() {
                if name != "node_modules" && !name.to_string_lossy().starts_with('.') {
                    folders.push(path);
                }
            } else if ["rs", "tera"].iter().any(|known| extension == *known) && path.is_file() {
                let text = std::fs::read_to_string(&path)?;
                files.push((path, text));
            }
        }
    }
    Ok(files)
}

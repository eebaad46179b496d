//! Turns a clone into a project of its own: `cargo run --example fork -- acme-portal ../acme-portal`.
//!
//! What git tracks is copied as it stands in the work tree, under another name, and begins a history
//! of its own. All is worked out before anything is written, and put together beside the destination,
//! where it is moved at the end: there is a whole fork or none.
//!
//! The rules are few, so that they hold for files that are younger than this one:
//!
//! - `multitoken` becomes the name, `acme-portal`, and `acme_portal` where it is part of an
//!   identifier: beside a letter, a digit, `_` or `::`, or behind `doc/`. The binary's name
//!   behind `CARGO_BIN_EXE_` is none. Code that needs an identifier and nothing beside it asks
//!   `env!("CARGO_CRATE_NAME")`; SQL that is written down has the name in double quotes.
//! - `MULTITOKEN` becomes `ACME_PORTAL`; `Multitoken` the title, `Acme Portal`, and `AcmePortal` in an
//!   identifier.
//! - `mtk`, without a letter or a digit beside it, becomes the tokens' prefix, `ap`.
//! - Files and folders are named likewise.
//! - Lines from one that says `fork: drop` to one that says `fork: keep`, each with nothing else in a
//!   comment of any kind, are left out: they speak of this project, not of the fork. So are this
//!   program with its test, and pictures, which show the old title, with the lines of Markdown that
//!   show them.
//! - Licences, whatever is in a folder `vendor`, and what is no text are copied byte for byte.

mod destination;
mod git;
mod lock;
mod marks;
mod names;
mod source;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;
use destination::Destination;
use names::Names;
use source::Source;

/// What may fail here; where it does, nothing is left of the fork.
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Makes a project of your own of this clone: in another folder, under another name.
#[derive(Parser)]
#[command(bin_name = "cargo run --example fork --")]
struct Options {
    /// The crate's name: words of a-z and 0-9, joined by - or _
    name: String,
    /// The folder that is to be made
    destination: PathBuf,
    /// What people read [default: the name's words, capitalised]
    #[arg(long)]
    title: Option<String>,
    /// What tokens begin with [default: the words' initials, or the first three letters of a single one]
    #[arg(long)]
    token_prefix: Option<String>,
}

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Outcome {
    let names = Names::new(options.name, options.title, options.token_prefix)?;
    let source = Source::here()?;
    source.refuse_taken(&names)?;
    let destination = Destination::new(options.destination, source.root())?;
    let files = source.renamed(&names)?;

    let begun = destination.begin()?;
    begun.write(&files)?;
    let formatted = format(&begun.folder())?;
    let uncommitted = git::begin(&begun.folder(), &names.title)?;
    let made = begun.finish()?;

    let Names {
        name,
        title,
        prefix,
        ..
    } = names;
    println!(
        "{} holds {name}, \"{title}\"; its tokens begin with {prefix}_.",
        made.display()
    );
    if !formatted {
        println!(
            "rustfmt is not installed: run `rustup component add rustfmt`, then `cargo fmt` there."
        );
    }
    if let Some(why) = uncommitted {
        println!(
            "Its files are staged, but not committed ({why}): set user.name and user.email, then run `git commit` there."
        );
    }
    println!(
        "What is yours to say there: license, description and authors in Cargo.toml, and in SECURITY.md where \
         to report a hole, and how soon one hears of it."
    );
    Ok(())
}

/// Puts imports in the order of the new name; whether rustfmt is there to do so.
fn format(folder: &Path) -> Outcome<bool> {
    let cargo = |args: &[&str]| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Command::new(cargo).args(args).current_dir(folder).output()
    };
    if !cargo(&["fmt", "--version"])?.status.success() {
        return Ok(false);
    }
    let done = cargo(&["fmt"])?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(format!("cargo fmt: {}", said.trim()).into());
    }
    Ok(true)
}

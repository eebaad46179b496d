//! Makes your own project from a commit of this clone: `cargo xtask fork acme-portal ../acme-portal`.
//!
//! All checks come before the first write. The fork is built next to its destination and moved there at the end, so
//! that there is a complete fork or none.
//!
//! The fork's first commit, on the branch `template`, is the state of the template. `main` has one more commit with the
//! fork's own files, which the template never changes.

mod destination;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use destination::Destination;
use serde::Deserialize;

use crate::Result;
use crate::git::{git, git_paths, git_succeeds};
use crate::render::checkout::TemplateCheckout;
use crate::render::names::{ForkNames, TemplateNames};
use crate::render::{self, ENGINE_FOLDER};
use crate::template_branch::{self, short_id};
use crate::template_record::{self, TemplateRecord, recordable_url};

const NEW_CHANGELOG: &str = "# Changelog\n\n\
    The format follows [Keep a Changelog](https://keepachangelog.com/en/1.1.0/), and versions follow\n\
    [Semantic Versioning](https://semver.org/spec/v2.0.0.html).\n\n\
    ## [Unreleased]\n";

/// Creates your own project from this clone, with its own name and folder.
#[derive(Args)]
pub struct ForkOptions {
    /// The crate's name: words of a-z and 0-9, joined by - or _
    name: String,
    /// The folder to create
    destination: PathBuf,
    /// The title on pages [default: the words of the name, capitalised]
    #[arg(long)]
    title: Option<String>,
    /// The prefix of tokens [default: the initials of the words, or the first three letters of a single word]
    #[arg(long)]
    token_prefix: Option<String>,
    /// The commit, tag or branch of the template to start from [default: HEAD]
    #[arg(long, value_name = "REV")]
    at: Option<String>,
}

/// Makes the fork.
///
/// # Errors
/// The fork can't be made. Nothing is left behind.
pub fn run(options: ForkOptions) -> Result {
    let root = clone_root()?;
    let names = ForkNames::new(
        TemplateNames::read(&root)?,
        options.name,
        options.title,
        options.token_prefix,
    )?;
    let commit = resolve_commit(&root, options.at.as_deref())?;
    require_unused_name(&root, &commit, &names)?;
    let checkout = TemplateCheckout::new(&root, &commit)?;
    let destination = Destination::new(options.destination, &root)?;

    let staging = destination.create_staging()?;
    let folder = staging.folder();
    render::render(&checkout, &names, &folder)?;
    git(&folder, &["init", "--quiet", "--initial-branch=main"])?;
    let state = template_branch::commit_state(&folder, &folder, &root, &commit, None)?;
    template_branch::set_tip(&folder, Some(&state))?;
    git(&folder, &["reset", "--quiet", &state])?;
    let record = TemplateRecord {
        from: git(&root, &["remote", "get-url", "origin"])
            .ok()
            .and_then(|origin| recordable_url(&origin)),
        commit,
        name: names.name,
        title: names.title,
        token_prefix: names.prefix,
        ejected: [].into(),
    };
    let uncommitted = commit_fork_files(&folder, &record)?;
    let path = staging.publish()?;

    println!(
        "Created {} with the crate {} and the title \"{}\", from the template at {}. Its tokens begin with {}_.",
        path.display(),
        record.name,
        record.title,
        short_id(&record.commit),
        record.token_prefix
    );
    if let Some(reason) = uncommitted {
        println!(
            "The first commit is staged, but git could not create it ({reason}). Set user.name and user.email, then run \
             `git commit -m \"Start {}\"` in that folder.",
            record.title
        );
    }
    if record.from.is_none() {
        println!(
            "This clone has no origin with a URL, so name the template in updates: cargo xtask update \
             --from PATH|URL"
        );
    }
    println!("Next: cd {} && cargo run", path.display());
    println!(
        "Then edit license and description in Cargo.toml, and in SECURITY.md how to report a \
         vulnerability and when to expect a response."
    );
    Ok(())
}

/// The root of the clone that this program belongs to.
fn clone_root() -> Result<PathBuf> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .ok_or("run this as `cargo xtask fork NAME FOLDER`")?;
    let root = Path::new(&package).parent().unwrap_or(Path::new(""));
    let root = fs::canonicalize(root).map_err(|error| format!("{}: {error}", root.display()))?;
    let toplevel = git(&root, &["rev-parse", "--show-toplevel"]);
    if toplevel
        .ok()
        .and_then(|toplevel| fs::canonicalize(toplevel).ok())
        != Some(root.clone())
    {
        let reason =
            "a fork starts from a commit, and this folder is not the root of a git repository";
        return Err(format!("{} is not a clone: {reason}", root.display()).into());
    }
    Ok(root)
}

/// Resolves the commit to start from. Without `--at`, the work tree must have no changes, which the fork would lack.
fn resolve_commit(root: &Path, at: Option<&str>) -> Result<String> {
    let status = ["status", "--porcelain", "--untracked-files=no"];
    if at.is_none() && !git(root, &status)?.is_empty() {
        return Err("this clone has uncommitted changes: commit or stash them, \
                    or name a commit with --at"
            .into());
    }
    let at = at.unwrap_or("HEAD");
    let commit = format!("{at}^{{commit}}");
    if !git_succeeds(root, &["rev-parse", "--verify", "--quiet", &commit])? {
        return Err(format!("there is no commit {at:?} in this clone").into());
    }
    git(root, &["rev-parse", "--verify", &commit])
}

/// Rejects the name of a module or dependency, because it would be ambiguous in `use` with the crate's name.
fn require_unused_name(root: &Path, commit: &str, names: &ForkNames) -> Result {
    let error = |by: &str| {
        format!(
            "{:?} cannot be the crate's name: {by} has this name",
            names.name
        )
    };
    let lockfile: Lockfile =
        toml::from_str(&git(root, &["show", &format!("{commit}:Cargo.lock")])?)?;
    let mut packages = lockfile.package.iter();
    if packages.any(|package| package.name.replace('-', "_") == names.identifier) {
        return Err(error("a dependency").into());
    }
    let files = git_paths(root, &["ls-tree", "-r", "-z", "--name-only", commit])?;
    let mut modules = files
        .iter()
        .filter(|path| !path.starts_with(ENGINE_FOLDER))
        .filter_map(|path| path.strip_suffix(".rs"))
        .flat_map(|path| path.split('/'));
    if modules.any(|module| module == names.identifier) {
        return Err(error("a module").into());
    }
    Ok(())
}

#[derive(Deserialize)]
struct Lockfile {
    package: Vec<LockedPackage>,
}

#[derive(Deserialize)]
struct LockedPackage {
    name: String,
}

/// Commits the fork's own files. If git can't commit, for example because no committer is configured, the files stay
/// staged, and the reason is returned.
fn commit_fork_files(folder: &Path, record: &TemplateRecord) -> Result<Option<String>> {
    fs::write(folder.join(template_record::FILE), record.to_toml()?)?;
    fs::write(folder.join("CHANGELOG.md"), NEW_CHANGELOG)?;
    git(
        folder,
        &["add", "--force", template_record::FILE, "CHANGELOG.md"],
    )?;
    let message = format!("Start {}", record.title);
    // Without `user.useConfigOnly`, git derives an address from the names of the user and the machine.
    let commit = [
        "-c",
        "user.useConfigOnly=true",
        "commit",
        "--quiet",
        "-m",
        &message,
    ];
    let committed = git(folder, &commit);
    Ok(committed.err().map(|error| error.to_string()))
}

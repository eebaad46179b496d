//! The fork in the current folder.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::git::{git, git_succeeds};
use crate::render::manifest::Manifest;
use crate::template_branch;
use crate::template_record::{self, TemplateRecord};

/// References that exist during an unfinished merge, cherry-pick, revert or rebase.
const UNFINISHED_REFS: [&str; 4] = [
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
];

/// The root of the repository around the current folder.
pub fn repository_root() -> Result<PathBuf> {
    let top = git(Path::new("."), &["rev-parse", "--show-toplevel"]).map_err(
        |_| "this folder is not in a git repository: run `git init` and commit everything",
    )?;
    Ok(fs::canonicalize(top)?)
}

/// Fails if git alone could not undo an update.
///
/// # Errors
/// There is no commit, the history is shallow, no branch is checked out, an operation is unfinished, or there are
/// changes.
pub fn require_ready(root: &Path) -> Result {
    if !git_succeeds(root, &["rev-parse", "--verify", "--quiet", "HEAD"])? {
        return Err("this repository has no commits: run `git add --all` and `git commit`".into());
    }
    if git(root, &["rev-parse", "--is-shallow-repository"])? == "true" {
        return Err("this is a shallow clone: run `git fetch --unshallow`".into());
    }
    for reference in UNFINISHED_REFS {
        if git_succeeds(root, &["rev-parse", "--verify", "--quiet", reference])? {
            return Err("a merge, rebase, cherry-pick or revert is in progress: \
                        complete or abort it first (see `git status`)"
                .into());
        }
    }
    let branch = git(root, &["branch", "--show-current"])?;
    if branch.is_empty() {
        return Err("no branch is checked out: run `git switch BRANCH`".into());
    }
    if branch == template_branch::BRANCH {
        return Err(format!(
            "the branch `{branch}` is only for the template's versions: run `git switch` to your own branch"
        )
        .into());
    }
    require_clean_tree(root)
}

/// Fails if the work tree has changes or untracked files. The message lists them.
pub fn require_clean_tree(root: &Path) -> Result {
    let changes = git(root, &["status", "--porcelain"])?;
    if !changes.is_empty() {
        let changes: Vec<_> = changes.lines().map(|line| format!("\n  {line}")).collect();
        return Err(format!(
            "there are uncommitted changes: commit, stash or ignore them first{}",
            changes.concat()
        )
        .into());
    }
    Ok(())
}

/// The names of a fork without `template.toml`, from its manifest and settings.
pub fn read_names(root: &Path) -> Result<(String, Option<String>, Option<String>)> {
    let read = |file: &str| {
        fs::read_to_string(root.join(file)).map_err(|error| format!("{file}: {error}"))
    };
    let manifest: Manifest =
        toml::from_str(&read("Cargo.toml")?).map_err(|error| format!("Cargo.toml: {error}"))?;
    let settings: toml::Table =
        toml::from_str(&read("Rocket.toml")?).map_err(|error| format!("Rocket.toml: {error}"))?;
    let setting = |key: &str| {
        let app = settings.get("default")?.get("app")?;
        app.get(key)?.as_str().map(str::to_owned)
    };
    Ok((
        manifest.package.name,
        setting("name"),
        setting("token_prefix"),
    ))
}

/// The record, and the commit of the template's state that the fork was made from or last updated to.
///
/// # Errors
/// The fork has no record, or its history does not contain that state.
pub fn base(root: &Path) -> Result<(TemplateRecord, String)> {
    let record = TemplateRecord::read(root)?.ok_or_else(|| {
        format!(
            "there is no {}: register the fork first, with the commit of the template that it was made from: \
             `cargo xtask update --adopt COMMIT --from URL`",
            template_record::FILE
        )
    })?;
    let state = template_branch::find_merged_state(root, &record.commit)?.ok_or_else(|| {
        format!(
            "this branch does not contain the template's version at {0}, perhaps because it was squashed: \
             register it again with `cargo xtask update --adopt {0}`",
            record.commit
        )
    })?;
    Ok((record, state))
}

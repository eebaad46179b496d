//! The branch `template` of a fork. It has one commit for each state of the template that the fork was made from or
//! updated to, and no other commits. Each names the template's commit. Every function fails if git does.

use std::ffi::OsStr;
use std::path::Path;

use crate::Result;
use crate::git::{git, git_succeeds, git_with_env};

pub const BRANCH: &str = "template";
const BRANCH_REF: &str = "refs/heads/template";
/// The trailer of a commit message that names the template's commit.
const TRAILER: &str = "Template-Commit: ";

/// Commits the files in `folder` to `repository` as the state of the template at `commit`, and returns the new commit's
/// id. No branch moves. Author and date are those of the template's commit, so the id is the same on every machine.
pub fn commit_state(
    repository: &Path,
    folder: &Path,
    template: &Path,
    commit: &str,
    parent: Option<&str>,
) -> Result<String> {
    let temp = tempfile::tempdir()?;
    let index = temp.path().join("index");
    let git_folder = git(repository, &["rev-parse", "--absolute-git-dir"])?;
    let environment = [
        ("GIT_DIR", git_folder.as_ref()),
        ("GIT_INDEX_FILE", index.as_os_str()),
        ("GIT_WORK_TREE", folder.as_os_str()),
    ];
    // Forced, because the user's global ignore list must not exclude the template's files.
    let add = ["-c", "core.autocrlf=false", "add", "--all", "--force"];
    git_with_env(folder, &add, &environment)?;
    let tree = git_with_env(folder, &["write-tree"], &environment)?;

    let author = git(template, &["show", "-s", "--format=%an%n%ae%n%aI", commit])?;
    let [name, email, date] = author.lines().collect::<Vec<_>>()[..] else {
        return Err(format!("the template's commit {commit} has no author").into());
    };
    let identity = [
        ("GIT_AUTHOR_NAME", OsStr::new(name)),
        ("GIT_AUTHOR_EMAIL", OsStr::new(email)),
        ("GIT_AUTHOR_DATE", OsStr::new(date)),
        ("GIT_COMMITTER_NAME", OsStr::new(name)),
        ("GIT_COMMITTER_EMAIL", OsStr::new(email)),
        ("GIT_COMMITTER_DATE", OsStr::new(date)),
    ];
    let message = format!("Template at {}\n\n{TRAILER}{commit}\n", short_id(commit));
    let mut args = vec!["commit-tree", "-m", &message, &tree];
    if let Some(parent) = parent {
        args.extend(["-p", parent]);
    }
    git_with_env(repository, &args, &identity)
}

/// The commit on `HEAD` that [`commit_state`] made for a commit of the template.
pub fn find_merged_state(repository: &Path, commit: &str) -> Result<Option<String>> {
    let trailer = format!("--grep=^{TRAILER}{commit}$");
    let id = git(
        repository,
        &["log", "-1", "--topo-order", "--format=%H", &trailer, "HEAD"],
    )?;
    Ok(Some(id).filter(|id| !id.is_empty()))
}

/// The branch's last commit. None if the branch does not exist.
///
/// # Errors
/// The branch contains other commits.
pub fn tip(repository: &Path) -> Result<Option<String>> {
    if !git_succeeds(
        repository,
        &["rev-parse", "--verify", "--quiet", BRANCH_REF],
    )? {
        return Ok(None);
    }
    let id = git(repository, &["rev-parse", BRANCH_REF])?;
    if template_commit(repository, &id)?.is_none() {
        return Err(format!(
            "the branch `{BRANCH}` contains commits that are not from the template: rename it with \
             `git branch -m {BRANCH} OTHER-NAME`"
        )
        .into());
    }
    Ok(Some(id))
}

/// The template's commit that a commit of the branch names.
pub fn template_commit(repository: &Path, id: &str) -> Result<Option<String>> {
    let message = git(repository, &["show", "-s", "--format=%B", id])?;
    let mut lines = message.lines();
    let commit = lines.find_map(|line| line.strip_prefix(TRAILER));
    Ok(commit.map(str::to_owned))
}

/// Moves the branch to `id`, or removes it.
pub fn set_tip(repository: &Path, id: Option<&str>) -> Result {
    match id {
        Some(id) => git(repository, &["update-ref", BRANCH_REF, id])?,
        None => git(repository, &["update-ref", "-d", BRANCH_REF])?,
    };
    Ok(())
}

/// An abbreviated commit id.
pub fn short_id(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

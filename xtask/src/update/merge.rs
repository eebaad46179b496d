//! An uncommitted merge of a state of the template into the fork's branch. Dropping it aborts the merge, so that a
//! failed update changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::Result;
use crate::git::{git, git_paths, git_succeeds};
use crate::render::{ENGINE_FOLDER, cargo_command, lockfile};
use crate::template_branch;
use crate::template_record::{self, TemplateRecord};
use crate::update::deleted;

const LOCKFILE: &str = "Cargo.lock";

pub struct Merge<'a> {
    root: &'a Path,
    /// The previous tip of the branch `template`.
    tip: Option<String>,
    is_kept: bool,
}

/// A file that git could not merge.
pub struct MergeConflict {
    pub path: String,
    pub reason: &'static str,
}

impl<'a> Merge<'a> {
    /// Moves the branch `template` to `state` and merges it without a commit.
    pub fn begin(root: &'a Path, state: &str, message: &str, options: &[&str]) -> Result<Self> {
        let tip = template_branch::tip(root)?;
        template_branch::set_tip(root, Some(state))?;
        let merge = Self {
            root,
            tip,
            is_kept: false,
        };
        // Only identical files count as moved. Otherwise git could take a deleted example for one that was moved to a
        // similar resource of the fork, and merge the example's changes there.
        let args = [
            "merge",
            "--strategy-option=find-renames=100%",
            "--quiet",
            "--no-ff",
            "--no-commit",
            "--no-verify-signatures",
        ];
        let target = ["-m", message, template_branch::BRANCH];
        let result = git(root, &[&args[..], options, &target].concat());
        // Git also fails if there are conflicts.
        if git_succeeds(root, &["rev-parse", "--verify", "--quiet", "MERGE_HEAD"])? {
            return Ok(merge);
        }
        result?;
        Err("git has nothing to merge".into())
    }

    /// Replaces the engine with that of `state`.
    pub fn replace_engine(&self, state: &str) -> Result {
        let unmerged = self.unmerged()?;
        let unmerged = unmerged
            .keys()
            .filter(|path| path.starts_with(ENGINE_FOLDER));
        self.remove_files(unmerged)?;
        let source = format!("--source={state}");
        let restore = [
            "restore",
            &source,
            "--staged",
            "--worktree",
            "--",
            ENGINE_FOLDER,
        ];
        git(self.root, &restore)?;
        Ok(())
    }

    /// Deletes files that the fork deleted since `base` and the template changed, and new files that belong to them.
    /// Returns their paths.
    pub fn keep_deleted(&self, base: &str, state: &str) -> Result<BTreeSet<String>> {
        let mut kept_deleted = deleted::find_returning_files(self.root, base, state)?;
        let unmerged_files = self.unmerged()?.into_iter();
        let changed = unmerged_files.filter(|(_, versions)| *versions == [BASE, THEIRS]);
        kept_deleted.extend(changed.map(|(path, _)| path));
        self.remove_files(kept_deleted.iter())?;
        Ok(kept_deleted)
    }

    /// Merges the packages of both Cargo.lock files, and has cargo resolve Cargo.lock from them. If cargo fails or must
    /// not run, returns the reason, and the file has the merged packages.
    pub fn resolve_lockfile(&self, base: &str, state: &str) -> Result<Option<String>> {
        let version = |commit: &str| git(self.root, &["show", &format!("{commit}:{LOCKFILE}")]);
        let (Ok(ours), Ok(theirs)) = (version("HEAD"), version(state)) else {
            return Ok(None);
        };
        let merged = lockfile::merge(&version(base).unwrap_or_default(), &ours, &theirs);
        fs::write(self.root.join(LOCKFILE), merged)?;
        let conflicts = self.conflicts()?;
        let is_manifest = |conflict: &MergeConflict| conflict.path.ends_with("Cargo.toml");
        let unresolved = if conflicts.iter().any(is_manifest) {
            Some("Cargo.toml has conflicts".to_owned())
        } else if let Some(path) = self.changed_toolchain_files()?.first() {
            Some(format!("{path} has changed: review it first"))
        } else {
            run_cargo_update(self.root)?
        };
        git(self.root, &["add", "--force", LOCKFILE])?;
        Ok(unresolved)
    }

    /// Writes `template.toml`.
    pub fn write_record(&self, record: &TemplateRecord) -> Result {
        fs::write(self.root.join(template_record::FILE), record.to_toml()?)?;
        git(self.root, &["add", "--force", template_record::FILE])?;
        Ok(())
    }

    pub fn conflicts(&self) -> Result<Vec<MergeConflict>> {
        let conflict = |(path, versions): (String, Vec<u8>)| MergeConflict {
            path,
            reason: match versions[..] {
                [BASE, OURS, THEIRS] => "changed in both",
                [BASE, OURS] => "changed here, deleted in the template",
                [OURS, THEIRS] => "added in both",
                _ => "moved: see `git status`",
            },
        };
        Ok(self.unmerged()?.into_iter().map(conflict).collect())
    }

    /// Commits the merge.
    ///
    /// # Errors
    /// Git refuses, for example because a hook fails.
    pub fn commit(mut self) -> Result {
        git(
            self.root,
            &["commit", "--quiet", "--no-edit", "--cleanup=strip"],
        )
        .map_err(|error| format!("nothing was updated, because git refused to commit: {error}"))?;
        self.is_kept = true;
        Ok(())
    }

    /// Keeps the merge for the user to complete or abort.
    pub fn keep(mut self) {
        self.is_kept = true;
    }

    /// Changed files that choose the programs that cargo runs, such as the compiler. The user has not reviewed them.
    fn changed_toolchain_files(&self) -> Result<Vec<String>> {
        let diff = [
            "diff",
            "-z",
            "--name-only",
            "--no-renames",
            "HEAD",
            "--",
            // On a file system that ignores case, cargo finds the file in any case.
            ":(icase).cargo",
            ":(icase)rust-toolchain",
            ":(icase)rust-toolchain.toml",
        ];
        git_paths(self.root, &diff)
    }

    fn remove_files<'b>(&self, paths: impl Iterator<Item = &'b String>) -> Result {
        let paths: Vec<_> = paths.map(String::as_str).collect();
        if !paths.is_empty() {
            let remove = ["rm", "-f", "--quiet", "--ignore-unmatch", "--"];
            git(self.root, &[&remove[..], &paths].concat())?;
        }
        Ok(())
    }

    /// The paths of unmerged files, each with its existing versions.
    fn unmerged(&self) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut unmerged = BTreeMap::<_, Vec<_>>::new();
        for entry in git_paths(self.root, &["ls-files", "--unmerged", "-z"])? {
            if let Some((metadata, path)) = entry.split_once('\t') {
                let version = metadata.bytes().next_back().unwrap_or_default();
                unmerged.entry(path.to_owned()).or_default().push(version);
            }
        }
        Ok(unmerged)
    }
}

impl Drop for Merge<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            // Errors are ignored, because one is already reported. Git does not abort a merge if written files were not
            // added.
            for file in [LOCKFILE, template_record::FILE] {
                let _ = git(self.root, &["add", "--force", "--", file]);
            }
            let _ = git(self.root, &["merge", "--abort"]);
            let _ = template_branch::set_tip(self.root, self.tip.as_deref());
        }
    }
}

// The versions of an unmerged file ("stages" in gitrevisions(7)).
const BASE: u8 = b'1';
const OURS: u8 = b'2';
const THEIRS: u8 = b'3';

/// Has cargo update the lock file, offline if possible. Returns the reason if it failed.
fn run_cargo_update(root: &Path) -> Result<Option<String>> {
    let mut reason = None;
    for offline in [&["--offline"][..], &[]] {
        let update = ["update", "--quiet", "--workspace"];
        let output = cargo_command(root).args(update).args(offline).output()?;
        if output.status.success() {
            return Ok(None);
        }
        let message = String::from_utf8_lossy(&output.stderr);
        reason = message.lines().next().map(str::to_owned);
    }
    Ok(reason.or_else(|| Some("cargo failed without a message".into())))
}

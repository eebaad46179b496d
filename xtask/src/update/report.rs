//! The report of an update, for the user.

use std::collections::BTreeSet;
use std::path::Path;

use crate::eject::ChangedStage;
use crate::git::git_paths;
use crate::render::ENGINE_FOLDER;
use crate::template_branch::short_id;
use crate::update::merge::MergeConflict;
use crate::{Result, printable};

pub struct UpdateReport {
    /// The template's commit before the update.
    pub old: String,
    /// The template's commit after the update.
    pub new: String,
    /// Lines added to the template's changelog. None if its history is shallow.
    pub changelog: Option<Vec<String>>,
    /// Files of the engine whose changes in the fork are discarded.
    pub discarded: Vec<String>,
    /// Files that the template changed or added, and that stay deleted in the fork.
    pub kept_deleted: BTreeSet<String>,
    /// Why cargo could not resolve Cargo.lock.
    pub unresolved_lockfile: Option<String>,
    /// Ejected stages that changed in the engine or were removed from it.
    pub ejected: Vec<ChangedStage>,
    pub conflicts: Vec<MergeConflict>,
}

impl UpdateReport {
    /// Prints the result of a dry run in `copy`.
    pub fn print_dry_run(&self, copy: &Path) -> Result {
        println!("{} would change:", self.range());
        print_changes(copy, &["--cached", "HEAD"])?;
        self.print_details();
        if self.conflicts.is_empty() {
            println!("\nNo conflicts.");
        } else {
            println!("\nThese files would have conflicts:");
            self.print_conflict_list();
        }
        println!("\nNothing was changed.");
        Ok(())
    }

    /// Prints the result of a clean update.
    pub fn print_success(&self, root: &Path) -> Result {
        println!("{} was merged and committed. Changed files:", self.range());
        print_changes(root, &["HEAD^", "HEAD"])?;
        self.print_details();
        println!("\nNext: cargo test. To undo: git reset --hard HEAD^");
        Ok(())
    }

    /// Prints how to resolve the conflicts. Always an error, because the update is incomplete.
    pub fn print_conflicts(&self) -> Result {
        println!("{} was merged, but not committed.", self.range());
        self.print_details();
        println!("\nThese files have conflicts:");
        self.print_conflict_list();
        println!("\nResolve them, then run: git add --all; cargo test; git commit --no-edit");
        println!("To undo: git merge --abort");
        Err("there are conflicts".into())
    }

    fn range(&self) -> String {
        format!(
            "The template from {} to {}",
            short_id(&self.old),
            short_id(&self.new)
        )
    }

    fn print_conflict_list(&self) {
        for MergeConflict { path, reason } in &self.conflicts {
            println!("  {} ({reason})", printable(path));
        }
    }

    fn print_details(&self) {
        if !self.discarded.is_empty() {
            println!("\nYour changes to these files were discarded:");
            for path in &self.discarded {
                println!("  {}", printable(path));
            }
        }
        print_ejected(&self.ejected);
        if !self.kept_deleted.is_empty() {
            println!(
                "\nThe template added or changed these files, which stay deleted in your fork:"
            );
            for path in &self.kept_deleted {
                println!("  {}", printable(path));
            }
        }
        if let Some(reason) = &self.unresolved_lockfile {
            println!(
                "\nCargo.lock could not be updated ({}): run `cargo check` and commit it.",
                printable(reason)
            );
        }
        match &self.changelog {
            None => println!(
                "\nThe template's history before {} is missing. See its changelog for what is new.",
                short_id(&self.old)
            ),
            Some(lines) if lines.iter().all(|line| line.trim().is_empty()) => {}
            Some(lines) => {
                let lines: Vec<_> = lines.iter().map(|line| printable(line)).collect();
                println!(
                    "\nNew in the template's changelog:\n\n{}",
                    lines.join("\n").trim()
                );
            }
        }
    }
}

/// Prints the ejected stages that changed in the engine.
pub fn print_ejected(stages: &[ChangedStage]) {
    for ChangedStage { name, is_removed } in stages {
        let status = if *is_removed {
            "was renamed or removed"
        } else {
            "has changed"
        };
        println!(
            "\nThe engine's version of the ejected stage {name} {status}: see `git log -p -- engine/src/{name}*`. \
             After you copied what you need, run: cargo xtask eject --reviewed {name}"
        );
    }
}

/// Prints the changed files, with the engine as one entry.
fn print_changes(root: &Path, revisions: &[&str]) -> Result {
    let diff = ["diff", "-z", "--name-only", "--no-renames"];
    let changed = git_paths(root, &[&diff[..], revisions].concat())?;
    let (engine, others): (Vec<_>, Vec<_>) = changed
        .iter()
        .partition(|path| path.starts_with(ENGINE_FOLDER));
    for path in others {
        println!("  {}", printable(path));
    }
    match engine.len() {
        0 => {}
        1 => println!("  {ENGINE_FOLDER} (1 file)"),
        files => println!("  {ENGINE_FOLDER} ({files} files)"),
    }
    Ok(())
}

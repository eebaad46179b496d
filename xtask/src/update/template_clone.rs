//! A clone of the template's repository in a temporary folder, which keeps its history out of the fork.

use std::collections::BTreeSet;
use std::path::Path;

use tempfile::TempDir;

use crate::Result;
use crate::git::{git, git_succeeds};
use crate::template_branch::short_id;

const CHANGELOG_FILE: &str = "CHANGELOG.md";

/// A temporary clone of the template's repository.
pub struct TemplateClone {
    folder: TempDir,
    from: String,
}

impl TemplateClone {
    /// Clones from a URL or a path.
    pub fn new(from: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().to_string_lossy();
        let clone = ["clone", "--quiet", "--bare", "--", from, &path];
        git(Path::new("."), &clone)
            .map_err(|error| format!("cannot fetch the template from {from}: {error}"))?;
        Ok(Self {
            folder,
            from: from.to_owned(),
        })
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Resolves a tag, a branch or an abbreviated id to a commit.
    pub fn resolve_commit(&self, revision: &str) -> Result<String> {
        let commit = format!("{revision}^{{commit}}");
        let id = git(
            self.folder(),
            &["rev-parse", "--verify", "--quiet", &commit],
        );
        let message = format!("the template at {} has no commit {revision:?}", self.from);
        Ok(id.map_err(|_| message)?)
    }

    /// Fails unless `new` descends from `old`, because another update would undo changes. A shallow history passes,
    /// because it may lack the commits between the two.
    pub fn require_descendant(&self, old: &str, new: &str) -> Result {
        let is_ancestor = |ancestor: &str, descendant: &str| {
            let args = ["merge-base", "--is-ancestor", ancestor, descendant];
            git_succeeds(self.folder(), &args)
        };
        if is_ancestor(old, new)? {
            return Ok(());
        }
        let (from, old_short, new_short) = (&self.from, short_id(old), short_id(new));
        if is_ancestor(new, old)? {
            return Err(format!(
                "nothing to update: {new_short} is older than {old_short}, the version of this fork"
            )
            .into());
        }
        let shallow = git(self.folder(), &["rev-parse", "--is-shallow-repository"])?;
        if shallow == "true" {
            return Ok(());
        }
        Err(format!(
            "{new_short} at {from} does not descend from {old_short}, the version of this fork. If {from} is the \
             right template, register the fork again with one of its commits: `cargo xtask update --adopt COMMIT`"
        )
        .into())
    }

    /// The lines added to the template's changelog between two commits, below their headings. None if the older commit
    /// is missing.
    pub fn changelog(&self, old: &str, new: &str) -> Result<Option<Vec<String>>> {
        if !git_succeeds(self.folder(), &["cat-file", "-e", old])? {
            return Ok(None);
        }
        let diff = [
            "diff",
            "--unified=0",
            "--no-ext-diff",
            old,
            new,
            "--",
            CHANGELOG_FILE,
        ];
        let diff = git(self.folder(), &diff)?;
        if diff.is_empty() {
            return Ok(Some(vec![]));
        }
        let changelog =
            git(self.folder(), &["show", &format!("{new}:{CHANGELOG_FILE}")]).unwrap_or_default();
        Ok(Some(with_headings(&changelog, &added_lines(&diff))))
    }
}

/// The 1-based numbers of the lines added by a diff without context.
fn added_lines(diff: &str) -> BTreeSet<usize> {
    let hunks = diff.lines().filter(|line| line.starts_with("@@ "));
    // @@ -12,0 +13,2 @@
    let added = hunks.filter_map(|hunk| hunk.split(' ').nth(2)?.strip_prefix('+'));
    added
        .flat_map(|range| {
            let (start, count) = range.split_once(',').unwrap_or((range, "1"));
            let (start, count) = (start.parse().unwrap_or(0), count.parse().unwrap_or(0));
            start..start + count
        })
        .collect()
}

/// The lines with these numbers of a Markdown page, below their headings.
fn with_headings(page: &str, numbers: &BTreeSet<usize>) -> Vec<String> {
    let level = |line: &str| line.chars().take_while(|c| *c == '#').count();
    let mut headings: Vec<&str> = vec![];
    let mut selected = vec![];
    for (number, line) in (1..).zip(page.lines()) {
        if level(line) > 1 {
            headings.retain(|above| level(above) < level(line));
            headings.push(line);
        } else if numbers.contains(&number) && !line.trim().is_empty() {
            selected.extend(headings.drain(..).map(str::to_owned));
            selected.push(line.to_owned());
        }
    }
    selected
}

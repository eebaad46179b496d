//! Updates a fork to a newer version of the template: `cargo xtask update`.
//!
//! The newer version is rendered under the fork's names (`render`), committed to the branch `template`
//! (`template_branch`), and merged with git (`merge`). Each commit of that branch is a state: one version of the
//! template under the fork's names. A clean merge is committed together with `template.toml`. If there are conflicts,
//! the user completes the merge or aborts it.
//!
//! `git merge --abort` restores the fork's files, but the branch `template` keeps the new
//! state. The next update to the same version replaces that state. An update to another version builds on it.
//!
//! The fork's own xtask renders the newer version. The newer version's xtask would have to be compiled first, and would
//! run before anybody has reviewed it. Changes to the rendering therefore take effect one update later.

mod adopt;
mod deleted;
pub mod fork;
mod merge;
mod report;
mod template_clone;

use std::path::Path;

use clap::Args;
use merge::Merge;
use report::UpdateReport;
use tempfile::TempDir;
use template_clone::TemplateClone;

use crate::Result;
use crate::eject;
use crate::git::{git, git_paths, git_succeeds, require_identity};
use crate::render::checkout::TemplateCheckout;
use crate::render::names::{ForkNames, TemplateNames};
use crate::render::{self, ENGINE_FOLDER};
use crate::template_branch::{self, short_id};
use crate::template_record::{self, TemplateRecord};

/// Merges a newer version of the template into this fork.
///
/// Replaces engine/ as a whole and merges everything else with git. Files that the fork deleted stay deleted.
/// Conflicts are left in the files, as with `git merge`. To undo: `git merge --abort`.
#[derive(Args)]
pub struct UpdateOptions {
    /// The template's repository: a path or a URL [default: the URL in template.toml]
    #[arg(long, value_name = "PATH|URL")]
    from: Option<String>,
    /// The commit, tag or branch of the template to update to [default: the repository's HEAD]
    #[arg(long, value_name = "REV")]
    to: Option<String>,
    /// Only print which files would change and which would have conflicts
    #[arg(long)]
    dry_run: bool,
    /// Merge the fork's changes to engine/ with the template's
    #[arg(long, conflicts_with = "replace_engine")]
    merge_engine: bool,
    /// Discard the fork's changes to engine/
    #[arg(long)]
    replace_engine: bool,
    /// Record this commit as the one that the fork was made from, if template.toml is missing or wrong. Changes only
    /// template.toml
    #[arg(long, value_name = "REV", conflicts_with_all = ["to", "dry_run", "merge_engine", "replace_engine"])]
    adopt: Option<String>,
    /// With --adopt: the title that the fork was made with [default: the setting `name`]
    #[arg(long, requires = "adopt")]
    title: Option<String>,
    /// With --adopt: the prefix of tokens that the fork was made with [default: the setting `token_prefix`]
    #[arg(long, requires = "adopt")]
    token_prefix: Option<String>,
}

/// Updates the fork that the current folder is in.
///
/// # Errors
/// The fork can't be updated and nothing has changed, or there are conflicts to resolve.
pub fn run(options: &UpdateOptions) -> Result {
    let root = fork::repository_root()?;
    fork::require_ready(&root)?;
    if let Some(revision) = &options.adopt {
        return adopt::run(&root, revision, options);
    }
    let (record, base) = fork::base(&root)?;
    let source_url = source_url(options, record.from.as_deref())?;
    let template_clone = TemplateClone::new(&source_url)?;
    let new = template_clone.resolve_commit(options.to.as_deref().unwrap_or("HEAD"))?;
    if new == record.commit {
        println!(
            "Already up to date with the template at {}.",
            short_id(&new)
        );
        report::print_ejected(&eject::changed_stages(&root, &record)?);
        return Ok(());
    }
    template_clone.require_descendant(&record.commit, &new)?;
    let engine_changes = engine_changes(&root, &base)?;
    if !options.merge_engine && !options.replace_engine {
        require_unchanged_engine(&engine_changes)?;
    }
    if !options.dry_run {
        require_identity(&root)?;
    }
    let template_names = TemplateNames::read(template_clone.folder())?;
    let (name, title) = (record.name.clone(), Some(record.title.clone()));
    let names = ForkNames::new(
        template_names,
        name,
        title,
        Some(record.token_prefix.clone()),
    )?;
    let rendered = tempfile::tempdir()?;
    render::render(
        &TemplateCheckout::new(template_clone.folder(), &new)?,
        &names,
        rendered.path(),
    )?;

    // A dry run updates a copy.
    let copy = options.dry_run.then(|| clone_fork(&root)).transpose()?;
    let root = copy.as_ref().map_or(&*root, TempDir::path);
    let parent = state_parent(root, &base, &new)?;
    let state = template_branch::commit_state(
        root,
        rendered.path(),
        template_clone.folder(),
        &new,
        Some(&parent),
    )?;
    let message = format!("Update from the template at {}", short_id(&new));
    let merge = Merge::begin(root, &state, &message, &[])?;
    if !options.merge_engine {
        merge.replace_engine(&state)?;
    }
    let report = UpdateReport {
        old: record.commit.clone(),
        new: new.clone(),
        changelog: template_clone.changelog(&record.commit, &new)?,
        discarded: if options.replace_engine {
            engine_changes
        } else {
            vec![]
        },
        kept_deleted: merge.keep_deleted(&base, &state)?,
        unresolved_lockfile: merge.resolve_lockfile(&base, &state)?,
        ejected: eject::changed_stages(root, &record)?,
        conflicts: merge.conflicts()?,
    };
    merge.write_record(&TemplateRecord {
        commit: new,
        from: url_to_record(options, record.from.clone()),
        ..record
    })?;
    if options.dry_run {
        report.print_dry_run(root)
    } else if report.conflicts.is_empty() {
        merge.commit()?;
        report.print_success(root)
    } else {
        merge.keep();
        report.print_conflicts()
    }
}

/// The template's repository.
fn source_url(options: &UpdateOptions, recorded: Option<&str>) -> Result<String> {
    let url = options.from.as_deref().or(recorded);
    url.map(str::to_owned).ok_or_else(|| {
        "template.toml has no URL of the template: name the repository with --from PATH|URL".into()
    })
}

/// The URL for template.toml: the option `--from`, or the recorded URL if the option is a local path.
fn url_to_record(options: &UpdateOptions, recorded: Option<String>) -> Option<String> {
    let given = options
        .from
        .as_deref()
        .and_then(template_record::recordable_url);
    given.or(recorded)
}

fn engine_changes(root: &Path, base: &str) -> Result<Vec<String>> {
    let diff = ["diff", "-z", "--name-only", "--no-renames"];
    git_paths(
        root,
        &[&diff[..], &[base, "HEAD", "--", ENGINE_FOLDER]].concat(),
    )
}

/// Fails if the fork changed the engine.
fn require_unchanged_engine(changed: &[String]) -> Result {
    if changed.is_empty() {
        return Ok(());
    }
    let changed: Vec<_> = changed.iter().map(|path| format!("\n  {path}")).collect();
    Err(format!(
        "this fork has changed the engine. Merge its changes with --merge-engine, or discard them with \
         --replace-engine:{}",
        changed.concat()
    )
    .into())
}

/// A clone of the fork in a temporary folder.
fn clone_fork(root: &Path) -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let (source, target) = (root.to_string_lossy(), folder.path().to_string_lossy());
    let clone = ["clone", "--quiet", "--no-tags", "--", &source, &target];
    git(root, &clone)?;
    // Git requires an identity, even with `--no-commit`.
    git(folder.path(), &["config", "user.name", "Trial"])?;
    git(folder.path(), &["config", "user.email", "trial@localhost"])?;
    if let Some(tip) = template_branch::tip(root)? {
        template_branch::set_tip(folder.path(), Some(&tip))?;
    }
    Ok(folder)
}

/// The parent of the next state on the branch `template`: the branch's tip, or the tip's parent if an aborted update
/// left a tip for the same commit of the template. Without a branch, or if that parent does not descend from `base`:
/// `base`, the state that the fork last merged.
fn state_parent(root: &Path, base: &str, new: &str) -> Result<String> {
    let Some(tip) = template_branch::tip(root)? else {
        return Ok(base.to_owned());
    };
    let parent = if template_branch::template_commit(root, &tip)?.as_deref() == Some(new) {
        git(root, &["rev-parse", &format!("{tip}^")])?
    } else {
        tip
    };
    if git_succeeds(root, &["merge-base", "--is-ancestor", base, &parent])? {
        Ok(parent)
    } else {
        Ok(base.to_owned())
    }
}

//! Registers a fork whose `template.toml` is missing or wrong.

use std::path::Path;

use crate::Result;
use crate::git::{git_paths, require_identity};
use crate::render;
use crate::render::checkout::TemplateCheckout;
use crate::render::names::{ForkNames, TemplateNames};
use crate::template_branch::{self, short_id};
use crate::template_record::TemplateRecord;
use crate::update::merge::Merge;
use crate::update::template_clone::TemplateClone;
use crate::update::{UpdateOptions, fork};

/// Merges the template's state at `revision` without changing any file, so that git knows the base of the next merge.
///
/// # Errors
/// The fork can't be registered. Nothing has changed.
pub fn run(root: &Path, revision: &str, options: &UpdateOptions) -> Result {
    let record = TemplateRecord::read(root)?;
    let (name, title, prefix) = match &record {
        Some(record) => {
            let (title, prefix) = (record.title.clone(), record.token_prefix.clone());
            (record.name.clone(), Some(title), Some(prefix))
        }
        None => fork::read_names(root)?,
    };
    let (from, ejected) =
        record.map_or_else(Default::default, |record| (record.from, record.ejected));
    let url = super::source_url(options, from.as_deref())?;
    require_identity(root)?;
    let template_clone = TemplateClone::new(&url)?;
    let commit = template_clone.resolve_commit(revision)?;
    let template_names = TemplateNames::read(template_clone.folder())?;
    if template_names.name() == name {
        return Err("this is the template, not a fork of it".into());
    }
    let title = options.title.clone().or(title);
    let prefix = options.token_prefix.clone().or(prefix);
    let names = ForkNames::new(template_names, name, title, prefix)?;

    let rendered = tempfile::tempdir()?;
    render::render(
        &TemplateCheckout::new(template_clone.folder(), &commit)?,
        &names,
        rendered.path(),
    )?;
    let tip = template_branch::tip(root)?;
    let state = template_branch::commit_state(
        root,
        rendered.path(),
        template_clone.folder(),
        &commit,
        tip.as_deref(),
    )?;
    let message = format!("Register the template at {}", short_id(&commit));
    let without_changes = ["--strategy=ours", "--allow-unrelated-histories"];
    let merge = Merge::begin(root, &state, &message, &without_changes)?;
    let record = TemplateRecord {
        commit,
        from: super::url_to_record(options, from),
        name: names.name,
        title: names.title,
        token_prefix: names.prefix,
        ejected,
    };
    merge.write_record(&record)?;
    merge.commit()?;

    let files = git_paths(root, &["ls-tree", "-r", "-z", "--name-only", &state])?;
    let diff_args = ["diff", "-z", "--name-only", "--no-renames", "--diff-filter"];
    let count = |filter: &str| -> Result<usize> {
        let diff = [&diff_args[..], &[filter, &state, "HEAD"]].concat();
        Ok(git_paths(root, &diff)?.len())
    };
    println!(
        "This fork, {} (\"{}\", {}_), is registered with the template at {}. Of the template's {} files, {} are \
         changed here and {} deleted.",
        record.name,
        record.title,
        record.token_prefix,
        short_id(&record.commit),
        files.len(),
        count("MT")?,
        count("D")?
    );
    println!(
        "If these numbers are higher than expected, the fork was made from another commit or with other names. Run \
         `git reset --hard HEAD^` and try again."
    );
    Ok(())
}

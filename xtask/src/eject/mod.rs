//! Copies a stage's handlers into `src/`: `cargo xtask eject api/session`.
//!
//! The engine stays unchanged. In the copied files, Rust paths begin with the engine's name instead of `crate`, and
//! `src/lib.rs` attaches the copy instead of the engine's stage (`wiring`). A stage uses only the engine's public API
//! and no other stage, which `tests/architecture/public.rs` checks. All changes are computed before the first is written.
//! `template.toml` records the source of the copy, so that an update can report when it changed.

mod dependencies;
mod stage;
mod wiring;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use stage::Stage;

use crate::Result;
use crate::git::git;
use crate::rustfmt::Style;
use crate::template_record::{self, TemplateRecord};
use crate::update::fork::{repository_root, require_clean_tree};

const LIB_RS: &str = "src/lib.rs";
const MANIFEST: &str = "Cargo.toml";
const LOCKFILE: &str = "Cargo.lock";

/// Copies the handlers of stages into src/, where you can change them.
///
/// Copies a stage's files from the engine, such as engine/src/api/session.rs to src/api_session.rs, and attaches the
/// copy in src/lib.rs. The engine keeps the code that checks tokens and passwords. Updates of the template no longer
/// change these handlers, and report when the engine's version has changed.
#[derive(Args)]
pub struct EjectOptions {
    /// The stages, such as api/session
    #[arg(value_name = "STAGE", required_unless_present = "list")]
    stages: Vec<String>,
    /// List the stages that can be ejected
    #[arg(long, conflicts_with_all = ["stages", "reviewed"])]
    list: bool,
    /// Record that you reviewed the engine's changes to these ejected stages, without ejecting anything
    #[arg(long)]
    reviewed: bool,
}

/// Ejects stages of the fork that the current folder is in.
///
/// # Errors
/// The stages can't be ejected. Nothing has changed.
pub fn run(options: &EjectOptions) -> Result {
    let root = repository_root()?;
    if options.list {
        return list(&root);
    }
    let mut record = TemplateRecord::read(&root)?.ok_or_else(|| {
        format!(
            "there is no {}, so this is not a fork made with `cargo xtask fork`. Register a fork that was made by hand \
             with `cargo xtask update --adopt COMMIT --from URL`",
            template_record::FILE
        )
    })?;
    if options.reviewed {
        require_clean_tree(&root)?;
        return mark_reviewed(&root, record, &options.stages);
    }
    let mut stages = vec![];
    for name in &options.stages {
        let stage = Stage::find(&root, name)?;
        if !stages.contains(&stage) {
            stages.push(stage);
        }
    }
    require_clean_tree(&root)?;
    let mut ejection = Ejection::new(&root)?;
    for stage in &stages {
        ejection.add_stage(stage, &record)?;
        record.ejected.insert(stage.name(), stage.digest()?);
    }
    ejection.write(&record.to_toml()?)?;
    git(
        &root,
        &[
            "add",
            "--",
            "src",
            MANIFEST,
            LOCKFILE,
            template_record::FILE,
        ],
    )?;
    for stage in &stages {
        println!("Ejected {} to {}.", stage.name(), stage.target());
    }
    println!(
        "The changes are staged. Review them with `git diff --staged` and run `cargo test`. To undo: git reset --hard"
    );
    Ok(())
}

fn list(root: &Path) -> Result {
    let record = TemplateRecord::read(root)?;
    let is_ejected = |name: &str| {
        let record = record.as_ref();
        record.is_some_and(|record| record.ejected.contains_key(name))
    };
    for stage in Stage::all(root)? {
        let name = stage.name();
        let mark = if is_ejected(&name) { " (ejected)" } else { "" };
        println!("{name:<16}  {}{mark}", stage.summary()?);
    }
    Ok(())
}

/// Records the current digests of ejected stages in the engine. Removes the entries of stages that it no longer has.
fn mark_reviewed(root: &Path, mut record: TemplateRecord, names: &[String]) -> Result {
    let stages = Stage::all(root)?;
    for name in names.iter().collect::<BTreeSet<_>>() {
        if !record.ejected.contains_key(name) {
            return Err(format!("{name} is not ejected: see {}", template_record::FILE).into());
        }
        match stages.iter().find(|stage| stage.name() == *name) {
            Some(stage) => record.ejected.insert(name.clone(), stage.digest()?),
            None => record.ejected.remove(name),
        };
    }
    fs::write(root.join(template_record::FILE), record.to_toml()?)?;
    for name in names
        .iter()
        .filter(|name| !record.ejected.contains_key(*name))
    {
        println!(
            "The engine no longer has the stage {name}. Your copy stays, and its entry was removed."
        );
    }
    println!(
        "{} now records the engine's current version of these stages. Commit it.",
        template_record::FILE
    );
    Ok(())
}

/// An ejected stage whose source in the engine differs from the recorded one.
pub struct ChangedStage {
    pub name: String,
    /// Whether the engine no longer has the stage.
    pub is_removed: bool,
}

/// The changed stages of the fork at `root`.
pub fn changed_stages(root: &Path, record: &TemplateRecord) -> Result<Vec<ChangedStage>> {
    let stages = Stage::all(root)?;
    let mut changed = vec![];
    for (name, digest) in &record.ejected {
        let stage = stages.iter().find(|stage| stage.name() == *name);
        let current = stage.map(Stage::digest).transpose()?;
        if current.as_ref() != Some(digest) {
            changed.push(ChangedStage {
                name: name.clone(),
                is_removed: current.is_none(),
            });
        }
    }
    Ok(changed)
}

/// The changed and new files of an ejection.
struct Ejection<'a> {
    root: &'a Path,
    lib_rs: String,
    manifest: String,
    /// New files, with their paths from the root.
    files: Vec<(PathBuf, String)>,
}

impl<'a> Ejection<'a> {
    fn new(root: &'a Path) -> Result<Self> {
        let read = |file: &str| {
            fs::read_to_string(root.join(file)).map_err(|error| format!("{file}: {error}"))
        };
        Ok(Self {
            root,
            lib_rs: read(LIB_RS)?,
            manifest: read(MANIFEST)?,
            files: vec![],
        })
    }

    fn add_stage(&mut self, stage: &Stage, record: &TemplateRecord) -> Result {
        let name = stage.name();
        if record.ejected.contains_key(&name) {
            return Err(format!("{name} is already ejected: see {}", stage.target()).into());
        }
        self.lib_rs = wiring::attach_ejected(&self.lib_rs, stage)?;
        let mut code = String::new();
        for (path, text) in stage.sources()? {
            let path = Path::new("src").join(path);
            if self.root.join(&path).exists() {
                return Err(
                    format!("{} already exists: rename or remove it", path.display()).into(),
                );
            }
            let text = with_token_prefix(&with_engine_paths(&text), &record.token_prefix);
            code.push_str(&text);
            let text = format_file(&path, &text)?;
            self.files.push((path, text));
        }
        self.manifest = dependencies::with_missing(&self.manifest, self.root, &code)?;
        Ok(())
    }

    /// Writes everything, or nothing if a write fails.
    fn write(mut self, record: &str) -> Result {
        self.lib_rs = format_file(Path::new(LIB_RS), &self.lib_rs)?;
        self.write_files(record).map_err(|error| {
            let checkout = [
                "checkout",
                "--quiet",
                "--",
                LIB_RS,
                MANIFEST,
                LOCKFILE,
                template_record::FILE,
            ];
            let restored = git(self.root, &checkout);
            for (path, _) in &self.files {
                // Fails if the file was not written yet.
                let _ = fs::remove_file(self.root.join(path));
                let _ = path
                    .parent()
                    .map(|folder| fs::remove_dir(self.root.join(folder)));
            }
            match restored {
                Ok(_) => format!("{error}. Nothing was changed.").into(),
                Err(reason) => format!(
                    "{error}. The changes could not be undone ({reason}): run `git reset --hard`"
                )
                .into(),
            }
        })
    }

    fn write_files(&self, record: &str) -> Result {
        for (path, text) in &self.files {
            let path = self.root.join(path);
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(path, text)?;
        }
        fs::write(self.root.join(LIB_RS), &self.lib_rs)?;
        fs::write(self.root.join(MANIFEST), &self.manifest)?;
        fs::write(self.root.join(template_record::FILE), record)?;
        dependencies::update_lockfile(self.root)
    }
}

/// Gives the example tokens of the engine's code the application's prefix. The template's prefix is not written here,
/// because a fork replaces it in this file, too, but not in the engine.
fn with_token_prefix(code: &str, prefix: &str) -> String {
    const SECRET: &str = "_0123456789";
    let mut rest = code;
    let mut replaced = String::new();
    while let Some((before, after)) = rest.split_once(SECRET) {
        let end = before.rfind('"').map_or(before.len(), |quote| quote + 1);
        replaced.extend([&before[..end], prefix, SECRET]);
        rest = after;
    }
    replaced + rest
}

/// The code with the engine's name instead of `crate` in paths.
fn with_engine_paths(code: &str) -> String {
    let (mut text, mut rest) = (String::new(), code);
    while let Some((before, after)) = rest.split_once("crate::") {
        text.push_str(before);
        // `crate::` may be the end of another name.
        let is_path_start = !text.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        text.push_str(if is_path_start {
            "rocket_multitoken::"
        } else {
            "crate::"
        });
        rest = after;
    }
    text + rest
}

fn format_file(path: &Path, text: &str) -> Result<String> {
    let formatted = Style::default().format(text);
    formatted.map_err(|error| format!("{}: {error}", path.display()).into())
}

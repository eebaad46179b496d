//! The engine's stages that can be ejected, and their sources.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::Result;

/// The engine's folders of stages.
const AREAS: [&str; 3] = ["api", "admin", "account"];
/// Modules with security-critical code. A copy would miss security fixes.
const CORE_MODULES: [&str; 4] = ["auth", "models", "password", "secret"];

/// A stage: a file in one of the engine's areas with a function `stage`, and the files in the folder of the same name.
#[derive(PartialEq, Eq)]
pub struct Stage {
    engine: PathBuf,
    /// Such as `api`.
    pub area: &'static str,
    /// Such as `session`.
    pub subject: String,
}

impl Stage {
    /// The stages of the engine in the project at `root`, sorted by name.
    pub fn all(root: &Path) -> Result<Vec<Self>> {
        let engine = root.join("engine/src");
        let mut stages = vec![];
        for area in AREAS {
            let Ok(entries) = fs::read_dir(engine.join(area)) else {
                continue;
            };
            for entry in entries {
                let path = entry?.path();
                let subject = path.file_stem().and_then(|stem| stem.to_str());
                let subject = subject.unwrap_or_default().to_owned();
                let is_module =
                    path.extension().is_some_and(|extension| extension == "rs") && subject != "mod";
                if is_module && fs::read_to_string(&path)?.contains("\npub fn stage() -> AdHoc") {
                    stages.push(Self {
                        engine: engine.clone(),
                        area,
                        subject,
                    });
                }
            }
        }
        stages.sort_by_key(Self::name);
        Ok(stages)
    }

    /// Finds a stage by name.
    ///
    /// # Errors
    /// The stage does not exist or can't be ejected. The message lists the stages that can.
    pub fn find(root: &Path, name: &str) -> Result<Self> {
        let mut stages = Self::all(root)?;
        if let Some(index) = stages.iter().position(|stage| stage.name() == name) {
            return Ok(stages.swap_remove(index));
        }
        let names: Vec<_> = stages.iter().map(Self::name).collect();
        let area = name.split(['/', ':']).next().unwrap_or_default();
        let reason = if CORE_MODULES.contains(&area) {
            "cannot be ejected: it protects users and tokens, and must get the template's fixes"
        } else {
            "is not a stage"
        };
        Err(format!(
            "{name} {reason}. These can be ejected: {}",
            names.join(", ")
        )
        .into())
    }

    /// Such as `api/session`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.area, self.subject)
    }

    /// The name of the ejected module, such as `api_session`. The prefix avoids conflicts.
    pub fn module(&self) -> String {
        format!("{}_{}", self.area, self.subject)
    }

    /// The path of the ejected module.
    pub fn target(&self) -> String {
        format!("src/{}.rs", self.module())
    }

    /// The first sentence of the stage's documentation.
    pub fn summary(&self) -> Result<String> {
        let file = self
            .engine
            .join(self.area)
            .join(format!("{}.rs", self.subject));
        let text = fs::read_to_string(file)?;
        let lines = text.lines().map_while(|line| line.strip_prefix("//! "));
        let doc = lines.collect::<Vec<_>>().join(" ").replace('`', "");
        let sentence = doc.split(". ").next().unwrap_or_default();
        Ok(sentence.trim_end_matches('.').to_owned())
    }

    /// The stage's files, with their paths below `src` after ejecting.
    pub fn sources(&self) -> Result<Vec<(PathBuf, String)>> {
        let folder = self.engine.join(self.area).join(&self.subject);
        let mut files = vec![folder.with_extension("rs")];
        if folder.is_dir() {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    return Err(format!(
                        "{} is a nested folder, which cannot be ejected",
                        path.display()
                    )
                    .into());
                }
                files.push(path);
            }
        }
        files.sort();
        let target = PathBuf::from(self.module());
        let sources = files.into_iter().map(|path| {
            let text = fs::read_to_string(&path)?;
            let path = match path.strip_prefix(&folder) {
                Ok(relative) => target.join(relative),
                Err(_) => target.with_extension("rs"),
            };
            Ok((path, text))
        });
        sources.collect()
    }

    /// The SHA-256 of the stage's files and their names.
    pub fn digest(&self) -> Result<String> {
        let mut hash = Sha256::new();
        for (path, text) in self.sources()? {
            let name = path.to_string_lossy().replace('\\', "/");
            for field in [name, text.replace("\r\n", "\n")] {
                hash.update(field.len().to_be_bytes());
                hash.update(field);
            }
        }
        let bytes: [u8; 32] = hash.finalize().into();
        Ok(bytes.map(|byte| format!("{byte:02x}")).concat())
    }
}

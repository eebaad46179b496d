//! `template.toml`: the record of the template that a fork was made from, and of ejected stages.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Result;

/// The path from the root.
pub const FILE: &str = "template.toml";

/// The content of `template.toml`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateRecord {
    /// The template's commit that the fork was made from or last updated to.
    pub commit: String,
    /// The URL of the template's repository. None if the forked clone had none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The package's name, such as `acme-portal`.
    pub name: String,
    /// The title, such as `Acme Portal`.
    pub title: String,
    /// The prefix of tokens, such as `ap`.
    pub token_prefix: String,
    /// The ejected stages, such as `api/session`, with the SHA-256 of the engine's source of each at that time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ejected: BTreeMap<String, String>,
}

impl TemplateRecord {
    /// Reads the file of the project at `root`, if there is one.
    ///
    /// # Errors
    /// The file can't be read or is invalid.
    pub fn read(root: &Path) -> Result<Option<Self>> {
        let path = root.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).map_err(|error| format!("{FILE}: {error}"))?;
        Ok(Some(
            toml::from_str(&text).map_err(|error| format!("{FILE}: {error}"))?,
        ))
    }

    /// The content of the file.
    pub fn to_toml(&self) -> Result<String> {
        Ok(toml::to_string(self)?)
    }
}

/// The address of a repository as it may be recorded: a URL without the user's password. None for a local path.
pub fn recordable_url(from: &str) -> Option<String> {
    if from.starts_with("file:") {
        return None;
    }
    if let Some((scheme, rest)) = from.split_once("://") {
        let (authority, path) = rest.split_once('/')?;
        let host = authority.rsplit('@').next()?;
        // The user name in an ssh URL is not secret.
        let user = if scheme.contains("ssh") {
            authority.strip_suffix(host)?.split(':').next()?
        } else {
            ""
        };
        let user = user.trim_end_matches('@');
        let at = if user.is_empty() { "" } else { "@" };
        return Some(format!("{scheme}://{user}{at}{host}/{path}"));
    }
    // As in `git@example.com:acme/template.git`, but not `C:\template`.
    let (host, _) = from.split_once(':')?;
    (host.len() > 1 && !host.contains(['/', '\\'])).then(|| from.to_owned())
}

//! Formats Rust with rustfmt, over standard input and output.
//!
//! rustfmt runs outside the project's folder. Inside it, `cargo fmt` and rustup would follow the template's settings,
//! which can name any program to run.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;

/// The edition and the style of a package.
pub struct Style {
    edition: String,
    config: Option<PathBuf>,
}

/// The style of this project.
impl Default for Style {
    fn default() -> Self {
        Self {
            edition: "2024".into(),
            config: None,
        }
    }
}

impl Style {
    /// The style of the package in `folder`.
    ///
    /// # Errors
    /// The package's manifest is invalid.
    pub fn of_package(folder: &Path) -> Result<Self> {
        let manifest = fs::read_to_string(folder.join("Cargo.toml"))?;
        let manifest: toml::Table = toml::from_str(&manifest)?;
        let package = manifest.get("package");
        let edition = package.and_then(|package| package.get("edition")?.as_str());
        let configs = ["rustfmt.toml", ".rustfmt.toml"].map(|name| folder.join(name));
        Ok(Self {
            // Cargo's default.
            edition: edition.unwrap_or("2015").to_owned(),
            config: configs.into_iter().find(|path| path.exists()),
        })
    }

    /// Formats Rust code.
    ///
    /// # Errors
    /// The text is not Rust code, or rustfmt is missing.
    pub fn format(&self, text: &str) -> Result<String> {
        let mut command = Command::new("rustfmt");
        command.args(["--quiet", "--edition", &self.edition]);
        if let Some(config) = &self.config {
            command.arg("--config-path").arg(config);
        }
        // From standard input, because for a file rustfmt would also look for the modules that it declares.
        let spawned = command
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut rustfmt = match spawned {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err("rustfmt is not installed: run `rustup component add rustfmt`".into());
            }
            result => result?,
        };
        if let Some(mut input) = rustfmt.stdin.take() {
            input.write_all(text.as_bytes())?;
        }
        let output = rustfmt.wait_with_output()?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr);
            return Err(format!("rustfmt: {}", message.trim()).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

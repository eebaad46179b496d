//! Developer commands: `cargo xtask --help`. They are not part of the application's binary.

// Developer commands may panic.
#![allow(clippy::unwrap_used)]

mod eject;
// fork: drop
mod fork;
// fork: keep
mod git;
mod load;
mod template_branch;
// Shared with the tests: finds installed binaries.
#[allow(dead_code)]
#[path = "../../engine/tests/support/needs.rs"]
mod needs;
mod render;
mod resource;
mod rustfmt;
mod template_record;
mod timing;
mod update;

use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::LazyLock;

use clap::Parser;
use serde_json::Value;

/// The result of a command, or of one of its steps.
pub type Result<T = (), E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// The workspace's folder.
pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
enum Xtask {
    // fork: drop
    /// Create your own project from this clone, with its own name and folder
    Fork(fork::ForkOptions),
    // fork: keep
    /// Update this fork to a newer version of the template
    Update(update::UpdateOptions),
    /// Copy a stage's handlers from the engine into src/
    Eject(eject::EjectOptions),
    /// Add a resource with a table, a JSON API, admin pages and tests, or remove one
    Resource(resource::ResourceOptions),
    /// Measure the release build under load and compare the results with their targets
    Load(load::LoadOptions),
    /// Measure whether response times reveal that a user exists
    Timing(timing::TimingOptions),
}

fn main() -> ExitCode {
    let result = match Xtask::parse() {
        // fork: drop
        Xtask::Fork(options) => fork::run(options),
        // fork: keep
        Xtask::Update(options) => update::run(&options),
        Xtask::Eject(options) => eject::run(&options),
        Xtask::Resource(options) => resource::run(options),
        Xtask::Load(options) => load::run(&options),
        Xtask::Timing(options) => timing::run(&options)
            .then_some(())
            .ok_or_else(|| "response times differ".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error = error.to_string();
            let lines: Vec<_> = error.lines().map(printable).collect();
            eprintln!("error: {}", lines.join("\n"));
            ExitCode::FAILURE
        }
    }
}

/// Untrusted text for a terminal, without control characters that could move the cursor or hide text.
pub fn printable(line: &str) -> String {
    let is_printable = |c: &char| !c.is_control() || *c == '\t';
    line.chars().filter(is_printable).collect()
}

/// The application's release binary, rebuilt if anything changed.
pub fn release_binary() -> &'static PathBuf {
    static BINARY: LazyLock<PathBuf> = LazyLock::new(|| build_release(&[]));
    &BINARY
}

/// The release binary of these commands, rebuilt if anything changed.
pub fn release_xtask() -> &'static PathBuf {
    static BINARY: LazyLock<PathBuf> = LazyLock::new(|| build_release(&["--package", "xtask"]));
    &BINARY
}

fn build_release(package: &[&str]) -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--release"])
        .args(package)
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(ROOT)
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let artifacts = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut executables =
        artifacts.filter_map(|artifact| artifact["executable"].as_str().map(PathBuf::from));
    executables.next().unwrap()
}

//! Runs git.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Output};

use crate::Result;

/// Overrides for settings of the user that change git's output.
const CONFIG_OVERRIDES: [&str; 6] = [
    "-c",
    "color.ui=false",
    "-c",
    "core.quotePath=false",
    "-c",
    "log.showSignature=false",
];

/// Environment variables that select another repository, for example in a hook. They are removed.
const REPOSITORY_VARIABLES: [&str; 6] = [
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
];

/// Runs git in `folder` and returns its output without the trailing newline.
///
/// # Errors
/// Git is not installed or fails. The last line of its message is the reason.
pub fn git<S: AsRef<OsStr>>(folder: &Path, args: &[S]) -> Result<String> {
    git_with_env(folder, args, &[])
}

/// Runs git with environment variables.
pub fn git_with_env<S: AsRef<OsStr>>(
    folder: &Path,
    args: &[S],
    environment: &[(&str, &OsStr)],
) -> Result<String> {
    let output = run(folder, args, environment)?;
    if output.status.success() {
        let stdout = String::from_utf8(output.stdout)?;
        return Ok(stdout.trim_end_matches(['\r', '\n']).to_owned());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    let reason = message.trim_end().lines().next_back();
    Err(reason.unwrap_or("git failed without a message").into())
}

/// Whether git succeeds, for commands whose result is their exit code.
pub fn git_succeeds(folder: &Path, args: &[&str]) -> Result<bool> {
    Ok(run(folder, args, &[])?.status.success())
}

/// The paths that git lists with `-z`.
pub fn git_paths(folder: &Path, args: &[&str]) -> Result<Vec<String>> {
    let output = git(folder, args)?;
    Ok(output.split_terminator('\0').map(str::to_owned).collect())
}

/// Fails if no committer is configured. Otherwise git would derive an address from the names of the user and the
/// machine.
pub fn require_identity(folder: &Path) -> Result {
    let args = [
        "-c",
        "user.useConfigOnly=true",
        "var",
        "GIT_COMMITTER_IDENT",
    ];
    git(folder, &args).map_err(|_| {
        "git has no name and email for commits: run `git config --global user.name \"Your Name\"` and \
         `git config --global user.email you@example.com`"
    })?;
    Ok(())
}

fn run<S: AsRef<OsStr>>(
    folder: &Path,
    args: &[S],
    environment: &[(&str, &OsStr)],
) -> Result<Output> {
    let mut command = Command::new("git");
    for variable in REPOSITORY_VARIABLES {
        command.env_remove(variable);
    }
    // Commands such as `git status` must not change the index.
    command.env("GIT_OPTIONAL_LOCKS", "0");
    command
        .args(CONFIG_OVERRIDES)
        .args(args)
        .current_dir(folder);
    command.envs(environment.iter().copied());
    match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => Err("git is not installed".into()),
        result => Ok(result?),
    }
}

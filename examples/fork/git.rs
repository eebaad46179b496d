//! What git is asked.

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

use crate::Outcome;

/// By these a hook, say, points git at a repository; ours is the folder's own.
const ELSEWHERE: [&str; 6] = [
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_WORK_TREE",
];

/// What git writes to stdout when it is run in `folder`.
///
/// # Errors
/// It is not installed, or fails; the last line that it says is the reason.
pub fn git(folder: &Path, args: &[&str]) -> Outcome<String> {
    let mut command = Command::new("git");
    for variable in ELSEWHERE {
        command.env_remove(variable);
    }
    let output = match command.args(args).current_dir(folder).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err("git is not installed".into());
        }
        other => other?,
    };
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let reason = said.trim_end().lines().next_back();
    Err(reason.unwrap_or("git failed and does not say why").into())
}

/// Begins a history with what is in `folder`. Where git can't commit, all is staged, and the reason is
/// given: it knows nobody's name, say.
pub fn begin(folder: &Path, title: &str) -> Outcome<Option<String>> {
    git(folder, &["init", "--quiet", "--initial-branch=main"])?;
    // What is tracked here is tracked there, whatever the user's own rules ignore.
    git(folder, &["add", "--all", "--force"])?;
    let message = format!("Start {title}");
    // Else git makes up an address from the names of user and machine.
    let of_somebody = ["-c", "user.useConfigOnly=true"];
    let commit = ["commit", "--quiet", "-m", &message];
    let committed = git(folder, &[&of_somebody[..], &commit].concat());
    Ok(committed.err().map(|error| error.to_string()))
}

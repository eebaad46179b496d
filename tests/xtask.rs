//! `cargo xtask`, built with the tests' profile and run on copies of this project.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::needs;
use crate::support::server::{stderr, stdout};
use crate::{PROGRAM, ROOT};

/// The path of the binary.
pub fn program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let profile = Path::new(PROGRAM).parent().unwrap();
        let name = profile.file_name().unwrap().to_str().unwrap();
        let output = cargo(Path::new(ROOT))
            .args(["build", "--locked", "--offline", "--package", "xtask"])
            .args(["--message-format", "json-render-diagnostics", "--profile"])
            .arg(if name == "debug" { "dev" } else { name })
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let printed = stdout(&output);
        let mut printed = printed
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let built = printed
            .find(|one: &Value| one["target"]["name"] == "xtask" && one["executable"].is_string());
        built.unwrap()["executable"].as_str().unwrap().into()
    })
}

/// Runs it for the project at `root`.
pub fn xtask(root: &Path, args: &[&str]) -> Output {
    command(root, args).output().unwrap()
}

/// The command, not yet started.
pub fn command(root: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .current_dir(root)
        .env("CARGO_MANIFEST_DIR", root.join("xtask"))
        .args(args);
    command
}

/// Cargo in a folder, with this project's target folder. It must not inherit the variables that cargo sets for the
/// tests of a package, since they would cause other packages to be compiled again.
pub fn cargo(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let of_package = ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_BIN_", "OUT_DIR"];
        if of_package.iter().any(|start| name.starts_with(start)) {
            command.env_remove(&*name);
        }
    }
    let target = Path::new(PROGRAM).parent().unwrap().parent().unwrap();
    command.env("CARGO_TARGET_DIR", target);
    command.current_dir(folder);
    command
}

/// A command without this machine's git configuration, and with an identity only if `identity` is set.
pub fn isolated(program: impl AsRef<Path>, folder: &Path, identity: bool) -> Command {
    let mut command = Command::new(program.as_ref());
    command
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        // Nothing is downloaded.
        .env("CARGO_NET_OFFLINE", "true");
    // Git hooks set these to point at their repository.
    for variable in ["GIT_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_WORK_TREE"] {
        command.env_remove(variable);
    }
    for role in ["AUTHOR", "COMMITTER"] {
        let (name, email) = (format!("GIT_{role}_NAME"), format!("GIT_{role}_EMAIL"));
        command
            .env_remove("EMAIL")
            .env_remove(&name)
            .env_remove(&email);
        if identity {
            command.env(name, "Alice").env(email, "alice@example.com");
        }
    }
    command
}

pub fn git(folder: &Path, args: &[&str]) -> String {
    let output = isolated("git", folder, true).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", stderr(&output));
    stdout(&output)
}

/// Whether this project is a clone and git is installed. Nothing can be copied, forked or committed otherwise.
pub fn is_clone() -> bool {
    if needs::executable("git", &[]).is_none() {
        needs::missing("git", "git");
        return false;
    }
    let there = Path::new(ROOT).join(".git").exists();
    if !there {
        needs::lacks("this is no clone");
    }
    there
}

/// Copies this project's files as they are now into an empty folder and makes it a repository. Commits nothing.
pub fn copy_to(folder: &Path) {
    let listed = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ];
    for path in git(Path::new(ROOT), &listed).split_terminator('\0') {
        let (from, to) = (Path::new(ROOT).join(path), folder.join(path));
        // git lists deleted files, too.
        if from.is_file() {
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(from, to).unwrap();
        }
    }
    git(folder, &["init", "-q", "-b", "main"]);
}

/// Commits everything and returns the commit's id.
pub fn commit(folder: &Path, message: &str) -> String {
    git(folder, &["add", "-f", "-A"]);
    git(folder, &["commit", "-q", "-m", message]);
    head(folder)
}

pub fn head(folder: &Path) -> String {
    git(folder, &["rev-parse", "HEAD"]).trim().to_owned()
}

/// Every file and link in `folder` with its content, without `.git`.
pub fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = contents_with_git(folder);
    all.retain(|path, _| !path.split('/').any(|part| part == ".git"));
    all
}

/// The same with `.git`: objects, branches, index.
pub fn contents_with_git(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inner) = folders.pop() {
        for entry in fs::read_dir(inner).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap();
            let name = name.to_str().unwrap().to_owned();
            if path.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                found.insert(name, target.to_str().unwrap().into());
            } else if path.is_file() {
                found.insert(name, fs::read(&path).unwrap());
            } else {
                folders.push(path);
            }
        }
    }
    found
}

/// When dropped, makes cargo compile this project's engine again. Cargo takes what a copy of the project has built in
/// the same target folder for this project's, and would miss later changes.
pub struct RebuildEngine;

impl Drop for RebuildEngine {
    fn drop(&mut self) {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let _ = Command::new(env!("CARGO"))
            .args(["clean", "--quiet", "--package", "rocket_multitoken"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("CARGO_TARGET_DIR", target)
            .status();
    }
}

//! `docs/ejecting-a-stage.md`, followed in a copy of this project.

use std::fs;
use std::path::Path;

use super::{RECORD, text};
use crate::doc_page::{blocks, page};
use crate::fork::tools::write;
use crate::support::server::stderr;
use crate::xtask::{self, commit, git, is_clone, isolated, program};

const PAGE: &str = "ejecting-a-stage.md";

/// Makes a fork from this project's files, in an empty folder.
pub fn copy_to(folder: &Path) {
    xtask::copy_to(folder);
    write(folder, "template.toml", RECORD);
    commit(folder, "All");
}

/// Runs the page's commands under a heading and returns their output.
fn run_section(folder: &Path, heading: &str) -> String {
    let mut printed = String::new();
    for script in blocks(&page(PAGE), heading, "sh") {
        printed.push_str(&shell(folder, &script));
    }
    printed
}

/// Runs a page's commands and returns their output.
pub fn shell(folder: &Path, script: &str) -> String {
    // The program is built already.
    let script = script.replace("cargo xtask", program().to_str().unwrap());
    let mut shell = isolated("sh", folder, true);
    let output = shell.args(["-euc", &script]).output().unwrap();
    assert!(output.status.success(), "{script}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Applies a diff of a page: lines with a plus replace those with a minus.
pub fn apply_diff(file: &Path, difference: &str) {
    let without = |sign: char| {
        let lines = difference.lines().filter(|line| !line.starts_with(sign));
        let lines = lines.flat_map(|line| [line.get(1..).unwrap_or_default(), "\n"]);
        lines.collect::<String>()
    };
    let (before, after) = (without('+'), without('-'));
    let text = fs::read_to_string(file).unwrap();
    assert_eq!(
        text.matches(&before).count(),
        1,
        "{}: {before}",
        file.display()
    );
    fs::write(file, text.replace(&before, &after)).unwrap();
}

/// Follows the page up to the change of the stage.
pub fn follow(folder: &Path) {
    let ejected = run_section(folder, "Eject it");
    for file in ["src/api_session.rs", "src/lib.rs", "template.toml"] {
        assert!(ejected.contains(&format!(" {file} ")), "{ejected}");
    }
    let changes = blocks(&page(PAGE), "Change it", "diff");
    assert_eq!(changes.len(), 2);
    for difference in changes {
        apply_diff(&folder.join("src/api_session.rs"), &difference);
    }
    commit(folder, "Return the username");
}

#[test]
fn the_pages_commands_eject_and_review_a_stage() {
    if !is_clone() {
        return;
    }
    let copy = tempfile::tempdir().unwrap();
    copy_to(copy.path());
    let listed = run_section(copy.path(), "# Ejecting a stage");
    assert!(listed.contains("\napi/session "), "{listed}");
    assert!(!listed.contains("\nauth"), "{listed}");
    follow(copy.path());
    assert!(text(copy.path(), "src/lib.rs").contains(".attach(api_session::stage())"));
    run_section(copy.path(), "Take updates");
    assert_eq!(git(copy.path(), &["status", "--porcelain"]), "");
}

//! `docs/user-data.md`, followed in a copy of this project.

use std::path::Path;

use super::guide::{apply_diff, shell};
use crate::doc_page::page;
use crate::fork::tools::write;

/// Follows the page block by block. The caller runs its test.
pub fn follow(folder: &Path) {
    let page = page("user-data.md");
    let mut parts = page.split("```");
    let mut file = None;
    let mut done = 0;
    while let (Some(prose), Some(block)) = (parts.next(), parts.next()) {
        file = last_file_named(prose).or(file);
        let (kind, text) = block.split_once('\n').unwrap();
        let file = file.map(|file| folder.join(file));
        match kind {
            "sh" if text.starts_with("cargo test") => continue,
            "sh" => drop(shell(folder, text)),
            "diff" => apply_diff(&file.unwrap(), text),
            _ => write(folder, file.unwrap().to_str().unwrap(), text),
        }
        done += 1;
    }
    assert!(done > 15, "{done} blocks");
}

/// The last file named in a piece of prose.
fn last_file_named(prose: &str) -> Option<&str> {
    let quoted = prose.split('`').skip(1).step_by(2);
    quoted
        .filter(|text| text.contains('/') && text.contains('.') && !text.contains(' '))
        .last()
}

//! Finds references to a resource in files that the command does not change.

use std::fs;
use std::path::Path;

use super::migration;
use crate::Result;

/// Whether the text contains the phrase as whole words, ignoring case.
fn contains_phrase(text: &str, phrase: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let is_word_char = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(&phrase.to_ascii_lowercase())
        .any(|(at, found)| {
            let after = &text[at + found.len()..];
            !(text[..at].ends_with(is_word_char)
                || found.ends_with(is_word_char) && after.starts_with(is_word_char))
        })
}

/// The matching lines, each with its file and line number.
fn matching_lines(
    root: &Path,
    path: &Path,
    text: &str,
    matches: impl Fn(&str) -> bool,
) -> Vec<String> {
    let relative = path.strip_prefix(root).unwrap_or(path).display();
    let numbered = text.lines().enumerate().filter(|(_, line)| matches(line));
    numbered
        .map(|(at, line)| format!("  {relative}:{}: {}", at + 1, line.trim()))
        .collect()
}

/// Lines of migrations other than `except` that name the table.
pub fn in_migrations(root: &Path, table: &str, except: Option<&Path>) -> Result<Vec<String>> {
    let mut found = vec![];
    for path in migration::files(root, migration::MIGRATION_FOLDERS[0])? {
        if except != Some(path.as_path()) {
            let text = fs::read_to_string(&path)?;
            let matches =
                |line: &str| !line.trim_start().starts_with("--") && contains_phrase(line, table);
            found.extend(matching_lines(root, &path, &text, matches));
        }
    }
    Ok(found)
}

/// Markdown pages that contain the word.
pub fn in_pages(root: &Path, name: &str) -> Result<Vec<String>> {
    let mut found = vec![];
    for folder in [root.to_owned(), root.join("docs")] {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry?.path();
            let is_markdown = path.extension().is_some_and(|extension| extension == "md");
            if is_markdown && contains_phrase(&fs::read_to_string(&path)?, name) {
                let relative = path.strip_prefix(root).unwrap_or(&path);
                found.push(relative.display().to_string());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Lines of code, templates and tests that use the module, a path or the table.
pub fn in_sources(root: &Path, name: &str) -> Result<Vec<String>> {
    let mut patterns = vec![
        format!("{name}::"),
        format!("\"/{name}"),
        format!("\"/admin/{name}"),
    ];
    patterns
        .extend(["FROM", "INTO", "JOIN", "UPDATE", "TABLE"].map(|word| format!("{word} {name}")));
    let folders = [&super::SOURCE_FOLDERS[..], &["templates", "tests"]].concat();
    let mut found = vec![];
    for (path, text) in super::read_sources(root, &folders)? {
        let matches = |line: &str| {
            patterns
                .iter()
                .any(|pattern| contains_phrase(line, pattern))
        };
        found.extend(matching_lines(root, &path, &text, matches));
    }
    Ok(found)
}

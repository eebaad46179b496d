//! The pages in `docs/`: their commands, and what they quote.

use std::path::Path;
use std::process::{Command, Output};

/// A page of `docs/`.
pub fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(name);
    std::fs::read_to_string(path).unwrap()
}

/// The code blocks of a language under a heading of a page.
pub fn blocks(page: &str, heading: &str, language: &str) -> Vec<String> {
    let under = page.split("\n## ").find_map(|part| {
        let (first, rest) = part.split_once('\n')?;
        (first == heading).then_some(rest)
    });
    let under = under.unwrap_or_else(|| panic!("no heading {heading}"));
    let fence = format!("```{language}\n");
    let blocks = under.split(&fence).skip(1);
    let blocks: Vec<_> = blocks
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect();
    assert!(!blocks.is_empty(), "no {language} block under {heading}");
    blocks
}

/// Checks that each block of a page is in the file named above it, and returns the number of blocks. Blocks of
/// commands and blocks without a language are skipped.
pub fn check_quotations(name: &str) -> usize {
    let page = page(name);
    let (mut before, mut quoted) = ("", 0);
    let mut parts = page.split("```");
    while let (Some(prose), Some(block)) = (parts.next(), parts.next()) {
        before = prose
            .lines()
            .rfind(|line| !line.is_empty())
            .unwrap_or(before);
        let (kind, text) = block.split_once('\n').unwrap();
        if !["", "sh"].contains(&kind) {
            assert_quoted(before, text);
            quoted += 1;
        }
    }
    quoted
}

fn assert_quoted(before: &str, text: &str) {
    let path = before
        .strip_prefix('`')
        .and_then(|line| line.strip_suffix("`:"));
    let path = path.unwrap_or_else(|| panic!("no file is named above this block:\n{text}"));
    let file = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let mut rest = file.as_str();
    // A line with an ellipsis stands for omitted text.
    for part in text.split("…\n").map(str::trim_end) {
        let part = part.trim_start_matches('\n').trim_end_matches([' ', '\n']);
        let found = rest.find(part);
        let at = found.unwrap_or_else(|| panic!("{path} does not continue with:\n{part}"));
        rest = &rest[at + part.len()..];
    }
}

/// A shell that runs `script` in `folder` with `set -eu`, and with the binary under test in its `PATH`.
pub fn shell(folder: &Path, script: &str) -> Command {
    let binary = Path::new(crate::PROGRAM);
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("sh");
    command
        .args(["-euc", script])
        .current_dir(folder)
        .env(
            "PATH",
            format!("{}:{path}", binary.parent().unwrap().display()),
        )
        .env("ROCKET_APP", "{hash_memory_kib=8,hash_iterations=1}");
    command
}

/// Runs a command that must succeed, and returns its output.
pub fn stdout_of(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    text(&output)
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

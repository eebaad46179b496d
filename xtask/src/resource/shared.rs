//! Adds and removes a resource's lines in files that resources share.

use std::path::Path;

use super::names::ResourceNames;
use super::render::GeneratedFile;
use crate::Result;
use crate::rustfmt::Style;

/// A line of a resource in a shared file.
struct SharedLine {
    file: &'static str,
    text: String,
    /// Describes where to add the line by hand.
    location: &'static str,
    /// Finds the index of the line to insert it before.
    before: fn(&[&str], &str) -> Option<usize>,
}

fn shared_lines(names: &ResourceNames) -> [SharedLine; 5] {
    let plural = &names.plural;
    [
        SharedLine {
            file: "src/lib.rs",
            text: format!("pub mod {plural};"),
            location: "above the first line that begins with `use `",
            before: |lines, text| {
                module_position(lines, text, "pub mod ").or_else(|| {
                    let import = position_of(lines, "use ")?;
                    Some(item_start(lines, import))
                })
            },
        },
        SharedLine {
            file: "src/lib.rs",
            text: format!("    {plural}::DELETED,"),
            location: "in the list `const ACTIONS`, which ends with a line `];`",
            before: |lines, _| end_of_list(lines, "const ACTIONS"),
        },
        SharedLine {
            file: "src/lib.rs",
            text: format!("        .attach({plural}::stage())"),
            location: "above the first line with `.attach(admin::`, or else the one with \
                       `.attach(web::fallbacks::stage())`",
            before: |lines, _| {
                let admin = position_of(lines, ".attach(admin::");
                admin.or_else(|| position_of(lines, ".attach(web::fallbacks::stage())"))
            },
        },
        SharedLine {
            file: "tests/main.rs",
            text: format!("mod {plural};"),
            location: "among the lines that begin with `mod `",
            before: |lines, text| module_position(lines, text, "mod "),
        },
        SharedLine {
            file: RESOURCE_LIST,
            text: format!("    crate::{plural}::RESOURCE,"),
            location: "in the list `const RESOURCES`, which ends with a line `];`",
            before: |lines, _| end_of_list(lines, "const RESOURCES"),
        },
    ]
}

/// The index of the first line that begins with `prefix`, ignoring indentation.
fn position_of(lines: &[&str], prefix: &str) -> Option<usize> {
    lines
        .iter()
        .position(|line| line.trim_start().starts_with(prefix))
}

/// The index of the last line of the list with that declaration. None if the list is on one line.
fn end_of_list(lines: &[&str], declaration: &str) -> Option<usize> {
    let start = lines.iter().position(|line| line.contains(declaration))?;
    let rest = &lines[start..];
    let length = rest.iter().position(|line| line.ends_with("];"))?;
    (length > 0).then_some(start + length)
}

/// The index at which a module's line is sorted into the first group of modules.
fn module_position(lines: &[&str], text: &str, prefix: &str) -> Option<usize> {
    let is_module = |line: &str| line.starts_with(prefix) && line.ends_with(';');
    let first = lines.iter().position(|line| is_module(line))?;
    let group: Vec<_> = lines[first..]
        .iter()
        .take_while(|line| !line.is_empty())
        .collect();
    let before = group
        .iter()
        .rposition(|line| is_module(line) && **line < text);
    if let Some(at) = before {
        return Some(first + at + 1);
    }
    Some(item_start(lines, first))
}

/// The index of the first line of the item at `index`, including its attributes and documentation.
pub fn item_start(lines: &[&str], mut index: usize) -> usize {
    // An attribute may have several lines.
    let is_inner = |line: &str| line.starts_with([' ', ')']);
    while let Some(above) = lines[..index].iter().rposition(|line| !is_inner(line)) {
        let line = lines[above];
        let is_for_file = line.starts_with("//!") || line.starts_with("#!");
        if is_for_file || !line.starts_with(['#', '/']) {
            break;
        }
        index = above;
    }
    index
}

/// The file that lists all resources.
pub const RESOURCE_LIST: &str = "tests/resources.rs";
const SHARED_FILES: [&str; 3] = ["src/lib.rs", "tests/main.rs", RESOURCE_LIST];

/// The shared files with the lines of a resource added.
///
/// # Errors
/// A line's position can't be found. The message lists all such lines.
pub fn with_lines(root: &Path, names: &ResourceNames) -> Result<Vec<GeneratedFile>> {
    let (mut files, mut missing) = (vec![], vec![]);
    for path in SHARED_FILES {
        let before = read(root, path)?;
        let mut text = before.clone();
        for line in shared_lines(names).iter().filter(|line| line.file == path) {
            let current: Vec<&str> = text.lines().collect();
            if let Some(at) = (line.before)(&current, &line.text) {
                let new = [&current[..at], &[line.text.as_str()], &current[at..]].concat();
                text = new.join("\n") + "\n";
            } else {
                let (text, location) = (line.text.trim(), line.location);
                missing.push(format!("  {path}: `{text}`, {location}"));
            }
        }
        files.push(format_like(path, &before, text)?);
    }
    if missing.is_empty() {
        return Ok(files);
    }
    let missing = missing.join("\n");
    Err(format!(
        "nothing was written, because the position of these lines was not found:\n{missing}\n\
         Restore the code at that position, run this again, and move the line afterwards."
    )
    .into())
}

/// The shared files that have lines of a resource, with the lines removed.
pub fn without_lines(root: &Path, names: &ResourceNames) -> Result<Vec<GeneratedFile>> {
    let mut files = vec![];
    for path in SHARED_FILES {
        let before = read(root, path)?;
        let all = shared_lines(names);
        let removed_lines: Vec<&str> = all.iter().map(|line| line.text.trim()).collect();
        let mut kept: Vec<&str> = vec![];
        for line in before.lines() {
            if !removed_lines.contains(&line.trim()) {
                kept.push(line);
            } else if line.contains("mod ") {
                // The module's documentation and attributes must go too, or they would apply to the next module.
                while kept
                    .last()
                    .is_some_and(|last| last.starts_with("///") || last.starts_with("#["))
                {
                    kept.pop();
                }
            }
        }
        let text = kept.join("\n") + "\n";
        if text != before {
            files.push(format_like(path, &before, text)?);
        }
    }
    Ok(files)
}

fn read(root: &Path, path: &str) -> Result<String> {
    let text = std::fs::read_to_string(root.join(path));
    text.map_err(|error| format!("{path}: {error}").into())
}

/// Formats the text if the file was formatted before.
fn format_like(path: &str, before: &str, text: String) -> Result<GeneratedFile> {
    let style = Style::default();
    let text = if style.format(before)? == before {
        style.format(&text)?
    } else {
        text
    };
    Ok(GeneratedFile {
        path: path.to_owned(),
        text,
    })
}

//! What of a text is of this project only, and left out.

use crate::Outcome;

/// Endings of files with pictures, which show the old title.
const PICTURES: [&str; 5] = [".gif", ".jpeg", ".jpg", ".png", ".webp"];

/// Whether the file at `path` is a picture.
pub fn is_picture(path: &str) -> bool {
    PICTURES.iter().any(|ending| path.ends_with(ending))
}

/// The text without the lines between marks, and if it is Markdown, without those that show pictures.
///
/// # Errors
/// A mark has no other to go with it.
pub fn without_dropped(text: &str, markdown: bool) -> Outcome<String> {
    let mut kept: Vec<&str> = vec![];
    let (mut dropping, mut just_dropped) = (false, false);
    for line in text.split_inclusive('\n') {
        match mark(line) {
            Some(begins) if begins == dropping => {
                return Err(
                    format!("the mark `{}` has no other to go with it", line.trim()).into(),
                );
            }
            Some(begins) => (dropping, just_dropped) = (begins, true),
            None if dropping => {}
            None if markdown && shows_picture(line) => just_dropped = true,
            // One empty line is left where there were two.
            None if just_dropped
                && is_empty(line)
                && kept.last().is_none_or(|line| is_empty(line)) => {}
            None => {
                just_dropped = false;
                kept.push(line);
            }
        }
    }
    if dropping {
        return Err("the mark `fork: drop` has no `fork: keep` to go with it".into());
    }
    if just_dropped && kept.last().is_some_and(|line| is_empty(line)) {
        kept.pop();
    }
    Ok(kept.concat())
}

/// Whether the line is the mark from which lines are left out (true), or that from which they are kept
/// (false).
fn mark(line: &str) -> Option<bool> {
    match line.trim_matches(|c: char| !c.is_alphanumeric()) {
        "fork: drop" => Some(true),
        "fork: keep" => Some(false),
        _ => None,
    }
}

fn shows_picture(line: &str) -> bool {
    let line = line.trim();
    line.starts_with("![") && line.strip_suffix(')').is_some_and(is_picture)
}

fn is_empty(line: &str) -> bool {
    line.trim().is_empty()
}

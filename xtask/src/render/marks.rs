//! Removes lines that apply only to the template.

use crate::Result;

/// Extensions of pictures. They are removed because they show the template's title.
const PICTURE_EXTENSIONS: [&str; 5] = [".gif", ".jpeg", ".jpg", ".png", ".webp"];

pub fn is_picture(path: &str) -> bool {
    PICTURE_EXTENSIONS
        .iter()
        .any(|extension| path.ends_with(extension))
}

/// Removes the lines between marks, and in Markdown also the lines that show pictures.
///
/// # Errors
/// A mark is unpaired.
pub fn strip_marked(text: &str, markdown: bool) -> Result<String> {
    let mut kept: Vec<&str> = vec![];
    let (mut removing, mut after_removed) = (false, false);
    for line in text.split_inclusive('\n') {
        match mark(line) {
            Some(begins) if begins == removing => {
                return Err(format!("the mark `{}` has no matching mark", line.trim()).into());
            }
            Some(begins) => (removing, after_removed) = (begins, true),
            None if removing => {}
            None if markdown && shows_picture(line) => after_removed = true,
            // Of the empty lines before and after removed text, one stays.
            None if after_removed
                && is_empty(line)
                && kept.last().is_none_or(|last| is_empty(last)) => {}
            None => {
                after_removed = false;
                kept.push(line);
            }
        }
    }
    if removing {
        return Err("the mark `fork: drop` has no matching `fork: keep`".into());
    }
    if after_removed && kept.last().is_some_and(|last| is_empty(last)) {
        kept.pop();
    }
    Ok(kept.concat())
}

/// True for the mark that starts removal, false for the mark that ends it.
fn mark(line: &str) -> Option<bool> {
    match line.trim_matches(|c: char| !c.is_alphanumeric()) {
        "fork: drop" => Some(true),
        "fork: keep" => Some(false),
        _ => None,
    }
}

fn shows_picture(line: &str) -> bool {
    let line = line.trim();
    let is_image = line.starts_with("![") && line.strip_suffix(')').is_some_and(is_picture);
    is_image || line.starts_with("<picture>") && line.ends_with("</picture>")
}

fn is_empty(line: &str) -> bool {
    line.trim().is_empty()
}

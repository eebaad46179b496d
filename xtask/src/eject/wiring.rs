//! Replaces a stage of the engine in `src/lib.rs` with the ejected one.

use super::stage::Stage;
use crate::Result;
use crate::resource::item_start;

/// The application's code with the ejected module attached instead of the engine's stage, unformatted.
///
/// # Errors
/// The code does not attach the engine's stage exactly once.
pub fn attach_ejected(text: &str, stage: &Stage) -> Result<String> {
    let module = stage.module();
    let call = format!("{}::{}::stage()", stage.area, stage.subject);
    let [position] = path_positions(text, &call)[..] else {
        return Err(format!(
            "src/lib.rs must contain exactly one line `.attach({call})`, which this command replaces with \
             `.attach({module}::stage())`"
        )
        .into());
    };
    let before = text[..position].trim_end_matches("rocket_multitoken::");
    let after = &text[position + call.len()..];
    let text = format!("{before}{module}::stage(){after}");
    let text = with_module(&text, &module)?;
    Ok(without_import(&text, stage.area))
}

/// The positions of the Rust path in the code, with or without the engine's name before it.
fn path_positions(text: &str, path: &str) -> Vec<usize> {
    let found = text.match_indices(path).map(|(position, _)| position);
    let is_path = |position: &usize| {
        let before = text[..*position].trim_end_matches("rocket_multitoken::");
        let is_comment = before
            .lines()
            .next_back()
            .is_some_and(|line| line.contains("//"));
        !is_comment && !before.ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c))
    };
    found.filter(is_path).collect()
}

/// Declares the module above the first one, or above the imports. rustfmt sorts it.
fn with_module(text: &str, module: &str) -> Result<String> {
    let lines: Vec<_> = text.lines().collect();
    let first = |prefixes: &[&str]| {
        let has_prefix = |line: &&str| prefixes.iter().any(|prefix| line.starts_with(prefix));
        lines.iter().position(has_prefix)
    };
    let index = first(&["mod ", "pub mod ", "pub(crate) mod "])
        .or_else(|| first(&["use ", "pub use "]))
        .ok_or("src/lib.rs has no module or import before which to declare a module")?;
    let (before, after) = lines.split_at(item_start(&lines, index));
    let line = format!("mod {module};");
    Ok([before, &[&line], after].concat().join("\n") + "\n")
}

/// Removes the import of the engine's `area` if it is no longer used.
fn without_import(text: &str, area: &str) -> String {
    let import = "use rocket_multitoken::{";
    let Some((before, rest)) = text.split_once(import) else {
        return text.to_owned();
    };
    let Some((names, after)) = rest.split_once("};") else {
        return text.to_owned();
    };
    if names.contains('{') || !path_positions(after, &format!("{area}::")).is_empty() {
        return text.to_owned();
    }
    let names: Vec<_> = names.split(',').map(str::trim).collect();
    let names: Vec<_> = names.into_iter().filter(|name| *name != area).collect();
    format!("{before}{import}{}}};{after}", names.join(", "))
}

//! The admin's menu: entries that stages add to the engine's entries.

use std::sync::{Mutex, PoisonError};

use rocket::{Build, Request, Rocket};
use serde::Serialize;

/// Labels and paths, in the order in which the stages were attached.
#[derive(Default)]
struct Menu(Mutex<Vec<(&'static str, &'static str)>>);

/// Adds a menu entry for the page at `path`, which is below `/admin`. Call it where the stage mounts its routes.
pub fn add(rocket: Rocket<Build>, label: &'static str, path: &'static str) -> Rocket<Build> {
    let rocket = match rocket.state::<Menu>() {
        Some(_) => rocket,
        None => rocket.manage(Menu::default()),
    };
    if let Some(Menu(entries)) = rocket.state() {
        entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((label, path));
    }
    rocket
}

/// A menu entry as templates see it.
#[derive(Serialize)]
pub(super) struct MenuEntry {
    label: &'static str,
    path: &'static str,
    /// The value of `aria-current`: `page` on the entry's page, `true` below it.
    current: Option<&'static str>,
}

pub(super) fn entries(request: &Request<'_>) -> Vec<MenuEntry> {
    let Some(Menu(entries)) = request.rocket().state() else {
        return vec![];
    };
    let current_path = request.uri().path().as_str();
    let entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
    let entry = |&(label, path)| {
        let rest = current_path.strip_prefix(path);
        let current = match rest {
            Some("" | "/") => Some("page"),
            Some(rest) if rest.starts_with('/') => Some("true"),
            _ => None,
        };
        MenuEntry {
            label,
            path,
            current,
        }
    };
    entries.iter().map(entry).collect()
}

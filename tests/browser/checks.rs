//! What axe-core, html-validate, the browser's console and a phone have against any page: nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rocket::tokio::task::spawn_blocking;
use serde_json::{Value, json};

use super::driver::Driver;
use super::pages::{Gallery, Page};
use super::tab::Tab;
use crate::support::needs;
use crate::support::postgres::Postgres;
use crate::support::server::sqlite;

#[test]
fn every_page_is_accessible_valid_quiet_and_fits_a_phone() {
    let Some(driver) = Driver::get() else {
        return;
    };
    let npm = needs::npm();
    let axe = npm.as_ref().map(|npm| {
        let file = npm.join("node_modules/axe-core/axe.min.js");
        fs::read_to_string(file).unwrap()
    });
    let saved = tempfile::tempdir().unwrap();
    let mut found = vec![];
    rocket::async_test(driver.browse(async |browser| {
        for_each_page(browser, async |gallery, tab, page| {
            let context = &page.name;
            assert_eq!(tab.status().await, page.status, "{context}");
            let mut complaints = tab.complaints(page.status).await;
            let html = gallery.html(page).await;
            let same = "return new DOMParser().parseFromString(arguments[0], 'text/html').title
                === document.title";
            let same = tab.ask(same, vec![json!(html)]).await;
            assert_eq!(same, true, "{context} is served as another page");
            fs::write(saved.path().join(format!("{context}.html")), html).unwrap();
            if let Some(axe) = &axe {
                tab.ask(axe, vec![]).await;
                for theme in ["light", "dark"] {
                    tab.prefer(theme).await;
                    complaints.extend(violations(tab, theme).await);
                }
            }
            complaints.extend(tab.complaints(page.status).await);
            tab.be_phone(true).await;
            complaints.extend(too_wide(tab, super::tab::PHONE).await);
            if axe.is_some() {
                complaints.extend(violations(tab, "dark, phone").await);
                tab.prefer("light").await;
                complaints.extend(violations(tab, "light, phone").await);
            }
            for width in [768, 1440] {
                tab.be_wide(width).await;
                complaints.extend(too_wide(tab, width).await);
            }
            tab.be_phone(false).await;
            found.extend(complaints.iter().map(|what| format!("{context}: {what}")));
        })
        .await;
    }));
    found.extend(npm.and_then(|npm| html_validate(&npm, saved.path())));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Shows every page, on SQLite but for the one that only a PostgreSQL brings about.
pub async fn for_each_page(
    browser: &thirtyfour::WebDriver,
    mut look: impl AsyncFnMut(&Gallery, &Tab, &Page),
) {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let urls = folders.each_ref().map(|folder| sqlite(folder.path()));
    let mut galleries = vec![
        Gallery::before_set_up(&urls[0]).await,
        Gallery::empty(&urls[1]).await,
        Gallery::full(&urls[2]).await,
    ];
    let postgres = spawn_blocking(Postgres::get).await.unwrap();
    if let Some(postgres) = &postgres {
        let url = postgres.database().await;
        galleries.push(Gallery::without_database(&url).await);
    }
    for gallery in &galleries {
        let tab = gallery.tab(browser).await;
        tab.open("/admin/login").await;
        tab.complaints(200).await;
        for page in &gallery.pages {
            tab.prefer("light").await;
            gallery.show(&tab, page).await;
            look(gallery, &tab, page).await;
        }
    }
}

/// What axe-core finds wrong, at any level of impact.
async fn violations(tab: &Tab, theme: &str) -> Vec<String> {
    let run = "const done = arguments[0];
        axe.run(document, {resultTypes: ['violations']})
          .then((results) => done(results.violations), (error) => done([{id: String(error)}]));";
    let answer = tab.ask_later(run, vec![]).await;
    let one = |violation: &Value| {
        let nodes: Vec<_> = violation["nodes"]
            .as_array()
            .into_iter()
            .flatten()
            .collect();
        let html = nodes.first().map(|node| node["html"].to_string());
        let why = nodes.first().map(|node| node["failureSummary"].to_string());
        format!(
            "axe ({theme}): {} ({}), {} times, as in {} {}",
            violation["id"],
            violation["impact"],
            nodes.len(),
            html.unwrap_or_default(),
            why.unwrap_or_default()
        )
    };
    answer.as_array().unwrap().iter().map(one).collect()
}

/// What goes over the edge of a window of that width.
async fn too_wide(tab: &Tab, width: u32) -> Vec<String> {
    let script = "const root = document.documentElement;
        if (root.scrollWidth <= innerWidth && innerWidth <= arguments[0]) return [];
        return [root, ...document.querySelectorAll('body *')]
          .filter((element) => element === root
            || element.getBoundingClientRect().right > arguments[0] + 0.5)
          .slice(0, 5).map((element) => element.outerHTML.slice(0, 120));";
    let wide = tab.ask(script, vec![json!(width)]).await;
    let wide = wide.as_array().unwrap();
    let one = |element: &Value| format!("too wide for {width} pixels: {element}");
    wide.iter().map(one).collect()
}

/// What html-validate finds wrong in the pages saved in a folder.
fn html_validate(npm: &Path, folder: &Path) -> Option<String> {
    let program: PathBuf = npm.join("node_modules/html-validate/bin/html-validate.mjs");
    let mut command = Command::new("node");
    command
        .arg(program)
        .arg("--config")
        .arg(npm.join("html-validate.json"))
        .args(["--formatter", "text", "--ext", "html"])
        .arg(folder);
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (!output.status.success()).then_some(said)
}

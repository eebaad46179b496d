//! Checks of every page: axe-core, html-validate, the browser's console, and the width of a phone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rocket::tokio::task::spawn_blocking;
use serde_json::{Value, json};

use super::driver::Driver;
use super::pages::{Gallery, Page};
use super::tab::Tab;
use crate::support::postgres::Postgres;
use crate::support::server::sqlite;

#[test]
#[ignore = "slow"]
fn every_page_is_accessible_valid_error_free_and_fits_a_phone() {
    let Some(driver) = Driver::get() else {
        return;
    };
    let npm = crate::needs::npm();
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
            let mut complaints = tab.console_errors(page.status).await;
            let html = gallery.html(page).await;
            let same = "return new DOMParser().parseFromString(arguments[0], 'text/html').title
                === document.title";
            let same = tab.run_script(same, vec![json!(html)]).await;
            assert_eq!(same, true, "{context} is served as another page");
            fs::write(saved.path().join(format!("{context}.html")), html).unwrap();
            if let Some(axe) = &axe {
                tab.run_script(axe, vec![]).await;
                for theme in ["light", "dark"] {
                    tab.prefer_theme(theme).await;
                    complaints.extend(axe_violations(tab, theme).await);
                }
            }
            complaints.extend(tab.console_errors(page.status).await);
            tab.emulate_phone(true).await;
            complaints.extend(overflowing_elements(tab, super::tab::PHONE_WIDTH).await);
            if axe.is_some() {
                complaints.extend(axe_violations(tab, "dark, phone").await);
                tab.prefer_theme("light").await;
                complaints.extend(axe_violations(tab, "light, phone").await);
            }
            for width in [320, 768, 1440] {
                tab.set_width(width).await;
                complaints.extend(overflowing_elements(tab, width).await);
            }
            tab.emulate_phone(false).await;
            found.extend(complaints.iter().map(|what| format!("{context}: {what}")));
        })
        .await;
    }));
    found.extend(npm.and_then(|npm| html_validate(&npm, saved.path())));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Shows every page. All use SQLite, except the page for a lost database, which needs PostgreSQL.
pub async fn for_each_page(
    browser: &thirtyfour::WebDriver,
    mut check: impl AsyncFnMut(&Gallery, &Tab, &Page),
) {
    let folders = [(); 4].map(|()| tempfile::tempdir().unwrap());
    let urls = folders.each_ref().map(|folder| sqlite(folder.path()));
    let mut galleries = vec![
        Gallery::before_set_up(&urls[0]).await,
        Gallery::empty(&urls[1]).await,
        Gallery::with_data(&urls[2]).await,
        Gallery::with_accounts(&urls[3]).await,
    ];
    let postgres = spawn_blocking(Postgres::get).await.unwrap();
    if let Some(postgres) = &postgres {
        let url = postgres.database().await;
        galleries.push(Gallery::without_database(&url).await);
    }
    for gallery in &galleries {
        let tab = gallery.tab(browser).await;
        tab.open("/admin/login").await;
        tab.console_errors(200).await;
        for page in gallery.pages.iter().filter(|page| is_selected(page)) {
            tab.prefer_theme("light").await;
            gallery.show(&tab, page).await;
            check(gallery, &tab, page).await;
        }
    }
}

/// Whether `PAGES` is unset, or one of its words is in the page's name.
fn is_selected(page: &Page) -> bool {
    let Ok(words) = std::env::var("PAGES") else {
        return true;
    };
    words.split(',').any(|word| page.name.contains(word))
}

/// The violations that axe-core finds, of any impact.
async fn axe_violations(tab: &Tab, theme: &str) -> Vec<String> {
    let run = "const done = arguments[0];
        axe.run(document, {resultTypes: ['violations']})
          .then((results) => done(results.violations), (error) => done([{id: String(error)}]));";
    let answer = tab.run_async_script(run, vec![]).await;
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

/// Elements that overflow a window of this width.
async fn overflowing_elements(tab: &Tab, width: u32) -> Vec<String> {
    let script = "const root = document.documentElement;
        if (root.scrollWidth <= innerWidth && innerWidth <= arguments[0]) return [];
        return [root, ...document.querySelectorAll('body *')]
          .filter((element) => element === root
            || element.getBoundingClientRect().right > arguments[0] + 0.5)
          .slice(0, 5).map((element) => element.outerHTML.slice(0, 120));";
    let wide = tab.run_script(script, vec![json!(width)]).await;
    let wide = wide.as_array().unwrap();
    let one = |element: &Value| format!("too wide for {width} pixels: {element}");
    wide.iter().map(one).collect()
}

/// The errors that html-validate finds in the pages saved in a folder.
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
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    (!output.status.success()).then_some(printed)
}

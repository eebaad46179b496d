//! What the pages for people say of the project: that it is so. What their commands do is tried where each
//! subject has its tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use multitoken::config::Settings;
use multitoken::db::Pool;
use rocket::figment::Figment;
use rocket::figment::providers::{Format, Toml};

use crate::support::page::{page, quotations};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page, with where it is.
fn pages() -> Vec<(PathBuf, String)> {
    let docs = fs::read_dir(root().join("docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().path());
    let own = [
        "README.md",
        "ARCHITECTURE.md",
        "SECURITY.md",
        "benches/README.md",
    ]
    .map(|name| root().join(name));
    let pages = docs.chain(own);
    let pages = pages.filter(|path| path.extension().is_some_and(|kind| kind == "md"));
    let pages: Vec<_> = pages
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect();
    assert!(pages.len() > 8, "{} pages", pages.len());
    pages
}

/// What headings can be linked to by.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    let mut followed = 0;
    for (path, text) in pages() {
        let links = text.split("](").skip(1);
        let links = links.map(|rest| rest.split(')').next().unwrap());
        for link in links.filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            assert!(target.exists(), "{} links to {link}", path.display());
            if !anchor.is_empty() {
                let there = anchors(&fs::read_to_string(&target).unwrap());
                assert!(there.contains(anchor), "{} links to {link}", path.display());
            }
            followed += 1;
        }
    }
    assert!(followed > 20, "{followed} links");
}

#[test]
fn every_page_is_reached_from_the_first() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for (path, _) in pages() {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
        let is_reached = name == "README.md" || readme.contains(&format!("]({name})"));
        assert!(is_reached, "README.md has no link to {name}");
    }
}

#[test]
fn what_is_quoted_stands_in_the_files() {
    assert_eq!(quotations("testing.md"), 1);
    assert_eq!(quotations("../ARCHITECTURE.md"), 2);
}

#[test]
fn the_figures_of_the_first_page_are_those_that_were_measured() {
    let results = fs::read_to_string(root().join("benches/RESULTS.md")).unwrap();
    let measured: BTreeSet<&str> = results.split(['|', ' ']).collect();
    let readme = page("../README.md");
    let (_, under) = readme.split_once("\n## What it costs\n").unwrap();
    let rows = under.lines().skip_while(|line| !line.starts_with("| ---"));
    let rows = rows.skip(1).take_while(|line| line.starts_with('|'));
    let mut figures = 0;
    for cell in rows.flat_map(|row| row.split(" | ").skip(1)) {
        let figure = cell.trim_end_matches('|').trim().replace(',', "");
        let number = figure.split(' ').next().unwrap();
        assert!(measured.contains(number), "nothing came to {figure}");
        figures += 1;
    }
    assert_eq!(figures, 16);
}

/// The words behind our name in every command of ours in a page's shell blocks.
fn commands(text: &str) -> Vec<Vec<String>> {
    let blocks = text.split("```sh\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap());
    // Whatever is quoted is one word.
    let blocks = blocks.map(|block| {
        let parts = block.split(['"', '\'']).enumerate();
        let parts = parts.map(|(place, part)| if place % 2 == 0 { part } else { "x" });
        parts.collect::<String>()
    });
    let blocks: Vec<String> = blocks.collect();
    let parts = blocks
        .iter()
        .flat_map(|block| block.split(['\n', '|', '&', ';']));
    let commands = parts.filter_map(|part| {
        let part = part.replace("cargo run -q -- ", "multitoken ");
        let part = part.replace("cargo run -- ", "multitoken ");
        let words: Vec<&str> = part.split_whitespace().collect();
        // Before it stands what it is given, or what calls it.
        let calls = |word: &str| word.contains('=') || ["app", "NAME"].contains(&word);
        let is_ours =
            |at: &usize| words[*at] == "multitoken" && (*at == 0 || calls(words[*at - 1]));
        let at = (0..words.len()).find(is_ours)?;
        let ends = |word: &&&str| !word.starts_with(['#', '>', '<']);
        let rest = words[at + 1..].iter().take_while(ends);
        Some(rest.map(|word| (*word).to_owned()).collect())
    });
    commands.collect()
}

#[test]
fn every_command_that_a_page_names_is_one() {
    let mut tried = BTreeSet::new();
    for (path, text) in pages() {
        for command in commands(&text) {
            // What stands behind the flags and names that it takes is left to it.
            let help = Command::new(env!("CARGO_BIN_EXE_multitoken"))
                .args(&command)
                .arg("--help")
                .output()
                .unwrap();
            assert!(help.status.success(), "{}: {command:?}", path.display());
            tried.insert(command);
        }
    }
    assert!(tried.len() > 12, "{tried:?}");
}

/// The rows under a heading of the settings' page: keys, default, meaning.
fn rows(heading: &str) -> Vec<(Vec<String>, String)> {
    let page = page("settings.md");
    let under = page
        .split("\n## ")
        .find(|part| part.starts_with(heading))
        .unwrap();
    let rows = under.lines().filter(|line| line.starts_with("| `"));
    let rows = rows.map(|row| {
        let cells: Vec<&str> = row.split(" | ").collect();
        let keys = cells[0].trim_start_matches("| ").split(", ");
        let keys = keys.map(|key| key.trim_matches('`').to_owned()).collect();
        (keys, cells[1].trim().to_owned())
    });
    rows.collect()
}

fn keys(rows: &[(Vec<String>, String)]) -> BTreeSet<String> {
    rows.iter().flat_map(|(keys, _)| keys.clone()).collect()
}

fn figment(table: &str, lines: &str) -> Figment {
    let lines = Toml::string(&format!("[debug.{table}]\n{lines}"));
    Figment::from(rocket::Config::debug_default()).merge(lines.nested())
}

/// The keys that a message about one that is not known names.
fn known(message: &str) -> BTreeSet<String> {
    let (_, known) = message.split_once("expected").unwrap();
    let is_key =
        |word: &&str| !word.is_empty() && word.chars().all(|c| c == '_' || c.is_ascii_lowercase());
    known.split('`').filter(is_key).map(str::to_owned).collect()
}

#[test]
fn the_page_has_every_setting_of_the_application_with_its_default() {
    let rows = rows("The application's");
    let message = Settings::load(&figment("app", "nonsense = 1")).unwrap_err();
    assert_eq!(keys(&rows), known(&message.to_string()));

    let mut lines = vec![];
    let defaults = format!("{:?}", Settings::default());
    for (keys, default) in &rows {
        for key in keys {
            match default
                .strip_prefix('`')
                .and_then(|rest| rest.strip_suffix('`'))
            {
                Some(value) => lines.push(format!("{key} = {value}")),
                None => assert!(defaults.contains(&format!("{key}: None")), "{key}"),
            }
        }
    }
    let settings = Settings::load(&figment("app", &lines.join("\n"))).unwrap();
    let without_key = |settings: &str| settings.split(", name_key").next().unwrap().to_owned();
    assert_eq!(
        without_key(&format!("{settings:?}")),
        without_key(&defaults)
    );
}

#[test]
fn the_page_has_every_setting_of_the_database() {
    let rows = rows("The database");
    let mut keys = keys(&rows);
    keys.insert("url".into());
    let wrong = figment("databases.multitoken", "url = \"sqlite:x\"\nnonsense = 1");
    let opened = rocket::execute(Pool::open(&wrong));
    let message = opened.map(|_| ()).unwrap_err().to_string();
    assert_eq!(keys, known(&message));
}

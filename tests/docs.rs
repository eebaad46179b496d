//! The documentation's links, quotations, figures, commands and settings. Other modules run the commands of their
//! pages.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rocket::figment::Figment;
use rocket::figment::providers::{Format, Toml};
use rocket_multitoken::config::Settings;
use rocket_multitoken::db::Pool;

use crate::doc_page::{check_quotations, page};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page with its path.
pub fn pages() -> Vec<(PathBuf, String)> {
    let docs = fs::read_dir(root().join("docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().path());
    let own = [
        "README.md",
        "CONTRIBUTING.md",
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

/// The anchors of a page's headings.
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
fn every_link_has_a_target() {
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
fn the_readme_links_to_every_page() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for (path, _) in pages() {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap();
        let is_reached = name == "README.md" || readme.contains(&format!("]({name})"));
        assert!(is_reached, "README.md has no link to {name}");
    }
}

#[test]
fn quotations_match_the_files() {
    assert_eq!(check_quotations("testing.md"), 1);
    assert_eq!(check_quotations("../ARCHITECTURE.md"), 2);
}

// fork: drop
#[test]
fn the_guides_quotations_match_the_example() {
    let quoted = check_quotations("adding-a-resource.md");
    assert!(quoted >= 8, "{quoted} quotations");
}

// fork: keep
#[test]
fn the_quoted_figures_were_measured() {
    let results = fs::read_to_string(root().join("benches/RESULTS.md")).unwrap();
    let measured: BTreeSet<&str> = results.split(['|', ' ']).collect();
    let costs = page("../benches/README.md");
    let (_, under) = costs.split_once("# What it costs\n").unwrap();
    let rows = under.lines().skip_while(|line| !line.starts_with("| ---"));
    let rows = rows.skip(1).take_while(|line| line.starts_with('|'));
    let mut figures = 0;
    for cell in rows.flat_map(|row| row.split(" | ").skip(1)) {
        let figure = cell.trim_end_matches('|').trim().replace(',', "");
        let number = figure.split(' ').next().unwrap();
        assert!(measured.contains(number), "{figure} was not measured");
        figures += 1;
    }
    assert_eq!(figures, 16);
}

/// The arguments of every `multitoken` command in a page's shell blocks.
fn commands(text: &str) -> Vec<Vec<String>> {
    let blocks = text.split("```sh\n").skip(1);
    let blocks = blocks.map(|rest| rest.split("```").next().unwrap());
    // A quoted text counts as one word.
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
        // A variable assignment or the caller, such as `docker compose exec`, may precede the name.
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
fn every_command_on_a_page_exists() {
    let mut tried = BTreeSet::new();
    for (path, text) in pages() {
        for command in commands(&text) {
            // Whatever follows the subcommand is not parsed.
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

/// The table under a heading of the settings page: keys and default of each row.
fn setting_rows(heading: &str) -> Vec<(Vec<String>, String)> {
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

/// The valid keys, as listed in the error message for an unknown key.
fn known_keys(message: &str) -> BTreeSet<String> {
    let (_, known) = message.split_once("the known ones are ").unwrap();
    let (known, _) = known.split_once(" (in ").unwrap_or((known, ""));
    known.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_settings_page_has_every_application_setting_with_its_default() {
    let rows = setting_rows("Application settings");
    let message = Settings::load(&figment("app", "nonsense = 1")).unwrap_err();
    assert_eq!(keys(&rows), known_keys(&message.to_string()));

    // A fork may change these two defaults without changing the page.
    let own = ["name", "token_prefix"];
    let mut lines = vec![];
    let defaults = format!("{:?}", Settings::default());
    for (keys, default) in &rows {
        for key in keys.iter().filter(|key| !own.contains(&key.as_str())) {
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
    let without_key = |settings: &str| settings.split(", origin").next().unwrap().to_owned();
    assert_eq!(
        without_key(&format!("{settings:?}")),
        without_key(&defaults)
    );
}

#[test]
fn the_settings_page_has_every_database_setting() {
    let rows = setting_rows("Database settings");
    let mut keys = keys(&rows);
    keys.insert("url".into());
    let wrong = figment("databases.multitoken", "url = \"sqlite:x\"\nnonsense = 1");
    let opened = rocket::execute(Pool::open(&wrong));
    let message = opened.map(|_| ()).unwrap_err().to_string();
    assert_eq!(keys, known_keys(&message));
}

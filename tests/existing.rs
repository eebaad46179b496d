//! `docs/existing-application.md`: its code is an example of the engine, which the engine's tests run.

use std::fs;
use std::path::Path;

use crate::doc_page::{blocks, page};

#[test]
fn the_page_quotes_the_whole_example() {
    let root = Path::new(crate::ROOT);
    let guide = page("existing-application.md");
    let title = "A dependency and a line";
    let [code] = &blocks(&guide, title, "rust")[..] else {
        panic!("the page does not have exactly one program");
    };
    assert!(code.lines().count() <= 30);
    let example = fs::read_to_string(root.join("engine/examples/existing.rs")).unwrap();
    assert_eq!(*code, example);

    // The page names the version of Rocket that the engine uses.
    let [manifest] = &blocks(&guide, title, "toml")[..] else {
        panic!("the page does not have exactly one manifest");
    };
    let own = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let rocket = |line: &&str| line.starts_with("rocket = ");
    assert_eq!(manifest.lines().find(rocket), own.lines().find(rocket));
}

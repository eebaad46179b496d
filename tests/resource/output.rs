//! `cargo xtask resource`: the commands of its page, its templates and its messages.

use std::fs;

use super::{assert_succeeds, copy_project};
use crate::doc_page::{blocks, page};
use crate::support::server::stderr;
use crate::xtask::command;

const PAGE: &str = "adding-a-resource.md";

/// The arguments of the page's first command. The slow test of `super` runs its `cargo test bookmarks`. No test runs
/// its `cargo run`, which does not end.
pub fn add_args() -> String {
    let block = blocks(&page(PAGE), "# Adding a resource", "sh").remove(0);
    let rest = "\ncargo test bookmarks\ncargo run\n";
    let first = block.strip_suffix(rest).unwrap();
    first
        .strip_prefix("cargo xtask resource ")
        .unwrap()
        .to_owned()
}

/// The arguments of the page's second command.
pub fn remove_args() -> String {
    let block = blocks(&page(PAGE), "Removing a resource", "sh").remove(0);
    let args = block.strip_prefix("cargo xtask resource ").unwrap();
    args.trim_end().to_owned()
}

#[test]
fn no_command_of_the_page_is_left_out() {
    assert_eq!(page(PAGE).matches("```sh\n").count(), 2);
    let Some(folder) = copy_project() else { return };
    assert_succeeds(folder.path(), &add_args());
    assert!(folder.path().join("tests/bookmarks.rs").exists());
}

#[test]
fn buttons_name_the_row_by_its_first_field() {
    let Some(folder) = copy_project() else { return };
    for (field, spoken) in [
        (
            "size:number?",
            ": {% if row.size is number %}{{ row.size }}{% else %}",
        ),
        (
            "done:flag",
            ": done: {% if row.done %}yes{% else %}no{% endif %}\"",
        ),
        ("title:text", ": {{ row.title | truncate(length=40) }}\""),
    ] {
        let printed = assert_succeeds(folder.path(), &format!("bookmarks {field}"));
        assert!(printed.contains("singular is `bookmark`"), "{printed}");
        let list = folder.path().join("templates/bookmarks/list.html.tera");
        let list = fs::read_to_string(list).unwrap();
        assert!(list.contains(spoken), "{list}");
        assert_succeeds(folder.path(), "--remove bookmarks --force");
    }
}

#[test]
fn a_closed_stdout_is_no_error() {
    let Some(folder) = copy_project() else { return };
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = command(folder.path(), &["resource", "bookmarks", "title:text"]);
    let output = command.stdout(writer).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

//! `cargo xtask resource --remove` deletes nothing outside of the project and the resource.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::tempdir;

use super::{assert_refused, assert_succeeds, copy_project};
use crate::xtask::git;

#[test]
fn links_are_removed_and_their_targets_stay() {
    let Some(folder) = copy_project() else { return };
    let root = folder.path();
    let elsewhere = tempdir().unwrap();
    let kept = elsewhere.path().join("kept.md");
    fs::write(&kept, "kept").unwrap();
    symlink(elsewhere.path(), root.join("src/notes/more")).unwrap();
    symlink(&kept, root.join("templates/notes/kept.md")).unwrap();
    let test = root.join("tests/notes.rs");
    let before = fs::read(&test).unwrap();

    // A folder in place of a file stops the command halfway, and the links are restored.
    fs::remove_file(&test).unwrap();
    fs::create_dir(&test).unwrap();
    fs::write(test.join("in.txt"), "").unwrap();
    assert_refused(root, "--remove notes --force", "Nothing was changed");
    assert!(root.join("src/notes/more").is_symlink());
    fs::remove_dir_all(&test).unwrap();
    fs::write(&test, before).unwrap();

    // A folder that is a link out of the project.
    let (templates, other) = (root.join("templates"), elsewhere.path().join("templates"));
    fs::rename(&templates, &other).unwrap();
    symlink(&other, &templates).unwrap();
    assert_refused(root, "--remove notes --force", "outside of the project");
    fs::remove_file(&templates).unwrap();
    fs::rename(&other, &templates).unwrap();

    symlink("nowhere", root.join("src/notes/dangling")).unwrap();
    assert_succeeds(root, "--remove notes --force");
    assert_eq!(fs::read_to_string(&kept).unwrap(), "kept");
    assert!(!root.join("src/notes").exists());
    assert!(!root.join("templates/notes").exists());
}

#[test]
fn attributes_above_the_module_are_removed_and_no_others() {
    let Some(folder) = copy_project() else { return };
    let root = folder.path();
    let library = root.join("src/lib.rs");
    let plain = fs::read_to_string(&library).unwrap();
    let own = "/// Reports.\npub mod reports;\n";
    let with = |notes| plain.replace("pub mod notes;\n", &format!("{own}{notes}"));
    let attributes = "/// Notes.\n#[cfg(unix)]\npub mod notes;\n";
    assert_ne!(with(attributes), plain);
    fs::write(&library, with(attributes)).unwrap();
    assert_succeeds(root, "--remove notes");
    let left = fs::read_to_string(&library).unwrap();
    assert!(left.contains(own) && !left.contains("Notes"), "{left}");
    assert_eq!(
        left.matches("#[cfg(unix)]").count(),
        plain.matches("#[cfg(unix)]").count()
    );
}

#[test]
fn later_migrations_prevent_removal_and_other_mentions_are_reported() {
    let Some(folder) = copy_project() else { return };
    let root = folder.path();
    let later =
        "-- About notes.\nALTER TABLE keynotes ADD x TEXT;\nalter table Notes ADD tag TEXT;\n";
    for (path, text) in [
        ("migrations/1001_more.sql", later),
        ("templates/more.html.tera", "<a href=\"/admin/notes\">\n"),
        (
            "tests/more.rs",
            "const SQL: &str = \"SELECT id FROM notes\";\n",
        ),
    ] {
        fs::write(root.join(path), text).unwrap();
    }
    git(root, &["add", "-A"]);
    git(root, &["commit", "-qm", "More"]);
    let named = "migrations/1001_more.sql:3: alter table Notes";
    assert_refused(root, "--remove notes", named);
    let printed = assert_succeeds(root, "--remove notes --force");
    for place in [
        named,
        "templates/more.html.tera:1: <a href",
        "tests/more.rs:1: const SQL",
    ] {
        assert!(printed.contains(place), "{printed}");
    }
    assert!(!printed.contains("1001_more.sql:2"), "{printed}");

    // Here the migration was released and a later one drops the table: the command removes the line that an update
    // brought back, and keeps the migrations.
    let kept = "migrations/1000_notes.sql";
    git(
        root,
        &["checkout", "-q", "HEAD", kept, "tests/resources.rs"],
    );
    assert_succeeds(root, "--remove notes");
    assert!(root.join(kept).exists());
    let list = fs::read_to_string(root.join("tests/resources.rs")).unwrap();
    assert!(!list.contains("notes"), "{list}");
}

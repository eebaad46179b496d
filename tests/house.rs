//! The nevers of ARCHITECTURE.md, held against the source.

use std::fs;
use std::path::{Path, PathBuf};

const FLOORS: [&[&str]; 11] = [
    &["main"],
    &["cli"],
    &["lib"],
    &["api", "admin"],
    &["auth"],
    &["models"],
    &["web"],
    &["password", "db"],
    &["config"],
    &["secret", "identity"],
    &["error"],
];

/// Every file below a folder of the repository.
pub fn files(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = vec![];
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty());
    found
}

/// The source files with the room that each is in, without comments and unit tests.
fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let read = |path: PathBuf| {
        let room = path
            .strip_prefix(&root)
            .unwrap()
            .components()
            .next()
            .unwrap();
        let room = room
            .as_os_str()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs")
            .to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let code: Vec<_> = code
            .lines()
            .filter(|l| !l.trim_start().starts_with("//"))
            .collect();
        (room, path, code.join("\n"))
    };
    files("src").into_iter().map(read).collect()
}

fn holds_sql(code: &str) -> bool {
    let verbs = ["SELECT ", "INSERT INTO", "UPDATE ", "DELETE FROM"];
    verbs.iter().any(|verb| code.contains(&format!("\"{verb}"))) || code.contains("sqlx::query")
}

#[test]
fn every_route_has_a_time_limit_but_bulk_actions() {
    for (room, path, code) in sources() {
        if ["api", "admin"].contains(&room.as_str()) && !path.ends_with("admin/bulk.rs") {
            let count = |what: &str| code.matches(what).count();
            let path = path.display();
            assert_eq!(count("routes!["), count("bounded(routes"), "{path}");
        }
    }
}

#[test]
fn sql_stands_in_models_and_in_the_pools_own_set_up_only() {
    for (room, path, code) in sources() {
        let may = ["models", "db"].contains(&room.as_str());
        assert!(may || !holds_sql(&code), "{} holds SQL", path.display());
    }
    assert!(holds_sql("sqlx::query(\"SELECT 1\")"));
}

#[test]
fn models_know_no_http_and_secret_neither_http_nor_sql() {
    for (room, path, code) in sources() {
        let forbidden: &[&str] = match room.as_str() {
            "models" => &[
                "rocket::http",
                "rocket::request",
                "rocket::response",
                "crate::web",
            ],
            "secret" => &["rocket", "sqlx", "crate::"],
            _ => &[],
        };
        for word in forbidden {
            assert!(!code.contains(word), "{} has {word}", path.display());
        }
    }
}

#[test]
fn api_and_admin_touch_no_hash_and_no_digest() {
    for (room, path, code) in sources() {
        if ["api", "admin", "cli"].contains(&room.as_str()) {
            for word in [
                "password_hash",
                "digest",
                "Hasher",
                "user::credentials",
                "argon2",
            ] {
                assert!(!code.contains(word), "{} has {word}", path.display());
            }
        }
    }
}

#[test]
fn tokens_are_issued_checked_and_ended_in_one_file_only() {
    for (room, path, code) in sources() {
        if path.ends_with("auth/sessions.rs") || room == "models" {
            continue;
        }
        for word in [
            "token::insert",
            "token::find_bearer",
            "token::renew",
            "token::delete",
        ] {
            assert!(!code.contains(word), "{} has {word}", path.display());
        }
    }
}

#[test]
fn a_module_imports_only_from_floors_below_its_own() {
    let floor = |room: &str| FLOORS.iter().position(|rooms| rooms.contains(&room));
    for (room, path, code) in sources() {
        let own = floor(&room).unwrap_or_else(|| panic!("{room} is on no floor"));
        if room == "lib" {
            continue; // the table of contents names everything
        }
        for part in code.split("crate::").skip(1) {
            let name = part
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap();
            // `crate::rocket` is lib's own function.
            let other = if name == "rocket" {
                floor("lib")
            } else {
                floor(name)
            };
            let other = other.unwrap_or_else(|| panic!("{name} in {} is no room", path.display()));
            assert!(
                name == room || other > own,
                "{} imports {name}",
                path.display()
            );
        }
    }
}

#[test]
fn templates_escape_everything() {
    for path in files("templates") {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name.ends_with(".html.tera"), "{name} would not be escaped");
        let text = fs::read_to_string(&path).unwrap();
        let plain = text.replace(' ', "");
        for word in ["|safe", "autoescapefalse", "<script>", "<style", "style="] {
            assert!(!plain.contains(word), "{name} has {word}");
        }
    }
}

#[test]
fn no_request_path_unwraps() {
    for (_, path, code) in sources() {
        for word in [
            ".unwrap()",
            ".expect(",
            "panic!(",
            "todo!(",
            "unreachable!(",
        ] {
            assert!(!code.contains(word), "{} has {word}", path.display());
        }
    }
}

#[test]
fn the_evidence_that_the_security_page_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let quoted = page.split('`').skip(1).step_by(2);
    let mut named = 0;
    for (file, function) in quoted.filter_map(|text| text.split_once("::")) {
        let code = ["tests", "src"]
            .map(|folder| root.join(folder).join(format!("{file}.rs")))
            .iter()
            .find_map(|path| fs::read_to_string(path).ok())
            .unwrap_or_else(|| panic!("no {file}::{function}"));
        let exists = function == "*" || code.contains(&format!("fn {function}("));
        assert!(exists, "no {file}::{function}");
        named += 1;
    }
    assert!(named > 50, "{named} tests are named");
}

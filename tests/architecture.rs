//! The rules of ARCHITECTURE.md, checked against the source.

mod public;

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

const LAYERS: [&[&str]; 13] = [
    &["notes", "main"],
    &["cli"],
    &["lib"],
    &["api", "admin", "account"],
    &["auth"],
    &["models", "mail"],
    &["web"],
    &["password", "db"],
    &["config"],
    &["field"],
    &["secret", "identity"],
    &["error"],
    &["application"],
];

/// Every file in a folder of the repository.
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

/// The source files of the engine and the application with their layer, without comments and unit tests. A resource's
/// files are in the layers of the engine that have the same rules.
fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: PathBuf| {
        let name =
            |part: &std::ffi::OsStr| part.to_str().unwrap().trim_end_matches(".rs").to_owned();
        let layer = match path.strip_prefix(root.join("engine/src")) {
            Ok(below) => name(below.components().next().unwrap().as_os_str()),
            Err(_) => match &*name(path.file_name().unwrap()) {
                "model" => "models".to_owned(),
                own @ ("api" | "admin" | "account") => own.to_owned(),
                _ => {
                    // An ejected stage, such as `api_session`.
                    let below = path.strip_prefix(root.join("src")).unwrap();
                    let module = name(below.components().next().unwrap().as_os_str());
                    let area = module.split('_').next().unwrap();
                    match area {
                        "api" | "admin" | "account" => area.to_owned(),
                        _ => "main".to_owned(),
                    }
                }
            },
        };
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let code: Vec<_> = code
            .lines()
            .filter(|l| !l.trim_start().starts_with("//"))
            .collect();
        (layer, path, code.join("\n"))
    };
    let all = files("engine/src").into_iter().chain(files("src"));
    all.map(read).collect()
}

fn contains_sql(code: &str) -> bool {
    let verbs = ["SELECT ", "INSERT INTO", "UPDATE ", "DELETE FROM"];
    verbs.iter().any(|verb| code.contains(&format!("\"{verb}"))) || code.contains("sqlx::query")
}

#[test]
fn every_route_except_bulk_actions_has_a_time_limit() {
    let is_bulk = |path: &Path| {
        ["admin/bulk.rs", "src/admin_bulk.rs"]
            .iter()
            .any(|file| path.ends_with(file))
    };
    for (layer, path, code) in sources() {
        if ["api", "admin", "account"].contains(&layer.as_str()) && !is_bulk(&path) {
            let count = |what: &str| code.matches(what).count();
            let path = path.display();
            assert_eq!(count("routes!["), count("bounded(routes"), "{path}");
        }
    }
}

#[test]
fn sql_is_only_in_models_and_in_the_pools_setup() {
    for (layer, path, code) in sources() {
        let may = ["models", "db"].contains(&layer.as_str());
        assert!(may || !contains_sql(&code), "{} holds SQL", path.display());
    }
    assert!(contains_sql("sqlx::query(\"SELECT 1\")"));
}

#[test]
fn models_use_no_http_and_secret_uses_neither_http_nor_sql() {
    for (layer, path, code) in sources() {
        let forbidden: &[&str] = match layer.as_str() {
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
fn handlers_use_no_password_hash_and_no_digest() {
    for (layer, path, code) in sources() {
        if ["api", "admin", "account", "cli"].contains(&layer.as_str()) {
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
fn only_two_files_issue_check_and_end_tokens() {
    for (layer, path, code) in sources() {
        let ours = ["auth/sessions.rs", "auth/revocation.rs"];
        if ours.iter().any(|file| path.ends_with(file)) || layer == "models" {
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

/// The only modules that may use Rocket: request handling, start-up and configuration. The rest does not depend on
/// the web framework.
const ROCKET_MODULES: [&str; 16] = [
    "account",
    "admin",
    "api",
    "auth/background_tasks",
    "auth/cookie",
    "auth/guard",
    "auth/mod",
    "cli/check/settings",
    "cli/mod",
    "cli/serve",
    "config",
    "db/pool",
    "error",
    "identity/id",
    "lib",
    "web",
];

#[test]
fn only_modules_at_the_edge_use_rocket() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("engine/src");
    for (_, path, code) in sources() {
        let Ok(file) = path.strip_prefix(&root) else {
            continue;
        };
        let file = file.with_extension("");
        // The pool is a Rocket fairing.
        let is_edge =
            file == Path::new("db") || ROCKET_MODULES.iter().any(|edge| file.starts_with(edge));
        let code = code.replace("rocket_multitoken", "");
        assert!(is_edge || !code.contains("rocket"), "{}", path.display());
    }
}

#[test]
fn a_module_imports_only_from_layers_below_its_own() {
    let engine = Path::new(env!("CARGO_MANIFEST_DIR")).join("engine");
    let position_of = |layer: &str| LAYERS.iter().position(|layers| layers.contains(&layer));
    for (layer, path, code) in sources() {
        let own = position_of(&layer).unwrap_or_else(|| panic!("{layer} is in no layer"));
        if layer == "lib" {
            continue; // the table of contents names everything
        }
        for part in code.split("crate::").skip(1) {
            let name = part
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap();
            if name == "context" {
                continue; // a macro
            }
            let Some(other) = position_of(name) else {
                // The application's own modules.
                assert!(
                    !path.starts_with(&engine),
                    "{name} in {} is no layer",
                    path.display()
                );
                continue;
            };
            assert!(
                name == layer || other > own,
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
        // A mail's plain text is not escaped.
        let is_plain = name.ends_with(".txt.tera") && path.parent().unwrap().ends_with("mail");
        let is_escaped = name.ends_with(".html.tera");
        assert!(is_escaped || is_plain, "{name} would not be escaped");
        let text = fs::read_to_string(&path).unwrap();
        let plain = text.replace(' ', "");
        for word in ["|safe", "autoescapefalse", "<script>", "<style", "style="] {
            assert!(!plain.contains(word), "{name} has {word}");
        }
    }
}

/// The migrations of release 0.2.0. A database that has applied them does not start with others.
const MIGRATIONS: [(&str, &str); 6] = [
    (
        "0001_users.sql",
        "1f1764dcad8fd77690b5997497ab167d1a568fbb8cf986004e0a56c070459f4a",
    ),
    (
        "0002_tokens.sql",
        "63effe61d8391196656d8bb6337f073f3dae96f759431b0269e50d36354a8d8e",
    ),
    (
        "0003_events.sql",
        "fef1209be1c5ae632de574034a7e9e0ceee84700baaf6d23db53d62c51ff3be1",
    ),
    (
        "0004_attempts.sql",
        "14eaf969f5e94d84b9a52f9ea927561be911de7e0fcca02263950aa8f2b3e655",
    ),
    (
        "0005_endings.sql",
        "cd1b6259414123fabd365e713dc8dab68ea19fb2591ab1541bac5523fe3c03fa",
    ),
    (
        "0006_readiness.sql",
        "17e357f1417a18b3c1a7196e7ed645851cdb58d17e6a9b815969c947feab77e9",
    ),
];

#[test]
fn released_migrations_do_not_change() {
    for (name, sum) in MIGRATIONS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("engine/migrations")
            .join(name);
        let found: [u8; 32] = Sha256::digest(fs::read(path).unwrap()).into();
        let found = found.map(|byte| format!("{byte:02x}")).concat();
        assert_eq!(found, sum, "{name} has changed; add a migration instead");
    }
}

#[test]
fn migrations_of_the_engine_and_the_application_have_separate_numbers() {
    for (folder, numbers) in [("engine/migrations", 1..=999), ("migrations", 1000..=9999)] {
        for path in files(folder) {
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.extension().is_none_or(|kind| kind != "sql") {
                continue;
            }
            let number = name.split_once('_').unwrap().0.parse::<u32>().unwrap();
            assert!(numbers.contains(&number), "{folder}/{name}");
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
fn the_tests_that_the_security_pages_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = ["SECURITY.md", "docs/asvs.md"];
    let pages = pages.map(|page| fs::read_to_string(root.join(page)).unwrap());
    let page = pages.concat();
    let quoted = page.split('`').skip(1).step_by(2);
    let mut named = 0;
    for (file, function) in quoted.filter_map(|text| text.split_once("::")) {
        let code = ["tests", "engine/tests", "engine/src"]
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

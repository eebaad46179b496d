//! The engine's public API: small, and no part of it bypasses `auth`.

use std::fs;
use std::path::Path;

use super::sources;

/// The engine's public modules, by their `pub mod` lines.
fn public_modules(path: &str, file: &Path) -> Vec<String> {
    let code = fs::read_to_string(file).unwrap();
    let folder = match file.file_stem().unwrap().to_str().unwrap() {
        "lib" | "mod" => file.parent().unwrap().to_owned(),
        _ => file.with_extension(""),
    };
    let mut found = vec![];
    for name in code
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod "))
    {
        let name = name.trim_end_matches(';');
        let own = format!("{path}{name}");
        let files = [format!("{name}.rs"), format!("{name}/mod.rs")].map(|file| folder.join(file));
        let file = files.iter().find(|file| file.exists()).unwrap();
        found.extend(public_modules(&format!("{own}::"), file));
        found.push(own);
    }
    found
}

#[test]
fn the_engines_docs_name_every_public_module() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("engine/src/lib.rs");
    let code = fs::read_to_string(&root).unwrap();
    let page: Vec<_> = code
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .collect();
    let page = page.join("\n");
    let modules = public_modules("", &root);
    assert!(modules.len() > 40, "{modules:?}");
    for module in modules {
        let is_named = [format!("[`{module}`]"), format!("[`{module}::")]
            .iter()
            .any(|link| page.contains(link));
        assert!(
            is_named,
            "{module} is public, and not on the front page of engine/src/lib.rs"
        );
    }
}

#[test]
fn no_public_function_of_a_model_changes_a_token_or_a_user() {
    let changes = ["INSERT INTO", "UPDATE ", "DELETE FROM"];
    for (layer, path, code) in sources() {
        let is = |part: &str| path.to_str().unwrap().contains(part);
        if layer != "models"
            || !["models/token", "models/user", "models/stats"]
                .into_iter()
                .any(is)
        {
            continue;
        }
        let inner = ["token/change.rs", "token/deletion.rs", "user/change.rs"];
        let has = changes.iter().any(|verb| code.contains(verb));
        assert_eq!(has, inner.into_iter().any(is), "{}", path.display());
        for line in code
            .lines()
            .filter(|line| line.starts_with("pub use self::"))
        {
            let is_inner = ["change", "deletion"]
                .iter()
                .any(|name| line.contains(name));
            // It only locks a row.
            let may = line == "pub use self::change::lock;";
            assert!(may || !is_inner, "{}: {line}", path.display());
        }
    }
}

#[test]
fn no_public_function_adds_an_event_with_an_action_of_the_engine() {
    let sources = sources();
    let model = |path: &Path| path.ends_with("models/event.rs");
    let (_, _, code) = sources.iter().find(|(_, path, _)| model(path)).unwrap();
    let public = code.lines().filter(|line| line.starts_with("pub "));
    let functions: Vec<_> = public.filter(|line| line.contains(" fn ")).collect();
    assert_eq!(
        functions,
        [
            "pub async fn insert_custom(",
            "pub async fn find(db: &mut Conn, id: EventId) -> sqlx::Result<Option<Event>> {"
        ]
    );
}

#[test]
fn no_stage_refers_to_another_stage() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("engine/src");
    let all = sources();
    let own = |path: &Path| path.strip_prefix(&root).unwrap_or(path).with_extension("");
    let stages = all.iter().filter(|(_, path, code)| {
        own(path).components().count() == 2 && code.contains("\npub fn stage() -> AdHoc")
    });
    let stages: Vec<_> = stages
        .map(|(area, path, _)| (area, own(path)))
        .filter(|(area, _)| ["api", "admin", "account"].contains(&area.as_str()))
        .filter(|(_, stage)| !stage.ends_with("mod"))
        .collect();
    assert!(stages.len() > 16, "{stages:?}");
    for (_, stage) in &stages {
        // Not even its own path, which changes when it is ejected.
        let name = format!("crate::{}::", stage.to_str().unwrap().replace('/', "::"));
        for (_, path, code) in &all {
            assert!(!code.contains(&name), "{} names {name}", path.display());
        }
        let file = root.join(stage).with_extension("rs");
        let (_, _, code) = all.iter().find(|(_, path, _)| *path == file).unwrap();
        assert!(
            !code.contains("super::"),
            "{}: write crate:: instead",
            file.display()
        );
    }
}

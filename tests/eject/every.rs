//! This project with every stage ejected and the changes of `docs/ejecting-a-stage.md`: it still satisfies the
//! contract.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{eject, guide, user_data};
use crate::fork::tools::{edit, write};
use crate::support::server::{stderr, stdout};
use crate::xtask::RebuildEngine;
use crate::xtask::{cargo, commit, git, is_clone};

/// Modules of the engine's tests that also run against an application.
const ENGINE_TESTS: [&str; 12] = [
    "account",
    "admin",
    "audit",
    "bulk",
    "find",
    "links",
    "lists",
    "login",
    "mail",
    "observability",
    "session",
    "ui",
];
/// The application's tests that check every route, and the source.
const APPLICATION_TESTS: [&str; 3] = ["architecture", "openapi", "routes"];

/// The page's example adds one field and nothing else.
const EXAMPLE: &str = r#"//! The ejected sign-in.

use rocket_multitoken::models::user::Role;

use crate::support::{PASSWORD, on_both};

#[test]
fn a_sign_in_returns_the_username_too() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        let answer = app.try_login("alice", PASSWORD, "laptop").await.json();
        assert_eq!(answer["username"], "alice");
        let members: Vec<_> = answer.as_object().unwrap().keys().collect();
        assert_eq!(members, ["username", "auth_token", "token_type", "client", "expires_at"]);
        let document = app.get("/openapi.json", "").await.json();
        let described = &document["components"]["schemas"]["LoggedIn"]["properties"];
        assert_eq!(described["username"]["type"], "string");
        assert_eq!(described.as_object().unwrap().len(), 5);
    });
}
"#;

#[test]
#[ignore = "slow"]
fn with_every_stage_ejected_the_contract_still_holds() {
    if !is_clone() {
        return;
    }
    // A fixed path, so that the build replaces the one of the previous run.
    let root = &Path::new(env!("CARGO_TARGET_TMPDIR")).join("ejected");
    let _rebuild = RebuildEngine;
    let _ = fs::remove_dir_all(root);
    fs::create_dir_all(root).unwrap();
    guide::copy_to(root);
    guide::follow(root);
    user_data::follow(root);
    commit(root, "User data");
    let listed = stdout(&eject(root, &["--list"]));
    let names = listed.lines().filter(|line| !line.ends_with("(ejected)"));
    let names: Vec<_> = names.filter_map(|line| line.split(' ').next()).collect();
    assert!(names.len() > 15, "{listed}");
    for name in &names {
        check_single_ejection(root, name);
    }
    let ejected = eject(root, &names);
    assert!(ejected.status.success(), "{}", stderr(&ejected));
    let application = fs::read_to_string(root.join("src/lib.rs")).unwrap();
    assert_eq!(application.matches("api::").count(), 0, "{application}");
    assert_eq!(application.matches("admin::").count(), 1, "{application}");

    stdout_of(cargo(root).args(["fmt", "--all", "--check"]));
    stdout_of(&mut cargo_with_target(
        root,
        &["clippy", "--workspace", "--lib", "--", "-D", "warnings"],
    ));

    let main = fs::read_to_string(root.join("tests/main.rs")).unwrap();
    let module = |name: &&str| format!("#[path = \"../engine/tests/{name}.rs\"]\nmod {name};\n");
    let modules: String = ENGINE_TESTS.iter().map(module).collect();
    let main = format!("{main}{modules}mod ejected;\n");
    write(root, "tests/main.rs", &main);
    write(root, "tests/ejected.rs", EXAMPLE);
    // The test of the audit log needs it.
    edit(
        root,
        "Cargo.toml",
        "[dev-dependencies]\n",
        "[dev-dependencies]\ncsv.workspace = true\n",
    );
    let modules = ENGINE_TESTS
        .iter()
        .chain(&APPLICATION_TESTS)
        .chain(&["ejected", "profile"]);
    let filters: Vec<_> = modules.map(|name| format!("{name}::")).collect();
    let mut test = cargo_with_target(root, &["test", "--test", "all", "--"]);
    let printed = stdout_of(test.args(filters));
    assert!(printed.contains(
        "profile::a_name_is_shown_to_its_user_and_to_admins_and_goes_with_the_user ... ok"
    ));
    assert!(printed.contains("ejected::a_sign_in_returns_the_username_too ... ok"));
    fs::remove_dir_all(root).unwrap();
}

/// Ejects one stage, checks the written files, and resets. Compiling follows once, with all stages ejected.
fn check_single_ejection(root: &Path, name: &str) {
    let ejected = eject(root, &[name]);
    assert!(ejected.status.success(), "{}", stderr(&ejected));
    let module = name.replace('/', "_");
    let changed = git(root, &["status", "--porcelain"]);
    let may = [
        "M  Cargo.lock",
        "M  Cargo.toml",
        "M  src/lib.rs",
        "M  template.toml",
    ];
    for line in changed.lines() {
        let own = format!("A  src/{module}");
        assert!(
            may.contains(&line) || line.starts_with(&own),
            "{name}: {line}"
        );
    }
    let application = git(root, &["diff", "--staged", "--unified=0", "src/lib.rs"]);
    let (area, subject) = name.split_once('/').unwrap();
    for line in [
        format!("+mod {module};"),
        format!("-        .attach({area}::{subject}::stage())"),
        format!("+        .attach({module}::stage())"),
    ] {
        assert!(
            application.lines().any(|one| one == line),
            "{name}: {application}"
        );
    }
    let edited = application
        .lines()
        .filter(|line| line.starts_with(['+', '-']));
    assert_eq!(edited.count(), 5, "{name}: {application}");
    git(root, &["reset", "--quiet", "--hard"]);
}

/// Cargo with this project's target folder.
fn cargo_with_target(root: &Path, args: &[&str]) -> Command {
    let binary = Path::new(crate::PROGRAM);
    let target = binary.ancestors().nth(2).unwrap();
    let (command, rest) = args.split_first().unwrap();
    // Schemathesis is installed for this project only.
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis/.venv/bin");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut cargo = cargo(root);
    cargo
        .args([command, "--offline"])
        .args(rest)
        .env("PATH", format!("{}:{path}", tools.display()))
        .env("CARGO_TARGET_DIR", target);
    cargo
}

fn stdout_of(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        stdout(&output),
        stderr(&output)
    );
    stdout(&output)
}

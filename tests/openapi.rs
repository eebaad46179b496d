//! The API's description: complete, and true.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use rocket::http::{Method, Status};
use serde_json::{Value, json};

use crate::support::PASSWORD;
use crate::support::app::{App, on_both, on_both_with};
use crate::support::needs;
use crate::support::server::{Server, run, sqlite, stdout};

/// Paths below which nothing is for programs.
const PAGES: [&str; 2] = ["/admin", "/static"];
/// Ranks from here on are of routes that refuse.
const LAST_RANK: isize = 1000;

async fn described(app: &App) -> Value {
    let answer = app.send(Method::Get, "/openapi.json", &[], "").await;
    assert_eq!(answer.status, Status::Ok);
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
    answer.json()
}

#[test]
fn every_route_for_programs_is_described_and_no_other() {
    on_both_with(json!({"metrics": true}), async |app| {
        let routes = app.client.rocket().routes().filter(|route| {
            let is_page = |page: &&str| route.uri.path().starts_with(*page);
            route.rank < LAST_RANK && !PAGES.iter().any(is_page)
        });
        let mounted: BTreeSet<String> = routes
            .map(|route| {
                let path = route.uri.path().replace('<', "{").replace('>', "}");
                let path = path.trim_end_matches('/');
                format!("{} {path}", route.method.as_str().to_lowercase())
            })
            .collect();
        let document = described(&app).await;
        let mut found = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                found.insert(format!("{method} {}", path.trim_end_matches('/')));
            }
        }
        assert!(mounted.contains("delete /auth/tokens/{id}"), "{mounted:?}");
        let missing: Vec<_> = mounted.difference(&found).collect();
        let gone: Vec<_> = found.difference(&mounted).collect();
        assert!(
            missing.is_empty() && gone.is_empty(),
            "src/api/description.rs lacks {missing:?}, and has too much {gone:?}"
        );
    });
}

/// Everything in the document that some other part of it refers to.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(to) if name == "$ref" => found.push(to.clone()),
                    _ => references(field, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn each_operation_says_what_it_is_for_and_each_error_what_it_looks_like() {
    on_both(async |app| {
        let document = described(&app).await;
        let mut found = vec![];
        references(&document, &mut found);
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        let operations = document["paths"].as_object().unwrap().values();
        for operation in operations.flat_map(|item| item.as_object().unwrap().values()) {
            let id = &operation["operationId"];
            assert!(operation["summary"].is_string(), "{id}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                let is_error = status.as_str() >= "400";
                assert_eq!(response["$ref"].is_string(), is_error, "{id} {status}");
                let said = |what: &Value| what["description"] != "";
                assert!(is_error || said(response), "{id} {status}");
            }
        }
        for (name, response) in document["components"]["responses"].as_object().unwrap() {
            let body = &response["content"]["application/problem+json"];
            assert_eq!(
                body["schema"]["$ref"], "#/components/schemas/Problem",
                "{name}"
            );
            assert!(body["example"]["status"].as_u64().unwrap() >= 400, "{name}");
        }
    });
}

#[test]
fn it_carries_the_applications_name_and_the_command_prints_it() {
    on_both_with(
        json!({"name": "Acme", "public_url": "https://acme.example"}),
        async |app| {
            let document = described(&app).await;
            assert_eq!(document["info"]["title"], "Acme");
            assert_eq!(
                document["servers"],
                json!([{"url": "https://acme.example"}])
            );
            let page = app.send(Method::Get, "/docs", &[], "").await;
            assert_eq!(page.status, Status::Ok);
            assert!(
                page.text.contains("<title>API · Acme</title>"),
                "{}",
                page.text
            );
        },
    );
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite(folder.path());
    let output = run(&url, &["openapi"], "");
    assert!(output.status.success());
    let printed: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(printed["openapi"], "3.1.0");
    assert!(printed["paths"]["/auth/login/"]["post"].is_object());
    assert!(!folder.path().join("data").exists(), "it opens no database");
}

#[test]
fn every_example_is_what_its_schema_says() {
    let Some(schemathesis) = needs::schemathesis() else {
        return;
    };
    let document = run("sqlite:none", &["openapi"], "");
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/schemathesis/examples.py"
    );
    let mut python = Command::new(schemathesis.with_file_name("python3"))
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = python.stdin.take().unwrap();
    stdin.write_all(&document.stdout).unwrap();
    drop(stdin);
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let number: u32 = stdout(&output).trim().parse().unwrap();
    assert!(number > 30, "{number} examples");
}

/// Requests for each operation at most, and in all at least: by hand some, with `CI=true` ten thousand. How many
/// it comes to is chance: what takes few different requests gets no more, and links are followed for a time.
fn examples() -> (u32, u32) {
    match std::env::var("CI").as_deref() {
        Ok("true") => (1100, 10_000),
        _ => (30, 300),
    }
}

#[test]
fn schemathesis_finds_nothing_that_the_description_does_not_say() {
    let Some(program) = needs::schemathesis() else {
        return;
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis");
    rocket::async_test(async {
        let data = tempfile::tempdir().unwrap();
        let settings = "{metrics=true,hash_memory_kib=8,hash_iterations=1,\
                        login_failures_per_account=1000000,login_failures_per_address=1000000,\
                        logins_per_account=1000000}";
        let url = sqlite(data.path());
        let server = Server::start_with(&url, &[("ROCKET_APP", settings)]).await;
        // The first is the one of the examples; the other's password they don't know.
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let password = "nothing that is guessed";
        server.run(&["user", "create", "tester", "--password-stdin"], password);
        let (each, least) = examples();
        let output = Command::new(program)
            .current_dir(folder)
            .args(["run", "--checks", "all", "--continue-on-failure"])
            .args(["--max-examples", &each.to_string()])
            .arg(format!("{}/openapi.json", server.origin))
            .env("ORIGIN", &server.origin)
            .env("PASSWORD", password)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("HYPOTHESIS_STORAGE_DIRECTORY", data.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
        let generated = said.lines().find_map(|line| {
            let (number, _) = line.trim().split_once(" generated")?;
            number.replace(',', "").parse::<u32>().ok()
        });
        assert!(generated.unwrap() >= least, "{said}");
        for phase in ["Examples", "Coverage", "Fuzzing", "Stateful"] {
            assert!(said.contains(&format!("✅ {phase}")), "{phase}: {said}");
        }
    });
}

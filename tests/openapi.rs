//! The OpenAPI document: complete and correct.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use flate2::read::GzDecoder;
use rocket::http::{Header, Method, Status};
use rocket_multitoken::models::user::Role;
use serde_json::{Map, Value, json};

use crate::support::PASSWORD;
use crate::support::app::{App, Response, on_both, on_both_with};
use crate::support::server::{Server, run, sqlite, stdout};

/// Paths of pages and assets, which the document leaves out.
const PAGES: [&str; 7] = [
    "/account",
    "/admin",
    "/dev",
    "/static",
    "/.well-known/change-password",
    "/favicon.ico",
    "/robots.txt",
];
/// Routes of this rank and above only refuse a method.
const REFUSAL_RANK: isize = 1000;

async fn fetch_document(app: &App) -> Value {
    let answer = app.send(Method::Get, "/openapi.json", &[], "").await;
    assert_eq!(answer.status, Status::Ok);
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
    answer.json()
}

#[test]
fn the_document_describes_every_api_route_and_no_other() {
    on_both_with(json!({"metrics": true}), async |app| {
        let routes = app.client.rocket().routes().filter(|route| {
            let path = route.uri.path();
            let is_page = path == "/" || PAGES.iter().any(|page| path.starts_with(page));
            route.rank < REFUSAL_RANK && !is_page
        });
        let mounted: BTreeSet<String> = routes
            .map(|route| {
                let path = route.uri.path().replace('<', "{").replace('>', "}");
                let path = path.trim_end_matches('/');
                format!("{} {path}", route.method.as_str().to_lowercase())
            })
            .collect();
        let document = fetch_document(&app).await;
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
            "engine/src/api/description.rs lacks {missing:?} and describes missing routes {gone:?}"
        );
    });
}

/// Every `$ref` in the document.
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
fn each_operation_has_a_summary_and_each_error_a_schema() {
    on_both(async |app| {
        let document = fetch_document(&app).await;
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
                let has_description = |what: &Value| what["description"] != "";
                assert!(is_error || has_description(response), "{id} {status}");
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

/// Every operation with its method and path.
fn operations(document: &Value) -> Vec<(Method, &str, &Value)> {
    let mut found = vec![];
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            found.push((method.parse().unwrap(), path.as_str(), operation));
        }
    }
    assert!(found.len() > 10);
    found
}

/// The path with an id that no row has.
fn with_unknown_id(path: &str) -> String {
    path.replace("{id}", "01a20b47-0ace-7599-b4a7-bd71f3e71044")
}

#[test]
fn operation_ids_are_descriptive_and_unique() {
    on_both(async |app| {
        let document = fetch_document(&app).await;
        let mut seen = BTreeSet::new();
        for (method, path, operation) in operations(&document) {
            let id = operation["operationId"].as_str().unwrap();
            // In a generated client the operation id is the function's name, and "show" alone would not say of what.
            let tells = ["login", "logout"].contains(&id) || id.contains('_');
            assert!(tells, "{method} {path}: {id} names no object");
            assert!(seen.insert(id), "{id} twice");
        }
    });
}

#[test]
fn an_operation_requires_a_token_exactly_if_the_document_says_so() {
    on_both(async |app| {
        let document = fetch_document(&app).await;
        for (method, path, operation) in operations(&document) {
            let security = operation["security"].as_array().expect(path);
            let answer = app.send(method, &with_unknown_id(path), &[], "").await;
            let is_guarded = answer.status == Status::Unauthorized;
            assert_eq!(!security.is_empty(), is_guarded, "{method} {path}");
        }
    });
}

#[test]
fn fixed_values_are_enums_and_bodies_have_one_type() {
    on_both(async |app| {
        let document = fetch_document(&app).await;
        let schemas = &document["components"]["schemas"];
        for (schema, field, words) in [
            ("Me", "role", json!(["user", "admin"])),
            ("LoggedIn", "token_type", json!(["Bearer"])),
            ("Health", "status", json!(["ok"])),
        ] {
            assert_eq!(
                schemas[schema]["properties"][field]["enum"], words,
                "{field}"
            );
        }
        for (name, schema) in schemas.as_object().unwrap() {
            for (field, of) in schema["properties"].as_object().unwrap() {
                let pattern = of["pattern"].as_str().unwrap_or("[");
                let is_words = pattern
                    .chars()
                    .all(|c| c.is_alphabetic() || "^$()|_-".contains(c));
                assert!(!is_words, "{name}.{field}: {pattern} is an enum");
            }
        }
        for (method, path, operation) in operations(&document) {
            if let Some(body) = operation.get("requestBody") {
                let types: Vec<_> = body["content"].as_object().unwrap().keys().collect();
                assert_eq!(types, ["application/json"], "{method} {path}");
            }
        }
    });
}

/// Members of every problem whose names no field may have. A field may be called `title`, `status` or `detail`: its
/// messages replace that member, which clients then ignore (RFC 9457, section 3.1).
const RESERVED_MEMBERS: [&str; 3] = ["type", "instance", "request_id"];

#[test]
fn the_problem_schema_has_every_member_of_every_error() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        let document = fetch_document(&app).await;
        let problem = &document["components"]["schemas"]["Problem"];
        assert_eq!(problem.get("additionalProperties"), None);
        let members = &problem["properties"];
        let mut seen = BTreeSet::new();
        let mut is_described = |answer: &Response| {
            let answer = answer.json();
            for (name, value) in answer.as_object().unwrap() {
                let member = &members[name.as_str()];
                let either = member["oneOf"].as_array();
                if value.is_array() {
                    let texts = json!({"type": "array", "items": {"type": "string"}});
                    let is_named = *member == texts || either.is_some_and(|of| of.contains(&texts));
                    assert!(is_named, "{name}: {member}");
                    assert!(!RESERVED_MEMBERS.contains(&name.as_str()), "{name}");
                    seen.insert(name.clone());
                } else {
                    let text = if value.is_string() {
                        "string"
                    } else {
                        "integer"
                    };
                    assert_eq!(either.map_or(member, |of| &of[0])["type"], text, "{name}");
                }
            }
        };
        for (method, path, operation) in operations(&document) {
            let bearer = format!("Bearer {}", app.login("alice", "laptop").await);
            let token = ("Authorization", bearer.as_str());
            let headers = [token, ("Content-Type", "application/json")];
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            for query in parameters.filter(|parameter| parameter["in"] == "query") {
                let name = query["name"].as_str().unwrap();
                let path = format!("{}?{name}=%21", with_unknown_id(path));
                is_described(&app.send(method, &path, &headers, "").await);
            }
            if let Some(body) = operation.get("requestBody") {
                let schema = &body["content"]["application/json"]["schema"]["$ref"];
                let pointer = schema.as_str().unwrap().trim_start_matches('#');
                let fields = document.pointer(pointer).unwrap()["properties"]
                    .as_object()
                    .unwrap();
                for field in fields.keys() {
                    assert!(
                        !RESERVED_MEMBERS.contains(&field.as_str()),
                        "{path}: {field}"
                    );
                }
                let wrong: Map<_, _> = fields
                    .keys()
                    .map(|name| (name.clone(), json!("x")))
                    .collect();
                for body in [json!({}), wrong.into()] {
                    let body = body.to_string();
                    let answer = app
                        .send(method, &with_unknown_id(path), &headers, &body)
                        .await;
                    if answer.status.code >= 400 {
                        is_described(&answer);
                    }
                }
            }
        }
        for name in ["username", "current_password", "non_field_errors"] {
            assert!(seen.contains(name), "{seen:?}");
        }
    });
}

#[test]
fn the_document_is_compressed_and_sent_again_only_if_changed() {
    on_both(async |app| {
        for path in ["/openapi.json", "/docs"] {
            let get =
                async |headers: &[(&str, &str)]| app.send(Method::Get, path, headers, "").await;
            let plain = get(&[]).await;
            let gzip = [("Accept-Encoding", "gzip, br;q=0.5")];
            let (tag, other) = (plain.header("ETag").unwrap(), get(&gzip).await);
            assert!(
                tag.starts_with('"') && tag.ends_with('"') && tag.len() > 10,
                "{tag}"
            );
            // Another representation has another strong ETag.
            assert_ne!(other.header("ETag"), Some(tag));
            assert_eq!(other.header("Content-Encoding"), Some("gzip"));
            assert_eq!(plain.header("Content-Encoding"), None);
            let request = app
                .client
                .get(path)
                .header(Header::new("Accept-Encoding", "gzip"));
            let compressed = request.dispatch().await.into_bytes().await.unwrap();
            let mut text = String::new();
            GzDecoder::new(&compressed[..])
                .read_to_string(&mut text)
                .unwrap();
            assert!(
                text == plain.text && compressed.len() < text.len(),
                "{path}"
            );
            for (answer, tag) in [(&plain, tag), (&other, other.header("ETag").unwrap())] {
                assert_eq!(answer.header("Cache-Control"), Some("no-cache"), "{path}");
                assert_eq!(answer.header("Vary"), Some("Accept-Encoding"), "{path}");
                let encoding = answer.header("Content-Encoding").unwrap_or("identity");
                for (known, is_known) in [
                    (tag.to_owned(), true),
                    (format!("W/{tag}"), true),
                    (format!("\"a,b\" , W/\"c\",{tag}"), true),
                    (" * ".to_owned(), true),
                    (tag.trim_matches('"').to_owned(), false),
                    (format!("w/{tag}"), false),
                    (format!("\"{tag}\""), false),
                    ("\"*\", \"other\"".to_owned(), false),
                    (String::new(), false),
                ] {
                    let headers = [
                        ("If-None-Match", known.as_str()),
                        ("Accept-Encoding", encoding),
                    ];
                    for method in [Method::Get, Method::Head] {
                        let answer = app.send(method, path, &headers, "").await;
                        let wanted = if is_known {
                            Status::NotModified
                        } else {
                            Status::Ok
                        };
                        assert_eq!(answer.status, wanted, "{method} {path} {known}");
                        assert_eq!(answer.header("ETag"), Some(tag), "{path} {known}");
                        assert_eq!(answer.header("Cache-Control"), Some("no-cache"));
                        assert_eq!(answer.header("Vary"), Some("Accept-Encoding"));
                        if encoding == "identity" {
                            let is_empty = is_known || method == Method::Head;
                            assert_eq!(answer.text.is_empty(), is_empty, "{method} {path}");
                        }
                    }
                }
            }
            // A refusal has no ETag and is not cached.
            let refused = app
                .send(Method::Post, path, &[("If-None-Match", "*")], "")
                .await;
            assert_eq!(refused.status, Status::MethodNotAllowed);
            assert_eq!(
                (refused.header("ETag"), refused.header("Cache-Control")),
                (None, Some("no-store"))
            );
        }
        for path in ["/healthz", "/readyz"] {
            let answer = app.send(Method::Get, path, &[], "").await;
            assert_eq!(
                (answer.header("ETag"), answer.header("Cache-Control")),
                (None, Some("no-store"))
            );
        }
    });
}

#[test]
fn the_document_has_the_applications_name_and_the_command_prints_it() {
    on_both_with(
        json!({"name": "Acme", "public_url": "https://acme.example"}),
        async |app| {
            let document = fetch_document(&app).await;
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
    assert_eq!(printed["servers"], json!([{"url": "/"}]));
    assert!(printed["paths"]["/auth/login/"]["post"].is_object());
    assert!(!folder.path().join("data").exists(), "it opens no database");
}

#[test]
fn every_example_matches_its_schema() {
    let Some(schemathesis) = crate::needs::schemathesis() else {
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

/// The maximum number of requests for each operation, and the minimum for all of them. Few by default, 10,000 with
/// `CI=true`, or as `EXAMPLES` says for each operation. The total varies: operations with few possible requests get
/// fewer, and stateful tests run for a fixed time.
fn example_counts() -> (u32, u32) {
    if let Some(each) = std::env::var("EXAMPLES")
        .ok()
        .and_then(|each| each.parse().ok())
    {
        return (each, each);
    }
    match std::env::var("CI").as_deref() {
        Ok("true") => (800, 10_000),
        _ => (30, 300),
    }
}

#[test]
#[ignore = "slow"]
fn schemathesis_finds_no_undocumented_response() {
    let Some(program) = crate::needs::schemathesis() else {
        return;
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis");
    rocket::async_test(async {
        let data = tempfile::tempdir().unwrap();
        let settings = "{metrics=true,sign_up=\"open\",hash_memory_kib=8,hash_iterations=1,\
                        login_failures_per_account=1000000,login_failures_per_address=1000000,\
                        logins_per_account=1000000}";
        let url = sqlite(data.path());
        let server = Server::start_with(&url, &[("ROCKET_APP", settings)]).await;
        // The document's examples sign in as alice. They do not know the other user's password.
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let password = "nothing that is guessed";
        server.run(&["user", "create", "tester", "--password-stdin"], password);
        let (each, least) = example_counts();
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
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{printed}");
        let generated = printed.lines().find_map(|line| {
            let (number, _) = line.trim().split_once(" generated")?;
            number.replace(',', "").parse::<u32>().ok()
        });
        assert!(generated.unwrap() >= least, "{printed}");
        for phase in ["Examples", "Coverage", "Fuzzing", "Stateful"] {
            assert!(
                printed.contains(&format!("✅ {phase}")),
                "{phase}: {printed}"
            );
        }
    });
}

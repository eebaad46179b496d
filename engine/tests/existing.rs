//! The engine inside an existing application: `engine/examples/existing.rs`, shown in `docs/existing-application.md`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::support::server::free_port;

/// A child process, killed on drop.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(program: &Path, folder: &Path, port: u16) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env("ROCKET_PORT", port.to_string())
        .env("ROCKET_PROFILE", "debug")
        .env_remove("DATABASE_URL")
        .stdin(Stdio::null());
    command
}

#[test]
fn an_existing_application_gets_sign_in_guards_and_an_admin() {
    let folder = tempfile::tempdir().unwrap();
    let program = crate::example("existing");
    let port = free_port();

    let mut refused = command(&program, folder.path(), port);
    let refused = refused
        .env("ROCKET_APP", r#"{token_prefix="?"}"#)
        .output()
        .unwrap();
    let printed = [refused.stdout, refused.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    assert!(
        !refused.status.success() && printed.contains("app.token_prefix"),
        "{printed}"
    );

    let mut started = command(&program, folder.path(), port);
    let mut running = KillOnDrop(
        started
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let lines = BufReader::new(running.0.stderr.take().unwrap()).lines();
    let mut lines = lines.map(|line| line.unwrap());
    let setup = lines.find(|line| line.contains("/admin/setup?key="));
    let setup = setup.expect("a setup link");
    std::thread::spawn(move || lines.for_each(drop));
    rocket::async_test(assert_documented_behavior(setup.trim()));
}

async fn assert_documented_behavior(setup: &str) {
    let client = Client::builder()
        .redirect(Policy::none())
        .cookie_store(true)
        .build()
        .unwrap();
    let origin = setup.split("/admin").next().unwrap();
    let get = async |path: &str, token: &str| {
        let request = client.get(format!("{origin}{path}"));
        request.bearer_auth(token).send().await.unwrap()
    };
    let is_of_engine =
        |response: &reqwest::Response| response.headers().contains_key("content-security-policy");

    // The application's own routes and error pages.
    let front = get("/", "").await;
    assert!(!is_of_engine(&front));
    assert_eq!(front.text().await.unwrap(), "Open to everyone.");
    for (path, status) in [
        ("/mine", StatusCode::UNAUTHORIZED),
        ("/nothing", StatusCode::NOT_FOUND),
    ] {
        let response = get(path, "").await;
        assert_eq!(response.status(), status, "{path}");
        assert!(!is_of_engine(&response), "{path}");
    }
    let posted = client
        .post(format!("{origin}/mine"))
        .body("x")
        .send()
        .await
        .unwrap();
    assert_eq!(posted.status(), StatusCode::NOT_FOUND);

    // The engine's routes and error pages.
    let unknown = get("/auth/nothing", "").await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
    assert!(is_of_engine(&unknown));
    let other = client
        .put(format!("{origin}/auth/login/"))
        .send()
        .await
        .unwrap();
    assert_eq!(other.headers()["allow"], "POST, OPTIONS");

    let form = [("username", "alice"), ("password", "correct horse battery")];
    let created = client
        .post(setup)
        .header("Sec-Fetch-Site", "same-origin")
        .form(&form);
    let created = created.send().await.unwrap();
    assert_eq!(created.status(), StatusCode::SEE_OTHER);
    let home = get("/admin/", "").await.text().await.unwrap();
    let sheet = home
        .split('"')
        .find(|part| part.ends_with("admin.css"))
        .unwrap();
    assert!(sheet.starts_with("/admin/static/"), "{sheet}");
    assert_eq!(get(sheet, "").await.status(), StatusCode::OK);
    assert_eq!(
        get("/report", "").await.text().await.unwrap(),
        "For admins such as alice."
    );

    let login = client.post(format!("{origin}/auth/login/"));
    let login = login
        .json(&json!({"username": "alice", "password": "correct horse battery", "client": "cli"}));
    let token: Value = login.send().await.unwrap().json().await.unwrap();
    let token = token["auth_token"].as_str().unwrap();
    assert_eq!(
        get("/mine", token).await.text().await.unwrap(),
        "Yours, alice."
    );
    let out = client
        .post(format!("{origin}/auth/logout/"))
        .bearer_auth(token)
        .send()
        .await
        .unwrap();
    assert_eq!(out.status(), StatusCode::OK);
    assert_eq!(get("/mine", token).await.status(), StatusCode::UNAUTHORIZED);
}

//! The commands of `docs/incident.md`.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::doc_page::{blocks, page, shell, stdout_of};
use crate::support::PASSWORD;
use crate::support::needs;
use crate::support::server::{Server, free_port, on_each_url, sqlite, stdout};

/// A server with the user alice, two admins, and alice's tokens.
struct Scene {
    server: Server,
    url: String,
    laptop: String,
    phone: String,
}

impl Scene {
    async fn start(url: String) -> Self {
        let server = Server::start(&url).await;
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        for name in ["carol", "boss"] {
            let create = ["user", "create", name, "--admin", "--password-stdin"];
            server.run(&create, PASSWORD);
        }
        let laptop = server.login("alice", "laptop").await;
        let phone = server.login("alice", "phone").await;
        Self {
            server,
            url,
            laptop,
            phone,
        }
    }

    /// A block of the page, run on the server's machine.
    fn shell(&self, heading: &str, number: usize) -> Command {
        let script = &blocks(&page("incident.md"), heading, "sh")[number];
        let script = script.replace("https://app.example.com", &self.server.origin);
        let mut command = shell(Path::new("."), &script);
        command.env("DATABASE_URL", &self.url);
        command
    }

    async fn tokens_valid(&self) -> (bool, bool) {
        (
            self.server.me(&self.laptop).await == 200,
            self.server.me(&self.phone).await == 200,
        )
    }
}

#[test]
fn anyone_holding_a_leaked_token_can_revoke_it() {
    on_each_url(async |url| {
        let scene = Scene::start(url).await;
        // The operator copies the printed id into the second command.
        let script = &blocks(&page("incident.md"), "A token has leaked", "sh")[0];
        let (find, revoke) = script.split_once('\n').unwrap();
        let run = |line: &str| {
            let mut command = shell(Path::new("."), line);
            command.env("TOKEN", &scene.laptop);
            stdout_of(command.env("DATABASE_URL", &scene.url))
        };
        let found: Value = serde_json::from_str(&run(find)).unwrap();
        assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
        let found = &found[0];
        assert!(found["user"] == "alice" && found["client"] == "laptop");
        assert!(found["last_address"].is_string(), "{found}");
        assert_eq!(found["hint"], scene.laptop[scene.laptop.len() - 4..]);
        assert_eq!(scene.tokens_valid().await, (true, true));
        let id = found["id"].as_str().unwrap();
        assert_eq!(run(&revoke.replace("ID", id)), "1 token revoked\n");
        assert_eq!(scene.tokens_valid().await, (false, true));
        if needs::executable("curl", &[]).is_none() {
            return needs::missing("curl", "curl");
        }
        stdout_of(
            scene
                .shell("A token has leaked", 1)
                .env("TOKEN", &scene.phone),
        );
        assert_eq!(scene.tokens_valid().await, (false, false));
    });
}

#[test]
fn a_leaked_password_is_replaced_and_no_longer_accepted() {
    on_each_url(async |url| {
        let scene = Scene::start(url).await;
        let made = stdout_of(&mut scene.shell("A password has leaked", 0));
        assert_eq!(scene.tokens_valid().await, (false, false));
        assert_eq!(scene.server.try_login("alice", PASSWORD).await, 400);
        assert_eq!(scene.server.try_login("alice", made.trim()).await, 200);
        stdout_of(&mut scene.shell("A password has leaked", 1));
        assert_eq!(scene.server.try_login("alice", made.trim()).await, 400);
        stdout_of(&mut scene.shell("A password has leaked", 2));
        assert_eq!(scene.server.try_login("alice", made.trim()).await, 200);
    });
}

#[test]
fn a_stolen_browser_is_signed_out_and_its_admin_can_be_demoted() {
    on_each_url(async |url| {
        let scene = Scene::start(url).await;
        let cookie = scene.server.admin_cookie("carol").await;
        assert_eq!(scene.server.get("/admin/", &cookie).await.status(), 200);
        let printed = stdout_of(&mut scene.shell("An admin's browser was stolen", 0));
        assert!(
            printed.contains("admin") && printed.contains("browser-"),
            "{printed}"
        );
        assert_eq!(scene.server.get("/admin/", &cookie).await.status(), 303);
        assert_eq!(scene.server.try_login("carol", PASSWORD).await, 400);
        stdout_of(&mut scene.shell("An admin's browser was stolen", 1));
        let show = ["user", "show", "carol", "--json"];
        let carol = stdout(&scene.server.run(&show, ""));
        assert!(carol.contains("\"role\": \"user\""), "{carol}");
        assert_eq!(
            scene.tokens_valid().await,
            (true, true),
            "others are left alone"
        );
    });
}

#[test]
fn changing_the_secret_key_signs_nobody_out() {
    on_each_url(async |url| {
        let key = || {
            let script = &blocks(&page("incident.md"), "The secret key has leaked", "sh")[0];
            stdout_of(&mut shell(Path::new("."), script))
                .trim()
                .to_owned()
        };
        if needs::executable("openssl", &[]).is_none() {
            return needs::missing("openssl", "openssl");
        }
        let port = free_port();
        let start = async |key: &str| {
            let release = [("ROCKET_PROFILE", "release"), ("ROCKET_SECRET_KEY", key)];
            Server::start_on(port, &url, &release).await
        };
        let server = start(&key()).await;
        let create = ["user", "create", "root", "--admin", "--password-stdin"];
        server.run(&create, PASSWORD);
        let token = server.login("root", "laptop").await;
        let cookie = server.admin_cookie("root").await;
        assert_eq!(server.terminate(), Some(0));
        let server = start(&key()).await;
        assert_eq!(server.me(&token).await, 200);
        assert_eq!(server.get("/admin/", &cookie).await.status(), 200);
        let checked = shell(
            Path::new("."),
            &blocks(&page("incident.md"), "Afterwards", "sh")[0],
        )
        .env("DATABASE_URL", &url)
        .output()
        .unwrap();
        assert!(stdout(&checked).contains("must fix"));
    });
}

#[test]
fn the_log_shows_what_a_token_was_used_for() {
    if needs::executable("jq", &[]).is_none() {
        return needs::missing("jq", "jq");
    }
    let folder = tempfile::tempdir().unwrap();
    rocket::async_test(async {
        let scene = Scene::start(sqlite(folder.path())).await;
        assert_eq!(scene.tokens_valid().await, (true, true));
        let log = scene.server.log_up_to_now().await;
        // Docker Compose puts its own characters before a line.
        let log = format!("app-1 | {}", log.replace('\n', "\napp-1 | "));
        let file = folder.path().join("log");
        std::fs::write(&file, log).unwrap();
        let user = scene.server.run(&["user", "show", "alice", "--json"], "");
        let user: Value = serde_json::from_str(&stdout(&user)).unwrap();
        let script = &blocks(&page("incident.md"), "Where to look", "sh")[0];
        let (journal, filter) = script.split_once('|').unwrap();
        assert!(journal.starts_with("journalctl"));
        let filter = filter.replace("ID", user["id"].as_str().unwrap());
        let printed = stdout_of(&mut shell(folder.path(), &format!("cat log | {filter}")));
        let requests: Vec<Value> = printed
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(requests.len(), 1, "{printed}");
        assert_eq!(requests[0]["route"], "/auth/me");
    });
}

#[test]
fn the_audit_log_has_every_action_that_the_page_names() {
    let source = include_str!("../engine/src/models/event/action.rs");
    let page = page("incident.md");
    let words = page.split('`').skip(1).step_by(2);
    let actions = words.filter(|word| {
        let (what, _) = word.split_once('.').unwrap_or_default();
        ["user", "token", "login", "password"].contains(&what)
    });
    let mut named = 0;
    for action in actions {
        assert!(source.contains(&format!("\"{action}\"")), "no {action}");
        named += 1;
    }
    assert!(named > 8, "{named} are named");
}

//! What to do when something has leaked, as `docs/incident.md` says it.

use std::path::Path;
use std::process::Command;

use crate::support::PASSWORD;
use crate::support::needs;
use crate::support::page::{blocks, done, page, shell};
use crate::support::server::{Server, free_port, on_each_url, stdout};

/// A server with alice, root and another admin, and alice's tokens.
struct Scene {
    server: Server,
    url: String,
    laptop: String,
    phone: String,
}

impl Scene {
    async fn set(url: String) -> Self {
        let server = Server::start(&url).await;
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        for name in ["root", "boss"] {
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

    /// A block of the page, as somebody beside the server would run it.
    fn shell(&self, heading: &str, number: usize) -> Command {
        let script = &blocks(&page("incident.md"), heading, "sh")[number];
        let script = script.replace("http://127.0.0.1:8000", &self.server.origin);
        let mut command = shell(Path::new("."), &script);
        command.env("DATABASE_URL", &self.url);
        command
    }

    async fn live(&self) -> (bool, bool) {
        (
            self.server.me(&self.laptop).await == 200,
            self.server.me(&self.phone).await == 200,
        )
    }
}

#[test]
fn a_leaked_token_is_ended_by_whoever_finds_it() {
    on_each_url(async |url| {
        let scene = Scene::set(url).await;
        let said = done(&mut scene.shell("A token has leaked", 0));
        assert!(said.contains("\"last_address\"") && said.ends_with("1 token revoked\n"));
        let hint = &scene.laptop[scene.laptop.len() - 4..];
        assert!(said.contains(&format!("\"hint\": \"{hint}\"")), "{said}");
        assert_eq!(scene.live().await, (false, true));
        if needs::executable("curl", &[]).is_none() {
            return needs::missing("curl", "curl");
        }
        done(
            scene
                .shell("A token has leaked", 1)
                .env("TOKEN", &scene.phone),
        );
        assert_eq!(scene.live().await, (false, false));
    });
}

#[test]
fn a_leaked_password_is_replaced_and_lets_nobody_in() {
    on_each_url(async |url| {
        let scene = Scene::set(url).await;
        let made = done(&mut scene.shell("A password has leaked", 0));
        assert_eq!(scene.live().await, (false, false));
        assert_eq!(scene.server.try_login("alice", PASSWORD).await, 400);
        assert_eq!(scene.server.try_login("alice", made.trim()).await, 200);
        // The next block closes the account and opens it again.
        let script = &blocks(&page("incident.md"), "A password has leaked", "sh")[1];
        let (close, open) = script.split_once('\n').unwrap();
        let run = |line| done(shell(Path::new("."), line).env("DATABASE_URL", &scene.url));
        run(close);
        assert_eq!(scene.server.try_login("alice", made.trim()).await, 400);
        run(open);
        assert_eq!(scene.server.try_login("alice", made.trim()).await, 200);
    });
}

#[test]
fn a_stolen_browser_is_signed_out_and_its_admin_may_be_shut_out() {
    on_each_url(async |url| {
        let scene = Scene::set(url).await;
        let cookie = scene.server.admin_cookie("root").await;
        assert_eq!(scene.server.get("/admin/", &cookie).await.status(), 200);
        let said = done(&mut scene.shell("An admin's browser was stolen", 0));
        assert!(
            said.contains("admin") && said.contains("browser-"),
            "{said}"
        );
        assert_eq!(scene.server.get("/admin/", &cookie).await.status(), 303);
        assert_eq!(scene.server.try_login("root", PASSWORD).await, 400);
        done(&mut scene.shell("An admin's browser was stolen", 1));
        let show = ["user", "show", "root", "--json"];
        let root = stdout(&scene.server.run(&show, ""));
        assert!(root.contains("\"role\": \"user\""), "{root}");
        assert_eq!(scene.live().await, (true, true), "others are left alone");
    });
}

#[test]
fn another_secret_key_signs_nobody_out() {
    on_each_url(async |url| {
        let key = || {
            let script = &blocks(&page("incident.md"), "The secret key has leaked", "sh")[0];
            done(&mut shell(Path::new("."), script)).trim().to_owned()
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
fn the_trail_has_what_the_page_names() {
    let source = include_str!("../src/models/event.rs");
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

//! A page of another origin that uses the API by the script of `docs/api.md`.

use rocket::fs::FileServer;
use rocket::{Config, Shutdown, tokio};
use serde_json::json;

use super::tab::Tab;
use super::visit::on_sqlite;
use crate::support::PASSWORD;
use crate::support::page::{blocks, page};
use crate::support::server::{Server, free_port, sqlite};

/// Serves a page that has the script, which calls the API at `api`; ends when told.
async fn site(port: u16, folder: &std::path::Path, api: &str) -> Shutdown {
    let script = blocks(&page("api.md"), "In a browser", "js").remove(0);
    let script = script.replace("http://127.0.0.1:8000", api);
    std::fs::write(folder.join("api.js"), script).unwrap();
    let html = "<!doctype html><link rel=icon href='data:,'><script type=module>\
                import * as api from './api.js'; window.api = api;</script>";
    std::fs::write(folder.join("index.html"), html).unwrap();
    let config = Config {
        port,
        log_level: rocket::config::LogLevel::Off,
        ..Config::debug_default()
    };
    let site = rocket::custom(config).mount("/", FileServer::from(folder));
    let site = site.ignite().await.unwrap();
    let end = site.shutdown();
    tokio::spawn(site.launch());
    while reqwest::get(format!("http://127.0.0.1:{port}"))
        .await
        .is_err()
    {
        tokio::task::yield_now().await;
    }
    end
}

/// What a call of the script comes to, or what it fails with.
async fn told(tab: &Tab, call: &str) -> String {
    let script = format!(
        "const done = arguments[0];
         (async () => {{ {call} }})().then(
           (value) => done(JSON.stringify(value ?? null)),
           (error) => done(error.problem ? JSON.stringify(error.problem) : String(error)))"
    );
    let answer = tab.ask_later(&script, vec![]).await;
    answer.as_str().unwrap().to_owned()
}

#[test]
fn the_script_of_the_docs_signs_in_where_its_origin_is_named_and_nowhere_else() {
    on_sqlite(async |visit| {
        if !visit.script {
            return;
        }
        let tab = &visit.tab;
        let port = free_port();
        let named = format!("http://127.0.0.1:{port}");
        let app = format!("{{hash_memory_kib=8,hash_iterations=1,cors_origins=[{named:?}]}}");
        let data = tempfile::tempdir().unwrap();
        let api = Server::start_with(&sqlite(data.path()), &[("ROCKET_APP", &app)]).await;
        api.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let files = tempfile::tempdir().unwrap();
        let end = site(port, files.path(), &api.origin).await;

        tab.open(&named).await;
        tab.holds("window.api").await;
        let wrong = told(tab, "await api.signIn('alice', 'wrong')").await;
        assert!(wrong.contains("Unable to log in"), "{wrong}");
        let sign_in = format!("await api.signIn('alice', {PASSWORD:?})");
        assert_eq!(told(tab, &sign_in).await, "null");
        let me = "const answer = await api.call('/auth/me/'); return [answer.status, (await answer.json()).username]";
        assert_eq!(told(tab, me).await, json!([200, "alice"]).to_string());
        // Again, and there is still one token.
        assert_eq!(told(tab, &sign_in).await, "null");
        let count = "return (await (await api.call('/auth/tokens/')).json()).results.length";
        assert_eq!(told(tab, count).await, "1");
        assert_eq!(told(tab, "await api.signOut()").await, "null");
        let signed_out = "return (await api.call('/auth/me/')).status";
        assert_eq!(told(tab, signed_out).await, "401");

        // By its other name the same page is of another origin, which nobody has named.
        tab.open(&format!("http://localhost:{port}")).await;
        tab.holds("window.api").await;
        let kept_out = told(tab, &sign_in).await;
        assert!(kept_out.contains("Failed to fetch"), "{kept_out}");
        let tokens = api.run(&["token", "list", "--json"], "");
        assert_eq!(crate::support::server::stdout(&tokens).trim(), "[]");
        end.notify();
    });
}

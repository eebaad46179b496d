//! A page of another origin that calls the API with the script of `docs/api.md`.

use rocket::fs::FileServer;
use rocket::{Config, Shutdown, tokio};
use serde_json::json;

use super::tab::Tab;
use super::visit::on_sqlite;
use crate::doc_page::{blocks, page};
use crate::support::PASSWORD;
use crate::support::server::{Server, free_port, sqlite};

/// Serves a page with the script, which calls the API at `api`. Runs until the returned handle is notified.
async fn serve_site(port: u16, folder: &std::path::Path, api: &str) -> Shutdown {
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

/// The result of a call of the script as JSON, or its error.
async fn call_script(tab: &Tab, call: &str) -> String {
    let script = format!(
        "const done = arguments[0];
         (async () => {{ {call} }})().then(
           (value) => done(JSON.stringify(value ?? null)),
           (error) => done(error.problem ? JSON.stringify(error.problem) : String(error)))"
    );
    let answer = tab.run_async_script(&script, vec![]).await;
    answer.as_str().unwrap().to_owned()
}

#[test]
#[ignore = "slow"]
fn the_documented_script_signs_in_only_from_a_listed_origin() {
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
        let end = serve_site(port, files.path(), &api.origin).await;

        tab.open(&named).await;
        tab.assert_js("window.api").await;
        let wrong = call_script(tab, "await api.signIn('alice', 'wrong')").await;
        assert!(wrong.contains("Unable to log in"), "{wrong}");
        let sign_in = format!("await api.signIn('alice', {PASSWORD:?})");
        assert_eq!(call_script(tab, &sign_in).await, "null");
        let me = "const answer = await api.call('/auth/me/'); return [answer.status, (await answer.json()).username]";
        assert_eq!(
            call_script(tab, me).await,
            json!([200, "alice"]).to_string()
        );
        // Signing in again replaces the token.
        assert_eq!(call_script(tab, &sign_in).await, "null");
        let count = "return (await (await api.call('/auth/tokens/')).json()).results.length";
        assert_eq!(call_script(tab, count).await, "1");
        assert_eq!(call_script(tab, "await api.signOut()").await, "null");
        let signed_out = "return (await api.call('/auth/me/')).status";
        assert_eq!(call_script(tab, signed_out).await, "401");

        // `localhost` is another origin than 127.0.0.1, and `cors_origins` does not list it.
        tab.open(&format!("http://localhost:{port}")).await;
        tab.assert_js("window.api").await;
        let kept_out = call_script(tab, &sign_in).await;
        assert!(kept_out.contains("Failed to fetch"), "{kept_out}");
        let tokens = api.run(&["token", "list", "--json"], "");
        assert_eq!(crate::support::server::stdout(&tokens).trim(), "[]");
        end.notify();
    });
}

//! Names that look alike are equal: usernames and clients are compared after case folding, and their keys have a
//! maximum length.

use rocket::http::Status;
use rocket_multitoken::db::Engine;
use rocket_multitoken::models::user::Role;
use serde_json::json;

use crate::support::server::{Server, on_each_url, stdout};
use crate::support::{App, PASSWORD, on_both};

/// Spellings of `alice` and of `laptop` that look the same or differ only in case.
const LOOKALIKES: [[&str; 2]; 6] = [
    ["ALICE", "Laptop"],
    ["alice\u{200b}", "laptop\u{200b}"],
    ["\u{2060}al\u{ad}ice", "\u{feff}lap\u{ad}top"],
    ["ａｌｉｃｅ\u{fe0f}", "ｌａｐｔｏｐ\u{fe0f}"],
    ["a\u{34f}lice\u{e0041}", "l\u{34f}aptop\u{e0041}"],
    ["ali\u{3164}ce", "lap\u{ffa0}top"],
];
/// Names without a visible character.
const INVISIBLE: [&str; 6] = [
    "\u{3164}",
    "\u{200b}",
    "\u{fe0f}",
    "\u{115f}\u{1160}",
    "\u{2060} \u{ad}",
    "\u{e0020}",
];
const WITH_SEPARATORS: [&str; 4] = ["a\u{2028}b", "a\u{2029}b", "a\u{85}b", "ab\u{2029}"];

#[test]
fn a_lookalike_username_is_taken_and_signs_in_as_the_existing_user() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        app.user("alice", Role::User).await;
        let cookie = app.admin_login("root").await;
        let create = async |name: &str| {
            let fields = [("username", name), ("password", PASSWORD)];
            app.submit("/admin/users/new", &cookie, &fields).await
        };
        for [name, _] in LOOKALIKES {
            let refused = create(name).await;
            assert_eq!(refused.status, Status::BadRequest, "{name:?}");
            assert!(refused.text.contains("already exists"), "{name:?}");
            let token = app.login(name, "laptop").await;
            assert_eq!(
                app.get("/auth/me/", &token).await.json()["username"],
                "alice"
            );
        }
        for name in INVISIBLE {
            let refused = create(name).await;
            assert_eq!(refused.status, Status::BadRequest, "{name:?}");
            assert!(refused.text.contains("may not be blank"), "{name:?}");
        }
        for name in WITH_SEPARATORS {
            let refused = create(name).await;
            assert_eq!(refused.status, Status::BadRequest, "{name:?}");
            assert!(refused.text.contains("Control characters"), "{name:?}");
        }
        assert_eq!(app.number("SELECT COUNT(*) FROM users").await, 2);
    });
}

#[test]
fn a_lookalike_client_replaces_the_same_token_and_no_other() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        app.user("bob", Role::User).await;
        let (phone, bobs) = (
            app.login("alice", "phone").await,
            app.login("bob", "LAPTOP").await,
        );
        let mut earlier = app.login("alice", "laptop").await;
        for [_, client] in LOOKALIKES {
            let answer = app.try_login("alice", PASSWORD, client).await;
            assert_eq!(
                answer.json()["client"],
                client,
                "the spelling of the request"
            );
            assert!(!app.works(&earlier).await, "{client:?}");
            earlier = answer.json()["auth_token"].as_str().unwrap().to_owned();
            let tokens = app.get("/auth/tokens/", &earlier).await.json();
            let clients = tokens["results"].as_array().unwrap().iter();
            let mut clients: Vec<_> = clients.map(|t| t["client"].as_str().unwrap()).collect();
            clients.retain(|name| *name != "phone");
            assert_eq!(clients, [client]);
        }
        assert!(app.works(&phone).await && app.works(&bobs).await);
        let reasons = "SELECT DISTINCT reason FROM events WHERE action = 'token.replaced'";
        assert_eq!(app.texts(reasons).await, ["replaced"]);
        for (clients, complaint) in [
            (&INVISIBLE[..], "This field may not be blank."),
            (&WITH_SEPARATORS[..], "Control characters are not allowed."),
        ] {
            for client in clients {
                let refused = app.try_login("alice", PASSWORD, client).await;
                assert_eq!(refused.status, Status::BadRequest);
                assert_eq!(refused.json()["client"], json!([complaint]), "{client:?}");
                let refused = app.try_login(client, PASSWORD, "x").await;
                assert_eq!(refused.json()["username"], json!([complaint]), "{client:?}");
            }
        }
        assert!(app.works(&earlier).await);
    });
}

#[test]
fn lists_and_commands_find_a_client_in_any_spelling() {
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        server.run(
            &["user", "create", "root", "--admin", "--password-stdin"],
            PASSWORD,
        );
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let cookie = server.admin_cookie("root").await;
        for [name, client] in LOOKALIKES {
            let (token, phone) = (
                server.login("alice", "Laptop").await,
                server.login("alice", "phone").await,
            );
            let query = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs([("client", client), ("user", name)])
                .finish();
            let page = server.get(&format!("/admin/tokens?{query}"), &cookie).await;
            let page = page.text().await.unwrap();
            assert!(
                page.contains(">Laptop<") && !page.contains(">phone<"),
                "{client:?}"
            );
            let args = ["token", "list", "--user", name, "--client", client];
            let listed = stdout(&server.run(&args, ""));
            assert!(
                listed.contains("Laptop") && !listed.contains("phone"),
                "{listed}"
            );
            let args = ["token", "revoke", "--user", name, "--client", client];
            assert_eq!(
                stdout(&server.run(&args, "")),
                "1 token revoked\n",
                "{client:?}"
            );
            assert_eq!(
                (server.me(&token).await, server.me(&phone).await),
                (401, 200)
            );
        }
        // A filter without a visible character counts as absent.
        let page = server.get("/admin/tokens?client=%E2%80%8B", &cookie).await;
        assert!(page.text().await.unwrap().contains(">phone<"));
        assert_eq!(server.terminate(), Some(0));
    });
}

/// The size of the SQLite database in bytes.
async fn database_size(app: &App) -> i64 {
    app.number("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        .await
}

#[test]
fn a_login_with_long_names_stores_less_than_9_kb() {
    on_both(async |app| {
        // NFKC turns each of these into 18 characters.
        let (user, client) = ("ﷺ".repeat(150), "ﷺ".repeat(255));
        app.user(&user, Role::User).await;
        app.user("alice", Role::User).await;
        let token = app.login(&user, &client).await;
        let others = app.login(&user, &"ﷺ".repeat(254)).await;
        let second = app.login(&user, &client).await;
        assert!(
            !app.works(&token).await,
            "a long client name replaces its own token"
        );
        assert!(
            app.works(&others).await && app.works(&second).await,
            "and no other token"
        );
        for longest in [
            "SELECT CAST(MAX(LENGTH(client_key)) AS BIGINT) FROM tokens",
            "SELECT CAST(MAX(LENGTH(client_key)) AS BIGINT) FROM events",
            "SELECT CAST(MAX(LENGTH(username_key)) AS BIGINT) FROM users",
            "SELECT CAST(MAX(LENGTH(subject_key)) AS BIGINT) FROM events",
        ] {
            assert!(app.number(longest).await <= 255, "{longest}");
        }
        if app.auth().pool().engine() == Engine::Sqlite {
            const LOGINS: i64 = 100;
            let before = database_size(&app).await;
            for _ in 0..LOGINS {
                app.login("alice", &client).await;
            }
            let each = (database_size(&app).await - before) / LOGINS;
            eprintln!("{each} bytes a login");
            assert!(each < 9_000, "{each} bytes a login");
        }
    });
}

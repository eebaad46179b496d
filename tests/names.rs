//! Names that look alike are one: users and clients are compared by what shows, and keys have a bound.

use multitoken::db::Engine;
use multitoken::models::user::Role;
use rocket::http::Status;
use serde_json::json;

use crate::support::server::{Server, on_each_url, stdout};
use crate::support::{App, PASSWORD, on_both};

/// Spellings of `alice` and of `laptop` that look like it, or differ in case only.
const ALIKE: [[&str; 2]; 6] = [
    ["ALICE", "Laptop"],
    ["alice\u{200b}", "laptop\u{200b}"],
    ["\u{2060}al\u{ad}ice", "\u{feff}lap\u{ad}top"],
    ["ａｌｉｃｅ\u{fe0f}", "ｌａｐｔｏｐ\u{fe0f}"],
    ["a\u{34f}lice\u{e0041}", "l\u{34f}aptop\u{e0041}"],
    ["ali\u{3164}ce", "lap\u{ffa0}top"],
];
/// What shows nothing at all.
const INVISIBLE: [&str; 6] = [
    "\u{3164}",
    "\u{200b}",
    "\u{fe0f}",
    "\u{115f}\u{1160}",
    "\u{2060} \u{ad}",
    "\u{e0020}",
];
const SEPARATED: [&str; 4] = ["a\u{2028}b", "a\u{2029}b", "a\u{85}b", "ab\u{2029}"];

#[test]
fn a_name_that_looks_like_anothers_is_taken_and_signs_in_as_that_user() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        app.user("alice", Role::User).await;
        let cookie = app.admin_login("root").await;
        let create = async |name: &str| {
            let fields = [("username", name), ("password", PASSWORD)];
            app.submit("/admin/users/new", &cookie, &fields).await
        };
        for [name, _] in ALIKE {
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
        for name in SEPARATED {
            let refused = create(name).await;
            assert_eq!(refused.status, Status::BadRequest, "{name:?}");
            assert!(refused.text.contains("Control characters"), "{name:?}");
        }
        assert_eq!(app.number("SELECT COUNT(*) FROM users").await, 2);
    });
}

#[test]
fn a_client_that_is_spelt_differently_is_the_same_client() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        app.user("bob", Role::User).await;
        let (phone, bobs) = (
            app.login("alice", "phone").await,
            app.login("bob", "LAPTOP").await,
        );
        let mut earlier = app.login("alice", "laptop").await;
        for [_, client] in ALIKE {
            let answer = app.try_login("alice", PASSWORD, client).await;
            assert_eq!(answer.json()["client"], client, "as it was typed");
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
            (&SEPARATED[..], "Control characters are not allowed."),
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
fn lists_and_commands_find_a_client_however_it_is_spelt() {
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        server.run(
            &["user", "create", "root", "--admin", "--password-stdin"],
            PASSWORD,
        );
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let cookie = server.admin_cookie("root").await;
        for [name, client] in ALIKE {
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
        // What shows nothing is no filter.
        let page = server.get("/admin/tokens?client=%E2%80%8B", &cookie).await;
        assert!(page.text().await.unwrap().contains(">phone<"));
        assert_eq!(server.terminate(), Some(0));
    });
}

/// Bytes of SQLite's database.
async fn size(app: &App) -> i64 {
    app.number("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        .await
}

#[test]
fn a_login_stores_little_however_long_its_names_become() {
    on_both(async |app| {
        // Each of these becomes 18 characters.
        let (user, client) = ("ﷺ".repeat(150), "ﷺ".repeat(255));
        app.user(&user, Role::User).await;
        app.user("alice", Role::User).await;
        let token = app.login(&user, &client).await;
        let others = app.login(&user, &"ﷺ".repeat(254)).await;
        let second = app.login(&user, &client).await;
        assert!(!app.works(&token).await, "a long key still equals itself");
        assert!(
            app.works(&others).await && app.works(&second).await,
            "and nothing else"
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
            let before = size(&app).await;
            for _ in 0..LOGINS {
                app.login("alice", &client).await;
            }
            let each = (size(&app).await - before) / LOGINS;
            eprintln!("{each} bytes a login");
            assert!(each < 9_000, "{each} bytes a login");
        }
    });
}

//! The admin's search box for tokens, ids, names and addresses, and the page of an IP address.

use rocket::http::{Method, Status};
use rocket_multitoken::models::user::Role;
use serde_json::json;

use crate::support::app::PROXY;
use crate::support::server::{Server, on_each_url, stdout};
use crate::support::{App, PASSWORD, on_both, on_both_with};

/// A page's text with unescaped slashes.
async fn text(app: &App, path: &str, cookie: &str) -> String {
    app.page(path, cookie).await.text.replace("&#x2F;", "/")
}

/// Where the search box redirects to, or else the status and body.
async fn find(app: &App, cookie: &str, typed: &str) -> String {
    let response = app.submit("/admin/find", cookie, &[("q", typed)]).await;
    match response.header("Location") {
        Some(location) => location.to_owned(),
        None => format!("{} {}", response.status.code, response.text),
    }
}

#[test]
fn tokens_ids_names_and_addresses_are_found_and_no_token_appears_in_a_url() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let alice = app.user("Älice", Role::User).await.to_string();
        app.user("Älice Two", Role::User).await;
        let token = app.login("Älice", "laptop").await;
        let ended = app.login("Älice", "phone").await;
        let ids = app.texts("SELECT id FROM tokens ORDER BY client").await;
        app.post("/auth/logout/", &ended, json!({})).await;
        let cookie = app.admin_login("root").await;
        let event = app
            .texts("SELECT id FROM events ORDER BY id LIMIT 1")
            .await
            .remove(0);
        let token_path = format!("/admin/tokens/{}/revoke", ids[0]);
        let user_path = format!("/admin/users/{alice}");
        let last = &token[token.len() - 4..];
        for (typed, location) in [
            (token.clone(), &token_path),
            (format!("  Bearer {token}\n"), &token_path),
            (format!("authorization: TOKEN {token}"), &token_path),
            (last.to_owned(), &token_path),
            (format!("…{last}"), &token_path),
            (token[token.len() - 9..].to_owned(), &token_path),
            (ids[0].clone(), &token_path),
            (ids[0].to_uppercase(), &token_path),
            (alice.clone(), &user_path),
            ("äLICE".to_owned(), &user_path),
            (ids[1].clone(), &format!("/admin/audit?token={}", ids[1])),
            (event.clone(), &format!("/admin/audit/{event}")),
            (
                "203.0.113.5".to_owned(),
                &"/admin/addresses/203.0.113.5".to_owned(),
            ),
            (
                "::ffff:203.0.113.0/120".to_owned(),
                &"/admin/addresses/203.0.113.0/24".to_owned(),
            ),
        ] {
            assert_eq!(find(&app, &cookie, &typed).await, *location, "{typed}");
            let page = app.page(location, &cookie).await;
            assert_eq!(page.status, Status::Ok, "{location}");
            assert!(!page.text.contains(&token), "{location}");
        }
        // Several matches are listed.
        let candidates = find(&app, &cookie, "älic").await;
        assert!(
            candidates.starts_with("200")
                && candidates.contains(">Älice<")
                && candidates.contains(">Älice Two<"),
            "{candidates}"
        );
        for nothing in [
            ended.as_str(),
            "nobody",
            "",
            "01a20d5a-0000-7000-8000-000000000000",
        ] {
            let found = find(&app, &cookie, nothing).await;
            assert!(
                found.starts_with("404") || nothing.is_empty(),
                "{nothing}: {found}"
            );
            assert!(nothing.is_empty() || !found.contains(nothing), "{found}");
        }
        // Every page has the form. It uses POST and requires an admin.
        let page = app.page("/admin/users", &cookie).await.text;
        assert!(
            page.contains("method=\"post\" action=\"/admin/find\""),
            "{page}"
        );
        let query = app.page(&format!("/admin/find?q={last}"), &cookie).await;
        assert_eq!(query.header("Location"), Some("/admin/"));
        let unauthenticated = app
            .send(
                Method::Post,
                "/admin/find",
                &[("Sec-Fetch-Site", "same-origin")],
                "q=root",
            )
            .await;
        assert_eq!(
            unauthenticated
                .header("Location")
                .unwrap()
                .split('?')
                .next(),
            Some("/admin/login")
        );
    });
}

#[test]
fn an_address_page_shows_activity_from_that_address_only() {
    on_both_with(
        json!({"trusted_proxies": [PROXY.to_owned() + "/32"]}),
        async |app| {
            app.user("root", Role::Admin).await;
            for name in ["alice", "bob", "carol"] {
                app.user(name, Role::User).await;
            }
            let [first, second, third] = ["192.0.2.4", "192.0.2.40", "2001:db8::4"];
            app.try_login_from(first, "alice", PASSWORD).await;
            app.try_login_from(first, "bob", "wrong").await;
            app.try_login_from(second, "bob", PASSWORD).await;
            app.try_login_from(third, "carol", PASSWORD).await;
            let cookie = app.admin_login("root").await;
            let page = text(&app, "/admin/addresses/192.0.2.4", &cookie).await;
            let names = |page: &str| {
                ["alice", "bob", "carol"].map(|name| page.contains(&format!(">{name}<")))
            };
            assert_eq!(
                names(&page),
                [true, true, false],
                "alice's token and the attempt at bob's"
            );
            assert!(
                page.contains("1 token last used from") && page.contains("Revoke 1 live token")
            );
            assert!(
                page.contains("/admin/addresses/192.0.2.0/24"),
                "a link to its network"
            );
            let network = text(&app, "/admin/addresses/192.0.2.0%2F24", &cookie).await;
            assert!(network.contains("2 tokens last used from"), "{network}");
            let again = text(&app, "/admin/addresses/192.0.2.99/24", &cookie).await;
            assert!(again.contains("2 tokens last used from"), "{again}");
            let six = app
                .page("/admin/addresses/2001:DB8::/32", &cookie)
                .await
                .text;
            assert_eq!(names(&six), [false, false, true]);
            for nothing in ["x", "192.0.2", "192.0.2.0/33", "192.0.2.0/24/1", ""] {
                let response = app
                    .page(&format!("/admin/addresses/{nothing}"), &cookie)
                    .await;
                assert_eq!(response.status, Status::NotFound, "{nothing}");
            }

            // Revoking by address leaves the admin's own session.
            let fields = [("all", "1"), ("address", "192.0.2.4"), ("status", "live")];
            let question = app
                .submit("/admin/tokens/revoke", &cookie, &fields)
                .await
                .text;
            assert!(question.contains("Revoke 1 token?"), "{question}");
            let yes = [
                &fields[..],
                &[
                    ("confirm", "yes"),
                    ("typed", "revoke"),
                    ("note", "seen on a list"),
                ],
            ]
            .concat();
            let done = app.submit("/admin/tokens/revoke", &cookie, &yes).await;
            assert_eq!(done.status, Status::SeeOther);
            let left = "SELECT u.username FROM tokens t JOIN users u ON u.id = t.user_id
                    WHERE t.kind = 'api' ORDER BY u.username";
            assert_eq!(app.texts(left).await, ["bob", "carol"]);
            let own = app.page("/admin/addresses/203.0.113.5", &cookie).await.text;
            assert!(own.contains("this session"));
            let fields = [
                ("all", "1"),
                ("address", "203.0.113.0/24"),
                ("confirm", "yes"),
                ("typed", "revoke"),
            ];
            app.submit("/admin/tokens/revoke", &cookie, &fields).await;
            assert_eq!(app.page("/admin/", &cookie).await.status, Status::Ok);

            // One event has the filter and the note. The tokens' events refer to it.
            let bulk = "SELECT id || ' ' || filter || ' ' || COALESCE(note, '-') || ' ' || count FROM events
                    WHERE action = 'tokens.revoked' ORDER BY id";
            let bulk = app.texts(bulk).await;
            let (id, rest) = bulk[0].split_once(' ').unwrap();
            assert_eq!(rest, "address=192.0.2.4 status=live seen on a list 1");
            assert!(bulk[1].ends_with("address=203.0.113.0/24 - 0"), "{bulk:?}");
            let part = "SELECT cause_id FROM events WHERE action = 'token.revoked'";
            assert_eq!(app.texts(part).await, [id]);
            let page = app.page(&format!("/admin/audit/{id}"), &cookie).await.text;
            assert!(
                page.contains("seen on a list") && page.contains(">alice<"),
                "{page}"
            );
        },
    );
}

#[test]
fn a_user_page_separates_events_about_and_by_the_user() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let ann = app.user("ann", Role::Admin).await;
        let other = app.user("ann2", Role::User).await;
        app.login("ann", "her laptop").await;
        app.login("ann2", "a second phone").await;
        let cookie = app.admin_login("ann").await;
        let path = format!("/admin/users/{other}/revoke-tokens");
        app.submit(&path, &cookie, &[("confirm", "yes")]).await;
        let cookie = app.admin_login("root").await;
        let page = app.page(&format!("/admin/users/{ann}"), &cookie).await.text;
        let (about, by) = page.split_once("Events by this user").unwrap();
        assert!(
            about.contains("her laptop") && !about.contains("a second phone"),
            "{about}"
        );
        assert!(
            by.contains("a second phone") && !by.contains("her laptop"),
            "{by}"
        );
        let page = app
            .page(&format!("/admin/users/{other}"), &cookie)
            .await
            .text;
        assert!(page.contains("a second phone") && !page.contains("her laptop"));
        // Events of a deleted user with the same name are not shown.
        let delete = [("confirm", "yes")];
        app.submit(&format!("/admin/users/{other}/delete"), &cookie, &delete)
            .await;
        let again = app.user("ann2", Role::User).await;
        let page = app
            .page(&format!("/admin/users/{again}"), &cookie)
            .await
            .text;
        assert!(
            !page.contains("a second phone") && page.contains("user.created"),
            "{page}"
        );
    });
}

#[test]
fn dashboard_figures_match_the_lists_they_link_to() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        for name in ["alice", "bob", "carol"] {
            app.user(name, Role::User).await;
        }
        for name in ["alice", "bob"] {
            app.login(name, "laptop").await;
        }
        // Carol has never signed in from this address, so her account locks for it.
        for _ in 0..11 {
            app.try_login("carol", "wrong", "x").await;
        }
        let cookie = app.admin_login("root").await;
        app.execute("UPDATE users SET disabled_at = 5 WHERE username = 'bob'")
            .await;
        app.execute("UPDATE tokens SET ends_at = created_at + 90000 WHERE kind = 'api' AND client = 'laptop'").await;
        let page = text(&app, "/admin/", &cookie).await;
        let tiles = page
            .split("<ul class=\"figures\">")
            .nth(1)
            .unwrap()
            .split("</ul>")
            .next()
            .unwrap();
        let mut seen = 0;
        for tile in tiles.split("href=\"").skip(1) {
            let path = tile.split('"').next().unwrap().replace("&amp;", "&");
            let count = tile
                .split("<strong>")
                .nth(1)
                .unwrap()
                .split('<')
                .next()
                .unwrap();
            let list = app.page(&path, &cookie).await.text;
            let line = list
                .split("class=\"count\" role=\"status\">")
                .nth(1)
                .unwrap();
            assert_eq!(line.split(' ').next(), Some(count), "{path}");
            seen += i64::from(count != "0");
        }
        assert_eq!(seen, 8, "{tiles}");
        // The dashboard can unlock her.
        assert!(page.contains("Unlock carol"), "{page}");
        let carol = app
            .texts("SELECT id FROM users WHERE username = 'carol'")
            .await
            .remove(0);
        let path = format!("/admin/users/{carol}/unlock");
        let done = app.submit(&path, &cookie, &[("next", "/admin/")]).await;
        assert_eq!(done.header("Location"), Some("/admin/"));
        assert!(
            !app.page("/admin/", &cookie)
                .await
                .text
                .contains("Unlock carol")
        );
    });
}

#[test]
fn a_generated_password_is_shown_once_and_works() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let fields = [
            ("username", "alice"),
            ("role", "user"),
            ("password", "typed as well"),
            ("generate", "1"),
        ];
        let created = app.submit("/admin/users/new", &cookie, &fields).await;
        assert_eq!(created.status, Status::SeeOther);
        let location = created.header("Location").unwrap().to_owned();
        let shown = async |response: &crate::support::app::Response| {
            let both = format!("{cookie}; {}", response.cookie());
            let page = app.page(&location, &both).await.text;
            let password = page
                .split("data-copy>")
                .nth(1)
                .unwrap()
                .split('<')
                .next()
                .unwrap();
            password.to_owned()
        };
        let first = shown(&created).await;
        assert_eq!(app.try_login("alice", &first, "x").await.status, Status::Ok);
        assert_eq!(
            app.try_login("alice", "typed as well", "x").await.status,
            Status::BadRequest
        );
        assert!(!app.page(&location, &cookie).await.text.contains(&first));
        let set = app
            .submit(
                &format!("{location}/password"),
                &cookie,
                &[("generate", "1")],
            )
            .await;
        assert_eq!(set.status, Status::SeeOther, "{}", set.text);
        let second = shown(&set).await;
        assert_ne!(first, second);
        assert_eq!(
            app.try_login("alice", &second, "x").await.status,
            Status::Ok
        );
        assert_eq!(
            app.try_login("alice", &first, "x").await.status,
            Status::BadRequest
        );
    });
}

#[test]
fn the_command_line_finds_a_pasted_token_and_does_not_print_or_log_it() {
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let token = server.login("alice", "laptop").await;
        for typed in [
            token.as_str(),
            &token[token.len() - 4..],
            &format!("Bearer {token}\n"),
        ] {
            let found = server.run(&["token", "find", "--json"], typed);
            assert!(found.status.success(), "{typed}");
            let records: serde_json::Value = serde_json::from_str(&stdout(&found)).unwrap();
            assert_eq!(records[0]["user"], "alice");
            assert_eq!(records.as_array().unwrap().len(), 1);
            assert!(!stdout(&found).contains(&token));
        }
        for typed in ["", "zzzz", "alice", "127.0.0.1"] {
            assert_eq!(
                server.run(&["token", "find"], typed).status.code(),
                Some(1),
                "{typed}"
            );
        }
        assert!(!server.log().contains(&token[..20]));
    });
}

//! The admin's pages, as a browser without JavaScript uses them.

use rocket::http::Status;
use rocket_multitoken::auth::setup::Setup;
use rocket_multitoken::models::event::Actor;
use rocket_multitoken::models::user::Role;
use serde_json::json;

use crate::support::app::form;
use crate::support::{PASSWORD, on_both, on_both_with};

#[test]
fn a_signed_out_client_is_redirected_to_sign_in_and_back_but_never_elsewhere() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        for path in ["/admin", "/admin/users?q=a", "/admin/no/such/page"] {
            let response = app.page(path, "").await;
            assert_eq!(response.status, Status::SeeOther, "{path}");
            let next = form(&[("next", path)]);
            let location = response.header("Location").unwrap();
            assert_eq!(location.replace("%20", "+"), format!("/admin/login?{next}"));
            let fields = [("username", "root"), ("password", PASSWORD)];
            let back = app.submit(location, "", &fields).await;
            assert_eq!(back.header("Location"), Some(path));
        }
        let fields = [("username", "root"), ("password", PASSWORD)];
        for next in [
            "//evil.example",
            "https://evil.example",
            "/auth/me",
            "/admin\\x",
            "/admin/%2e%2e/auth/me",
            "/admin/\"x",
            "/admin/|x",
            "/admin/#a#b",
        ] {
            let path = format!("/admin/login?{}", form(&[("next", next)]));
            let response = app.submit(&path, "", &fields).await;
            assert_eq!(response.header("Location"), Some("/admin/"), "{next}");
        }
    });
}

#[test]
fn only_admins_can_sign_in_and_others_get_the_page_of_a_wrong_password() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        app.user("alice", Role::User).await;
        let mut pages = vec![];
        for (name, password) in [
            ("root", "wrong"),
            ("alice", PASSWORD),
            ("nobody", PASSWORD),
            ("", ""),
            ("\u{0}", "x"),
        ] {
            let fields = [("username", name), ("password", password)];
            let response = app.submit("/admin/login", "", &fields).await;
            assert_eq!(response.status, Status::BadRequest, "{name}");
            assert_eq!(response.cookie(), "");
            pages.push(
                response
                    .text
                    .replace(&format!("value=\"{name}\""), "value=\"\""),
            );
        }
        pages.pop();
        pages.dedup();
        assert_eq!(pages.len(), 1);
        assert_eq!(app.number("SELECT COUNT(*) FROM tokens").await, 0);
    });
}

#[test]
fn an_admin_session_is_a_token_in_a_secure_http_only_cookie() {
    on_both_with(
        json!({"public_url": "https://app.example.com"}),
        async |app| {
            app.user("root", Role::Admin).await;
            let fields = [("username", "root"), ("password", PASSWORD)];
            let response = app.submit("/admin/login", "", &fields).await;
            let set = response.header("Set-Cookie").unwrap();
            for part in ["__Host-", "HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
                assert!(set.contains(part), "{part} is missing in {set}");
            }
            assert!(response.header("Strict-Transport-Security").is_some());
            let clients = app
                .texts("SELECT client FROM tokens WHERE kind = 'admin'")
                .await;
            assert!(
                clients.len() == 1 && clients[0].starts_with("browser-"),
                "{clients:?}"
            );

            let cookie = response.cookie();
            assert_eq!(app.page("/admin/", &cookie).await.status, Status::Ok);
            let out = app.submit("/admin/logout", &cookie, &[]).await;
            assert_eq!(out.header("Location"), Some("/admin/login"));
            assert_eq!(app.page("/admin/", &cookie).await.status, Status::SeeOther);
            assert_eq!(app.number("SELECT COUNT(*) FROM tokens").await, 0);
        },
    );
}

#[test]
fn user_pages_are_searchable_and_escaped_and_never_show_a_whole_token() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let alice = app.user("<b>Älice</b>", Role::User).await;
        let token = app.login("<B>älice</B>", "lap\"top").await;
        let cookie = app.admin_login("root").await;
        let list = app.page("/admin/users", &cookie).await;
        assert!(
            list.text.contains("&lt;b&gt;Älice&lt;&#x2F;b&gt;"),
            "{}",
            list.text
        );
        assert!(list.text.contains("2 users"));
        let page = app
            .page(&format!("/admin/users/{alice}"), &cookie)
            .await
            .text;
        assert!(page.contains("lap&quot;top") && page.contains(&token[token.len() - 4..]));
        assert!(!page.contains(&token) && !page.contains("<b>Älice"));
        let found = app
            .page("/admin/users?q=%3CB%3E%C3%84l", &cookie)
            .await
            .text;
        assert!(
            found.contains("1 user ") && !found.contains(">root</bdi></a>"),
            "{found}"
        );
        for query in [
            "q=%00",
            "status=nonsense&role=x&sort=--name",
            "after=x&before=y",
            "q=%25",
            "q=_&status=locked",
            "q=\\",
            "x=y",
        ] {
            let response = app.page(&format!("/admin/users?{query}"), &cookie).await;
            assert_eq!(response.status, Status::Ok, "{query}");
        }
        let none = app.page("/admin/users?q=%25", &cookie).await.text;
        assert!(none.contains("No users match"), "% is not a wildcard");
        for path in [
            "/admin/users/nonsense",
            "/admin/nothing",
            "/admin/..%2f%5c*:",
            &format!("/admin/users/{alice}x"),
        ] {
            assert_eq!(
                app.page(path, &cookie).await.status,
                Status::NotFound,
                "{path}"
            );
        }
        assert_eq!(app.page("/admin/", &cookie).await.status, Status::Ok);
    });
}

#[test]
fn revoking_a_token_asks_for_confirmation_and_leaves_the_others() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        app.user("alice", Role::User).await;
        let (laptop, phone) = (
            app.login("alice", "laptop").await,
            app.login("alice", "phone").await,
        );
        let cookie = app.admin_login("root").await;
        let id = app
            .texts("SELECT id FROM tokens WHERE client = 'laptop'")
            .await
            .remove(0);
        let path = format!("/admin/tokens/{id}/revoke");
        let question = app.page(&path, &cookie).await;
        assert!(question.text.contains("laptop") && question.text.contains("alice"));
        assert!(app.works(&laptop).await, "the question revokes nothing");
        let done = app.submit(&path, &cookie, &[("confirm", "yes")]).await;
        assert_eq!(done.status, Status::SeeOther);
        assert!(!app.works(&laptop).await && app.works(&phone).await);
        let flash = format!("{cookie}; {}", done.cookie());
        let after = app
            .page(done.header("Location").unwrap(), &flash)
            .await
            .text;
        assert!(
            after.contains("role=\"status\"") && after.contains("was revoked"),
            "{after}"
        );
        let again = app.submit(&path, &cookie, &[]).await;
        assert_eq!(again.status, Status::SeeOther);
        let actors = app
            .texts("SELECT actor_name FROM events WHERE action = 'token.revoked'")
            .await;
        assert_eq!(actors, ["root"]);
    });
}

#[test]
fn revoking_all_tokens_and_disabling_leave_other_users_tokens() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let alice = app.user("alice", Role::User).await;
        app.user("bob", Role::User).await;
        let bobs_token = app.login("bob", "laptop").await;
        let cookie = app.admin_login("root").await;
        let act = async |action: &str| {
            let path = format!("/admin/users/{alice}/{action}");
            app.submit(&path, &cookie, &[("confirm", "yes")])
                .await
                .status
        };
        let token = app.login("alice", "laptop").await;
        for question in ["revoke-tokens", "disable"] {
            let path = format!("/admin/users/{alice}/{question}");
            assert_eq!(app.page(&path, &cookie).await.status, Status::Ok);
        }
        assert!(app.works(&token).await);
        assert_eq!(act("revoke-tokens").await, Status::SeeOther);
        assert!(!app.works(&token).await);
        let token = app.login("alice", "laptop").await;
        assert_eq!(act("disable").await, Status::SeeOther);
        assert!(!app.works(&token).await);
        assert_eq!(
            app.try_login("alice", PASSWORD, "x").await.status,
            Status::BadRequest
        );
        assert_eq!(act("enable").await, Status::SeeOther);
        assert!(!app.works(&token).await, "enabling restores no token");
        app.login("alice", "laptop").await;
        assert!(app.works(&bobs_token).await);
    });
}

#[test]
fn the_last_active_admin_cannot_be_disabled_demoted_or_deleted() {
    on_both(async |app| {
        let root = app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let path = format!("/admin/users/{root}/disable");
        let refused = app.submit(&path, &cookie, &[("confirm", "yes")]).await;
        let flash = format!("{cookie}; {}", refused.cookie());
        let page = app.page(refused.header("Location").unwrap(), &flash).await;
        assert!(page.text.contains("last active admin"), "{}", page.text);
        let actor = Actor::command_line();
        assert!(app.auth().accounts.demote(root, &actor).await.is_err());
        assert!(app.auth().accounts.delete_user(root, &actor).await.is_err());
        assert_eq!(app.page("/admin/", &cookie).await.status, Status::Ok);
    });
}

#[test]
fn demoting_an_admin_ends_the_admin_session_but_keeps_api_tokens() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let other = app.user("other", Role::Admin).await;
        let (token, cookie) = (
            app.login("other", "laptop").await,
            app.admin_login("other").await,
        );
        app.auth()
            .accounts
            .demote(other, &Actor::command_line())
            .await
            .unwrap();
        assert_eq!(app.page("/admin/", &cookie).await.status, Status::SeeOther);
        assert!(app.works(&token).await);
    });
}

#[test]
fn the_setup_link_creates_one_admin_and_works_only_once() {
    on_both(async |app| {
        let setup: &Setup = app.client.rocket().state().unwrap();
        assert_eq!(
            app.page("/admin/setup?key=", "").await.status,
            Status::NotFound
        );
        let key = setup.generate_key();
        let path = format!("/admin/setup?key={key}");
        assert_eq!(app.page(&path, "").await.status, Status::Ok);
        assert_eq!(
            app.page("/admin/setup?key=x", "").await.status,
            Status::NotFound
        );
        assert_eq!(app.page("/admin/setup", "").await.status, Status::NotFound);
        let weak = app
            .submit(&path, "", &[("username", "root"), ("password", "12345678")])
            .await;
        assert_eq!(weak.status, Status::BadRequest);
        assert!(weak.text.contains("too common"), "{}", weak.text);
        let fields = [("username", "root"), ("password", PASSWORD)];
        let done = app.submit(&path, "", &fields).await;
        assert_eq!(done.status, Status::SeeOther);
        assert_eq!(app.page("/admin/", &done.cookie()).await.status, Status::Ok);
        assert_eq!(app.page(&path, "").await.status, Status::NotFound);
        assert_eq!(
            app.submit(&path, "", &fields).await.status,
            Status::NotFound
        );
        assert_eq!(app.texts("SELECT username FROM users").await, ["root"]);
    });
}

#[test]
fn the_setup_link_stops_working_once_an_admin_exists() {
    on_both(async |app| {
        let setup: &Setup = app.client.rocket().state().unwrap();
        let path = format!("/admin/setup?key={}", setup.generate_key());
        assert_eq!(app.page(&path, "").await.status, Status::Ok);
        app.user("root", Role::Admin).await;
        assert_eq!(app.page(&path, "").await.status, Status::NotFound);
        let fields = [("username", "evil"), ("password", PASSWORD)];
        let response = app.submit(&path, "", &fields).await;
        assert_eq!(response.status, Status::NotFound);
        assert_eq!(app.texts("SELECT username FROM users").await, ["root"]);
    });
}

#[test]
fn the_first_admin_can_be_created_while_logins_are_throttled() {
    on_both_with(json!({"login_failures_per_address": 1}), async |app| {
        app.try_login("nobody", "wrong", "laptop").await;
        let setup: &Setup = app.client.rocket().state().unwrap();
        let path = format!("/admin/setup?key={}", setup.generate_key());
        let fields = [("username", "root"), ("password", PASSWORD)];
        let created = app.submit(&path, "", &fields).await;
        assert_eq!(created.header("Location"), Some("/admin/login"));
        let page = app.page("/admin/login", &created.cookie()).await;
        assert!(
            page.text.contains("You are the first admin"),
            "{}",
            page.text
        );
    });
}

#[test]
fn password_fields_are_masked_and_allow_password_managers() {
    on_both(async |app| {
        let setup: &Setup = app.client.rocket().state().unwrap();
        let setup = format!("/admin/setup?key={}", setup.generate_key());
        let setup = app.page(&setup, "").await.text;
        let alice = app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let sign_in = app.page("/admin/login", "").await.text;
        let set = format!("/admin/users/{alice}/password");
        let set = app.page(&set, &cookie).await.text;
        for (page, hint) in [
            (setup, "new-password"),
            (sign_in, "current-password"),
            (set, "new-password"),
        ] {
            let input = page
                .split("<input")
                .find(|i| i.contains("name=\"password\""));
            let input = input.unwrap().split('>').next().unwrap();
            assert!(input.contains("type=\"password\""), "{input}");
            assert!(
                input.contains(&format!("autocomplete=\"{hint}\"")),
                "{input}"
            );
            assert!(!input.contains("onpaste") && !input.contains("maxlength"));
        }
    });
}

#[test]
fn every_admin_page_has_a_sign_out_button() {
    on_both(async |app| {
        let root = app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        for path in [
            "/admin/".to_owned(),
            "/admin/users".to_owned(),
            "/admin/audit".to_owned(),
            format!("/admin/users/{root}"),
            format!("/admin/users/{root}/delete"),
        ] {
            let page = app.page(&path, &cookie).await;
            assert_eq!(page.status, Status::Ok, "{path}");
            let form = "<form method=\"post\" action=\"/admin/logout\">";
            assert!(page.text.contains(form), "{path}");
        }
    });
}

#[test]
fn an_internal_error_shows_the_request_id_but_no_details() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let alice = app.user("alice", Role::User).await;
        let cookie = app.admin_login("root").await;
        // No form accepts this username, so write it directly into the table.
        app.execute("UPDATE users SET username = '' WHERE username = 'alice'")
            .await;
        let path = format!("/admin/users/{alice}/password");
        let fields = [("confirm", "yes"), ("password", "a new long password")];
        let response = app.submit(&path, &cookie, &fields).await;
        assert_eq!(response.status, Status::InternalServerError);
        let id = response.header("X-Request-Id").unwrap();
        assert!(response.text.contains("Something went wrong") && response.text.contains(id));
        assert!(
            !response.text.contains("stored username"),
            "{}",
            response.text
        );
    });
}

//! What a token permits, and how it ends.

use rocket::http::{Method, Status};
use rocket_multitoken::models::event::Actor;
use rocket_multitoken::models::user::Role;
use serde_json::json;

use crate::support::{App, PASSWORD, on_both, on_both_with};

const INVALID_TOKEN: &str = r#"Bearer realm="multitoken", error="invalid_token""#;

#[test]
fn authorization_headers_of_django_clients_are_accepted_and_malformed_ones_refused() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        let token = app.login("alice", "laptop").await;
        let send = async |value: &str| {
            app.send(Method::Get, "/auth/me", &[("Authorization", value)], "")
                .await
        };
        for scheme in ["Bearer", "Token", "bearer", "TOKEN"] {
            assert_eq!(
                send(&format!("{scheme} {token}")).await.status,
                Status::Ok,
                "{scheme}"
            );
        }
        for value in [
            "Bearer",
            "Token",
            &format!("Bearer {token} x"),
            "Bearer x",
            "Token é",
        ] {
            let response = send(value).await;
            assert_eq!(response.status, Status::Unauthorized, "{value}");
            assert_eq!(
                response.header("WWW-Authenticate"),
                Some(INVALID_TOKEN),
                "{value}"
            );
        }
        for value in ["", "Basic YTpi", token.as_str(), &format!("Digest {token}")] {
            let response = send(value).await;
            assert_eq!(response.status, Status::Unauthorized, "{value}");
            let challenge = Some(r#"Bearer realm="multitoken""#);
            assert_eq!(response.header("WWW-Authenticate"), challenge, "{value}");
        }
        let bearer = format!("Bearer {token}");
        let twice = [
            ("Authorization", bearer.as_str()),
            ("Authorization", bearer.as_str()),
        ];
        assert_eq!(
            app.send(Method::Get, "/auth/me", &twice, "").await.status,
            Status::Unauthorized
        );
    });
}

#[test]
fn the_api_accepts_tokens_neither_in_cookies_nor_in_urls() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let token = app.login("root", "laptop").await;
        let cookie = app.admin_login("root").await;
        let admin_token = cookie.split_once('=').unwrap().1;
        // Each kind of token is accepted in one place only.
        assert!(!app.works(admin_token).await);
        let misplaced = format!("multitoken_admin_8000={token}");
        assert_eq!(
            app.page("/admin/", &misplaced).await.status,
            Status::SeeOther
        );
        for path in [
            format!("/auth/me?token={token}"),
            format!("/auth/me?auth_token={token}"),
        ] {
            assert_eq!(app.page(&path, &cookie).await.status, Status::Unauthorized);
        }
        let bearer = format!("Bearer {admin_token}");
        let response = app
            .send(Method::Get, "/admin/", &[("Authorization", &bearer)], "")
            .await;
        assert_eq!(response.status, Status::SeeOther);
    });
}

#[test]
fn unknown_expired_revoked_and_disabled_tokens_get_the_same_response() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        let carol = app.user("carol", Role::User).await;
        let expired = app.login("alice", "old").await;
        app.execute("UPDATE tokens SET ends_at = 1").await;
        let revoked = app.login("alice", "gone").await;
        assert_eq!(
            app.post("/auth/logout/", &revoked, json!({})).await.status,
            Status::Ok
        );
        let disabled = app.login("carol", "laptop").await;
        app.auth()
            .accounts
            .disable(carol, &Actor::command_line())
            .await
            .unwrap();
        let unknown = rocket_multitoken::secret::Secret::generate("mtk")
            .reveal()
            .to_owned();

        let first = app.get("/auth/me/", &expired).await;
        assert_eq!(first.header("WWW-Authenticate"), Some(INVALID_TOKEN));
        assert_eq!(first.json()["detail"], "Invalid token.");
        let none = app.send(Method::Get, "/auth/me/", &[], "").await.json();
        let words = "Authentication credentials were not provided.";
        assert_eq!(none["detail"], words);
        for token in [&revoked, &disabled, &unknown, &"mtk_x".to_owned()] {
            let response = app.get("/auth/me/", token).await;
            assert_eq!(response.status, Status::Unauthorized);
            assert_eq!(response.header("WWW-Authenticate"), Some(INVALID_TOKEN));
            assert_eq!(response.without_request_id(), first.without_request_id());
        }
    });
}

#[test]
fn tokens_with_an_earlier_prefix_keep_working() {
    on_both_with(json!({"token_prefix": "acme2"}), async |app| {
        app.user("alice", Role::User).await;
        let token = app.login("alice", "laptop").await;
        assert!(token.starts_with("acme2_"));
        // The server ignores the prefix of a token in a request.
        assert!(app.works(&token).await);
    });
}

#[test]
fn logout_revokes_the_token_of_the_request_and_no_other() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        let (one, two) = (
            app.login("alice", "one").await,
            app.login("alice", "two").await,
        );
        let response = app
            .send(
                Method::Post,
                "/auth/logout/",
                &[("Authorization", &format!("Token {one}"))],
                "",
            )
            .await;
        assert_eq!((response.status, response.text.as_str()), (Status::Ok, ""));
        assert!(!app.works(&one).await && app.works(&two).await);
        assert_eq!(
            app.post("/auth/logout/", &one, json!({})).await.status,
            Status::Unauthorized
        );
    });
}

#[test]
fn logout_all_and_others_return_the_count_and_leave_other_users_tokens() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        app.user("bob", Role::User).await;
        let bobs_token = app.login("bob", "one").await;
        let mut tokens = vec![];
        for client in ["one", "two", "three"] {
            tokens.push(app.login("alice", client).await);
        }
        let others = app
            .post("/auth/logout/others/", &tokens[0], json!({}))
            .await;
        assert_eq!(others.json(), json!({"revoked": 2}));
        assert!(app.works(&tokens[0]).await && !app.works(&tokens[1]).await);
        app.login("alice", "four").await;
        let all = app.post("/auth/logout/all/", &tokens[0], json!({})).await;
        assert_eq!(all.json(), json!({"revoked": 2}));
        assert!(!app.works(&tokens[0]).await && app.works(&bobs_token).await);
        assert_eq!(
            app.number("SELECT COUNT(*) FROM events WHERE action = 'token.revoked'")
                .await,
            4
        );
    });
}

#[test]
fn users_list_and_revoke_their_own_tokens_only() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        app.user("bob", Role::User).await;
        let (mine, bobs_token) = (
            app.login("alice", "laptop").await,
            app.login("bob", "laptop").await,
        );
        let phone = app.login("alice", "phone").await;
        let list = app.get("/auth/tokens/", &mine).await;
        assert!(!list.text.contains(&mine), "no plaintext");
        let results = list.json()["results"].as_array().unwrap().clone();
        assert_eq!(results.len(), 2);
        assert_eq!(results[0]["client"], "laptop");
        assert_eq!(results[0]["current"], true);
        assert_eq!(results[1]["current"], false);
        assert_eq!(results[0]["hint"], mine[mine.len() - 4..]);
        assert_eq!(results[0]["last_address"], "203.0.113.5");
        for member in [
            "id",
            "created_at",
            "last_used_at",
            "user_agent",
            "expires_at",
        ] {
            assert!(results[0].get(member).is_some(), "{member}");
        }

        let delete = async |app: &App, id: &str, token: &str| {
            let bearer = format!("Bearer {token}");
            let path = format!("/auth/tokens/{id}/");
            app.send(Method::Delete, &path, &[("Authorization", &bearer)], "")
                .await
        };
        let id = results[1]["id"].as_str().unwrap();
        assert_eq!(delete(&app, id, &bobs_token).await.status, Status::NotFound);
        assert!(
            app.works(&phone).await,
            "another user's token is out of reach"
        );
        let done = delete(&app, id, &mine).await;
        assert_eq!((done.status, done.text.as_str()), (Status::NoContent, ""));
        assert!(!app.works(&phone).await && app.works(&mine).await);
        for id in [id, "nonsense", "%00", &id.to_uppercase()] {
            assert_eq!(
                delete(&app, id, &mine).await.status,
                Status::NotFound,
                "{id}"
            );
        }
    });
}

#[test]
fn changing_the_password_revokes_every_other_token() {
    on_both_with(json!({"name": "Harbour"}), async |app| {
        app.user("alice", Role::User).await;
        let (one, two) = (
            app.login("alice", "one").await,
            app.login("alice", "two").await,
        );
        let change = async |current: &str, new: &str| {
            let body = json!({"current_password": current, "new_password": new});
            app.post("/auth/password/", &one, body).await
        };
        let wrong = change("wrong", "a brand new one").await;
        assert_eq!(wrong.status, Status::BadRequest);
        assert!(wrong.json()["current_password"].is_array() && app.works(&two).await);
        for weak in [
            "short",
            "iloveyou1",
            "i am alice",
            "harbour!",
            &"x".repeat(1025),
        ] {
            let refused = change(PASSWORD, weak).await;
            assert_eq!(refused.status, Status::BadRequest, "{weak}");
            assert!(
                refused.json()["new_password"].is_array(),
                "{}",
                refused.text
            );
        }
        assert!(app.works(&two).await);
        let done = change(PASSWORD, "a brand new one").await;
        assert_eq!(done.json(), json!({"revoked": 1}));
        assert!(app.works(&one).await && !app.works(&two).await);
        assert_eq!(
            app.try_login("alice", PASSWORD, "x").await.status,
            Status::BadRequest
        );
        assert_eq!(
            app.try_login("alice", "a brand new one", "x").await.status,
            Status::Ok
        );
    });
}

#[test]
fn tokens_have_an_absolute_lifetime_and_an_idle_timeout() {
    let settings = json!({"token_ttl": "90d", "token_idle_ttl": "1d"});
    on_both_with(settings, async |app| {
        app.user("alice", Role::User).await;
        let token = app.login("alice", "laptop").await;
        let left = "SELECT ends_at - created_at FROM tokens";
        assert_eq!(app.number(left).await, 86_400);
        // Use moves the idle timeout, but not past the absolute lifetime.
        app.execute(
            "UPDATE tokens SET created_at = created_at - 500, ends_at = ends_at - 500,
                     expires_at = ends_at - 100",
        )
        .await;
        assert!(app.works(&token).await);
        app.auth().last_uses.flush().await.unwrap();
        assert_eq!(
            app.number("SELECT ends_at - expires_at FROM tokens").await,
            0
        );
        assert_eq!(
            app.number("SELECT COUNT(*) FROM tokens WHERE last_used_at > 0")
                .await,
            1
        );
        app.execute("UPDATE tokens SET ends_at = 1").await;
        assert!(!app.works(&token).await);
        let pruned = app
            .auth()
            .sessions
            .prune(&Actor::command_line())
            .await
            .unwrap();
        assert_eq!(pruned, 1);
        assert_eq!(app.number("SELECT COUNT(*) FROM tokens").await, 0);
        let reasons = app
            .texts("SELECT reason FROM events WHERE action = 'token.expired'")
            .await;
        assert_eq!(reasons, ["expired"]);
    });
}

#[test]
fn tokens_may_never_expire() {
    let settings = json!({"token_ttl": "never", "token_idle_ttl": "never"});
    on_both_with(settings, async |app| {
        app.user("alice", Role::User).await;
        let response = app.try_login("alice", PASSWORD, "laptop").await.json();
        assert!(response["expires_at"].is_null());
        assert!(app.works(response["auth_token"].as_str().unwrap()).await);
    });
}

#[test]
fn a_lost_database_gets_503_and_rejects_no_token() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let (token, cookie) = (
            app.login("root", "laptop").await,
            app.admin_login("root").await,
        );
        app.auth().pool().close_all().await;
        for path in ["/auth/me/", "/auth/tokens/", "/readyz"] {
            let response = app.get(path, &token).await;
            assert_eq!(response.status, Status::ServiceUnavailable, "{path}");
            assert!(response.header("Retry-After").is_some());
            assert!(!response.text.contains("sql") && !response.text.contains("pool"));
        }
        assert_eq!(
            app.page("/admin/", &cookie).await.status,
            Status::ServiceUnavailable
        );
        assert_eq!(
            app.try_login("root", PASSWORD, "x").await.status,
            Status::ServiceUnavailable
        );
        // A malformed token is rejected without a query, and the process is healthy.
        assert_eq!(
            app.get("/auth/me/", "mtk_x").await.status,
            Status::Unauthorized
        );
        assert_eq!(app.get("/healthz", "").await.status, Status::Ok);
    });
}

const LAST_USE: &str = "SELECT COALESCE(MAX(last_used_at), 0) FROM tokens";

#[test]
fn a_use_is_written_at_most_once_a_minute() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        let token = app.login("alice", "laptop").await;
        assert!(app.works(&token).await);
        app.auth().last_uses.flush().await.unwrap();
        let first = app.number(LAST_USE).await;
        assert!(first > 0);
        app.execute("UPDATE tokens SET last_used_at = last_used_at - 50, user_agent = 'kept'")
            .await;
        assert!(app.works(&token).await);
        app.auth().last_uses.flush().await.unwrap();
        assert_eq!(app.number(LAST_USE).await, first - 50, "too soon");
        // Another process writes a later use before this one does.
        app.execute("UPDATE tokens SET last_used_at = last_used_at - 50")
            .await;
        assert!(app.works(&token).await);
        app.execute("UPDATE tokens SET last_used_at = last_used_at + 99")
            .await;
        app.auth().last_uses.flush().await.unwrap();
        assert_eq!(app.texts("SELECT user_agent FROM tokens").await, ["kept"]);
        app.execute("UPDATE tokens SET last_used_at = last_used_at - 99")
            .await;
        assert!(app.works(&token).await);
        app.auth().last_uses.flush().await.unwrap();
        assert!(app.number(LAST_USE).await >= first);
    });
}

#[test]
fn with_a_short_idle_timeout_a_use_is_written_every_tenth_of_it() {
    on_both_with(json!({"token_idle_ttl": "100s"}), async |app| {
        app.user("alice", Role::User).await;
        let token = app.login("alice", "laptop").await;
        assert!(app.works(&token).await);
        app.auth().last_uses.flush().await.unwrap();
        let first = app.number(LAST_USE).await;
        for (sql, written) in [
            ("UPDATE tokens SET last_used_at = last_used_at - 2", false),
            ("UPDATE tokens SET last_used_at = last_used_at - 13", true),
        ] {
            app.execute(sql).await;
            assert!(app.works(&token).await);
            app.auth().last_uses.flush().await.unwrap();
            assert_eq!(app.number(LAST_USE).await >= first, written, "{sql}");
        }
    });
}

#[test]
fn a_use_that_cannot_be_written_rejects_no_request_and_is_written_later() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        let token = app.login("alice", "laptop").await;
        app.execute("ALTER TABLE tokens RENAME COLUMN address TO gone")
            .await;
        assert!(app.works(&token).await);
        assert!(app.auth().last_uses.flush().await.is_err());
        assert!(app.works(&token).await);
        app.execute("ALTER TABLE tokens RENAME COLUMN gone TO address")
            .await;
        app.auth().last_uses.flush().await.unwrap();
        assert!(app.number(LAST_USE).await > 0);
    });
}

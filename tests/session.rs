//! What a token lets one do, and how it ends.

use multitoken::models::event::Actor;
use multitoken::models::user::Role;
use rocket::http::{Method, Status};
use serde_json::json;

use crate::support::{App, PASSWORD, on_both, on_both_with};

const INVALID: &str = r#"Bearer realm="multitoken", error="invalid_token""#;

#[test]
fn header_forms_of_django_clients_are_taken() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        let token = app.login("alice", "laptop").await;
        let ask = async |value: &str| {
            app.send(Method::Get, "/auth/me", &[("Authorization", value)], "")
                .await
        };
        for scheme in ["Bearer", "Token", "bearer", "TOKEN"] {
            assert_eq!(
                ask(&format!("{scheme} {token}")).await.status,
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
            let answer = ask(value).await;
            assert_eq!(answer.status, Status::Unauthorized, "{value}");
            assert_eq!(answer.header("WWW-Authenticate"), Some(INVALID), "{value}");
        }
        for value in ["", "Basic YTpi", token.as_str(), &format!("Digest {token}")] {
            let answer = ask(value).await;
            assert_eq!(answer.status, Status::Unauthorized, "{value}");
            let challenge = Some(r#"Bearer realm="multitoken""#);
            assert_eq!(answer.header("WWW-Authenticate"), challenge, "{value}");
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
fn neither_cookie_nor_url_is_a_credential() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let token = app.login("root", "laptop").await;
        let cookie = app.admin_login("root").await;
        let admin_token = cookie.split_once('=').unwrap().1;
        // Each kind in its own place only.
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
        let answer = app
            .send(Method::Get, "/admin/", &[("Authorization", &bearer)], "")
            .await;
        assert_eq!(answer.status, Status::SeeOther);
    });
}

#[test]
fn unknown_expired_revoked_and_disabled_are_refused_alike() {
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
            .disable(carol, &Actor::command_line())
            .await
            .unwrap();
        let unknown = multitoken::secret::Secret::generate("mtk")
            .reveal()
            .to_owned();

        let first = app.get("/auth/me/", &expired).await;
        assert_eq!(first.header("WWW-Authenticate"), Some(INVALID));
        assert_eq!(first.json()["detail"], "Invalid token.");
        let none = app.send(Method::Get, "/auth/me/", &[], "").await.json();
        let words = "Authentication credentials were not provided.";
        assert_eq!(none["detail"], words);
        for token in [&revoked, &disabled, &unknown, &"mtk_x".to_owned()] {
            let answer = app.get("/auth/me/", token).await;
            assert_eq!(answer.status, Status::Unauthorized);
            assert_eq!(answer.header("WWW-Authenticate"), Some(INVALID));
            assert_eq!(answer.but_for_request_id(), first.but_for_request_id());
        }
    });
}

#[test]
fn tokens_of_an_earlier_prefix_go_on_working() {
    on_both_with(json!({"token_prefix": "acme2"}), async |app| {
        app.user("alice", Role::User).await;
        let token = app.login("alice", "laptop").await;
        assert!(token.starts_with("acme2_"));
        // The application doesn't look at the prefix of a token that it is shown.
        assert!(app.works(&token).await);
    });
}

#[test]
fn logout_ends_the_token_that_asked_and_no_other() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        let (one, two) = (
            app.login("alice", "one").await,
            app.login("alice", "two").await,
        );
        let answer = app
            .send(
                Method::Post,
                "/auth/logout/",
                &[("Authorization", &format!("Token {one}"))],
                "",
            )
            .await;
        assert_eq!((answer.status, answer.text.as_str()), (Status::Ok, ""));
        assert!(!app.works(&one).await && app.works(&two).await);
        assert_eq!(
            app.post("/auth/logout/", &one, json!({})).await.status,
            Status::Unauthorized
        );
    });
}

#[test]
fn logout_all_and_others_say_how_many_and_spare_other_users() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        app.user("bob", Role::User).await;
        let bobs = app.login("bob", "one").await;
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
        assert!(!app.works(&tokens[0]).await && app.works(&bobs).await);
        assert_eq!(
            app.number("SELECT COUNT(*) FROM events WHERE action = 'token.revoked'")
                .await,
            4
        );
    });
}

#[test]
fn one_sees_ones_own_tokens_and_ends_them_by_id() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        app.user("bob", Role::User).await;
        let (mine, bobs) = (
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
        assert_eq!(delete(&app, id, &bobs).await.status, Status::NotFound);
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
fn a_changed_password_ends_every_other_token() {
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
fn tokens_end_after_their_life_and_by_disuse() {
    let settings = json!({"token_ttl": "90d", "token_idle_ttl": "1d"});
    on_both_with(settings, async |app| {
        app.user("alice", Role::User).await;
        let token = app.login("alice", "laptop").await;
        let left = "SELECT ends_at - created_at FROM tokens";
        assert_eq!(app.number(left).await, 86_400);
        // A use moves the end by disuse ahead, but not past the absolute end.
        app.execute(
            "UPDATE tokens SET created_at = created_at - 500, ends_at = ends_at - 500,
                     expires_at = ends_at - 100",
        )
        .await;
        assert!(app.works(&token).await);
        app.auth().flush_usage().await.unwrap();
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
        let pruned = app.auth().prune(&Actor::command_line()).await.unwrap();
        assert_eq!(pruned, 1);
        assert_eq!(app.number("SELECT COUNT(*) FROM tokens").await, 0);
        let reasons = app
            .texts("SELECT reason FROM events WHERE action = 'token.expired'")
            .await;
        assert_eq!(reasons, ["expired"]);
    });
}

#[test]
fn tokens_may_live_for_ever() {
    let settings = json!({"token_ttl": "never", "token_idle_ttl": "never"});
    on_both_with(settings, async |app| {
        app.user("alice", Role::User).await;
        let answer = app.try_login("alice", PASSWORD, "laptop").await.json();
        assert!(answer["expires_at"].is_null());
        assert!(app.works(answer["auth_token"].as_str().unwrap()).await);
    });
}

#[test]
fn a_lost_database_is_no_reason_to_refuse_a_token() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let (token, cookie) = (
            app.login("root", "laptop").await,
            app.admin_login("root").await,
        );
        app.auth().pool().shut().await;
        for path in ["/auth/me/", "/auth/tokens/", "/readyz"] {
            let answer = app.get(path, &token).await;
            assert_eq!(answer.status, Status::ServiceUnavailable, "{path}");
            assert!(answer.header("Retry-After").is_some());
            assert!(!answer.text.contains("sql") && !answer.text.contains("pool"));
        }
        assert_eq!(
            app.page("/admin/", &cookie).await.status,
            Status::ServiceUnavailable
        );
        assert_eq!(
            app.try_login("root", PASSWORD, "x").await.status,
            Status::ServiceUnavailable
        );
        // What is no token needs no database to be refused; and the process lives.
        assert_eq!(
            app.get("/auth/me/", "mtk_x").await.status,
            Status::Unauthorized
        );
        assert_eq!(app.get("/healthz", "").await.status, Status::Ok);
    });
}

const LAST: &str = "SELECT COALESCE(MAX(last_used_at), 0) FROM tokens";

#[test]
fn a_use_is_written_once_a_minute_at_most() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        let token = app.login("alice", "laptop").await;
        assert!(app.works(&token).await);
        app.auth().flush_usage().await.unwrap();
        let first = app.number(LAST).await;
        assert!(first > 0);
        app.execute("UPDATE tokens SET last_used_at = last_used_at - 50, user_agent = 'kept'")
            .await;
        assert!(app.works(&token).await);
        app.auth().flush_usage().await.unwrap();
        assert_eq!(app.number(LAST).await, first - 50, "too soon");
        // Noted here, and meanwhile by another process.
        app.execute("UPDATE tokens SET last_used_at = last_used_at - 50")
            .await;
        assert!(app.works(&token).await);
        app.execute("UPDATE tokens SET last_used_at = last_used_at + 99")
            .await;
        app.auth().flush_usage().await.unwrap();
        assert_eq!(app.texts("SELECT user_agent FROM tokens").await, ["kept"]);
        app.execute("UPDATE tokens SET last_used_at = last_used_at - 99")
            .await;
        assert!(app.works(&token).await);
        app.auth().flush_usage().await.unwrap();
        assert!(app.number(LAST).await >= first);
    });
}

#[test]
fn or_once_a_tenth_of_a_short_life_without_use() {
    on_both_with(json!({"token_idle_ttl": "100s"}), async |app| {
        app.user("alice", Role::User).await;
        let token = app.login("alice", "laptop").await;
        assert!(app.works(&token).await);
        app.auth().flush_usage().await.unwrap();
        let first = app.number(LAST).await;
        for (sql, written) in [
            ("UPDATE tokens SET last_used_at = last_used_at - 2", false),
            ("UPDATE tokens SET last_used_at = last_used_at - 13", true),
        ] {
            app.execute(sql).await;
            assert!(app.works(&token).await);
            app.auth().flush_usage().await.unwrap();
            assert_eq!(app.number(LAST).await >= first, written, "{sql}");
        }
    });
}

#[test]
fn a_use_that_can_not_be_written_refuses_nobody_and_is_written_later() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        let token = app.login("alice", "laptop").await;
        app.execute("ALTER TABLE tokens RENAME COLUMN address TO gone")
            .await;
        assert!(app.works(&token).await);
        assert!(app.auth().flush_usage().await.is_err());
        assert!(app.works(&token).await);
        app.execute("ALTER TABLE tokens RENAME COLUMN gone TO address")
            .await;
        app.auth().flush_usage().await.unwrap();
        assert!(app.number(LAST).await > 0);
    });
}

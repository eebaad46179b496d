//! Login and logout over JSON and forms.

use rocket::http::{Method, Status};
use rocket_multitoken::auth::Auth;
use rocket_multitoken::auth::accounts::ExistingTokens;
use rocket_multitoken::config::Settings;
use rocket_multitoken::models::event::Actor;
use rocket_multitoken::models::user::{self, Role};
use rocket_multitoken::password::Password;
use serde_json::json;

use crate::support::app::form;
use crate::support::{PASSWORD, on_both, on_both_with};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

#[test]
fn login_returns_a_token_and_stores_only_its_digest() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        let response = app.try_login("Alice", PASSWORD, " laptop ").await;
        assert_eq!(response.status, Status::Ok);
        assert_eq!(response.header("Cache-Control"), Some("no-store"));
        let body = response.json();
        assert_eq!(body["token_type"], "Bearer");
        assert_eq!(body["client"], "laptop");
        assert!(body["expires_at"].as_str().unwrap().ends_with('Z'));
        let token = body["auth_token"].as_str().unwrap();
        assert!(
            token.starts_with("mtk_") && token.len() == "mtk_".len() + 49,
            "{token}"
        );

        let me = app.get("/auth/me/", token).await.json();
        assert_eq!(me["username"], "alice");
        assert_eq!(me["role"], "user");
        assert_eq!(me["client"], "laptop");
        let digests = app.texts("SELECT digest FROM tokens").await;
        assert_eq!(digests.len(), 1);
        assert!(digests[0].len() == 64 && !digests[0].contains(token));
        assert_eq!(
            app.number("SELECT COUNT(*) FROM events WHERE action = 'token.issued'")
                .await,
            1
        );
    });
}

#[test]
fn login_accepts_forms_and_paths_with_or_without_a_trailing_slash() {
    on_both(async |app| {
        app.user("älice", Role::User).await;
        let fields = [
            ("username", "ÄLICE"),
            ("password", PASSWORD),
            ("client", "a&b=c d"),
        ];
        for path in ["/auth/login/", "/auth/login"] {
            let response = app.send(Method::Post, path, &[FORM], form(&fields)).await;
            assert_eq!(response.status, Status::Ok, "{path}: {}", response.text);
            assert_eq!(response.json()["client"], "a&b=c d");
        }
    });
}

#[test]
fn a_second_login_of_the_same_client_replaces_its_token_and_no_other() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        app.user("bob", Role::User).await;
        let first = app.login("alice", "laptop").await;
        let phone = app.login("alice", "phone").await;
        let bobs_token = app.login("bob", "laptop").await;
        let ids = app.texts("SELECT id FROM tokens ORDER BY id").await;
        let second = app.login("alice", "laptop").await;
        assert!(!app.works(&first).await);
        for token in [&second, &phone, &bobs_token] {
            assert!(app.works(token).await);
        }
        let now = app.texts("SELECT id FROM tokens ORDER BY id").await;
        assert_eq!(now.len(), 3);
        assert!(!now.contains(&ids[0]), "the new token has a new id");
        let reasons = app
            .texts("SELECT reason FROM events WHERE action IN ('token.replaced', 'token.revoked')")
            .await;
        assert_eq!(reasons, ["replaced"]);
    });
}

#[test]
fn a_failed_login_does_not_reveal_the_reason() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        let disabled = app.user("carol", Role::User).await;
        let actor = Actor::command_line();
        app.auth().accounts.disable(disabled, &actor).await.unwrap();

        let wrong = app
            .try_login("alice", "wrong horse battery", "laptop")
            .await;
        assert_eq!(wrong.status, Status::BadRequest);
        let message = "Unable to log in with provided credentials.";
        assert_eq!(wrong.json()["non_field_errors"], json!([message]));
        assert_eq!(
            wrong.header("Content-Type"),
            Some("application/problem+json")
        );
        for (name, password) in [
            ("nobody", PASSWORD),
            ("carol", PASSWORD),
            ("carol", "wrong"),
        ] {
            let response = app.try_login(name, password, "laptop").await;
            assert_eq!(response.status, wrong.status);
            assert_eq!(
                response.without_request_id(),
                wrong.without_request_id(),
                "{name}"
            );
        }
        // Unknown usernames are not recorded: people type passwords into that field.
        let names = app
            .texts(
                "SELECT COALESCE(subject_name, '-') FROM events
                               WHERE action = 'login.failed' ORDER BY id",
            )
            .await;
        assert_eq!(names, ["alice", "-", "carol", "carol"]);
        assert_eq!(app.number("SELECT COUNT(*) FROM tokens").await, 0);
    });
}

#[test]
fn every_invalid_field_is_reported_at_once() {
    on_both(async |app| {
        let required = json!(["This field is required."]);
        let blank = json!(["This field may not be blank."]);
        let cases = [
            (
                json!({}),
                [required.clone(), required.clone(), required.clone()],
            ),
            (
                json!({"username": " ", "password": "", "client": ""}),
                [blank.clone(), blank.clone(), blank],
            ),
            (
                json!({"username": 5, "password": null, "client": ["x"]}),
                [
                    json!(["Not a valid string."]),
                    json!(["Not a valid string."]),
                    json!(["Not a valid string."]),
                ],
            ),
            (
                json!({"username": "x".repeat(151), "client": "x".repeat(256)}),
                [
                    json!(["Ensure this field has no more than 150 characters."]),
                    required,
                    json!(["Ensure this field has no more than 255 characters."]),
                ],
            ),
        ];
        for (body, [username, password, client]) in cases {
            let response = app
                .send(Method::Post, "/auth/login/", &[JSON], body.to_string())
                .await;
            assert_eq!(response.status, Status::BadRequest);
            let got = response.json();
            assert_eq!(got["username"], username, "{body}");
            assert_eq!(got["password"], password, "{body}");
            assert_eq!(got["client"], client, "{body}");
            assert_eq!(got["status"], 400);
        }
        for text in ["a\u{0}b", "a\u{202e}b", "a\nb"] {
            let response = app.try_login(text, PASSWORD, text).await.json();
            assert!(
                response["username"].is_array() && response["client"].is_array(),
                "{text:?}"
            );
        }
        assert_eq!(app.number("SELECT COUNT(*) FROM events").await, 0);
    });
}

#[test]
fn unreadable_bodies_get_400_413_or_415() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        let deep = "[".repeat(4000);
        for body in [
            "",
            "{",
            "[]",
            "\"x\"",
            "{\"username\":NaN}",
            "{\"client\":\"\\ud800\"}",
            &deep,
        ] {
            let response = app.send(Method::Post, "/auth/login", &[JSON], body).await;
            assert_eq!(response.status, Status::BadRequest, "{body:.40}");
        }
        let bad = [
            &b"username=%ff"[..],
            b"username=\xff",
            b"{\"username\":\"\xff\"}",
        ];
        for (kind, body) in [FORM, FORM, JSON].into_iter().zip(bad) {
            let response = app.send(Method::Post, "/auth/login", &[kind], body).await;
            assert_eq!(response.status, Status::BadRequest);
        }
        for kind in [
            "text/plain",
            "text/json",
            "application/xml",
            "application/json, text/html",
            "nonsense",
        ] {
            let kind = [("Content-Type", kind)];
            let response = app.send(Method::Post, "/auth/login", &kind, "x=y").await;
            assert_eq!(response.status, Status::UnsupportedMediaType, "{kind:?}");
            assert_eq!(response.header("Accept-Post"), Some(ACCEPTED), "{kind:?}");
        }
        for headers in [vec![], vec![JSON, JSON], vec![JSON, FORM]] {
            let response = app.send(Method::Post, "/auth/login", &headers, "{}").await;
            assert_eq!(response.status, Status::UnsupportedMediaType, "{headers:?}");
        }
        let sized = |length: usize| {
            let body = json!({"username": "alice", "password": PASSWORD, "client": "c", "x": ""});
            let pad = length - body.to_string().len();
            body.to_string()
                .replace("\"x\":\"\"", &format!("\"x\":\"{}\"", "y".repeat(pad)))
        };
        let fits = app
            .send(Method::Post, "/auth/login", &[JSON], sized(8192))
            .await;
        assert_eq!(fits.status, Status::Ok, "{}", fits.text);
        let over = app
            .send(Method::Post, "/auth/login", &[JSON], sized(8193))
            .await;
        assert_eq!(over.status, Status::PayloadTooLarge);
    });
}

/// The accepted content types.
const ACCEPTED: &str = "application/json, application/x-www-form-urlencoded, multipart/form-data";

#[test]
fn a_content_type_is_accepted_in_any_form_that_the_standard_allows() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        let fields = [
            ("username", "alice"),
            ("password", PASSWORD),
            ("client", "c"),
        ];
        let json = json!({"username": "alice", "password": PASSWORD, "client": "c"}).to_string();
        for (kind, body) in [
            ("application/json;", &json),
            ("application/json ; charset=utf-8", &json),
            ("Application/JSON;;charset=\"UTF-8\"; ", &json),
            ("application/x-www-form-urlencoded;", &form(&fields)),
            (
                "APPLICATION/X-WWW-FORM-URLENCODED ;charset=UTF-8",
                &form(&fields),
            ),
        ] {
            let kind = [("Content-Type", kind)];
            let response = app.send(Method::Post, "/auth/login/", &kind, body).await;
            assert_eq!(response.status, Status::Ok, "{kind:?}: {}", response.text);
        }
        for (coding, status) in [
            ("identity", Status::Ok),
            ("gzip", Status::UnsupportedMediaType),
            ("identity, br", Status::UnsupportedMediaType),
            ("nonsense", Status::UnsupportedMediaType),
        ] {
            let headers = [JSON, ("Content-Encoding", coding)];
            let response = app
                .send(Method::Post, "/auth/login/", &headers, &json)
                .await;
            assert_eq!(response.status, status, "{coding}");
        }
    });
}

/// A part of a multipart form, with `more` after its name.
fn part(name: &str, more: &str, value: &str) -> String {
    format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{value}\r\n")
}

#[test]
fn a_multipart_form_is_read_like_any_other_but_files_are_refused() {
    on_both(async |app| {
        app.user("älice", Role::User).await;
        let send = async |kind: &str, body: String| {
            let kind = [("Content-Type", kind)];
            app.send(Method::Post, "/auth/login/", &kind, body).await
        };
        let fields = [
            part("username", "", "älice"),
            part(
                "password",
                "\r\nContent-Type: text/plain; charset=utf-8",
                PASSWORD,
            ),
            part("client", "", "a&b= c"),
        ];
        let end = "--XX--\r\n";
        let whole = fields.concat() + end;
        for kind in [
            "multipart/form-data; boundary=XX",
            "Multipart/Form-Data ; charset=utf-8; boundary=\"XX\";",
        ] {
            let response = send(kind, whole.clone()).await;
            assert_eq!(response.status, Status::Ok, "{kind}: {}", response.text);
            assert_eq!(response.json()["client"], "a&b= c");
        }
        // Fields are validated like those of any form.
        let kind = "multipart/form-data; boundary=XX";
        let wrong = send(kind, whole.replace("a&b", "a\nb")).await.json();
        assert!(
            wrong["client"].is_array() && wrong["username"].is_null(),
            "{wrong}"
        );
        let missing = send(kind, part("client", "", "") + end).await.json();
        assert_eq!(missing["username"], json!(["This field is required."]));
        assert_eq!(missing["client"], json!(["This field may not be blank."]));
        assert_eq!(send(kind, String::new()).await.status, Status::BadRequest);

        let logins = app.number("SELECT COUNT(*) FROM tokens").await;
        for (kind, body) in [
            // No boundary, or a wrong one.
            ("multipart/form-data", whole.clone()),
            ("multipart/form-data; boundary=", whole.clone()),
            ("multipart/form-data; boundary=YY", whole.clone()),
            // File parts.
            (
                kind,
                part("client", "; filename=\"x.txt\"", "c") + whole.as_str(),
            ),
            (kind, part("client", "; filename=x", "c") + whole.as_str()),
            (
                kind,
                part("client", "; FileName=\"\"", "c") + whole.as_str(),
            ),
            (
                kind,
                part("client", "; filename*=utf-8''x", "c") + whole.as_str(),
            ),
            // Truncated, without a name, or not multipart at all.
            (kind, fields.concat()),
            (kind, whole.replace("; name=\"username\"", "")),
            (kind, "username=alice".into()),
            (kind, "{}".into()),
        ] {
            let response = send(kind, body.clone()).await;
            assert_eq!(response.status, Status::BadRequest, "{kind} {body}");
            let fields = response.json()["username"].is_array();
            assert!(!fields, "it is not read: {}", response.text);
        }
        assert_eq!(app.number("SELECT COUNT(*) FROM tokens").await, logins);
    });
}

#[test]
fn json_sent_as_a_form_gets_a_hint_about_the_content_type() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        let json = json!({"username": "alice", "password": "100%ff", "client": "c"});
        for (kind, body) in [
            (FORM, json.to_string()),
            (FORM, format!("  {}", json.to_string().replace('%', ""))),
            (
                ("Content-Type", "multipart/form-data; boundary=x"),
                json.to_string(),
            ),
        ] {
            let response = app.send(Method::Post, "/auth/login/", &[kind], body).await;
            assert_eq!(response.status, Status::BadRequest);
            let detail = response.json()["detail"].to_string();
            assert!(
                detail.contains("Content-Type: application/json"),
                "{detail}"
            );
        }
        let braces = app.send(Method::Post, "/auth/login/", &[FORM], "{}").await;
        assert_eq!(
            braces.json()["username"],
            json!(["This field is required."])
        );
        let plain = app
            .send(Method::Post, "/auth/login/", &[FORM], "x={}")
            .await;
        assert!(!plain.text.contains("JSON"), "{}", plain.text);
    });
}

#[test]
fn the_paths_of_django_rest_multitoken_are_aliases() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        for slash in ["", "/"] {
            let body = json!({"username": "alice", "password": PASSWORD, "client": "laptop"});
            let path = format!("/auth/obtain-token{slash}");
            let login = app
                .send(Method::Post, &path, &[JSON], body.to_string())
                .await;
            assert_eq!(login.status, Status::Ok);
            let token = login.json()["auth_token"].as_str().unwrap().to_owned();
            assert!(app.works(&token).await);
            let path = format!("/auth/invalidate-token{slash}");
            let out = app.post(&path, &token, json!({})).await;
            assert_eq!((out.status, out.text.as_str()), (Status::Ok, ""));
            assert!(!app.works(&token).await);
        }
    });
}

#[test]
fn a_stale_authorization_header_is_ignored_at_login() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        let body = json!({"username": "alice", "password": PASSWORD, "client": "laptop"});
        assert_eq!(
            app.post("/auth/login/", "mtk_nonsense", body).await.status,
            Status::Ok
        );
    });
}

#[test]
fn a_login_over_the_limit_evicts_the_oldest_token_only() {
    on_both_with(json!({"tokens_per_user": 2}), async |app| {
        app.user("alice", Role::User).await;
        let first = app.login("alice", "one").await;
        let second = app.login("alice", "two").await;
        let third = app.login("alice", "three").await;
        assert!(!app.works(&first).await);
        assert!(app.works(&second).await && app.works(&third).await);
        let reasons = app
            .texts("SELECT reason FROM events WHERE action IN ('token.replaced', 'token.revoked')")
            .await;
        assert_eq!(reasons, ["evicted"]);
    });
}

#[test]
fn a_login_over_the_limit_is_refused_if_so_configured() {
    let settings = json!({"tokens_per_user": 2, "tokens_full": "reject"});
    on_both_with(settings, async |app| {
        app.user("alice", Role::User).await;
        let first = app.login("alice", "one").await;
        app.login("alice", "two").await;
        let refused = app.try_login("alice", PASSWORD, "three").await;
        assert_eq!(refused.status, Status::Forbidden);
        assert!(app.works(&first).await);
        assert_eq!(app.number("SELECT COUNT(*) FROM tokens").await, 2);
        // A login that replaces a token needs no further one.
        app.login("alice", "one").await;
    });
}

#[test]
fn an_outdated_hash_is_renewed_by_the_right_password_only() {
    on_both_with(json!({"hash_memory_kib": 64}), async |app| {
        let id = app.user("alice", Role::User).await;
        let hash = async || app.texts("SELECT password_hash FROM users").await.remove(0);
        let set = async |memory: u32, iterations: u32| {
            let settings = Settings {
                hash_memory_kib: memory,
                hash_iterations: iterations,
                ..app.auth().settings().clone()
            };
            let other = Auth::new(app.auth().pool().clone(), settings).unwrap();
            let mut db = app.auth().pool().read().await.unwrap();
            let user = user::find(&mut db, id).await.unwrap().unwrap();
            let password = Password::new(PASSWORD);
            let actor = Actor::command_line();
            let set = other
                .accounts
                .set_password(&user, &password, ExistingTokens::Keep, &actor);
            set.await.unwrap();
        };
        for (memory, iterations, renewed) in [(8, 1, true), (32, 3, true), (128, 1, false)] {
            set(memory, iterations).await;
            let before = hash().await;
            let wrong = app.try_login("alice", "wrong", "laptop").await;
            assert_eq!(wrong.status, Status::BadRequest);
            assert_eq!(hash().await, before, "a wrong password renews nothing");
            app.login("alice", "laptop").await;
            let after = hash().await;
            assert_eq!(after != before, renewed, "{before} {after}");
            assert_eq!(after.contains("m=64,t=1"), renewed, "{after}");
            app.login("alice", "laptop").await;
            assert_eq!(hash().await, after, "renewed only once");
        }
    });
}

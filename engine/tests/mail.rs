//! Users' accounts and their mail: sign-up, verification, password resets and invitations.

use std::time::{Duration, Instant};

use rocket::http::{Method, Status};
use rocket_multitoken::identity::Username;
use rocket_multitoken::models::event::Actor;
use rocket_multitoken::models::user::Role;
use serde_json::{Value, json};

use crate::support::app::Response;
use crate::support::{App, PASSWORD, on_both, on_both_with};

pub const NEW_PASSWORD: &str = "a staple for every horse";

pub async fn post(app: &App, path: &str, body: &Value) -> Response {
    let headers = [("Content-Type", "application/json")];
    app.send(Method::Post, path, &headers, body.to_string())
        .await
}

/// The mails to `address`, once there are `count` of them.
pub async fn mails(app: &App, address: &str, count: usize) -> Vec<String> {
    for _ in 0..100 {
        let kept = app.auth().outbox.in_memory().unwrap();
        let matching = kept.into_iter().filter(|mail| mail.to == address);
        let texts: Vec<_> = matching
            .map(|mail| format!("{}\n{}", mail.subject, mail.text))
            .collect();
        if texts.len() >= count {
            assert_eq!(texts.len(), count, "{texts:#?}");
            return texts;
        }
        rocket::tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no mail to {address}")
}

/// The key in a mail's link.
pub fn key(mail: &str) -> String {
    let (_, rest) = mail.split_once("key=").unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

/// Signs alice up with a verified address.
pub async fn sign_up_alice(app: &App) {
    let body = json!({ "username": "alice", "password": PASSWORD, "email": "alice@example.com" });
    let response = post(app, "/auth/sign-up/", &body).await;
    assert_eq!(response.status, Status::Created, "{}", response.text);
    let mail = mails(app, "alice@example.com", 1).await.remove(0);
    let body = json!({ "key": key(&mail) });
    let response = post(app, "/auth/email/confirm/", &body).await;
    assert_eq!((response.status, response.text.as_str()), (Status::Ok, ""));
}

pub fn open_sign_up() -> Value {
    json!({ "sign_up": "open" })
}

#[test]
fn an_email_address_has_no_effect_until_verified_and_then_signs_in() {
    on_both_with(open_sign_up(), async |app| {
        let body =
            json!({ "username": "alice", "password": PASSWORD, "email": "alice@Bücher.example" });
        let response = post(&app, "/auth/sign-up/", &body).await;
        let created = response.json();
        assert_eq!(created["email"], "alice@Bücher.example");
        assert_eq!(created["email_verified"], false);
        let address = "alice@xn--bcher-kva.example";
        let refused = app.try_login(address, PASSWORD, "laptop").await;
        assert_eq!(refused.status, Status::BadRequest);
        let reset = post(&app, "/auth/reset/", &json!({ "email": address })).await;
        assert_eq!(reset.status, Status::Accepted);
        let mail = mails(&app, address, 1).await.remove(0);
        assert!(
            mail.starts_with("Verify") && !mail.contains("alice,"),
            "{mail}"
        );

        let body = json!({ "key": key(&mail) });
        assert_eq!(
            post(&app, "/auth/email/confirm/", &body).await.status,
            Status::Ok
        );
        for name in [address, "alice@BÜCHER.example"] {
            assert_eq!(
                app.try_login(name, PASSWORD, "laptop").await.status,
                Status::Ok
            );
        }
        let other = "ALICE@xn--bcher-kva.example";
        assert_eq!(
            app.try_login(other, PASSWORD, "x").await.status,
            Status::BadRequest
        );
        // A key works once.
        let again = post(&app, "/auth/email/confirm/", &body).await;
        assert_eq!(again.status, Status::BadRequest);
        assert!(again.text.contains("\"key\""), "{}", again.text);
    });
}

#[test]
fn the_first_user_to_verify_an_address_gets_it_and_others_learn_nothing() {
    on_both_with(open_sign_up(), async |app| {
        let sign_up = async |name: &str| {
            let body =
                json!({ "username": name, "password": PASSWORD, "email": "alice@example.com" });
            post(&app, "/auth/sign-up/", &body).await
        };
        let squatter = sign_up("squatter").await;
        let mail = mails(&app, "alice@example.com", 1).await.remove(0);
        sign_up_and_verify(&app, "alice", &mail).await;
        // The squatter's key is for an address that another user has verified.
        let late = post(&app, "/auth/email/confirm/", &json!({ "key": key(&mail) })).await;
        assert_eq!(late.status, Status::BadRequest);
        let later = sign_up("later").await;
        assert_eq!(later.status, squatter.status);
        let texts = mails(&app, "alice@example.com", 3).await;
        assert!(texts[0].starts_with("Your email address"), "{texts:#?}");
        assert!(!texts[0].contains("key="));
    });
}

/// Signs up a user with the address of the `earlier` mail and verifies it first.
async fn sign_up_and_verify(app: &App, name: &str, earlier: &str) {
    let body = json!({ "username": name, "password": PASSWORD, "email": "alice@example.com" });
    assert_eq!(
        post(app, "/auth/sign-up/", &body).await.status,
        Status::Created
    );
    let texts = mails(app, "alice@example.com", 2).await;
    let own = texts.iter().find(|text| *text != earlier).unwrap();
    let body = json!({ "key": key(own) });
    assert_eq!(
        post(app, "/auth/email/confirm/", &body).await.status,
        Status::Ok
    );
}

#[test]
fn a_password_reset_by_mail_revokes_every_token_and_its_key_works_once() {
    on_both_with(open_sign_up(), async |app| {
        sign_up_alice(&app).await;
        let token = app.login("alice", "laptop").await;
        let known = post(
            &app,
            "/auth/reset/",
            &json!({ "email": "alice@example.com" }),
        )
        .await;
        let unknown = post(
            &app,
            "/auth/reset/",
            &json!({ "email": "nobody@example.com" }),
        )
        .await;
        assert_eq!(
            (known.status, &known.text),
            (Status::Accepted, &unknown.text)
        );
        assert_eq!(unknown.status, Status::Accepted);
        let mail = mails(&app, "alice@example.com", 2).await.remove(0);
        let key = key(&mail);
        for (key, new, field) in [
            ("nonsense", NEW_PASSWORD, "key"),
            (&key[..63], NEW_PASSWORD, "key"),
            (&key, "password", "new_password"),
        ] {
            let body = json!({ "key": key, "new_password": new });
            let refused = post(&app, "/auth/reset/confirm/", &body).await;
            assert_eq!(refused.status, Status::BadRequest);
            assert!(refused.json()[field].is_array(), "{}", refused.text);
        }
        // A key is valid for one purpose.
        let body = json!({ "key": key });
        assert_eq!(
            post(&app, "/auth/email/confirm/", &body).await.status,
            Status::BadRequest
        );
        assert!(app.works(&token).await);
        let body = json!({ "key": key, "new_password": NEW_PASSWORD });
        assert_eq!(
            post(&app, "/auth/reset/confirm/", &body).await.status,
            Status::Ok
        );
        assert!(!app.works(&token).await);
        assert_eq!(
            app.try_login("alice", PASSWORD, "x").await.status,
            Status::BadRequest
        );
        assert_eq!(
            app.try_login("alice", NEW_PASSWORD, "x").await.status,
            Status::Ok
        );
        assert_eq!(
            post(&app, "/auth/reset/confirm/", &body).await.status,
            Status::BadRequest
        );
        let notice = mails(&app, "alice@example.com", 3).await.remove(0);
        assert!(
            notice.contains("password of your account was changed"),
            "{notice}"
        );
        // A sent mail's row is deleted.
        while app.number("SELECT COUNT(*) FROM outbox").await > 0 {
            rocket::tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn an_address_gets_at_most_three_mails_an_hour() {
    on_both_with(open_sign_up(), async |app| {
        sign_up_alice(&app).await;
        for _ in 0..6 {
            let reset = post(
                &app,
                "/auth/reset/",
                &json!({ "email": "alice@example.com" }),
            )
            .await;
            assert_eq!(reset.status, Status::Accepted);
        }
        // The first of the three was the verification.
        mails(&app, "alice@example.com", 3).await;
        rocket::tokio::time::sleep(Duration::from_secs(2)).await;
        mails(&app, "alice@example.com", 3).await;
    });
}

#[test]
fn all_spellings_of_an_address_share_one_limit() {
    on_both_with(open_sign_up(), async |app| {
        for (n, address) in ["a@example.com", "A@example.com", "a@EXAMPLE.com"]
            .iter()
            .cycle()
            .take(6)
            .enumerate()
        {
            let name = format!("user{n}");
            let body = json!({ "username": name, "password": PASSWORD, "email": address });
            let response = post(&app, "/auth/sign-up/", &body).await;
            assert_eq!(response.status, Status::Created);
        }
        rocket::tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(app.auth().outbox.in_memory().unwrap().len(), 3);
    });
}

#[test]
fn an_expired_mail_is_recorded_and_not_sent() {
    let settings = json!({ "sign_up": "open", "metrics": true });
    on_both_with(settings, async |app| {
        sign_up_alice(&app).await;
        app.execute(
            "INSERT INTO outbox (id, purpose, user_id, address, facts, tries, due_at, ends_at)
             SELECT '01900000-0000-7000-8000-000000000001', 'password-changed', id, 'alice@example.com', '{}', 0, 0, 1 FROM users",
        )
        .await;
        let sql = "SELECT action || ' ' || reason || ' ' || subject_name FROM events
            WHERE action = 'mail.failed'";
        let start = Instant::now();
        while app.texts(sql).await.is_empty() {
            assert!(start.elapsed() < Duration::from_secs(10));
            rocket::tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(app.texts(sql).await, ["mail.failed password-changed alice"]);
        assert_eq!(app.number("SELECT COUNT(*) FROM outbox").await, 0);
        mails(&app, "alice@example.com", 1).await;
        let metrics = app.send(Method::Get, "/metrics", &[], "").await.text;
        for outcome in ["sent", "given_up"] {
            let line = format!("multitoken_mails_total{{outcome=\"{outcome}\"}} 1\n");
            assert!(metrics.contains(&line), "{metrics}");
        }
    });
}

#[test]
fn changing_the_password_invalidates_links_sent_before() {
    on_both_with(open_sign_up(), async |app| {
        sign_up_alice(&app).await;
        post(
            &app,
            "/auth/reset/",
            &json!({ "email": "alice@example.com" }),
        )
        .await;
        let mail = mails(&app, "alice@example.com", 2).await.remove(0);
        let token = app.login("alice", "laptop").await;
        let body = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
        assert_eq!(
            app.post("/auth/password/", &token, body).await.status,
            Status::Ok
        );
        let body = json!({ "key": key(&mail), "new_password": PASSWORD });
        assert_eq!(
            post(&app, "/auth/reset/confirm/", &body).await.status,
            Status::BadRequest
        );
    });
}

#[test]
fn changing_the_address_requires_a_link_and_notifies_the_old_address() {
    on_both_with(open_sign_up(), async |app| {
        sign_up_alice(&app).await;
        let token = app.login("alice", "laptop").await;
        let wrong = json!({ "email": "new@example.com", "current_password": "nope" });
        assert_eq!(
            app.post("/auth/email/", &token, wrong).await.status,
            Status::BadRequest
        );
        let body = json!({ "email": "new@example.com", "current_password": PASSWORD });
        assert_eq!(
            app.post("/auth/email/", &token, body).await.status,
            Status::Accepted
        );
        let notice = mails(&app, "alice@example.com", 2).await.remove(0);
        assert!(
            notice.contains("of your account to new@example.com"),
            "{notice}"
        );
        assert_eq!(
            app.try_login("alice@example.com", PASSWORD, "x")
                .await
                .status,
            Status::Ok
        );
        let mail = mails(&app, "new@example.com", 1).await.remove(0);
        let body = json!({ "key": key(&mail) });
        assert_eq!(
            post(&app, "/auth/email/confirm/", &body).await.status,
            Status::Ok
        );
        let refused = app.try_login("alice@example.com", PASSWORD, "x").await;
        assert_eq!(refused.status, Status::BadRequest);
        assert_eq!(
            app.try_login("new@example.com", PASSWORD, "x").await.status,
            Status::Ok
        );
        let notice = mails(&app, "alice@example.com", 3).await.remove(0);
        assert!(
            notice.contains("was changed to new@example.com"),
            "{notice}"
        );
    });
}

#[test]
fn sign_up_is_closed_unless_settings_or_an_invitation_allow_it() {
    let body = json!({ "username": "alice", "password": PASSWORD });
    on_both(async |app| {
        let refused = post(&app, "/auth/sign-up/", &body).await;
        assert_eq!(refused.status, Status::Forbidden);
        assert_eq!(app.number("SELECT COUNT(*) FROM users").await, 0);
    });
    on_both_with(json!({ "sign_up": "invite" }), async |app| {
        assert_eq!(
            post(&app, "/auth/sign-up/", &body).await.status,
            Status::Forbidden
        );
        let mut link = String::new();
        let take = |url: &str| {
            link = url.to_owned();
            Ok(())
        };
        let actor = Actor::command_line();
        app.auth()
            .links
            .invite_to_sign_up(None, &actor, take)
            .await
            .unwrap();
        let (_, key) = link.split_once("invite=").unwrap();
        let mut invited = body.clone();
        invited["invite"] = "nonsense".into();
        assert_eq!(
            post(&app, "/auth/sign-up/", &invited).await.status,
            Status::BadRequest
        );
        invited["invite"] = key.into();
        assert_eq!(
            post(&app, "/auth/sign-up/", &invited).await.status,
            Status::Created
        );
        invited["username"] = "bob".into();
        assert_eq!(
            post(&app, "/auth/sign-up/", &invited).await.status,
            Status::BadRequest
        );
        assert_eq!(app.number("SELECT COUNT(*) FROM users").await, 1);
        assert_eq!(app.texts("SELECT role FROM users").await, ["user"]);
    });
}

#[test]
fn an_invited_user_sets_a_password_and_cannot_sign_in_before() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let mut link = String::new();
        let take = |url: &str| {
            link = url.to_owned();
            Ok(())
        };
        let (name, actor) = (Username::parse("alice").unwrap(), Actor::command_line());
        let links = &app.auth().links;
        links
            .invite(&name, Role::User, None, &actor, take)
            .await
            .unwrap();
        for guess in ["", PASSWORD] {
            assert_eq!(
                app.try_login("alice", guess, "x").await.status,
                Status::BadRequest
            );
        }
        let body = json!({ "key": key(&link), "new_password": NEW_PASSWORD });
        assert_eq!(
            post(&app, "/auth/reset/confirm/", &body).await.status,
            Status::Ok
        );
        assert_eq!(
            app.try_login("alice", NEW_PASSWORD, "x").await.status,
            Status::Ok
        );
    });
}

#[test]
fn users_can_delete_their_account_but_the_last_admin_cannot() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        app.user("alice", Role::User).await;
        for (name, status) in [("root", Status::Conflict), ("alice", Status::NoContent)] {
            let bearer = format!("Bearer {}", app.login(name, "laptop").await);
            let headers = [
                ("Authorization", bearer.as_str()),
                ("Content-Type", "application/json"),
            ];
            let wrong = json!({ "current_password": "nope" }).to_string();
            let refused = app.send(Method::Delete, "/auth/me/", &headers, wrong).await;
            assert_eq!(refused.status, Status::BadRequest);
            let right = json!({ "current_password": PASSWORD }).to_string();
            let done = app.send(Method::Delete, "/auth/me/", &headers, right).await;
            assert_eq!(done.status, status, "{}", done.text);
        }
        assert_eq!(app.texts("SELECT username FROM users").await, ["root"]);
    });
}

//! One-time links and requested mails: who can use up whose limits, what a response reveals, and what a key is good
//! for.

use std::collections::BTreeSet;

use rocket::futures::future::join;
use rocket::http::{Method, Status};
use rocket_multitoken::identity::Username;
use rocket_multitoken::identity::email::EmailAddress;
use rocket_multitoken::models::event::Actor;
use rocket_multitoken::models::user::Role;
use serde_json::{Value, json};

use crate::mail::{NEW_PASSWORD, key, mails, open_sign_up, post, sign_up_alice};
use crate::support::app::Response;
use crate::support::{App, PASSWORD, on_both, on_both_with};

const ALICE_EMAIL: &str = "alice@example.com";

async fn sign_up(app: &App, name: &str, email: &str) -> Response {
    let body = json!({ "username": name, "password": PASSWORD, "email": email });
    post(app, "/auth/sign-up/", &body).await
}

async fn request_reset(app: &App, email: &str) -> Response {
    let response = post(app, "/auth/reset/", &json!({ "email": email })).await;
    assert_eq!(response.status, Status::Accepted, "{}", response.text);
    response
}

async fn set_password(app: &App, key: &str) -> Response {
    let body = json!({ "key": key, "new_password": NEW_PASSWORD });
    post(app, "/auth/reset/confirm/", &body).await
}

async fn verify(app: &App, key: &str) -> Response {
    post(app, "/auth/email/confirm/", &json!({ "key": key })).await
}

/// Waits until the outbox is empty: every mail was sent or dropped because of a limit.
async fn wait_for_delivery(app: &App) {
    while app.number("SELECT COUNT(*) FROM outbox").await > 0 {
        rocket::tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// The number of mails to `address` whose subject contains `subject`.
async fn count_mails(app: &App, address: &str, subject: &str) -> usize {
    wait_for_delivery(app).await;
    let kept = app.auth().outbox.in_memory().unwrap();
    let of_it = kept.iter().filter(|mail| mail.to == address);
    of_it.filter(|mail| mail.subject.contains(subject)).count()
}

/// Creates an invitation as on the command line and returns its key.
async fn invitation(app: &App, name: Option<&str>) -> String {
    let (mut link, actor) = (String::new(), Actor::command_line());
    let take = |url: &str| {
        url.clone_into(&mut link);
        Ok(())
    };
    let links = &app.auth().links;
    match name.map(|name| Username::parse(name).unwrap()) {
        Some(name) => links
            .invite(&name, Role::User, None, &actor, take)
            .await
            .map(drop),
        None => links.invite_to_sign_up(None, &actor, take).await,
    }
    .unwrap();
    link.split_once('=').unwrap().1.to_owned()
}

#[test]
fn a_username_cannot_stop_the_owner_of_an_email_address_from_signing_in() {
    on_both_with(open_sign_up(), async |app| {
        sign_up_alice(&app).await;
        let existing = [
            "alice@example.com",
            "ALICE@Example.com",
            "alice\u{ff20}example.com",
        ];
        for name in existing.into_iter().chain(["free@example.com", "a@b"]) {
            let refused = sign_up(&app, name, "mallory@example.com").await;
            assert_eq!(refused.status, Status::BadRequest, "{name}");
            let why = "Enter a username that is not an email address.";
            assert_eq!(
                refused.json()["username"],
                json!([why]),
                "the same whether or not it exists"
            );
        }
        assert_eq!(
            sign_up(&app, "alice at home", "a@example.com").await.status,
            Status::Created
        );
        let alices_token = app.login(ALICE_EMAIL, "laptop").await;
        let me = app.get("/auth/me/", &alices_token).await.json();
        assert_eq!(me["username"], "alice");
        // An admin may assign such a username. The username wins at login.
        app.user(ALICE_EMAIL, Role::User).await;
        let others_token = app.login(ALICE_EMAIL, "laptop").await;
        let me = app.get("/auth/me/", &others_token).await.json();
        assert_eq!(me["username"], ALICE_EMAIL);
    });
}

#[test]
fn other_clients_cannot_use_up_a_users_mail_limit() {
    on_both_with(open_sign_up(), async |app| {
        sign_up_alice(&app).await;
        for name in ["m1", "m2", "m3", "m4"] {
            assert_eq!(
                sign_up(&app, name, ALICE_EMAIL).await.status,
                Status::Created
            );
        }
        assert_eq!(
            count_mails(&app, ALICE_EMAIL, "Your email address").await,
            1,
            "one notice that it is taken"
        );
        request_reset(&app, ALICE_EMAIL).await;
        assert_eq!(count_mails(&app, ALICE_EMAIL, "password").await, 1);
        // The limit of an address that nobody has verified is not used up either.
        for _ in 0..5 {
            request_reset(&app, "new@example.com").await;
        }
        wait_for_delivery(&app).await;
        // Reset requests for alice's address do not block a change of that address.
        for _ in 0..5 {
            request_reset(&app, ALICE_EMAIL).await;
        }
        wait_for_delivery(&app).await;
        let token = app.login("alice", "laptop").await;
        let change = async |email: &str| {
            let body = json!({ "email": email, "current_password": PASSWORD });
            let response = app.post("/auth/email/", &token, body).await;
            assert_eq!(response.status, Status::Accepted, "{}", response.text);
            wait_for_delivery(&app).await;
        };
        change("new@example.com").await;
        assert_eq!(count_mails(&app, "new@example.com", "Verify").await, 1);
        // An account's changes of address are limited, too.
        for other in [
            "b@example.com",
            "c@example.com",
            "d@example.com",
            "e@example.com",
        ] {
            change(other).await;
        }
        // The first counted mail was the one of her sign-up.
        assert_eq!(count_mails(&app, "b@example.com", "Verify").await, 1);
        assert_eq!(count_mails(&app, "c@example.com", "").await, 0);
        assert_eq!(count_mails(&app, "e@example.com", "").await, 0);
    });
}

#[test]
fn mail_requests_are_limited_per_client_address_across_endpoints() {
    let settings = json!({ "sign_up": "open", "login_failures_per_address": 2 });
    on_both_with(settings, async |app| {
        app.user("root", Role::Admin).await;
        let token = app.login("root", "laptop").await;
        request_reset(&app, "a@example.com").await;
        assert_eq!(
            sign_up(&app, "alice", ALICE_EMAIL).await.status,
            Status::Created
        );
        let change = json!({ "email": "root@example.com", "current_password": PASSWORD });
        for refused in [
            post(&app, "/auth/reset/", &json!({ "email": ALICE_EMAIL })).await,
            post(&app, "/auth/reset/", &json!({ "email": "b@example.com" })).await,
            sign_up(&app, "bob", "b@example.com").await,
            app.post("/auth/email/", &token, change).await,
            app.submit("/account/forgot", "", &[("email", ALICE_EMAIL)])
                .await,
        ] {
            assert_eq!(refused.status, Status::TooManyRequests, "{}", refused.text);
            assert!(refused.header("Retry-After").is_some());
        }
        assert_eq!(
            app.texts("SELECT username FROM users ORDER BY id").await,
            ["root", "alice"]
        );
    });
}

#[test]
fn responses_do_not_reveal_whether_an_email_address_has_an_account() {
    on_both_with(open_sign_up(), async |app| {
        sign_up_alice(&app).await;
        let token = {
            app.user("bob", Role::User).await;
            app.login("bob", "laptop").await
        };
        let assert_same = |responses: Vec<Response>| {
            let comparable = |response: &Response| {
                let own = |name: &str| name == "x-request-id";
                let headers = response.headers.iter().filter(|(name, _)| !own(name));
                let mut body: Value = serde_json::from_str(&response.text).unwrap_or_default();
                for name in ["id", "request_id", "username", "email"] {
                    body.as_object_mut().map(|body| body.remove(name));
                }
                format!(
                    "{} {body} {:?}",
                    response.status,
                    headers.collect::<BTreeSet<_>>()
                )
            };
            let different: BTreeSet<_> = responses.iter().map(comparable).collect();
            assert_eq!(different.len(), 1, "{different:#?}");
        };
        let free = "alicf@example.com";
        assert_same(vec![
            request_reset(&app, ALICE_EMAIL).await,
            request_reset(&app, free).await,
        ]);
        assert_same(vec![
            sign_up(&app, "carol", ALICE_EMAIL).await,
            sign_up(&app, "clara", free).await,
        ]);
        let change = async |email| {
            let body = json!({ "email": email, "current_password": PASSWORD });
            app.post("/auth/email/", &token, body).await
        };
        assert_same(vec![change(ALICE_EMAIL).await, change(free).await]);
        // An invited user, a user with an unverified address, and no user.
        invitation(&app, Some("invited")).await;
        let mut refused = vec![];
        for name in ["invited", free, "nobody", "nobody@example.com", ALICE_EMAIL] {
            refused.push(app.try_login(name, "wrong password", "x").await);
        }
        assert_same(refused);
    });
}

#[test]
fn invalid_keys_get_the_same_response_and_change_nothing() {
    let settings = json!({ "sign_up": "invite" });
    on_both_with(settings, async |app| {
        let (invite, sign_up) = (
            invitation(&app, Some("alice")).await,
            invitation(&app, None).await,
        );
        let used = invitation(&app, Some("carol")).await;
        assert_eq!(set_password(&app, &used).await.status, Status::Ok);
        let old = invitation(&app, Some("dave")).await;
        app.execute("UPDATE links SET ends_at = 1 WHERE user_id IN (SELECT id FROM users WHERE username = 'dave')").await;
        let disabled = invitation(&app, Some("erin")).await;
        app.execute("UPDATE users SET disabled_at = 1 WHERE username = 'erin'")
            .await;

        let rows = async || app.rows_except(&["attempts", "readiness", "endings"]).await;
        let before = rows().await;
        let (short, long) = (&invite[..invite.len() - 1], format!("{invite}x"));
        let (upper, huge) = (invite.to_uppercase(), "k".repeat(6000));
        let wrong = [
            used.as_str(),
            &old,
            &disabled,
            short,
            &long,
            &upper,
            &huge,
            "'",
            "\u{0}",
            "%00",
            "é",
        ];
        let mut responses = BTreeSet::new();
        for key in wrong.into_iter().chain([sign_up.as_str()]) {
            let pair = [set_password(&app, key).await, verify(&app, key).await];
            for response in pair {
                let mut body = response.json();
                body.as_object_mut().unwrap().remove("request_id");
                assert!(body["key"].is_array(), "{key}: {body}");
                responses.insert(format!("{} {body}", response.status));
            }
        }
        responses.insert({
            let mut body = verify(&app, &invite).await.json();
            body.as_object_mut().unwrap().remove("request_id");
            format!("400 Bad Request {body}")
        });
        assert_eq!(responses.len(), 1, "{responses:#?}");
        for key in wrong.into_iter().chain([invite.as_str()]) {
            let body = json!({ "username": "mallory", "password": PASSWORD, "invite": key });
            let response = post(&app, "/auth/sign-up/", &body).await;
            assert_eq!(response.status, Status::BadRequest, "{key}");
            assert!(response.json()["invite"].is_array(), "{}", response.text);
        }
        for (body, field) in [
            (json!({}), "key"),
            (json!({ "key": "", "new_password": NEW_PASSWORD }), "key"),
            (json!({ "key": 5, "new_password": NEW_PASSWORD }), "key"),
            (
                json!({ "key": [invite], "new_password": NEW_PASSWORD }),
                "key",
            ),
            (
                json!({ "key": invite, "new_password": [NEW_PASSWORD] }),
                "new_password",
            ),
            (json!({ "key": invite, "new_password": "" }), "new_password"),
        ] {
            let response = post(&app, "/auth/reset/confirm/", &body).await;
            assert_eq!(response.status, Status::BadRequest, "{body}");
            assert!(response.json()[field].is_array(), "{}", response.text);
        }
        assert_same_page(
            &app,
            &[&used, &old, short, "'", "%00", ""],
            &invite,
            &sign_up,
        )
        .await;
        assert_eq!(rows().await, before);
        assert_eq!(
            set_password(&app, &invite).await.status,
            Status::Ok,
            "the key is still valid"
        );
    });
}

async fn assert_same_page(app: &App, wrong: &[&str], invite: &str, sign_up: &str) {
    let mut pages = BTreeSet::new();
    let mut check = |path: &str, response: &Response| {
        assert_eq!(response.status, Status::BadRequest, "{path}");
        assert_eq!(
            response.header("Referrer-Policy"),
            Some("strict-origin"),
            "{path}"
        );
        assert_eq!(response.header("Cache-Control"), Some("no-store"), "{path}");
        pages.insert(response.text.clone());
    };
    let pairs = wrong.iter().flat_map(|key| {
        ["set-password?key", "verify?key", "sign-up?invite"].map(|page| (page, *key))
    });
    let misapplied = [
        ("set-password?key", sign_up),
        ("verify?key", invite),
        ("sign-up?invite", invite),
    ];
    for (page, key) in pairs.chain(misapplied) {
        let path = format!("/account/{page}={key}");
        check(&path, &app.page(&path, "").await);
        let fields = [
            ("new_password", NEW_PASSWORD),
            ("username", "mallory"),
            ("password", PASSWORD),
            ("invite", key),
        ];
        if !(page.starts_with("sign-up") && key.is_empty()) {
            check(&path, &app.submit(&path, "", &fields).await);
        }
    }
    assert_eq!(pages.len(), 1, "{pages:#?}");
}

#[test]
fn of_two_requests_with_the_same_key_only_one_succeeds() {
    on_both_with(open_sign_up(), async |app| {
        for round in 0..8 {
            let name = format!("user {round}");
            let invite = invitation(&app, Some(&name)).await;
            let (one, other) = join(set_password(&app, &invite), set_password(&app, &invite)).await;
            let both = BTreeSet::from([one.status.code, other.status.code]);
            assert_eq!(
                both,
                BTreeSet::from([200, 400]),
                "{} {}",
                one.text,
                other.text
            );

            let invite = invitation(&app, None).await;
            let names = [format!("a{round}"), format!("b{round}")];
            let bodies = names
                .map(|name| json!({ "username": name, "password": PASSWORD, "invite": invite }));
            let requests = bodies
                .each_ref()
                .map(|body| post(&app, "/auth/sign-up/", body));
            let [one, other] = requests;
            let (one, other) = join(one, other).await;
            let both = BTreeSet::from([one.status.code, other.status.code]);
            assert_eq!(
                both,
                BTreeSet::from([201, 400]),
                "{} {}",
                one.text,
                other.text
            );
        }
        let invited = "SELECT COUNT(*) FROM users WHERE username LIKE 'a%' OR username LIKE 'b%'";
        assert_eq!(app.number(invited).await, 8);
    });
}

#[test]
fn of_two_users_verifying_the_same_address_only_one_gets_it() {
    on_both_with(open_sign_up(), async |app| {
        for round in 0..6 {
            let address = format!("user{round}@example.com");
            for name in ["a", "b"] {
                let created = sign_up(&app, &format!("{name}{round}"), &address).await;
                assert_eq!(created.status, Status::Created, "{}", created.text);
            }
            let texts = mails(&app, &address, 2).await;
            let (one, other) = (key(&texts[0]), key(&texts[1]));
            let (one, other) = join(verify(&app, &one), verify(&app, &other)).await;
            let both = BTreeSet::from([one.status.code, other.status.code]);
            assert_eq!(
                both,
                BTreeSet::from([200, 400]),
                "{} {}",
                one.text,
                other.text
            );
        }
        let verified = "SELECT COUNT(*) FROM users WHERE email_key IS NOT NULL";
        assert_eq!(app.number(verified).await, 6);
        let events = "SELECT COUNT(*) FROM events WHERE action = 'email.verified'";
        assert_eq!(app.number(events).await, 6);
    });
}

#[test]
fn changing_the_password_cancels_links_that_are_not_yet_mailed() {
    on_both_with(open_sign_up(), async |app| {
        sign_up_alice(&app).await;
        wait_for_delivery(&app).await;
        // A pending mail, as after a thief used her session while the outbox was long.
        app.execute(
            "INSERT INTO outbox (id, purpose, user_id, address, facts, due_at, ends_at)
             SELECT id, 'verify', id, 'thief@example.com', '{\"email\":\"thief@example.com\"}', 99999999999, 99999999999
             FROM users",
        )
        .await;
        request_reset(&app, ALICE_EMAIL).await;
        let mail = mails(&app, ALICE_EMAIL, 2).await.remove(0);
        assert_eq!(set_password(&app, &key(&mail)).await.status, Status::Ok);
        app.execute("UPDATE outbox SET due_at = 1").await;
        assert_eq!(count_mails(&app, "thief@example.com", "").await, 0);
    });
}

#[test]
fn links_use_the_configured_origin_and_never_the_host_header() {
    let settings = json!({ "sign_up": "open", "public_url": "https://app.example.com" });
    on_both_with(settings, async |app| {
        let body =
            json!({ "username": "alice", "password": PASSWORD, "email": ALICE_EMAIL }).to_string();
        let headers = [
            ("Content-Type", "application/json"),
            ("Host", "evil.example"),
            ("X-Forwarded-Host", "evil.example"),
            // A token that is invalid, for example expired.
            ("Authorization", "Bearer nonsense"),
        ];
        let created = app
            .send(Method::Post, "/auth/sign-up/", &headers, body)
            .await;
        assert_eq!(created.status, Status::Created, "{}", created.text);
        let mail = mails(&app, ALICE_EMAIL, 1).await.remove(0);
        assert!(
            mail.contains("https://app.example.com/account/verify?key="),
            "{mail}"
        );
        assert!(!mail.contains("evil"), "{mail}");
    });
}

#[test]
fn pages_of_other_origins_cannot_send_mail_or_use_a_key() {
    let settings = json!({ "sign_up": "open", "cors_origins": ["https://friend.example"] });
    on_both_with(settings, async |app| {
        let invite = invitation(&app, Some("alice")).await;
        let (reset, confirm) = (
            json!({ "email": ALICE_EMAIL }),
            json!({ "key": invite, "new_password": NEW_PASSWORD }),
        );
        let new = json!({ "username": "bob", "password": PASSWORD });
        let requests = [
            ("/auth/reset/", reset),
            ("/auth/sign-up/", new),
            ("/auth/email/confirm/", json!({ "key": "x" })),
            ("/auth/reset/confirm/", confirm),
        ];
        let send = async |path: &str, body: &Value, headers: &[(&str, &str)]| {
            let mut all = vec![("Content-Type", "application/json")];
            all.extend(headers);
            app.send(Method::Post, path, &all, body.to_string())
                .await
                .status
        };
        for (path, body) in &requests {
            for foreign in [
                &[("Origin", "https://evil.example")][..],
                &[
                    ("Sec-Fetch-Site", "cross-site"),
                    ("Origin", "https://evil.example"),
                ],
                &[
                    ("Sec-Fetch-Site", "same-site"),
                    ("Origin", "https://evil.example"),
                ],
                &[("Origin", "null")],
            ] {
                assert_eq!(
                    send(path, body, foreign).await,
                    Status::Forbidden,
                    "{path} {foreign:?}"
                );
            }
        }
        assert_eq!(app.number("SELECT COUNT(*) FROM users").await, 1);
        assert_eq!(app.number("SELECT COUNT(*) FROM links").await, 1);
        for (path, body) in &requests {
            let friend = [
                ("Sec-Fetch-Site", "cross-site"),
                ("Origin", "https://friend.example"),
            ];
            assert_ne!(send(path, body, &friend).await, Status::Forbidden, "{path}");
        }
        assert_eq!(app.number("SELECT COUNT(*) FROM links").await, 0);
    });
}

#[test]
fn admins_find_users_by_email_address_in_any_spelling_of_the_domain() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let id = app.user("bücher@example", Role::User).await;
        let email = EmailAddress::parse("Bob@Bücher.example").unwrap();
        app.execute(format!(
            "UPDATE users SET email = '{}', email_key = '{}', email_verified_at = 1 WHERE id = '{id}'",
            email.as_str(),
            email.key()
        ))
        .await;
        for typed in [
            "Bob@Bücher.example",
            " Bob@BÜCHER.example ",
            "Bob@xn--bcher-kva.example",
        ] {
            let found = app.submit("/admin/find", &cookie, &[("q", typed)]).await;
            let to = format!("/admin/users/{id}");
            assert_eq!(found.header("Location"), Some(to.as_str()), "{typed}");
        }
        let other = app
            .submit(
                "/admin/find",
                &cookie,
                &[("q", "bob@xn--bcher-kva.example")],
            )
            .await;
        assert_eq!(other.status, Status::NotFound);
    });
}

#[test]
fn an_invited_admin_without_a_password_does_not_count_as_an_active_one() {
    on_both(async |app| {
        let root = app.user("root", Role::Admin).await;
        let (name, actor) = (Username::parse("boss").unwrap(), Actor::command_line());
        let links = &app.auth().links;
        let boss = links
            .invite(&name, Role::Admin, None, &actor, |_| Ok(()))
            .await
            .unwrap();
        let accounts = &app.auth().accounts;
        assert!(accounts.delete_user(root, &actor).await.is_err());
        assert!(accounts.disable(root, &actor).await.is_err());
        assert!(accounts.demote(root, &actor).await.is_err());
        // The invited admin can be deleted, because root is left.
        accounts.disable(boss, &actor).await.unwrap();
        accounts.enable(boss, &actor).await.unwrap();
        accounts.delete_user(boss, &actor).await.unwrap();
        assert_eq!(app.texts("SELECT username FROM users").await, ["root"]);
    });
}

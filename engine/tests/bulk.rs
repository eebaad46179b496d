//! Bulk actions: revoking selected tokens or all that match, disabling several users. Each asks for confirmation.

use std::time::Duration;

use rocket::http::{Method, Status};
use rocket::tokio::spawn;
use rocket::tokio::time::sleep;
use rocket_multitoken::identity::UserId;
use rocket_multitoken::models::event::Actor;
use rocket_multitoken::models::now;
use rocket_multitoken::models::token::TokenKind;
use rocket_multitoken::models::token::list::TokenFilter;
use rocket_multitoken::models::user::{self, Role};

use crate::support::app::Response;
use crate::support::{App, PASSWORD, on_both};

const REVOKE_PATH: &str = "/admin/tokens/revoke";

/// Creates root, alice with laptop, phone and tablet, and bob with laptop. Returns root's cookie and the tokens.
async fn create_users(app: &App) -> (String, [String; 4]) {
    app.user("root", Role::Admin).await;
    app.user("alice", Role::User).await;
    app.user("bob", Role::User).await;
    let tokens = [
        app.login("alice", "laptop").await,
        app.login("alice", "phone").await,
        app.login("alice", "tablet").await,
        app.login("bob", "laptop").await,
    ];
    (app.admin_login("root").await, tokens)
}

async fn working(app: &App, tokens: &[String]) -> Vec<bool> {
    let mut working = vec![];
    for token in tokens {
        working.push(app.works(token).await);
    }
    working
}

async fn ids(app: &App, sql: &'static str) -> Vec<String> {
    app.texts(sql).await
}

fn selection<'a>(ids: &'a [String], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let ids = ids.iter().map(|id| ("id", id.as_str()));
    ids.chain(more.iter().copied()).collect()
}

/// The message on the page that the action redirects to.
async fn flash(app: &App, cookie: &str, done: &Response) -> String {
    assert_eq!(done.status, Status::SeeOther, "{}", done.text);
    let to = done.header("Location").unwrap();
    let page = app
        .page(to, &format!("{cookie}; {}", done.cookie()))
        .await
        .text;
    let status = page.split("role=\"status\">").nth(1).unwrap();
    status
        .split("</p>")
        .next()
        .unwrap()
        .split('>')
        .next_back()
        .unwrap()
        .to_owned()
}

const ALICES_TOKENS: &str = "SELECT t.id FROM tokens t JOIN users u ON u.id = t.user_id
                        WHERE u.username = 'alice' ORDER BY t.client";

#[test]
fn following_a_link_asks_for_confirmation_and_revokes_nothing() {
    on_both(async |app| {
        let (cookie, tokens) = create_users(&app).await;
        let two = &ids(&app, ALICES_TOKENS).await[..2];
        for (query, what) in [
            (
                format!("id={}&id={}&id=x", two[0], two[1]),
                "Revoke 2 tokens?",
            ),
            (format!("id={}&confirm=yes", two[0]), "Revoke 1 token?"),
            ("all=1&user=alice&client=phone".into(), "Revoke 1 token?"),
            ("all=1&typed=revoke&confirm=yes".into(), "Revoke 4 tokens?"),
        ] {
            let question = app.page(&format!("{REVOKE_PATH}?{query}"), &cookie).await;
            assert_eq!(question.status, Status::Ok, "{query}");
            assert!(question.text.contains(what), "{query}: {}", question.text);
        }
        for query in ["", "?id=x", "?user=alice", "?all=1&status=nonsense"] {
            let refused = app.page(&format!("{REVOKE_PATH}{query}"), &cookie).await;
            assert_eq!(refused.status, Status::SeeOther, "{query}");
            assert_eq!(refused.header("Location"), Some("/admin/tokens"), "{query}");
        }
        assert_eq!(working(&app, &tokens).await, [true; 4]);
    });
}

#[test]
fn the_confirmation_lists_the_selected_tokens_and_no_others_are_revoked() {
    on_both(async |app| {
        let (cookie, tokens) = create_users(&app).await;
        let two = &ids(&app, ALICES_TOKENS).await[..2];
        let question = app.submit(REVOKE_PATH, &cookie, &selection(two, &[])).await;
        assert_eq!(question.status, Status::Ok);
        for text in [
            "Revoke 2 tokens?",
            "alice",
            "laptop",
            "phone",
            two[0].as_str(),
        ] {
            assert!(question.text.contains(text), "{text}: {}", question.text);
        }
        assert!(!question.text.contains("tablet") && !question.text.contains("name=\"typed\""));
        assert_eq!(
            working(&app, &tokens).await,
            [true; 4],
            "the question revokes nothing"
        );

        let yes = [("confirm", "yes"), ("next", "/admin/tokens?user=a")];
        let done = app
            .submit(REVOKE_PATH, &cookie, &selection(two, &yes))
            .await;
        assert_eq!(done.header("Location"), Some("/admin/tokens?user=a"));
        assert_eq!(flash(&app, &cookie, &done).await, "2 tokens revoked.");
        assert_eq!(working(&app, &tokens).await, [false, false, true, true]);
        let events = app
            .texts("SELECT actor_name || client || reason FROM events WHERE action = 'token.revoked' ORDER BY client")
            .await;
        assert_eq!(events, ["rootlaptoprevoked", "rootphonerevoked"]);

        // Repeating it and naming no token are harmless.
        let again = app
            .submit(REVOKE_PATH, &cookie, &selection(two, &yes))
            .await;
        assert_eq!(flash(&app, &cookie, &again).await, "No tokens revoked.");
        for fields in [vec![], vec![("id", "nonsense")], vec![("confirm", "yes")]] {
            let none = app.submit(REVOKE_PATH, &cookie, &fields).await;
            assert_eq!(
                flash(&app, &cookie, &none).await,
                "Select at least one token."
            );
        }
        assert_eq!(working(&app, &tokens).await, [false, false, true, true]);
    });
}

#[test]
fn revoking_all_matching_tokens_requires_a_typed_word_and_keeps_the_current_session() {
    on_both(async |app| {
        let (cookie, tokens) = create_users(&app).await;
        let other = app.admin_login("root").await;
        let laptops = [("all", "1"), ("client", "LAPTOP"), ("status", "live")];
        let question = app.submit(REVOKE_PATH, &cookie, &laptops).await;
        assert_eq!(question.status, Status::Ok);
        assert!(
            question.text.contains("Revoke 2 tokens?") && question.text.contains("name=\"typed\"")
        );
        assert!(
            question.text.contains("name=\"client\" value=\"LAPTOP\""),
            "{}",
            question.text
        );
        for typed in ["", "everything", "revoke all"] {
            let fields = [&laptops[..], &[("confirm", "yes"), ("typed", typed)]].concat();
            let refused = app.submit(REVOKE_PATH, &cookie, &fields).await;
            assert_eq!(refused.status, Status::BadRequest, "{typed}");
            assert!(refused.text.contains("to confirm"));
        }
        // The filters may be in the query or the body, and the body may be JSON.
        let json = [
            ("Cookie", cookie.as_str()),
            ("Sec-Fetch-Site", "same-origin"),
            ("Content-Type", "application/json"),
        ];
        let body = r#"{"all": "1", "client": "nobody's", "confirm": "yes", "typed": "revoke"}"#;
        let done = app.send(Method::Post, REVOKE_PATH, &json, body).await;
        assert_eq!(flash(&app, &cookie, &done).await, "No tokens revoked.");
        let everything = [("all", "1"), ("confirm", "yes"), ("typed", "revoke")];
        let path = format!("{REVOKE_PATH}?client=nobody");
        let done = app.submit(&path, &cookie, &everything).await;
        assert_eq!(flash(&app, &cookie, &done).await, "No tokens revoked.");
        for nonsense in [("unused", "soon"), ("status", "gone"), ("user", "\u{0}")] {
            let fields = [
                ("all", "1"),
                ("confirm", "yes"),
                ("typed", "revoke"),
                nonsense,
            ];
            let refused = app.submit(REVOKE_PATH, &cookie, &fields).await;
            let flash = flash(&app, &cookie, &refused).await;
            assert!(
                flash.contains("Nothing was revoked"),
                "{nonsense:?}: {flash}"
            );
        }
        // A value that is not a string, or a repeated one, must not widen the selection.
        for body in [
            r#"{"all": "1", "unused": 25, "confirm": "yes", "typed": "revoke"}"#,
            r#"{"all": "1", "client": ["laptop"], "confirm": "yes", "typed": "revoke"}"#,
        ] {
            let refused = app.send(Method::Post, REVOKE_PATH, &json, body).await;
            let flash = flash(&app, &cookie, &refused).await;
            assert!(flash.contains("Nothing was revoked"), "{body}: {flash}");
        }
        let twice = [&everything[..], &[("client", "laptop"), ("client", "")]].concat();
        for (path, fields) in [
            (REVOKE_PATH.to_owned(), &twice[..]),
            (format!("{REVOKE_PATH}?client=&client=laptop"), &everything),
            (
                format!("{REVOKE_PATH}?client=laptop&status=gone"),
                &[&everything[..], &[("client", "laptop")]].concat(),
            ),
            (
                format!("{REVOKE_PATH}?device=curl&older=latest"),
                &everything,
            ),
        ] {
            let refused = app.submit(&path, &cookie, fields).await;
            let flash = flash(&app, &cookie, &refused).await;
            assert!(flash.contains("Nothing was revoked"), "{path}: {flash}");
        }
        // Filters in both the query and the body are ambiguous.
        let live = [&everything[..], &[("status", "live")]].concat();
        let refused = app.submit(&path, &cookie, &live).await;
        let message = flash(&app, &cookie, &refused).await;
        assert!(message.contains("Nothing was revoked"), "{message}");
        assert_eq!(working(&app, &tokens).await, [true; 4]);
        let fields = [&laptops[..], &[("confirm", "yes"), ("typed", " Revoke ")]].concat();
        let done = app.submit(REVOKE_PATH, &cookie, &fields).await;
        assert_eq!(flash(&app, &cookie, &done).await, "2 tokens revoked.");
        assert_eq!(working(&app, &tokens).await, [false, true, true, false]);

        // Without a filter: everything but the current session.
        let all = [("all", "1"), ("confirm", "yes"), ("typed", "revoke")];
        let question = app.submit(REVOKE_PATH, &cookie, &all[..1]).await;
        assert!(question.text.contains("every token of every user"));
        assert!(question.text.contains("Your current session stays valid"));
        let done = app.submit(REVOKE_PATH, &cookie, &all).await;
        assert_eq!(flash(&app, &cookie, &done).await, "3 tokens revoked.");
        assert_eq!(working(&app, &tokens).await, [false; 4]);
        assert_eq!(app.page("/admin/", &cookie).await.status, Status::Ok);
        assert_eq!(app.page("/admin/", &other).await.status, Status::SeeOther);
        let again = app.submit(REVOKE_PATH, &cookie, &all[..1]).await;
        assert_eq!(
            flash(&app, &cookie, &again).await,
            "There are no tokens left to revoke."
        );
    });
}

#[test]
fn a_misspelled_filter_revokes_nothing() {
    on_both(async |app| {
        let (cookie, tokens) = create_users(&app).await;
        let everything = [("all", "1"), ("confirm", "yes"), ("typed", "revoke")];
        let misspelled = [&everything[..], &[("clinet", "phone")]].concat();
        for (path, fields) in [
            (REVOKE_PATH, &misspelled[..]),
            (&format!("{REVOKE_PATH}?clinet=phone"), &everything),
        ] {
            let refused = app.submit(path, &cookie, fields).await;
            let message = flash(&app, &cookie, &refused).await;
            assert!(message.contains("Nothing was revoked"), "{path}: {message}");
        }
        let link = format!("{REVOKE_PATH}?all=1&clinet=phone");
        assert_eq!(app.page(&link, &cookie).await.status, Status::SeeOther);
        assert_eq!(working(&app, &tokens).await, [true; 4]);
    });
}

#[test]
fn the_current_session_is_never_revoked_even_if_selected() {
    on_both(async |app| {
        let (cookie, tokens) = create_users(&app).await;
        let every = ids(&app, "SELECT id FROM tokens").await;
        let question = app
            .submit(REVOKE_PATH, &cookie, &selection(&every, &[]))
            .await;
        assert!(
            question.text.contains("Revoke 4 tokens?")
                && question.text.contains("Your current session stays valid")
        );
        app.submit(
            REVOKE_PATH,
            &cookie,
            &selection(&every, &[("confirm", "yes")]),
        )
        .await;
        assert_eq!(working(&app, &tokens).await, [false; 4]);
        assert_eq!(app.page("/admin/", &cookie).await.status, Status::Ok);
        let own = ids(&app, "SELECT id FROM tokens").await;
        assert_eq!(own.len(), 1);
        let none = app
            .submit(
                REVOKE_PATH,
                &cookie,
                &selection(&own, &[("confirm", "yes")]),
            )
            .await;
        assert_eq!(
            flash(&app, &cookie, &none).await,
            "Select at least one token."
        );
    });
}

#[test]
fn a_token_used_in_the_meantime_is_not_revoked_as_unused() {
    on_both(async |app| {
        create_users(&app).await;
        app.execute("UPDATE tokens SET last_used_at = 1000").await;
        let alice = &ids(&app, "SELECT id FROM users WHERE username = 'alice'").await[0];
        let mut holder = app.auth().pool().write().await.unwrap();
        user::lock(&mut holder, UserId::parse(alice).unwrap())
            .await
            .unwrap();
        let auth = app.auth().clone();
        let ending = spawn(async move {
            let unused = TokenFilter {
                kind: Some(TokenKind::Api),
                unused: Some(30),
                ..TokenFilter::default()
            };
            let actor = Actor::command_line();
            auth.bulk
                .revoke_matching(&unused, "unused=30", &actor)
                .await
        });
        // On PostgreSQL the task has read its list and waits for the row lock. On SQLite it waits before it reads.
        sleep(Duration::from_millis(300)).await;
        assert!(!ending.is_finished(), "it waits for the lock");
        let used = sqlx::query("UPDATE tokens SET last_used_at = $1 WHERE client = 'phone'");
        used.bind(now()).execute(&mut *holder).await.unwrap();
        holder.commit().await.unwrap();
        assert_eq!(ending.await.unwrap().unwrap(), 3);
        let left = ids(&app, "SELECT client FROM tokens WHERE kind = 'api'").await;
        assert_eq!(left, ["phone"]);
    });
}

#[test]
fn bulk_actions_require_the_password_again_after_a_while() {
    on_both(async |app| {
        let (cookie, tokens) = create_users(&app).await;
        let users = ids(&app, "SELECT id FROM users WHERE username <> 'root'").await;
        let some = ids(&app, ALICES_TOKENS).await;
        for (path, chosen_ids) in [
            (REVOKE_PATH, &some),
            ("/admin/users/revoke-tokens", &users),
            ("/admin/users/disable", &users),
        ] {
            app.execute("UPDATE tokens SET confirmed_at = 1000 WHERE kind = 'admin'")
                .await;
            let question = app.submit(path, &cookie, &selection(chosen_ids, &[])).await;
            assert!(
                question.text.contains("name=\"current_password\""),
                "{path}"
            );
            for wrong in ["", "wrong"] {
                let fields = selection(
                    chosen_ids,
                    &[("confirm", "yes"), ("current_password", wrong)],
                );
                let refused = app.submit(path, &cookie, &fields).await;
                assert_eq!(refused.status, Status::BadRequest, "{path}");
                assert_eq!(
                    refused.cookie(),
                    "",
                    "{path}: no new token for a wrong password"
                );
            }
        }
        assert_eq!(working(&app, &tokens).await, [true; 4]);
        let fields = selection(&some, &[("confirm", "yes"), ("current_password", PASSWORD)]);
        let done = app.submit(REVOKE_PATH, &cookie, &fields).await;
        assert_eq!(done.status, Status::SeeOther);
        let renewed = done.cookie();
        assert_eq!(app.page("/admin/", &renewed).await.status, Status::Ok);
        assert_eq!(
            app.page("/admin/", &cookie).await.status,
            Status::SeeOther,
            "the previous token is revoked"
        );
        assert_eq!(working(&app, &tokens).await, [false, false, false, true]);
    });
}

#[test]
fn several_users_are_disabled_but_never_the_current_admin() {
    on_both(async |app| {
        let (cookie, tokens) = create_users(&app).await;
        let every = ids(&app, "SELECT id FROM users ORDER BY username").await;
        let path = "/admin/users/disable";
        let question = app.submit(path, &cookie, &selection(&every, &[])).await;
        assert_eq!(question.status, Status::Ok);
        for text in [
            "Disable 2 users?",
            "alice",
            "3 live tokens",
            "4 live tokens are revoked",
            "Your own account is not disabled",
        ] {
            assert!(question.text.contains(text), "{text}: {}", question.text);
        }
        assert_eq!(working(&app, &tokens).await, [true; 4]);
        let done = app
            .submit(path, &cookie, &selection(&every, &[("confirm", "yes")]))
            .await;
        assert_eq!(
            flash(&app, &cookie, &done).await,
            "2 users disabled. 4 tokens revoked."
        );
        assert_eq!(working(&app, &tokens).await, [false; 4]);
        let left = app
            .texts("SELECT username FROM users WHERE disabled_at IS NULL")
            .await;
        assert_eq!(left, ["root"]);
        let own = ids(&app, "SELECT id FROM users WHERE username = 'root'").await;
        let none = app
            .submit(path, &cookie, &selection(&own, &[("confirm", "yes")]))
            .await;
        assert_eq!(
            flash(&app, &cookie, &none).await,
            "You cannot disable your own account here. Open your user page to disable it."
        );
    });
}

#[test]
fn tokens_of_several_users_are_revoked_but_not_the_current_session() {
    on_both(async |app| {
        let (cookie, tokens) = create_users(&app).await;
        let two = ids(&app, "SELECT id FROM users WHERE username <> 'bob'").await;
        let path = "/admin/users/revoke-tokens";
        let question = app.submit(path, &cookie, &selection(&two, &[])).await;
        assert!(question.text.contains("Your current session stays valid"));
        let done = app
            .submit(path, &cookie, &selection(&two, &[("confirm", "yes")]))
            .await;
        assert_eq!(flash(&app, &cookie, &done).await, "3 tokens revoked.");
        assert_eq!(working(&app, &tokens).await, [false, false, false, true]);
        assert_eq!(app.page("/admin/", &cookie).await.status, Status::Ok);
        let page = format!("/admin/users/{}/revoke-tokens", two[0]);
        assert_eq!(
            app.submit(&page, &cookie, &[]).await.status,
            Status::SeeOther
        );
        assert_eq!(
            app.page("/admin/", &cookie).await.status,
            Status::Ok,
            "the user's own page keeps the session, too"
        );
    });
}

#[test]
fn a_bulk_action_never_redirects_to_another_origin() {
    on_both(async |app| {
        let (cookie, _) = create_users(&app).await;
        for next in [
            "//evil.example",
            "https://evil.example/admin",
            "/auth/me",
            "/admin\\..\\x",
        ] {
            let fields = [("id", "x"), ("next", next)];
            for path in [REVOKE_PATH, "/admin/users/disable"] {
                let done = app.submit(path, &cookie, &fields).await;
                assert_eq!(done.header("Location"), Some("/admin/"), "{path} {next}");
            }
        }
    });
}

//! Many at once: selected tokens, all that match, several users. Each asks first.

use multitoken::identity::TokenId;
use multitoken::models::token;
use multitoken::models::user::Role;
use rocket::http::{Method, Status};

use crate::support::app::Answer;
use crate::support::{App, PASSWORD, on_both};

const TOKENS: &str = "/admin/tokens/revoke";

/// root's cookie; alice with laptop, phone and tablet; bob with laptop.
async fn cast(app: &App) -> (String, [String; 4]) {
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

fn chosen<'a>(ids: &'a [String], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let ids = ids.iter().map(|id| ("id", id.as_str()));
    ids.chain(more.iter().copied()).collect()
}

/// What the action says on the page that it leads to.
async fn sentence(app: &App, cookie: &str, done: &Answer) -> String {
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

const OF_ALICE: &str = "SELECT t.id FROM tokens t JOIN users u ON u.id = t.user_id
                        WHERE u.username = 'alice' ORDER BY t.client";

#[test]
fn selected_tokens_are_asked_for_by_name_and_then_revoked_and_no_others() {
    on_both(async |app| {
        let (cookie, tokens) = cast(&app).await;
        let two = &ids(&app, OF_ALICE).await[..2];
        let question = app.submit(TOKENS, &cookie, &chosen(two, &[])).await;
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
            "asking changes nothing"
        );

        let yes = [("confirm", "yes"), ("next", "/admin/tokens?user=a")];
        let done = app.submit(TOKENS, &cookie, &chosen(two, &yes)).await;
        assert_eq!(done.header("Location"), Some("/admin/tokens?user=a"));
        assert_eq!(sentence(&app, &cookie, &done).await, "2 tokens revoked.");
        assert_eq!(working(&app, &tokens).await, [false, false, true, true]);
        let trail = app
            .texts("SELECT actor_name || client || reason FROM events WHERE action = 'token.revoked' ORDER BY client")
            .await;
        assert_eq!(trail, ["rootlaptoprevoked", "rootphonerevoked"]);

        // Again is harmless, and so is what names nothing.
        let again = app.submit(TOKENS, &cookie, &chosen(two, &yes)).await;
        assert_eq!(sentence(&app, &cookie, &again).await, "No token revoked.");
        for fields in [vec![], vec![("id", "nonsense")], vec![("confirm", "yes")]] {
            let none = app.submit(TOKENS, &cookie, &fields).await;
            assert_eq!(
                sentence(&app, &cookie, &none).await,
                "No token was selected."
            );
        }
        assert_eq!(working(&app, &tokens).await, [false, false, true, true]);
    });
}

#[test]
fn everything_that_matches_has_to_be_typed_and_spares_the_session_that_asks() {
    on_both(async |app| {
        let (cookie, tokens) = cast(&app).await;
        let other = app.admin_login("root").await;
        let laptops = [("all", "1"), ("client", "LAPTOP"), ("status", "live")];
        let question = app.submit(TOKENS, &cookie, &laptops).await;
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
            let answer = [&laptops[..], &[("confirm", "yes"), ("typed", typed)]].concat();
            let refused = app.submit(TOKENS, &cookie, &answer).await;
            assert_eq!(refused.status, Status::BadRequest, "{typed}");
            assert!(refused.text.contains("to go on"));
        }
        // Wherever the filters stand, and however the body is written.
        let json = [
            ("Cookie", cookie.as_str()),
            ("Sec-Fetch-Site", "same-origin"),
            ("Content-Type", "application/json"),
        ];
        let body = r#"{"all": "1", "client": "nobody's", "confirm": "yes", "typed": "revoke"}"#;
        let done = app.send(Method::Post, TOKENS, &json, body).await;
        assert_eq!(sentence(&app, &cookie, &done).await, "No token revoked.");
        let everything = [("all", "1"), ("confirm", "yes"), ("typed", "revoke")];
        let path = format!("{TOKENS}?client=nobody");
        let done = app.submit(&path, &cookie, &everything).await;
        assert_eq!(sentence(&app, &cookie, &done).await, "No token revoked.");
        for nonsense in [("unused", "soon"), ("status", "gone"), ("user", "\u{0}")] {
            let answer = [
                ("all", "1"),
                ("confirm", "yes"),
                ("typed", "revoke"),
                nonsense,
            ];
            let refused = app.submit(TOKENS, &cookie, &answer).await;
            let sentence = sentence(&app, &cookie, &refused).await;
            assert!(
                sentence.contains("nothing was revoked"),
                "{nonsense:?}: {sentence}"
            );
        }
        // A value that is no text, or one of several: nothing is left out of what was asked.
        for body in [
            r#"{"all": "1", "unused": 25, "confirm": "yes", "typed": "revoke"}"#,
            r#"{"all": "1", "client": ["laptop"], "confirm": "yes", "typed": "revoke"}"#,
        ] {
            let refused = app.send(Method::Post, TOKENS, &json, body).await;
            let sentence = sentence(&app, &cookie, &refused).await;
            assert!(
                sentence.contains("nothing was revoked"),
                "{body}: {sentence}"
            );
        }
        let twice = [&everything[..], &[("client", "laptop"), ("client", "")]].concat();
        for (path, fields) in [
            (TOKENS.to_owned(), &twice[..]),
            (format!("{TOKENS}?client=&client=laptop"), &everything),
            (
                format!("{TOKENS}?client=laptop&status=gone"),
                &[&everything[..], &[("client", "laptop")]].concat(),
            ),
            (format!("{TOKENS}?device=curl&older=latest"), &everything),
        ] {
            let refused = app.submit(&path, &cookie, fields).await;
            let sentence = sentence(&app, &cookie, &refused).await;
            assert!(
                sentence.contains("nothing was revoked"),
                "{path}: {sentence}"
            );
        }
        // Some here and some there: which are meant?
        let live = [&everything[..], &[("status", "live")]].concat();
        let refused = app.submit(&path, &cookie, &live).await;
        let told = sentence(&app, &cookie, &refused).await;
        assert!(told.contains("nothing was revoked"), "{told}");
        assert_eq!(working(&app, &tokens).await, [true; 4]);
        let answer = [&laptops[..], &[("confirm", "yes"), ("typed", " Revoke ")]].concat();
        let done = app.submit(TOKENS, &cookie, &answer).await;
        assert_eq!(sentence(&app, &cookie, &done).await, "2 tokens revoked.");
        assert_eq!(working(&app, &tokens).await, [false, true, true, false]);

        // Without a filter: all others', and one's own other sessions.
        let all = [("all", "1"), ("confirm", "yes"), ("typed", "revoke")];
        let question = app.submit(TOKENS, &cookie, &all[..1]).await;
        assert!(question.text.contains("all tokens of all users"));
        assert!(question.text.contains("is left alone"));
        let done = app.submit(TOKENS, &cookie, &all).await;
        assert_eq!(sentence(&app, &cookie, &done).await, "3 tokens revoked.");
        assert_eq!(working(&app, &tokens).await, [false; 4]);
        assert_eq!(app.page("/admin/", &cookie).await.status, Status::Ok);
        assert_eq!(app.page("/admin/", &other).await.status, Status::SeeOther);
        let again = app.submit(TOKENS, &cookie, &all[..1]).await;
        assert_eq!(
            sentence(&app, &cookie, &again).await,
            "No token is left to revoke."
        );
    });
}

#[test]
fn the_session_that_asks_is_never_among_the_selected() {
    on_both(async |app| {
        let (cookie, tokens) = cast(&app).await;
        let every = ids(&app, "SELECT id FROM tokens").await;
        let question = app.submit(TOKENS, &cookie, &chosen(&every, &[])).await;
        assert!(
            question.text.contains("Revoke 4 tokens?") && question.text.contains("is left alone")
        );
        app.submit(TOKENS, &cookie, &chosen(&every, &[("confirm", "yes")]))
            .await;
        assert_eq!(working(&app, &tokens).await, [false; 4]);
        assert_eq!(app.page("/admin/", &cookie).await.status, Status::Ok);
        let own = ids(&app, "SELECT id FROM tokens").await;
        assert_eq!(own.len(), 1);
        let none = app
            .submit(TOKENS, &cookie, &chosen(&own, &[("confirm", "yes")]))
            .await;
        assert_eq!(
            sentence(&app, &cookie, &none).await,
            "No token was selected."
        );
    });
}

#[test]
fn what_comes_into_use_meanwhile_is_not_ended_as_unused() {
    on_both(async |app| {
        cast(&app).await;
        let ids = ids(&app, "SELECT id FROM tokens WHERE kind = 'api' ORDER BY id").await;
        app.execute("UPDATE tokens SET last_used_at = 0").await;
        let [first, second] = [0, 1].map(|number: usize| TokenId::parse(&ids[number]).unwrap());
        let mut db = app.auth().pool().write().await.unwrap();
        let used = sqlx::query("UPDATE tokens SET last_used_at = 1000 WHERE id = $1");
        used.bind(&ids[0]).execute(&mut *db).await.unwrap();
        let mut ended = async |id, used_until| {
            let ended = token::delete(&mut db, id, used_until).await.unwrap();
            ended.len()
        };
        assert_eq!(ended(first, Some(0)).await, 0);
        assert_eq!(ended(second, Some(0)).await, 1);
        assert_eq!(ended(first, Some(1000)).await, 1);
    });
}

#[test]
fn the_password_is_asked_for_again_when_it_was_given_a_while_ago() {
    on_both(async |app| {
        let (cookie, tokens) = cast(&app).await;
        let users = ids(&app, "SELECT id FROM users WHERE username <> 'root'").await;
        let some = ids(&app, OF_ALICE).await;
        for (path, chosen_ids) in [
            (TOKENS, &some),
            ("/admin/users/revoke-tokens", &users),
            ("/admin/users/disable", &users),
        ] {
            app.execute("UPDATE tokens SET confirmed_at = 1000 WHERE kind = 'admin'")
                .await;
            let question = app.submit(path, &cookie, &chosen(chosen_ids, &[])).await;
            assert!(
                question.text.contains("name=\"current_password\""),
                "{path}"
            );
            for wrong in ["", "wrong"] {
                let fields = chosen(
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
        let fields = chosen(&some, &[("confirm", "yes"), ("current_password", PASSWORD)]);
        let done = app.submit(TOKENS, &cookie, &fields).await;
        assert_eq!(done.status, Status::SeeOther);
        let renewed = done.cookie();
        assert_eq!(app.page("/admin/", &renewed).await.status, Status::Ok);
        assert_eq!(
            app.page("/admin/", &cookie).await.status,
            Status::SeeOther,
            "the old one ended"
        );
        assert_eq!(working(&app, &tokens).await, [false, false, false, true]);
    });
}

#[test]
fn several_users_are_disabled_but_never_oneself_nor_the_last_admin() {
    on_both(async |app| {
        let (cookie, tokens) = cast(&app).await;
        let every = ids(&app, "SELECT id FROM users ORDER BY username").await;
        let path = "/admin/users/disable";
        let question = app.submit(path, &cookie, &chosen(&every, &[])).await;
        assert_eq!(question.status, Status::Ok);
        for text in [
            "Disable 2 users?",
            "alice",
            "3 live tokens",
            "4 live tokens end",
            "You are left out",
        ] {
            assert!(question.text.contains(text), "{text}: {}", question.text);
        }
        assert_eq!(working(&app, &tokens).await, [true; 4]);
        let done = app
            .submit(path, &cookie, &chosen(&every, &[("confirm", "yes")]))
            .await;
        assert_eq!(
            sentence(&app, &cookie, &done).await,
            "2 users disabled. 4 tokens ended."
        );
        assert_eq!(working(&app, &tokens).await, [false; 4]);
        let left = app
            .texts("SELECT username FROM users WHERE disabled_at IS NULL")
            .await;
        assert_eq!(left, ["root"]);
        let own = ids(&app, "SELECT id FROM users WHERE username = 'root'").await;
        let none = app
            .submit(path, &cookie, &chosen(&own, &[("confirm", "yes")]))
            .await;
        assert_eq!(
            sentence(&app, &cookie, &none).await,
            "You can&#x27;t disable yourself here; your own page can."
        );
    });
}

#[test]
fn tokens_of_several_users_are_revoked_but_not_the_session_that_asks() {
    on_both(async |app| {
        let (cookie, tokens) = cast(&app).await;
        let two = ids(&app, "SELECT id FROM users WHERE username <> 'bob'").await;
        let path = "/admin/users/revoke-tokens";
        let question = app.submit(path, &cookie, &chosen(&two, &[])).await;
        assert!(
            question
                .text
                .contains("The session that you are using is left alone")
        );
        let done = app
            .submit(path, &cookie, &chosen(&two, &[("confirm", "yes")]))
            .await;
        assert_eq!(sentence(&app, &cookie, &done).await, "3 tokens revoked.");
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
            "nor one by one"
        );
    });
}

#[test]
fn a_bulk_action_leads_to_pages_here_only() {
    on_both(async |app| {
        let (cookie, _) = cast(&app).await;
        for next in [
            "//evil.example",
            "https://evil.example/admin",
            "/auth/me",
            "/admin\\..\\x",
        ] {
            let fields = [("id", "x"), ("next", next)];
            for path in [TOKENS, "/admin/users/disable"] {
                let done = app.submit(path, &cookie, &fields).await;
                assert_eq!(done.header("Location"), Some("/admin/"), "{path} {next}");
            }
        }
    });
}

//! The account pages and an admin's invitations, as forms without JavaScript.

use rocket::http::Status;
use rocket_multitoken::models::user::Role;
use serde_json::json;

use crate::support::admin::stale_session;
use crate::support::{App, PASSWORD, on_both, on_both_with};

/// The path of the link that a page shows once.
fn link(page: &str) -> Option<String> {
    let (_, rest) = page.split_once("<code data-copy>")?;
    let (link, _) = rest.split_once("</code>")?;
    let link = link.replace("&#x2F;", "/");
    let path = link.find("/account/")?;
    Some(link[path..].to_owned())
}

/// Submits a form and returns the page that it redirects to, with its path.
async fn submit_and_follow(
    app: &App,
    cookie: &str,
    path: &str,
    fields: &[(&str, &str)],
) -> (String, String) {
    let done = app.submit(path, cookie, fields).await;
    assert_eq!(done.status, Status::SeeOther, "{}", done.text);
    let to = done.header("Location").unwrap().to_owned();
    let page = app.page(&to, &format!("{cookie}; {}", done.cookie())).await;
    assert_eq!(page.status, Status::Ok);
    (to, page.text)
}

#[test]
fn an_admin_invites_a_user_and_sees_the_link_once() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let invalid = [("username", "root"), ("email", "bob@example.com")];
        let again = app.submit("/admin/users/invite", &cookie, &invalid).await;
        assert_eq!(again.status, Status::BadRequest);
        assert!(again.text.contains("already exists"));
        assert!(again.text.contains("value=\"bob@example.com\""));
        assert_eq!(app.number("SELECT COUNT(*) FROM links").await, 0);

        let bob = [("username", "bob"), ("email", "bob@example.com")];
        let (page, shown) = submit_and_follow(&app, &cookie, "/admin/users/invite", &bob).await;
        let first = link(&shown).unwrap();
        assert!(!page.contains("key="), "{page}");
        let later = app.page(&page, &cookie).await.text;
        assert_eq!(link(&later), None);
        assert!(later.contains("not set yet") && later.contains("not verified"));
        let list = app.page("/admin/users?status=invited", &cookie).await.text;
        assert!(list.contains("Select bob") && !list.contains("Select root"));
        let csv = app.page("/admin/users.csv?q=bob", &cookie).await.text;
        assert!(csv.contains("\"bob\",\"user\",\"invited\""), "{csv}");

        let path = format!("{page}/invite");
        let (_, shown) = submit_and_follow(&app, &cookie, &path, &[("note", "lost")]).await;
        let second = link(&shown).unwrap();
        assert_eq!(app.page(&first, "").await.status, Status::BadRequest);
        let form = app.page(&second, "").await;
        assert!(form.status == Status::Ok && form.text.contains("bob"));
        let set = app.submit(&second, "", &[("new_password", PASSWORD)]).await;
        assert_eq!(set.status, Status::SeeOther, "{}", set.text);
        app.account_login("bob").await;
        let list = app.page("/admin/users?status=invited", &cookie).await.text;
        assert!(!list.contains("Select bob"));
        let refused = app.submit(&path, &cookie, &[]).await;
        assert_eq!(refused.status, Status::SeeOther);
        assert_eq!(app.number("SELECT COUNT(*) FROM links").await, 0);
    });
}

#[test]
fn an_invitation_without_a_username_allows_a_sign_up_but_grants_no_role() {
    on_both_with(json!({ "sign_up": "invite" }), async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let admin = [("username", ""), ("role", "admin")];
        let refused = app.submit("/admin/users/invite", &cookie, &admin).await;
        assert_eq!(refused.status, Status::BadRequest);

        let (page, shown) =
            submit_and_follow(&app, &cookie, "/admin/users/invite", &[("username", " ")]).await;
        assert_eq!(page, "/admin/users");
        let link = link(&shown).unwrap();
        assert!(link.starts_with("/account/sign-up?invite="), "{link}");
        let (_, key) = link.split_once('=').unwrap();
        let carol = [
            ("username", "carol"),
            ("password", PASSWORD),
            ("invite", key),
        ];
        let signed_up = app.submit("/account/sign-up", "", &carol).await;
        assert_eq!(signed_up.status, Status::SeeOther, "{}", signed_up.text);
        app.account_login("carol").await;
        let admins = "SELECT COUNT(*) FROM users WHERE role = 'admin'";
        assert_eq!(app.number(admins).await, 1);
    });
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let cookie = app.admin_login("root").await;
        let closed = app
            .submit("/admin/users/invite", &cookie, &[("username", "")])
            .await;
        assert_eq!(closed.status, Status::BadRequest);
        assert_eq!(app.number("SELECT COUNT(*) FROM links").await, 0);
    });
}

#[test]
fn inviting_an_admin_requires_the_current_password() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let stale = stale_session(&app).await;
        let mut fields = vec![("username", "boss"), ("role", "admin")];
        let prompt = app.submit("/admin/users/invite", &stale, &fields).await;
        assert_eq!(prompt.status, Status::BadRequest);
        assert!(prompt.text.contains("id=\"wrong-current_password\""));
        assert_eq!(app.number("SELECT COUNT(*) FROM users").await, 1);
        fields.push(("current_password", PASSWORD));
        let done = app.submit("/admin/users/invite", &stale, &fields).await;
        assert_eq!(done.status, Status::SeeOther, "{}", done.text);
        let admins = "SELECT COUNT(*) FROM users WHERE role = 'admin'";
        assert_eq!(app.number(admins).await, 2);
    });
}

#[test]
fn forms_show_errors_at_the_field_and_keep_input_except_passwords() {
    on_both_with(json!({ "sign_up": "open" }), async |app| {
        let invalid = [
            ("username", "alice"),
            ("password", "short-pw"),
            ("email", "<x>"),
        ];
        let again = app.submit("/account/sign-up", "", &invalid).await;
        assert_eq!(again.status, Status::BadRequest);
        assert!(again.text.contains("id=\"wrong-email\""), "{}", again.text);
        assert!(again.text.contains("aria-describedby=\"wrong-email use\""));
        assert!(
            again.text.contains("value=\"alice\"") && again.text.contains("value=\"&lt;x&gt;\"")
        );
        assert!(!again.text.contains("short-pw"));
        assert!(
            !again.text.contains("id=\"errors\""),
            "the error is shown twice"
        );
        assert_eq!(app.number("SELECT COUNT(*) FROM users").await, 0);

        app.user("alice", Role::User).await;
        let cookie = app.account_login("alice").await;
        for (path, fields, field) in [
            (
                "password",
                [("current_password", "no"), ("new_password", "y")],
                "current_password",
            ),
            (
                "email",
                [("current_password", "no"), ("email", "a@b.example")],
                "current_password",
            ),
            (
                "delete",
                [("current_password", "no"), ("", "")],
                "current_password",
            ),
        ] {
            let path = format!("/account/{path}");
            let again = app.submit(&path, &cookie, &fields).await;
            assert_eq!(again.status, Status::BadRequest, "{path}");
            let wrong = format!("id=\"wrong-{field}\"");
            assert!(again.text.contains(&wrong), "{path}: {}", again.text);
            assert_eq!(
                again.text.contains("value=\"a@b.example\""),
                path == "/account/email"
            );
        }
        assert_eq!(app.number("SELECT COUNT(*) FROM users").await, 1);
    });
}

#[test]
fn every_invalid_link_shows_the_same_page_without_a_form() {
    on_both_with(json!({ "sign_up": "invite" }), async |app| {
        let mut pages = vec![];
        for path in [
            "/account/set-password?key=x",
            "/account/set-password",
            "/account/verify?key=",
            "/account/sign-up?invite=x",
        ] {
            let page = app.page(path, "").await;
            assert_eq!(page.status, Status::BadRequest, "{path}");
            pages.push(page.text);
        }
        for (path, fields) in [
            (
                "/account/set-password?key=x",
                [("new_password", PASSWORD), ("", "")],
            ),
            ("/account/verify?key=x", [("", ""), ("", "")]),
            ("/account/sign-up", [("username", "alice"), ("invite", "x")]),
        ] {
            let page = app.submit(path, "", &fields).await;
            assert_eq!(page.status, Status::BadRequest, "{path}");
            pages.push(page.text);
        }
        for page in &pages {
            assert!(
                page.contains("invalid or has expired") && !page.contains("<form"),
                "{page}"
            );
            assert_eq!(*page, pages[0]);
        }
        let closed = app.page("/account/sign-up", "").await;
        assert_eq!(closed.status, Status::Forbidden);
        assert!(closed.text.contains("requires an invitation"));
        assert_eq!(app.number("SELECT COUNT(*) FROM users").await, 0);
    });
}

#[test]
fn a_user_signs_out_their_own_devices_only() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        app.user("bob", Role::User).await;
        let (laptop, phone) = (
            app.login("alice", "laptop").await,
            app.login("alice", "phone").await,
        );
        let bobs_token = app.login("bob", "laptop").await;
        let cookie = app.account_login("alice").await;
        let id = |name: &str| {
            format!(
                "SELECT t.id FROM tokens AS t JOIN users AS u ON u.id = t.user_id WHERE u.username = '{name}' AND t.client = 'laptop'"
            )
        };
        let foreign = app.texts(id("bob")).await.remove(0);
        let own = app.texts(id("alice")).await.remove(0);
        for id in [&foreign, &own] {
            let path = format!("/account/tokens/{id}/revoke");
            let done = app.submit(&path, &cookie, &[]).await;
            assert_eq!(done.status, Status::SeeOther);
        }
        assert!(
            !app.works(&laptop).await && app.works(&phone).await && app.works(&bobs_token).await
        );
        let done = app
            .submit("/account/tokens/revoke-others", &cookie, &[])
            .await;
        assert_eq!(done.status, Status::SeeOther);
        assert!(!app.works(&phone).await && app.works(&bobs_token).await);
        assert_eq!(app.page("/account/", &cookie).await.status, Status::Ok);
    });
}

//! The account pages, the API's account routes, and the mail that they cause.

use std::time::Duration;

use rocket::http::Method;
use rocket_multitoken::models::event::Actor;
use serde_json::json;
use tempfile::tempdir;

use super::{Tour, announce};
use crate::support::{App, PASSWORD};

const NEW_PASSWORD: &str = "a staple for every horse";

/// Gives every user links and mails that are not due, so that a planner prefers the indexes.
pub async fn populate(url: &str) {
    let app = App::start(url, &json!({}), tempdir().unwrap(), None).await;
    for purpose in ["reset", "verify"] {
        app.execute(format!(
            "INSERT INTO links (id, purpose, user_id, email, digest, ends_at)
             SELECT '{purpose}' || id, '{purpose}', id, 'a@example.com', '{purpose}' || id, 4000000000 FROM users"
        ))
        .await;
        app.execute(format!(
            "INSERT INTO outbox (id, purpose, user_id, link_id, address, facts, due_at, ends_at)
             SELECT id, purpose, user_id, id, email, '{{}}', 4000000000, 4000000000 FROM links WHERE purpose = '{purpose}' AND email IS NOT NULL"
        ))
        .await;
    }
    for table in ["links", "outbox"] {
        app.execute(format!("ANALYZE {table}")).await;
    }
    // This process must not send the mail that the tour waits for.
    app.client.rocket().shutdown().notify();
}

impl Tour<'_> {
    pub(super) async fn account(&mut self) {
        let (id, _) = self.fixtures.user();
        self.post_json(
            "/auth/sign-up/",
            &json!({ "username": "new", "password": PASSWORD, "email": "new@example.com" }),
        )
        .await;
        let key = self.mailed_key("new@example.com", 1).await;
        self.page(&format!("/account/verify?key={key}")).await;
        self.post_json("/auth/email/confirm/", &json!({ "key": key }))
            .await;
        for email in ["new@example.com", "nobody@example.com"] {
            self.post_json("/auth/reset/", &json!({ "email": email }))
                .await;
        }
        let key = self.mailed_key("new@example.com", 2).await;
        self.page(&format!("/account/set-password?key={key}")).await;
        self.post_json(
            "/auth/reset/confirm/",
            &json!({ "key": key, "new_password": NEW_PASSWORD }),
        )
        .await;
        // An address that another user has.
        let body = json!({ "username": "newer", "password": PASSWORD, "email": "new@example.com" });
        self.post_json("/auth/sign-up/", &body).await;
        let refused = self
            .try_login("nobody@example.com", "a wrong password", "laptop")
            .await;
        assert_eq!(refused.status.code, 400);
        self.sign_up_and_in().await;
        self.invitation(&id).await;
        self.deletion().await;
    }

    async fn post_json(&mut self, path: &str, body: &serde_json::Value) {
        self.request(Method::Post, path, "", &body.to_string())
            .await;
    }

    /// The key in the newest mail to this address, once there are `count` of them.
    async fn mailed_key(&mut self, address: &str, count: usize) -> String {
        for _ in 0..300 {
            let kept = self.app.auth().outbox.in_memory().unwrap();
            let mut texts = kept
                .iter()
                .filter(|mail| mail.to == address && mail.text.contains("key="));
            if texts.clone().count() >= count {
                let (_, rest) = texts.next().unwrap().text.split_once("key=").unwrap();
                return rest.split_whitespace().next().unwrap().to_owned();
            }
            rocket::tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("no mail to {address}")
    }

    async fn sign_up_and_in(&mut self) {
        for page in [
            "login",
            "sign-up",
            "forgot",
            "verify?key=x",
            "set-password?key=x",
        ] {
            let path = format!("/account/{page}");
            self.send(Method::Get, &path, ("Accept", "text/html"), "", "")
                .await;
        }
        for path in [
            "/account/forgot",
            "/account/verify?key=x",
            "/account/set-password?key=x",
        ] {
            let fields = [("email", "new@example.com"), ("new_password", NEW_PASSWORD)];
            self.form(path, &fields).await;
        }
        let fields = [
            ("username", "third"),
            ("password", PASSWORD),
            ("email", "third@example.com"),
        ];
        self.change("/account/sign-up", &fields).await;
        let key = self.mailed_key("third@example.com", 1).await;
        self.change(&format!("/account/verify?key={key}"), &[])
            .await;
        let fields = [("username", "third@example.com"), ("password", PASSWORD)];
        self.form(
            "/account/login",
            &[("username", "third"), ("password", "a wrong password")],
        )
        .await;
        self.cookie = self.form("/account/login", &fields).await.cookie();
        for page in ["", "password", "email", "delete"] {
            self.page(&format!("/account/{page}")).await;
        }
        let fields = [
            ("email", "fourth@example.com"),
            ("current_password", PASSWORD),
        ];
        self.change("/account/email", &fields).await;
        self.change("/account/notices", &[("notices", "1")]).await;
        let token = self.login("third", "laptop").await;
        let body =
            json!({ "email": "fifth@example.com", "current_password": PASSWORD }).to_string();
        self.request(Method::Post, "/auth/email/", &token, &body)
            .await;
        let own = self
            .request(Method::Get, "/auth/tokens/", &token, "")
            .await
            .json();
        let id = own["results"][0]["id"].as_str().unwrap();
        self.change(&format!("/account/tokens/{id}/revoke"), &[])
            .await;
        self.change("/account/tokens/revoke-others", &[]).await;
        let fields = [
            ("current_password", PASSWORD),
            ("new_password", NEW_PASSWORD),
        ];
        self.change("/account/password", &fields).await;
        self.change("/account/logout", &[]).await;
        self.cookie.clear();
    }

    async fn invitation(&mut self, of: &str) {
        announce(self.app, "an invitation").await;
        let user = rocket_multitoken::identity::UserId::parse(of).unwrap();
        let (mut link, actor) = (String::new(), Actor::command_line());
        let take = |url: &str| {
            url.clone_into(&mut link);
            Ok(())
        };
        // The user already has a password.
        let links = &self.app.auth().links;
        assert!(links.invite_again(user, &actor, |_| Ok(())).await.is_err());
        links.invite_to_sign_up(None, &actor, take).await.unwrap();
        let key = link.split_once("invite=").unwrap().1;
        self.page(&format!("/account/sign-up?invite={key}")).await;
        let body = json!({ "username": "sixth", "password": PASSWORD, "invite": key });
        self.post_json("/auth/sign-up/", &body).await;
    }

    async fn deletion(&mut self) {
        let token = self.login("sixth", "laptop").await;
        let body = json!({ "current_password": PASSWORD }).to_string();
        self.request(Method::Delete, "/auth/me/", &token, &body)
            .await;
        let fields = [("username", "newer"), ("password", PASSWORD)];
        self.cookie = self.form("/account/login", &fields).await.cookie();
        self.change("/account/delete", &[("current_password", PASSWORD)])
            .await;
        self.cookie.clear();
    }
}

//! The limit of successful logins per account.

use rocket::futures::future::join_all;
use rocket::http::Status;
use rocket_multitoken::models::user::Role;
use serde_json::json;

use super::{COUNTED, is_throttled};
use crate::support::server::{Server, on_each_url};
use crate::support::{PASSWORD, on_both_with};

#[test]
fn an_account_has_a_login_limit_that_is_not_revealed_without_the_password() {
    let settings = json!({"logins_per_account": 5, "login_failures_per_account": 100});
    on_both_with(settings, async |app| {
        app.user("root", Role::Admin).await;
        app.user("bob", Role::User).await;
        let token = app.login("root", "first").await;
        for number in 0..3 {
            app.login("root", &format!("client {number}")).await;
        }
        app.admin_login("root").await;
        let tokens = "SELECT COUNT(*) FROM tokens";
        assert_eq!(app.number(tokens).await, 5);
        for client in ["first", "another"] {
            let refused = app.try_login("root", PASSWORD, client).await;
            assert!(is_throttled(&refused), "{}", refused.text);
            assert!(
                refused.text.contains("Too many attempts"),
                "{}",
                refused.text
            );
        }
        let fields = [("username", "root"), ("password", PASSWORD)];
        let refused = app.submit("/admin/login", "", &fields).await;
        assert!(is_throttled(&refused));
        assert_eq!(refused.cookie(), "");

        // Tokens stay, other users can sign in, and nothing counts as a failure.
        assert_eq!(app.number(tokens).await, 5);
        assert!(app.works(&token).await);
        app.login("bob", "laptop").await;
        assert_eq!(app.number(COUNTED).await, 0);
        let mut wrong = vec![];
        for name in ["root", "bob", "nobody"] {
            let response = app.try_login(name, "wrong", "laptop").await;
            assert_eq!(response.status, Status::BadRequest);
            wrong.push(response.without_request_id());
        }
        wrong.dedup();
        assert_eq!(wrong.len(), 1);
        // Confirming the password in a session does not count and is not refused.
        let change = json!({"current_password": PASSWORD, "new_password": "a brand new one"});
        let changed = app.post("/auth/password/", &token, change).await;
        assert_eq!(changed.status, Status::Ok);
        let reasons = app
            .texts("SELECT reason FROM events WHERE action = 'login.throttled'")
            .await;
        assert_eq!(reasons, ["logins"]);

        app.execute("UPDATE logins SET ends_at = 1").await;
        let again = app.try_login("root", "a brand new one", "laptop").await;
        assert_eq!(again.status, Status::Ok, "in the next window");
    });
}

#[test]
fn a_burst_over_two_processes_does_not_exceed_the_login_limit() {
    on_each_url(async |url| {
        let settings = "{hash_memory_kib=8,hash_iterations=1,logins_per_account=10}";
        let variables = [("ROCKET_APP", settings)];
        let first = Server::start_with(&url, &variables).await;
        let second = Server::start_with(&url, &variables).await;
        first.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let servers = [&first, &second];
        let logins = (0..40).map(|number| servers[number % 2].try_login("alice", PASSWORD));
        let mut statuses = join_all(logins).await;
        statuses.sort_unstable();
        assert_eq!(statuses[..10], [200; 10]);
        assert_eq!(statuses[10..], [429; 30]);
        assert_eq!(first.terminate(), Some(0));
        assert_eq!(second.terminate(), Some(0));
    });
}

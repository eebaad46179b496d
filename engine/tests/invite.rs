//! `multitoken user invite`, and email addresses in the output of other commands.

use rocket_multitoken::identity::email::EmailAddress;
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection};

use crate::support::PASSWORD;
use crate::support::server::{Server, command, on_each_url, run, stderr, stdout};

const NEW_PASSWORD: &str = "a staple for every horse";

async fn count(url: &str, table: &'static str) -> i64 {
    sqlx::any::install_default_drivers();
    let mut db = AnyConnection::connect(url).await.unwrap();
    let sql = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    sqlx::query_scalar(sql).fetch_one(&mut db).await.unwrap()
}

fn invite(url: &str, sign_up: &str, args: &[&str]) -> std::process::Output {
    let settings = format!("{{hash_memory_kib=8,hash_iterations=1,sign_up=\"{sign_up}\"}}");
    command(url, &[&["user", "invite"], args].concat())
        .env("ROCKET_APP", settings)
        .output()
        .unwrap()
}

async fn post(server: &Server, path: &str, body: Value) -> u16 {
    let url = format!("{}{path}", server.origin);
    let request = reqwest::Client::new().post(url).json(&body);
    request.send().await.unwrap().status().as_u16()
}

#[test]
fn an_invitation_with_a_username_sets_a_password_and_one_without_signs_up() {
    on_each_url(async |url| {
        let settings = "{hash_memory_kib=8,hash_iterations=1,sign_up=\"invite\"}";
        let server = Server::start_with(&url, &[("ROCKET_APP", settings)]).await;
        let invitation = invite(
            &url,
            "closed",
            &["alice", "--admin", "--email", " Alice@Bücher.example "],
        );
        assert_eq!(invitation.status.code(), Some(0), "{}", stderr(&invitation));
        let (link, message) = (stdout(&invitation), stderr(&invitation));
        let key = link
            .strip_prefix("http://127.0.0.1:8000/account/set-password?key=")
            .unwrap();
        assert!(
            key.ends_with('\n') && message.contains("mail"),
            "not only the link: {link} {message}"
        );

        let show = |name: &str| {
            let shown = run(&url, &["user", "show", name, "--json"], "");
            serde_json::from_str::<Value>(&stdout(&shown)).unwrap_or_default()
        };
        let alice = show("alice");
        assert_eq!(
            (&alice["email"], &alice["email_verified"]),
            (&json!("Alice@Bücher.example"), &json!(false))
        );
        assert_eq!(
            (&alice["has_password"], &alice["role"]),
            (&json!(false), &json!("admin"))
        );
        assert_eq!(
            show("Alice@Bücher.example"),
            Value::Null,
            "an address has no effect until it is verified"
        );
        assert_eq!(server.try_login("alice", "").await, 400);
        let body = json!({ "key": key.trim(), "new_password": NEW_PASSWORD });
        assert_eq!(
            post(&server, "/auth/reset/confirm/", body.clone()).await,
            200
        );
        assert_eq!(post(&server, "/auth/reset/confirm/", body).await, 400);
        assert_eq!(server.try_login("alice", NEW_PASSWORD).await, 200);
        assert_eq!(show("alice")["has_password"], true);

        let invitation = invite(&url, "invite", &[]);
        assert_eq!(
            (invitation.status.code(), stderr(&invitation).as_str()),
            (Some(0), "The link works once, within seven days.\n")
        );
        let link = stdout(&invitation);
        let key = link
            .strip_prefix("http://127.0.0.1:8000/account/sign-up?invite=")
            .unwrap();
        let body = json!({ "username": "bob", "password": PASSWORD, "invite": key.trim() });
        assert_eq!(post(&server, "/auth/sign-up/", body).await, 201);
        assert_eq!(show("bob")["role"], "user");
        assert_eq!(server.terminate(), Some(0));
    });
}

#[test]
fn a_refused_invitation_prints_no_link_and_stores_nothing() {
    on_each_url(async |url| {
        assert!(
            run(
                &url,
                &["user", "create", "alice", "--password-stdin"],
                PASSWORD
            )
            .status
            .success()
        );
        for (sign_up, args, code, why) in [
            (
                "open",
                &["bob", "--email", "bob"][..],
                1,
                "Enter a valid email address.",
            ),
            ("open", &["bob", "--email", ""], 1, "address"),
            (
                "open",
                &["bob", "--email", "bob@example.com\nBcc: x@example.com"],
                1,
                "address",
            ),
            ("open", &["ALICE"], 1, "already exists"),
            ("open", &["a\u{7}b"], 1, "username"),
            ("open", &[""], 1, "username"),
            ("closed", &[], 1, "app.sign_up"),
            ("invite", &["--admin"], 2, "NAME"),
            ("invite", &["bob", "carol"], 2, "carol"),
        ] {
            let refused = invite(&url, sign_up, args);
            assert_eq!(refused.status.code(), Some(code), "{args:?}");
            assert_eq!(stdout(&refused), "", "{args:?}");
            assert!(
                stderr(&refused).contains(why),
                "{args:?}: {}",
                stderr(&refused)
            );
        }
        for (table, rows) in [("users", 1), ("links", 0), ("outbox", 0)] {
            assert_eq!(count(&url, table).await, rows, "{table}");
        }
    });
}

#[test]
fn users_are_listed_with_email_addresses_and_shown_by_verified_ones_only() {
    on_each_url(async |url| {
        for name in ["alice", "bob", "carol"] {
            let create = ["user", "create", name, "--password-stdin"];
            assert!(run(&url, &create, PASSWORD).status.success());
        }
        let mut db = AnyConnection::connect(&url).await.unwrap();
        for (name, email, verified) in [
            ("alice", "Alice@Bücher.example", true),
            ("bob", "bob@example.com", false),
        ] {
            let key = EmailAddress::parse(email).unwrap().key().to_owned();
            sqlx::query("UPDATE users SET email = $2, email_key = $3, email_verified_at = $4 WHERE username = $1")
                .bind(name)
                .bind(email)
                .bind(verified.then_some(key))
                .bind(verified.then_some(1_i64))
                .execute(&mut db)
                .await
                .unwrap();
        }
        let show = |name: &str| run(&url, &["user", "show", name], "");
        for spelling in [
            "alice",
            "Alice@Bücher.example",
            "Alice@xn--bcher-kva.example",
        ] {
            let shown = stdout(&show(spelling));
            assert!(
                shown.contains("email        Alice@Bücher.example\n"),
                "{spelling}: {shown}"
            );
        }
        for nobody in ["bob@example.com", "alice@bücher.example"] {
            assert_eq!(show(nobody).status.code(), Some(1), "{nobody}");
        }
        let table = stdout(&run(&url, &["user", "list"], ""));
        assert!(table.contains("Alice@Bücher.example "), "{table}");
        assert!(table.contains("bob@example.com (not verified)"), "{table}");
        let list = stdout(&run(&url, &["user", "list", "--json"], ""));
        let list: Vec<Value> = serde_json::from_str(&list).unwrap();
        let emails: Vec<_> = list
            .iter()
            .map(|user| (&user["email"], &user["email_verified"]))
            .collect();
        let (yes, no) = (json!(true), json!(false));
        let (alices, bobs) = (json!("Alice@Bücher.example"), json!("bob@example.com"));
        assert_eq!(emails, [(&alices, &yes), (&bobs, &no), (&Value::Null, &no)]);
        // A username wins over an address, because commands that change a user take usernames.
        let named = ["user", "create", "Alice@Bücher.example", "--password-stdin"];
        assert!(run(&url, &named, PASSWORD).status.success());
        assert!(stdout(&show("Alice@Bücher.example")).contains("email        none\n"));
    });
}

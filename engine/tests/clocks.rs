//! Wrong clocks: the server deletes nothing because of one, ignores times in the future, and waits for none of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rocket::http::Status;
use rocket::tokio::time::sleep;
use rocket_multitoken::auth::background_tasks;
use rocket_multitoken::models::user::Role;
use serde_json::json;
use sqlx::Connection;

use crate::support::app::FOLLOW_TIME;
use crate::support::server::{Server, command, on_each_url, stderr, stdout};
use crate::support::{PASSWORD, needs, on_both, on_both_with};

/// The seconds between `$TIME` and now, in either direction.
const SECONDS_FROM_NOW: &str = "CAST(ABS($TIME - $NOW) AS BIGINT)";

fn seconds_from_now(time: &str, from: &str) -> &'static str {
    let now = rocket_multitoken::models::now().to_string();
    let seconds = SECONDS_FROM_NOW
        .replace("$TIME", time)
        .replace("$NOW", &now);
    String::leak(format!("SELECT {seconds} FROM {from}"))
}

#[test]
fn a_password_confirmed_in_the_future_must_be_confirmed_again() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        let alice = app.user("alice", Role::User).await;
        let path = format!("/admin/users/{alice}/delete");
        let fields = [("confirm", "yes"), ("current_password", PASSWORD)];
        for sql in [
            "UPDATE tokens SET created_at = created_at + 172800",
            "UPDATE tokens SET confirmed_at = created_at + 172800",
            "UPDATE tokens SET confirmed_at = created_at + 60",
        ] {
            let cookie = app.admin_login("root").await;
            assert!(
                !app.page(&path, &cookie)
                    .await
                    .text
                    .contains("current_password")
            );
            app.execute(sql).await;
            assert!(
                app.page(&path, &cookie)
                    .await
                    .text
                    .contains("current_password"),
                "{sql}"
            );
            let refused = app.submit(&path, &cookie, &fields[..1]).await;
            assert_eq!(refused.status, Status::BadRequest, "{sql}");
            app.execute("DELETE FROM tokens").await;
        }
        assert_eq!(app.number("SELECT COUNT(*) FROM users").await, 2);
        // Confirming the password again is accepted.
        let cookie = app.admin_login("root").await;
        app.execute("UPDATE tokens SET created_at = created_at + 172800")
            .await;
        let done = app.submit(&path, &cookie, &fields).await;
        assert_eq!(
            done.header("Location"),
            Some("/admin/users"),
            "{}",
            done.text
        );
        assert_eq!(app.number("SELECT COUNT(*) FROM users").await, 1);
    });
}

#[test]
fn a_use_is_recorded_even_if_the_last_one_is_in_the_future() {
    for cache in [true, false] {
        on_both_with(json!({"token_cache": cache}), async |app| {
            app.user("alice", Role::User).await;
            let token = app.login("alice", "laptop").await;
            app.execute(
                "UPDATE tokens SET created_at = created_at + 172800, ends_at = ends_at + 172800,
                                   last_used_at = created_at + 172800",
            )
            .await;
            app.execute("UPDATE users SET last_seen_at = last_seen_at + 172800")
                .await;
            assert!(app.works(&token).await);
            app.auth().last_uses.flush().await.unwrap();
            for sql in [
                seconds_from_now("last_used_at", "tokens"),
                seconds_from_now("last_seen_at", "users"),
                seconds_from_now("ends_at - 30 * 86400", "tokens"),
            ] {
                assert!(app.number(sql).await < 30, "{sql}");
            }
        });
    }
}

#[test]
fn a_token_issued_in_the_future_is_revoked_by_a_matching_filter() {
    on_both(async |app| {
        app.user("root", Role::Admin).await;
        app.user("alice", Role::User).await;
        let token = app.login("alice", "laptop").await;
        let cookie = app.admin_login("root").await;
        app.execute("UPDATE tokens SET created_at = created_at + 172800 WHERE kind = 'api'")
            .await;
        let fields = [
            ("all", "1"),
            ("client", "laptop"),
            ("confirm", "yes"),
            ("typed", "revoke"),
        ];
        let done = app.submit("/admin/tokens/revoke", &cookie, &fields).await;
        assert_eq!(done.status, Status::SeeOther, "{}", done.text);
        assert!(!app.works(&token).await);
        assert_eq!(app.number("SELECT COUNT(*) FROM tokens").await, 1);
    });
}

#[test]
fn an_address_becomes_known_even_if_all_others_are_in_the_future() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        app.execute(
            "INSERT INTO known_addresses (user_id, network, seen_at)
             WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 20)
             SELECT id, '192.0.2.' || n, created_at + 172800 FROM users, numbers",
        )
        .await;
        app.login("alice", "laptop").await;
        let known = "SELECT COUNT(*) FROM known_addresses";
        assert_eq!(app.number(known).await, 20);
        assert_eq!(
            app.number(seconds_from_now("MIN(seen_at)", "known_addresses"))
                .await
                / 30,
            0
        );
    });
}

/// Environment variables that set a process's clock ahead. `None` without libfaketime.
fn faketime(days: u32) -> Option<[(&'static str, String); 3]> {
    let library = |folder: PathBuf| {
        let file = folder.join("faketime/libfaketimeMT.so.1");
        file.is_file().then_some(file)
    };
    let folders = std::fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .flatten();
    let Some(library) = folders.map(|entry| entry.path()).find_map(library) else {
        needs::missing("libfaketime", "faketime");
        return None;
    };
    Some([
        ("LD_PRELOAD", text(&library)),
        ("FAKETIME", format!("+{days}d")),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
    ])
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_wrong_clock_deletes_nothing() {
    let Some(faketime) = faketime(400) else {
        return;
    };
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let token = server.login("alice", "laptop").await;
        assert_eq!(server.try_login("alice", "wrong").await, 400);
        assert_eq!(server.terminate(), Some(0));
        let mut db = sqlx::AnyConnection::connect(&url).await.unwrap();
        let mut rows = async || -> i64 {
            let rows = "SELECT (SELECT COUNT(*) FROM tokens) + (SELECT COUNT(*) FROM events)
                             + (SELECT COUNT(*) FROM known_addresses)";
            sqlx::query_scalar(rows).fetch_one(&mut db).await.unwrap()
        };
        let before = rows().await;
        assert!(before > 4, "{before}");

        let variables = faketime
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let server = Server::start_with(&url, &variables).await;
        assert_eq!(server.me(&token).await, 401, "expired by this clock");
        sleep(Duration::from_secs(1)).await;
        assert_eq!(rows().await, before);
        let log = server.log_up_to_now().await;
        assert_eq!(
            log.matches("nothing is deleted for 24 hours").count(),
            1,
            "{log}"
        );
        assert!(log.contains("400 days ahead"), "{log}");
        assert_eq!(server.terminate(), Some(0));

        let prune = |more: &[&str]| {
            let mut prune = command(&url, &[&["token", "prune"], more].concat());
            prune.envs(variables).output().unwrap()
        };
        let refused = prune(&[]);
        assert_eq!(refused.status.code(), Some(1));
        let why = stderr(&refused);
        assert!(
            why.contains("--yes") && why.contains("a wrong clock"),
            "{why}"
        );
        assert_eq!(rows().await, before);

        // With the right clock again, nothing is lost.
        let server = Server::start(&url).await;
        assert_eq!(server.me(&token).await, 200);
        assert!(!server.log().contains("nothing is deleted"));
        let pruned = server.run(&["token", "prune"], "");
        assert_eq!(stdout(&pruned), "0 expired tokens deleted\n");
        assert_eq!(stdout(&prune(&["--yes"])), "1 expired token deleted\n");
        sleep(FOLLOW_TIME).await;
        assert_eq!(server.me(&token).await, 401);
        assert_eq!(server.terminate(), Some(0));
    });
}

/// One expired row of each kind.
const EXPIRED: [&str; 4] = [
    "UPDATE tokens SET ends_at = 1 WHERE client = 'old'",
    "INSERT INTO attempts (key, failures, ends_at, pending, pending_before, generation, run, failed_at,
                           kept_until)
     VALUES ('from:x', 1, 1, 0, 0, 0, 0, 0, 1)",
    "INSERT INTO events (id, at, action, via) VALUES ('0', 1, 'user.created', 'api')",
    "INSERT INTO known_addresses (user_id, network, seen_at) SELECT id, 'x', 1 FROM users",
];
const REMAINING: &str = "SELECT (SELECT COUNT(*) FROM tokens WHERE client = 'old')
                         + (SELECT COUNT(*) FROM attempts WHERE key = 'from:x')
                         + (SELECT COUNT(*) FROM events WHERE id = '0')
                         + (SELECT COUNT(*) FROM known_addresses WHERE network = 'x')";

#[test]
fn expired_rows_are_deleted_and_live_ones_are_kept() {
    on_both(async |app| {
        app.user("alice", Role::User).await;
        let (old, new) = (
            app.login("alice", "old").await,
            app.login("alice", "new").await,
        );
        for sql in EXPIRED {
            app.execute(sql).await;
        }
        assert_eq!(app.number(REMAINING).await, 4);
        // The server runs these every hour and every minute.
        background_tasks::delete_expired(app.auth()).await.unwrap();
        background_tasks::prune_attempts(app.auth().pool())
            .await
            .unwrap();
        assert_eq!(app.number(REMAINING).await, 0);
        assert!(!app.works(&old).await && app.works(&new).await);
        let expired_events = "SELECT COUNT(*) FROM events
                    WHERE action = 'token.expired' AND reason = 'expired' AND via = 'server'";
        assert_eq!(app.number(expired_events).await, 1);
    });
}

#[test]
fn nothing_is_deleted_right_after_a_start() {
    on_each_url(async |url| {
        let server = Server::start(&url).await;
        server.run(&["user", "create", "alice", "--password-stdin"], PASSWORD);
        let old = server.login("alice", "old").await;
        // Counts of attempts are pruned without this delay.
        for sql in EXPIRED.iter().filter(|sql| !sql.contains("attempts")) {
            server.execute(sql).await;
        }
        assert_eq!(server.terminate(), Some(0));
        let server = Server::start(&url).await;
        assert_eq!(server.me(&old).await, 401);
        sleep(Duration::from_secs(1)).await;
        let mut db = sqlx::AnyConnection::connect(&url).await.unwrap();
        let left: i64 = sqlx::query_scalar(REMAINING)
            .fetch_one(&mut db)
            .await
            .unwrap();
        assert_eq!(left, 3);
        assert!(
            !server.log().contains("nothing is deleted"),
            "the clock is right"
        );
        assert_eq!(server.terminate(), Some(0));
    });
}

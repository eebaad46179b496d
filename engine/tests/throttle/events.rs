//! Failed logins in the audit log, and how few events unknown clients can cause.

use rocket::http::Status;
use rocket_multitoken::models::stats;
use rocket_multitoken::models::user::Role;
use serde_json::json;

use super::{behind_a_proxy, guess};
use crate::support::app::{PROXY, address_key};
use crate::support::{App, on_both, on_both_with};

const FAILED: &str = "SELECT COUNT(*) FROM events WHERE action = 'login.failed'";

async fn counts(app: &App) -> Vec<String> {
    app.texts(
        "SELECT action || ' ' || COALESCE(subject_name, 'nobody') || ' ' || CAST(count AS TEXT)
         FROM events WHERE action LIKE 'login.%' ORDER BY id",
    )
    .await
}

#[test]
fn unknown_usernames_share_one_event_per_window_and_address() {
    on_both_with(behind_a_proxy(json!({})), async |app| {
        app.user("alice", Role::User).await;
        app.user("root", Role::Admin).await;
        let try_from = async |address: &str, name: &str| {
            let response = app.try_login_from(address, name, "wrong").await;
            assert_eq!(response.status, Status::BadRequest);
        };
        for number in 0..30 {
            try_from("192.0.2.1", &format!("name {number}")).await;
        }
        for _ in 0..2 {
            try_from("192.0.2.2", "name 0").await;
        }
        for _ in 0..3 {
            try_from("192.0.2.1", "alice").await;
        }
        let alice = "login.failed alice 1";
        let mut lines = vec!["login.failed nobody 30", "login.failed nobody 2"];
        lines.extend([alice; 3]);
        assert_eq!(counts(&app).await, lines);

        let cookie = app.admin_login("root").await;
        let page = app.page("/admin/audit", &cookie).await.text;
        assert!(page.contains("× 30<") && page.contains("× 2<"), "{page}");
        assert!(!page.contains("× 1<"));
        let csv = app.page("/admin/audit.csv", &cookie).await.text;
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        assert_eq!(&reader.headers().unwrap()[9], "count");
        let lines = reader.records().map(Result::unwrap);
        let max = lines.map(|line| line[9].parse::<i64>().unwrap()).max();
        assert_eq!(max, Some(30));
        // Charts count failures, not events.
        let now = rocket_multitoken::models::now();
        let mut db = app.auth().pool().read().await.unwrap();
        let day = 86_400;
        let daily = stats::counts_by_period(&mut db, now - day, day, 2)
            .await
            .unwrap();
        assert_eq!(daily.iter().map(|(_, failed)| failed).sum::<i64>(), 35);
        drop(db);

        // Each window has its own event. A deleted event is created again.
        app.execute("UPDATE attempts SET ends_at = 1").await;
        try_from("192.0.2.1", "name 1").await;
        try_from("192.0.2.1", "name 2").await;
        assert_eq!(counts(&app).await.last().unwrap(), "login.failed nobody 2");
        app.execute("DELETE FROM events").await;
        try_from("192.0.2.1", "name 3").await;
        try_from("192.0.2.1", "name 4").await;
        assert_eq!(counts(&app).await, ["login.failed nobody 2"]);
    });
}

#[test]
fn throttled_unknown_usernames_share_one_event() {
    on_both(async |app| {
        for number in 0..4 {
            guess(&app, &format!("name {number}"), 10).await;
        }
        assert_eq!(
            counts(&app).await,
            ["login.failed nobody 40", "login.throttled nobody 4"]
        );
        // A throttled address has an event of its own.
        guess(&app, "name 4", 10).await;
        let throttled = app
            .texts(
                "SELECT reason || ' ' || CAST(count AS TEXT) FROM events
                 WHERE action = 'login.throttled' ORDER BY reason",
            )
            .await;
        let lines = ["account 5", "address 1"];
        assert_eq!(throttled, lines);
        assert_eq!(app.number(FAILED).await, 1);
        let addresses = app
            .texts("SELECT DISTINCT address FROM events WHERE action = 'login.failed'")
            .await;
        assert_eq!(addresses, [address_key(PROXY)]);
    });
}

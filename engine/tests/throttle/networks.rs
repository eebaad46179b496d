//! Budgets of IPv6 networks wider than /64.

use rocket::futures::future::join_all;
use rocket::http::Status;
use rocket_multitoken::models::user::Role;
use serde_json::json;

use super::{behind_a_proxy, is_throttled};
use crate::support::{PASSWORD, on_both_with};

#[test]
fn wider_networks_have_four_and_sixteen_times_the_budget_of_an_address() {
    let settings = json!({"login_failures_per_address": 2});
    on_both_with(behind_a_proxy(settings), async |app| {
        app.user("alice", Role::User).await;
        app.user("carol", Role::User).await;
        let at_home = async || {
            let response = app
                .try_login_from("2001:db8:1:ff00::1", "alice", PASSWORD)
                .await;
            response.status
        };
        assert_eq!(at_home().await, Status::Ok);
        let mut number = 0;
        let mut guess = async |address: String| {
            number += 1;
            app.try_login_from(&address, &format!("name {number}"), "wrong")
                .await
        };
        // Two from each /64, eight from each /56, thirty-two from the /48.
        for network in 0..4 {
            for subnet in 0..4 {
                let address = format!("2001:db8:1:{network:x}{subnet:02x}::1");
                for _ in 0..2 {
                    assert_eq!(guess(address.clone()).await.status, Status::BadRequest);
                }
                assert!(is_throttled(&guess(address).await));
            }
            let address = format!("2001:db8:1:{network:x}99::1");
            assert!(is_throttled(&guess(address).await), "the /56 {network}");
        }
        let far = app
            .try_login_from("2001:db8:1:8800::1", "carol", PASSWORD)
            .await;
        assert!(is_throttled(&far), "the /48");
        assert_eq!(
            at_home().await,
            Status::Ok,
            "a known address is not kept out"
        );
        let other = app.try_login_from("2001:db8:2::1", "carol", PASSWORD).await;
        assert_eq!(other.status, Status::Ok);
        let reasons = app
            .texts(
                "SELECT reason || ' ' || CAST(COUNT(*) AS TEXT) FROM events
                 WHERE action = 'login.throttled' GROUP BY reason ORDER BY reason",
            )
            .await;
        let lines = ["address 16", "network 5"];
        assert_eq!(reasons, lines);
    });
}

#[test]
fn a_burst_from_a_whole_network_does_not_exceed_its_budget() {
    let settings = json!({"login_failures_per_address": 1, "hash_threads": 8});
    on_both_with(behind_a_proxy(settings), async |app| {
        app.user("alice", Role::User).await;
        let guesses = (0..40).map(|number| {
            let address = format!("2001:db8:1:{number:x}00::1");
            let (app, name) = (&app, ["alice".to_owned(), format!("name {number}")]);
            async move {
                let name = &name[usize::from(number % 8 != 0)];
                app.try_login_from(&address, name, "wrong").await
            }
        });
        let responses = join_all(guesses).await;
        let hashed = responses.iter().filter(|a| a.status == Status::BadRequest);
        assert_eq!(hashed.count(), 16);
        assert_eq!(responses.iter().filter(|a| is_throttled(a)).count(), 24);
    });
}

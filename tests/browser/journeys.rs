//! Coming in, looking around, going out.

use serde_json::json;

use super::visit::{Visit, before_set_up, everywhere, on_sqlite};
use crate::support::PASSWORD;

#[test]
fn an_admin_sets_up_finds_a_users_token_and_revokes_it() {
    before_set_up(async |visit| {
        let (tab, server) = (&visit.tab, &visit.server);
        let log = server.log();
        let link = log
            .split_whitespace()
            .find(|word| word.contains("/admin/setup?key="))
            .unwrap();
        tab.open(link).await;
        visit.enter("root", "short").await;
        tab.reads("[role=alert]", "8 characters").await;
        tab.is_quiet(400).await;
        visit.enter("root", PASSWORD).await;
        visit.tells("You are the first admin").await;
        tab.open(link).await;
        tab.reads("main", "Nothing here").await;
        tab.is_quiet(404).await;

        let [token] = visit.user("alice", ["laptop"]).await;
        tab.open("/admin/").await;
        tab.click_text("nav", "Users").await;
        tab.click_text("tbody", "alice").await;
        let row = tab.reads("tbody tr", "laptop").await;
        assert!(row.contains(&token[token.len() - 4..]), "{row}");
        assert!(!tab.text("body").await.contains(&token));
        tab.click("td.action a").await;
        visit.asks("Revoke this token?").await;
        assert_eq!(
            visit.let_in([&token]).await,
            [true],
            "asking changes nothing"
        );
        visit.confirm().await;
        visit.tells("revoked").await;
        assert_eq!(visit.let_in([&token]).await, [false]);

        // Out, and in again by way of the page that was asked for.
        visit.sign_out().await;
        tab.open("/admin/users?q=ali").await;
        assert!(tab.path().await.starts_with("/admin/login?"));
        visit.enter("root", PASSWORD).await;
        tab.arrives_at("/admin/users?q=ali").await;
        tab.has(1, "tbody tr").await;
        tab.is_quiet(200).await;
    });
}

#[test]
fn signing_in_takes_an_admins_own_password_and_signing_out_ends_it() {
    everywhere(async |visit| {
        let tab = &visit.tab;
        visit.user("alice", []).await;
        tab.open("/admin/login").await;
        for (name, password) in [("root", "wrong horse battery"), ("alice", PASSWORD)] {
            visit.enter(name, password).await;
            tab.holds(&format!("document.forms[0].username.value === '{name}'"))
                .await;
            let said = tab.text("[role=alert]").await;
            assert_eq!(said, "That username and password don't belong to an admin.");
            assert_eq!(tab.value_of("#password", "value").await, json!(""));
            tab.is_quiet(400).await;
            tab.open("/admin/users").await;
            assert!(tab.path().await.starts_with("/admin/login?"));
        }
        shows_passwords_on_request(visit).await;
        visit.enter("root", PASSWORD).await;
        tab.arrives_at("/admin/users").await;
        tab.reads(".menu summary", "root").await;

        visit.sign_out().await;
        tab.reads("main [role=status]", "You are signed out.").await;
        tab.open("/admin/users").await;
        assert!(tab.path().await.starts_with("/admin/login?"));
        tab.open("/admin/login").await;
        tab.has(0, ".alert").await;
        tab.is_quiet(200).await;
    });
}

async fn shows_passwords_on_request(visit: &Visit) {
    let tab = &visit.tab;
    tab.has(usize::from(visit.script), ".secret button").await;
    assert_eq!(tab.value_of("#password", "type").await, "password");
    if visit.script {
        tab.reads(".secret button", "Show").await;
        tab.click(".secret button").await;
        tab.reads(".secret button", "Hide").await;
        assert_eq!(tab.value_of("#password", "type").await, "text");
        tab.click(".secret button").await;
        assert_eq!(tab.value_of("#password", "type").await, "password");
    }
}

#[test]
fn a_user_is_found_by_the_beginning_of_the_name() {
    everywhere(async |visit| {
        let tab = &visit.tab;
        for name in ["alice", "alicia", "bob"] {
            visit.user(name, ["laptop"]).await;
        }
        visit.sign_in().await;
        tab.click_text("nav", "Users").await;
        tab.reads(".count", "4 users").await;
        tab.has(4, "tbody tr").await;

        // A script searches while one types; without it the form is sent.
        tab.type_into("#q", "ALI").await;
        if visit.script {
            tab.arrives_at("/admin/users?q=ALI&sort=name").await;
            assert_eq!(tab.text(".count").await, "2 users match. Show all");
            tab.type_into("#q", "CE").await;
            tab.arrives_at("/admin/users?q=ALICE&sort=name").await;
            tab.holds("document.activeElement.id === 'q'").await;
        } else {
            tab.has(4, "tbody tr").await;
            tab.type_into("#q", "CE").await;
            tab.click_text("form.filters", "Search").await;
            tab.holds("location.search.includes('q=ALICE')").await;
        }
        assert_eq!(tab.text(".count").await, "1 user matches. Show all");
        tab.has(1, "tbody tr").await;
        assert_eq!(tab.text("tbody th").await, "alice");
        assert_eq!(tab.value_of("#q", "value").await, "ALICE");
        tells_times(visit).await;

        tab.click_text("tbody", "alice").await;
        tab.reads("h1", "alice").await;
        tab.reads("tbody th", "laptop").await;
        tab.open("/admin/users?q=nobody").await;
        tab.reads(".empty", "No user matches").await;
        tab.click_text(".count", "Show all").await;
        tab.has(4, "tbody tr").await;
        tab.is_quiet(200).await;
    });
}

#[test]
fn every_list_is_searched_while_one_types() {
    on_sqlite(async |visit| {
        if !visit.script {
            return;
        }
        let tab = &visit.tab;
        visit.user("alice", ["laptop"]).await;
        visit.user("bob", ["phone"]).await;
        visit.sign_in().await;
        for list in ["users", "tokens", "audit"] {
            tab.open(&format!("/admin/{list}")).await;
            // A page that was loaded anew would have lost it.
            tab.ask("window.here = true; return null;", vec![]).await;
            tab.type_into("#q", "b").await;
            tab.holds("location.search.includes('q=b')").await;
            tab.type_into("#q", "o").await;
            tab.holds("location.search.includes('q=bo')").await;
            tab.holds("document.activeElement.id === 'q' && window.here === true")
                .await;
            assert_eq!(tab.value_of("#q", "value").await, "bo", "{list}");
            let rows = tab.text("tbody").await;
            assert!(rows.contains("bob") && !rows.contains("alice"), "{list}");
            tab.is_quiet(200).await;
        }
    });
}

#[test]
fn a_question_is_asked_once_and_waits_at_the_way_out() {
    on_sqlite(async |visit| {
        if !visit.script {
            return;
        }
        let tab = &visit.tab;
        let [token] = visit.user("alice", ["laptop"]).await;
        visit.sign_in().await;
        tab.open("/admin/tokens?q=alice&status=live").await;
        let twice = "for (const _ of [1, 2]) document.querySelector('td.action a').click();
                     return null;";
        tab.ask(twice, vec![]).await;
        tab.has(1, "dialog[open]").await;
        tab.holds("document.activeElement.matches('[data-cancel]')")
            .await;
        tab.click("dialog .btn-danger").await;
        // Back to the list as it was narrowed.
        tab.reads("main [role=status]", "is revoked").await;
        assert_eq!(tab.path().await, "/admin/tokens?q=alice&status=live");
        assert_eq!(visit.let_in([&token]).await, [false]);
        tab.is_quiet(200).await;
    });
}

async fn tells_times(visit: &Visit) {
    let tab = &visit.tab;
    let time = "td[data-label=Created] time";
    assert_eq!(tab.text(time).await, "just now");
    let title = tab.value_of(time, "title").await.to_string();
    assert_eq!(title.contains("UTC"), !visit.script, "{title}");
    let zone = tab.text("footer").await;
    let words = if visit.script {
        "Times are in your time zone, "
    } else {
        "Times are in UTC."
    };
    assert!(zone.starts_with(words), "{zone}");
}

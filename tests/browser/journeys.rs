//! Signing in and out, searching, and sessions that expire.

use serde_json::json;

use super::visit::{Visit, before_set_up, everywhere, on_sqlite};
use crate::support::PASSWORD;

#[test]
fn the_first_admin_finds_a_users_token_and_revokes_it() {
    before_set_up(async |visit| {
        let (tab, server) = (&visit.tab, &visit.server);
        let log = server.log();
        let link = log
            .split_whitespace()
            .find(|word| word.contains("/admin/setup?key="))
            .unwrap();
        tab.open(link).await;
        visit.submit_credentials("root", "short").await;
        tab.assert_text("[role=alert]", "8 characters").await;
        tab.assert_no_errors(400).await;
        visit.submit_credentials("root", PASSWORD).await;
        visit.assert_flash("You are the first admin").await;
        tab.open(link).await;
        tab.assert_text("main", "This setup link is invalid").await;
        tab.assert_no_errors(404).await;

        let [token] = visit.user("alice", ["laptop"]).await;
        tab.open("/admin/").await;
        tab.click_text("nav", "Users").await;
        tab.click_text("tbody", "alice").await;
        let row = tab.assert_text("tbody tr", "laptop").await;
        assert!(row.contains(&token[token.len() - 4..]), "{row}");
        assert!(!tab.text("body").await.contains(&token));
        tab.click("td.action a").await;
        visit.assert_asks("Revoke this token?").await;
        assert_eq!(
            visit.are_valid([&token]).await,
            [true],
            "the confirmation changes nothing"
        );
        visit.confirm().await;
        visit.assert_flash("revoked").await;
        assert_eq!(visit.are_valid([&token]).await, [false]);

        // Signs out, requests a page, and is returned to it by signing in.
        visit.sign_out().await;
        tab.open("/admin/users?q=ali").await;
        assert!(tab.path().await.starts_with("/admin/login?"));
        visit.submit_credentials("root", PASSWORD).await;
        tab.assert_at("/admin/users?q=ali").await;
        tab.assert_count(1, "tbody tr").await;
        tab.assert_no_errors(200).await;
    });
}

#[test]
#[ignore = "slow"]
fn only_an_admins_password_signs_in_and_signing_out_ends_the_session() {
    everywhere(async |visit| {
        let tab = &visit.tab;
        visit.user("alice", []).await;
        tab.open("/admin/login").await;
        for (name, password) in [("root", "wrong horse battery"), ("alice", PASSWORD)] {
            visit.submit_credentials(name, password).await;
            tab.assert_js(&format!("document.forms[0].username.value === '{name}'"))
                .await;
            let text = tab.text("[role=alert]").await;
            assert_eq!(
                text,
                "Incorrect username or password, or this user is not an admin."
            );
            assert_eq!(tab.property("#password", "value").await, json!(""));
            tab.assert_no_errors(400).await;
            tab.open("/admin/users").await;
            assert!(tab.path().await.starts_with("/admin/login?"));
        }
        assert_password_can_be_shown(visit).await;
        visit.submit_credentials("root", PASSWORD).await;
        tab.assert_at("/admin/users").await;
        tab.assert_text(".menu summary", "root").await;

        visit.sign_out().await;
        tab.assert_text("main [role=status]", "You are signed out.")
            .await;
        tab.open("/admin/users").await;
        assert!(tab.path().await.starts_with("/admin/login?"));
        tab.open("/admin/login").await;
        tab.assert_count(0, ".alert").await;
        tab.assert_no_errors(200).await;
    });
}

async fn assert_password_can_be_shown(visit: &Visit) {
    let tab = &visit.tab;
    tab.assert_count(usize::from(visit.script), ".secret button")
        .await;
    assert_eq!(tab.property("#password", "type").await, "password");
    if visit.script {
        tab.assert_text(".secret button", "Show").await;
        tab.click(".secret button").await;
        tab.assert_text(".secret button", "Hide").await;
        assert_eq!(tab.property("#password", "type").await, "text");
        tab.click(".secret button").await;
        assert_eq!(tab.property("#password", "type").await, "password");
    }
}

#[test]
#[ignore = "slow"]
fn a_user_is_found_by_any_part_of_the_name() {
    everywhere(async |visit| {
        let tab = &visit.tab;
        for name in ["alice", "alicia", "bob"] {
            visit.user(name, ["laptop"]).await;
        }
        visit.sign_in().await;
        tab.click_text("nav", "Users").await;
        tab.assert_text(".count", "4 users").await;
        tab.assert_count(4, "tbody tr").await;
        tab.open("/admin/users?q=lic").await;
        tab.assert_count(2, "tbody tr").await;
        tab.open("/admin/users").await;

        // With scripts, the list filters while the admin types. Without them, the form has to be submitted.
        tab.type_into("#q", "ALI").await;
        if visit.script {
            tab.assert_at("/admin/users?q=ALI").await;
            assert_eq!(tab.text(".count").await, "2 users match");
            tab.type_into("#q", "CE").await;
            tab.assert_at("/admin/users?q=ALICE").await;
            tab.assert_js("document.activeElement.id === 'q'").await;
        } else {
            tab.assert_count(4, "tbody tr").await;
            tab.type_into("#q", "CE").await;
            tab.click_text("form.filters", "Filter").await;
            tab.assert_js("location.search.includes('q=ALICE')").await;
        }
        assert_eq!(tab.text(".count").await, "1 user matches");
        tab.assert_count(1, "tbody tr").await;
        assert_eq!(tab.text("tbody th").await, "alice");
        assert_eq!(tab.property("#q", "value").await, "ALICE");
        assert_times_shown(visit).await;

        tab.click_text("tbody", "alice").await;
        tab.assert_text("h1", "alice").await;
        tab.assert_text("tbody th", "laptop").await;
        tab.open("/admin/users?q=nobody").await;
        tab.assert_text(".empty", "No users match").await;
        tab.click(".chip").await;
        tab.assert_count(4, "tbody tr").await;
        tab.assert_no_errors(200).await;
    });
}

#[test]
#[ignore = "slow"]
fn every_list_filters_while_the_admin_types() {
    on_sqlite(async |visit| {
        if !visit.script {
            return;
        }
        let tab = &visit.tab;
        visit.user("alice", ["laptop"]).await;
        visit.user("bob", ["phone"]).await;
        visit.sign_in().await;
        for (list, field) in [("users", "q"), ("tokens", "user"), ("audit", "subject")] {
            tab.open(&format!("/admin/{list}")).await;
            // A reload of the page would lose this variable.
            tab.run_script("window.here = true; return null;", vec![])
                .await;
            let css = format!("#{field}");
            tab.type_into(&css, "bo").await;
            tab.assert_js(&format!("location.search.includes('{field}=bo')"))
                .await;
            tab.type_into(&css, "b").await;
            tab.assert_js(&format!("location.search.includes('{field}=bob')"))
                .await;
            tab.assert_js(&format!(
                "document.activeElement.id === '{field}' && window.here === true"
            ))
            .await;
            assert_eq!(tab.property(&css, "value").await, "bob", "{list}");
            tab.assert_text(".chips", "bob").await;
            let rows = tab.text("tbody").await;
            assert!(rows.contains("bob") && !rows.contains("alice"), "{list}");
            tab.assert_js("!document.querySelector('[data-results]').hasAttribute('aria-busy')")
                .await;
            tab.assert_no_errors(200).await;
        }
    });
}

#[test]
#[ignore = "slow"]
fn a_slow_network_shows_progress_and_offline_the_page_stays() {
    on_sqlite(async |visit| {
        if !visit.script {
            return;
        }
        let tab = &visit.tab;
        visit.user("alice", ["laptop"]).await;
        visit.sign_in().await;
        tab.open("/admin/tokens").await;
        tab.set_network(true, 1500).await;
        let click =
            "document.querySelector(\"tr:has(a[aria-label$='for laptop']) td.action a\").click();
                     return document.querySelector('dialog:modal').textContent";
        let text = tab.run_script(click, vec![]).await.to_string();
        assert!(text.contains("Loading"), "{text}");
        visit.assert_asks("Revoke this token?").await;
        visit.cancel().await;
        tab.type_into("#user", "alice").await;
        tab.assert_js("document.querySelector('[data-results]').ariaBusy === 'true'")
            .await;
        tab.assert_at("/admin/tokens?user=alice").await;
        tab.assert_js("!document.querySelector('[data-results]').ariaBusy")
            .await;

        tab.set_network(false, 0).await;
        tab.type_into("#client", "x").await;
        tab.assert_text(
            "main > [role=status] [role=alert]",
            "Cannot reach the server",
        )
        .await;
        tab.assert_count(1, "tbody tr").await;
        tab.click("td.action a").await;
        tab.assert_text("dialog:modal", "Cannot reach the server")
            .await;
        tab.click("dialog [data-cancel]").await;
        tab.assert_count(0, "dialog").await;
        tab.set_network(true, 0).await;
        tab.click("td.action a").await;
        visit.assert_asks("Revoke this token?").await;
    });
}

#[test]
#[ignore = "slow"]
fn signing_in_after_a_session_expired_leads_back_to_the_list() {
    on_sqlite(async |visit| {
        let tab = &visit.tab;
        visit.user("alice", ["laptop"]).await;
        visit.sign_in().await;
        tab.open("/admin/tokens?user=alice").await;
        visit
            .server
            .execute("UPDATE tokens SET ends_at = created_at WHERE kind = 'admin'")
            .await;
        tab.click("td.action a").await;
        if visit.script {
            tab.assert_text("dialog:modal", "Your session has expired.")
                .await;
            tab.click_text("dialog", "Sign in").await;
        }
        tab.assert_text("main.alone", "Your session has expired.")
            .await;
        tab.assert_count(1, "main.alone .alert").await;
        visit.submit_credentials("root", PASSWORD).await;
        if !visit.script {
            // Without scripts, the confirmation was a page, and signing in returns to it.
            visit.assert_asks("Revoke this token?").await;
            visit.cancel().await;
        }
        tab.assert_at("/admin/tokens?user=alice").await;
        tab.assert_no_errors(200).await;
    });
}

#[test]
#[ignore = "slow"]
fn a_generated_password_is_shown_once_and_works() {
    on_sqlite(async |visit| {
        let (tab, server) = (&visit.tab, &visit.server);
        visit.user("alice", []).await;
        visit.sign_in().await;
        visit.open_user("alice").await;
        tab.click_text("main .actions", "Set password").await;
        visit.assert_asks("Set a new password for alice?").await;
        tab.click(&format!("{} .generate", visit.confirmation()))
            .await;
        visit.assert_flash("The password of").await;
        let password = tab.text("[data-copy]").await;
        tab.assert_count(usize::from(visit.script), "[data-copy] + button")
            .await;
        assert_eq!(server.try_login("alice", PASSWORD).await, 400);
        assert_eq!(server.try_login("alice", &password).await, 200);
        visit.open_user("alice").await;
        tab.assert_count(0, "[data-copy]").await;
        assert!(!tab.text("body").await.contains(&password));

        tab.open("/admin/users/new").await;
        tab.fill("#username", "bob").await;
        tab.click(".generate").await;
        visit.assert_flash("was created and can sign in").await;
        let password = tab.text("[data-copy]").await;
        assert_eq!(server.try_login("bob", &password).await, 200);
        tab.assert_no_errors(200).await;
    });
}

#[test]
#[ignore = "slow"]
fn a_confirmation_opens_once_and_focuses_cancel() {
    on_sqlite(async |visit| {
        if !visit.script {
            return;
        }
        let tab = &visit.tab;
        let [token] = visit.user("alice", ["laptop"]).await;
        visit.sign_in().await;
        tab.open("/admin/tokens?user=alice&status=live").await;
        let twice = "for (const _ of [1, 2]) document.querySelector('td.action a').click();
                     return null;";
        tab.run_script(twice, vec![]).await;
        tab.assert_count(1, "dialog[open]").await;
        tab.assert_js("document.activeElement.matches('[data-cancel]')")
            .await;
        tab.click("dialog .btn.danger").await;
        // Back on the list with its filters.
        tab.assert_text("main [role=status]", "was revoked").await;
        assert_eq!(tab.path().await, "/admin/tokens?user=alice&status=live");
        tab.assert_js("document.activeElement.matches('[data-flash]')")
            .await;
        assert_eq!(visit.are_valid([&token]).await, [false]);
        tab.assert_no_errors(200).await;
    });
}

async fn assert_times_shown(visit: &Visit) {
    let tab = &visit.tab;
    let time = "td[data-label=Created] time";
    assert_eq!(tab.text(time).await, "just now");
    let title = tab.property(time, "title").await.to_string();
    assert_eq!(title.contains("UTC"), !visit.script, "{title}");
    let zone = tab.text("footer").await;
    let words = if visit.script {
        "Times are in your time zone, "
    } else {
        "Times are in UTC."
    };
    assert!(zone.starts_with(words), "{zone}");
}

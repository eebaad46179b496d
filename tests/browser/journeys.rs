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
        tab.reads("main", "Not found").await;
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
fn a_user_is_found_by_any_part_of_the_name() {
    everywhere(async |visit| {
        let tab = &visit.tab;
        for name in ["alice", "alicia", "bob"] {
            visit.user(name, ["laptop"]).await;
        }
        visit.sign_in().await;
        tab.click_text("nav", "Users").await;
        tab.reads(".count", "4 users").await;
        tab.has(4, "tbody tr").await;
        tab.open("/admin/users?q=lic").await;
        tab.has(2, "tbody tr").await;
        tab.open("/admin/users").await;

        // A script searches while one types; without it the form is sent.
        tab.type_into("#q", "ALI").await;
        if visit.script {
            tab.arrives_at("/admin/users?q=ALI").await;
            assert_eq!(tab.text(".count").await, "2 users match");
            tab.type_into("#q", "CE").await;
            tab.arrives_at("/admin/users?q=ALICE").await;
            tab.holds("document.activeElement.id === 'q'").await;
        } else {
            tab.has(4, "tbody tr").await;
            tab.type_into("#q", "CE").await;
            tab.click_text("form.filters", "Filter").await;
            tab.holds("location.search.includes('q=ALICE')").await;
        }
        assert_eq!(tab.text(".count").await, "1 user matches");
        tab.has(1, "tbody tr").await;
        assert_eq!(tab.text("tbody th").await, "alice");
        assert_eq!(tab.value_of("#q", "value").await, "ALICE");
        tells_times(visit).await;

        tab.click_text("tbody", "alice").await;
        tab.reads("h1", "alice").await;
        tab.reads("tbody th", "laptop").await;
        tab.open("/admin/users?q=nobody").await;
        tab.reads(".empty", "No user matches").await;
        tab.click(".chip").await;
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
        for (list, field) in [("users", "q"), ("tokens", "user"), ("audit", "subject")] {
            tab.open(&format!("/admin/{list}")).await;
            // A page that was loaded anew would have lost it.
            tab.ask("window.here = true; return null;", vec![]).await;
            let css = format!("#{field}");
            tab.type_into(&css, "bo").await;
            tab.holds(&format!("location.search.includes('{field}=bo')"))
                .await;
            tab.type_into(&css, "b").await;
            tab.holds(&format!("location.search.includes('{field}=bob')"))
                .await;
            tab.holds(&format!(
                "document.activeElement.id === '{field}' && window.here === true"
            ))
            .await;
            assert_eq!(tab.value_of(&css, "value").await, "bob", "{list}");
            tab.reads(".chips", "bob").await;
            let rows = tab.text("tbody").await;
            assert!(rows.contains("bob") && !rows.contains("alice"), "{list}");
            tab.holds("!document.querySelector('[data-results]').hasAttribute('aria-busy')")
                .await;
            tab.is_quiet(200).await;
        }
    });
}

#[test]
fn on_a_slow_network_a_dialog_opens_at_once_and_results_are_dimmed_and_offline_the_page_stays() {
    on_sqlite(async |visit| {
        if !visit.script {
            return;
        }
        let tab = &visit.tab;
        visit.user("alice", ["laptop"]).await;
        visit.sign_in().await;
        tab.open("/admin/tokens").await;
        tab.be_online(true, 1500).await;
        let click =
            "document.querySelector(\"tr:has(a[aria-label$='for laptop']) td.action a\").click();
                     return document.querySelector('dialog:modal').textContent";
        let said = tab.ask(click, vec![]).await.to_string();
        assert!(said.contains("Loading"), "{said}");
        visit.asks("Revoke this token?").await;
        visit.cancel().await;
        tab.type_into("#user", "alice").await;
        tab.holds("document.querySelector('[data-results]').ariaBusy === 'true'")
            .await;
        tab.arrives_at("/admin/tokens?user=alice").await;
        tab.holds("!document.querySelector('[data-results]').ariaBusy")
            .await;

        tab.be_online(false, 0).await;
        tab.type_into("#client", "x").await;
        tab.reads("main > [role=status] [role=alert]", "can’t be reached")
            .await;
        tab.has(1, "tbody tr").await;
        tab.click("td.action a").await;
        tab.reads("dialog:modal", "can’t be reached").await;
        tab.click("dialog [data-cancel]").await;
        tab.has(0, "dialog").await;
        tab.be_online(true, 0).await;
        tab.click("td.action a").await;
        visit.asks("Revoke this token?").await;
    });
}

#[test]
fn an_expired_session_says_so_and_signing_in_leads_back_to_the_list() {
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
            tab.reads("dialog:modal", "Your session has expired.").await;
            tab.click_text("dialog", "Sign in").await;
        }
        tab.reads("main.alone", "Your session has expired.").await;
        tab.has(1, "main.alone .alert").await;
        visit.enter("root", PASSWORD).await;
        if !visit.script {
            // The question was a page of its own.
            visit.asks("Revoke this token?").await;
            visit.cancel().await;
        }
        tab.arrives_at("/admin/tokens?user=alice").await;
        tab.is_quiet(200).await;
    });
}

#[test]
fn a_generated_password_is_shown_once_and_works() {
    on_sqlite(async |visit| {
        let (tab, server) = (&visit.tab, &visit.server);
        visit.user("alice", []).await;
        visit.sign_in().await;
        visit.open_user("alice").await;
        tab.click_text("main .actions", "Set password").await;
        visit.asks("Set the password of alice?").await;
        tab.click(&format!("{} .generate", visit.question())).await;
        visit.tells("The password of").await;
        let password = tab.text("[data-copy]").await;
        tab.has(usize::from(visit.script), "[data-copy] + button")
            .await;
        assert_eq!(server.try_login("alice", PASSWORD).await, 400);
        assert_eq!(server.try_login("alice", &password).await, 200);
        visit.open_user("alice").await;
        tab.has(0, "[data-copy]").await;
        assert!(!tab.text("body").await.contains(&password));

        tab.open("/admin/users/new").await;
        tab.write("#username", "bob").await;
        tab.click(".generate").await;
        visit.tells("can sign in now").await;
        let password = tab.text("[data-copy]").await;
        assert_eq!(server.try_login("bob", &password).await, 200);
        tab.is_quiet(200).await;
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
        tab.open("/admin/tokens?user=alice&status=live").await;
        let twice = "for (const _ of [1, 2]) document.querySelector('td.action a').click();
                     return null;";
        tab.ask(twice, vec![]).await;
        tab.has(1, "dialog[open]").await;
        tab.holds("document.activeElement.matches('[data-cancel]')")
            .await;
        tab.click("dialog .btn.danger").await;
        // Back to the list as it was narrowed.
        tab.reads("main [role=status]", "is revoked").await;
        assert_eq!(tab.path().await, "/admin/tokens?user=alice&status=live");
        tab.holds("document.activeElement.matches('[data-flash]')")
            .await;
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

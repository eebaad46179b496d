//! An operator's tasks during and after an incident.

use std::time::{SystemTime, UNIX_EPOCH};

use super::visit::{Visit, on_sqlite};
use crate::support::server::stdout;

const NOTE: &str = "Stolen on the train, ticket 4711";

#[test]
#[ignore = "slow"]
fn a_stolen_laptop_is_signed_out_and_the_phone_is_not() {
    on_sqlite(async |visit| {
        let tab = &visit.tab;
        let [laptop, phone] = visit.user("alice", ["laptop", "phone"]).await;
        visit.user("bob", ["laptop"]).await;
        visit.sign_in().await;
        visit.find("alice").await;
        tab.assert_text("h1", "alice").await;
        let page = tab.path().await;
        tab.click("tr:has(a[aria-label$='for laptop']) td.action a")
            .await;
        visit.assert_asks("Revoke this token?").await;
        tab.fill("#note", NOTE).await;
        visit.confirm().await;
        visit.assert_flash("was revoked").await;
        tab.assert_at(&page).await;
        assert_eq!(visit.are_valid([&laptop, &phone]).await, [false, true]);
        tab.assert_no_errors(200).await;
    });
}

#[test]
#[ignore = "slow"]
fn all_tokens_from_a_hostile_address_are_revoked() {
    on_sqlite(async |visit| {
        let (tab, server) = (&visit.tab, &visit.server);
        let [alices] = visit.user("alice", ["laptop"]).await;
        let [bobs] = visit.user("bob", ["phone"]).await;
        for _ in 0..3 {
            server.try_login("alice", "wrong").await;
        }
        visit.sign_in().await;
        tab.click_text("section[aria-labelledby=addresses]", "127.0.0.1")
            .await;
        tab.assert_text("h1", "127.0.0.1").await;
        tab.assert_count(3, "a[href='/admin/audit?action=login.failed']")
            .await;
        tab.click_text("main .actions", "Revoke 2 live tokens")
            .await;
        visit.assert_asks("Revoke 2 tokens?").await;
        tab.assert_text(visit.confirmation(), "Your current session stays valid")
            .await;
        tab.fill("#typed", "revoke").await;
        visit.confirm().await;
        visit.assert_flash("2 tokens revoked.").await;
        tab.assert_at("/admin/addresses/127.0.0.1").await;
        assert_eq!(visit.are_valid([&alices, &bobs]).await, [false, false]);
        tab.assert_no_errors(200).await;
    });
}

#[test]
#[ignore = "slow"]
fn the_audit_log_shows_who_revoked_a_token_and_why() {
    on_sqlite(async |visit| {
        let tab = &visit.tab;
        visit.user("alice", ["laptop"]).await;
        let listed = stdout(
            &visit
                .server
                .run(&["token", "list", "--user", "alice", "--json"], ""),
        );
        let id = listed
            .split("\"id\":")
            .nth(1)
            .unwrap()
            .split('"')
            .nth(1)
            .unwrap()
            .to_owned();
        visit.sign_in().await;
        visit.open_user("alice").await;
        tab.click("td.action a").await;
        visit.assert_asks("Revoke this token?").await;
        tab.fill("#note", NOTE).await;
        visit.confirm().await;
        visit.assert_flash("was revoked").await;

        visit.find(&id).await;
        tab.assert_text("h1", "Audit log").await;
        let row = "tr:has(a[href='/admin/audit?action=token.revoked'])";
        tab.assert_text(row, "root").await;
        tab.click(&format!("{row} td:first-child a")).await;
        tab.assert_text("h1", "token.revoked").await;
        let facts = tab.text("dl.facts").await;
        for fact in ["root", "alice", "laptop", NOTE, "127.0.0.1", &id] {
            assert!(facts.contains(fact), "{fact}: {facts}");
        }
        tab.assert_no_errors(200).await;
    });
}

#[test]
#[ignore = "slow"]
fn tokens_unused_for_25_days_are_revoked_and_no_others() {
    on_sqlite(async |visit| {
        let tab = &visit.tab;
        let [old, new] = visit.user("alice", ["old", "new"]).await;
        visit.server.execute(
            "UPDATE tokens SET created_at = created_at - 26 * 86400, last_used_at = created_at - 26 * 86400
             WHERE client = 'old'",
        )
        .await;
        visit.sign_in().await;
        tab.click_text("nav", "Tokens").await;
        tab.assert_text("h1", "Tokens").await;
        tab.click(".filters .menu summary").await;
        tab.type_into("#unused", "25").await;
        if visit.script {
            tab.assert_js("location.search.includes('unused=25')").await;
            tab.press(thirtyfour::Key::Escape).await;
        } else {
            tab.press(thirtyfour::Key::Enter).await;
        }
        tab.assert_text(".chips", "idle for").await;
        tab.assert_count(1, "tbody tr").await;
        visit.revoke_all("Revoke all matching tokens (1)").await;
        visit.assert_asks("Revoke 1 token?").await;
        tab.fill("#typed", "revoke").await;
        visit.confirm().await;
        visit.assert_flash("1 token revoked.").await;
        assert_eq!(visit.are_valid([&old, &new]).await, [false, true]);
        tab.assert_no_errors(200).await;
    });
}

/// Adds an audit event with this timestamp.
async fn add_event(visit: &Visit, at: u64, action: &str) {
    let millis = at * 1000;
    let id = format!(
        "{:08x}-{:04x}-7000-8000-000000000000",
        millis >> 16,
        millis & 0xffff
    );
    let sql = format!(
        "INSERT INTO events (id, at, action, via, count) VALUES ('{id}', {at}, '{action}', 'cli', 1)"
    );
    visit.server.execute(sql.leak()).await;
}

#[test]
#[ignore = "slow"]
fn last_months_audit_log_is_downloaded_as_csv() {
    on_sqlite(async |visit| {
        let (tab, server) = (&visit.tab, &visit.server);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let day = chrono::DateTime::from_timestamp(now.try_into().unwrap(), 0).unwrap();
        let day: u64 = day.format("%d").to_string().parse().unwrap();
        let last_month = now - (day + 5) * 86_400;
        add_event(visit, last_month, "user.promoted").await;
        add_event(visit, last_month - 70 * 86_400, "user.demoted").await;
        visit.sign_in().await;
        tab.click_text("nav", "Audit log").await;
        tab.click_text(".presets", "Previous month").await;
        tab.assert_text(".chips", "previous month").await;
        tab.assert_count(1, "tbody tr").await;
        tab.assert_text("tbody", "user.promoted").await;
        let link = tab.property("[data-csv]", "href").await;
        let path = link.as_str().unwrap().replace(&server.origin, "");
        let cookie = server.admin_cookie("root").await;
        let file = server.get(&path, &cookie).await;
        let name = file.headers()["Content-Disposition"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(name.contains(".csv"), "{name}");
        let text = file.text().await.unwrap();
        assert!(text.contains("user.promoted"), "{text}");
        for other in ["user.demoted", "token.issued", "user.created"] {
            assert!(!text.contains(other), "{other}: {text}");
        }
        tab.assert_no_errors(200).await;
    });
}

#[test]
#[ignore = "slow"]
fn a_leaked_token_is_found_by_pasting_it_and_revoked() {
    on_sqlite(async |visit| {
        let (tab, server) = (&visit.tab, &visit.server);
        let [leaked, other] = visit.user("alice", ["laptop", "phone"]).await;
        visit.sign_in().await;
        visit.find(&format!("Bearer {leaked}")).await;
        let question = "main section.confirm";
        tab.assert_text(question, "Revoke this token?").await;
        tab.assert_text(question, "laptop").await;
        assert!(!tab.path().await.contains(&leaked));
        assert!(!tab.text("body").await.contains(&leaked));
        assert_eq!(visit.are_valid([&leaked]).await, [true]);
        tab.fill("#note", "Found in a public repository").await;
        tab.click(&format!("{question} button[type=submit]")).await;
        tab.assert_text("main > [role=status] .alert", "was revoked")
            .await;
        assert_eq!(visit.are_valid([&leaked, &other]).await, [false, true]);
        assert!(!server.log_up_to_now().await.contains(&leaked));
        tab.assert_no_errors(200).await;
    });
}

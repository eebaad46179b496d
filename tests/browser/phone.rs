//! On a phone.

use super::tab::{PHONE, Tab};
use super::visit::on_sqlite;

#[test]
fn on_a_phone_tables_are_cards_and_a_token_is_found_and_revoked() {
    on_sqlite(async |visit| {
        let tab = &visit.tab;
        let [laptop, phone] = visit.user("alice", ["laptop", "phone"]).await;
        tab.be_phone(true).await;
        visit.sign_in().await;
        fits(tab).await;
        tab.click_text("nav", "Tokens").await;
        tab.reads("h1", "Tokens").await;
        tab.has(3, "tbody tr").await;
        fits(tab).await;
        is_shown_as(tab, ".cards tbody tr", "block").await;
        is_shown_as(tab, ".cards thead", "none").await;
        let label =
            "getComputedStyle(document.querySelector('td[data-label=Created]'), '::before')";
        tab.holds(&format!("{label}.content === '\"Created\"'"))
            .await;

        tab.click("tr:has(a[aria-label$='for laptop']) td.action a")
            .await;
        visit.asks("Revoke this token?").await;
        fits(tab).await;
        visit.confirm().await;
        visit.tells("is revoked").await;
        fits(tab).await;
        assert_eq!(visit.let_in([&laptop, &phone]).await, [false, true]);
        visit.sign_out().await;
        fits(tab).await;
        tab.be_phone(false).await;
        visit.sign_in().await;
        tab.open("/admin/tokens").await;
        is_shown_as(tab, ".cards tbody tr", "table-row").await;
        tab.is_quiet(200).await;
    });
}

async fn fits(tab: &Tab) {
    tab.holds(&format!("innerWidth === {PHONE}")).await;
    tab.holds("document.documentElement.scrollWidth <= innerWidth")
        .await;
}

async fn is_shown_as(tab: &Tab, css: &str, display: &str) {
    let style = format!("getComputedStyle(document.querySelector({css:?}))");
    tab.holds(&format!("{style}.display === {display:?}")).await;
}

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
        is_shown_as(tab, ".rows tbody tr", "block").await;
        is_shown_as(tab, ".rows thead", "none").await;
        // Two lines each, and what one taps is large enough.
        tab.holds(
            "[...document.querySelectorAll('tbody tr')].every((row) => row.offsetHeight < 80)",
        )
        .await;
        are_large(tab).await;
        tab.has(1, ".filter-button").await;
        is_shown_as(tab, "form.filters", "none").await;
        tab.click(".filter-button").await;
        is_shown_as(tab, "form.filters", "flex").await;
        are_large(tab).await;
        tab.write("#user", "alice").await;
        tab.press(thirtyfour::Key::Enter).await;
        tab.holds("location.search.includes('user=alice')").await;
        tab.reads(".filter-button", "Filters (1)").await;
        tab.open("/admin/tokens").await;

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
        is_shown_as(tab, ".rows tbody tr", "table-row").await;
        is_shown_as(tab, ".filter-button", "none").await;
        tab.is_quiet(200).await;
    });
}

/// Everything that is to be tapped, but for links inside a text, is 44 pixels high.
async fn are_large(tab: &Tab) {
    let small = "return [...document.querySelectorAll(
            'button, summary, nav a, .btn, select, input:not([type=checkbox], [type=hidden])')]
        .filter((one) => one.checkVisibility() && one.offsetWidth > 1 && !one.matches('.plain'))
        .filter((one) => (one.closest('.field') ?? one).offsetHeight < 44)
        .map((one) => one.outerHTML.slice(0, 100))";
    assert_eq!(tab.ask(small, vec![]).await, serde_json::json!([]));
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

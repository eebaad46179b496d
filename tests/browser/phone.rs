//! The admin on a phone.

use super::tab::{PHONE_WIDTH, Tab};
use super::visit::on_sqlite;

#[test]
#[ignore = "slow"]
fn on_a_phone_tables_become_cards_and_a_token_can_be_revoked() {
    on_sqlite(async |visit| {
        let tab = &visit.tab;
        let [laptop, phone] = visit.user("alice", ["laptop", "phone"]).await;
        tab.emulate_phone(true).await;
        visit.sign_in().await;
        assert_fits(tab).await;
        tab.click_text("nav", "Tokens").await;
        tab.assert_text("h1", "Tokens").await;
        tab.assert_count(3, "tbody tr").await;
        assert_fits(tab).await;
        assert_display(tab, ".rows tbody tr", "block").await;
        assert_display(tab, ".rows thead", "none").await;
        // Each row has two lines, and its targets are large enough to tap.
        tab.assert_js(
            "[...document.querySelectorAll('tbody tr')].every((row) => row.offsetHeight < 80)",
        )
        .await;
        assert_targets_large(tab).await;
        tab.assert_count(1, ".filter-button").await;
        assert_display(tab, "form.filters", "none").await;
        tab.click(".filter-button").await;
        assert_display(tab, "form.filters", "flex").await;
        assert_targets_large(tab).await;
        tab.fill("#user", "alice").await;
        tab.press(thirtyfour::Key::Enter).await;
        tab.assert_js("location.search.includes('user=alice')")
            .await;
        tab.assert_text(".filter-button", "Filters (1)").await;
        tab.open("/admin/tokens").await;

        tab.click("tr:has(a[aria-label$='for laptop']) td.action a")
            .await;
        visit.assert_asks("Revoke this token?").await;
        assert_fits(tab).await;
        visit.confirm().await;
        visit.assert_flash("was revoked").await;
        assert_fits(tab).await;
        assert_eq!(visit.are_valid([&laptop, &phone]).await, [false, true]);
        visit.sign_out().await;
        assert_fits(tab).await;
        tab.emulate_phone(false).await;
        visit.sign_in().await;
        tab.open("/admin/tokens").await;
        assert_display(tab, ".rows tbody tr", "table-row").await;
        assert_display(tab, ".filter-button", "none").await;
        tab.assert_no_errors(200).await;
    });
}

/// Every control except links within text is at least 44 pixels high (WCAG 2.5.5).
async fn assert_targets_large(tab: &Tab) {
    let small = "return [...document.querySelectorAll(
            'button, summary, nav a, .btn, select, input:not([type=checkbox], [type=hidden])')]
        .filter((one) => one.checkVisibility() && one.offsetWidth > 1 && !one.matches('.plain'))
        .filter((one) => (one.closest('.field') ?? one).offsetHeight < 44)
        .map((one) => one.outerHTML.slice(0, 100))";
    assert_eq!(tab.run_script(small, vec![]).await, serde_json::json!([]));
}

async fn assert_fits(tab: &Tab) {
    tab.assert_js(&format!("innerWidth === {PHONE_WIDTH}"))
        .await;
    tab.assert_js("document.documentElement.scrollWidth <= innerWidth")
        .await;
}

async fn assert_display(tab: &Tab, css: &str, display: &str) {
    let style = format!("getComputedStyle(document.querySelector({css:?}))");
    tab.assert_js(&format!("{style}.display === {display:?}"))
        .await;
}

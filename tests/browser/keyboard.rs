//! Navigation by keyboard only.

use thirtyfour::Key;

use super::tab::Tab;
use super::visit::on_sqlite;

#[test]
#[ignore = "slow"]
fn the_admin_can_be_used_by_keyboard_only() {
    on_sqlite(async |visit| {
        let tab = &visit.tab;
        let [laptop] = visit.user("alice", ["laptop"]).await;
        tab.open("/admin/login").await;
        tab.press("root").await;
        tab.press(Key::Tab).await;
        tab.press(crate::support::PASSWORD).await;
        tab.press(Key::Enter).await;
        tab.assert_at("/admin/").await;

        // The skip link comes first.
        tab.press(Key::Tab).await;
        assert_focused(tab, ".skip").await;
        tab.assert_js("document.activeElement.getBoundingClientRect().left >= 0")
            .await;
        tab.press(Key::Enter).await;
        assert_focused(tab, "main").await;

        // Opens and leaves the menu.
        tab.open("/admin/").await;
        tab_to(tab, "summary.btn").await;
        tab.press(Key::Enter).await;
        tab.assert_js("document.querySelector('.menu').open").await;
        tab.press(Key::Tab).await;
        assert_focused(tab, ".menu a[href='/account/']").await;
        if visit.script {
            tab.press(Key::Escape).await;
            tab.assert_js("!document.querySelector('.menu').open").await;
            assert_focused(tab, ".menu summary").await;
        }

        // Opens a confirmation. Escape returns the focus to the link that opened it.
        visit.open_user("alice").await;
        tab_to(tab, "a[href$='/disable']").await;
        tab.press(Key::Enter).await;
        visit.assert_asks("Disable alice?").await;
        if visit.script {
            tab.assert_js("document.activeElement.closest('dialog')")
                .await;
            tab.press(Key::Escape).await;
            tab.assert_count(0, "dialog").await;
            assert_focused(tab, "a[href$='/disable']").await;
            tab.press(Key::Enter).await;
            visit.assert_asks("Disable alice?").await;
        }
        assert_eq!(visit.are_valid([&laptop]).await, [true]);
        tab_to(tab, ".confirm button[type=submit]").await;
        tab.press(Key::Enter).await;
        visit.assert_flash("was disabled").await;
        assert_eq!(visit.are_valid([&laptop]).await, [false]);
        tab.assert_no_errors(200).await;
    });
}

async fn assert_focused(tab: &Tab, css: &str) {
    tab.assert_js(&format!("document.activeElement.matches({css:?})"))
        .await;
}

/// Presses Tab until the element has the focus, and checks that its focus ring is visible.
async fn tab_to(tab: &Tab, css: &str) {
    for _ in 0..60 {
        let there = format!("return document.activeElement.matches({css:?})");
        if tab.run_script(&there, vec![]).await == true {
            tab.assert_js("getComputedStyle(document.activeElement).outlineStyle === 'solid'")
                .await;
            return;
        }
        tab.press(Key::Tab).await;
    }
    panic!("Tab does not reach {css}");
}

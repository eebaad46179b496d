//! The keyboard alone.

use thirtyfour::Key;

use super::tab::Tab;
use super::visit::on_sqlite;

#[test]
fn the_keyboard_alone_gets_everywhere_and_back() {
    on_sqlite(async |visit| {
        let tab = &visit.tab;
        let [laptop] = visit.user("alice", ["laptop"]).await;
        tab.open("/admin/login").await;
        tab.press("root").await;
        tab.press(Key::Tab).await;
        tab.press(crate::support::PASSWORD).await;
        tab.press(Key::Enter).await;
        tab.arrives_at("/admin/").await;

        // Past the bar at once.
        tab.press(Key::Tab).await;
        focus_is_on(tab, ".skip").await;
        tab.holds("document.activeElement.getBoundingClientRect().left >= 0")
            .await;
        tab.press(Key::Enter).await;
        focus_is_on(tab, "main").await;

        // Into the menu, and out.
        tab.open("/admin/").await;
        tab_to(tab, "summary.btn").await;
        tab.press(Key::Enter).await;
        tab.holds("document.querySelector('.menu').open").await;
        tab.press(Key::Tab).await;
        focus_is_on(tab, ".menu a[href^='/admin/users/']").await;
        if visit.script {
            tab.press(Key::Escape).await;
            tab.holds("!document.querySelector('.menu').open").await;
            focus_is_on(tab, ".menu summary").await;
        }

        // A question, and back to what asked it.
        visit.open_user("alice").await;
        tab_to(tab, "a[href$='/disable']").await;
        tab.press(Key::Enter).await;
        visit.asks("Disable alice?").await;
        if visit.script {
            tab.holds("document.activeElement.closest('dialog')").await;
            tab.press(Key::Escape).await;
            tab.has(0, "dialog").await;
            focus_is_on(tab, "a[href$='/disable']").await;
            tab.press(Key::Enter).await;
            visit.asks("Disable alice?").await;
        }
        assert_eq!(visit.let_in([&laptop]).await, [true]);
        tab_to(tab, ".confirm button[type=submit]").await;
        tab.press(Key::Enter).await;
        visit.tells("is disabled").await;
        assert_eq!(visit.let_in([&laptop]).await, [false]);
        tab.is_quiet(200).await;
    });
}

async fn focus_is_on(tab: &Tab, css: &str) {
    tab.holds(&format!("document.activeElement.matches({css:?})"))
        .await;
}

/// Presses Tab until it is there; and the ring that shows where one is, is to be seen.
async fn tab_to(tab: &Tab, css: &str) {
    for _ in 0..60 {
        let there = format!("return document.activeElement.matches({css:?})");
        if tab.ask(&there, vec![]).await == true {
            tab.holds("getComputedStyle(document.activeElement).outlineStyle === 'solid'")
                .await;
            return;
        }
        tab.press(Key::Tab).await;
    }
    panic!("{css} is not reached");
}

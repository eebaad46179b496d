//! An admin and notes.

use super::visit::on_sqlite;
use crate::support::PASSWORD;

#[test]
fn an_admin_keeps_a_note_finds_it_and_deletes_it() {
    on_sqlite(async |visit| {
        let tab = &visit.tab;
        visit.sign_in().await;
        tab.click_text("nav", "Notes").await;
        tab.reads(".empty", "Nobody has written a note yet.").await;
        tab.click_text(".head", "New note").await;
        tab.write("#text", "<i>first</i>").await;
        tab.click("main form button[type=submit]").await;
        visit.tells("Your note is kept.").await;
        let row = tab.reads("tbody tr", "root").await;
        assert!(row.contains("<i>first</i>"), "{row}");

        tab.type_into("#user", "nobody").await;
        if !visit.script {
            tab.click_text("form.filters", "Filter").await;
        }
        tab.reads(".empty", "No user of that name").await;
        tab.click(".chip").await;
        tab.has(1, "tbody tr").await;

        tab.click("td.action a").await;
        visit.asks("Delete this note?").await;
        visit.cancel().await;
        tab.has(1, "tbody tr").await;
        visit.let_time_pass().await;
        tab.click("td.action a").await;
        visit.asks("<i>first</i>").await;
        tab.write("#current_password", "wrong").await;
        visit.confirm().await;
        visit.asks_again("not your current password").await;
        tab.is_quiet(400).await;
        tab.write("#current_password", PASSWORD).await;
        visit.confirm().await;
        visit.tells("is deleted").await;
        tab.has(0, "tbody tr").await;
        tab.is_quiet(200).await;
    });
}

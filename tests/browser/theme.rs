//! Light and dark, by the system's preference or the admin's choice.

use super::tab::Tab;
use super::visit::on_sqlite;

const LIGHT: &str = "rgb(245, 246, 249)";
const DARK: &str = "rgb(19, 21, 26)";

async fn is(tab: &Tab, colour: &str, why: &str) {
    let script = "return getComputedStyle(document.body).backgroundColor";
    assert_eq!(tab.ask(script, vec![]).await, colour, "{why}");
}

#[test]
fn pages_are_dark_where_the_system_is_or_the_admin_chose_so() {
    on_sqlite(async |visit| {
        let tab = &visit.tab;
        tab.prefer("light").await;
        tab.open("/admin/login").await;
        is(tab, LIGHT, "as the system").await;
        tab.prefer("dark").await;
        is(tab, DARK, "as the system").await;
        visit.sign_in().await;
        is(tab, DARK, "as the system").await;

        choose(tab, "Light").await;
        visit.tells("Pages are light now.").await;
        is(tab, LIGHT, "the choice goes before the system").await;
        tab.prefer("light").await;
        choose(tab, "Dark").await;
        visit.tells("Pages are dark now.").await;
        for path in [
            "/admin/users",
            "/admin/tokens",
            "/admin/audit",
            "/admin/no/such/page",
        ] {
            tab.open(path).await;
            is(tab, DARK, path).await;
        }
        tab.is_quiet(404).await;
        tab.open("/admin/").await;
        visit.sign_out().await;
        is(tab, DARK, "signed out").await;
        visit.sign_in().await;
        is(tab, DARK, "signed in again").await;

        choose(tab, "System").await;
        visit.tells("as your system is").await;
        is(tab, LIGHT, "as the system again").await;
        tab.prefer("dark").await;
        is(tab, DARK, "as the system again").await;
        tab.is_quiet(200).await;
    });
}

async fn choose(tab: &Tab, theme: &str) {
    tab.click(".menu summary").await;
    tab.click_text(".menu fieldset", theme).await;
    let pressed = ".menu button[aria-pressed=true]";
    tab.holds(&format!(
        "document.querySelector('{pressed}')?.textContent === '{theme}'"
    ))
    .await;
}

//! Light and dark themes, by the system's preference or the admin's choice.

use super::tab::Tab;
use super::visit::on_sqlite;

const LIGHT: &str = "rgb(245, 246, 249)";
const DARK: &str = "rgb(19, 21, 26)";

async fn assert_background(tab: &Tab, colour: &str, why: &str) {
    let script = "return getComputedStyle(document.body).backgroundColor";
    assert_eq!(tab.run_script(script, vec![]).await, colour, "{why}");
}

#[test]
#[ignore = "slow"]
fn pages_follow_the_system_theme_until_the_admin_chooses_one() {
    on_sqlite(async |visit| {
        let tab = &visit.tab;
        tab.prefer_theme("light").await;
        tab.open("/admin/login").await;
        assert_background(tab, LIGHT, "as the system").await;
        tab.prefer_theme("dark").await;
        assert_background(tab, DARK, "as the system").await;
        visit.sign_in().await;
        assert_background(tab, DARK, "as the system").await;

        choose(tab, "Light").await;
        visit.assert_flash("The theme is now light.").await;
        assert_background(tab, LIGHT, "the choice goes before the system").await;
        tab.prefer_theme("light").await;
        choose(tab, "Dark").await;
        visit.assert_flash("The theme is now dark.").await;
        for path in [
            "/admin/users",
            "/admin/tokens",
            "/admin/audit",
            "/admin/no/such/page",
        ] {
            tab.open(path).await;
            assert_background(tab, DARK, path).await;
        }
        tab.assert_no_errors(404).await;
        tab.open("/admin/").await;
        visit.sign_out().await;
        assert_background(tab, DARK, "signed out").await;
        visit.sign_in().await;
        assert_background(tab, DARK, "signed in again").await;

        choose(tab, "System").await;
        visit.assert_flash("follows your system").await;
        assert_background(tab, LIGHT, "as the system again").await;
        tab.prefer_theme("dark").await;
        assert_background(tab, DARK, "as the system again").await;
        tab.assert_no_errors(200).await;
    });
}

async fn choose(tab: &Tab, theme: &str) {
    tab.click(".menu summary").await;
    tab.click_text(".menu fieldset", theme).await;
    let pressed = ".menu button[aria-pressed=true]";
    tab.assert_js(&format!(
        "document.querySelector('{pressed}')?.textContent === '{theme}'"
    ))
    .await;
}

//! The layout on a desktop screen.

use super::visit::on_sqlite;

#[test]
#[ignore = "slow"]
fn tokens_and_filters_take_one_line_and_headings_stay_visible() {
    on_sqlite(async |visit| {
        let tab = &visit.tab;
        let (name, client) = ("Wolfeschlegelsteinhausen".repeat(6), "client-".repeat(36));
        visit.user(&name, [client.as_str()]).await;
        let clients: [String; 40] = std::array::from_fn(|number| format!("client {number}"));
        visit
            .user("alice", clients.each_ref().map(String::as_str))
            .await;
        visit.sign_in().await;
        for width in [1280, 1440] {
            tab.set_width(width).await;
            tab.open("/admin/tokens").await;
            tab.assert_js(
                "[...document.querySelectorAll('tbody tr')].every((row) => row.offsetHeight <= 56)",
            )
            .await;
            tab.assert_js("document.querySelectorAll('tbody tr').length > 40")
                .await;
            for list in ["tokens", "users", "audit"] {
                tab.open(&format!("/admin/{list}")).await;
                tab.assert_js(
                    "new Set([...document.querySelectorAll('.filters > :not([type=hidden])')]
                        .map((one) => Math.round(one.getBoundingClientRect().bottom))).size === 1",
                )
                .await;
                tab.assert_js(
                    "document.querySelector('.brand').getBoundingClientRect().left
                    === document.querySelector('h1').getBoundingClientRect().left",
                )
                .await;
            }
            tab.open("/admin/tokens").await;
            tab.run_script("scrollTo(0, 1000)", vec![]).await;
            tab.assert_js("document.querySelector('thead th').getBoundingClientRect().top >= 0")
                .await;
            // A long name is truncated, and complete in its title.
            let cut = format!(
                "[...document.querySelectorAll('tbody bdi')].some((one) => one.title === {name:?})"
            );
            tab.assert_js(&cut).await;
        }
        tab.emulate_phone(false).await;
        tab.assert_no_errors(200).await;
    });
}

#[test]
#[ignore = "slow"]
fn a_chart_shows_values_on_focus_and_links_to_the_day() {
    on_sqlite(async |visit| {
        let tab = &visit.tab;
        visit.user("alice", ["laptop"]).await;
        visit.server.try_login("alice", "wrong").await;
        visit.sign_in().await;
        tab.assert_count(3, "section:first-child .ticks li").await;
        let last = "document.querySelector('.charts section:first-child li:last-child a')";
        let shown = format!("getComputedStyle({last}.querySelector('.tip')).opacity === '1'");
        tab.assert_js(&format!("!({shown})")).await;
        tab.run_script(&format!("{last}.focus()"), vec![]).await;
        tab.assert_js(&shown).await;
        tab.assert_js(&format!(
            "{last}.textContent.includes('2 logins, 1 failed')"
        ))
        .await;
        tab.press(thirtyfour::Key::Enter).await;
        tab.assert_text("h1", "Audit log").await;
        tab.assert_count(1, "tbody a[href='/admin/audit?action=login.failed']")
            .await;
        tab.assert_no_errors(200).await;
    });
}

#[test]
#[ignore = "slow"]
fn times_switch_between_relative_and_exact() {
    on_sqlite(async |visit| {
        if !visit.script {
            return;
        }
        let tab = &visit.tab;
        visit.sign_in().await;
        tab.open("/admin/users").await;
        let time = "td[data-label=Created] time";
        assert_eq!(tab.text(time).await, "just now");
        tab.click("button[data-times]").await;
        tab.assert_text(time, ":").await;
        tab.click(time).await;
        tab.assert_text(time, "just now").await;
        tab.assert_no_errors(200).await;
    });
}

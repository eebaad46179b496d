//! What fits on a screen at a desk.

use super::visit::on_sqlite;

#[test]
fn a_token_takes_one_line_filters_take_one_and_headings_stay_in_sight() {
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
            tab.be_wide(width).await;
            tab.open("/admin/tokens").await;
            tab.holds(
                "[...document.querySelectorAll('tbody tr')].every((row) => row.offsetHeight <= 56)",
            )
            .await;
            tab.holds("document.querySelectorAll('tbody tr').length > 40")
                .await;
            for list in ["tokens", "users", "audit"] {
                tab.open(&format!("/admin/{list}")).await;
                tab.holds(
                    "new Set([...document.querySelectorAll('.filters > :not([type=hidden])')]
                        .map((one) => Math.round(one.getBoundingClientRect().bottom))).size === 1",
                )
                .await;
                tab.holds(
                    "document.querySelector('.brand').getBoundingClientRect().left
                    === document.querySelector('h1').getBoundingClientRect().left",
                )
                .await;
            }
            tab.open("/admin/tokens").await;
            tab.ask("scrollTo(0, 1000)", vec![]).await;
            tab.holds("document.querySelector('thead th').getBoundingClientRect().top >= 0")
                .await;
            // A long name is cut, and whole in its title.
            let cut = format!(
                "[...document.querySelectorAll('tbody bdi')].some((one) => one.title === {name:?})"
            );
            tab.holds(&cut).await;
        }
        tab.be_phone(false).await;
        tab.is_quiet(200).await;
    });
}

#[test]
fn a_chart_shows_its_values_on_focus_and_leads_to_the_day() {
    on_sqlite(async |visit| {
        let tab = &visit.tab;
        visit.user("alice", ["laptop"]).await;
        visit.server.try_login("alice", "wrong").await;
        visit.sign_in().await;
        tab.has(3, "section:first-child .ticks li").await;
        let last = "document.querySelector('.charts section:first-child li:last-child a')";
        let shown = format!("getComputedStyle({last}.querySelector('.tip')).opacity === '1'");
        tab.holds(&format!("!({shown})")).await;
        tab.ask(&format!("{last}.focus()"), vec![]).await;
        tab.holds(&shown).await;
        tab.holds(&format!(
            "{last}.textContent.includes('2 logins, 1 failed')"
        ))
        .await;
        tab.press(thirtyfour::Key::Enter).await;
        tab.reads("h1", "Audit log").await;
        tab.has(1, "tbody a[href='/admin/audit?action=login.failed']")
            .await;
        tab.is_quiet(200).await;
    });
}

#[test]
fn times_are_exact_on_request() {
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
        tab.reads(time, ":").await;
        tab.click(time).await;
        tab.reads(time, "just now").await;
        tab.is_quiet(200).await;
    });
}

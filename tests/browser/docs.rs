//! The viewer of the API's description.

use super::visit::on_sqlite;

#[test]
fn the_api_can_be_read_and_tried_under_the_policy_that_pages_have() {
    on_sqlite(async |visit| {
        let tab = &visit.tab;
        tab.open("/docs").await;
        if !visit.script {
            tab.reads("main", "openapi.json").await;
            return;
        }
        let login = "#operations-session-login";
        tab.holds(&format!("document.querySelector('{login}')"))
            .await;
        tab.click(&format!("{login} .opblock-summary-control"))
            .await;
        tab.click(&format!("{login} .try-out__btn")).await;
        tab.click(&format!("{login} .execute")).await;
        let answered = format!(
            "[...document.querySelectorAll('{login} .live-responses-table .response-col_status')]
                .some((cell) => cell.textContent.startsWith('400'))"
        );
        tab.holds(&answered).await;
        // What it tried is answered so, and said by the browser; nothing else is.
        let said = tab.complaints(200).await;
        assert!(
            said.iter().all(|line| line.contains("/auth/login/")),
            "{said:?}"
        );
        for scheme in ["light", "dark"] {
            tab.prefer(scheme).await;
            tab.open("/docs").await;
            tab.holds(&format!("document.querySelector('{login}')"))
                .await;
            tab.be_phone(true).await;
            tab.holds("document.documentElement.scrollWidth <= innerWidth")
                .await;
            tab.be_phone(false).await;
            tab.is_quiet(200).await;
        }
    });
}

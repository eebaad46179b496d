//! The viewer of the OpenAPI document.

use super::visit::on_sqlite;

#[test]
#[ignore = "slow"]
fn the_api_viewer_works_under_the_content_security_policy() {
    on_sqlite(async |visit| {
        let tab = &visit.tab;
        tab.open("/docs").await;
        if !visit.script {
            tab.assert_text("main", "openapi.json").await;
            return;
        }
        let login = "#operations-session-login";
        tab.assert_js(&format!("document.querySelector('{login}')"))
            .await;
        tab.click(&format!("{login} .opblock-summary-control"))
            .await;
        tab.click(&format!("{login} .try-out__btn")).await;
        tab.click(&format!("{login} .execute")).await;
        let answered = format!(
            "[...document.querySelectorAll('{login} .live-responses-table .response-col_status')]
                .some((cell) => cell.textContent.startsWith('400'))"
        );
        tab.assert_js(&answered).await;
        // The browser logs the refused login that was tried, and must log nothing else.
        let errors = tab.console_errors(200).await;
        assert!(
            errors.iter().all(|line| line.contains("/auth/login/")),
            "{errors:?}"
        );
        for scheme in ["light", "dark"] {
            tab.prefer_theme(scheme).await;
            tab.open("/docs").await;
            tab.assert_js(&format!("document.querySelector('{login}')"))
                .await;
            tab.emulate_phone(true).await;
            tab.assert_js("document.documentElement.scrollWidth <= innerWidth")
                .await;
            tab.emulate_phone(false).await;
            tab.assert_no_errors(200).await;
        }
    });
}

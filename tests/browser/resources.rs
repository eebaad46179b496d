//! The admin's pages of resources.

use serde_json::json;

use super::visit::on_sqlite;
use crate::resources::RESOURCES;
use crate::support::PASSWORD;

#[test]
#[ignore = "slow"]
fn an_admin_creates_a_row_finds_it_and_deletes_it() {
    on_sqlite(async |visit| {
        let tab = &visit.tab;
        visit.sign_in().await;
        for resource in RESOURCES {
            let list = resource.admin();
            tab.click(&format!("nav a[href=\"{list}\"]")).await;
            tab.assert_text(".empty", "yet.").await;
            tab.click_text(".head", "New").await;
            for (name, value) in resource.form() {
                let fill =
                    "const field = document.querySelector(`main form [name=${arguments[0]}]`);
                    if (field.type === 'checkbox') field.checked = true;
                    else field.value = arguments[1];";
                tab.run_script(fill, vec![json!(name), json!(value)]).await;
            }
            tab.click("main form button[type=submit]").await;
            visit.assert_flash("was saved.").await;
            tab.assert_text("tbody tr", "root").await;

            tab.type_into("#user", "nobody").await;
            if !visit.script {
                tab.click_text("form.filters", "Filter").await;
            }
            tab.assert_text(".empty", "Enter a complete username").await;
            tab.click(".chip").await;
            tab.assert_count(1, "tbody tr").await;

            tab.click("td.action a").await;
            visit.assert_asks("Delete this").await;
            visit.cancel().await;
            tab.assert_count(1, "tbody tr").await;
            visit.expire_confirmation().await;
            tab.click("td.action a").await;
            visit.assert_asks("root").await;
            tab.fill("#current_password", "wrong").await;
            visit.confirm().await;
            visit.assert_asks_again("password is incorrect").await;
            tab.assert_no_errors(400).await;
            tab.fill("#current_password", PASSWORD).await;
            visit.confirm().await;
            visit.assert_flash("was deleted").await;
            tab.assert_count(0, "tbody tr").await;
            tab.assert_no_errors(200).await;
        }
    });
}

//! The pictures in docs/pictures: `cargo test pictures -- --ignored` takes them again.

use std::fs;
use std::path::Path;

use rocket::serde::json::json;

use super::driver::Driver;
use super::tab::Tab;
use crate::support::PASSWORD;
use crate::support::server::{Server, sqlite};

/// Pictures of the admin, and the pages that they show.
const ADMIN: [(&str, &str); 3] = [
    ("dashboard", "/admin/"),
    ("tokens", "/admin/tokens"),
    ("audit-log", "/admin/audit"),
];

#[test]
#[ignore = "writes docs/pictures"]
fn pictures() {
    let Some(driver) = Driver::get() else {
        return;
    };
    rocket::async_test(driver.browse(async |browser| {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(&sqlite(folder.path())).await;
        let seed = [
            "seed",
            "--users",
            "300",
            "--tokens-per-user",
            "6",
            "--password",
            PASSWORD,
        ];
        assert_eq!(server.run(&seed, "").status.code(), Some(0));
        add_margaret(&server).await;

        let tab = Tab::new(browser, &server.origin).await;
        tab.add_cookies(&server.admin_cookie("demo-admin").await)
            .await;
        for (name, path) in ADMIN {
            tab.open(path).await;
            take(&tab, name).await;
        }
        tab.open("/admin/users?q=margaret").await;
        tab.click_text("tbody th", "margaret").await;
        tab.assert_text("h1", "margaret").await;
        take(&tab, "user").await;

        tab.clear_cookies().await;
        tab.add_cookies(&server.account_cookie("margaret").await)
            .await;
        server
            .execute(
                "UPDATE tokens SET app = 'Firefox', app_version = '140.0', user_agent = '(Windows NT 10.0)'
                 WHERE kind = 'account'",
            )
            .await;
        tab.open("/account/").await;
        take(&tab, "devices").await;
        tab.open("/docs").await;
        tab.assert_text(".opblock-summary", "/auth/").await;
        take(&tab, "api").await;
    }));
}

/// A user with devices that people have.
async fn add_margaret(server: &Server) {
    let create = ["user", "create", "--password-stdin", "margaret"];
    assert_eq!(server.run(&create, PASSWORD).status.code(), Some(0));
    for (client, agent) in [
        ("Inventory", "Inventory/4.12.1 (Windows 11)"),
        ("Nightly backup", "curl/8.14.1"),
        ("Phone", "Inventory/4.12.0 (Android 16)"),
    ] {
        server.login_from("margaret", client, Some(agent)).await;
    }
    server
        .execute(
            "UPDATE tokens SET created_at = created_at - 400000, last_used_at = created_at - 90000
             WHERE user_id = (SELECT id FROM users WHERE username = 'margaret')",
        )
        .await;
}

/// Takes the page's first screen, in the light and in the dark theme.
async fn take(tab: &Tab, name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures");
    fs::create_dir_all(&folder).unwrap();
    for theme in ["light", "dark"] {
        tab.prefer_theme(theme).await;
        let screen = json!({"width": 1200, "height": 760, "deviceScaleFactor": 1, "mobile": false});
        tab.devtools("Emulation.setDeviceMetricsOverride", screen)
            .await;
        let picture = tab.window_screenshot().await;
        fs::write(folder.join(format!("{name}-{theme}.webp")), picture).unwrap();
    }
}

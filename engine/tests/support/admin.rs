//! Helpers for tests of the admin's pages.

use super::App;

/// An admin session that last confirmed its password over 15 minutes ago.
pub async fn stale_session(app: &App) -> String {
    let cookie = app.admin_login("root").await;
    app.execute(
        "UPDATE tokens SET created_at = created_at - 901, confirmed_at = NULL
         WHERE kind = 'admin'",
    )
    .await;
    cookie
}

/// The URL of the `next` or `prev` page in the pager of the list at `path`.
pub fn link(page: &str, path: &str, rel: &str) -> Option<String> {
    let end = page.find(&format!("\" rel=\"{rel}\""))?;
    let query = page[..end].rsplit("href=\"").next()?;
    let list = path.split('?').next()?;
    Some(format!("{list}{}", query.replace("&amp;", "&")))
}

//! Filters of the token list. Bulk revocation reads the same filters from its form.

use super::list::{ListParams, name_text};
use crate::db::Conn;
use crate::identity::address::Network;
use crate::identity::device::is_version;
use crate::identity::key;
use crate::models::token::TokenKind;
use crate::models::token::list::{TokenFilter, TokenStatus};
use crate::models::user;

/// The maximum of the parameter `unused`.
const MAX_UNUSED_DAYS: i64 = 36_500;

/// Reads the filters. The username is separate, because finding the user takes a query.
pub fn read_filter(query: &mut ListParams) -> (Option<String>, TokenFilter) {
    let user = query.text("user");
    let client = query.text("client").map(|name| key(&name));
    let address = query.value("address", Network::parse);
    let device = query.text("device");
    let has_device = device.is_some();
    let filter = TokenFilter {
        client,
        address,
        device,
        older: query.value("older", |text| {
            let version = name_text(text).filter(|text| has_device && is_version(text));
            version.map(str::to_owned)
        }),
        kind: query.value("kind", |word| TokenKind::try_from(word.to_owned()).ok()),
        status: query.keyword("status", |word| match word {
            "live" => Some(TokenStatus::Live),
            "expired" => Some(TokenStatus::Expired),
            "unused" => Some(TokenStatus::Unused),
            "expiring" => Some(TokenStatus::Expiring),
            _ => None,
        }),
        unused: query.value("unused", |days| {
            let days = days.trim().parse().ok()?;
            (0..=MAX_UNUSED_DAYS).contains(&days).then_some(days)
        }),
        ..TokenFilter::default()
    };
    (user, filter)
}

/// Reads the filters and finds the user. An unknown username matches nothing.
///
/// # Errors
/// The database fails.
pub async fn load_filter(query: &mut ListParams, db: &mut Conn) -> sqlx::Result<TokenFilter> {
    let (name, filter) = read_filter(query);
    let user = match name {
        Some(name) => Some(user::id_by_name(db, &name).await?),
        None => None,
    };
    Ok(TokenFilter { user, ..filter })
}

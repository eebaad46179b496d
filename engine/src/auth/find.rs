//! Search by anything that identifies a token, a user, an event or an address, for use during an incident.

use zeroize::Zeroizing;

use crate::db::Pool;
use crate::error::Error;
use crate::identity::address::Network;
use crate::identity::email::EmailAddress;
use crate::identity::{EventId, TokenId, UserId, Username, key};
use crate::models::list::PagePosition;
use crate::models::token::TokenRow;
use crate::models::user::{UserFilter, UserListRow, UserRow};
use crate::models::{event, now, token, user};
use crate::secret::Digest;

/// Maximum number of users, or of tokens, among the candidates.
const MAX_CANDIDATES: usize = 20;
/// Maximum number of pages that a search for part of a username reads.
const MAX_PAGES: usize = 40;
/// Number of a token's last characters that are stored.
const HINT_LENGTH: usize = 4;

/// A search result.
#[derive(Debug)]
pub enum SearchResult {
    /// A live or expired token.
    Token(Box<TokenRow>),
    /// A token of which only audit events are left.
    Revoked(TokenId),
    /// A user.
    User(Box<UserRow>),
    /// An audit event.
    Event(EventId),
    /// An address or network.
    Address(Network),
}

/// Finds what an admin typed or pasted: a token, its last characters, an id, a username, an email address, or an IP
/// address or network. Several results are candidates.
///
/// # Errors
/// [`Error::Database`].
pub async fn search(pool: &Pool, query: &str) -> Result<Vec<SearchResult>, Error> {
    let query = Zeroizing::new(without_scheme(query.trim()).to_owned());
    if key(&query).is_empty() {
        return Ok(vec![]);
    }
    let mut db = pool.read().await?;
    if let Some(digest) = Digest::parse_presented(&query) {
        let found = token::find_by_digest(&mut db, &digest).await?;
        return Ok(found
            .map(|token| SearchResult::Token(Box::new(token)))
            .into_iter()
            .collect());
    }
    if let Some(id) = TokenId::parse(&query.to_lowercase()) {
        drop(db);
        return find_by_id(pool, id, &query.to_lowercase()).await;
    }
    let mut found = vec![];
    found.extend(Network::parse(&query).map(SearchResult::Address));
    if let Ok(name) = Username::parse(&query) {
        let user = user::find_by_name(&mut db, &name).await?;
        found.extend(user.map(|user| SearchResult::User(Box::new(user))));
    }
    if let Ok(email) = EmailAddress::parse(&query) {
        let user = user::find_by_email(&mut db, email.key()).await?;
        let is_new = |user: &UserRow| {
            !found
                .iter()
                .any(|found| matches!(found, SearchResult::User(other) if other.id == user.id))
        };
        let user = user.filter(is_new);
        found.extend(user.map(|user| SearchResult::User(Box::new(user))));
    }
    let suffix = query.trim_start_matches('…');
    if let Some(hint) = last_characters(suffix) {
        let tokens = token::list_by_hint(&mut db, hint, MAX_CANDIDATES).await?;
        found.extend(
            tokens
                .into_iter()
                .map(|token| SearchResult::Token(Box::new(token))),
        );
    }
    if found.is_empty() {
        let filter = UserFilter {
            name: key(&query),
            ..UserFilter::default()
        };
        let list = filter.list(None, now());
        let mut next = Some(PagePosition::First);
        for _ in 0..MAX_PAGES {
            let Some(position) = next.filter(|_| found.len() < MAX_CANDIDATES) else {
                break;
            };
            let page = list
                .page::<UserListRow>(&mut db, position, MAX_CANDIDATES)
                .await?;
            let users = page.rows.into_iter();
            found.extend(users.map(|row| SearchResult::User(Box::new(row.user))));
            next = page.next.filter(|_| page.is_cut).map(PagePosition::After);
        }
    }
    Ok(found)
}

async fn find_by_id(pool: &Pool, id: TokenId, text: &str) -> Result<Vec<SearchResult>, Error> {
    let mut db = pool.read().await?;
    if let Some(token) = token::find(&mut db, id).await? {
        return Ok(vec![SearchResult::Token(Box::new(token))]);
    }
    if let Some(id) = UserId::parse(text)
        && let Some(user) = user::find(&mut db, id).await?
    {
        return Ok(vec![SearchResult::User(Box::new(user))]);
    }
    if let Some(id) = EventId::parse(text)
        && event::find(&mut db, id).await?.is_some()
    {
        return Ok(vec![SearchResult::Event(id)]);
    }
    let is_revoked = event::find_subject(&mut db, id).await?.is_some();
    Ok(is_revoked
        .then_some(SearchResult::Revoked(id))
        .into_iter()
        .collect())
}

/// Removes a header's name and scheme in front of a token.
fn without_scheme(text: &str) -> &str {
    let mut rest = text;
    for prefix in ["authorization:", "bearer ", "token "] {
        if let Some(start) = rest.get(..prefix.len())
            && start.eq_ignore_ascii_case(prefix)
        {
            rest = rest[prefix.len()..].trim_start();
        }
    }
    rest
}

/// The last characters, if the text may be the end of a token.
fn last_characters(text: &str) -> Option<&str> {
    let is_end =
        text.len() >= HINT_LENGTH && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_end.then(|| &text[text.len() - HINT_LENGTH..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_not_part_of_the_search() {
        for text in [
            "x",
            "Bearer x",
            "token  x",
            "Authorization: Bearer x",
            "authorization:TOKEN x",
        ] {
            assert_eq!(without_scheme(text), "x", "{text}");
        }
        assert_eq!(without_scheme("bearerx"), "bearerx");
        assert_eq!(without_scheme("tökén x"), "tökén x");
        assert_eq!(last_characters("aBcdE"), Some("BcdE"));
        assert_eq!(last_characters("abc"), None);
        assert_eq!(last_characters("ab cd"), None);
    }
}

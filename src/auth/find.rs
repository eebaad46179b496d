//! What an operator has in hand during an incident, and what it belongs to.

use zeroize::Zeroizing;

use super::Auth;
use crate::error::Error;
use crate::identity::address::Network;
use crate::identity::{EventId, TokenId, UserId, Username, key};
use crate::models::list::Start;
use crate::models::token::Token;
use crate::models::user::{Filter, Listed, User};
use crate::models::{event, now, token, user};
use crate::secret::Digest;

/// Users and tokens that are named as candidates.
const CANDIDATES: usize = 20;
/// Times that a part of a name is looked for in so many users as a page of a list reads.
const ROUNDS: usize = 40;
/// The number of a token's last characters that are kept.
const HINT: usize = 4;

/// What was found.
#[derive(Debug)]
pub enum Found {
    /// A token.
    Token(Box<Token>),
    /// The events of a token that has ended.
    Ended(TokenId),
    /// A user.
    User(Box<User>),
    /// An event.
    Event(EventId),
    /// An address or network.
    Address(Network),
}

impl Auth {
    /// Finds what was typed or pasted: a token, its last characters, an id, a username, an e-mail address or an IP
    /// address or network. More than one result are candidates.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn find(&self, typed: &str) -> Result<Vec<Found>, Error> {
        let typed = Zeroizing::new(without_scheme(typed.trim()).to_owned());
        if key(&typed).is_empty() {
            return Ok(vec![]);
        }
        let mut db = self.pool.read().await?;
        if let Some(digest) = Digest::of_presented(&typed) {
            let found = token::find_by_digest(&mut db, &digest).await?;
            return Ok(found
                .map(|token| Found::Token(Box::new(token)))
                .into_iter()
                .collect());
        }
        if let Some(id) = TokenId::parse(&typed.to_lowercase()) {
            drop(db);
            return self.find_by_id(id, &typed.to_lowercase()).await;
        }
        let mut found = vec![];
        found.extend(Network::parse(&typed).map(Found::Address));
        if let Ok(name) = Username::parse(&typed) {
            let users = [
                user::find_by_name(&mut db, &name).await?,
                user::find_by_email(&mut db, name.key()).await?,
            ];
            found.extend(
                users
                    .into_iter()
                    .flatten()
                    .map(|user| Found::User(Box::new(user))),
            );
        }
        let last = typed.trim_start_matches('…');
        if let Some(hint) = last_characters(last) {
            let tokens = token::list_by_hint(&mut db, hint, CANDIDATES).await?;
            found.extend(
                tokens
                    .into_iter()
                    .map(|token| Found::Token(Box::new(token))),
            );
        }
        if found.is_empty() {
            let filter = Filter {
                name: key(&typed),
                ..Filter::default()
            };
            let list = filter.list(None, now());
            let mut start = Some(Start::First);
            for _ in 0..ROUNDS {
                let Some(from) = start.filter(|_| found.len() < CANDIDATES) else {
                    break;
                };
                let page = list.page::<Listed>(&mut db, from, CANDIDATES).await?;
                let users = page.rows.into_iter();
                found.extend(users.map(|row| Found::User(Box::new(row.user))));
                start = page.next.filter(|_| page.is_cut).map(Start::After);
            }
        }
        Ok(found)
    }

    async fn find_by_id(&self, id: TokenId, text: &str) -> Result<Vec<Found>, Error> {
        let mut db = self.pool.read().await?;
        if let Some(token) = token::find(&mut db, id).await? {
            return Ok(vec![Found::Token(Box::new(token))]);
        }
        if let Some(id) = UserId::parse(text)
            && let Some(user) = user::find(&mut db, id).await?
        {
            return Ok(vec![Found::User(Box::new(user))]);
        }
        if let Some(id) = EventId::parse(text)
            && event::find(&mut db, id).await?.is_some()
        {
            return Ok(vec![Found::Event(id)]);
        }
        let ended = event::subject_of(&mut db, id).await?.is_some();
        Ok(ended.then_some(Found::Ended(id)).into_iter().collect())
    }
}

/// A header's value without its scheme, or the header's name.
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

/// The end of what may be the end of a token.
fn last_characters(text: &str) -> Option<&str> {
    let is_end = text.len() >= HINT && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_end.then(|| &text[text.len() - HINT..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_is_no_part_of_what_is_looked_for() {
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

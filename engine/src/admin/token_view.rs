//! View model of tokens.

use serde::Serialize;

use crate::identity::TokenId;
use crate::models::NEVER;
use crate::models::token::list::EXPIRING_PERIOD;
use crate::models::token::{TokenKind, TokenRow};

/// A token as pages show it.
#[derive(Serialize)]
pub struct TokenView {
    id: String,
    user_id: String,
    username: String,
    client: String,
    kind: &'static str,
    hint: String,
    created_at: i64,
    last_used_at: Option<i64>,
    ends_at: Option<i64>,
    /// `live`, `soon` (expires within a week) or `expired`.
    state: &'static str,
    address: Option<String>,
    app: Option<String>,
    version: Option<String>,
    user_agent: Option<String>,
    /// Whether it is the current session.
    current: bool,
}

impl TokenView {
    /// Views of `tokens`. `current` is the token of the current session.
    pub fn all(tokens: Vec<TokenRow>, current: TokenId, now: i64) -> Vec<Self> {
        let view = |token| Self::new(token, current, now);
        tokens.into_iter().map(view).collect()
    }

    /// View of one token. `current` is the token of the current session.
    pub fn new(token: TokenRow, current: TokenId, now: i64) -> Self {
        Self {
            id: token.id.to_string(),
            user_id: token.user_id.to_string(),
            username: token.username,
            client: token.client,
            kind: token.kind.as_str(),
            hint: token.hint,
            created_at: token.created_at,
            // The last use of the current session may not be stored yet, because uses are written in batches.
            last_used_at: token.last_used_at.or((token.id == current).then_some(now)),
            ends_at: Some(token.ends_at).filter(|end| *end < NEVER),
            state: match token.ends_at - now {
                ..=0 => "expired",
                // Sessions are not marked: their users sign in again.
                1..=EXPIRING_PERIOD if token.kind == TokenKind::Api => "soon",
                _ => "live",
            },
            address: token.address.map(|address| address.to_string()),
            app: token.app,
            version: token.app_version,
            user_agent: token.user_agent,
            current: token.id == current,
        }
    }
}

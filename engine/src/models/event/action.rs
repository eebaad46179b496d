//! Actions in the audit log.

use crate::application::application;

/// What happened, as an event records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A user was created.
    UserCreated,
    /// A user was disabled.
    UserDisabled,
    /// A user was enabled again.
    UserEnabled,
    /// A user became an admin.
    UserPromoted,
    /// A user was no longer an admin.
    UserDemoted,
    /// A user was deleted.
    UserDeleted,
    /// The locks on an account were cleared.
    UserUnlocked,
    /// A user changed their own password.
    PasswordChanged,
    /// A password was set with a link, by an admin or by the command line.
    PasswordReset,
    /// A login was refused.
    LoginFailed,
    /// So many logins failed or succeeded that further ones are rejected for a while. The reason tells which.
    LoginThrottled,
    /// A token was issued.
    TokenIssued,
    /// A token was revoked. The reason tells why.
    TokenRevoked,
    /// A token was replaced by the next login of its client.
    TokenReplaced,
    /// A token expired.
    TokenExpired,
    /// An admin revoked many tokens at once. Each has an event that refers to this one.
    TokensRevoked,
    /// An admin disabled many users at once. Each has an event that refers to this one.
    UsersDisabled,
    /// A user was invited, or someone was invited to sign up.
    UserInvited,
    /// A user requested a change of their address.
    EmailRequested,
    /// A user proved that an address is theirs.
    EmailVerified,
    /// A mail was given up. The reason names its templates.
    MailFailed,
    /// An action that the application declares.
    Custom(&'static str),
}

impl Action {
    /// All actions in the order of a menu, custom ones last.
    pub fn all() -> impl Iterator<Item = Self> {
        let custom = application().actions.iter().copied().map(Self::Custom);
        Self::BUILT_IN.iter().copied().chain(custom)
    }

    /// The custom action with this name. None if it is not declared, or is built in.
    pub(super) fn custom(word: &'static str, declared: &[&str]) -> Option<Self> {
        let is_built_in = Self::BUILT_IN.iter().any(|action| action.as_str() == word);
        (declared.contains(&word) && !is_built_in).then_some(Self::Custom(word))
    }

    const BUILT_IN: &[Self] = &[
        Self::TokenIssued,
        Self::TokenRevoked,
        Self::TokenReplaced,
        Self::TokenExpired,
        Self::TokensRevoked,
        Self::LoginFailed,
        Self::LoginThrottled,
        Self::PasswordChanged,
        Self::PasswordReset,
        Self::UserCreated,
        Self::UserDisabled,
        Self::UserEnabled,
        Self::UserPromoted,
        Self::UserDemoted,
        Self::UserDeleted,
        Self::UserUnlocked,
        Self::UsersDisabled,
        Self::UserInvited,
        Self::EmailRequested,
        Self::EmailVerified,
        Self::MailFailed,
    ];

    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UserCreated => "user.created",
            Self::UserDisabled => "user.disabled",
            Self::UserEnabled => "user.enabled",
            Self::UserPromoted => "user.promoted",
            Self::UserDemoted => "user.demoted",
            Self::UserDeleted => "user.deleted",
            Self::UserUnlocked => "user.unlocked",
            Self::PasswordChanged => "password.changed",
            Self::PasswordReset => "password.reset",
            Self::LoginFailed => "login.failed",
            Self::LoginThrottled => "login.throttled",
            Self::TokenIssued => "token.issued",
            Self::TokenRevoked => "token.revoked",
            Self::TokenReplaced => "token.replaced",
            Self::TokenExpired => "token.expired",
            Self::TokensRevoked => "tokens.revoked",
            Self::UsersDisabled => "users.disabled",
            Self::UserInvited => "user.invited",
            Self::EmailRequested => "email.requested",
            Self::EmailVerified => "email.verified",
            Self::MailFailed => "mail.failed",
            Self::Custom(word) => word,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_has_only_the_actions_it_declares_and_none_of_the_engines() {
        let declared = ["parcel.sent", "token.revoked"];
        let sent = Action::custom("parcel.sent", &declared);
        assert_eq!(sent, Some(Action::Custom("parcel.sent")));
        assert_eq!(Action::custom("parcel.lost", &declared), None);
        assert_eq!(Action::custom("token.revoked", &declared), None);
    }
}

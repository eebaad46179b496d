//! What the command `check` reports about users and the outbox.

use super::Auth;
use super::demo::FIRST_ADMIN_NAME;
use crate::db::Conn;
use crate::error::Error;
use crate::identity::Username;
use crate::models::user::{self, Role, UserFilter, UserStatus};
use crate::models::{now, outbox};

/// The result of a survey.
#[derive(Debug)]
pub struct Survey {
    /// Whether there is an active admin.
    pub has_active_admin: bool,
    /// Name of the demonstration data's first admin, if that user is active.
    pub first_demo_admin: Option<&'static str>,
    /// Active users whose password hash is also another user's: it was copied, as in demonstration data.
    pub users_with_copied_hash: u64,
    /// Users whose password hash is weaker than a new one would be.
    pub users_with_outdated_hash: u64,
    /// Users with a verified address, if there is no mail server.
    pub unreachable_users: u64,
    /// Mails that were tried [`FAILING_TRIES`] times or more.
    pub failing_mails: u64,
}

/// Tries after which a mail counts as failing.
const FAILING_TRIES: i64 = 4;
/// Number of users read at once.
const BATCH_SIZE: i64 = 1000;

/// Surveys all users. Changes nothing.
pub async fn survey(auth: &Auth) -> Result<Survey, Error> {
    let mut db = auth.pool().read().await?;
    let active_admins = UserFilter {
        status: Some(UserStatus::Active),
        role: Some(Role::Admin),
        ..UserFilter::default()
    };
    let active_admins = active_admins.list(None, now());
    let demo =
        Username::parse(FIRST_ADMIN_NAME).map_err(|_| Error::Internal("invalid demo username"))?;
    let demo = user::find_by_name(&mut db, &demo).await?;
    let is_active = |user: user::UserRow| user.disabled_at.is_none();
    Ok(Survey {
        has_active_admin: active_admins.count(&mut db).await?.rows > 0,
        first_demo_admin: demo.is_some_and(is_active).then_some(FIRST_ADMIN_NAME),
        users_with_copied_hash: user::count_shared_hashes(&mut db).await?.unsigned_abs(),
        users_with_outdated_hash: count_outdated(auth, &mut db).await?,
        unreachable_users: match auth.settings().mail_url {
            None => user::count_verified_emails(&mut db).await?.unsigned_abs(),
            Some(_) => 0,
        },
        failing_mails: outbox::count_failing(&mut db, FAILING_TRIES)
            .await?
            .unsigned_abs(),
    })
}

async fn count_outdated(auth: &Auth, db: &mut Conn) -> Result<u64, Error> {
    let (mut users_with_outdated_hash, mut after) = (0, String::new());
    loop {
        let users = user::password_hashes(db, &after, BATCH_SIZE).await?;
        let Some((id, _)) = users.last() else {
            return Ok(users_with_outdated_hash);
        };
        after.clone_from(id);
        let weak = users
            .iter()
            .filter(|(_, hash)| auth.passwords.hasher.is_outdated(hash));
        users_with_outdated_hash += weak.count() as u64;
    }
}

//! What of the accounts an operator should know before strangers come.

use super::Auth;
use super::demo::FIRST_ADMIN;
use crate::db::Conn;
use crate::error::Error;
use crate::identity::Username;
use crate::models::now;
use crate::models::user::{self, Filter, Role, Status};

/// How the accounts stand.
#[derive(Debug)]
pub struct Survey {
    /// Whether anybody can use the admin.
    pub active_admin: bool,
    /// The name of the first admin of demonstration data, if there is an active user of that name.
    pub first_demo_admin: Option<&'static str>,
    /// Active users that share a password with others, as demonstration data does.
    pub sharing: u64,
    /// Users whose password is kept as a weaker hash than one of today's would be.
    pub outdated: u64,
}

/// Users that are read at once.
const AT_ONCE: i64 = 1000;

impl Auth {
    /// Looks at all users, and changes nothing.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn survey(&self) -> Result<Survey, Error> {
        let mut db = self.pool.read().await?;
        let active_admins = Filter {
            status: Some(Status::Active),
            role: Some(Role::Admin),
            ..Filter::default()
        };
        let active_admins = active_admins.list(None, now());
        let demo = Username::parse(FIRST_ADMIN).map_err(|_| Error::Internal("a name"))?;
        let demo = user::find_by_name(&mut db, &demo).await?;
        let is_active = |user: user::User| user.disabled_at.is_none();
        Ok(Survey {
            active_admin: active_admins.count(&mut db).await?.rows > 0,
            first_demo_admin: demo.is_some_and(is_active).then_some(FIRST_ADMIN),
            sharing: user::count_of_copied_hashes(&mut db).await?.unsigned_abs(),
            outdated: self.count_outdated(&mut db).await?,
        })
    }

    async fn count_outdated(&self, db: &mut Conn) -> Result<u64, Error> {
        let (mut outdated, mut last) = (0, String::new());
        loop {
            let users = user::hashes(db, &last, AT_ONCE).await?;
            let Some((id, _)) = users.last() else {
                return Ok(outdated);
            };
            last.clone_from(id);
            let weak = users
                .iter()
                .filter(|(_, hash)| self.hasher.is_outdated(hash));
            outdated += weak.count() as u64;
        }
    }
}

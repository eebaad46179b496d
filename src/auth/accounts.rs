//! Users and their passwords. Whatever shuts a user out ends tokens in the same transaction.

use rocket::tokio::time::Instant;

use super::Auth;
use super::sessions::{Reason, Refused, Session, Which, end_within};
use super::throttle::{self, Checked, Presented};
use crate::db::{Conn, may_be_tried_again};
use crate::error::{Error, FieldErrors};
use crate::identity::{TokenId, UserId, Username};
use crate::models::event::{self, About, Action, Actor};
use crate::models::now;
use crate::models::token::Kind;
use crate::models::user::{self, Credentials, Role, User};
use crate::password::{self, Password, Permit, Verdict};
use crate::secret::Secret;
use crate::web::client::Caller;

const LAST_ADMIN: &str = "This is the last active admin. Make another one first.";
/// What is said where a new user's name belongs to another.
pub const NAME_TAKEN: &str = "A user with that username already exists.";

/// What becomes of a user's tokens when somebody else sets the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokens {
    /// They end, as they should where the old password may be known to others; but for the session
    /// of an admin who sets the own password.
    EndAllBut(Option<TokenId>),
    /// They go on.
    Keep,
}

/// What became of users that were to be disabled.
#[derive(Debug, Default)]
pub struct Disabled {
    /// How many were.
    pub users: u64,
    /// How many tokens that ended.
    pub tokens: u64,
    /// Why one was left as it was.
    pub left: Option<&'static str>,
}

impl Auth {
    /// Creates a user.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the name is taken or the password refused; [`Error::Overloaded`];
    /// [`Error::Database`].
    pub async fn create_user(
        &self,
        username: &Username,
        password: &Password,
        role: Role,
        actor: &Actor,
    ) -> Result<UserId, Error> {
        self.demand_fit("password", username, password)?;
        let hash = self.hasher.hash(password).await?;
        let mut tx = self.pool.write().await?;
        let id = create(&mut tx, username, &hash, role, actor).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Creates the first admin, if there is none yet: of several who try at once, one succeeds.
    ///
    /// # Errors
    /// [`Error::Conflict`] if there is one; else as [`Auth::create_user`].
    pub async fn create_first_admin(
        &self,
        username: &Username,
        password: &Password,
        actor: &Actor,
    ) -> Result<UserId, Error> {
        const SET_UP: &str = "There is an admin already.";
        self.demand_fit("password", username, password)?;
        let hash = self.hasher.hash(password).await?;
        // No row of theirs exists yet that two could both lock, hence the strictest transaction.
        let mut tx = self.pool.write_alone().await?;
        if user::any_admin(&mut tx).await? {
            return Err(Error::Conflict(SET_UP));
        }
        let created = create(&mut tx, username, &hash, Role::Admin, actor).await;
        let done = match created {
            Ok(id) => tx.commit().await.map(|()| id).map_err(Error::from),
            Err(error) => Err(error),
        };
        done.map_err(|error| match error {
            Error::Database(error) if may_be_tried_again(&error) => Error::Conflict(SET_UP),
            error => error,
        })
    }

    /// Whether there is any admin.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn has_admin(&self) -> Result<bool, Error> {
        let mut db = self.pool.read().await?;
        Ok(user::any_admin(&mut db).await?)
    }

    /// Disables a user and ends their tokens, and says how many. Again is harmless.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] for the last active admin; [`Error::Database`].
    pub async fn disable(&self, id: UserId, actor: &Actor) -> Result<u64, Error> {
        let now = now();
        let mut tx = self.change_of(id).await?;
        let user = find_spared(&mut tx, id).await?;
        if user::disable(&mut tx, id, now).await? {
            event::insert(&mut tx, Action::UserDisabled, actor, about(&user), now).await?;
        }
        let which = Which::OfUser(id, None);
        let ended = end_within(&mut tx, which, Reason::UserDisabled, actor, now).await?;
        tx.commit().await?;
        Ok(ended)
    }

    /// Disables users, as one bulk action.
    ///
    /// # Errors
    /// [`Error::Database`]; those that were disabled before stay so.
    pub async fn disable_each(&self, ids: &[UserId], actor: &Actor) -> Result<Disabled, Error> {
        let mut disabled = Disabled::default();
        let actions = (Action::UsersDisabled, Action::UserDisabled);
        let work = async |actor: &Actor| {
            for id in ids {
                match self.disable(*id, actor).await {
                    Ok(ended) => {
                        disabled.users += 1;
                        disabled.tokens += ended;
                    }
                    Err(Error::NotFound) => {}
                    Err(Error::Conflict(why)) => disabled.left = Some(why),
                    Err(error) => return Err(error),
                }
            }
            Ok(disabled.users)
        };
        self.in_bulk(actions, "selected", actor, work).await?;
        Ok(disabled)
    }

    /// Enables a user again. Again is harmless.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Database`].
    pub async fn enable(&self, id: UserId, actor: &Actor) -> Result<(), Error> {
        let mut tx = self.pool.write().await?;
        let user = find(&mut tx, id).await?;
        if user::enable(&mut tx, id).await? {
            event::insert(&mut tx, Action::UserEnabled, actor, about(&user), now()).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Makes a user an admin. Again is harmless.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Database`].
    pub async fn promote(&self, id: UserId, actor: &Actor) -> Result<(), Error> {
        let mut tx = self.change_of(id).await?;
        let user = find(&mut tx, id).await?;
        if user::set_role(&mut tx, id, Role::Admin).await? {
            tx.concerns(id);
            event::insert(&mut tx, Action::UserPromoted, actor, about(&user), now()).await?;
        }
        tx.commit().await
    }

    /// Makes an admin a user and ends their admin sessions; tokens of the API go on. Again is
    /// harmless.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] for the last active admin; [`Error::Database`].
    pub async fn demote(&self, id: UserId, actor: &Actor) -> Result<(), Error> {
        let now = now();
        let mut tx = self.change_of(id).await?;
        let user = find_spared(&mut tx, id).await?;
        if user::set_role(&mut tx, id, Role::User).await? {
            tx.concerns(id);
            event::insert(&mut tx, Action::UserDemoted, actor, about(&user), now).await?;
        }
        let which = Which::OfKind(id, Kind::Admin);
        end_within(&mut tx, which, Reason::UserDemoted, actor, now).await?;
        tx.commit().await
    }

    /// Deletes a user with their tokens, and says how many those were. The audit trail stays.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] for the last active admin; [`Error::Database`].
    pub async fn delete_user(&self, id: UserId, actor: &Actor) -> Result<u64, Error> {
        let now = now();
        let mut tx = self.change_of(id).await?;
        let user = find_spared(&mut tx, id).await?;
        // Whoever is signing in right now holds the user's row; so do we from here on.
        user::disable(&mut tx, id, now).await?;
        let which = Which::OfUser(id, None);
        let ended = end_within(&mut tx, which, Reason::UserDeleted, actor, now).await?;
        user::delete(&mut tx, id).await?;
        throttle::forget(&mut tx, id).await?;
        event::insert(&mut tx, Action::UserDeleted, actor, about(&user), now).await?;
        tx.commit().await?;
        Ok(ended)
    }

    /// Changes the current user's password, ends all their other tokens, and says how many.
    ///
    /// # Errors
    /// [`Error::Invalid`] with `new_password`; [`Error::InvalidToken`] if the user was changed
    /// meanwhile; else as [`Auth::confirm`].
    pub async fn change_password(
        &self,
        session: &Session,
        current: &Password,
        new: &Password,
        caller: &Caller,
    ) -> Result<u64, Error> {
        let (id, actor) = (session.user_id, session.actor(caller));
        let about = About {
            subject: Some((id, &session.username)),
            ..About::default()
        };
        let since = Instant::now();
        // A login that renews the hash meanwhile makes the first round miss.
        for _ in 0..2 {
            let (permit, checked) = self
                .check_own_password(session, current, caller, since)
                .await?;
            self.demand_fit("new_password", &username_of(&checked.username)?, new)?;
            let hash = permit.hash(new).await?;
            drop(permit);
            let now = now();
            let mut tx = self.change_of(id).await?;
            if user::change_password(&mut tx, id, &checked.password_hash, &hash).await? {
                event::insert(&mut tx, Action::PasswordChanged, &actor, about, now).await?;
                let which = Which::OfUser(id, Some(session.token_id));
                let ended =
                    end_within(&mut tx, which, Reason::PasswordChanged, &actor, now).await?;
                tx.commit().await?;
                return Ok(ended);
            }
        }
        Err(Error::InvalidToken)
    }

    /// Takes the password of who is signed in again, for actions that ask for it, and gives the
    /// session a new token in place of the one it had.
    ///
    /// # Errors
    /// [`Error::Invalid`] with `current_password`; [`Error::InvalidToken`] if the session has ended
    /// meanwhile; [`Error::Throttled`]; [`Error::Overloaded`]; [`Error::Database`].
    pub async fn confirm(
        &self,
        session: &Session,
        current: &Password,
        caller: &Caller,
    ) -> Result<Secret, Error> {
        self.check_own_password(session, current, caller, Instant::now())
            .await?;
        self.renew(session).await
    }

    /// Checks the password of who is signed in. It counts against guessing as a login does: whoever
    /// has stolen a token has not got the password yet.
    async fn check_own_password(
        &self,
        session: &Session,
        current: &Password,
        caller: &Caller,
        since: Instant,
    ) -> Result<(Permit, Credentials), Error> {
        let id = session.user_id;
        let found = {
            let mut db = self.pool.read().await?;
            user::credentials(&mut db, id).await?
        };
        let found = found.ok_or(Error::InvalidToken)?;
        let (name, known) = (username_of(&found.username)?, found.password_hash.clone());
        let presented = Presented {
            username: &name,
            password: current,
            caller,
            session: Some(session.token_id),
            since,
        };
        let Checked {
            verdict,
            attempt,
            permit,
        } = self.check_password(&presented, Some((id, known))).await?;
        if verdict == Verdict::Wrong {
            drop(permit);
            let refused = Refused {
                user: Some((id, session.username.clone())),
                reason: "confirmation",
            };
            let actor = session.actor(caller);
            self.record_failure(&actor, &refused, &attempt).await?;
            return Err(FieldErrors::one(
                "current_password",
                "This is not your current password.",
            ));
        }
        self.forgive(&attempt).await?;
        Ok((permit, found))
    }

    /// Sets a user's password, as an admin or the command line does, ends the user's tokens but
    /// those that are kept, and says how many.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] with `password`; [`Error::Overloaded`];
    /// [`Error::Database`].
    pub async fn set_password(
        &self,
        user: &User,
        new: &Password,
        tokens: Tokens,
        actor: &Actor,
    ) -> Result<u64, Error> {
        self.demand_fit("password", &username_of(&user.username)?, new)?;
        let hash = self.hasher.hash(new).await?;
        let now = now();
        let mut tx = self.change_of(user.id).await?;
        if !user::set_password(&mut tx, user.id, &hash).await? {
            return Err(Error::NotFound);
        }
        event::insert(&mut tx, Action::PasswordReset, actor, about(user), now).await?;
        let ended = match tokens {
            Tokens::EndAllBut(kept) => {
                let which = Which::OfUser(user.id, kept);
                end_within(&mut tx, which, Reason::PasswordChanged, actor, now).await?
            }
            Tokens::Keep => 0,
        };
        tx.commit().await?;
        Ok(ended)
    }

    pub(super) fn demand_fit(
        &self,
        field: &'static str,
        username: &Username,
        password: &Password,
    ) -> Result<(), Error> {
        let mut errors = FieldErrors::default();
        for complaint in password::complaints(&self.settings, username, password) {
            errors.add(field, complaint);
        }
        errors.into_result(())
    }
}

fn username_of(stored: &str) -> Result<Username, Error> {
    Username::parse(stored).map_err(|_| Error::Internal("a stored username is unfit"))
}

async fn create(
    tx: &mut Conn,
    username: &Username,
    hash: &str,
    role: Role,
    actor: &Actor,
) -> Result<UserId, Error> {
    let (id, now) = (UserId::new(), now());
    if !user::insert(tx, id, username, hash, role, now).await? {
        return Err(FieldErrors::one("username", NAME_TAKEN));
    }
    let about = About {
        subject: Some((id, username.as_str())),
        ..About::default()
    };
    event::insert(tx, Action::UserCreated, actor, about, now).await?;
    Ok(id)
}

async fn find(tx: &mut Conn, id: UserId) -> Result<User, Error> {
    user::find(tx, id).await?.ok_or(Error::NotFound)
}

/// The user, unless it is the last active admin.
async fn find_spared(tx: &mut Conn, id: UserId) -> Result<User, Error> {
    let admins = user::lock_active_admins(tx).await?;
    let user = find(tx, id).await?;
    if user.role == Role::Admin && user.disabled_at.is_none() && admins <= 1 {
        return Err(Error::Conflict(LAST_ADMIN));
    }
    Ok(user)
}

fn about(user: &User) -> About<'_> {
    About {
        subject: Some((user.id, &user.username)),
        ..About::default()
    }
}

//! What happened to one user: the tokens that are left of it, and the lines of the trail.

use std::sync::Arc;

use rand::RngExt;
use rand::distr::{Alphanumeric, SampleString};

use super::clients::{Owned, address};
use super::clock::{DAY, HOUR, moment};
use super::maker::Maker;
use super::pick;
use crate::auth::sessions::Reason;
use crate::identity::{ClientName, EventId, TokenId};
use crate::models::demo::{Batch, Client, DemoEvent, DemoToken, Party};
use crate::models::event::{Action, Via};
use crate::models::user::Role;
use crate::secret::Secret;

const MINUTE: i64 = 60;
/// The most earlier sign-ins of a client that the trail tells of, so that it has some five lines for each
/// token that is left.
const MOST_EARLIER: i64 = 4;

/// Something that happened, beside that the user signed in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Episode {
    Quiet,
    LoggedOut,
    RevokedOwn,
    RevokedByAdmin,
    Expired,
    Evicted,
    ChangedPassword,
    PasswordReset,
    AdminForAWhile,
    DisabledForAWhile,
    /// Somebody else left for good.
    Departed,
    Mistyped,
    /// Somebody tried a name that nobody has.
    Stranger,
    /// Somebody guessed at the password.
    Throttled,
}

/// A user's story while it is told.
pub(super) struct Story<'m> {
    maker: &'m mut Maker,
    batch: &'m mut Batch,
    party: Arc<Party>,
    born: i64,
    /// Whatever tokens the user had before were all ended.
    since: i64,
    /// Addresses that the user signs in from.
    places: Vec<Arc<str>>,
    last_login: Option<i64>,
    last_use: Option<i64>,
}

/// What signs the lines that are written by one request.
struct Request {
    /// Unix milliseconds; a line later each time, so that lines stay in order.
    at: i64,
    via: Via,
    actor: Option<Arc<Party>>,
    address: Option<Arc<str>>,
    id: Option<String>,
}

/// A token that is about to end, or has just begun.
#[derive(Clone)]
struct Named {
    token: TokenId,
    client: Arc<Client>,
}

impl<'m> Story<'m> {
    pub(super) fn new(
        maker: &'m mut Maker,
        party: Arc<Party>,
        born: i64,
        batch: &'m mut Batch,
    ) -> Self {
        let places = 1 + maker.rng.random_range(0..3);
        let places = (0..places).map(|_| address(&mut maker.rng)).collect();
        Self {
            maker,
            batch,
            party,
            born,
            since: born,
            places,
            last_login: None,
            last_use: None,
        }
    }

    /// The last login and the last time that the user was seen.
    pub(super) fn end(self) -> (Option<i64>, Option<i64>) {
        (self.last_login, self.last_login.max(self.last_use))
    }

    /// The account is made: the first admin's by whoever has a shell, the others' by an admin.
    pub(super) fn created(&mut self, role: Role) {
        let mut request = self.by_admin(self.born);
        self.say(&mut request, Action::UserCreated, None, None);
        if role == Role::Admin {
            if !self.maker.admins.is_empty() {
                let later = self.moment(self.born, self.born + 10 * DAY);
                let mut request = self.by_admin(later);
                self.say(&mut request, Action::UserPromoted, None, None);
            }
            let address = Arc::clone(&self.places[0]);
            self.maker.admins.push((Arc::clone(&self.party), address));
        }
    }

    /// The account is disabled; says when.
    pub(super) fn disabled(&mut self) -> i64 {
        let (named, at) = self.past();
        let mut request = self.by_admin(at);
        self.say(&mut request, Action::UserDisabled, None, None);
        self.say_ended(&mut request, &named, Reason::UserDisabled);
        let later = self.moment(at, at + 5 * DAY);
        let mut late = self.by_stranger(later);
        self.say(&mut late, Action::LoginFailed, None, Some("user disabled"));
        at
    }

    /// Signs so many clients in, with tokens that are there still.
    pub(super) fn tokens(&mut self, number: usize) {
        for owned in self.maker.clients.choose(&mut self.maker.rng, number) {
            self.token(&owned);
        }
    }

    fn token(&mut self, (client, agents): &Owned) {
        let times = self.maker.times(self.since);
        let replaced = self.earlier(client, times.created);
        let id = self.sign_in(times.created, client, replaced).token;
        self.last_use = self.last_use.max(times.used);
        let secret = Secret::generate(&self.maker.settings.token_prefix);
        let rng = &mut self.maker.rng;
        self.batch.tokens.push(DemoToken {
            id,
            user: Arc::clone(&self.party),
            client: Arc::clone(client),
            digest: secret.digest(),
            hint: secret.hint().to_owned(),
            created_at: times.created,
            last_used_at: times.used,
            expires_at: times.expires,
            ends_at: times.ends,
            address: Arc::clone(pick(rng, &self.places)),
            user_agent: pick::<&str>(rng, agents),
        });
    }

    /// That client's earlier sign-ins; gives the token that the one at `until` replaces, if any.
    fn earlier(&mut self, client: &Arc<Client>, until: i64) -> Option<(Named, Reason)> {
        let since = self.since.max(self.maker.clock.trail_begins);
        let most = (until - since) / (7 * DAY);
        let number = self.maker.rng.random_range(0..=MOST_EARLIER).min(most);
        let mut times: Vec<i64> = (0..number)
            .map(|_| self.moment(since + HOUR, until - HOUR))
            .collect();
        times.sort_unstable();
        // Two in one second could come out the wrong way round.
        times.dedup();
        let mut replaced = None;
        for (i, &at) in times.iter().enumerate() {
            let next = times.get(i + 1).copied().unwrap_or(until);
            if self.maker.rng.random_ratio(1, 8) {
                self.mistyped_at(at - 2 * MINUTE);
            }
            let named = self.sign_in(at, client, replaced.take());
            replaced = self.until_next(named, at, next);
        }
        replaced
    }

    /// The token of a sign-in ends before the client signs in again, or by that.
    fn until_next(&mut self, named: Named, at: i64, next: i64) -> Option<(Named, Reason)> {
        let life = self.maker.clock.unused_life();
        let over = at.saturating_add(life) + HOUR;
        let by = match self.maker.rng.random_range(0..24) {
            _ if next - at < HOUR => return Some((named, Reason::Replaced)),
            0..8 => Self::by_self,
            8 => Self::by_admin,
            _ if next > over => {
                self.say_expired(&named, at + life);
                return None;
            }
            _ => return Some((named, Reason::Replaced)),
        };
        let ended = self.moment(at + 1, next.min(over - HOUR) - 1);
        let mut request = by(self, ended);
        let reason = match request.via {
            Via::Api => Reason::Logout,
            _ => Reason::Revoked,
        };
        self.say_ended(&mut request, &named, reason);
        None
    }

    /// Tells an episode of users who have been there long enough for it.
    pub(super) fn play(&mut self, episode: Episode) {
        if self.born > self.maker.clock.now - 2 * DAY {
            return;
        }
        match episode {
            Episode::Quiet => {}
            Episode::LoggedOut => self.ended_by(Self::by_self, Reason::Logout),
            Episode::RevokedOwn => self.ended_by(Self::by_self, Reason::Revoked),
            Episode::RevokedByAdmin => self.ended_by(Self::by_admin, Reason::Revoked),
            Episode::Expired => self.expired(),
            Episode::Evicted => self.evicted(),
            Episode::ChangedPassword => {
                self.ended_after(
                    Self::by_self,
                    Action::PasswordChanged,
                    Reason::PasswordChanged,
                );
            }
            Episode::PasswordReset => {
                self.ended_after(
                    Self::by_admin,
                    Action::PasswordReset,
                    Reason::PasswordChanged,
                );
            }
            Episode::AdminForAWhile => self.admin_for_a_while(),
            Episode::DisabledForAWhile => {
                self.ended_after(Self::by_admin, Action::UserDisabled, Reason::UserDisabled);
                let last = self.batch.events.last().map_or(self.born, |event| event.at);
                let later = self.moment(last + 1, last + 9 * DAY);
                let mut request = self.by_admin(later);
                self.say(&mut request, Action::UserEnabled, None, None);
                self.since = (request.at / 1000 + 1).min(self.maker.clock.now);
            }
            Episode::Departed => self.departed(),
            Episode::Mistyped => self.mistyped(),
            Episode::Stranger => self.stranger(),
            Episode::Throttled => self.throttled(),
        }
    }

    fn ended_by(&mut self, by: fn(&mut Self, i64) -> Request, reason: Reason) {
        let (named, at) = self.past();
        let mut request = by(self, at);
        self.say_ended(&mut request, &named, reason);
    }

    fn ended_after(&mut self, by: fn(&mut Self, i64) -> Request, action: Action, reason: Reason) {
        let (named, at) = self.past();
        let mut request = by(self, at);
        self.say(&mut request, action, None, None);
        self.say_ended(&mut request, &named, reason);
        self.since = (request.at / 1000 + 1).min(self.maker.clock.now);
    }

    fn expired(&mut self) {
        let clock = &self.maker.clock;
        let (now, life) = (clock.now, clock.unused_life());
        if self.born > now - life - DAY {
            return;
        }
        let issued = moment(&mut self.maker.rng, self.born, now - life - HOUR);
        let (client, _) = self.maker.clients.any(&mut self.maker.rng);
        let named = self.sign_in(issued, &client, None);
        self.say_expired(&named, issued + life);
    }

    fn say_expired(&mut self, named: &Named, at: i64) {
        // The server looks every hour.
        let mut request = self.request(at + HOUR / 2, Via::Server, None, None);
        self.say_ended(&mut request, named, Reason::Expired);
    }

    fn evicted(&mut self) {
        let (oldest, at) = self.past();
        let (client, _) = self.maker.clients.any(&mut self.maker.rng);
        let named = self.sign_in(at, &client, Some((oldest, Reason::Evicted)));
        let later = self.moment(at + 1, at + 9 * DAY);
        let mut request = self.by_self(later);
        self.say_ended(&mut request, &named, Reason::Logout);
    }

    fn admin_for_a_while(&mut self) {
        let (first, last) = (self.born, self.maker.clock.now - DAY);
        let promoted = self.moment(first, last);
        let mut request = self.by_admin(promoted);
        self.say(&mut request, Action::UserPromoted, None, None);

        let word = Alphanumeric.sample_string(&mut self.maker.rng, 8);
        let Ok(name) = ClientName::parse(&format!("browser-{word}")) else {
            return;
        };
        let client = Arc::new(Client {
            key: name.key().to_owned(),
            name,
        });
        let signed_in = self.moment(promoted + 1, promoted + 9 * DAY);
        let mut request = self.by_self(signed_in);
        request.via = Via::Admin;
        let named = self.say_issued(&mut request, &client);

        let later = self.moment(signed_in + 1, signed_in + 2 * HOUR);
        let mut request = self.by_admin(later);
        self.say(&mut request, Action::UserDemoted, None, None);
        self.say_ended(&mut request, &named, Reason::UserDemoted);
    }

    fn departed(&mut self) {
        let party = self.maker.party(false, self.born);
        let mut other = Story::new(self.maker, party, self.born, self.batch);
        other.created(Role::User);
        let (named, at) = other.past();
        let mut request = other.by_admin(at);
        other.say_ended(&mut request, &named, Reason::UserDeleted);
        other.say(&mut request, Action::UserDeleted, None, None);
    }

    fn mistyped(&mut self) {
        let at = self.moment(self.born, self.maker.clock.now - HOUR);
        self.mistyped_at(at);
    }

    fn mistyped_at(&mut self, mut at: i64) {
        for _ in 0..self.maker.rng.random_range(1..=3) {
            let mut request = self.by_stranger(at);
            request.address = Some(Arc::clone(&self.places[0]));
            self.say(
                &mut request,
                Action::LoginFailed,
                None,
                Some("wrong password"),
            );
            at += self.maker.rng.random_range(4..40);
        }
    }

    fn stranger(&mut self) {
        let at = self.moment(self.born, self.maker.clock.now);
        let request = self.by_stranger(at);
        let event = request.line(Action::LoginFailed, None, Some("unknown user"));
        self.batch.events.push(event);
    }

    fn throttled(&mut self) {
        const WINDOW: i64 = 5 * 60;
        let failures = self.maker.settings.login_failures_per_account.min(20);
        let start = self.moment(self.born, self.maker.clock.now - HOUR);
        let address = address(&mut self.maker.rng);
        for failure in 1..=failures {
            let at = start + WINDOW * i64::from(failure) / (i64::from(failures) + 1);
            let mut request = self.by_stranger(at);
            request.address = Some(Arc::clone(&address));
            self.say(
                &mut request,
                Action::LoginFailed,
                None,
                Some("wrong password"),
            );
            if failure == failures {
                let reason = "too many failures for the account";
                self.say(&mut request, Action::LoginThrottled, None, Some(reason));
            }
        }
    }

    /// Signs some client in, a while ago; gives its token and when that may have ended.
    fn past(&mut self) -> (Named, i64) {
        let clock = &self.maker.clock;
        let (first, last) = (self.born.max(clock.trail_begins), clock.now - DAY);
        let life = clock.unused_life();
        let issued = self.moment(first, last);
        let (client, _) = self.maker.clients.any(&mut self.maker.rng);
        let named = self.sign_in(issued, &client, None);
        (named, self.moment(issued + 1, issued + life))
    }

    /// A client signs in, which may end another token of the user's.
    fn sign_in(&mut self, at: i64, client: &Arc<Client>, ended: Option<(Named, Reason)>) -> Named {
        let mut request = self.by_self(at);
        if let Some((named, reason)) = ended {
            self.say_ended(&mut request, &named, reason);
        }
        self.say_issued(&mut request, client)
    }

    fn say_issued(&mut self, request: &mut Request, client: &Arc<Client>) -> Named {
        let named = Named {
            token: TokenId::at(request.at),
            client: Arc::clone(client),
        };
        self.say(request, Action::TokenIssued, Some(&named), None);
        self.last_login = self.last_login.max(Some(request.at / 1000));
        named
    }

    fn say_ended(&mut self, request: &mut Request, named: &Named, reason: Reason) {
        self.say(
            request,
            Action::TokenEnded,
            Some(named),
            Some(reason.as_str()),
        );
    }

    fn say(
        &mut self,
        request: &mut Request,
        action: Action,
        named: Option<&Named>,
        reason: Option<&'static str>,
    ) {
        let mut event = request.line(action, named, reason);
        event.subject = Some(Arc::clone(&self.party));
        self.batch.events.push(event);
        request.at += 1;
    }

    fn moment(&mut self, first: i64, last: i64) -> i64 {
        moment(&mut self.maker.rng, first, last.min(self.maker.clock.now))
    }

    fn by_self(&mut self, at: i64) -> Request {
        let address = Arc::clone(pick(&mut self.maker.rng, &self.places));
        let actor = Arc::clone(&self.party);
        self.request(at, Via::Api, Some(actor), Some(address))
    }

    /// Somebody who is not signed in.
    fn by_stranger(&mut self, at: i64) -> Request {
        let address = address(&mut self.maker.rng);
        self.request(at, Via::Api, None, Some(address))
    }

    /// An admin, or who has a shell where there is none yet.
    fn by_admin(&mut self, at: i64) -> Request {
        if self.maker.admins.is_empty() {
            return self.request(at, Via::CommandLine, None, None);
        }
        let (admin, address) = pick(&mut self.maker.rng, &self.maker.admins).clone();
        self.request(at, Via::Admin, Some(admin), Some(address))
    }

    fn request(
        &mut self,
        at: i64,
        via: Via,
        actor: Option<Arc<Party>>,
        address: Option<Arc<str>>,
    ) -> Request {
        let at = at * 1000 + self.maker.rng.random_range(0..900);
        // Named as `web::request_id` does it.
        let id = address.is_some().then(|| EventId::at(at).to_string());
        Request {
            at,
            via,
            actor,
            address,
            id,
        }
    }
}

impl Request {
    /// A line about nobody in particular.
    fn line(
        &self,
        action: Action,
        named: Option<&Named>,
        reason: Option<&'static str>,
    ) -> DemoEvent {
        DemoEvent {
            id: EventId::at(self.at),
            at: self.at / 1000,
            action,
            via: self.via,
            actor: self.actor.clone(),
            subject: None,
            token: named.map(|named| named.token),
            client: named.map(|named| Arc::clone(&named.client)),
            reason,
            address: self.address.clone(),
            request_id: self.id.clone(),
        }
    }
}

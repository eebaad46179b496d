//! When things happen.

use rand::{Rng, RngExt};

use crate::auth::sessions::ends_at;
use crate::config::{Lifetime, Settings};
use crate::models::NEVER;

pub(super) const HOUR: i64 = 60 * 60;
pub(super) const DAY: i64 = 24 * HOUR;
/// How long ago the first user came.
const YEAR: i64 = 360 * DAY;

/// How much is going on in each hour of a day (UTC), in percent of the most.
const HOURS: [u8; 24] = [
    12, 8, 6, 5, 6, 10, 22, 45, 72, 92, 100, 95, 80, 84, 94, 92, 85, 74, 62, 54, 48, 40, 30, 19,
];
/// And on each day of a week, from Thursday, 1 January 1970, on.
const DAYS: [u8; 7] = [100, 88, 38, 34, 97, 100, 98];

/// The present, and how long things last.
pub(super) struct Clock {
    /// Unix seconds.
    pub(super) now: i64,
    ttl: Lifetime,
    idle_ttl: Lifetime,
    /// The trail has nothing from before.
    pub(super) trail_begins: i64,
}

/// A token's times, unix seconds.
pub(super) struct Times {
    pub(super) created: i64,
    pub(super) used: Option<i64>,
    pub(super) expires: Option<i64>,
    pub(super) ends: i64,
}

impl Clock {
    pub(super) fn new(settings: &Settings, now: i64) -> Self {
        let kept = seconds(settings.events_ttl);
        Self {
            now,
            ttl: settings.token_ttl,
            idle_ttl: settings.token_idle_ttl,
            // What is about to be pruned need not be there.
            trail_begins: now - kept + kept / 100,
        }
    }

    /// When so many users came, first to last.
    pub(super) fn births(&self, rng: &mut impl Rng, users: u32) -> Vec<i64> {
        let (first, last) = (self.now - YEAR, self.now - HOUR);
        let mut births: Vec<i64> = (0..users).map(|_| moment(rng, first, last)).collect();
        births.sort_unstable();
        if let Some(oldest) = births.first_mut() {
            *oldest = moment(rng, first, first + DAY);
        }
        births
    }

    /// The longest that a token lives unused, seconds.
    pub(super) fn unused_life(&self) -> i64 {
        seconds(self.ttl).min(seconds(self.idle_ttl))
    }

    /// Those of a live token, issued after `born` and used lately.
    pub(super) fn in_use(&self, rng: &mut impl Rng, born: i64) -> Times {
        let earliest = self.alive_since(born, seconds(self.ttl));
        let recent = [
            HOUR,
            DAY,
            DAY,
            7 * DAY,
            7 * DAY,
            seconds(self.idle_ttl).min(60 * DAY),
        ];
        let since = self.now - recent[rng.random_range(0..recent.len())];
        let since = self.alive_since(since.max(earliest), seconds(self.idle_ttl));
        let used = moment(rng, since, self.now);
        self.times(moment(rng, earliest, used), Some(used))
    }

    /// Those of a live token that was never used.
    pub(super) fn unused(&self, rng: &mut impl Rng, born: i64) -> Times {
        let earliest = self.alive_since(born, self.unused_life());
        self.times(moment(rng, earliest, self.now), None)
    }

    /// Those of a token that has expired lately; none if nothing that was issued after `born` can
    /// have.
    pub(super) fn expired(&self, rng: &mut impl Rng, born: i64) -> Option<Times> {
        let ended = self.now - rng.random_range(1..=2 * DAY);
        let (ttl, idle_ttl) = (seconds(self.ttl), seconds(self.idle_ttl));
        let (created, used) = if idle_ttl < ttl {
            let used = ended - idle_ttl;
            (moment(rng, born.max(ended - ttl), used), used)
        } else {
            let created = ended - ttl;
            (created, moment(rng, created.max(ended - idle_ttl), ended))
        };
        (self.unused_life() < YEAR && born <= created && created <= used)
            .then(|| self.times(created, Some(used)))
    }

    fn times(&self, created: i64, used: Option<i64>) -> Times {
        let expires = self.ttl.end_after(created);
        Times {
            created,
            used,
            expires,
            ends: ends_at(expires, self.idle_ttl, used.unwrap_or(created)),
        }
    }

    /// Since when something that lives so long can have been there and be there for a while yet.
    fn alive_since(&self, since: i64, life: i64) -> i64 {
        since.max(self.now - life + life / 50 + 1)
    }
}

/// A length in seconds; as good as for ever if it never ends.
fn seconds(life: Lifetime) -> i64 {
    let longest = NEVER / 4;
    let seconds = life.length().map(|length| length.as_secs());
    seconds
        .and_then(|s| i64::try_from(s).ok())
        .unwrap_or(longest)
        .min(longest)
}

/// A moment from `first` to `last`, by day and on weekdays rather.
pub(super) fn moment(rng: &mut impl Rng, first: i64, last: i64) -> i64 {
    let mut at = last;
    // At night there may be no busy hour in between.
    for _ in 0..16 {
        at = rng.random_range(first.min(last)..=last);
        if rng.random_range(0..10_000) < bustle(at) {
            break;
        }
    }
    at
}

/// How much is going on then, of 10,000.
fn bustle(at: i64) -> u16 {
    let of = |list: &[u8], index: i64| {
        let index = usize::try_from(index).unwrap_or_default() % list.len();
        u16::from(list[index])
    };
    let hour = at.rem_euclid(DAY) / HOUR;
    of(&HOURS, hour) * of(&DAYS, at.div_euclid(DAY).rem_euclid(7))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn clock(ttl: Lifetime, idle_ttl: Lifetime) -> Clock {
        let settings = Settings {
            token_ttl: ttl,
            token_idle_ttl: idle_ttl,
            ..Settings::default()
        };
        Clock::new(&settings, NOW)
    }

    fn never() -> Lifetime {
        serde_json::from_str("\"never\"").unwrap()
    }

    #[test]
    fn times_are_possible_whatever_the_lifetimes_are() {
        let rng = &mut rand::rng();
        let days = |days: u64| Lifetime::seconds(days * 24 * 60 * 60);
        let lives = [
            Lifetime::seconds(1),
            Lifetime::seconds(50),
            days(7),
            days(30),
            days(90),
            days(365_000),
            never(),
        ];
        for ttl in lives {
            for idle_ttl in lives {
                let clock = clock(ttl, idle_ttl);
                for age in [0, 1, HOUR, 3 * DAY, 45 * DAY, 360 * DAY] {
                    let born = NOW - age;
                    let live = [clock.in_use(rng, born), clock.unused(rng, born)];
                    assert!(
                        live.iter().all(|times| times.ends > NOW),
                        "{ttl:?} {idle_ttl:?} {age}"
                    );
                    let expired = clock.expired(rng, born);
                    assert!(
                        expired
                            .iter()
                            .all(|times| (NOW - 2 * DAY..NOW).contains(&times.ends))
                    );
                    for times in live.iter().chain(&expired) {
                        let used = times.used.unwrap_or(times.created);
                        assert!(born <= times.created && times.created <= used && used <= NOW);
                        assert_eq!(times.expires, ttl.end_after(times.created));
                    }
                }
            }
        }
        let old = clock(days(90), days(30)).expired(rng, NOW - 100 * DAY);
        assert!(old.is_some());
        let young = clock(days(90), days(30)).expired(rng, NOW - 20 * DAY);
        assert!(young.is_none());
    }

    #[test]
    fn there_is_more_going_on_by_day() {
        let rng = &mut rand::rng();
        let moments: Vec<i64> = (0..2000)
            .map(|_| moment(rng, NOW - 70 * DAY, NOW))
            .collect();
        let by_day = moments
            .iter()
            .filter(|at| (8..18).contains(&(*at % DAY / HOUR)))
            .count();
        assert!(by_day > 1200, "{by_day} of 2000");
    }
}

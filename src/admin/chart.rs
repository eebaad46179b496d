//! Where the lines of a chart go: templates draw them as SVG.

use serde::Serialize;
use time::{Date, Duration, Month};

use crate::models::event::Action;
use crate::models::stats::{Client, Daily};

/// Days that are drawn, today among them.
pub const DAYS: i64 = 30;
/// What a drawing is high and a day wide, in its own units.
const HEIGHT: i64 = 120;
const STEP: i64 = 20;
const BAR: i64 = 14;

/// Sign-ins and failures, day by day.
#[derive(Clone, Serialize)]
pub struct Days {
    bars: Vec<Bar>,
    width: i64,
    height: i64,
    /// What the top of the drawing stands for.
    top: i64,
    issued: i64,
    failed: i64,
}

/// One day: sign-ins below, failures on top of them.
#[derive(Clone, Serialize)]
struct Bar {
    /// "24 Nov".
    day: String,
    /// Whether there is room for the day below it.
    named: bool,
    issued: i64,
    failed: i64,
    x: i64,
    middle: i64,
    width: i64,
    issued_y: i64,
    issued_height: i64,
    failed_y: i64,
    failed_height: i64,
}

impl Days {
    /// From the day `first`, counted from 1970.
    pub fn of(first: i64, daily: &[Daily]) -> Self {
        let count = |day: i64, action: Action| {
            let found = daily
                .iter()
                .find(|one| one.day == day && one.action == action.as_str());
            found.map_or(0, |one| one.count)
        };
        let days: Vec<_> = (first..first + DAYS)
            .map(|day| {
                (
                    day,
                    count(day, Action::TokenIssued),
                    count(day, Action::LoginFailed),
                )
            })
            .collect();
        let highest = days.iter().map(|(_, issued, failed)| issued + failed).max();
        let top = round_up(highest.unwrap_or(0));
        let bars = days.iter().enumerate();
        Self {
            bars: bars
                .map(|(place, day)| Bar::new(place, *day, top))
                .collect(),
            width: STEP * DAYS,
            height: HEIGHT,
            top,
            issued: days.iter().map(|day| day.1).sum(),
            failed: days.iter().map(|day| day.2).sum(),
        }
    }
}

impl Bar {
    fn new(place: usize, (day, issued, failed): (i64, i64, i64), top: i64) -> Self {
        // What happened at all is to be seen.
        let long = |count: i64| match count {
            0 => 0,
            count => (count * HEIGHT / top).max(2),
        };
        let place = i64::try_from(place).unwrap_or(0);
        let (issued_height, failed_height) = (long(issued), long(failed));
        let x = place * STEP + (STEP - BAR) / 2;
        Self {
            day: in_words(day),
            named: (DAYS - 1 - place) % 7 == 0,
            issued,
            failed,
            x,
            middle: x + BAR / 2,
            width: BAR,
            issued_y: HEIGHT - issued_height,
            issued_height,
            failed_y: HEIGHT - issued_height - failed_height,
            failed_height,
        }
    }
}

/// A client's part of the live tokens.
#[derive(Clone, Serialize)]
pub struct Share {
    /// None for all others.
    client: Option<String>,
    count: i64,
    /// Of the largest named one, in percent; none for all others, which are many.
    length: Option<i64>,
}

/// The largest clients, and the rest of `all`.
pub fn shares(clients: Vec<Client>, all: i64) -> Vec<Share> {
    let rest = all - clients.iter().map(|client| client.count).sum::<i64>();
    let largest = clients.iter().map(|client| client.count).max().unwrap_or(1);
    let mut shares: Vec<_> = clients
        .into_iter()
        .map(|Client { client, count }| Share {
            client: Some(client),
            count,
            length: Some(count * 100 / largest.max(1)),
        })
        .collect();
    if rest > 0 {
        shares.push(Share {
            client: None,
            count: rest,
            length: None,
        });
    }
    shares
}

/// The next number of the kind that people count in: 1, 2 or 5 with noughts behind.
fn round_up(number: i64) -> i64 {
    let mut unit: i64 = 1;
    loop {
        for step in [1, 2, 5] {
            let round = unit.saturating_mul(step);
            if round >= number || round == i64::MAX {
                return round;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

/// A day counted from 1970 as "24 Nov".
fn in_words(day: i64) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let start = Date::from_calendar_date(1970, Month::January, 1);
    let date = start
        .ok()
        .and_then(|start| start.checked_add(Duration::days(day)));
    date.map_or_else(String::new, |date| {
        let month = MONTHS[usize::from(u8::from(date.month())) - 1];
        format!("{} {month}", date.day())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_stands_as_high_as_its_part_of_the_highest() {
        let daily = |day, action: Action, count| Daily {
            day,
            action: action.as_str().into(),
            count,
        };
        let days = Days::of(
            20_000,
            &[
                daily(20_000, Action::TokenIssued, 40),
                daily(20_000, Action::LoginFailed, 10),
                daily(20_029, Action::LoginFailed, 1),
                daily(20_030, Action::LoginFailed, 900),
            ],
        );
        assert_eq!((days.top, days.issued, days.failed), (50, 40, 11));
        let first = &days.bars[0];
        assert_eq!((first.issued_height, first.failed_height), (96, 24));
        assert_eq!((first.failed_y, first.issued_y), (0, 24));
        assert_eq!(days.bars[29].failed_height, 2);
        assert_eq!(days.bars[29].day, "2 Nov");
        assert!(days.bars[29].named);
    }

    #[test]
    fn the_top_is_a_round_number_that_nothing_passes() {
        for (number, top) in [
            (0, 1),
            (1, 1),
            (3, 5),
            (50, 50),
            (51, 100),
            (199, 200),
            (i64::MAX, i64::MAX),
        ] {
            assert_eq!(round_up(number), top, "{number}");
        }
    }

    #[test]
    fn the_rest_is_everything_that_is_not_named() {
        let clients = vec![
            Client {
                client: "a".into(),
                count: 6,
            },
            Client {
                client: "b".into(),
                count: 3,
            },
        ];
        let shares = shares(clients, 10);
        let lengths: Vec<_> = shares
            .iter()
            .map(|s| (s.client.as_deref(), s.count, s.length))
            .collect();
        assert_eq!(
            lengths,
            [
                (Some("a"), 6, Some(100)),
                (Some("b"), 3, Some(50)),
                (None, 1, None)
            ]
        );
    }
}

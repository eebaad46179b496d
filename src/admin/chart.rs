//! Where the bars of a chart go: templates draw them as SVG.

use chrono::DateTime;
use serde::Serialize;

use crate::models::stats::Ranked;

/// What a drawing is high, in its own units, and what a bar takes, with the space beside it.
const HEIGHT: i64 = 120;
const STEP: i64 = 20;
const BAR: i64 = 14;

/// What a bar stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A day of the last 30.
    Day,
    /// An hour of the last 24.
    Hour,
}

impl Unit {
    /// How long it is.
    pub fn seconds(self) -> i64 {
        match self {
            Self::Day => 24 * 60 * 60,
            Self::Hour => 60 * 60,
        }
    }

    /// How many are drawn, the current one among them.
    pub fn count(self) -> i64 {
        match self {
            Self::Day => 30,
            Self::Hour => 24,
        }
    }
}

/// Logins and failed logins over time.
#[derive(Clone, Serialize)]
pub struct Chart {
    bars: Vec<Bar>,
    width: i64,
    height: i64,
    /// Lines across, at the top, in the middle and at the bottom.
    ticks: Vec<Tick>,
    issued: i64,
    failed: i64,
}

#[derive(Clone, Serialize)]
struct Tick {
    y: i64,
    value: String,
}

/// One bar: logins below, failures on top of them.
#[derive(Clone, Serialize)]
struct Bar {
    /// "24 Nov", "14:00".
    label: String,
    /// `2026-11-24`, in UTC.
    date: String,
    /// Whether there is room for the label below it.
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

impl Chart {
    /// Logins and failed logins in each span from `first` on, unix seconds. A chart of hours has the failed ones
    /// alone.
    pub fn of(unit: Unit, first: i64, counts: &[(i64, i64)]) -> Self {
        let first = first / unit.seconds();
        let shown = |(issued, failed)| {
            if unit == Unit::Day {
                (issued, failed)
            } else {
                (0, failed)
            }
        };
        let counts: Vec<_> = (first..)
            .zip(counts)
            .map(|(number, counts)| {
                let (issued, failed) = shown(*counts);
                (number, issued, failed)
            })
            .collect();
        let highest = counts
            .iter()
            .map(|(_, issued, failed)| issued + failed)
            .max();
        let top = round_up(highest.unwrap_or(0).max(2));
        let bars = counts.iter().zip(0..);
        Self {
            bars: bars
                .map(|(counts, place)| Bar::new(unit, place, *counts, top))
                .collect(),
            width: STEP * unit.count(),
            height: HEIGHT,
            ticks: [(0, top), (HEIGHT / 2, top / 2), (HEIGHT, 0)]
                .map(|(y, value)| Tick {
                    y,
                    value: crate::web::templates::grouped(value),
                })
                .to_vec(),
            issued: counts.iter().map(|counts| counts.1).sum(),
            failed: counts.iter().map(|counts| counts.2).sum(),
        }
    }
}

impl Bar {
    fn new(unit: Unit, place: i64, (number, issued, failed): (i64, i64, i64), top: i64) -> Self {
        // What happened at all is to be seen.
        let long = |count: i64| match count {
            0 => 0,
            count => (count * HEIGHT / top).max(2),
        };
        let (issued_height, failed_height) = (long(issued), long(failed));
        let x = place * STEP + (STEP - BAR) / 2;
        let start = DateTime::from_timestamp(number * unit.seconds(), 0).unwrap_or_default();
        let every = if unit == Unit::Day { 7 } else { 6 };
        Self {
            label: start
                .format(if unit == Unit::Day { "%-d %b" } else { "%H:00" })
                .to_string(),
            date: start.format("%Y-%m-%d").to_string(),
            named: (unit.count() - 1 - place) % every == 0,
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
pub struct Part {
    /// None for all others.
    client: Option<String>,
    count: i64,
    /// Of the largest named one, in percent; none for all others, which are many.
    length: Option<i64>,
}

/// The largest clients, and the rest of `all`.
pub fn parts(clients: Vec<Ranked>, all: i64) -> Vec<Part> {
    let rest = all - clients.iter().map(|client| client.count).sum::<i64>();
    let largest = clients.iter().map(|client| client.count).max().unwrap_or(1);
    let mut parts: Vec<_> = clients
        .into_iter()
        .map(|Ranked { value, count }| Part {
            client: Some(value),
            count,
            length: Some(count * 100 / largest.max(1)),
        })
        .collect();
    if rest > 0 {
        parts.push(Part {
            client: None,
            count: rest,
            length: None,
        });
    }
    parts
}

/// The next even number of the kind that people count in: 2, 4 or 10 with noughts behind.
fn round_up(number: i64) -> i64 {
    let mut unit: i64 = 1;
    loop {
        for step in [2, 4, 10] {
            let round = unit.saturating_mul(step);
            if round >= number || round == i64::MAX {
                return round;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_stands_as_high_as_its_part_of_the_highest() {
        let mut counts = [(0, 0); 30];
        (counts[0], counts[29]) = ((80, 20), (0, 1));
        let chart = Chart::of(Unit::Day, 20_000 * 86_400, &counts);
        assert_eq!((chart.issued, chart.failed), (80, 21));
        let ticks: Vec<_> = chart.ticks.iter().map(|tick| tick.value.as_str()).collect();
        assert_eq!(ticks, ["100", "50", "0"]);
        let first = &chart.bars[0];
        assert_eq!((first.issued_height, first.failed_height), (96, 24));
        assert_eq!((first.failed_y, first.issued_y), (0, 24));
        assert_eq!(chart.bars[29].failed_height, 2);
        assert_eq!(
            (chart.bars[29].label.as_str(), chart.bars[29].date.as_str()),
            ("2 Nov", "2024-11-02")
        );
        assert!(chart.bars[29].named);
        let hours = Chart::of(Unit::Hour, 480_000 * 3600, &[(9, 0); 24]);
        assert_eq!(hours.issued, 0);
        assert_eq!(
            (hours.bars.len(), hours.bars[1].label.as_str()),
            (24, "01:00")
        );
    }

    #[test]
    fn the_top_is_an_even_number_that_nothing_passes() {
        for (number, top) in [
            (2, 2),
            (3, 4),
            (5, 10),
            (50, 100),
            (101, 200),
            (i64::MAX, i64::MAX),
        ] {
            assert_eq!(round_up(number), top, "{number}");
        }
    }

    #[test]
    fn the_rest_is_everything_that_is_not_named() {
        let client = |value: &str, count| Ranked {
            value: value.into(),
            count,
        };
        let parts = parts(vec![client("a", 6), client("b", 3)], 10);
        let lengths: Vec<_> = parts
            .iter()
            .map(|s| (s.client.as_deref(), s.count, s.length))
            .collect();
        let wanted = [
            (Some("a"), 6, Some(100)),
            (Some("b"), 3, Some(50)),
            (None, 1, None),
        ];
        assert_eq!(lengths, wanted);
    }
}

//! Layout of the bar charts, which templates draw as SVG.

use chrono::DateTime;
use serde::Serialize;

use crate::models::stats::RankedValue;

// In the units of the drawing.
const HEIGHT: i64 = 120;
/// The width of a bar with the space around it.
const STEP: i64 = 20;
const BAR_WIDTH: i64 = 14;

/// The time span of a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A day of the last 30.
    Day,
    /// An hour of the last 24.
    Hour,
}

impl Unit {
    /// Its length in seconds.
    pub fn seconds(self) -> i64 {
        match self {
            Self::Day => 24 * 60 * 60,
            Self::Hour => 60 * 60,
        }
    }

    /// The number of bars, including the current one.
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
    /// Horizontal lines at the top, middle and bottom.
    ticks: Vec<Tick>,
    issued: i64,
    failed: i64,
}

#[derive(Clone, Serialize)]
struct Tick {
    y: i64,
    value: String,
}

/// A bar of logins, with the failed ones stacked on top.
#[derive(Clone, Serialize)]
struct Bar {
    /// As in "24 Nov" or "14:00".
    label: String,
    /// As in `2026-11-24`, in UTC.
    date: String,
    /// Whether the label is drawn.
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
    /// Logins and failed logins per span from `first` on, in unix seconds. A chart of hours shows only failed ones.
    pub fn new(unit: Unit, first: i64, counts: &[(i64, i64)]) -> Self {
        let first = first / unit.seconds();
        let visible = |(issued, failed)| {
            if unit == Unit::Day {
                (issued, failed)
            } else {
                (0, failed)
            }
        };
        let counts: Vec<_> = (first..)
            .zip(counts)
            .map(|(number, counts)| {
                let (issued, failed) = visible(*counts);
                (number, issued, failed)
            })
            .collect();
        let maximum = counts
            .iter()
            .map(|(_, issued, failed)| issued + failed)
            .max();
        let top = round_up(maximum.unwrap_or(0).max(2));
        let bars = counts.iter().zip(0..);
        Self {
            bars: bars
                .map(|(counts, index)| Bar::new(unit, index, *counts, top))
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
    fn new(unit: Unit, index: i64, (number, issued, failed): (i64, i64, i64), top: i64) -> Self {
        // Even a single event stays visible.
        let bar_height = |count: i64| match count {
            0 => 0,
            count => (count * HEIGHT / top).max(2),
        };
        let (issued_height, failed_height) = (bar_height(issued), bar_height(failed));
        let x = index * STEP + (STEP - BAR_WIDTH) / 2;
        let start = DateTime::from_timestamp(number * unit.seconds(), 0).unwrap_or_default();
        let label_interval = if unit == Unit::Day { 7 } else { 6 };
        Self {
            label: start
                .format(if unit == Unit::Day { "%-d %b" } else { "%H:00" })
                .to_string(),
            date: start.format("%Y-%m-%d").to_string(),
            named: (unit.count() - 1 - index) % label_interval == 0,
            issued,
            failed,
            x,
            middle: x + BAR_WIDTH / 2,
            width: BAR_WIDTH,
            issued_y: HEIGHT - issued_height,
            issued_height,
            failed_y: HEIGHT - issued_height - failed_height,
            failed_height,
        }
    }
}

/// A client's share of the live tokens.
#[derive(Clone, Serialize)]
pub struct ClientShare {
    /// None for all other clients together.
    client: Option<String>,
    count: i64,
    /// In percent of the largest named client. None for all other clients together.
    length: Option<i64>,
}

/// The shares of the largest clients, and of the rest of `all`.
pub fn client_shares(clients: Vec<RankedValue>, all: i64) -> Vec<ClientShare> {
    let rest = all - clients.iter().map(|client| client.count).sum::<i64>();
    let largest = clients.iter().map(|client| client.count).max().unwrap_or(1);
    let mut shares: Vec<_> = clients
        .into_iter()
        .map(|RankedValue { value, count }| ClientShare {
            client: Some(value),
            count,
            length: Some(count * 100 / largest.max(1)),
        })
        .collect();
    if rest > 0 {
        shares.push(ClientShare {
            client: None,
            count: rest,
            length: None,
        });
    }
    shares
}

/// Rounds up to 2, 4 or 10 times a power of ten.
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
    fn bars_are_proportional_to_the_highest() {
        let mut counts = [(0, 0); 30];
        (counts[0], counts[29]) = ((80, 20), (0, 1));
        let chart = Chart::new(Unit::Day, 20_000 * 86_400, &counts);
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
        let hours = Chart::new(Unit::Hour, 480_000 * 3600, &[(9, 0); 24]);
        assert_eq!(hours.issued, 0);
        assert_eq!(
            (hours.bars.len(), hours.bars[1].label.as_str()),
            (24, "01:00")
        );
    }

    #[test]
    fn the_axis_ends_at_a_round_number_not_below_the_maximum() {
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
    fn the_rest_counts_all_clients_that_are_not_named() {
        let client = |value: &str, count| RankedValue {
            value: value.into(),
            count,
        };
        let shares = client_shares(vec![client("a", 6), client("b", 3)], 10);
        let lengths: Vec<_> = shares
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

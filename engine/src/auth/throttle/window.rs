//! The counts of a budget as time passes: windows, runs of failures, and attempts that lapse.
//!
//! A time too far in the future was written before the clock was set back. It counts as past, so that a wrong clock
//! locks nobody out once it is corrected.

use crate::models::attempt::BudgetRow;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Seconds in a window.
pub(super) const WINDOW: i64 = 5 * MINUTE;
/// Consecutive failures from which on a window is longer, and its length in seconds.
const EXTENDED_WINDOWS: [(i64, i64); 3] = [(100, DAY), (50, HOUR), (20, 15 * MINUTE)];
/// Seconds without a failure after which a run ends.
const RUN_TIMEOUT: i64 = 30 * DAY;
/// Seconds by which the clocks of several processes may differ.
pub(super) const MAX_CLOCK_SKEW: i64 = 10;
/// Seconds in a generation of pending attempts. Two generations count, so that an attempt lapses 15 to 30 seconds after
/// it began, whatever happens to its process and whatever others begin meanwhile. A request is answered long before
/// (within 12 seconds).
const GENERATION_LENGTH: i64 = 15;

/// Seconds in a window during a run of this many failures.
fn window_length(run: i64) -> i64 {
    let longer = EXTENDED_WINDOWS
        .into_iter()
        .find(|(failures, _)| run >= *failures);
    longer.map_or(WINDOW, |(_, window_length)| window_length)
}

impl BudgetRow {
    pub(super) fn at(mut self, now: i64) -> Self {
        if self.failed_at > now + MAX_CLOCK_SKEW || self.failed_at + RUN_TIMEOUT <= now {
            self.set_run(0);
        }
        if self.ends_at <= now || self.ends_at > now + window_length(self.run) + MAX_CLOCK_SKEW {
            self.open(now);
        }
        let generation = now.div_euclid(GENERATION_LENGTH);
        match generation - self.generation {
            // The other clock is a moment ahead.
            -1 | 0 => {}
            1 => {
                self.pending_before = self.pending;
                self.pending = 0;
                self.generation = generation;
            }
            _ => {
                (self.pending_before, self.pending) = (0, 0);
                self.generation = generation;
            }
        }
        self
    }

    /// Whether one more attempt may begin besides failed and pending ones.
    pub(super) fn has_room(&self, limit: i64) -> bool {
        self.failures + self.pending + self.pending_before < limit
    }

    /// Seconds until an attempt may begin, if failures have used up the budget.
    pub(super) fn blocked_for(&self, limit: i64, now: i64) -> Option<i64> {
        let rest = (self.ends_at - now).clamp(1, window_length(self.run));
        (self.failures >= limit).then_some(rest)
    }

    /// Counts an attempt as pending, and returns its generation. The first attempt starts the window.
    pub(super) fn begin(&mut self, now: i64) -> i64 {
        if self.failures + self.pending + self.pending_before == 0 {
            self.open(now);
        }
        self.pending += 1;
        self.generation
    }

    /// Removes a pending attempt of this generation, unless it has lapsed.
    pub(super) fn settle(&mut self, generation: i64) {
        match self.generation - generation {
            0 => self.pending = (self.pending - 1).max(0),
            1 => self.pending_before = (self.pending_before - 1).max(0),
            _ => {}
        }
    }

    pub(super) fn fail(&mut self) {
        self.failures += 1;
    }

    /// Counts a failure as part of a run. The current window grows with the run.
    pub(super) fn fail_in_a_row(&mut self, now: i64) {
        self.fail();
        self.set_run(self.run + 1);
        self.failed_at = now;
    }

    pub(super) fn end_run(&mut self) {
        self.set_run(0);
    }

    /// When the row can be deleted.
    pub(super) fn kept_until(&self) -> i64 {
        if self.run > 0 {
            self.failed_at + RUN_TIMEOUT
        } else {
            self.ends_at
        }
    }

    fn open(&mut self, now: i64) {
        self.failures = 0;
        self.ends_at = now + window_length(self.run);
        (self.failed_event, self.throttled_event) = (None, None);
    }

    fn set_run(&mut self, run: i64) {
        self.ends_at += window_length(run) - window_length(self.run);
        self.run = run;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn none() -> BudgetRow {
        BudgetRow {
            key: String::new(),
            failures: 0,
            ends_at: 0,
            pending: 0,
            pending_before: 0,
            generation: 0,
            run: 0,
            failed_at: 0,
            failed_event: None,
            throttled_event: None,
        }
    }

    /// The counts after `failures` in a row, ten per window, and the time of the last.
    fn after(failures: i64) -> (BudgetRow, i64) {
        let (mut counts, mut now) = (none().at(NOW), NOW);
        for _ in 0..failures {
            if !counts.has_room(10) {
                now += counts.blocked_for(10, now).unwrap();
            }
            counts = counts.at(now);
            let generation = counts.begin(now);
            counts.settle(generation);
            counts.fail_in_a_row(now);
        }
        (counts, now)
    }

    #[test]
    fn a_window_grows_at_the_20th_50th_and_100th_failure_in_a_row() {
        for (failures, wait) in [
            (10, WINDOW),
            (20, 15 * MINUTE),
            (30, 15 * MINUTE),
            (40, 15 * MINUTE),
            (50, HOUR),
            (90, HOUR),
            (100, DAY),
            (500, DAY),
        ] {
            let (counts, now) = after(failures);
            assert_eq!(counts.blocked_for(10, now), Some(wait), "{failures}");
            let later = counts.clone().at(now + wait - 1);
            assert_eq!(later.blocked_for(10, now + wait - 1), Some(1), "{failures}");
            let over = counts.at(now + wait);
            assert_eq!(over.blocked_for(10, now + wait), None, "{failures}");
            assert_eq!(over.run, failures, "the run goes on");
        }
        let (mut counts, now) = after(19);
        assert_eq!(counts.ends_at, now + WINDOW);
        counts.fail_in_a_row(now + 200);
        assert_eq!(counts.ends_at, now + 15 * MINUTE, "from where it began");
    }

    #[test]
    fn a_success_or_thirty_days_without_failures_end_a_run_and_shorten_the_window() {
        let (mut counts, now) = after(25);
        assert_eq!(counts.kept_until(), now + 30 * DAY);
        counts.end_run();
        assert_eq!((counts.run, counts.ends_at), (0, now + WINDOW));
        assert_eq!(counts.failures, 5, "a success takes no failure back");
        assert_eq!(counts.kept_until(), now + WINDOW);

        let (counts, now) = after(120);
        assert_eq!(counts.clone().at(now + 30 * DAY - 1).run, 120);
        let quiet = counts.at(now + 30 * DAY);
        assert_eq!((quiet.run, quiet.ends_at), (0, now + 30 * DAY + WINDOW));
    }

    #[test]
    fn a_clock_set_back_locks_no_account() {
        let (counts, now) = after(120);
        for back in [2 * MAX_CLOCK_SKEW, HOUR, 2 * DAY, 30 * DAY, 1000 * DAY] {
            let set_back = counts.clone().at(now - back);
            assert_eq!(set_back.blocked_for(10, now - back), None, "{back}");
            assert_eq!((set_back.run, set_back.failures), (0, 0), "{back}");
            assert_eq!(set_back.ends_at, now - back + WINDOW, "{back}");
        }
        let a_moment = counts.at(now - MAX_CLOCK_SKEW);
        assert_eq!(a_moment.blocked_for(10, now - MAX_CLOCK_SKEW), Some(DAY));
    }

    #[test]
    fn pending_attempts_lapse_within_thirty_seconds_even_under_a_stream_of_others() {
        let mut counts = none().at(NOW);
        for _ in 0..10 {
            counts.begin(NOW);
        }
        for second in 0..31 {
            counts = counts.at(NOW + second);
            let (pending, before) = (counts.pending, counts.pending_before);
            if second < 15 {
                assert_eq!(pending + before, 10, "{second}");
            }
            // Other attempts begin and settle in between.
            let generation = counts.begin(NOW + second);
            counts.settle(generation);
            assert_eq!((counts.pending, counts.pending_before), (pending, before));
        }
        assert_eq!((counts.pending, counts.pending_before), (0, 0));
    }

    #[test]
    fn an_attempt_is_settled_in_the_generation_it_began_in() {
        let mut counts = none().at(NOW);
        let (first, _) = (counts.begin(NOW), counts.begin(NOW));
        counts = counts.at(NOW + GENERATION_LENGTH);
        let second = counts.begin(NOW + GENERATION_LENGTH);
        counts.settle(first);
        assert_eq!((counts.pending, counts.pending_before), (1, 1));
        counts.settle(second);
        assert_eq!((counts.pending, counts.pending_before), (0, 1));
        // A lapsed attempt still counts as a failure and does not free another's slot.
        counts = counts.at(NOW + 3 * GENERATION_LENGTH);
        counts.begin(NOW + 3 * GENERATION_LENGTH);
        counts.settle(first);
        counts.fail();
        assert_eq!((counts.pending, counts.failures), (1, 1));
        // A clock that is slightly behind keeps pending attempts. One that is further behind drops them.
        counts = counts.at(NOW + 3 * GENERATION_LENGTH - MAX_CLOCK_SKEW);
        assert_eq!(counts.pending, 1);
        counts = counts.at(NOW - HOUR);
        assert_eq!(counts.pending, 0);
    }
}

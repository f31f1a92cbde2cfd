//! The log's own clock: which year a time without one belongs to, line by line.
//!
//! vLLM's header has no year. A log runs forwards, so that December followed by January is the turn of a year; a line of
//! before the turn may still come late, from another process. Years are counted from the first line, and get their number
//! from the first line that tells one, if any does.

use crate::model::log::{ASSUMED_YEAR, LogTime, civil_ns};

/// A jump longer than this is the turn of a year.
const HALF_YEAR_NS: i64 = 183 * 86_400 * 1_000_000_000;

/// The time of a line, with its year relative to the log's first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    time: LogTime,
    years: i32,
}

impl Stamp {
    /// What the time leaves off.
    pub(crate) fn resolution_ns(self) -> i64 {
        self.time.resolution_ns
    }

    /// Nanoseconds since 1970 on the writer's clock, where the log's first line is of `first_year`.
    pub(crate) fn wall_ns(self, first_year: i32) -> i64 {
        civil_ns(LogTime { year: None, ..self.time }, first_year.saturating_add(self.years))
    }
}

/// Follows the times of a log.
#[derive(Default)]
pub(crate) struct Clock {
    /// Time of the first dated line.
    pub(crate) first: Option<Stamp>,
    /// The year of the first line, once a line tells its own.
    first_year: Option<i32>,
    years: i32,
    /// The last time, counted from the assumed year on.
    last_ns: Option<i64>,
}

impl Clock {
    /// Takes the time of the next line.
    pub(crate) fn stamp(&mut self, time: LogTime) -> Stamp {
        let stamp = Stamp { time, years: self.years_of(time) };
        self.last_ns = Some(stamp.wall_ns(ASSUMED_YEAR));
        self.first.get_or_insert(stamp);
        stamp
    }

    /// The year of the first line; `None` where no line tells one.
    pub(crate) fn known_year(&self) -> Option<i32> {
        self.first_year
    }

    /// The year that the first line is counted in.
    pub(crate) fn year(&self) -> i32 {
        self.first_year.unwrap_or(ASSUMED_YEAR)
    }

    fn years_of(&mut self, time: LogTime) -> i32 {
        if let Some(year) = time.year {
            let first = *self.first_year.get_or_insert(year.saturating_sub(self.years));
            self.years = year.saturating_sub(first);
            return self.years;
        }
        let ns = Stamp { time, years: self.years }.wall_ns(ASSUMED_YEAR);
        let last_ns = self.last_ns.unwrap_or(ns);
        if last_ns - ns > HALF_YEAR_NS {
            self.years = self.years.saturating_add(1);
            self.years
        } else if ns - last_ns > HALF_YEAR_NS {
            self.years.saturating_sub(1)
        } else {
            self.years
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;
    use crate::model::log::{LogTime, civil_ns};

    fn time(year: Option<i32>, month: u8, day: u8) -> LogTime {
        LogTime { year, month, day, ns_of_day: 7, resolution_ns: 1 }
    }

    #[test]
    fn the_first_line_that_tells_a_year_dates_those_before() {
        let mut clock = Clock::default();
        let old = clock.stamp(time(None, 12, 31));
        let new = clock.stamp(time(None, 1, 1));
        let late = clock.stamp(time(None, 12, 31));
        let told = clock.stamp(time(Some(2026), 1, 2));
        assert_eq!(clock.known_year(), Some(2025));
        let wall = |stamp: super::Stamp| stamp.wall_ns(clock.year());
        assert_eq!(wall(old), civil_ns(time(None, 12, 31), 2025));
        assert_eq!(wall(new), civil_ns(time(None, 1, 1), 2026));
        assert_eq!(wall(late), wall(old));
        assert_eq!(wall(told), civil_ns(time(None, 1, 2), 2026));
        assert_eq!(clock.first, Some(old));
    }

    #[test]
    fn any_year_is_survived() {
        let mut clock = Clock::default();
        for year in [Some(9999), Some(1970), None, Some(2026)] {
            clock.stamp(time(year, 12, 31)).wall_ns(0);
        }
        assert_eq!(clock.known_year(), Some(9999));
    }
}

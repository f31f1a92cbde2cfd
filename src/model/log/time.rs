//! Times of log lines: a civil date and time of day, the year often missing.

/// The time that a log line gives. vLLM's header has no year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogTime {
    /// Year, where the line gives one.
    pub year: Option<i32>,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Nanoseconds since midnight.
    pub ns_of_day: i64,
}

/// Nanoseconds in a day.
pub(crate) const NS_PER_DAY: i64 = 86_400_000_000_000;

/// Nanoseconds since 1970-01-01 00:00 on the clock that the log was written by, in `year` where the line gives none.
///
/// A log does not tell its time zone, so this is not UTC unless the writer's clock was.
pub fn civil_ns(time: LogTime, year: i32) -> i64 {
    days_from_civil(time.year.unwrap_or(year), time.month, time.day) * NS_PER_DAY + time.ns_of_day
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar, by counting years from March.
fn days_from_civil(year: i32, month: u8, day: u8) -> i64 {
    let (month, day) = (i64::from(month), i64::from(day));
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::{LogTime, NS_PER_DAY, civil_ns, days_from_civil};

    #[test]
    fn days_of_known_dates() {
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(days_from_civil(2000, 2, 29), 11_016);
        assert_eq!(days_from_civil(2025, 12, 16), 20_438);
        assert_eq!(days_from_civil(1969, 12, 31), -1);
    }

    #[test]
    fn a_missing_year_is_filled() {
        let time = LogTime { year: None, month: 1, day: 2, ns_of_day: 5 };
        assert_eq!(civil_ns(time, 1970), NS_PER_DAY + 5);
    }
}

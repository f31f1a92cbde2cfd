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
    /// What the line leaves off: the time is at least `ns_of_day` and less than this much more.
    pub resolution_ns: i64,
}

/// The year that times without one are counted from: a leap year, so that every date exists in it.
pub const ASSUMED_YEAR: i32 = 1972;

/// Nanoseconds in a day.
pub(crate) const NS_PER_DAY: i64 = 86_400_000_000_000;

/// Nanoseconds since 1970-01-01 00:00 on the clock that the log was written by, in `year` where the line gives none.
///
/// A log does not tell its time zone, so this is not UTC unless the writer's clock was. Years beyond what 64 bits hold
/// stop at the last nanosecond that they do.
pub fn civil_ns(time: LogTime, year: i32) -> i64 {
    let days = days_from_civil(time.year.unwrap_or(year), time.month, time.day);
    days.saturating_mul(NS_PER_DAY).saturating_add(time.ns_of_day)
}

/// A time that was counted from an assumed year on, counted from another year instead: date and time of day stay.
pub fn in_year(ns: i64, assumed: i32, year: i32) -> i64 {
    let (y, month, day) = civil_from_days(ns.div_euclid(NS_PER_DAY));
    days_from_civil(y - assumed + year, month, day) * NS_PER_DAY + ns.rem_euclid(NS_PER_DAY)
}

/// The year of a Unix time.
pub fn year_of(unix_ns: i64) -> i32 {
    civil_from_days(unix_ns.div_euclid(NS_PER_DAY)).0
}

/// `2026-11-21 23:39 UTC` of a Unix time.
pub fn minute_of(unix_ns: i64) -> String {
    let (year, month, day) = civil_from_days(unix_ns.div_euclid(NS_PER_DAY));
    let minutes = unix_ns.rem_euclid(NS_PER_DAY) / 60_000_000_000;
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", minutes / 60, minutes % 60)
}

/// Year, month and day of a number of days since 1970-01-01: the inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i32, u8, u8) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let small = |n: i64| u8::try_from(n).unwrap_or(1);
    (i32::try_from(year).unwrap_or(i32::MAX), small(month), small(day))
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
    use super::{
        LogTime, NS_PER_DAY, civil_from_days, civil_ns, days_from_civil, in_year, minute_of,
        year_of,
    };

    #[test]
    fn a_unix_time_is_said_to_the_minute() {
        let shown = [0, -1, 1_795_303_072_316_031_936].map(minute_of);
        assert_eq!(shown, ["1970-01-01 00:00 UTC", "1969-12-31 23:59 UTC", "2026-11-21 23:17 UTC"]);
    }

    #[test]
    fn days_of_known_dates() {
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(days_from_civil(2000, 2, 29), 11_016);
        assert_eq!(days_from_civil(2025, 12, 16), 20_438);
        assert_eq!(days_from_civil(1969, 12, 31), -1);
    }

    #[test]
    fn a_missing_year_is_filled() {
        let time = LogTime { year: None, month: 1, day: 2, ns_of_day: 5, resolution_ns: 1 };
        assert_eq!(civil_ns(time, 1970), NS_PER_DAY + 5);
    }

    #[test]
    fn days_and_dates_are_inverse() {
        for days in (-150_000..150_000).step_by(7) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
        assert_eq!(year_of(1_795_533_338_000_000_000), 2026);
        assert_eq!(year_of(-1), 1969);
    }

    #[test]
    fn a_year_is_replaced_and_the_date_stays() {
        // 21 November is day 326 of 1972, a leap year, and day 325 of 2026.
        let assumed = days_from_civil(1972, 11, 21) * NS_PER_DAY + 7;
        let real = days_from_civil(2026, 11, 21) * NS_PER_DAY + 7;
        assert_eq!(in_year(assumed, 1972, 2026), real);
        // A log that runs into January goes on in the year after.
        let next = days_from_civil(1973, 1, 1) * NS_PER_DAY;
        assert_eq!(in_year(next, 1972, 2026), days_from_civil(2027, 1, 1) * NS_PER_DAY);
    }
}

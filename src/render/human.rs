//! Numbers as people read them. The one place that rounds; numbers of CSV and JSON never come here.

use crate::schema::short;
use crate::schema::written::visible;
use crate::table::verdict::Part;
use crate::table::{Bar, Cell};

/// What stands where a trace does not say.
pub const NOT_RECORDED: &str = "-";

/// A cell as people read it. Control characters are shown as escapes, so that a name cannot move the cursor.
pub fn cell(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => visible(text),
        Cell::Count(n) => count(*n),
        Cell::Ns(ns) => duration(*ns),
        Cell::Bytes(n) => bytes(*n),
        Cell::Percent(value) => format!("{value:.2} %"),
        Cell::Rate(value) => rate(*value),
        Cell::Sentence(parts) => sentence(parts),
        Cell::Bar(one) => bar(*one, BAR_WIDTH),
        Cell::NotRecorded => NOT_RECORDED.to_owned(),
    }
}

/// Characters of a line of time where there is room.
pub const BAR_WIDTH: usize = 48;

/// A bar on a line of some characters; the shortest is one.
pub fn bar(bar: Bar, width: usize) -> String {
    let line = width.max(1) as i128;
    let column = |ns: i64| i128::from(ns) * line / i128::from(bar.whole_ns.max(1));
    let begin = column(bar.start_ns).clamp(0, line - 1) as usize;
    let end = column(bar.end_ns).clamp(begin as i128 + 1, line) as usize;
    format!("{}{}", " ".repeat(begin), bar.mark.to_string().repeat(end - begin))
}

/// A sentence with its figures.
pub fn sentence(parts: &[Part]) -> String {
    spoken(parts, visible)
}

/// Longest name in a sentence whose names lose their middle.
const MAX_NAME: usize = 48;

/// A sentence in which names are short enough to read on.
pub fn short_sentence(parts: &[Part]) -> String {
    spoken(parts, |name| visible(&short::fitting(&[name], MAX_NAME).swap_remove(0)))
}

fn spoken(parts: &[Part], name: impl Fn(&str) -> String) -> String {
    let part = |part: &Part| match part {
        Part::Words(text) => visible(text),
        Part::Name(text) => name(text),
        Part::Figure(one) => figure(&one.cell),
    };
    parts.iter().map(part).collect()
}

/// A figure of a sentence.
pub fn figure(value: &Cell) -> String {
    match value {
        Cell::Percent(value) => share(*value),
        other => cell(other),
    }
}

/// A share in a sentence, with one decimal; with two where one would make it nothing or everything, and where two would, too,
/// with what it is under or over.
pub fn share(value: f64) -> String {
    let needs_two = value != 0.0 && (value.abs() < 1.0 || (value > 99.9 && value < 100.0));
    match value {
        _ if !needs_two => format!("{value:.1} %"),
        0.0..0.005 => "<0.01 %".to_owned(),
        99.995..100.0 => ">99.99 %".to_owned(),
        _ => format!("{value:.2} %"),
    }
}

pub use crate::schema::written::grouped as count;

/// A rate with three decimals and its thousands apart: `4,437.836`. Small ones keep three digits.
pub fn rate(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    if value != 0.0 && value.abs() < 0.01 {
        return format!("{value:.2e}");
    }
    let fixed = format!("{:.3}", value.abs());
    let (whole, fraction) = fixed.split_once('.').unwrap_or((&fixed, "0"));
    let sign = if value < 0.0 { "-" } else { "" };
    match whole.parse() {
        Ok(whole) => format!("{sign}{}.{fraction}", count(whole)),
        Err(_) => format!("{sign}{fixed}"),
    }
}

/// A duration in the unit that keeps it readable, with three decimals: `12.345 ms`. Halves round away from zero.
pub fn duration(ns: i64) -> String {
    let magnitude = ns.unsigned_abs();
    let sign = if ns < 0 { "-" } else { "" };
    match magnitude {
        0..1_000 => format!("{sign}{magnitude} ns"),
        1_000..1_000_000 => format!("{sign}{} µs", thousandths(magnitude)),
        1_000_000..999_999_500 => format!("{sign}{} ms", thousandths(rounded(magnitude, 1_000))),
        _ => format!("{sign}{} s", thousandths(rounded(magnitude, 1_000_000))),
    }
}

/// A size in decimal units with two decimals: `1.04 GB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if n < 1_000 {
        return format!("{n} B");
    }
    let mut unit_bytes = 1_000_u64;
    let mut unit = 0;
    // 999,995 and more of a unit would be shown as 1000.00 of it.
    while unit + 1 < UNITS.len() && rounded(n, unit_bytes / 100) >= 100_000 {
        unit_bytes *= 1_000;
        unit += 1;
    }
    let hundredths = rounded(n, unit_bytes / 100);
    format!("{}.{:02} {}", hundredths / 100, hundredths % 100, UNITS[unit])
}

fn rounded(n: u64, divisor: u64) -> u64 {
    n / divisor + u64::from(n % divisor >= divisor.div_ceil(2))
}

fn thousandths(n: u64) -> String {
    format!("{}.{:03}", n / 1_000, n % 1_000)
}

#[cfg(test)]
mod tests {
    use super::{bytes, count, duration, rate, share};

    #[test]
    fn durations_keep_three_decimals() {
        assert_eq!(duration(0), "0 ns");
        assert_eq!(duration(999), "999 ns");
        assert_eq!(duration(1_000), "1.000 µs");
        assert_eq!(duration(999_999), "999.999 µs");
        assert_eq!(duration(12_345_499), "12.345 ms");
        assert_eq!(duration(12_345_500), "12.346 ms");
        assert_eq!(duration(999_999_499), "999.999 ms");
        assert_eq!(duration(999_999_500), "1.000 s");
        assert_eq!(duration(-1_500), "-1.500 µs");
        assert_eq!(duration(i64::MIN), "-9223372036.855 s");
    }

    #[test]
    fn shares_are_neither_nothing_nor_everything() {
        let shown = [0.0, 0.004, 0.005, 0.99, 1.0, 99.9, 99.95, 99.994, 99.996, 100.0].map(share);
        let expected = [
            "0.0 %", "<0.01 %", "0.01 %", "0.99 %", "1.0 %", "99.9 %", "99.95 %", "99.99 %",
            ">99.99 %", "100.0 %",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn sizes_and_counts() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_000), "1.00 kB");
        assert_eq!(bytes(999_994), "999.99 kB");
        assert_eq!(bytes(999_995), "1.00 MB");
        assert_eq!(bytes(1_035_000_000), "1.04 GB");
        assert_eq!(bytes(u64::MAX), "18.45 EB");
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000_931), "1,000,931");
    }

    #[test]
    fn rates_keep_three_decimals() {
        assert_eq!(rate(4_437.835_776), "4,437.836");
        assert_eq!(rate(0.0), "0.000");
        assert_eq!(rate(-1.5), "-1.500");
        assert_eq!(rate(0.000_059_725), "5.97e-5");
        assert_eq!(rate(f64::NAN), "NaN");
    }
}

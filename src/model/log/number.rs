//! Numbers as a log prints them: the value, and how far the printed digits may be from what was meant.

use crate::model::time::{ns_from_ms_text, ns_from_s_text};

/// A printed number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantity {
    /// The value, in the unit of its field.
    pub value: f64,
    /// Half a unit of the last printed digit where the writer rounded for display (tables, `%.2f`), else 0: Python's
    /// `repr` and JSON print every digit of a float.
    pub rounding: f64,
}

impl Quantity {
    /// A value known to its last digit.
    pub fn exact(value: f64) -> Self {
        Self { value, rounding: 0.0 }
    }

    /// Parses a number, with thousands separators allowed. `rounded` tells whether it was rounded for display.
    ///
    /// Python's spellings `nan`, `inf`, `-inf` and JSON's `NaN`, `Infinity` are numbers too.
    pub fn parse(text: &str, rounded: bool) -> Option<Self> {
        let plain = text.replace(',', "");
        let value: f64 = plain.parse().ok()?;
        let rounding = if rounded { half_last_digit(&plain) } else { 0.0 };
        Some(Self { value, rounding })
    }

    /// The same number in another unit.
    pub fn scaled(self, factor: f64) -> Self {
        Self { value: self.value * factor, rounding: self.rounding * factor }
    }

    /// Whether two printed numbers can be one value.
    pub fn agrees_with(self, other: Self) -> bool {
        let slack = self.rounding + other.rounding;
        let noise = f64::EPSILON * 8.0 * self.value.abs().max(other.value.abs());
        (self.value - other.value).abs() <= slack + noise
    }
}

/// Half a unit of the last printed digit; an integer printed without a fraction is exact.
fn half_last_digit(plain: &str) -> f64 {
    let mantissa = plain.split(['e', 'E']).next().unwrap_or(plain);
    match mantissa.split_once('.') {
        Some((_, fraction)) => {
            0.5 * 10_f64.powi(-i32::try_from(fraction.len()).unwrap_or(i32::MAX))
        }
        None => 0.0,
    }
}

/// A printed duration: exact integer nanoseconds of its decimal text, and the milliseconds for recomputing figures
/// with the writer's own arithmetic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogDuration {
    /// Nanoseconds, from the decimal text.
    pub ns: i64,
    /// The same in milliseconds, as printed.
    pub ms: Quantity,
}

impl LogDuration {
    /// Parses milliseconds. `None` for anything that is no finite number.
    pub fn from_ms(text: &str, rounded: bool) -> Option<Self> {
        let plain = text.replace(',', "");
        let ns = ns_from_ms_text(plain.as_bytes())?;
        Some(Self { ns, ms: Quantity::parse(&plain, rounded)? })
    }

    /// Parses seconds. `None` for anything that is no finite number.
    pub fn from_s(text: &str, rounded: bool) -> Option<Self> {
        let plain = text.replace(',', "");
        let ns = ns_from_s_text(plain.as_bytes())?;
        Some(Self { ns, ms: Quantity::parse(&plain, rounded)?.scaled(1e3) })
    }

    /// Of two prints of one duration, the more precise.
    pub fn finer(self, other: Self) -> Self {
        if other.ms.rounding < self.ms.rounding { other } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::{LogDuration, Quantity};

    #[test]
    fn printed_digits_bound_the_value() {
        let table = Quantity::parse("1,789.762", true).unwrap();
        assert_eq!((table.value, table.rounding), (1789.762, 0.0005));
        assert!(table.agrees_with(Quantity::exact(1_789.761_983_127_267_3)));
        assert!(!table.agrees_with(Quantity::exact(1789.7626)));
        assert_eq!(Quantity::parse("558", true).unwrap().rounding, 0.0);
        assert!(Quantity::parse("nan", false).unwrap().value.is_nan());
    }

    #[test]
    fn durations_keep_the_decimal() {
        let d = LogDuration::from_ms("17,991.970", true).unwrap();
        assert_eq!(d.ns, 17_991_970_000);
        assert_eq!(LogDuration::from_ms("0.43487548828125", false).unwrap().ns, 434_875);
        assert_eq!(LogDuration::from_s("2.41", true).unwrap().ms.rounding, 5.0);
        assert_eq!(LogDuration::from_ms("nan", false), None);
    }
}

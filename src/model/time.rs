//! Microsecond decimals to integer nanoseconds, exactly.
//!
//! Trace files write `ts` and `dur` in microseconds, mostly with three decimals that are whole nanoseconds. A float
//! never touches them here: a 64-bit float of an absolute timestamp already loses tens of nanoseconds.

use super::{number_of_digits, three_behind_point};

/// Parses a JSON number in microseconds into nanoseconds.
///
/// Accepts an optional sign, digits, a fraction and an exponent, as JSON and Python write them. Digits finer than a
/// nanosecond are rounded to nearest, halves away from zero. `None` for anything else, for non-finite spellings, and
/// where the result does not fit.
///
/// ```
/// use omni_trace::model::time::ns_from_us_text;
/// assert_eq!(ns_from_us_text(b"4448240097457.667"), Some(4_448_240_097_457_667));
/// assert_eq!(ns_from_us_text(b"68.0"), Some(68_000));
/// assert_eq!(ns_from_us_text(b"1.5e3"), Some(1_500_000));
/// assert_eq!(ns_from_us_text(b"NaN"), None);
/// ```
#[inline]
pub fn ns_from_us_text(text: &[u8]) -> Option<i64> {
    three_decimals(text).or_else(|| scaled_decimal(text, 3))
}

/// The form that Kineto writes: up to 15 digits, a point, three digits. `None` for every other form.
#[inline]
fn three_decimals(text: &[u8]) -> Option<i64> {
    let (whole, fraction) = text.split_last_chunk::<4>()?;
    if whole.len() > 15 {
        return None;
    }
    let milli = three_behind_point(*fraction)?;
    // Below 10^18.
    i64::try_from(number_of_digits(whole)? * 1000 + milli).ok()
}

/// Parses a decimal number of milliseconds into nanoseconds, under the rules of [`ns_from_us_text`].
///
/// ```
/// use omni_trace::model::time::ns_from_ms_text;
/// assert_eq!(ns_from_ms_text(b"3490.6439781188965"), Some(3_490_643_978));
/// ```
pub fn ns_from_ms_text(text: &[u8]) -> Option<i64> {
    scaled_decimal(text, 6)
}

/// Parses a decimal number of seconds into nanoseconds, under the rules of [`ns_from_us_text`].
///
/// ```
/// use omni_trace::model::time::ns_from_s_text;
/// assert_eq!(ns_from_s_text(b"0.0564"), Some(56_400_000));
/// ```
pub fn ns_from_s_text(text: &[u8]) -> Option<i64> {
    scaled_decimal(text, 9)
}

/// Parses a decimal number and multiplies it by `10^scale`, rounding to the nearest integer.
fn scaled_decimal(text: &[u8], scale: i32) -> Option<i64> {
    let (negative, digits) = match text.first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let mut mantissa: i128 = 0;
    let mut n_digits = 0_usize;
    let mut fraction_digits: i32 = 0;
    let mut exponent: i32 = 0;
    let mut in_fraction = false;
    for (i, &b) in digits.iter().enumerate() {
        match b {
            b'0'..=b'9' => {
                n_digits += 1;
                if mantissa < 10_i128.pow(30) {
                    mantissa = mantissa * 10 + i128::from(b - b'0');
                    fraction_digits += i32::from(in_fraction);
                } else if !in_fraction {
                    return None;
                }
            }
            b'.' if !in_fraction => in_fraction = true,
            b'e' | b'E' => {
                exponent = std::str::from_utf8(&digits[i + 1..]).ok()?.parse().ok()?;
                break;
            }
            _ => return None,
        }
    }
    if n_digits == 0 {
        return None;
    }
    let shift = scale.checked_add(exponent)?.checked_sub(fraction_digits)?;
    let value = shifted(mantissa, shift)?;
    i64::try_from(if negative { -value } else { value }).ok()
}

/// `mantissa * 10^shift`, rounded half away from zero for negative shifts.
fn shifted(mantissa: i128, shift: i32) -> Option<i128> {
    if mantissa == 0 {
        return Some(0);
    }
    if shift >= 0 {
        return mantissa.checked_mul(10_i128.checked_pow(u32::try_from(shift).ok()?)?);
    }
    match 10_i128.checked_pow(shift.unsigned_abs()) {
        Some(divisor) => Some((mantissa + divisor / 2) / divisor),
        None => Some(0),
    }
}

/// Appends nanoseconds as microseconds with three decimals, as Kineto writes them; reading them gives the same number.
///
/// ```
/// use omni_trace::model::time::write_us;
/// let mut text = Vec::new();
/// write_us(-1_005, &mut text);
/// assert_eq!(text, b"-1.005");
/// ```
pub fn write_us(ns: i64, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 24];
    let mut at = digits.len();
    let mut rest = ns.unsigned_abs();
    for place in 0.. {
        if place == 3 {
            at -= 1;
            digits[at] = b'.';
        }
        if place > 3 && rest == 0 {
            break;
        }
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    if ns < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::ns_from_us_text as ns;

    #[test]
    fn written_numbers_read_as_themselves() {
        for value in [0, 1, 999, 1_000, 12_345, -1, -1_000, i64::MAX, 1_790_857_026_000_000_123] {
            let mut text = Vec::new();
            super::write_us(value, &mut text);
            assert_eq!(ns(&text), Some(value), "{}", String::from_utf8_lossy(&text));
        }
    }

    #[test]
    fn whole_and_fractional_microseconds() {
        assert_eq!(ns(b"0"), Some(0));
        assert_eq!(ns(b"12"), Some(12_000));
        assert_eq!(ns(b"12.3"), Some(12_300));
        assert_eq!(ns(b"12.345"), Some(12_345));
        assert_eq!(ns(b"999999999999999.999"), Some(999_999_999_999_999_999));
        assert_eq!(ns(b"-12.345"), Some(-12_345));
        assert_eq!(ns(b"-0.001"), Some(-1));
        assert_eq!(ns(b"1790857026000000.123"), Some(1_790_857_026_000_000_123));
        assert_eq!(ns(b"1e3"), Some(1_000_000));
        assert_eq!(ns(b"1.7E-3"), Some(2));
    }

    #[test]
    fn finer_than_a_nanosecond_rounds() {
        assert_eq!(ns(b"0.0004"), Some(0));
        assert_eq!(ns(b"0.0005"), Some(1));
        assert_eq!(ns(b"1.23456789012345678901234567890123456789"), Some(1_235));
    }

    #[test]
    fn rejects_what_is_no_number() {
        for bad in ["", "-", ".", "abc", "1.2.3", "inf", "1e", "99999999999999999999"] {
            assert_eq!(ns(bad.as_bytes()), None, "{bad}");
        }
    }
}

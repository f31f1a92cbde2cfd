//! Digits to numbers, eight at a time.

/// A word of eight bytes of 1; times a byte it is that byte eight times.
pub(crate) const ONES: u64 = u64::from_ne_bytes([1; 8]);
/// The high bit of each of eight bytes.
pub(crate) const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);

/// The number that 1 to 16 decimal digits are; `None` for any other text.
#[inline]
pub(crate) fn number_of_digits(text: &[u8]) -> Option<u64> {
    match text.split_last_chunk::<8>() {
        None => up_to_eight(text),
        Some(([], low)) => eight(u64::from_le_bytes(*low)),
        Some((high, low)) if high.len() <= 8 => {
            Some(up_to_eight(high)? * 100_000_000 + eight(u64::from_le_bytes(*low))?)
        }
        Some(_) => None,
    }
}

/// The number that the three digits behind a point are; `None` for any other four bytes.
#[inline]
pub(crate) fn three_behind_point(text: [u8; 4]) -> Option<u64> {
    let [b'.', a, b, c] = text else { return None };
    let zeros = (ONES * u64::from(b'0')) >> 32;
    eight(u64::from(u32::from_le_bytes([b'0', a, b, c])) << 32 | zeros)
}

/// A number that was found at the start of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// Digits alone; below 10^15.
    Whole(u64),
    /// In thousandths: digits, a point and three digits; below 10^18.
    Thousandths(u64),
}

/// Bytes of text that [`number_at`] looks at.
const NUMBER_WINDOW: usize = 24;

/// The number that begins at `at`, and where it ends: up to 15 digits, and three behind a point. What follows may make it part of
/// something else, which is for the caller to see. `None` where there is none, or where the text ends soon.
#[inline]
pub(crate) fn number_at(text: &[u8], at: usize) -> Option<(Number, usize)> {
    let window = text.get(at..)?.first_chunk::<NUMBER_WINDOW>()?;
    let word =
        |at: usize| u64::from_le_bytes(*window[at..].first_chunk().expect("it is in the window"));
    let (mut n, mut whole) = leading_digits(word(0));
    if n == 8 {
        let (more, low) = leading_digits(word(8));
        (n, whole) = (8 + more, whole * POWERS[more] + low);
    }
    if n == 0 || n == 16 {
        return None;
    }
    match three_behind_point(*window[n..].first_chunk()?) {
        Some(milli) => Some((Number::Thousandths(whole * 1000 + milli), at + n + 4)),
        None => Some((Number::Whole(whole), at + n)),
    }
}

/// Powers of ten.
const POWERS: [u64; 9] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// How many of the bytes of `word` are digits, before the first that is none, in little-endian order; and their number.
#[inline]
fn leading_digits(word: u64) -> (usize, u64) {
    let values = word ^ (ONES * u64::from(b'0'));
    let n = (not_digits(values).trailing_zeros() / 8) as usize;
    // Aligned at the end, with zeros before.
    (n, number_of_values(values.unbounded_shl(64 - 8 * n as u32)))
}

/// The number that 1 to 8 digits are.
#[inline]
fn up_to_eight(text: &[u8]) -> Option<u64> {
    let n = text.len();
    // The bytes in little-endian order, loaded twice where they overlap.
    let word = match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        (Some(first), Some(last)) if n <= 8 => {
            let last = u64::from(u32::from_le_bytes(*last)) << (8 * (n - 4));
            u64::from(u32::from_le_bytes(*first)) | last
        }
        (None, None) if n > 0 => {
            let byte = |at: usize| u64::from(text[at]) << (8 * at);
            byte(0) | byte(n / 2) | byte(n - 1)
        }
        _ => return None,
    };
    // Aligned at the end, with zeros before.
    let shift = 8 * (8 - n);
    let zeros = (ONES * u64::from(b'0')) & !(u64::MAX << shift);
    eight((word << shift) | zeros)
}

/// The number that the eight bytes of `word` are, in little-endian order, if all are digits.
#[inline]
fn eight(word: u64) -> Option<u64> {
    let values = word ^ (ONES * u64::from(b'0'));
    (not_digits(values) == 0).then(|| number_of_values(values))
}

/// The high bit of each byte of 10 or more.
#[inline]
fn not_digits(values: u64) -> u64 {
    // The sum cannot carry into the next byte.
    (((values & !HIGHS) + ONES * (0x80 - 10)) | values) & HIGHS
}

/// The number of eight digits, of which each byte is one.
#[inline]
fn number_of_values(values: u64) -> u64 {
    // Neighbours are put together: by twos, by fours, all. What leaves the word at the top is not needed.
    let twos = (values.wrapping_mul(10 << 8 | 1) >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = (twos.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_FFFF_0000_FFFF;
    fours.wrapping_mul(10_000 << 32 | 1) >> 32
}

#[cfg(test)]
mod tests {
    use super::{Number, number_at, number_of_digits, three_behind_point};

    #[test]
    fn digits_are_their_number() {
        let digits = "9876543210123456";
        for start in 0..digits.len() {
            for end in start + 1..=digits.len() {
                let text = &digits[start..end];
                assert_eq!(number_of_digits(text.as_bytes()), text.parse().ok(), "{text}");
            }
        }
        for text in ["0", "00", "0000000000000007", "9999999999999999", "12345678"] {
            assert_eq!(number_of_digits(text.as_bytes()), text.parse().ok(), "{text}");
        }
    }

    #[test]
    fn numbers_are_found_with_their_end() {
        let digits = "9876543210123456";
        for n in 1..=16 {
            for start in 0..=16 - n {
                let whole = &digits[start..start + n];
                for (tail, n_decimals) in
                    [("", 0), (".402", 3), (".40", 0), (".4e2", 0), ("e5", 0), (".0000", 3)]
                {
                    let text = format!("x{whole}{tail}, \"dur\": 17.5, \"args\": {{}}");
                    let number: u64 = whole.parse().unwrap();
                    let expected = match n_decimals {
                        _ if n == 16 => None,
                        0 => Some((Number::Whole(number), 1 + n)),
                        _ => {
                            let milli: u64 = tail[1..4].parse().unwrap();
                            Some((Number::Thousandths(number * 1000 + milli), 1 + n + 4))
                        }
                    };
                    assert_eq!(number_at(text.as_bytes(), 1), expected, "{text}");
                }
            }
        }
        for text in
            ["-1.500, and twenty-four bytes", "", "\"7\", and twenty-four bytes", "7, and the end"]
        {
            assert_eq!(number_at(text.as_bytes(), 0), None, "{text}");
        }
        let text = [b"12345678".as_slice(), &[0xFF; 20]].concat();
        assert_eq!(number_at(&text, 0), Some((Number::Whole(12_345_678), 8)));
    }

    #[test]
    fn three_digits_stand_behind_a_point() {
        for (text, number) in [(b".402", Some(402)), (b".000", Some(0)), (b".999", Some(999))] {
            assert_eq!(three_behind_point(*text), number);
        }
        for text in [b"1402", b".4 2", b".40e", b"..40", b".4\xff0"] {
            assert_eq!(three_behind_point(*text), None, "{text:?}");
        }
    }

    #[test]
    fn whatever_is_no_digit_is_refused_wherever_it_stands() {
        assert_eq!(number_of_digits(b""), None);
        assert_eq!(number_of_digits(b"12345678901234567"), None);
        for n in 1..=16 {
            for at in 0..n {
                for byte in (0..=u8::MAX).filter(|byte| !byte.is_ascii_digit()) {
                    let mut text = vec![b'7'; n];
                    text[at] = byte;
                    assert_eq!(number_of_digits(&text), None, "{text:?}");
                }
            }
        }
    }
}

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
    // The high bit of a byte is set where its value is 10 or more; the sum cannot carry into the next byte.
    let others = (((values & !HIGHS) + ONES * (0x80 - 10)) | values) & HIGHS;
    if others != 0 {
        return None;
    }
    // Neighbours are put together: by twos, by fours, all. What leaves the word at the top is not needed.
    let twos = (values.wrapping_mul(10 << 8 | 1) >> 8) & 0x00FF_00FF_00FF_00FF;
    let fours = (twos.wrapping_mul(100 << 16 | 1) >> 16) & 0x0000_FFFF_0000_FFFF;
    Some(fours.wrapping_mul(10_000 << 32 | 1) >> 32)
}

#[cfg(test)]
mod tests {
    use super::{number_of_digits, three_behind_point};

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

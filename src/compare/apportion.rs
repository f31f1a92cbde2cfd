//! Means as exact fractions, and parts that sum to their whole to the nanosecond.

/// A fraction of nanoseconds: 32 bits behind the point.
pub(super) type Fixed = i128;

const SHIFT: u32 = 32;

/// `ns` times `weight` over `of`.
pub(super) fn fraction(ns: i128, weight: u64, of: u64) -> Fixed {
    ((ns * i128::from(weight)) << SHIFT).div_euclid(i128::from(of.max(1)))
}

/// The nearest whole number, halves up.
pub(super) fn rounded(value: Fixed) -> i64 {
    let whole = (value + (1 << (SHIFT - 1))) >> SHIFT;
    whole.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// A fraction as a float, for shares and intervals.
pub(super) fn float(value: Fixed) -> f64 {
    value as f64 / (1_u64 << SHIFT) as f64
}

/// The parts as whole numbers that sum to `whole`: each rounded down, and what is left given to those with the largest
/// remainders, the first among equals.
pub(super) fn apportioned(parts: &[Fixed], whole: i64) -> Vec<i64> {
    let mut out: Vec<i64> = parts.iter().map(|part| (part >> SHIFT) as i64).collect();
    let sum: i128 = out.iter().map(|&ns| i128::from(ns)).sum();
    let left = i128::from(whole) - sum;
    let mut order: Vec<usize> = (0..parts.len()).collect();
    let remainder = |i: usize| parts[i] & ((1 << SHIFT) - 1);
    order.sort_by_key(|&i| (std::cmp::Reverse(remainder(i)), i));
    if left < 0 {
        order.reverse();
    }
    let step = left.signum() as i64;
    let n = left.unsigned_abs();
    // Rounded totals are less than one off, so that one round nearly always does.
    for &i in order.iter().cycle().take(if order.is_empty() { 0 } else { n as usize }) {
        out[i] += step;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{apportioned, fraction, rounded};
    use proptest::prelude::*;

    #[test]
    fn the_largest_remainders_get_what_is_left() {
        let thirds = [fraction(1, 1, 3), fraction(2, 1, 3), fraction(4, 1, 3)];
        assert_eq!(apportioned(&thirds, 2), [0, 1, 1]);
        assert_eq!(apportioned(&[fraction(-1, 1, 2), fraction(1, 1, 2)], 0), [0, 0]);
        assert_eq!(rounded(fraction(1, 1, 2)), 1);
        assert_eq!(rounded(fraction(-1, 1, 2)), 0);
        assert!(apportioned(&[], 3).is_empty());
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_whole(
            sums in prop::collection::vec(-1_000_000_i64..1_000_000, 1..40),
            of in 1_u64..5_000,
        ) {
            let parts: Vec<_> = sums.iter().map(|&s| fraction(s.into(), 1, of)).collect();
            let whole = rounded(fraction(sums.iter().map(|&s| i128::from(s)).sum(), 1, of));
            let out = apportioned(&parts, whole);
            prop_assert_eq!(out.iter().sum::<i64>(), whole);
            for (out, &sum) in out.iter().zip(&sums) {
                prop_assert!((*out as f64 - sum as f64 / of as f64).abs() <= 1.0);
            }
        }
    }
}

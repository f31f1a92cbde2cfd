//! The middle of some values.

/// The middle value, the lower of two; `None` of nothing.
pub fn middle(values: &mut [i64]) -> Option<i64> {
    let at = values.len().checked_sub(1)? / 2;
    Some(*values.select_nth_unstable(at).1)
}

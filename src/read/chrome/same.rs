//! Whether two short texts are the same: what stands between the values of an event is so short that calling the C library for it
//! takes longer than comparing it.

/// Whether two texts are the same.
#[inline]
pub(super) fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && (is_same_by::<16>(a, b) || a.len() < 16 && is_same_short(a, b))
}

/// The same of texts of fewer bytes than 16.
#[inline]
fn is_same_short(a: &[u8], b: &[u8]) -> bool {
    match a.len() {
        8.. => is_same_by::<8>(a, b),
        4.. => is_same_by::<4>(a, b),
        _ => a.iter().eq(b),
    }
}

/// Whether texts of one length, which is at least `N`, are the same: by words of `N` bytes, the last of which may overlap the one
/// before.
#[inline]
fn is_same_by<const N: usize>(a: &[u8], b: &[u8]) -> bool {
    let (Some(last_a), Some(last_b)) = (a.last_chunk::<N>(), b.last_chunk::<N>()) else {
        return false;
    };
    let (words_a, _) = a.as_chunks::<N>();
    let (words_b, _) = b.as_chunks::<N>();
    words_a.iter().zip(words_b).all(|(a, b)| a == b) && last_a == last_b
}

#[cfg(test)]
mod tests {
    use super::is_same;

    #[test]
    fn a_difference_is_found_wherever_it_stands() {
        let text: Vec<u8> = (0..70).collect();
        for n in 0..=text.len() {
            assert!(is_same(&text[..n], &text.clone()[..n]));
            assert!(!is_same(&text[..n], &text[..n.saturating_sub(1)]) || n == 0);
            for at in 0..n {
                let mut other = text.clone();
                other[at] ^= 0x40;
                assert!(!is_same(&text[..n], &other[..n]), "{at} of {n}");
            }
        }
    }
}

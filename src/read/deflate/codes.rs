//! Huffman codes as tables: the next bits of a stream are the place where it stands what they mean.

/// Bits of the longest code.
pub(super) const MAX_BITS: usize = 15;

/// What stands at a place of a table.
///
/// Lowest byte: bits that are taken with it, of the code and of the number behind it. Next five bits: those of the code.
/// Upper half: the literal, the base of the length or distance, or where the table of longer codes begins.
pub(super) type Entry = u32;

/// A literal.
pub(super) const LITERAL: Entry = 1 << 15;
/// No literal, length or distance.
pub(super) const SPECIAL: Entry = 1 << 14;
/// The code is longer: its table begins at the value, and the lowest byte says how many bits more it has.
pub(super) const LONGER: Entry = SPECIAL | 1 << 13;
/// End of the block.
pub(super) const END: Entry = SPECIAL | 1 << 7;

/// Bits taken with an entry.
#[inline(always)]
pub(super) fn n_bits(entry: Entry) -> u32 {
    entry & 0x3f
}

/// Bits of the code of an entry.
#[inline(always)]
pub(super) fn code_bits(entry: Entry) -> u32 {
    entry >> 8 & 0x1f
}

/// The value of an entry.
#[inline(always)]
pub(super) fn value(entry: Entry) -> u32 {
    entry >> 16
}

/// The value of an entry and the number behind its code, of the bits that come next.
#[inline(always)]
pub(super) fn number(entry: Entry, bits: u64) -> u32 {
    let taken = bits & ((1 << n_bits(entry)) - 1);
    value(entry) + (taken >> code_bits(entry)) as u32
}

/// A code whose codes up to a length stand at one of `N` places, the longer ones behind a second step.
#[derive(Clone, Debug)]
pub(super) struct Table<const N: usize> {
    first: [Entry; N],
    longer: Vec<Entry>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new() -> Self {
        Self { first: [SPECIAL; N], longer: Vec::new() }
    }

    /// What any next bits mean, or that their code is longer.
    pub(super) fn all_first(&self) -> &[Entry; N] {
        &self.first
    }

    /// What the next bits mean, or that their code is longer.
    #[inline(always)]
    pub(super) fn first(&self, bits: u64) -> Entry {
        self.first[bits as usize & (N - 1)]
    }

    /// What the next bits mean whose code may be longer, by their entry so far; without a longer one that entry.
    #[inline(always)]
    pub(super) fn longer(&self, entry: Entry, bits: u64) -> Entry {
        if entry & LONGER != LONGER {
            return entry;
        }
        let at = bits >> N.trailing_zeros() & ((1 << n_bits(entry)) - 1);
        self.longer.get(value(entry) as usize + at as usize).copied().unwrap_or(SPECIAL)
    }

    /// Makes the table of a code of which the length of each symbol's code is known, 0 for a symbol without one; `entries` are what
    /// the symbols mean, without the bits of the code. Gives whether it is a code: each sequence of bits begins with exactly one of
    /// it, but that one code of one bit may stand alone, or none at all.
    pub(super) fn build(&mut self, lengths: &[u8], entries: &[Entry]) -> bool {
        let Some(mut next) = first_codes(lengths) else { return false };
        self.first.fill(SPECIAL);
        self.longer.clear();
        let n_first = N.trailing_zeros();
        for (&length, &entry) in lengths.iter().zip(entries) {
            let n = u32::from(length);
            if n == 0 {
                continue;
            }
            let code = u32::from(next[length as usize].reverse_bits() >> (16 - n)) as usize;
            next[length as usize] += 1;
            let entry = entry + (n << 8 | n);
            if n <= n_first {
                self.first[code..].iter_mut().step_by(1 << n).for_each(|place| *place = entry);
            } else {
                self.add_longer(code, n, entry);
            }
        }
        true
    }

    fn add_longer(&mut self, code: usize, n: u32, entry: Entry) {
        let n_first = N.trailing_zeros();
        let n_more = MAX_BITS as u32 - n_first;
        let place = &mut self.first[code & (N - 1)];
        if *place & LONGER != LONGER {
            *place = (self.longer.len() as u32) << 16 | LONGER | n_more;
            self.longer.resize(self.longer.len() + (1 << n_more), SPECIAL);
        }
        let start = value(*place) as usize;
        let places = &mut self.longer[start..start + (1 << n_more)];
        let places = places[code >> n_first..].iter_mut().step_by(1 << (n - n_first));
        places.for_each(|place| *place = entry);
    }
}

/// The first code of each length; `None` where lengths make no code.
fn first_codes(lengths: &[u8]) -> Option<[u16; MAX_BITS + 1]> {
    let mut counts = [0_u32; MAX_BITS + 1];
    lengths.iter().for_each(|&length| counts[length as usize] += 1);
    let n_codes = lengths.len() as u32 - counts[0];
    counts[0] = 0;
    let mut next = [0; MAX_BITS + 1];
    let mut code = 0;
    for length in 1..=MAX_BITS {
        code = (code + counts[length - 1]) << 1;
        next[length] = u16::try_from(code).unwrap_or(u16::MAX);
    }
    let used: u32 = (1..=MAX_BITS).map(|length| counts[length] << (MAX_BITS - length)).sum();
    let is_whole = used == 1 << MAX_BITS;
    let stands_alone = n_codes == 0 || (n_codes == 1 && counts[1] == 1);
    (is_whole || stands_alone).then_some(next)
}

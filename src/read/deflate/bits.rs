//! The bits of a deflate stream: of each byte the lowest first.

/// A reader of bits. Behind the last byte it gives zeros, and [`Bits::is_over`] tells that it did.
#[derive(Clone, Debug)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The next byte that is loaded.
    at: usize,
    hold: u64,
    /// Bits of `hold` that were loaded; those above them are the next ones, or zeros.
    n: u32,
}

/// Bits that can be taken after [`Bits::refill`].
pub(super) const REFILLED: u32 = 56;

impl<'a> Bits<'a> {
    /// Begins at a bit.
    pub(super) fn new(bytes: &'a [u8], position: usize) -> Self {
        let mut bits = Self { bytes, at: position / 8, hold: 0, n: 0 };
        bits.refill();
        bits.skip((position % 8) as u32);
        bits
    }

    /// Loads: [`REFILLED`] bits can then be taken.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        match self.bytes.get(self.at..self.at + 8).and_then(|bytes| bytes.first_chunk()) {
            Some(&bytes) => self.hold |= u64::from_le_bytes(bytes) << self.n,
            None => self.load_last(),
        }
        self.at += (63 - self.n as usize) >> 3;
        self.n |= REFILLED;
    }

    #[cold]
    fn load_last(&mut self) {
        let mut last = [0; 8];
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        last[..rest.len()].copy_from_slice(rest);
        self.hold |= u64::from_le_bytes(last) << self.n;
    }

    /// The next bits, the first of them the lowest.
    #[inline(always)]
    pub(super) fn peek(&self) -> u64 {
        self.hold
    }

    /// Takes bits that were loaded.
    #[inline(always)]
    pub(super) fn skip(&mut self, n: u32) {
        self.hold >>= n;
        self.n -= n;
    }

    /// Takes up to 32 bits.
    pub(super) fn take(&mut self, n: u32) -> u32 {
        self.refill();
        let bits = self.hold & ((1 << n) - 1);
        self.skip(n);
        bits as u32
    }

    /// All bytes, the next one that is loaded, the next bits and how many of them were loaded, for whoever takes some himself.
    #[inline(always)]
    pub(super) fn parts(&self) -> (&'a [u8], usize, u64, u32) {
        (self.bytes, self.at, self.hold, self.n)
    }

    /// Goes on where somebody took some.
    #[inline(always)]
    pub(super) fn set_parts(&mut self, at: usize, hold: u64, n: u32) {
        (self.at, self.hold, self.n) = (at, hold, n);
    }

    /// The bit that comes next.
    pub(super) fn position(&self) -> usize {
        self.at * 8 - self.n as usize
    }

    /// Whether whatever is loaded next comes from where a whole word can be read.
    #[inline(always)]
    pub(super) fn n_refills(&self) -> usize {
        self.bytes.len().saturating_sub(self.at) / 8
    }

    /// Whether more was taken than there is.
    pub(super) fn is_over(&self) -> bool {
        self.position() > self.bytes.len() * 8
    }

    /// Goes to the next whole byte and gives the bytes from there on.
    pub(super) fn rest_of_bytes(&self) -> &'a [u8] {
        self.bytes.get(self.position().div_ceil(8)..).unwrap_or_default()
    }
}

//! Rows of side tables as words of 32 bits, a fixed number for each kind of row, and back.
//!
//! The last word of a row says which of its optional fields are there. What is read back may be anything: texts are
//! checked here, numbers of other rows where the store is put together.

use crate::store::{FlowPhase, StrId, TrackId};

/// Rows in the making.
#[derive(Debug, Default)]
pub(super) struct Packer {
    pub(super) words: Vec<u32>,
    present: u32,
    n_optional: u32,
}

impl Packer {
    /// Ends a row.
    fn end_row(&mut self) {
        self.words.push(self.present);
        (self.present, self.n_optional) = (0, 0);
    }
}

/// A row that is read.
#[derive(Debug)]
pub(super) struct Unpacker<'a> {
    words: std::slice::Iter<'a, u32>,
    present: u32,
    n_strings: u32,
    is_bad: bool,
}

impl Unpacker<'_> {
    fn word(&mut self) -> u32 {
        self.words.next().copied().unwrap_or_default()
    }
}

/// What a field of a row can be.
pub(super) trait Word: Sized {
    /// Words that it takes.
    const WORDS: usize;
    fn put(&self, to: &mut Packer);
    fn take(from: &mut Unpacker<'_>) -> Self;
}

impl Word for u32 {
    const WORDS: usize = 1;
    fn put(&self, to: &mut Packer) {
        to.words.push(*self);
    }
    fn take(from: &mut Unpacker<'_>) -> Self {
        from.word()
    }
}

impl Word for u64 {
    const WORDS: usize = 2;
    fn put(&self, to: &mut Packer) {
        to.words.extend([*self as u32, (*self >> 32) as u32]);
    }
    fn take(from: &mut Unpacker<'_>) -> Self {
        let low = from.word();
        Self::from(low) | Self::from(from.word()) << 32
    }
}

impl Word for i128 {
    const WORDS: usize = 4;
    fn put(&self, to: &mut Packer) {
        (*self as u64).put(to);
        ((*self >> 64) as u64).put(to);
    }
    fn take(from: &mut Unpacker<'_>) -> Self {
        let low = u64::take(from);
        Self::from(low) | Self::from(u64::take(from) as i64) << 64
    }
}

/// Numbers that are stored as others are: the same bits.
macro_rules! stored_as {
    ($($kind:ty, $as:ty, $to:expr, $back:expr;)+) => {$(
        impl Word for $kind {
            const WORDS: usize = <$as>::WORDS;
            fn put(&self, to: &mut Packer) {
                let stored: fn($kind) -> $as = $to;
                stored(*self).put(to);
            }
            fn take(from: &mut Unpacker<'_>) -> Self {
                let back: fn($as) -> $kind = $back;
                back(<$as>::take(from))
            }
        }
    )+};
}

stored_as! {
    i64, u64, |value| value as u64, |stored| stored as i64;
    f64, u64, f64::to_bits, f64::from_bits;
    bool, u32, u32::from, |stored| stored != 0;
    usize, u64, |value| value as u64, |stored| stored as usize;
}

impl Word for StrId {
    const WORDS: usize = 1;
    fn put(&self, to: &mut Packer) {
        self.0.put(to);
    }
    fn take(from: &mut Unpacker<'_>) -> Self {
        let id = from.word();
        from.is_bad |= id >= from.n_strings;
        Self(id)
    }
}

impl<T: Word + Copy> Word for [T; 3] {
    const WORDS: usize = 3 * T::WORDS;
    fn put(&self, to: &mut Packer) {
        self.iter().for_each(|value| value.put(to));
    }
    fn take(from: &mut Unpacker<'_>) -> Self {
        std::array::from_fn(|_| T::take(from))
    }
}

impl<T: Word> Word for Option<T> {
    const WORDS: usize = T::WORDS;
    fn put(&self, to: &mut Packer) {
        match self {
            Some(value) => {
                to.present |= 1 << to.n_optional;
                value.put(to);
            }
            None => to.words.extend(std::iter::repeat_n(0, T::WORDS)),
        }
        to.n_optional += 1;
    }
    fn take(from: &mut Unpacker<'_>) -> Self {
        let is_present = from.present & 1 == 1;
        from.present >>= 1;
        if is_present {
            return Some(T::take(from));
        }
        for _ in 0..T::WORDS {
            from.word();
        }
        None
    }
}

impl Word for FlowPhase {
    const WORDS: usize = 1;
    fn put(&self, to: &mut Packer) {
        (*self as u32).put(to);
    }
    fn take(from: &mut Unpacker<'_>) -> Self {
        match from.word() {
            0 => Self::Start,
            1 => Self::Step,
            2 => Self::Finish,
            _ => {
                from.is_bad = true;
                Self::Start
            }
        }
    }
}

impl Word for TrackId {
    const WORDS: usize = 1 + i128::WORDS;
    fn put(&self, to: &mut Packer) {
        let (kind, value) = match *self {
            Self::Int(value) => (0_u32, value),
            Self::Text(text) => (1, i128::from(text.0)),
        };
        kind.put(to);
        value.put(to);
    }
    fn take(from: &mut Unpacker<'_>) -> Self {
        let (kind, value) = (from.word(), i128::take(from));
        if kind == 0 {
            return Self::Int(value);
        }
        let id = u32::try_from(value).ok().filter(|&id| kind == 1 && id < from.n_strings);
        from.is_bad |= id.is_none();
        Self::Text(StrId(id.unwrap_or_default()))
    }
}

impl Word for std::ops::Range<usize> {
    const WORDS: usize = 2 * usize::WORDS;
    fn put(&self, to: &mut Packer) {
        self.start.put(to);
        self.end.put(to);
    }
    fn take(from: &mut Unpacker<'_>) -> Self {
        let start = usize::take(from);
        start..usize::take(from)
    }
}

/// A kind of row.
pub(super) trait Packed: Sized {
    /// Words that a row takes.
    const WORDS: usize;
    fn pack(&self, to: &mut Packer);
    fn unpack(from: &mut Unpacker<'_>) -> Self;

    /// Rows as words.
    fn packed(rows: &[Self]) -> Vec<u32> {
        let mut to = Packer::default();
        to.words.reserve_exact((Self::WORDS + 1) * rows.len());
        for row in rows {
            row.pack(&mut to);
            to.end_row();
        }
        to.words
    }

    /// Rows of words; `None` where they cannot have been rows.
    fn unpacked(words: &[u32], n_strings: u32) -> Option<Vec<Self>> {
        if !words.len().is_multiple_of(Self::WORDS + 1) {
            return None;
        }
        let mut is_bad = false;
        let row = |row: &[u32]| {
            let (present, words) = row.split_last()?;
            let mut from =
                Unpacker { words: words.iter(), present: *present, n_strings, is_bad: false };
            let row = Self::unpack(&mut from);
            is_bad |= from.is_bad;
            Some(row)
        };
        let rows: Option<Vec<Self>> = words.chunks_exact(Self::WORDS + 1).map(row).collect();
        rows.filter(|_| !is_bad)
    }
}

/// Declares kinds of rows by the fields that make them.
macro_rules! packed {
    ($($row:ident { $($field:ident: $kind:ty),+ $(,)? })+) => {$(
        impl Packed for $row {
            const WORDS: usize = 0 $(+ <$kind as Word>::WORDS)+;
            fn pack(&self, to: &mut Packer) {
                $(Word::put(&self.$field, to);)+
            }
            fn unpack(from: &mut Unpacker<'_>) -> Self {
                Self { $($field: <$kind as Word>::take(from)),+ }
            }
        }
    )+};
}

pub(super) use packed;

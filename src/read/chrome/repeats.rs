//! Names that come again: most events of a block have the name that came after the same name before.
//!
//! A name that is expected is compared, which takes a tenth of what finding its end, hashing it and looking it up takes. Names
//! have numbers, so that what one was understood as need not be found again. They are forgotten with the block.

use super::fast::{self, Refusal};
use super::same::is_same;

/// Places for names by their hash: a few times as many as a block has names.
const N_PLACES: usize = 4096;

/// A name with its quotes.
#[derive(Clone, Copy, Debug)]
struct Name<'a> {
    text: &'a [u8],
    /// The name that came after it, the last time.
    next: u32,
}

/// The names of a block, by number.
#[derive(Debug)]
pub(super) struct Repeats<'a> {
    known: Vec<Name<'a>>,
    /// Number of the name that has this hash and came last, and 1; 0 for none.
    places: Vec<u32>,
    last: Option<u32>,
}

impl Default for Repeats<'_> {
    fn default() -> Self {
        Self { known: Vec::new(), places: vec![0; N_PLACES], last: None }
    }
}

impl<'a> Repeats<'a> {
    /// What [`fast::value_end`] gives for the name at `at`.
    #[inline]
    pub(super) fn value_end(&mut self, text: &'a [u8], at: usize) -> Result<usize, Refusal> {
        if let Some(last) = self.last {
            let next = self.known[last as usize].next;
            let expected = self.known[next as usize].text;
            // A string ends with its own closing quote, whatever follows.
            let end = at + expected.len();
            if text.get(at..end).is_some_and(|text| is_same(text, expected)) {
                self.last = Some(next);
                return Ok(end);
            }
        }
        self.unexpected_end(text, at)
    }

    /// Number of the name whose end was found last; `None` where it is no string.
    pub(super) fn last_number(&self) -> Option<u32> {
        self.last
    }

    /// Takes a name to have been the last.
    pub(super) fn go_on_behind(&mut self, last: Option<u32>) {
        self.last = last;
    }

    fn unexpected_end(&mut self, text: &'a [u8], at: usize) -> Result<usize, Refusal> {
        let before = self.last.take();
        let first = *text.get(at).ok_or(Refusal::Incomplete)?;
        let end = fast::value_end(text, at)?;
        if first != b'"' {
            return Ok(end);
        }
        let number = self.number_of(&text[at..end]);
        if let Some(before) = before {
            self.known[before as usize].next = number;
        }
        self.last = Some(number);
        Ok(end)
    }

    /// The number of a name, known or new.
    fn number_of(&mut self, text: &'a [u8]) -> u32 {
        let place = place_of(text);
        if let Some(number) = self.places[place].checked_sub(1)
            && self.known[number as usize].text == text
        {
            return number;
        }
        let number = self.known.len() as u32;
        self.known.push(Name { text, next: number });
        self.places[place] = number + 1;
        number
    }
}

/// A place for a name, by its length and by bytes at its ends.
#[inline]
fn place_of(text: &[u8]) -> usize {
    let (first, last) = match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (text.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)), 0),
    };
    let middle = text.get(text.len() / 2..).and_then(|rest| rest.first_chunk());
    let middle = middle.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let mixed = (first ^ last.rotate_left(23) ^ middle.rotate_left(41) ^ text.len() as u64)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 32) as usize % N_PLACES
}

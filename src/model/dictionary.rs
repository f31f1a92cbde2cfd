//! Texts by number, end to end in one piece of memory.

/// Texts by number. Columns of texts hold numbers and share one of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dictionary {
    bytes: String,
    /// End of each text in `bytes`.
    ends: Vec<usize>,
}

impl Dictionary {
    /// Number of texts.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The text of a number below [`Self::len`].
    pub fn get(&self, code: u32) -> &str {
        let i = code as usize;
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.bytes[start..self.ends[i]]
    }

    /// The dictionary of texts end to end and of where each ends; `None` where an end lies within a character, or before
    /// the one before it.
    pub fn of_parts(bytes: String, ends: Vec<usize>) -> Option<Self> {
        let is_sound = ends.is_sorted()
            && ends.iter().all(|&end| bytes.is_char_boundary(end))
            && ends.last().copied().unwrap_or(0) == bytes.len();
        is_sound.then_some(Self { bytes, ends })
    }

    /// Adds a text; its number is the length before.
    pub fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
    }

    /// All texts, by number.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len() as u32).map(|code| self.get(code))
    }

    /// All texts end to end, UTF-8.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_bytes()
    }

    /// Where each text ends in [`Self::bytes`]; the next begins there.
    pub fn ends(&self) -> &[usize] {
        &self.ends
    }

    /// Bytes of memory held.
    pub fn heap_bytes(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<usize>()
    }
}

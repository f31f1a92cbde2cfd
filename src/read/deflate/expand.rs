//! From tokens to text.

use super::tokens::{MAX_LITERALS, SLACK, Tokens, parts};
use super::wide;

/// Farthest that a copy reaches back.
pub(super) const WINDOW: usize = 1 << 15;

/// Longest copy.
pub(super) const MAX_LENGTH: usize = 258;

/// Bytes that are copied at once where the text that is copied ends before.
const LONG: usize = 96;
/// The same where it ends less far away.
const SHORT: usize = 16;

/// What a token gives at most, and what is written behind it meanwhile.
const ROOM: usize = MAX_LITERALS + MAX_LENGTH + LONG + SLACK;

/// Expands tokens. What it copies may stand in text that was given away since: it keeps the end of that.
#[derive(Debug, Default)]
pub(in crate::read) struct Expander {
    /// The last text before the place that is filled.
    window: Vec<u8>,
    /// The token that comes next.
    token: usize,
    literal: usize,
    /// Bytes of it that were given already.
    given: usize,
}

impl Expander {
    /// What may be copied from behind text at the start of a place that is filled.
    pub(in crate::read) fn window_behind(&self, text: &[u8]) -> Vec<u8> {
        let mut behind = Self { window: self.window.clone(), ..Self::default() };
        behind.keep(text);
        behind.window
    }

    /// Begins with other tokens, whose text comes next.
    pub(in crate::read) fn start(&mut self) {
        (self.token, self.literal, self.given) = (0, 0, 0);
    }

    /// Whether there is no more text in the tokens.
    pub(in crate::read) fn is_done(&self, tokens: &Tokens) -> bool {
        self.token >= tokens.tokens.len()
    }

    /// Expands behind the first `at` bytes of a place, as far as it goes. Gives where the text ends then; `None` where it refers to
    /// text before the first.
    pub(in crate::read) fn expand(
        &mut self,
        tokens: &Tokens,
        text: &mut [u8],
        mut at: usize,
    ) -> Option<usize> {
        while at < text.len() && !self.is_done(tokens) {
            if self.given == 0 && text.len() - at >= ROOM {
                at = wide::expand_whole(self, tokens, text, at)?;
            } else {
                at = self.expand_part(tokens, text, at)?;
            }
        }
        Some(at)
    }

    /// Keeps the end of a place that was filled.
    pub(in crate::read) fn keep(&mut self, text: &[u8]) {
        if text.len() < WINDOW {
            let n_old = self.window.len().min(WINDOW - text.len());
            self.window.drain(..self.window.len() - n_old);
            self.window.extend_from_slice(text);
        } else {
            self.window.clear();
            self.window.extend_from_slice(&text[text.len() - WINDOW..]);
        }
    }

    /// Expands as much of a token as there is room for.
    fn expand_part(&mut self, tokens: &Tokens, text: &mut [u8], mut at: usize) -> Option<usize> {
        let (n, length, distance) = parts(tokens.tokens[self.token]);
        let n_literals = n.saturating_sub(self.given).min(text.len() - at);
        let literals = &tokens.literals[self.literal..][..n_literals];
        text[at..at + n_literals].copy_from_slice(literals);
        (self.literal, self.given) = (self.literal + n_literals, self.given + n_literals);
        at += n_literals;
        let left = n + length - self.given;
        let n_copied = if self.given < n { 0 } else { left.min(text.len() - at) };
        copy_back(&self.window, text, at, (distance, n_copied))?;
        self.given += n_copied;
        if self.given == n + length {
            (self.token, self.given) = (self.token + 1, 0);
        }
        Some(at + n_copied)
    }
}

/// Expands whole tokens while there is much room: what nearly all text is made by.
#[inline(always)]
pub(super) fn expand_whole(
    expander: &mut Expander,
    tokens: &Tokens,
    text: &mut [u8],
    mut at: usize,
) -> Option<usize> {
    let last = text.len() - ROOM;
    let literals = &tokens.literals[..];
    let (mut next, mut literal) = (expander.token, expander.literal);
    for &token in &tokens.tokens[next..] {
        if at > last {
            break;
        }
        let (n, length, distance) = parts(token);
        copy(literals, literal, text, at);
        if n > SHORT {
            text[at..at + n].copy_from_slice(&literals[literal..literal + n]);
        }
        literal += n;
        at += n;
        if distance >= LONG && distance <= at {
            copy_long(text, at, distance, length);
        } else {
            copy_back(&expander.window, text, at, (distance, length))?;
        }
        at += length;
        next += 1;
    }
    (expander.token, expander.literal) = (next, literal);
    Some(at)
}

/// Copies [`SHORT`] bytes.
#[inline(always)]
fn copy(from: &[u8], at: usize, text: &mut [u8], to: usize) {
    let bytes: &[u8; SHORT] = from[at..].first_chunk().expect("there is slack");
    text[to..to + SHORT].copy_from_slice(bytes);
}

/// Copies text by [`LONG`] bytes; what is written behind it is written over later.
#[inline(always)]
fn copy_long(text: &mut [u8], at: usize, distance: usize, length: usize) {
    let mut done = 0;
    loop {
        let from = at - distance + done;
        let bytes: [u8; LONG] = *text[from..].first_chunk().expect("there is room");
        text[at + done..at + done + LONG].copy_from_slice(&bytes);
        done += LONG;
        if done >= length {
            return;
        }
    }
}

/// Copies exactly, from before the place, too. `None`: from before the first text.
#[inline(never)]
pub(super) fn copy_back(
    window: &[u8],
    text: &mut [u8],
    at: usize,
    (distance, length): (usize, usize),
) -> Option<()> {
    if length == 0 {
        return Some(());
    }
    let before = distance.saturating_sub(at);
    let start = window.len().checked_sub(before)?;
    let n_before = before.min(length);
    text[at..at + n_before].copy_from_slice(&window[start..start + n_before]);
    let (at, end) = (at + n_before, at + length);
    let from = if at < distance { return Some(()) } else { at - distance };
    if distance == 1 && from < at {
        let byte = text[from];
        text[at..end].fill(byte);
        return Some(());
    }
    // What is copied may begin with what the copy writes: its period is doubled until it is whole.
    let mut to = at;
    while to < end {
        let n = (to - from).min(end - to);
        text.copy_within(from..from + n, to);
        to += n;
    }
    Some(())
}

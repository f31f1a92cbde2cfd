//! Bytes to log lines: cuts at newlines, removes colours and Markdown escapes, and separates what several writers put
//! into one physical line.
//!
//! Push-based: blocks of any size go in, lines come out, so a log of any size is read in bounded memory.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use crate::model::limits::MAX_LOG_LINE_BYTES;

/// Cuts a stream of bytes into physical lines.
#[derive(Default)]
pub(crate) struct LineCutter {
    /// An unfinished line.
    carry: Vec<u8>,
    /// Bytes of the stream before `carry`.
    offset: u64,
    /// Bytes of the current line that were skipped as too many.
    skipped: u64,
}

/// A physical line.
pub(crate) struct RawLine<'a> {
    /// Offset of its first byte in the stream.
    pub(crate) offset: u64,
    /// Without its newline.
    pub(crate) bytes: &'a [u8],
    /// Its end was skipped because it is too long.
    pub(crate) cut: bool,
}

impl LineCutter {
    /// Takes a block and hands on every line that it ends.
    pub(crate) fn push(&mut self, mut block: &[u8], mut line: impl FnMut(RawLine<'_>)) {
        while let Some(end) = memchr::memchr(b'\n', block) {
            if self.carry.is_empty() && self.skipped == 0 && end <= MAX_LOG_LINE_BYTES {
                line(RawLine { offset: self.offset, bytes: &block[..end], cut: false });
                self.offset += end as u64 + 1;
            } else {
                self.keep(&block[..end]);
                self.emit(1, &mut line);
            }
            block = &block[end + 1..];
        }
        self.keep(block);
    }

    /// Hands on a last line without a newline.
    pub(crate) fn finish(&mut self, mut line: impl FnMut(RawLine<'_>)) {
        if !self.carry.is_empty() {
            self.emit(0, &mut line);
        }
    }

    fn keep(&mut self, part: &[u8]) {
        let room = MAX_LOG_LINE_BYTES - self.carry.len();
        let kept = part.len().min(room);
        self.carry.extend_from_slice(&part[..kept]);
        self.skipped += (part.len() - kept) as u64;
    }

    fn emit(&mut self, newline: u64, line: &mut impl FnMut(RawLine<'_>)) {
        let cut = self.skipped > 0;
        line(RawLine { offset: self.offset, bytes: &self.carry, cut });
        self.offset += self.carry.len() as u64 + self.skipped + newline;
        self.carry.clear();
        self.skipped = 0;
    }
}

/// Removes terminal control sequences, a Markdown heading mark and Markdown escapes, and the carriage return at the
/// end.
pub(crate) fn clean(line: &str) -> Cow<'_, str> {
    let line = line.strip_suffix('\r').unwrap_or(line);
    let mut text = Cow::Borrowed(line);
    if memchr::memchr(0x1b, line.as_bytes()).is_some() {
        text = Cow::Owned(without_escapes(line));
    }
    if text.starts_with("# ") {
        text = Cow::Owned(text[2..].to_owned());
    }
    let has_backslash = memchr::memchr(b'\\', text.as_bytes()).is_some();
    if has_backslash && (text.contains("\\_") || text.contains("\\[")) {
        text = Cow::Owned(without_markdown(&text));
    }
    text
}

/// Removes `ESC [ … letter` and other two-character escape sequences.
fn without_escapes(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c != '\x1b' {
            out.push(c);
        } else if chars.next() == Some('[') {
            for c in chars.by_ref() {
                if ('@'..='~').contains(&c) {
                    break;
                }
            }
        }
    }
    out
}

/// Turns `\_`, `\[` and the like into the character alone; `\\` stays, because Python writes it so.
fn without_markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(&next) if c == '\\' && "_[]#*&".contains(next) => {}
            Some('\\') if c == '\\' => {
                out.push_str("\\\\");
                chars.next();
            }
            _ => out.push(c),
        }
    }
    out
}

/// Where another writer's text may begin inside a line.
static MARK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"\([A-Za-z0-9_.-]+ pid=\d+\) ?|(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d \[",
    )
    .expect("the pattern is a constant")
});

/// Separates a physical line into the texts of its writers, each with its process prefix.
///
/// Progress bars overwrite themselves after carriage returns, and a logger may write behind a bar that has not ended
/// its line; a prefix may even stand alone because another process came between it and its message.
pub(crate) fn fragments(line: &str) -> Vec<&str> {
    let mut out = Vec::with_capacity(1);
    if memchr::memchr(b'\r', line.as_bytes()).is_none() {
        cut_at_marks(line, &mut out);
    } else {
        line.split('\r').for_each(|part| cut_at_marks(part, &mut out));
    }
    if out.len() > 1 {
        out.retain(|fragment| !fragment.trim().is_empty());
    }
    if out.is_empty() {
        out.push("");
    }
    out
}

fn cut_at_marks<'a>(part: &'a str, out: &mut Vec<&'a str>) {
    let mut begin = 0;
    for mark in MARK.find_iter(part) {
        let before = &part[begin..mark.start()];
        let is_prefix = mark.as_str().starts_with('(');
        let own_prefix = !is_prefix && MARK.find(before).is_some_and(|m| m.len() == before.len());
        let splits = if is_prefix { ends_a_text(before) } else { !own_prefix };
        if splits && !before.is_empty() {
            out.push(before);
            begin = mark.start();
        }
    }
    out.push(&part[begin..]);
}

/// Whether a process prefix behind this text begins a new one: behind a progress bar, or behind another prefix.
fn ends_a_text(before: &str) -> bool {
    let before = before.trim_end();
    before.is_empty() || before.ends_with([']', '|', ')'])
}

#[cfg(test)]
mod tests {
    use super::{LineCutter, clean, fragments};

    fn cut(blocks: &[&str]) -> Vec<(u64, String)> {
        let mut cutter = LineCutter::default();
        let mut out = Vec::new();
        let mut keep = |l: super::RawLine<'_>| {
            out.push((l.offset, String::from_utf8(l.bytes.to_vec()).unwrap()));
        };
        for block in blocks {
            cutter.push(block.as_bytes(), &mut keep);
        }
        cutter.finish(&mut keep);
        out
    }

    #[test]
    fn lines_do_not_depend_on_the_blocks() {
        let text = "one\n\ntwo three\nfour";
        let whole = cut(&[text]);
        assert_eq!(whole[2], (5, "two three".to_owned()));
        assert_eq!(whole.len(), 4);
        for at in 0..text.len() {
            assert_eq!(cut(&[&text[..at], &text[at..]]), whole, "cut at {at}");
        }
    }

    #[test]
    fn colours_and_markdown_go() {
        assert_eq!(clean("\x1b[0;36m(W pid=1)\x1b[0;0m hi\r"), "(W pid=1) hi");
        assert_eq!(clean("# a\\_b \\[c] {'x': '\\\\_'}"), "a_b [c] {'x': '\\\\_'}");
        assert_eq!(clean("plain"), "plain");
    }

    #[test]
    fn writers_in_one_line_are_separated() {
        let torn = "(A pid=1) (B pid=2) INFO 11-21 23:49:33 [x.py:75] done.";
        assert_eq!(
            fragments(torn),
            ["(A pid=1) ", "(B pid=2) INFO 11-21 23:49:33 [x.py:75] done."]
        );
        let bar = "\rProcessed:  50%|##| 1/2 [00:02<00:02,  2.41s/it](W pid=3) \r  0%|  | 0/4 [00:00<?, ?it/s]INFO 11-21 23:39:38 [stats.py:899] ";
        assert_eq!(fragments(bar).len(), 4);
        let quoted = "INFO 11-21 23:39:38 [a.py:1] the process (W pid=3) died";
        assert_eq!(fragments(quoted), [quoted]);
        assert_eq!(fragments(""), [""]);
    }
}

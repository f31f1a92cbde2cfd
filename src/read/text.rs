//! The text of an input, whatever it is stored as: JSON as it is, Perfetto protobuf converted.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::block_text::Text;
use super::deflate::Mark;
use super::perfetto::{
    LOST_START_BYTES, PerfettoText, holds_packets, is_perfetto, may_have_lost_its_start,
};
use super::source::{ByteStream, StreamEnd};
use super::spread::{Hands, Sums};
use super::utf16::{Utf16, order_of};
use super::{Progress, ReadError};
use crate::diag::{IssueKind, Reporter};

/// Bytes that are looked at to tell what an input is.
const SNIFF_BYTES: usize = 256;

/// Bytes that are looked at besides where it is no Perfetto trace at first sight.
const MORE_SNIFF_BYTES: usize = 1 << 16;

/// A stream of JSON text.
pub(super) enum TextStream {
    /// JSON, with what was looked at first.
    Json { stream: Box<ByteStream>, start: Vec<u8>, is_first: bool },
    /// JSON in UTF-16.
    Utf16(Box<Utf16>),
    /// Perfetto protobuf.
    Perfetto(Box<PerfettoText>),
}

impl TextStream {
    /// Opens an input and tells by its content what it is.
    pub(super) fn open(path: &Path, progress: Arc<Progress>) -> Result<Self, ReadError> {
        let mut stream = ByteStream::open(path, progress)?;
        let mut start = Vec::new();
        stream
            .append(&mut start, SNIFF_BYTES)
            .map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
        if let Some(order) = order_of(&start) {
            return Ok(Self::Utf16(Box::new(Utf16::new(stream, start, order))));
        }
        if is_perfetto(&start) || has_lost_its_start(&mut stream, &mut start, path)? {
            return Ok(Self::Perfetto(Box::new(PerfettoText::new(stream, start))));
        }
        Ok(Self::Json { stream: Box::new(stream), start, is_first: true })
    }

    /// Appends up to `limit` further bytes of text. Gives how many; none at the end.
    pub(super) fn append(&mut self, buffer: &mut Vec<u8>, limit: usize) -> io::Result<usize> {
        match self {
            Self::Json { stream, start, .. } if start.is_empty() => stream.append(buffer, limit),
            Self::Json { start, is_first, .. } => {
                let most = if std::mem::take(is_first) { SNIFF_BYTES } else { limit };
                let n = start.len().min(limit).min(most);
                buffer.extend(start.drain(..n));
                Ok(n)
            }
            Self::Utf16(text) => text.append(buffer, limit),
            Self::Perfetto(text) => text.append(buffer, limit),
        }
    }

    /// As [`Self::append`], into memory that is used again.
    pub(super) fn fill(&mut self, text: &mut Text, limit: usize) -> io::Result<usize> {
        match self {
            Self::Json { stream, start, .. } if start.is_empty() => {
                text.fill(limit, |before, place| stream.fill_behind(before, place))
            }
            _ => text.grow(|buffer| self.append(buffer, limit)),
        }
    }

    /// Takes the checksums of what is compressed to be right, which were when the file was read before.
    #[cfg(feature = "program")]
    pub(super) fn trust_sums(&mut self) {
        if let Self::Json { stream, .. } = self {
            stream.trust_sums();
        }
    }

    /// Lets many threads inflate from here on, where that is worth while. Of text from an offset on they get the sums of others
    /// ([`Self::sums`]).
    pub(super) fn spread(&mut self, hands: Hands, summed: u64) {
        match self {
            Self::Json { stream, start, .. } if start.is_empty() && stream.is_large() => {
                stream.spread(hands, summed);
            }
            _ => {}
        }
    }

    /// Notes places to begin at when the file is read again, where that is worth while and its text is that of the file.
    pub(super) fn keep_marks(&mut self) {
        match self {
            Self::Json { stream, .. } if stream.is_large() => stream.keep_marks(),
            _ => {}
        }
    }

    /// Those places, once reading gave nothing.
    pub(super) fn take_marks(&mut self) -> Vec<Mark> {
        match self {
            Self::Json { stream, .. } => stream.take_marks(),
            _ => Vec::new(),
        }
    }

    /// Who wants the sum of the text that is read now, if anybody does.
    pub(super) fn sums(&self) -> Option<Sums> {
        match self {
            Self::Json { stream, .. } => stream.sums(),
            _ => None,
        }
    }

    /// How the stream ended; meaningful once reading gave nothing.
    pub(super) fn end(&self) -> &StreamEnd {
        match self {
            Self::Json { stream, .. } => stream.end(),
            Self::Utf16(text) => text.stream.end(),
            Self::Perfetto(text) => text.end(),
        }
    }

    /// What was odd on the way to text.
    pub(super) fn take_reporter(&mut self) -> Reporter {
        match self {
            Self::Json { stream, .. } => {
                let mut reporter = Reporter::default();
                count_damages(stream, &mut reporter);
                reporter
            }
            Self::Utf16(text) => {
                let mut reporter = Reporter::default();
                reporter.at(IssueKind::Transcoded, 0);
                count_damages(&mut text.stream, &mut reporter);
                reporter
            }
            Self::Perfetto(text) => text.take_reporter(),
        }
    }
}

/// Whether packets stand behind a start that is not JSON as it stands; more of the file is read to tell. The text in a packet may
/// look like JSON for long.
fn has_lost_its_start(
    stream: &mut ByteStream,
    start: &mut Vec<u8>,
    path: &Path,
) -> Result<bool, ReadError> {
    let fail = |source| ReadError::Io { path: path.to_owned(), source };
    stream.append(start, MORE_SNIFF_BYTES).map_err(fail)?;
    if !may_have_lost_its_start(start) {
        return Ok(false);
    }
    let n = stream.append(start, LOST_START_BYTES).map_err(fail)?;
    Ok(holds_packets(start, n < LOST_START_BYTES))
}

/// Counts what was passed over in a compressed stream.
pub(super) fn count_damages(stream: &mut ByteStream, reporter: &mut Reporter) {
    for damage in stream.take_damages() {
        let counted = (1, damage.lost_bytes);
        let what = Some(damage.what);
        reporter.passed_over(IssueKind::CorruptGzip, counted, damage.text_offset, what);
    }
}

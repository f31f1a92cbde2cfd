//! Opening an input and telling by its content what it is: gzip, zstd, or text.
//!
//! Gives a stream of decompressed bytes. What is damaged in a gzip stream is passed over ([`ByteStream::take_damages`]); other
//! damage ends the stream: what came before is kept, and [`ByteStream::end`] says how it ended.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use ruzstd::decoding::StreamingDecoder;

use super::deflate::Mark;
use super::first_member::{FileFrom, FirstMember, Odd, Straight, TRAILER_BYTES};
use super::gzip::{Damage, Gzip, Step, member_stream, next_member};
use super::raw::{LOOK_AHEAD, Raw};
use super::spread::{Hands, Spread, Sums};
use super::{Progress, ReadError};
use crate::model::limits::SPREAD_FROM_BYTES;

/// How a stream of bytes ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum StreamEnd {
    /// As it should.
    #[default]
    Complete,
    /// The compressed stream stops early.
    Truncated,
    /// The compressed stream is damaged.
    Corrupt(String),
    /// After the last member stands something else, which was not read.
    TrailingBytes,
}

enum Decoder {
    Plain(Raw),
    Gzip(Raw, Box<Gzip>),
    /// The first member of a file, by the decoders of our own.
    First(Box<dyn FirstMember + Send>),
    Zstd(Box<StreamingDecoder<Raw, ruzstd::decoding::FrameDecoder>>),
    Ended,
}

/// The decompressed bytes of an input.
pub(crate) struct ByteStream {
    decoder: Decoder,
    end: StreamEnd,
    damages: Vec<Damage>,
    n_text: u64,
    progress: Arc<Progress>,
    again: Option<Box<Again>>,
    keeps_marks: bool,
    /// Places in the first member, and how much text that has.
    marks: (Vec<Mark>, u64),
}

/// What it takes to read a file otherwise from its start on.
struct Again {
    file: Arc<File>,
    n_bytes: u64,
    /// Offset in the file of the first member's deflate stream.
    stream: u64,
    /// How much was wanted each time.
    wanted: Vec<usize>,
}

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

impl ByteStream {
    /// Opens a file, or standard input for `-`.
    pub(crate) fn open(path: &Path, progress: Arc<Progress>) -> Result<Self, ReadError> {
        let fail = |source| ReadError::Io { path: path.to_owned(), source };
        let mut file = None;
        let inner: Box<dyn Read + Send> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            let opened = File::open(path).map_err(fail)?;
            file = opened.try_clone().ok();
            Box::new(opened)
        };
        let mut raw = Raw::new(inner, Arc::clone(&progress));
        let start = raw.peek(1).map_err(fail)?;
        if start.is_empty() {
            return Err(ReadError::Empty { path: path.to_owned() });
        }
        refuse_unsupported(path, start)?;
        let mut again = None;
        let decoder = if is_gzip(start) {
            again = file.and_then(|file| Again::of(file, &mut raw));
            match again.as_ref().and_then(|again| again.straight(&progress)) {
                Some(straight) => Decoder::First(Box::new(straight)),
                None => Decoder::Gzip(raw, Box::new(Gzip::new())),
            }
        } else if start.starts_with(ZSTD) {
            Decoder::Zstd(zstd(raw).map_err(|e| ReadError::Compression {
                path: path.to_owned(),
                what: e.to_string(),
            })?)
        } else {
            Decoder::Plain(raw)
        };
        let (end, damages) = <(StreamEnd, Vec<Damage>)>::default();
        let (keeps_marks, marks) = (false, (Vec::new(), 0));
        Ok(Self { decoder, end, damages, n_text: 0, progress, again, keeps_marks, marks })
    }

    /// Whether it is a file that many threads read sooner than one.
    pub(crate) fn is_large(&self) -> bool {
        self.again.as_ref().is_some_and(|again| again.n_bytes >= SPREAD_FROM_BYTES)
    }

    /// Takes the checksums of gzip to be right, which were when the file was read before.
    #[cfg(feature = "program")]
    pub(crate) fn trust_sums(&mut self) {
        if let Decoder::First(first) = &mut self.decoder {
            first.trust_sums();
        }
    }

    /// Lets many threads inflate from here on, where they can. Of text from an offset on they get the sums of others
    /// ([`Self::sums`]).
    pub(crate) fn spread(&mut self, hands: Hands, summed: u64) {
        let (Decoder::First(first), Some(again)) = (&self.decoder, &self.again) else { return };
        let places = (again.stream, first.n_counted());
        let file = (Arc::clone(&again.file), again.n_bytes);
        let mut spread = Spread::new(file, places, Arc::clone(&self.progress), hands);
        if self.keeps_marks {
            spread.keep_marks();
        }
        if spread.skip(self.n_text, summed).is_ok() {
            self.decoder = Decoder::First(Box::new(spread));
        } else {
            self.progress.forget_file_bytes(spread.n_counted() - places.1);
        }
    }

    /// Notes places to begin at when the file is read again.
    pub(crate) fn keep_marks(&mut self) {
        self.keeps_marks = true;
        if let Decoder::First(first) = &mut self.decoder {
            first.keep_marks();
        }
    }

    /// Places to begin at when the file is read again, once reading gave nothing: none where it is anything but one member that the
    /// decoders of our own read.
    pub(crate) fn take_marks(&mut self) -> Vec<Mark> {
        let (marks, n_text) = std::mem::take(&mut self.marks);
        if n_text == self.n_text && self.end == StreamEnd::Complete { marks } else { Vec::new() }
    }

    /// Who wants the sum of the text that is read now, if anybody does.
    pub(crate) fn sums(&self) -> Option<Sums> {
        match &self.decoder {
            Decoder::First(first) => first.sums(),
            _ => None,
        }
    }

    /// How the stream ended; meaningful once reading gave nothing.
    pub(crate) fn end(&self) -> &StreamEnd {
        &self.end
    }

    /// What was damaged in the compressed stream and passed over since the last call.
    pub(crate) fn take_damages(&mut self) -> Vec<Damage> {
        std::mem::take(&mut self.damages)
    }

    /// Appends up to `limit` further bytes to `buffer`. Gives how many; none at the end.
    ///
    /// # Errors
    ///
    /// What the system says when the file itself cannot be read.
    pub(crate) fn append(&mut self, buffer: &mut Vec<u8>, limit: usize) -> io::Result<usize> {
        let before = buffer.len();
        buffer.resize(before + limit, 0);
        let filled = self.fill(&mut buffer[before..]);
        buffer.truncate(before + *filled.as_ref().unwrap_or(&0));
        filled
    }

    /// Writes further bytes to the start of `out`. Gives how many: all that there is room for but at the end.
    ///
    /// # Errors
    ///
    /// What the system says when the file itself cannot be read.
    pub(crate) fn fill(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.fill_behind(&[], out)
    }

    /// As [`Self::fill`]; `before` is the text before it of which nobody has given the sum.
    pub(crate) fn fill_behind(&mut self, before: &[u8], out: &mut [u8]) -> io::Result<usize> {
        if let Some(again) = &mut self.again {
            again.wanted.push(out.len());
        }
        let first = self.fill_first(before, out)?;
        let filled = first + self.read_all(&mut out[first..])?;
        self.n_text += filled as u64;
        self.progress.add_json_bytes(filled as u64);
        Ok(filled)
    }

    /// The same as far as the decoders of our own read it.
    fn fill_first(&mut self, before: &[u8], out: &mut [u8]) -> io::Result<usize> {
        let Decoder::First(first) = &mut self.decoder else { return Ok(0) };
        match first.fill(before, out) {
            Ok(n) if n < out.len() => self.leave_first_member().map(|()| n),
            Ok(n) => Ok(n),
            Err(Odd) => self.begin_again().map(|()| 0),
        }
    }

    fn read_all(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < out.len() {
            match self.read_some(&mut out[filled..])? {
                0 => break,
                n => filled += n,
            }
        }
        Ok(filled)
    }

    fn read_some(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match &mut self.decoder {
                Decoder::Plain(plain) => return plain.read(out),
                Decoder::Gzip(raw, gzip) => {
                    let step = gzip.read(raw, out);
                    self.damages.extend(gzip.take_damages());
                    match step? {
                        Step::Text(n) => return Ok(n),
                        Step::Member => Ok(0),
                        Step::Truncated => Err(io::ErrorKind::UnexpectedEof.into()),
                    }
                }
                Decoder::Zstd(zstd) => zstd.read(out),
                // The first member is read otherwise.
                Decoder::First(_) | Decoder::Ended => return Ok(0),
            };
            match read {
                Ok(0) => self.next_member()?,
                Ok(n) => return Ok(n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.stop(&error),
            }
        }
    }

    /// Leaves the first member to the library from its start on.
    #[cfg(test)]
    pub(super) fn leave_to_library(&mut self) -> io::Result<()> {
        self.begin_again()
    }

    /// Goes on with the reader of members behind the first one, which was read whole.
    fn leave_first_member(&mut self) -> io::Result<()> {
        let (Decoder::First(first), Some(again)) = (&mut self.decoder, self.again.take()) else {
            return Ok(());
        };
        self.marks = (first.take_marks(), first.n_text());
        let from = |offset| FileFrom { file: again.file, offset };
        let mut raw = Raw::at(first.trailer(), from, Arc::clone(&self.progress))?;
        // Fewer are there where the file was cut meanwhile.
        let n_trailer = raw.peek(TRAILER_BYTES)?.len().min(TRAILER_BYTES);
        raw.skip(n_trailer);
        self.decoder = Decoder::Gzip(raw, Box::new(Gzip::behind(first.n_text())));
        self.next_member()
    }

    /// Begins again with the reader of members, who knows what is wrong with one, and takes from it what was given already just as it
    /// was wanted, since what it makes of damage depends on that.
    fn begin_again(&mut self) -> io::Result<()> {
        let (Decoder::First(first), Some(again)) = (&self.decoder, self.again.take()) else {
            return Ok(());
        };
        let Again { file, mut wanted, .. } = *again;
        self.progress.forget_file_bytes(first.n_counted());
        let raw = Raw::new(Box::new(FileFrom { file, offset: 0 }), Arc::clone(&self.progress));
        self.decoder = Decoder::Gzip(raw, Box::new(Gzip::new()));
        // It is wanted now.
        wanted.pop();
        let mut given = Vec::new();
        for n in wanted {
            given.resize(n, 0);
            self.read_all(&mut given)?;
        }
        Ok(())
    }

    /// After a whole member: the next one, or the end.
    fn next_member(&mut self) -> io::Result<()> {
        let (mut rest, gzip) = match std::mem::replace(&mut self.decoder, Decoder::Ended) {
            Decoder::Gzip(raw, gzip) => (raw, Some(gzip)),
            Decoder::Zstd(zstd) => (zstd.into_inner(), None),
            Decoder::Plain(_) | Decoder::First(_) | Decoder::Ended => return Ok(()),
        };
        let start = rest.peek(ZSTD.len())?;
        if start.starts_with(GZIP) {
            self.decoder = Decoder::Gzip(rest, gzip.unwrap_or_else(|| Box::new(Gzip::new())));
        } else if start.starts_with(ZSTD) {
            match zstd(rest) {
                Ok(decoder) => self.decoder = Decoder::Zstd(decoder),
                Err(error) => self.stop(&error),
            }
        } else if !start.is_empty() {
            self.go_on_behind(rest, gzip)?;
        } else if let Some(damage) = self.damages.iter().find(|_| self.n_text == 0) {
            // Nothing at all could be inflated: that is no empty input.
            self.end = StreamEnd::Corrupt(damage.what.clone());
        }
        Ok(())
    }

    /// Something else follows a member: text that was not compressed, or something that another one stands behind.
    fn go_on_behind(&mut self, mut rest: Raw, gzip: Option<Box<Gzip>>) -> io::Result<()> {
        let ahead = rest.peek(LOOK_AHEAD)?;
        if is_text(ahead) && next_member(ahead, ahead.len()).is_none() {
            self.decoder = Decoder::Plain(rest);
            return Ok(());
        }
        let mut gzip = gzip.unwrap_or_else(|| Box::new(Gzip::new()));
        if gzip.find_member(&mut rest)? {
            self.damages.extend(gzip.take_damages());
            self.decoder = Decoder::Gzip(rest, gzip);
        } else {
            self.end = StreamEnd::TrailingBytes;
        }
        Ok(())
    }

    fn stop(&mut self, error: &io::Error) {
        self.decoder = Decoder::Ended;
        self.end = match error.kind() {
            io::ErrorKind::UnexpectedEof => StreamEnd::Truncated,
            _ => StreamEnd::Corrupt(error.to_string()),
        };
    }
}

impl Again {
    /// `None` of a pipe and the like, and where no member begins.
    fn of(file: File, raw: &mut Raw) -> Option<Box<Self>> {
        let known = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let stream = member_stream(raw).ok().flatten()?;
        let (file, n_bytes, wanted) = (Arc::new(file), known.len(), Vec::new());
        Some(Box::new(Self { file, n_bytes, stream, wanted }))
    }

    /// The first member, by one thread.
    fn straight(&self, progress: &Arc<Progress>) -> Option<Straight> {
        Straight::new(Arc::clone(&self.file), self.stream, Arc::clone(progress)).ok()
    }
}

/// Whether a member begins here, also behind one that was cut after its first byte.
fn is_gzip(start: &[u8]) -> bool {
    start.starts_with(GZIP)
        || start.strip_prefix(&GZIP[..1]).is_some_and(|rest| rest.starts_with(GZIP))
}

/// Whether bytes begin as text does.
fn is_text(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(256)];
    start.iter().all(|b| matches!(b, b'\t' | b'\n' | b'\r' | b' '..))
}

fn zstd(raw: Raw) -> io::Result<Box<StreamingDecoder<Raw, ruzstd::decoding::FrameDecoder>>> {
    StreamingDecoder::new(raw).map(Box::new).map_err(|error| io::Error::other(error.to_string()))
}

fn refuse_unsupported(path: &Path, start: &[u8]) -> Result<(), ReadError> {
    let (what, hint) = match start {
        [b'P', b'K', 3 | 5 | 7, ..] => ("a zip archive", "unpack it first"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => ("an xz file", "decompress it first: `xz -d`"),
        [b'B', b'Z', b'h', ..] => ("a bzip2 file", "decompress it first: `bzip2 -d`"),
        _ => return Ok(()),
    };
    Err(ReadError::Unsupported { path: path.to_owned(), what, hint })
}

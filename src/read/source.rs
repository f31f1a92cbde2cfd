//! Opening an input and telling by its content what it is: gzip, zstd, or text.
//!
//! Gives a stream of decompressed bytes. Damage to the compressed stream ends it: what came before is kept and
//! [`ByteStream::end`] says how it ended.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use flate2::bufread::GzDecoder;
use ruzstd::decoding::StreamingDecoder;

use super::map::MappedFile;
use super::{Progress, ReadError};

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

/// A counted reader over the bytes of the file.
struct Counted {
    inner: Box<dyn BufRead + Send>,
    progress: Arc<Progress>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.progress.add_file_bytes(n as u64);
        Ok(n)
    }
}

impl BufRead for Counted {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        self.inner.consume(n);
        self.progress.add_file_bytes(n as u64);
    }
}

enum Decoder {
    Plain(Counted),
    Gzip(Box<GzDecoder<Counted>>),
    Zstd(Box<StreamingDecoder<Counted, ruzstd::decoding::FrameDecoder>>),
    Ended,
}

/// The decompressed bytes of an input.
pub(crate) struct ByteStream {
    decoder: Decoder,
    end: StreamEnd,
    progress: Arc<Progress>,
}

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

impl ByteStream {
    /// Opens a file, or standard input for `-`.
    pub(crate) fn open(path: &Path, progress: Arc<Progress>) -> Result<Self, ReadError> {
        let fail = |source| ReadError::Io { path: path.to_owned(), source };
        let inner: Box<dyn BufRead + Send> = if path == Path::new("-") {
            Box::new(BufReader::with_capacity(1 << 18, io::stdin()))
        } else {
            let file = File::open(path).map_err(fail)?;
            match MappedFile::new(&file) {
                Some(mapped) => Box::new(mapped),
                None => Box::new(BufReader::with_capacity(1 << 18, file)),
            }
        };
        let mut counted = Counted { inner, progress: Arc::clone(&progress) };
        let start = first_bytes(&mut counted).map_err(fail)?;
        if start.is_empty() {
            return Err(ReadError::Empty { path: path.to_owned() });
        }
        refuse_unsupported(path, start)?;
        let decoder = if start.starts_with(GZIP) {
            Decoder::Gzip(Box::new(GzDecoder::new(counted)))
        } else if start.starts_with(ZSTD) {
            Decoder::Zstd(zstd(counted).map_err(|e| ReadError::Compression {
                path: path.to_owned(),
                what: e.to_string(),
            })?)
        } else {
            Decoder::Plain(counted)
        };
        Ok(Self { decoder, end: StreamEnd::Complete, progress })
    }

    /// How the stream ended; meaningful once reading gave nothing.
    pub(crate) fn end(&self) -> &StreamEnd {
        &self.end
    }

    /// Appends up to `limit` further bytes to `buffer`. Gives how many; none at the end.
    ///
    /// # Errors
    ///
    /// What the system says when the file itself cannot be read.
    pub(crate) fn append(&mut self, buffer: &mut Vec<u8>, limit: usize) -> io::Result<usize> {
        let before = buffer.len();
        buffer.resize(before + limit, 0);
        let mut filled = before;
        while filled < buffer.len() {
            match self.read_some(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) => {
                    buffer.truncate(filled);
                    return Err(error);
                }
            }
        }
        buffer.truncate(filled);
        self.progress.add_json_bytes((filled - before) as u64);
        Ok(filled - before)
    }

    fn read_some(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match &mut self.decoder {
                Decoder::Plain(plain) => return plain.read(out),
                Decoder::Gzip(gzip) => gzip.read(out),
                Decoder::Zstd(zstd) => zstd.read(out),
                Decoder::Ended => return Ok(0),
            };
            match read {
                Ok(0) => self.next_member()?,
                Ok(n) => return Ok(n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.stop(&error),
            }
        }
    }

    /// After a whole member: the next one, or the end.
    fn next_member(&mut self) -> io::Result<()> {
        let mut rest = match std::mem::replace(&mut self.decoder, Decoder::Ended) {
            Decoder::Gzip(gzip) => gzip.into_inner(),
            Decoder::Zstd(zstd) => zstd.into_inner(),
            Decoder::Plain(_) | Decoder::Ended => return Ok(()),
        };
        let start = first_bytes(&mut rest)?;
        if start.starts_with(GZIP) {
            self.decoder = Decoder::Gzip(Box::new(GzDecoder::new(rest)));
        } else if start.starts_with(ZSTD) {
            match zstd(rest) {
                Ok(decoder) => self.decoder = Decoder::Zstd(decoder),
                Err(error) => self.stop(&error),
            }
        } else if !start.is_empty() {
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

/// The first bytes, without taking them.
fn first_bytes(reader: &mut Counted) -> io::Result<&[u8]> {
    loop {
        match reader.fill_buf() {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    reader.fill_buf()
}

fn zstd(
    reader: Counted,
) -> io::Result<Box<StreamingDecoder<Counted, ruzstd::decoding::FrameDecoder>>> {
    StreamingDecoder::new(reader).map(Box::new).map_err(|error| io::Error::other(error.to_string()))
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

//! Turns the plain JSON that libtorch saved into a complete `.gz` with a checksum, under its final name.
//!
//! The name appears only when the file is complete: the work is done in the scratch directory, on the same file
//! system, and ends with a rename. libtorch says nothing when the disk is full, so what it left is looked at.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::fs::statvfs;
use sha2::{Digest, Sha256};

/// What the file came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Bytes of the compressed file.
    pub bytes: u64,
    /// Bytes of JSON in it.
    pub json_bytes: u64,
    /// SHA-256 of the compressed file, in hexadecimal.
    pub sha256: String,
}

/// Compresses `json` to `target`, and removes `json`. `scratch` is on the same file system as `target`.
pub fn finish(json: &Path, scratch: &Path, target: &Path) -> io::Result<Written> {
    let partial = scratch.join("trace.json.gz.partial");
    let written = compress(json, &partial).and_then(|written| {
        std::fs::rename(&partial, target)?;
        Ok(written)
    });
    // Best effort, and first: room that is needed elsewhere. The supervisor removes the whole scratch directory anyway.
    std::fs::remove_file(json).ok();
    if written.is_err() {
        std::fs::remove_file(&partial).ok();
    }
    written
}

/// libtorch's JSON, where it has written any.
fn open(json: &Path) -> io::Result<File> {
    File::open(json).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            io::Error::new(error.kind(), format!("libtorch wrote no trace{}", room(json)))
        }
        _ => error,
    })
}

/// How much more would fit beside a file, for people.
fn room(beside: &Path) -> String {
    let about = beside.parent().and_then(|dir| statvfs(dir).ok());
    about.map_or_else(String::new, |about| {
        format!(
            " ({} kB are free on its disk)",
            about.f_bavail.saturating_mul(about.f_frsize) / 1000
        )
    })
}

fn compress(json: &Path, partial: &Path) -> io::Result<Written> {
    let mut input = BufReader::with_capacity(1 << 20, open(json)?);
    let output = Hashing { file: File::create(partial)?, hash: Sha256::new(), bytes: 0 };
    let mut encoder = GzEncoder::new(output, Compression::new(6));
    let mut buffer = vec![0; 1 << 20];
    let (mut json_bytes, mut last) = (0, None);
    loop {
        let n = input.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        encoder.write_all(&buffer[..n])?;
        json_bytes += n as u64;
        last = buffer[..n].iter().rfind(|byte| !byte.is_ascii_whitespace()).copied().or(last);
    }
    if last != Some(b'}') {
        let text = format!("libtorch's trace is cut short after {json_bytes} bytes{}", room(json));
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
    }
    let Hashing { file, hash, bytes } = encoder.finish()?;
    file.sync_all()?;
    Ok(Written { bytes, json_bytes, sha256: hex(&hash.finalize()) })
}

/// SHA-256 of a file, in hexadecimal, and its size.
pub fn checksum(path: &Path) -> io::Result<(String, u64)> {
    let mut hash = Sha256::new();
    let bytes = io::copy(&mut File::open(path)?, &mut HashSink(&mut hash))?;
    Ok((hex(&hash.finalize()), bytes))
}

/// Writes a small file completely or not at all.
pub fn write_whole(target: &Path, contents: &[u8]) -> io::Result<()> {
    let mut partial = target.as_os_str().to_owned();
    partial.push(".partial");
    let written =
        std::fs::write(&partial, contents).and_then(|()| std::fs::rename(&partial, target));
    if written.is_err() {
        // It may never have been there.
        std::fs::remove_file(&partial).ok();
    }
    written
}

struct HashSink<'a>(&'a mut Sha256);

impl Write for HashSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Hashing {
    file: File,
    hash: Sha256,
    bytes: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hash.update(&bytes[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_trace_inflates_to_the_json_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (json, target) = (dir.path().join("a.json"), dir.path().join("a.json.gz"));
        let text = "{\"traceEvents\": []}\n".repeat(100_000);
        std::fs::write(&json, &text).unwrap();
        let written = finish(&json, dir.path(), &target).unwrap();
        let file = File::open(&target).unwrap();
        let mut back = String::new();
        flate2::read::GzDecoder::new(file).read_to_string(&mut back).unwrap();
        assert_eq!(back, text);
        assert_eq!(written.json_bytes, text.len() as u64);
        assert_eq!(checksum(&target).unwrap(), (written.sha256, written.bytes));
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(left.len(), 1);
    }

    #[test]
    fn a_trace_that_is_missing_or_cut_short_never_gets_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let (json, target) = (dir.path().join("a.json"), dir.path().join("a.json.gz"));
        let missing = finish(&json, dir.path(), &target).unwrap_err().to_string();
        assert!(
            missing.starts_with("libtorch wrote no trace (") && missing.contains("kB are free")
        );
        std::fs::write(&json, "{\"traceEvents\": [{\"ph\": \"X\",\n").unwrap();
        let cut = finish(&json, dir.path(), &target).unwrap_err().to_string();
        assert!(cut.starts_with("libtorch's trace is cut short after 29 bytes"), "{cut}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_small_file_that_cannot_be_written_leaves_nothing() {
        // The name of a folder cannot be taken by a file.
        let dir = tempfile::tempdir().unwrap();
        let taken = dir.path().join("taken");
        std::fs::create_dir(&taken).unwrap();
        assert!(write_whole(&taken, b"text").is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

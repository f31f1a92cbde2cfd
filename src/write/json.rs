//! A whole Chrome JSON file: head, events block by block, tail; plain or as one gzip member.

use std::collections::HashMap;
use std::io::{self, Write};

use super::gzip::{BlockCompressor, GzipMember};
use super::rewrite::{Body, Rewritten, SEPARATOR};

/// Where the text goes.
enum Sink<W: Write> {
    Plain(W),
    Gzip(GzipMember<W>, u32),
}

/// Writes a trace file.
pub(crate) struct JsonFile<W: Write> {
    sink: Sink<W>,
    has_events: bool,
    text_bytes: u64,
}

impl<W: Write> JsonFile<W> {
    /// Starts a file with its top-level members before the events; `level` asks for gzip.
    pub(crate) fn new(
        out: W,
        level: Option<u32>,
        members: &[(String, String)],
    ) -> io::Result<Self> {
        let sink = match level {
            None => Sink::Plain(out),
            Some(level) => Sink::Gzip(GzipMember::new(out)?, level),
        };
        let mut file = Self { sink, has_events: false, text_bytes: 0 };
        let mut head = String::from("{\n");
        // Of a repeated key the last value counts.
        let last: HashMap<&str, usize> =
            members.iter().enumerate().map(|(i, (key, _))| (key.as_str(), i)).collect();
        for (i, (key, value)) in members.iter().enumerate() {
            if last.get(key.as_str()) != Some(&i) {
                continue;
            }
            head += &format!("{}: {value},\n", serde_json::Value::from(key.as_str()));
        }
        head += "\"traceEvents\": [\n";
        file.put(head.as_bytes())?;
        Ok(file)
    }

    /// Bytes of text so far.
    pub(crate) fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    fn put(&mut self, text: &[u8]) -> io::Result<()> {
        self.text_bytes += text.len() as u64;
        match &mut self.sink {
            Sink::Plain(out) => out.write_all(text),
            Sink::Gzip(member, level) => {
                member.append(&BlockCompressor::new(*level).block(text, Vec::new()))
            }
        }
    }

    fn separate(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.has_events, true) {
            return Ok(());
        }
        self.text_bytes += SEPARATOR.len() as u64;
        match &mut self.sink {
            Sink::Plain(out) => out.write_all(SEPARATOR),
            Sink::Gzip(member, _) => member.append_stored(SEPARATOR),
        }
    }

    /// Appends events, as text with separators between them.
    pub(crate) fn append_text(&mut self, events: &[u8]) -> io::Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        self.separate()?;
        self.put(events)
    }

    /// Appends a rewritten block.
    pub(crate) fn append(&mut self, block: &Rewritten) -> io::Result<()> {
        if block.text_bytes == 0 {
            return Ok(());
        }
        self.separate()?;
        match (&mut self.sink, &block.body) {
            (Sink::Plain(out), Body::Plain(text)) => out.write_all(text)?,
            (Sink::Gzip(member, _), Body::Gzip(block)) => member.append(block)?,
            (_, Body::Plain(text)) => return self.put(text),
            (Sink::Plain(_), Body::Gzip(_)) => {
                return Err(io::Error::other("a compressed block in a plain file"));
            }
        }
        self.text_bytes += block.text_bytes;
        Ok(())
    }

    /// Ends the file.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.put(b"\n]}\n")?;
        match self.sink {
            Sink::Plain(out) => Ok(out),
            Sink::Gzip(member, _) => member.finish(),
        }
    }
}

//! The machine output as JSON text: fields in the contract's order, one row a line.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Brackets within which every element has a line of its own: the document and the lists in it, not the rows.
const BROKEN_DEPTH: usize = 2;

/// `value` as JSON, with a line feed at the end.
///
/// # Errors
///
/// Where the value cannot be written as JSON (a map with keys that are no strings).
pub fn document(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, RowPerLine::default()))?;
    bytes.push(b'\n');
    // It is text; a copy of many rows would be a large one.
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

/// Breaks lines between rows and nowhere inside them.
#[derive(Default)]
struct RowPerLine {
    /// For each open bracket: whether its elements have lines of their own, and whether it has an element yet.
    open: Vec<(bool, bool)>,
}

impl RowPerLine {
    fn begin<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: u8) -> io::Result<()> {
        // The rows of a list are objects one level down: lists break at level 2, objects only at level 1.
        let is_broken =
            if bracket == b'[' { self.open.len() < BROKEN_DEPTH } else { self.open.is_empty() };
        self.open.push((is_broken, false));
        writer.write_all(&[bracket])
    }

    fn end<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: u8) -> io::Result<()> {
        if self.open.pop() == Some((true, true)) {
            self.new_line(writer)?;
        }
        writer.write_all(&[bracket])
    }

    fn element<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        match self.open.last_mut() {
            Some((true, has_element)) => {
                *has_element = true;
                self.new_line(writer)
            }
            _ => Ok(()),
        }
    }

    fn new_line<W: ?Sized + Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"\n")?;
        self.open.iter().try_for_each(|_| writer.write_all(b"  "))
    }
}

impl Formatter for RowPerLine {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, b'[')
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b']')
    }

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.element(writer, first)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, b'{')
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b'}')
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.element(writer, first)
    }
}

#[cfg(test)]
mod tests {
    use super::document;

    #[test]
    fn rows_have_a_line_each() {
        let value = serde_json::json!({
            "a": 1, "rows": [{"x": null, "y": [1, {"z": "é\n"}]}, {}], "none": [], "totals": {"t": 2}
        });
        let text = document(&value).unwrap();
        let expected = [
            "{",
            "  \"a\":1,",
            "  \"rows\":[",
            "    {\"x\":null,\"y\":[1,{\"z\":\"é\\n\"}]},",
            "    {}",
            "  ],",
            "  \"none\":[],",
            "  \"totals\":{\"t\":2}",
            "}",
            "",
        ];
        assert_eq!(text, expected.join("\n"));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}

//! Dictionaries in logs: Python's `repr` and JSON, by one small parser.
//!
//! Numbers stay text, so that a duration's decimal becomes nanoseconds exactly. Depth is limited.

use crate::model::limits::MAX_LOG_VALUE_DEPTH;

/// A value of a dictionary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// `None`, `null`.
    Null,
    /// `True`, `true`, …
    Bool(bool),
    /// A number as its text. `rounded` tells that it was rounded for display.
    Number { text: String, rounded: bool },
    /// A string, or the text of an object that is no literal (`<torch.Generator object at 0x…>`).
    Text(String),
    /// A list, tuple or set.
    List(Vec<Value>),
    /// A dictionary; keys that are no strings stand as their text.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// The fields of a dictionary; none of anything else.
    pub(crate) fn fields(&self) -> &[(String, Value)] {
        match self {
            Self::Map(fields) => fields,
            _ => &[],
        }
    }

    /// The items of a list; none of anything else.
    pub(crate) fn items(&self) -> &[Value] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// The text of a string or a number.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Number { text, .. } => Some(text),
            _ => None,
        }
    }
}

/// Parses one value that fills the text.
pub(crate) fn parse_value(text: &str) -> Option<Value> {
    let (value, rest) = parse_prefix(text)?;
    rest.trim().is_empty().then_some(value)
}

/// Parses one value at the start of the text; gives what follows it too.
pub(crate) fn parse_prefix(text: &str) -> Option<(Value, &str)> {
    let mut parser = Parser { text, at: 0 };
    let value = parser.value(0)?;
    Some((value, &text[parser.at..]))
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_LOG_VALUE_DEPTH {
            return None;
        }
        match self.peek()? {
            b'{' => self.map_or_set(depth),
            b'[' => self.list(b']', depth).map(Value::List),
            b'(' => self.list(b')', depth).map(Value::List),
            b'\'' | b'"' => self.strings().map(Value::Text),
            b'<' => self.object(),
            _ => self.word(depth),
        }
    }

    fn list(&mut self, close: u8, depth: usize) -> Option<Vec<Value>> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            if self.peek()? == close {
                self.at += 1;
                return Some(items);
            }
            items.push(self.value(depth + 1)?);
            if self.peek()? != close {
                self.eat(b',')?;
            }
        }
    }

    fn map_or_set(&mut self, depth: usize) -> Option<Value> {
        self.at += 1;
        let (mut fields, mut items) = (Vec::new(), Vec::new());
        loop {
            if self.peek()? == b'}' {
                self.at += 1;
                let is_set = fields.is_empty() && !items.is_empty();
                return Some(if is_set { Value::List(items) } else { Value::Map(fields) });
            }
            let key = self.value(depth + 1)?;
            if self.peek()? == b':' {
                self.at += 1;
                fields.push((key_text(key), self.value(depth + 1)?));
            } else {
                items.push(key);
            }
            if self.peek()? != b'}' {
                self.eat(b',')?;
            }
        }
    }

    /// One string, or several that Python joins (pformat breaks long ones so).
    fn strings(&mut self) -> Option<String> {
        let mut out = String::new();
        while let Some(quote @ (b'\'' | b'"')) = self.peek() {
            self.at += 1;
            self.string(quote, &mut out)?;
        }
        Some(out)
    }

    fn string(&mut self, quote: u8, out: &mut String) -> Option<()> {
        loop {
            let rest = &self.text[self.at..];
            let stop = memchr::memchr2(quote, b'\\', rest.as_bytes())?;
            out.push_str(&rest[..stop]);
            self.at += stop + 1;
            if rest.as_bytes()[stop] == quote {
                return Some(());
            }
            self.escape(out)?;
        }
    }

    fn escape(&mut self, out: &mut String) -> Option<()> {
        let c = self.text[self.at..].chars().next()?;
        self.at += c.len_utf8();
        match c {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'a' => out.push('\u{7}'),
            'v' => out.push('\u{b}'),
            '0' => out.push('\0'),
            'x' => self.code_point(2, out)?,
            'u' => self.code_point(4, out)?,
            'U' => self.code_point(8, out)?,
            '\n' => {}
            other => out.push(other),
        }
        Some(())
    }

    /// A code point in hexadecimal; a UTF-16 pair, as JSON writes it, is joined, and half a pair becomes U+FFFD.
    fn code_point(&mut self, digits: usize, out: &mut String) -> Option<()> {
        let code = self.hex(digits)?;
        let is_high = (0xd800..0xdc00).contains(&code);
        let mut joined = code;
        if is_high && self.text[self.at..].starts_with("\\u") {
            let before = self.at;
            self.at += 2;
            match self.hex(4) {
                Some(low @ 0xdc00..0xe000) => {
                    joined = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                }
                _ => self.at = before,
            }
        }
        out.push(char::from_u32(joined).unwrap_or('\u{fffd}'));
        Some(())
    }

    fn hex(&mut self, digits: usize) -> Option<u32> {
        let text = self.text.get(self.at..self.at + digits)?;
        let code = u32::from_str_radix(text, 16).ok()?;
        self.at += digits;
        Some(code)
    }

    /// `<torch._C.Generator object at 0x7f>`, `<class 'x'>`, angle brackets nested.
    fn object(&mut self) -> Option<Value> {
        let begin = self.at;
        let mut open = 0_usize;
        for (i, b) in self.text.as_bytes()[begin..].iter().enumerate() {
            match b {
                b'<' => open += 1,
                b'>' => open -= 1,
                _ => {}
            }
            if open == 0 {
                self.at = begin + i + 1;
                return Some(Value::Text(self.text[begin..self.at].to_owned()));
            }
        }
        None
    }

    /// A number, a constant, a name, or a call `Name(…)`.
    fn word(&mut self, depth: usize) -> Option<Value> {
        let begin = self.at;
        let bytes = self.text.as_bytes();
        let is_word = |b: &u8| b.is_ascii_alphanumeric() || b"+-._".contains(b);
        while bytes.get(self.at).is_some_and(is_word) {
            self.at += 1;
        }
        let word = &self.text[begin..self.at];
        if word.is_empty() {
            return None;
        }
        if bytes.get(self.at) == Some(&b'(') {
            return self.call(begin, depth);
        }
        Some(match word {
            "None" | "null" => Value::Null,
            "True" | "true" => Value::Bool(true),
            "False" | "false" => Value::Bool(false),
            _ if is_number(word) => Value::Number { text: word.to_owned(), rounded: false },
            // Bytes and raw strings: the prefix stands before the quote.
            "b" | "r" | "u" if matches!(bytes.get(self.at), Some(b'\'' | b'"')) => {
                Value::Text(self.strings()?)
            }
            _ => Value::Text(word.to_owned()),
        })
    }

    /// A call is kept as its text. Its arguments may hold `name=value`, so only brackets and strings are followed.
    fn call(&mut self, begin: usize, depth: usize) -> Option<Value> {
        self.at += 1;
        let mut open = 1_usize;
        while open > 0 {
            match self.peek()? {
                b'(' | b'[' | b'{' => open += 1,
                b')' | b']' | b'}' => open -= 1,
                b'\'' | b'"' => {
                    self.strings()?;
                    continue;
                }
                _ => {}
            }
            if depth + open > MAX_LOG_VALUE_DEPTH {
                return None;
            }
            self.at += 1;
        }
        Some(Value::Text(self.text.get(begin..self.at)?.to_owned()))
    }
}

fn is_number(word: &str) -> bool {
    let digits = word.trim_start_matches(['+', '-']);
    matches!(digits, "nan" | "inf" | "NaN" | "Infinity")
        || digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && word.parse::<f64>().is_ok()
}

fn key_text(key: Value) -> String {
    match key {
        Value::Text(text) | Value::Number { text, .. } => text,
        Value::List(items) => items.into_iter().map(key_text).collect::<Vec<_>>().join(","),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null | Value::Map(_) => "None".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Value, parse_prefix, parse_value};

    fn number(text: &str) -> Value {
        Value::Number { text: text.to_owned(), rounded: false }
    }

    #[test]
    fn python_and_json_are_one() {
        let python =
            parse_value("{'a': None, 'b': [True, 1.5e-3], 3: (1, 'x'), 'n': nan}").unwrap();
        let Value::Map(fields) = &python else { panic!("{python:?}") };
        assert_eq!(fields[0], ("a".to_owned(), Value::Null));
        assert_eq!(fields[1].1, Value::List(vec![Value::Bool(true), number("1.5e-3")]));
        assert_eq!(fields[2].0, "3");
        assert_eq!(fields[3].1, number("nan"));
        let json = parse_value(r#"{"a": null, "b": [true, 1.5e-3]}"#).unwrap();
        assert_eq!(json.fields()[..], fields[..2]);
    }

    #[test]
    fn strings_of_both_kinds() {
        let text = |t: &str| parse_value(t).unwrap();
        assert_eq!(text(r#""it's""#), Value::Text("it's".into()));
        assert_eq!(text(r"'a\'b\\_\n'"), Value::Text("a'b\\_\n".into()));
        assert_eq!(text(r#""\ud83e\udd8a""#), Value::Text("🦊".into()));
        assert_eq!(text("('one '\n 'two')").items(), [Value::Text("one two".into())]);
        assert_eq!(
            text("<torch._C.G object at 0x7>"),
            Value::Text("<torch._C.G object at 0x7>".into())
        );
        assert_eq!(
            text("{'g': Cfg(a=[1], b='x)')}").fields()[0].1,
            Value::Text("Cfg(a=[1], b='x)')".into())
        );
    }

    #[test]
    fn broken_text_is_refused() {
        for bad in ["", "{", "{'a': ", "{'a' 1}", "[1 2]", "'open", "{'a': 1}}", "<x", "\\", "'\\"]
        {
            assert_eq!(parse_value(bad), None, "{bad}");
        }
        assert_eq!(parse_value(&"[".repeat(100_000)), None);
        assert_eq!(parse_prefix("{} tail").unwrap().1, " tail");
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,60}|[\\[\\]{}()'\"\\\\,:a<>0-9 ]{0,60}") {
            let _ = parse_value(&text);
        }

        #[test]
        fn agrees_with_serde_on_json(numbers in prop::collection::vec(any::<f64>(), 0..5), text in any::<String>()) {
            let doc = serde_json::json!({ "numbers": numbers, "text": text }).to_string();
            let parsed = parse_value(&doc).unwrap();
            prop_assert_eq!(parsed.fields()[1].1.as_text(), Some(text.as_str()));
            for (value, number) in parsed.fields()[0].1.items().iter().zip(&numbers) {
                if number.is_finite() {
                    prop_assert_eq!(value.as_text().unwrap().parse::<f64>().unwrap(), *number);
                }
            }
        }
    }
}

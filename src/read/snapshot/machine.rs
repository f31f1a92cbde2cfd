//! The opcodes of a pickle, one after the other, on a stack.
//!
//! Nothing is ever called, imported or built: what a pickle asks for of that kind becomes [`Value::Unread`]. Nothing recurs however
//! deep lists nest, and what a file can make of few bytes is bounded: see [`Machine::make_room`].

use super::bytes::Bytes;
use super::pickle::{Fault, Node, Pickle, RawEvent, Value, unsigned};
use crate::model::limits::{
    MAX_PICKLE_DEPTH, MAX_TEXT_BYTES, PICKLE_BYTES_A_VALUE, PICKLE_FREE_VALUES,
};
use crate::store::Action;

/// Reads a pickle up to its end.
pub(super) fn read(bytes: &mut Bytes) -> Result<Pickle, Fault> {
    let made = Pickle::default();
    let mut machine =
        Machine { bytes, made, stack: Vec::new(), marks: Vec::new(), memo: Vec::new() };
    while machine.step()? {}
    machine.made.root = machine.stack.pop();
    Ok(machine.made)
}

/// What opcodes work on.
struct Machine<'a> {
    bytes: &'a mut Bytes,
    made: Pickle,
    stack: Vec<Value>,
    /// Lengths of the stack at the marks.
    marks: Vec<usize>,
    memo: Vec<Value>,
}

impl Machine<'_> {
    /// Does the next opcode; `false` at the end.
    fn step(&mut self) -> Result<bool, Fault> {
        self.make_room()?;
        let at = self.bytes.taken();
        let code = self.bytes.byte()?;
        match code {
            b'.' => return Ok(false),
            0x80 => self.bytes.pass_over(1)?,
            0x95 => self.bytes.pass_over(8)?,
            b'(' => self.marks.push(self.stack.len()),
            b'0' => {
                self.pop()?;
            }
            b'1' => {
                self.pop_mark()?;
            }
            b'N' => self.stack.push(Value::None),
            0x88 | 0x89 => self.stack.push(Value::Bool(code == 0x88)),
            b'J' | b'K' | b'M' | b'G' | 0x8a | 0x8b => self.number(code)?,
            b'X' | 0x8c | 0x8d | b'T' | b'U' => self.text(code)?,
            b'B' | b'C' | 0x8e | 0x96 => {
                let len = self.length(code)?;
                self.bytes.pass_over(len)?;
                self.stack.push(Value::Unread);
            }
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.memory(code)?,
            b']' | 0x8f | b')' | b'l' | b't' | 0x91 | 0x85..=0x87 | b'a' | b'e' | 0x90 => {
                self.list(code)?;
            }
            b'}' | b'd' | b's' | b'u' => self.dictionary(code)?,
            b'c' | 0x93 | b'R' | 0x81 | 0x92 | b'b' | b'o' | b'i' | b'P' | b'Q' | 0x82..=0x84 => {
                self.call(code)?;
            }
            _ => return Err(Fault::Opcode { code, at }),
        }
        Ok(true)
    }

    /// Refuses what makes more of its bytes than snapshots do: these have one value in some ten bytes, and are no deeper
    /// than a few levels.
    fn make_room(&self) -> Result<(), Fault> {
        let at = self.bytes.taken();
        let most = PICKLE_FREE_VALUES + at / PICKLE_BYTES_A_VALUE;
        let held = [self.stack.len(), self.memo.len(), self.made.nodes.len()];
        if held.into_iter().any(|n| n as u64 > most) {
            let what = "it makes more values of its bytes than a snapshot has";
            return Err(Fault::TooMuch { at, what });
        }
        if self.marks.len() > MAX_PICKLE_DEPTH {
            return Err(Fault::TooMuch { at, what: "it is nested deeper than a snapshot is" });
        }
        Ok(())
    }

    fn broken<T>(&self, what: &'static str) -> Result<T, Fault> {
        Err(Fault::Broken { at: self.bytes.taken(), what })
    }

    fn pop(&mut self) -> Result<Value, Fault> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.pop().filter(|_| self.stack.len() >= floor) {
            Some(value) => Ok(value),
            None => self.broken("an opcode finds no value"),
        }
    }

    fn pop_mark(&mut self) -> Result<Vec<Value>, Fault> {
        match self.marks.pop() {
            Some(at) => Ok(self.stack.split_off(at.min(self.stack.len()))),
            None => self.broken("an opcode finds no mark"),
        }
    }

    fn push_node(&mut self, node: Node) {
        self.stack.push(Value::Node(self.made.nodes.len() as u32));
        self.made.nodes.push(node);
    }

    fn number(&mut self, code: u8) -> Result<(), Fault> {
        let value = match code {
            b'J' => Value::Int(i64::from(i32::from_le_bytes(self.bytes.array()?))),
            b'K' => Value::Int(i64::from(self.bytes.byte()?)),
            b'M' => Value::Int(i64::from(u16::from_le_bytes(self.bytes.array()?))),
            b'G' => Value::Float(f64::from_be_bytes(self.bytes.array()?)),
            _ => {
                let len = self.length(code)?;
                let digits = self.bytes.long(len)?;
                long(&digits).map_or(Value::Unread, Value::Int)
            }
        };
        self.stack.push(value);
        Ok(())
    }

    /// The length that an opcode states.
    fn length(&mut self, code: u8) -> Result<u64, Fault> {
        Ok(match code {
            0x8c | b'U' | b'C' | 0x8a => u64::from(self.bytes.byte()?),
            b'X' | b'T' | b'B' | 0x8b => u64::from(u32::from_le_bytes(self.bytes.array()?)),
            _ => u64::from_le_bytes(self.bytes.array()?),
        })
    }

    fn text(&mut self, code: u8) -> Result<(), Fault> {
        let len = self.length(code)?;
        let bytes = self.bytes.long(len)?;
        self.made.n_cut += u64::from(len > MAX_TEXT_BYTES as u64);
        let text = String::from_utf8(bytes).unwrap_or_else(|error| {
            self.made.n_bad_texts += 1;
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        });
        self.push_text(text);
        Ok(())
    }

    fn push_text(&mut self, text: String) {
        self.stack.push(Value::Text(self.made.texts.len() as u32));
        self.made.texts.push(text);
    }

    /// Keeps a value for later, or takes one that was kept.
    fn memory(&mut self, code: u8) -> Result<(), Fault> {
        let number = match code {
            b'q' | b'h' => usize::from(self.bytes.byte()?),
            b'r' | b'j' => u32::from_le_bytes(self.bytes.array()?) as usize,
            _ => self.memo.len(),
        };
        if matches!(code, b'h' | b'j') {
            let Some(&value) = self.memo.get(number) else {
                return self.broken("an opcode takes a value that was not kept");
            };
            self.stack.push(value);
            return Ok(());
        }
        // Writers number in order.
        if number > 2 * self.memo.len() + 256 {
            return self.broken("a value is kept under a number far from the others");
        }
        let Some(&value) = self.stack.last() else { return self.broken("nothing is to be kept") };
        if number >= self.memo.len() {
            self.memo.resize(number + 1, Value::None);
        }
        self.memo[number] = value;
        Ok(())
    }

    fn list(&mut self, code: u8) -> Result<(), Fault> {
        match code {
            b']' | 0x8f | b')' => self.push_node(Node::List(Vec::new())),
            b'l' | b't' | 0x91 => {
                let items = self.pop_mark()?;
                self.push_node(Node::List(items));
            }
            0x85..=0x87 => {
                let n = usize::from(code - 0x84);
                let mut items = (0..n).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
                items.reverse();
                self.push_node(Node::List(items));
            }
            _ => {
                let items = if code == b'a' { vec![self.pop()?] } else { self.pop_mark()? };
                if let Some(Node::List(list)) = self.top()? {
                    list.extend(items);
                }
            }
        }
        Ok(())
    }

    /// What the topmost value holds; `None` where it holds nothing.
    fn top(&mut self) -> Result<Option<&mut Node>, Fault> {
        match self.stack.last() {
            Some(&Value::Node(number)) => Ok(self.made.nodes.get_mut(number as usize)),
            Some(_) => Ok(None),
            None => self.broken("an opcode finds nothing to add to"),
        }
    }

    fn dictionary(&mut self, code: u8) -> Result<(), Fault> {
        let items = match code {
            b'}' => {
                self.push_node(Node::Dict(Vec::new()));
                return Ok(());
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                vec![key, value]
            }
            _ => self.pop_mark()?,
        };
        if code == b'd' {
            self.push_node(Node::Dict(Vec::new()));
        }
        let pairs = items.chunks_exact(2).map(|pair| (pair[0], pair[1]));
        let event = match self.top()? {
            Some(Node::Event(number)) => Some(*number),
            Some(Node::Dict(known)) if known.is_empty() => None,
            Some(Node::Dict(known)) => {
                known.extend(pairs);
                return Ok(());
            }
            _ => return Ok(()),
        };
        let is_event =
            || pairs.clone().any(|(key, _)| self.made.text(key).is_some_and(|key| key == "action"));
        let number = match event {
            Some(number) => number,
            None if is_event() => self.new_event()?,
            None => {
                if let Some(Node::Dict(known)) = self.top()? {
                    known.extend(pairs);
                }
                return Ok(());
            }
        };
        pairs.for_each(|pair| self.tell(number, pair));
        Ok(())
    }

    /// Makes an event of the topmost value.
    fn new_event(&mut self) -> Result<u32, Fault> {
        let number = self.made.events.len() as u32;
        self.made.events.push(RawEvent {
            action: Action::Other,
            address: None,
            bytes: None,
            time_us: None,
            frames: Value::None,
        });
        if let Some(node) = self.top()? {
            *node = Node::Event(number);
        }
        Ok(number)
    }

    /// Notes what a key tells of an event.
    fn tell(&mut self, number: u32, (key, value): (Value, Value)) {
        let made = &mut self.made;
        let text = |value: Value| match value {
            Value::Text(number) => made.texts.get(number as usize).map(String::as_str),
            _ => None,
        };
        let Some(event) = made.events.get_mut(number as usize) else { return };
        match text(key) {
            Some("action") => event.action = text(value).map_or(Action::Other, action),
            // Of what failed there is no address: what the device had free stands in its place.
            Some("addr" | "device_free") => event.address = unsigned(value),
            Some("size") => event.bytes = unsigned(value),
            Some("time_us") => {
                event.time_us = if let Value::Int(us) = value { Some(us) } else { None };
            }
            Some("frames") => event.frames = value,
            _ => {}
        }
    }

    /// Takes what something was to be called with, and does not call it.
    fn call(&mut self, code: u8) -> Result<(), Fault> {
        match code {
            b'c' | b'i' => {
                let names = [self.bytes.line()?, self.bytes.line()?];
                if code == b'i' {
                    self.pop_mark()?;
                }
                self.note_call(names.map(|name| String::from_utf8_lossy(&name).into_owned()));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let text = |value: Value| self.made.text(value).unwrap_or("?").to_owned();
                let names = [module, name].map(text);
                self.note_call(names);
            }
            // The object stays, without its state.
            b'b' => {
                self.pop()?;
                return Ok(());
            }
            b'R' | 0x81 | 0x92 | b'Q' => {
                let n = if code == b'Q' { 1 } else { 2 + usize::from(code == 0x92) };
                for _ in 0..n {
                    self.pop()?;
                }
            }
            b'o' => {
                self.pop_mark()?;
            }
            b'P' => {
                self.bytes.line()?;
            }
            _ => self.bytes.pass_over(1 << (code - 0x82))?,
        }
        self.stack.push(Value::Unread);
        Ok(())
    }

    fn note_call(&mut self, [module, name]: [String; 2]) {
        let (count, first) = &mut self.made.calls;
        if *count == 0 {
            *first = format!("{module}.{name}");
        }
        *count += 1;
    }
}

fn action(word: &str) -> Action {
    match word {
        "alloc" => Action::Alloc,
        "free_requested" => Action::FreeRequested,
        "free_completed" => Action::FreeCompleted,
        "segment_alloc" => Action::SegmentAlloc,
        "segment_free" => Action::SegmentFree,
        "segment_map" => Action::SegmentMap,
        "segment_unmap" => Action::SegmentUnmap,
        "oom" => Action::OutOfMemory,
        _ => Action::Other,
    }
}

/// A number of any length, the lowest byte first and with a sign; `None` where it does not fit.
fn long(digits: &[u8]) -> Option<i64> {
    let is_negative = digits.last().is_some_and(|&byte| byte >= 0x80);
    let filler = if is_negative { 0xff } else { 0 };
    let mut out = [filler; 8];
    let (low, high) = digits.split_at(digits.len().min(8));
    out[..low.len()].copy_from_slice(low);
    let number = i64::from_le_bytes(out);
    let fits = high.iter().all(|&byte| byte == filler) && (number < 0) == is_negative;
    fits.then_some(number)
}

#[cfg(test)]
mod tests {
    use super::long;

    #[test]
    fn long_numbers() {
        assert_eq!(long(&[]), Some(0));
        assert_eq!(long(&[0xff]), Some(-1));
        assert_eq!(long(&[0xff, 0]), Some(255));
        assert_eq!(long(&[0, 0, 0, 0, 0, 0, 0, 0x80]), Some(i64::MIN));
        assert_eq!(long(&[0, 0, 0, 0, 0, 0, 0, 0x80, 0]), None);
        assert_eq!(long(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Some(1));
    }
}

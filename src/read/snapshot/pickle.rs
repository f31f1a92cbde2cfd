//! Pickles as data: the opcodes that make texts, numbers, lists and dictionaries, of protocols 2 to 5.
//!
//! Lists and dictionaries are numbered, so that what the pickle refers to many times is there once.

use std::fmt;
use std::io;

use crate::store::Action;

/// An offset in the decompressed input.
pub(super) type Pos = u64;

/// Why a pickle cannot be read.
#[derive(Debug)]
pub(super) enum Fault {
    /// What the system says.
    Io(io::Error),
    /// It ends before it is complete.
    Ended { at: Pos, damage: Option<String> },
    /// An opcode that is not read.
    Opcode { code: u8, at: Pos },
    /// An opcode finds nothing to work on.
    Broken { at: Pos, what: &'static str },
    /// It makes more of its bytes than snapshots do.
    TooMuch { at: Pos, what: &'static str },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Ended { at, damage: None } => write!(f, "it ends early, at byte {at}"),
            Self::Ended { at, damage: Some(what) } => {
                write!(f, "the compressed stream is damaged behind byte {at} of the text: {what}")
            }
            Self::Opcode { code, at } => {
                write!(f, "opcode {code:#04x} at byte {at} is none that snapshots have")
            }
            Self::Broken { at, what } | Self::TooMuch { at, what } => {
                write!(f, "{what}, at byte {at}")
            }
        }
    }
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Number of a text.
    Text(u32),
    /// Number of a list, tuple, set or dictionary.
    Node(u32),
    /// What would have to be called, or does not fit.
    Unread,
}

/// What holds others.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    List(Vec<Value>),
    Dict(Vec<(Value, Value)>),
    /// Number of an event: a dictionary with an `action`, of which there are millions.
    Event(u32),
}

/// What of an event is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RawEvent {
    pub(super) action: Action,
    pub(super) address: Option<u64>,
    pub(super) bytes: Option<u64>,
    pub(super) time_us: Option<i64>,
    pub(super) frames: Value,
}

/// A pickle, read.
#[derive(Debug, Default)]
pub(super) struct Pickle {
    pub(super) root: Option<Value>,
    pub(super) nodes: Vec<Node>,
    pub(super) texts: Vec<String>,
    pub(super) events: Vec<RawEvent>,
    /// How often something was to be called, and the name of the first.
    pub(super) calls: (u64, String),
    /// Texts that were longer than is kept.
    pub(super) n_cut: u64,
    /// Texts with bytes that are no UTF-8.
    pub(super) n_bad_texts: u64,
}

impl Pickle {
    /// The text of a value that is one.
    pub(super) fn text(&self, value: Value) -> Option<&str> {
        match value {
            Value::Text(number) => self.texts.get(number as usize).map(String::as_str),
            _ => None,
        }
    }

    /// What a list holds; nothing of what is none.
    pub(super) fn list(&self, value: Value) -> &[Value] {
        match self.node(value) {
            Some(Node::List(items)) => items,
            _ => &[],
        }
    }

    /// The value of a dictionary's key; the last one where it is repeated.
    pub(super) fn get(&self, value: Value, key: &str) -> Option<Value> {
        let Some(Node::Dict(pairs)) = self.node(value) else { return None };
        let found = pairs.iter().rev().find(|&&(one, _)| self.text(one) == Some(key));
        found.map(|&(_, value)| value)
    }

    /// The size or address of a dictionary's key.
    pub(super) fn size(&self, value: Value, key: &str) -> Option<u64> {
        self.get(value, key).and_then(unsigned)
    }

    fn node(&self, value: Value) -> Option<&Node> {
        match value {
            Value::Node(number) => self.nodes.get(number as usize),
            _ => None,
        }
    }
}

/// A number that is none below 0.
pub(super) fn unsigned(value: Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(number).ok(),
        _ => None,
    }
}

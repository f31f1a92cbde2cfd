//! Numbers of processes and threads as traces write them.

use serde::ser::{Serialize, Serializer};

use super::{Carry, Kind, Taken, TextList, Value, Values};

/// A pid or tid: traces write numbers or words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdCell {
    /// A number.
    Number(i64),
    /// Words.
    Text(String),
}

impl IdCell {
    /// The id of a text.
    pub fn of(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Text(text.to_owned()), Self::Number)
    }
}

impl Value for IdCell {
    const KIND: Kind = Kind::Text;

    fn put(&self, to: &mut Values) {
        self.to_string().put(to);
    }
}

impl Carry for IdCell {
    fn shape(to: &mut String) {
        *to += "text";
    }

    fn give(&self, to: &mut Vec<i64>, texts: &mut TextList) {
        self.to_string().give(to, texts);
    }

    fn take(from: &mut Taken<'_>) -> Option<Self> {
        String::take(from).map(|text| Self::of(&text))
    }
}

impl Serialize for IdCell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(value) => serializer.serialize_i64(*value),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl std::fmt::Display for IdCell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(value) => write!(f, "{value}"),
            Self::Text(text) => write!(f, "{text}"),
        }
    }
}

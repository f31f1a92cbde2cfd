//! Named access to the fields of a dictionary or of a table column.

use crate::model::log::{Field, FieldValue, LogDuration, Quantity};

use super::value::Value;

/// The fields of one dictionary.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a [(String, Value)]);

impl<'a> Fields<'a> {
    /// A field that is there and not null.
    pub(crate) fn get(self, name: &str) -> Option<&'a Value> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        (*value != Value::Null).then_some(value)
    }

    /// The first of several names that is there: later versions rename fields.
    pub(crate) fn first(self, names: &[&str]) -> Option<&'a Value> {
        names.iter().find_map(|name| self.get(name))
    }

    pub(crate) fn text(self, name: &str) -> Option<String> {
        self.get(name)?.as_text().map(str::to_owned)
    }

    pub(crate) fn integer(self, names: &[&str]) -> Option<i64> {
        integer(self.first(names)?)
    }

    pub(crate) fn index(self, name: &str) -> Option<u32> {
        u32::try_from(integer(self.get(name)?)?).ok()
    }

    pub(crate) fn number(self, names: &[&str]) -> Option<Quantity> {
        number(self.first(names)?)
    }

    pub(crate) fn flag(self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    /// A duration in milliseconds.
    pub(crate) fn ms(self, names: &[&str]) -> Option<LogDuration> {
        duration(self.first(names)?, LogDuration::from_ms)
    }

    /// Every field not named here that is a number or a text.
    pub(crate) fn others(self, known: &[&str]) -> Vec<Field> {
        let unknown = self.0.iter().filter(|(name, _)| !known.contains(&name.as_str()));
        unknown
            .filter_map(|(name, value)| {
                Some(Field { name: name.clone(), value: field_value(name, value)? })
            })
            .collect()
    }
}

fn integer(value: &Value) -> Option<i64> {
    let number = number(value)?.value;
    // A count beyond 2^53 has lost digits already; the bound keeps the conversion exact.
    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
}

pub(crate) fn number(value: &Value) -> Option<Quantity> {
    match value {
        Value::Number { text, rounded } => Quantity::parse(text, *rounded),
        _ => None,
    }
}

fn duration(
    value: &Value,
    parse: impl Fn(&str, bool) -> Option<LogDuration>,
) -> Option<LogDuration> {
    match value {
        Value::Number { text, rounded } => parse(text, *rounded),
        _ => None,
    }
}

fn field_value(name: &str, value: &Value) -> Option<FieldValue> {
    let is_rate = name.ends_with("_per_s");
    match value {
        Value::Number { .. } if name.ends_with("_ms") => {
            duration(value, LogDuration::from_ms).map(FieldValue::Duration)
        }
        Value::Number { .. } if name.ends_with("_s") && !is_rate => {
            duration(value, LogDuration::from_s).map(FieldValue::Duration)
        }
        Value::Number { .. } => number(value).map(FieldValue::Number),
        Value::Text(text) if !text.is_empty() => Some(FieldValue::Text(text.clone())),
        _ => None,
    }
}

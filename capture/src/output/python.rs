//! JSON values in Python's spelling, as the pipeline log of the first generation prints dictionaries.
//!
//! `{'a': 1, 'b': 2.0, 'c': None, 'd': True}`: single quotes, `None`, and floats that always show that they are.

use serde_json::Value;

/// The `repr()` of a value.
pub fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => match (number.is_f64(), number.as_f64()) {
            (true, Some(float)) => float_repr(float),
            _ => number.to_string(),
        },
        Value::String(text) => string_repr(text),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(repr).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let items = map.iter().map(|(k, v)| format!("{}: {}", string_repr(k), repr(v)));
            format!("{{{}}}", items.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Python switches to exponents at 1e16 and below 1e-4; Rust's shortest digits are the same.
fn float_repr(float: f64) -> String {
    let magnitude = float.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let text = format!("{float:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(rest) => ('-', rest),
            None => ('+', exponent),
        };
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{float:?}")
}

fn string_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut repr = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => repr.push_str("\\\\"),
            '\n' => repr.push_str("\\n"),
            '\r' => repr.push_str("\\r"),
            '\t' => repr.push_str("\\t"),
            c if c == quote => repr.extend(['\\', c]),
            c => repr.push(c),
        }
    }
    repr.push(quote);
    repr
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn writes_what_python_writes() {
        let value =
            json!({"a": 1, "b": 2.0, "c": null, "d": true, "e": [0.1, 1e-5, 1.5e20], "f": "it's"});
        assert_eq!(
            repr(&value),
            r#"{'a': 1, 'b': 2.0, 'c': None, 'd': True, 'e': [0.1, 1e-05, 1.5e+20], 'f': "it's"}"#
        );
        assert_eq!(repr(&json!(3_490.643_978_118_896_5)), "3490.6439781188965");
        assert_eq!(repr(&json!(0.0)), "0.0");
        assert_eq!(repr(&json!("a\\\n'\"")), r#"'a\\\n\'"'"#);
    }
}

//! Results as text. Nothing here rounds a duration: what is whole stays whole, and numbers with a fraction are rounded
//! for people alone.

mod csv;
mod json;
mod markdown;
mod text;

use std::borrow::Cow;
use std::io::{self, Write};

use omni_trace::schema::written::visible;
use polars::prelude::{AnyValue, DataFrame, DataType};

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns.
    Text,
    /// CSV after RFC 4180.
    Csv,
    /// A list of objects a result.
    Json,
    /// An object a line.
    Jsonl,
    /// GitHub-flavoured Markdown.
    Md,
    /// Apache Parquet.
    Parquet,
    /// Apache Arrow's file format.
    Arrow,
}

impl Format {
    /// Whether it is text.
    pub fn is_text(self) -> bool {
        !matches!(self, Self::Parquet | Self::Arrow)
    }
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    /// Not recorded.
    Missing,
    Int(i128),
    Float(f64),
    Bool(bool),
    Text(Cow<'a, str>),
    List(Vec<Cell<'a>>),
}

impl<'a> Cell<'a> {
    fn of(value: AnyValue<'a>) -> Self {
        match value {
            AnyValue::Null => Self::Missing,
            AnyValue::Boolean(value) => Self::Bool(value),
            AnyValue::String(text) => Self::Text(Cow::Borrowed(text)),
            AnyValue::StringOwned(text) => Self::Text(Cow::Owned(text.to_string())),
            AnyValue::Float64(value) => Self::Float(value),
            AnyValue::Float32(value) => Self::Float(f64::from(value)),
            AnyValue::List(items) => {
                Self::List(items.iter().map(|item| Self::of(item.into_static())).collect())
            }
            other => match other.extract::<i128>() {
                Some(value) if other.dtype().is_integer() => Self::Int(value),
                _ => Self::Text(Cow::Owned(other.to_string())),
            },
        }
    }

    /// The value for people: fractions with three places, lists in one line.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Missing => "-".to_owned(),
            Self::Float(value) => rounded(*value),
            other => visible(&other.exact()),
        }
    }

    /// The value with every digit; nothing where nothing was recorded.
    pub(crate) fn exact(&self) -> String {
        match self {
            Self::Missing => String::new(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::Text(text) => text.to_string(),
            Self::List(items) => items.iter().map(Self::exact).collect::<Vec<_>>().join("; "),
        }
    }
}

/// A number with a fraction for people. Small ones keep three digits.
fn rounded(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.1 && value.is_finite() {
        let places = (2 - value.abs().log10().floor() as i32).clamp(3, 15) as usize;
        return format!("{value:.places$}");
    }
    format!("{value:.3}")
}

/// The rows of a frame, one after the other. The frame has to be in one chunk.
pub(crate) fn rows(frame: &DataFrame) -> impl Iterator<Item = Vec<Cell<'_>>> {
    let mut columns: Vec<_> =
        frame.columns().iter().map(|column| column.as_materialized_series().iter()).collect();
    (0..frame.height()).map(move |_| {
        let values = columns.iter_mut().map(|values| values.next().map_or(Cell::Missing, Cell::of));
        values.collect()
    })
}

/// The names of the columns.
pub(crate) fn names(frame: &DataFrame) -> Vec<String> {
    frame.get_column_names().iter().map(ToString::to_string).collect()
}

/// Whether each column holds numbers.
fn are_numbers(frame: &DataFrame) -> Vec<bool> {
    frame.dtypes().iter().map(DataType::is_primitive_numeric).collect()
}

/// Writes a result as text.
///
/// # Errors
///
/// What the writer says; a closed pipe among them.
pub fn write(frame: &mut DataFrame, format: Format, to: &mut dyn Write) -> io::Result<()> {
    frame.rechunk_mut_par();
    match format {
        Format::Csv => csv::write(frame, to),
        Format::Json => json::write(frame, to),
        Format::Jsonl => json::write_lines(frame, to),
        Format::Md => markdown::write(frame, to),
        Format::Text | Format::Parquet | Format::Arrow => text::write(frame, None, to).map(drop),
    }
}

/// Characters of a text on a terminal: names of kernels are longer than it is wide.
const ON_TERMINAL: usize = 56;

/// Writes a result for a terminal, with shortened names where those are wanted; whether any was shortened.
///
/// # Errors
///
/// As [`write`].
pub(crate) fn on_terminal(
    frame: &mut DataFrame,
    is_short: bool,
    to: &mut dyn Write,
) -> io::Result<bool> {
    frame.rechunk_mut_par();
    text::write(frame, is_short.then_some(ON_TERMINAL), to)
}

/// What stands under a result with shortened names.
pub(crate) const SHORTENED: &str =
    "names are shortened: --full-names, a pipe and -o have them whole";

#[cfg(test)]
mod tests {
    use super::{rounded, visible};

    #[test]
    fn fractions_keep_what_is_seen_of_them() {
        let shown = [0.0, 0.5, 1234.56789, 0.012_345, 0.000_012_345, -0.05, f64::NAN].map(rounded);
        assert_eq!(shown, ["0.000", "0.500", "1234.568", "0.0123", "0.0000123", "-0.0500", "NaN"]);
    }

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(visible("a\u{1b}[2Jb\u{202e}\nc"), "a\\u{1b}[2Jb\\u{202e}\\nc");
        assert_eq!(visible("é|\"'"), "é|\"'");
    }
}

//! Small scanning helpers for message texts.

use memchr::memmem;

use crate::model::log::{LogDuration, Quantity};

/// What stands behind the first occurrence of a mark.
pub(crate) fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    memmem::find(text.as_bytes(), mark.as_bytes()).map(|at| &text[at + mark.len()..])
}

/// Whether a text holds a mark.
pub(crate) fn holds(text: &str, mark: &str) -> bool {
    memmem::find(text.as_bytes(), mark.as_bytes()).is_some()
}

/// What stands between two marks.
pub(crate) fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    after(text, begin)?.split_once(end).map(|(inner, _)| inner)
}

/// The number at the start of a text, and the rest.
pub(crate) fn number_prefix(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let is_number = |c: char| c.is_ascii_digit() || c == '.' || c == ',';
    let end = text.find(|c| !is_number(c)).unwrap_or(text.len());
    let number = text[..end].trim_end_matches(['.', ',']);
    (!number.is_empty()).then(|| (number, &text[number.len()..]))
}

/// The index at the start of a text: `0 completed`.
pub(crate) fn index_prefix(text: &str) -> Option<u32> {
    let digits = text.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The seconds behind a mark, rounded for display.
pub(crate) fn seconds_after(text: &str, mark: &str) -> Option<LogDuration> {
    let (number, _) = number_prefix(after(text, mark)?)?;
    LogDuration::from_s(number, true)
}

/// The number behind a mark, rounded for display.
pub(crate) fn quantity_after(text: &str, mark: &str) -> Option<Quantity> {
    let (number, _) = number_prefix(after(text, mark)?)?;
    Quantity::parse(number, true)
}

/// The whole number behind a mark.
pub(crate) fn integer_after(text: &str, mark: &str) -> Option<i64> {
    let (number, _) = number_prefix(after(text, mark)?)?;
    number.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{index_prefix, number_prefix, seconds_after};

    #[test]
    fn numbers_end_where_they_end() {
        assert_eq!(number_prefix(" 17.82 seconds"), Some(("17.82", " seconds")));
        assert_eq!(number_prefix("60."), Some(("60", ".")));
        assert_eq!(number_prefix("x"), None);
        assert_eq!(index_prefix("12 rest"), Some(12));
        assert_eq!(seconds_after("took 1.72 s", "took ").unwrap().ns, 1_720_000_000);
    }
}

//! How texts of others are written where they must do nothing: on a terminal, in Markdown, in a spreadsheet. How large numbers are.

/// Text with what could move the cursor or turn the direction of writing as escapes.
pub fn visible(text: &str) -> String {
    if !text.chars().any(is_hidden) {
        return text.to_owned();
    }
    let escaped = |c: char| if is_hidden(c) { c.escape_default().to_string() } else { c.into() };
    text.chars().map(escaped).collect()
}

/// Whether a character shows nothing and does something: controls of terminals and of the direction of writing.
fn is_hidden(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns
}

/// Text whose Markdown and HTML characters stand for themselves.
pub fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '|' | '*' | '_' | '`' | '[' | ']' | '#' | '~' => {
                out.push('\\');
                out.push(character);
            }
            _ => out.push(character),
        }
    }
    out
}

/// A text that no spreadsheet takes for a formula, by an apostrophe before it; what is a number stays one.
pub fn harmless(text: String) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let is_number = || text.parse::<f64>().is_ok_and(f64::is_finite);
    if is_formula && !is_number() { format!("'{text}") } else { text }
}

/// A field of CSV, in quotes where it needs them (RFC 4180).
pub fn csv_field(text: String) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// A number with its thousands apart: `1,000,931`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn a_name_cannot_move_the_cursor() {
        assert_eq!(visible("a\u{1b}[2Jb\tc"), r"a\u{1b}[2Jb\tc");
        assert_eq!(visible("a\u{202e}b\u{9b}31m"), r"a\u{202e}b\u{9b}31m");
        assert_eq!(visible("größer 漢字 עברית"), "größer 漢字 עברית");
    }
}

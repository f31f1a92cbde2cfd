//! Text of unknown origin inside HTML, attributes and scripts.

use crate::schema::written::visible;

/// Text as HTML, in an element or in a quoted attribute. Control characters show as escapes.
pub(super) fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
    out
}

/// JSON inside a script element: nothing in it can end the element or begin a comment.
pub(super) fn json_in_script(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{json_in_script, text};

    #[test]
    fn nothing_ends_what_it_stands_in() {
        let hostile = "</script><!-- \"' onload=x & \u{0}";
        let escaped = text(hostile);
        assert!(!escaped.contains(['<', '>', '"', '\'', '\u{0}']), "{escaped}");
        let json = json_in_script(&serde_json::to_string(hostile).unwrap());
        assert!(!json.contains(['<', '>', '&']), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), hostile);
    }
}

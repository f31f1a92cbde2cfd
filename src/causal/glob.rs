//! Patterns of names: `*` stands for any text, everything else for itself.

/// Whether a name is of a pattern.
///
/// ```
/// use omni_trace::causal::glob::is_match;
/// assert!(is_match("*attention*", "flash_attention_fwd"));
/// assert!(is_match("aten::mm", "aten::mm") && !is_match("aten::mm", "aten::mm_out"));
/// assert!(is_match("a*b*c", "a.b.b.c") && !is_match("a*b*c", "a.c.b"));
/// ```
pub fn is_match(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

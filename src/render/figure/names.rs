//! Names as they can be shown: harmless, and short enough.

use std::fmt::Write as _;

/// Text without what could reorder or break it: control and format characters are shown as escapes.
pub(super) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let is_odd = c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
            || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}');
        if is_odd {
            let _ = write!(out, "{}", c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// A name that fits a width. First a C++ signature loses what tells least: its return type, arguments and namespaces.
/// Then the middle goes: the beginning says what it is, the end which variant.
pub(super) fn shorten(name: &str, width: f64, measure: impl Fn(&str) -> f64) -> String {
    let name = clean(name);
    if measure(&name) <= width {
        return name;
    }
    let name = telling_part(&name);
    if measure(&name) <= width {
        return name;
    }
    let chars: Vec<char> = name.chars().collect();
    let cut = |kept: usize| {
        let head = kept.div_ceil(2) + kept / 8;
        let tail = kept - head.min(kept);
        let start: String = chars[..head.min(kept)].iter().collect();
        let end: String = chars[chars.len() - tail..].iter().collect();
        format!("{start}…{end}")
    };
    let (mut fits, mut too_long) = (0, chars.len());
    while too_long - fits > 1 {
        let middle = usize::midpoint(fits, too_long);
        if measure(&cut(middle)) <= width { fits = middle } else { too_long = middle }
    }
    cut(fits)
}

/// A C++ signature without return type, arguments, lambdas and namespaces; other names as they are.
fn telling_part(name: &str) -> String {
    let signature = name.strip_prefix("void ").unwrap_or(name);
    let signature = signature.replace("(anonymous namespace)::", "").replace("<unnamed>::", "");
    if !signature.contains(['<', ':']) {
        return signature;
    }
    // What is called inside a lambda is told by the function that the lambda is of.
    let called =
        without_groups(&signature).replace("::operator const", "").replace("::operator", "");
    let mut short = without_namespaces(&called);
    // Names of operands of element-wise kernels: every one of them has such a list.
    while let Some(at) = short.find(", array<char*, ").or_else(|| short.find(", Array<char*, ")) {
        let end = short[at..].find('>').map_or(short.len(), |end| at + end + 1);
        short.replace_range(at..end, "");
    }
    short.replace("::>", ">").replace(" >", ">").replace(" const>", ">")
}

/// What stands outside parentheses and braces: argument lists and lambdas tell little.
fn without_groups(signature: &str) -> String {
    let mut out = String::with_capacity(signature.len());
    let mut depth = 0_u32;
    for c in signature.chars() {
        match c {
            '(' | '{' => {
                // A lambda is no member that the name before it would be the namespace of.
                if c == '{' && depth == 0 && out.ends_with("::") {
                    out.truncate(out.len() - 2);
                }
                depth += 1;
            }
            ')' | '}' => depth = depth.saturating_sub(1),
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

fn without_namespaces(signature: &str) -> String {
    let mut out = String::with_capacity(signature.len());
    let mut rest = signature;
    while let Some(at) = rest.find("::") {
        let head = &rest[..at];
        let word = head
            .rfind(|c: char| !c.is_alphanumeric() && c != '_')
            .map_or(0, |i| i + head[i..].chars().next().map_or(0, char::len_utf8));
        out.push_str(&head[..word]);
        if word == head.len() {
            out.push_str("::");
        }
        rest = &rest[at + 2..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::{clean, shorten};

    fn short(name: &str, n: usize) -> String {
        shorten(name, n as f64, |text| text.chars().count() as f64)
    }

    #[test]
    fn signatures_lose_what_tells_least_first() {
        let name = "void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<float>, std::array<char*, 3ul> >(int, at::native::CUDAFunctor_add<float>, std::array<char*, 3ul>)";
        assert_eq!(short(name, 90), "vectorized_elementwise_kernel<4, CUDAFunctor_add<float>>");
        let name = "void at::native::vectorized_elementwise_kernel<8, at::native::(anonymous namespace)::silu_kernel(at::TensorIteratorBase&)::{lambda()#1}::operator()() const::{lambda()#4}::operator()() const::{lambda(c10::BFloat16)#1}, std::array<char*, 2ul> >(int, std::array<char*, 2ul>)";
        assert_eq!(short(name, 90), "vectorized_elementwise_kernel<8, silu_kernel>");
        let name = "void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<float>, std::array<char*, 3ul> >(int, at::native::CUDAFunctor_add<float>, std::array<char*, 3ul>)";
        let cut = short(name, 40);
        assert!(cut.starts_with("vectorized_element"), "{cut}");
        assert!(cut.ends_with("or_add<float>>"), "{cut}");
        assert!(cut.chars().count() <= 40);
    }

    #[test]
    fn short_names_stay() {
        assert_eq!(short("ampere_sgemm_128x64_tn", 40), "ampere_sgemm_128x64_tn");
        assert_eq!(short("a::b(int)", 40), "a::b(int)");
    }

    #[test]
    fn odd_names_end() {
        for name in ["::", "(", ")", "<<>>)", "a::", "::a::", "é::漢(", "void "] {
            assert!(short(name, 1).chars().count() <= 2, "{name}");
        }
    }

    #[test]
    fn nothing_reorders_text() {
        assert_eq!(clean("a\u{202e}b\0c\nd"), "a\\u{202e}b\\u{0}c\\u{a}d");
    }
}

//! Names as they can be shown: harmless, and short enough.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Text without what could reorder or break it: control and format characters are shown as escapes.
pub fn clean(text: &str) -> String {
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
pub fn shorten(name: &str, width: f64, measure: impl Fn(&str) -> f64) -> String {
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

/// Names that fit some characters each. Paths lose the folders and the ending that all have. Names that differ stay different: of
/// those that would look alike, the first is as it is, and the others have a number behind them.
pub fn fitting(names: &[&str], width: usize) -> Vec<String> {
    let short =
        |name: &str, width: usize| shorten(name, width as f64, |t| t.chars().count() as f64);
    let mut of_name: BTreeMap<&str, String> = BTreeMap::new();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let begin = shared_beginning(names);
    let end = shared_ending(names, begin);
    let telling = |name: &str| {
        let file = name.get(begin..).filter(|_| begin > 0)?;
        if name.chars().count() <= width {
            return None;
        }
        let whole = format!("…{file}");
        if whole.chars().count() <= width || end == 0 {
            return Some(format!("…{}", short(file, width.saturating_sub(1))));
        }
        let part = file.get(..file.len().checked_sub(end)?)?;
        Some(format!("…{}…", short(part, width.saturating_sub(2))))
    };
    let mut shown = |name: &str| {
        let plain = telling(name).into_iter().chain(std::iter::once(short(name, width)));
        let marked = (2_u64..).map(|number| {
            let mark = format!("~{number}");
            short(name, width.saturating_sub(mark.len())) + &mark
        });
        let free = plain.chain(marked).find(|one| !taken.contains(one)).unwrap_or_default();
        taken.insert(free.clone());
        free
    };
    names.iter().map(|&name| of_name.entry(name).or_insert_with(|| shown(name)).clone()).collect()
}

/// How many bytes of folders all names begin with: what tells them apart stands behind.
fn shared_beginning(names: &[&str]) -> usize {
    let Some((first, others)) = names.split_first() else { return 0 };
    let same = |other: &&str| first.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count();
    let shared = others.iter().map(same).min().unwrap_or(0);
    first.as_bytes()[..shared].iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1)
}

/// How many bytes all names end with, from a dot on; `begin` bytes at the start belong to none.
fn shared_ending(names: &[&str], begin: usize) -> usize {
    let Some((first, others)) = names.split_first() else { return 0 };
    let same = |other: &&str| {
        let pairs = first.bytes().rev().zip(other.bytes().rev());
        pairs.take_while(|(a, b)| a == b).count()
    };
    let shared = others.iter().map(same).min().unwrap_or(0);
    let shared = shared.min(first.len().saturating_sub(begin));
    let ending = &first.as_bytes()[first.len() - shared..];
    ending.iter().position(|&byte| byte == b'.').map_or(0, |at| shared - at)
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
    use super::{clean, fitting, shorten};

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
    fn names_that_differ_stay_different() {
        let names = [
            "void f<1>(int, int, int)",
            "void f<1>(int, int, long)",
            "void f<1>(int, int, int)",
            "g",
        ];
        let short = fitting(&names, 8);
        assert_eq!(short, ["f<1>", "f<1>~2", "f<1>", "g"]);
        let names: Vec<String> =
            (0..30).map(|n| format!("a_long_name_with_{n}_in_its_middle_and_an_end")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let short = fitting(&names, 12);
        let distinct: std::collections::BTreeSet<&String> = short.iter().collect();
        assert_eq!(distinct.len(), 30);
        assert!(short.iter().all(|name| name.chars().count() <= 12), "{short:?}");
    }

    #[test]
    fn paths_lose_what_all_have() {
        let path = |name: &str| format!("/data/runs/monday/{name}.pt.trace.json.gz");
        let names = ["bench_rank0", "overlap_rank0", "bench_rank1"].map(path);
        let names = names.each_ref().map(String::as_str);
        let end = ".pt.trace.json.gz";
        let whole =
            ["bench_rank0", "overlap_rank0", "bench_rank1"].map(|one| format!("…{one}{end}"));
        assert_eq!(fitting(&names, 36), whole);
        assert_eq!(fitting(&names, 16), ["…bench_rank0…", "…overlap_rank0…", "…bench_rank1…"]);
        assert_eq!(fitting(&names[..1], 16), ["/data/run…son.gz"]);
        assert_eq!(fitting(&["/a/é.x", "/a/é.x"], 4), ["…é.x", "…é.x"]);
        assert!(fitting(&["a/..", "a/.", "a/"], 2).iter().all(|name| name.chars().count() <= 2));
    }

    #[test]
    fn nothing_reorders_text() {
        assert_eq!(clean("a\u{202e}b\0c\nd"), "a\\u{202e}b\\u{0}c\\u{a}d");
    }
}

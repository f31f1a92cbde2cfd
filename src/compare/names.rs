//! Names by which kernels, frames and operators of two runs are the same.
//!
//! What differs between builds and processes goes: addresses, line numbers, numbers of lambdas and of generated kernels,
//! parameter lists, anonymous namespaces, spaces, suffixes of literals, the environment that a file is in. What says what
//! a kernel computes stays, template arguments above all.

use std::sync::LazyLock;

use regex::Regex;

use crate::analyze::units::{Part, Side};

/// A pattern and what stands in its place.
type Rule = (Regex, &'static str);

fn rules(patterns: &[(&str, &'static str)]) -> Vec<Rule> {
    let rule = |&(pattern, with): &(&str, &'static str)| Some((Regex::new(pattern).ok()?, with));
    patterns.iter().filter_map(rule).collect()
}

static KERNEL: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    rules(&[
        (r"0x[0-9a-fA-F]+", "0x…"),
        (r" \[clone [^\]]*\]", ""),
        (r"\(anonymous namespace\)::|<unnamed>::|_GLOBAL__N_\w*::", ""),
        (r"'?lambda'?\(([^()]*)\)#?\d*|\{lambda\(([^()]*)\)#\d+\}", "lambda"),
        (r"\$_\d+", "$"),
        (r"\b(\d+)(?:ull|ul|ll|u|l|UL|U|L)\b", "$1"),
        (r"\((?:int|unsigned int|unsigned long|long|bool)\)(\d+)", "$1"),
        (r"^(?:void|static|inline) ", ""),
        (r"\s*([<>,*&])\s*", "$1"),
        // Generated kernels are numbered within their module.
        (r"^(triton_[a-z]+_.*?)_\d+(?:d\w*)?$", "$1"),
    ])
});

static TILES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    rules(&[
        (r"(?:_|\b)\d+x\d+(?:x\d+)*", "_*"),
        (r"_stages?_?\w+|_splitK\w*|_ldg\d+|_bz|_sliced\w*", ""),
        (r"(?:_\*)+", "_*"),
    ])
});

static FRAME: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    rules(&[
        (r"^.*/(?:site|dist)-packages/", ""),
        (r"^.*/lib/python\d[^/]*/", ""),
        (r" at 0x[0-9a-fA-F]+", ""),
        (r"<([\w.]+) object…?>", "<$1>"),
        // Copies of a module of a model are numbered.
        (r"^(nn\.Module: \w+?)_\d+$", "$1"),
    ])
});

fn applied(rules: &[Rule], name: &str) -> String {
    let step = |text: String, (pattern, with): &Rule| match pattern.replace_all(&text, *with) {
        std::borrow::Cow::Borrowed(_) => text,
        std::borrow::Cow::Owned(changed) => changed,
    };
    rules.iter().fold(name.to_owned(), step)
}

/// A kernel's name without its parameter list: what stands in the last brackets that close at its end.
fn without_parameters(name: &str) -> &str {
    if !name.ends_with(')') {
        return name;
    }
    let mut depth = 0_usize;
    for (at, c) in name.char_indices().rev() {
        match c {
            ')' => depth += 1,
            '(' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return if at == 0 { name } else { &name[..at] };
        }
    }
    name
}

/// A kernel's name as it is compared.
pub(super) fn kernel(name: &str, merges_tiles: bool) -> String {
    // Copies say their direction and kinds of memory in brackets.
    if name.starts_with("Mem") {
        return name.to_owned();
    }
    let name = applied(&KERNEL, without_parameters(name));
    if merges_tiles { applied(&TILES, &name) } else { name }
}

/// The name of a part as it is compared.
pub(super) fn part(part: &Part, merges_tiles: bool) -> String {
    match (part.side, part.class.as_str()) {
        (Side::Device, "idle") => part.name.clone(),
        (Side::Device, _) => kernel(&part.name, merges_tiles),
        (Side::Lead, "python") => applied(&FRAME, &part.name),
        (Side::Lead, _) => part.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::{FRAME, applied, kernel};

    #[test]
    fn noise_goes_and_meaning_stays() {
        let one = "void at::native::(anonymous namespace)::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<float>, std::array<char*, 3ul> >(int, at::native::CUDAFunctor_add<float>, std::array<char*, 3ul>)";
        let same = "void at::native::vectorized_elementwise_kernel<(int)4, at::native::CUDAFunctor_add<float>, std::array<char*, 3> >(int, at::native::CUDAFunctor_add<float>, std::array<char *, 3>)";
        let other = one.replace("CUDAFunctor_add", "CUDAFunctor_mul");
        assert_eq!(kernel(one, false), kernel(same, false));
        assert_ne!(kernel(one, false), kernel(&other, false));
        assert_eq!(kernel("triton_poi_fused_add_mul_3", false), "triton_poi_fused_add_mul");
        assert_eq!(kernel("triton_red_fused__to_copy_0d1", false), "triton_red_fused__to_copy");
        assert_eq!(kernel("f [clone .kd]", false), "f");
        assert_eq!(
            kernel("Memcpy DtoH (Device -> Pageable)", true),
            "Memcpy DtoH (Device -> Pageable)"
        );
    }

    #[test]
    fn tiles_are_merged_on_request() {
        let (a, b) = ("nvjet_tst_128x64_64x8_2x1_v_bz_TNT", "nvjet_tst_64x8_64x16_1x2_v_bz_TNT");
        assert_ne!(kernel(a, false), kernel(b, false));
        assert_eq!(kernel(a, true), kernel(b, true));
        let (a, b) = (
            "ampere_bf16_s16816gemm_bf16_128x64_ldg8_f2f_stages_64x4_tn",
            "ampere_bf16_s16816gemm_bf16_64x64_ldg8_f2f_stages_64x5_tn",
        );
        assert_eq!(kernel(a, true), kernel(b, true));
    }

    #[test]
    fn frames_do_not_depend_on_the_environment() {
        let (a, b) = (
            "/opt/venv/lib/python3.12/site-packages/vllm/v1/worker.py: run",
            "/home/u/env/lib/python3.11/site-packages/vllm/v1/worker.py: run",
        );
        assert_eq!(applied(&FRAME, a), "vllm/v1/worker.py: run");
        assert_eq!(applied(&FRAME, a), applied(&FRAME, b));
        assert_eq!(applied(&FRAME, "nn.Module: Linear_12"), "nn.Module: Linear");
    }
}

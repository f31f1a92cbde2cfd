//! What kind of work a kernel does, by its name: matrix products, attention, communication and so on.
//!
//! Names are all that there is: kernels carry no class. The words are those of cuBLAS, cuDNN, CUTLASS, hipBLASLt, PyTorch's own
//! kernels, Triton as torch.compile names them, flash attention, vLLM and NCCL. What no word tells is `other`, and
//! nothing is guessed from durations.

use std::collections::BTreeMap;

use super::comm_rules::{CommRules, KernelRole};
use super::kernels::{ActivityKind, KernelRow};
use super::percent;
use crate::schema::{tables, words};

words! {
    /// A kind of device work.
    #[derive(Default)]
    KernelClass {
        /// Matrix products.
        Gemm "gemm",
        /// Attention, whole or in parts.
        Attention "attention",
        /// Convolutions.
        Convolution "convolution",
        /// Collectives and messages between ranks.
        Communication "communication",
        /// Moves data: copies, casts, concatenation, changes of layout.
        Copy "copy",
        /// Sets data.
        Fill "fill",
        /// Layer, group and RMS normalization.
        Normalization "normalization",
        /// Softmax outside of attention.
        Softmax "softmax",
        /// Sorting and the k largest.
        Sort "sort",
        /// Sums, maxima and the like over a dimension.
        Reduction "reduction",
        /// Running sums.
        Scan "scan",
        /// Reads or writes by index: embeddings, gather, scatter.
        Index "index",
        /// Random numbers.
        Random "random",
        /// Changes of precision with scales.
        Quantization "quantization",
        /// Every element on its own.
        Elementwise "elementwise",
        /// No word of the name tells.
        #[default]
        Other "other",
    }
}

/// Words in lower-case names and what they say; the first line with a word of the name counts.
const WORDS: [(KernelClass, &[&str]); 15] = [
    (
        KernelClass::Attention,
        &[
            "attention",
            "flash_fwd",
            "flash_bwd",
            "flash_fprop",
            "fmha",
            "sdpa",
            "_attn",
            "attn_",
            "mha_",
            "paged_",
        ],
    ),
    (KernelClass::Sort, &["sort", "topk", "top_k", "bitonic"]),
    (
        KernelClass::Normalization,
        &[
            "layer_norm",
            "layernorm",
            "rms_norm",
            "rmsnorm",
            "group_norm",
            "groupnorm",
            "batch_norm",
            "norm_kernel",
        ],
    ),
    (KernelClass::Softmax, &["softmax"]),
    (
        KernelClass::Convolution,
        &[
            "conv2d",
            "conv1d",
            "convolution",
            "conv_",
            "_conv",
            "fprop",
            "wgrad",
            "dgrad",
            "winograd",
            "implicit_gemm",
        ],
    ),
    (
        KernelClass::Gemm,
        &[
            "gemm",
            "gemv",
            "nvjet",
            "cutlass",
            "cublas",
            "cijk_",
            "matmul",
            "splitk",
            "triton_mm",
            "_bmm",
            "dot_kernel",
            "mma_",
        ],
    ),
    (KernelClass::Quantization, &["quant"]),
    (KernelClass::Random, &["philox", "distribution_elementwise", "curand", "random", "dropout"]),
    (KernelClass::Scan, &["scan", "cumsum"]),
    (
        KernelClass::Index,
        &["index", "gather", "scatter", "embedding", "reshape_and_cache", "masked_select"],
    ),
    (
        KernelClass::Copy,
        &[
            "copy",
            "catarray",
            "transpose",
            "nchwtonhwc",
            "nhwctonchw",
            "permute",
            "memcpy",
            "triton_poi_fused_cat",
        ],
    ),
    (KernelClass::Fill, &["fill", "memset", "arange"]),
    (KernelClass::Reduction, &["reduce", "argmax", "argmin", "triton_red", "triton_per", "_sum_"]),
    (
        KernelClass::Elementwise,
        &[
            "elementwise",
            "triton_poi",
            "pointwise",
            "silu",
            "gelu",
            "relu",
            "rotary",
            "rope",
            "functor",
            "where",
        ],
    ),
    (KernelClass::Reduction, &["norm"]),
];

/// The class of device activity of a kind and name; rules say which names communicate or only move data.
pub(super) fn class_of(rules: &CommRules, kind: ActivityKind, name: &str) -> KernelClass {
    match kind {
        ActivityKind::Memcpy => return KernelClass::Copy,
        ActivityKind::Memset => return KernelClass::Fill,
        ActivityKind::Kernel => {}
    }
    match rules.find(name).map(|rule| rule.role) {
        Some(KernelRole::Communication) => return KernelClass::Communication,
        Some(KernelRole::Copy) => return KernelClass::Copy,
        Some(KernelRole::Compute) | None => {}
    }
    let name = name.to_lowercase();
    let says = |(_, words): &&(KernelClass, &[&str])| words.iter().any(|word| name.contains(word));
    WORDS.iter().find(says).map_or(KernelClass::Other, |&(class, _)| class)
}

tables! {
    /// All kernels of one class.
    KernelClassRow: "kernel_classes", "Kernels by class", "Which kinds of work took the devices' time?", groups 0, on Kernels 1 {
        run: u32, Count, All / First, "run", "number of the run: sums stay within one";
        class: KernelClass, Text, All, "class", "kind of work, by the names of the kernels";
        names: u64, Count, All, "names", "different names";
        count: u64, Count, All, "count", "how often";
        sum_ns: i64, Ns, All, "sum", "sum of the durations";
        share_pct: Option<f64>, Percent, All, "share", "sum, of all kernels, copies and memsets of the run";
    }
}

/// The classes of each run, the largest sum first.
pub fn kernel_classes(kernels: &[KernelRow]) -> Vec<KernelClassRow> {
    let mut sums: BTreeMap<(u32, KernelClass), (u64, u64, i64)> = BTreeMap::new();
    let mut whole: BTreeMap<u32, i64> = BTreeMap::new();
    for row in kernels {
        let (names, count, sum_ns) = sums.entry((row.run, row.class)).or_default();
        *names += 1;
        *count += row.count;
        *sum_ns = sum_ns.saturating_add(row.sum_ns);
        let whole_ns = whole.entry(row.run).or_default();
        *whole_ns = whole_ns.saturating_add(row.sum_ns);
    }
    let row = |((run, class), (names, count, sum_ns))| {
        let share_pct = percent(sum_ns, whole.get(&run).copied().unwrap_or(0));
        KernelClassRow { run, class, names, count, sum_ns, share_pct }
    };
    let mut rows: Vec<KernelClassRow> = sums.into_iter().map(row).collect();
    rows.sort_by_key(|row| (row.run, std::cmp::Reverse(row.sum_ns), row.class));
    rows
}

#[cfg(test)]
mod tests {
    use super::{ActivityKind, CommRules, class_of};

    #[test]
    fn names_say_what_they_are() {
        let rules = CommRules::default();
        let of = |name: &str| class_of(&rules, ActivityKind::Kernel, name).as_str();
        for (name, class) in [
            ("nvjet_sm90_tst_8x64_64x16_4x1_v_bz_bias_TNN", "gemm"),
            ("ampere_sgemm_128x64_tn", "gemm"),
            ("Cijk_Ailk_Bljk_HHS_BH_MT128x128x32", "gemm"),
            ("void cublasLt::splitKreduce_kernel<32, 16, int, float>(cublasLt::x)", "gemm"),
            ("cudnn_generated_fort_native_sdpa_sm80_flash_fprop_wmma_f16_knob_3", "attention"),
            (
                "void flash_fwd_splitkv_kernel<Flash_fwd_kernel_traits<128>>(Flash_fwd_params)",
                "attention",
            ),
            (
                "ncclDevKernel_AllReduce_Sum_bf16_RING_LL(ncclDevKernelArgsStorage<4096ul>)",
                "communication",
            ),
            (
                "void vllm::cross_device_reduce_1stage<__nv_bfloat16, 2>(vllm::RankData*)",
                "communication",
            ),
            (
                "void at::native::(anonymous namespace)::vectorized_layer_norm_kernel<float>()",
                "normalization",
            ),
            ("void vllm::rms_norm_kernel<c10::BFloat16>(c10::BFloat16*)", "normalization"),
            ("void at::native::reduce_kernel<512, 1, at::native::ReduceOp<float>>()", "reduction"),
            (
                "void at::native::elementwise_kernel<128, 4, at::native::gpu_kernel_impl<at::native::CUDAFunctor_add<float>>>()",
                "elementwise",
            ),
            ("triton_poi_fused_add_mul_0", "elementwise"),
            ("void at::native::radixSortKVInPlace<2, -1, 32, 32>()", "sort"),
            ("void (anonymous namespace)::softmax_warp_forward<float>()", "softmax"),
            ("void cudnn::engines_precompiled::nchwToNhwcKernel<__nv_bfloat16>()", "copy"),
            ("void at::native::indexSelectSmallIndex<float, long>()", "index"),
            ("my_own_kernel", "other"),
        ] {
            assert_eq!(of(name), class, "{name}");
        }
        assert_eq!(class_of(&rules, ActivityKind::Memcpy, "Memcpy HtoD").as_str(), "copy");
    }
}

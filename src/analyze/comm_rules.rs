//! Which kernels communicate or copy, and what operation it is: rules as data, matched once per kernel name.
//!
//! The default rules are the text file beside this one. Whether a kernel carries the arguments of a collective is asked
//! elsewhere, and counts before any rule.

use std::collections::BTreeMap;

use super::wait_rules::{RuleError, WaitRules, glob_matches, parse_lines, word};
use crate::align::Operation;
use crate::model::EventKind;
use crate::store::{Store, StrId};

/// The text of the default rules.
pub const DEFAULT_COMM_RULES: &str = include_str!("comm_rules.default");

/// What a kernel does, as far as its name tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KernelRole {
    /// It computes: nothing says otherwise.
    #[default]
    Compute,
    /// It communicates.
    Communication,
    /// It only moves data.
    Copy,
}

/// How a rule names the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    /// By the words of the kernel's name.
    Name,
    /// Not at all.
    Nothing,
    /// It is this one.
    Is(Operation),
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommRule {
    /// The label as written: `comm.nccl`.
    pub label: String,
    /// What it says that a kernel does.
    pub role: KernelRole,
    says: Says,
    /// Literal parts between `*`, in lower case.
    pattern: Vec<String>,
}

impl CommRule {
    /// The operation of a kernel that matches.
    pub fn operation(&self, name: &str) -> Option<Operation> {
        match self.says {
            Says::Name => operation_in(name),
            Says::Nothing => None,
            Says::Is(operation) => Some(operation),
        }
    }
}

/// Rules in order: the first that matches decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommRules {
    rules: Vec<CommRule>,
}

impl Default for CommRules {
    fn default() -> Self {
        Self::parse(DEFAULT_COMM_RULES).expect("the default rules are tested to be valid")
    }
}

impl CommRules {
    /// The rules of a text.
    ///
    /// # Errors
    ///
    /// The first line that is no rule.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        parse_lines(text, parse_rule).map(|rules| Self { rules })
    }

    /// The default rules after those of a text, which therefore come first.
    ///
    /// # Errors
    ///
    /// The first line that is no rule.
    pub fn with_defaults(text: &str) -> Result<Self, RuleError> {
        let mut rules = Self::parse(text)?.rules;
        rules.extend(Self::default().rules);
        Ok(Self { rules })
    }

    /// The rule that decides about a kernel's name; `None` for one that computes.
    pub fn find(&self, name: &str) -> Option<&CommRule> {
        let name = name.to_lowercase();
        let found = self.rules.iter().find(|rule| glob_matches(&rule.pattern, &name))?;
        (found.role != KernelRole::Compute).then_some(found)
    }
}

fn parse_rule(line: &str) -> Result<CommRule, String> {
    let (label, rest) = word(line);
    let role = match label.split_once('.') {
        Some(("comm", _)) => KernelRole::Communication,
        Some(("copy", _)) => KernelRole::Copy,
        None if label == "none" => KernelRole::Compute,
        _ => return Err(format!("unknown label `{label}`: expected comm.*, copy.* or none")),
    };
    let (operation, pattern) = word(rest);
    let says = match operation {
        "name" => Says::Name,
        "-" => Says::Nothing,
        _ => Says::Is(Operation::parse(operation).ok_or_else(|| {
            format!(
                "unknown operation `{operation}`: expected {}, name or -",
                Operation::NAMED.map(Operation::as_str).join(", ")
            )
        })?),
    };
    if pattern.is_empty() {
        return Err("the pattern is missing: LABEL OPERATION PATTERN".to_owned());
    }
    if says != Says::Nothing && role != KernelRole::Communication {
        return Err(format!("`{label}` has no operation: write `-`"));
    }
    let pattern = pattern.to_lowercase().split('*').map(str::to_owned).collect();
    Ok(CommRule { label: label.to_owned(), role, says, pattern })
}

/// Words of kernel names, without `_`, and what they say; the first that a name contains counts.
const WORDS: [(&str, Operation); 11] = [
    ("allreduce", Operation::AllReduce),
    ("allgather", Operation::AllGather),
    ("reducescatter", Operation::ReduceScatter),
    ("alltoall", Operation::AllToAll),
    ("all2all", Operation::AllToAll),
    ("sendrecv", Operation::SendRecv),
    ("broadcast", Operation::Broadcast),
    ("dispatch", Operation::AllToAll),
    ("combine", Operation::AllToAll),
    ("barrier", Operation::Barrier),
    ("reduce", Operation::Reduce),
];

/// The operation that the words of a kernel's name say. Its template and call arguments say nothing.
fn operation_in(name: &str) -> Option<Operation> {
    let name = name.replace("(anonymous namespace)::", "");
    let head = &name[..name.find(['<', '(']).unwrap_or(name.len())];
    let plain: String = head.to_lowercase().chars().filter(|&c| c != '_').collect();
    WORDS.iter().find(|(word, _)| plain.contains(word)).map(|&(_, operation)| operation)
}

/// What the kernels of one store do, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelRoles {
    /// By string; strings that name no kernel compute.
    roles: Vec<KernelRole>,
    /// Communication kernels: label of the rule and operation.
    known: BTreeMap<StrId, (String, Option<Operation>)>,
}

impl KernelRoles {
    /// Matches the kernel names of a store. What wait rules say of a kernel comes first.
    pub(super) fn new(store: &Store, waits: &WaitRules, rules: &CommRules) -> Self {
        let mut roles =
            Self { roles: vec![KernelRole::Compute; store.strings.len()], known: BTreeMap::new() };
        let mut is_seen = vec![false; store.strings.len()];
        for row in &store.device_rows {
            let slice = row.slice as usize;
            let name = store.slices.name[slice];
            if store.kind(slice) == EventKind::Kernel
                && !std::mem::replace(&mut is_seen[name.0 as usize], true)
            {
                roles.add(name, store.strings.get(name), waits, rules);
            }
        }
        roles
    }

    fn add(&mut self, id: StrId, name: &str, waits: &WaitRules, rules: &CommRules) {
        let found = rules.find(name);
        let role = match waits.communicates(name) {
            Some(true) => KernelRole::Communication,
            Some(false) => KernelRole::Compute,
            None => found.map_or(KernelRole::Compute, |rule| rule.role),
        };
        self.roles[id.0 as usize] = role;
        if role == KernelRole::Communication {
            let said = match found {
                Some(rule) => (rule.label.clone(), rule.operation(name)),
                None => (String::new(), operation_in(name)),
            };
            self.known.insert(id, said);
        }
    }

    /// What the kernels of a name do.
    #[inline]
    pub fn role(&self, name: StrId) -> KernelRole {
        self.roles.get(name.0 as usize).copied().unwrap_or_default()
    }

    /// The operation that a communication kernel's name tells.
    pub fn operation(&self, name: StrId) -> Option<Operation> {
        self.known.get(&name)?.1
    }

    /// The label of the rule that a communication kernel's name matches; empty where only wait rules do.
    pub fn label(&self, name: StrId) -> Option<&str> {
        self.known.get(&name).map(|(label, _)| label.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{CommRules, KernelRole};

    /// Role and operation by the default rules.
    fn said(name: &str) -> (KernelRole, &'static str) {
        let rules = CommRules::default();
        let Some(rule) = rules.find(name) else { return (KernelRole::Compute, "-") };
        (rule.role, rule.operation(name).map_or("-", |operation| operation.as_str()))
    }

    #[test]
    fn communication_is_found_whatever_the_library() {
        for (name, operation) in [
            (
                "ncclDevKernel_AllReduce_Sum_bf16_RING_LL(ncclDevKernelArgsStorage<4096ul>)",
                "all_reduce",
            ),
            ("ncclSymkDevKernel_AllReduce_RSxLD_AGxST_sum_bf16(ncclSymkDevWorkArgs)", "all_reduce"),
            ("ncclKernel_AllGather_RING_LL_Sum_int8_t(ncclDevComm*)", "all_gather"),
            ("ncclAllReduceRingLLKernel_sum_f32(ncclColl)", "all_reduce"),
            ("nccldevkernel_reducescatter_sum_f32", "reduce_scatter"),
            ("ncclDevKernel_Generic(ncclDevComm*, channelMasks, ncclWork*)", "-"),
            ("ncclDevKernel_Generic_4(ncclDevKernelArgsStorage<4096ul>)", "-"),
            ("ncclDevKernel_Reduce_Sum_f32", "reduce"),
            ("rccl::mscclKernel_Sum_half_Simple_false(ncclDevComm*, mscclAlgo*)", "-"),
            ("void deep_ep::intranode::dispatch<8, 768, 8192>(int4*)", "all_to_all"),
            ("void deep_ep::internode_ll::combine<true, 7168, 9>(void*)", "all_to_all"),
            ("void deep_ep::intranode::cached_notify_combine<8>(void**)", "all_to_all"),
            ("void deep_ep::intranode::barrier<8>(int**, int)", "barrier"),
            (
                "void tensorrt_llm::kernels::ar_fusion::allreduce_fusion_kernel_twoshot_sync<...>(...)",
                "all_reduce",
            ),
            ("void tensorrt_llm::kernels::moe_comm::moeAllToAllKernel<...>", "all_to_all"),
            (
                "void flashinfer::trtllm_mnnvl_allreduce::twoshotAllreduceKernel<...>(...)",
                "all_reduce",
            ),
            ("void lamport_style_one_shot_all_reduce_kernel<...>(...)", "all_reduce"),
            ("moeA2ADispatchKernel<1>", "all_to_all"),
            (
                "void tensorrt_llm::kernels::fusedMoeCommKernel(FusedMoeCommKernelParam)",
                "all_to_all",
            ),
            ("void uccl_ep_combine<8>(int)", "all_to_all"),
            ("userbuffers_fp16_sum_inplace_gpu_rr_rs_oop<4>", "reduce_scatter"),
            ("userbuffers_fp16_sum_inplace_gpu_rr_ag<4>", "all_gather"),
            ("kuserbuffers_pushrecv(int, int)", "send_recv"),
            (
                "void vllm::cross_device_reduce_1stage<__nv_bfloat16, 2>(vllm::RankData*)",
                "all_reduce",
            ),
            ("void aiter::reduce_scatter_cross_device_store<...>(...)", "reduce_scatter"),
            ("void quickreduce::allreduce_prototype_twoshot<...>(...)", "all_reduce"),
            ("mscclpp::allreduce7(...)", "all_reduce"),
            ("oneccl_reduce_base<float, 2, 16, 1, 1, 2>", "-"),
            ("oneccl_allreduce_small", "all_reduce"),
            ("hcom_allReduce_", "all_reduce"),
            ("void pplx_kernels::internode::dispatchKernel<...>(...)", "all_to_all"),
            ("void uccl::ep::dispatch<...>", "all_to_all"),
            ("mori::moe::EpDispatchIntraNodeKernel", "all_to_all"),
            ("EpCombineInterNodeV1Kernel_bf16", "all_to_all"),
            ("SendRecvKernel", "send_recv"),
            ("nvshmemi_transfer_rma", "-"),
            ("void nvshmem_barrier_kernel", "barrier"),
            (
                "void c10d::symmetric_memory::(anonymous namespace)::multimem_all_reduce_kernel<...>(...)",
                "all_reduce",
            ),
        ] {
            assert_eq!(said(name), (KernelRole::Communication, operation), "{name}");
        }
    }

    #[test]
    fn computation_is_not_communication() {
        for name in [
            "sm90_xmma_gemm_bf16",
            "void at::native::reduce_kernel<512, 1, at::native::ReduceOp<float>>",
            "void (anonymous namespace)::elementwise_kernel_with_index",
            "triton_red_fused_all_reduce_0",
            "triton_poi_fused_add_all_gather_into_tensor_3",
            "void cutlass::device_kernel<cutlass::gemm::kernel::GemmAllReduce>",
            "void deep_ep::layout::get_dispatch_layout<256, 8>(...)",
            "void cub::DeviceReduceKernel<...>",
            "void flash::flash_fwd_splitkv_combine_kernel<...>",
            "void vllm::moe::dispatch_topk<...>",
        ] {
            assert_eq!(said(name), (KernelRole::Compute, "-"), "{name}");
        }
    }

    #[test]
    fn movers_of_caches_copy() {
        for name in [
            "void lmc::load_and_reshape_multi_layer_kernel<long, true>(long*, long**)",
            "void lmc::single_layer_kv_transfer_kernel<long>(long*)",
            "void flexkv::transfer_kv_blocks_kernel<(flexkv::BackendType)0, false>(int)",
            "void (anonymous namespace)::hicache_transfer_per_layer<128, 4>(HicacheKernelParams)",
            "void transfer_kernel_impl<...>(...)",
        ] {
            assert_eq!(said(name), (KernelRole::Copy, "-"), "{name}");
        }
    }

    #[test]
    fn rules_of_a_file_come_first() {
        let rules =
            CommRules::with_defaults("none - nccl*\ncomm.mine broadcast my_push_*\n").unwrap();
        assert_eq!(rules.find("ncclDevKernel_AllReduce_Sum_f32"), None);
        let mine = rules.find("MY_push_kernel").unwrap();
        assert_eq!(mine.label, "comm.mine");
        assert_eq!(mine.operation("").map(|operation| operation.as_str()), Some("broadcast"));
    }

    #[test]
    fn bad_lines_are_named() {
        for (text, line, what) in [
            ("comm.x name a\nbad name x", 2, "unknown label `bad`"),
            ("ipc.x name a", 1, "unknown label `ipc.x`"),
            ("comm.x sum y", 1, "unknown operation `sum`"),
            ("comm.x name", 1, "pattern is missing"),
            ("copy.x all_reduce y", 1, "no operation"),
        ] {
            let error = CommRules::parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text}");
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}

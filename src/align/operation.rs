//! What a collective does, whatever its spelling: by the name that its arguments give, or by its kernel's.

use crate::model::named;

named! {
    /// What an operation does.
    Operation {
        /// `allreduce`
        AllReduce "all_reduce",
        /// `allgather`, `_allgather_base`, `all_gather_into_tensor`
        AllGather "all_gather",
        /// `reduce_scatter`, `_reduce_scatter_base`, `reduce_scatter_tensor`
        ReduceScatter "reduce_scatter",
        /// `broadcast`
        Broadcast "broadcast",
        /// `reduce`
        Reduce "reduce",
        /// `all_to_all`, `all_to_allv`
        AllToAll "all_to_all",
        /// `send` and `recv` of one message
        SendRecv "send_recv",
        /// `barrier`
        Barrier "barrier",
        /// Anything else
        Other "other",
    }
}

impl Operation {
    /// The operations that a rule can name.
    pub const NAMED: [Self; 8] = [
        Self::AllReduce,
        Self::AllGather,
        Self::ReduceScatter,
        Self::Broadcast,
        Self::Reduce,
        Self::AllToAll,
        Self::SendRecv,
        Self::Barrier,
    ];

    /// The operation of a name in tables.
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMED.into_iter().find(|operation| operation.as_str() == name)
    }

    /// What follows the mark of a range around a collective: `all_reduce` of `nccl:all_reduce` or of
    /// `c10d::all_reduce_`; `None` for a name of another kind.
    pub fn range_words(name: &str) -> Option<&str> {
        let (mark, words) = name.split_once(':')?;
        let is_backend = mark.ends_with("ccl") || matches!(mark, "gloo" | "ucc" | "mpi");
        match words.strip_prefix(':') {
            Some(words) => (mark == "c10d").then_some(words),
            None => is_backend.then_some(words),
        }
    }

    /// The operation of a range around a collective; `None` where it names none, as `nccl:coalesced` does.
    pub fn of_range(name: &str) -> Option<Self> {
        let operation = Self::of_name(Self::range_words(name)?);
        (operation != Self::Other).then_some(operation)
    }

    /// The operation that a name of c10d's arguments tells.
    pub fn of_name(name: &str) -> Self {
        let plain = plain(name);
        let is = |start: &str| plain.starts_with(start);
        if is("barrier") || is("allreducebarrier") {
            Self::Barrier
        } else if is("allreduce") {
            Self::AllReduce
        } else if is("allgather") {
            Self::AllGather
        } else if is("reducescatter") {
            Self::ReduceScatter
        } else if is("broadcast") {
            Self::Broadcast
        } else if is("reduce") {
            Self::Reduce
        } else if is("alltoall") {
            Self::AllToAll
        } else if is("send") || is("recv") {
            Self::SendRecv
        } else {
            Self::Other
        }
    }

    /// The operation that the name of a communication kernel tells, as its library spells it.
    pub fn of_kernel(name: &str) -> Self {
        let plain = plain(name);
        let has = |part: &str| plain.contains(part);
        if has("allreduce") || has("crossdevicereduce") {
            Self::AllReduce
        } else if has("allgather") {
            Self::AllGather
        } else if has("reducescatter") {
            Self::ReduceScatter
        } else if has("broadcast") {
            Self::Broadcast
        } else if has("alltoall") {
            Self::AllToAll
        } else if has("sendrecv") {
            Self::SendRecv
        } else {
            Self::Other
        }
    }

    /// Whether every rank leaves it at the same time. From others (broadcast, reduce) some leave early.
    pub(super) fn ends_together(self) -> bool {
        matches!(
            self,
            Self::AllReduce
                | Self::AllGather
                | Self::ReduceScatter
                | Self::AllToAll
                | Self::Barrier
        )
    }
}

/// `_allgather_base`, `all_gather` and `AllGather` are the same to compare.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::Operation;

    #[test]
    fn spellings() {
        assert_eq!(Operation::of_name("_allgather_base"), Operation::AllGather);
        assert_eq!(Operation::of_name("all_gather_into_tensor"), Operation::AllGather);
        assert_eq!(Operation::of_name("_reduce_scatter_base"), Operation::ReduceScatter);
        assert_eq!(Operation::of_name("reduce"), Operation::Reduce);
        assert_eq!(Operation::of_name("all_to_allv"), Operation::AllToAll);
        assert_eq!(Operation::of_name("recv"), Operation::SendRecv);
        assert_eq!(Operation::of_name("gather"), Operation::Other);
        let of_kernel = [
            ("ncclDevKernel_AllReduce_Sum_f32_RING_LL", Operation::AllReduce),
            ("void vllm::cross_device_reduce_1stage<float, 2>", Operation::AllReduce),
            ("ncclKernel_SendRecv_RING_SIMPLE_Sum_int8_t", Operation::SendRecv),
            ("ncclDevKernel_ReduceScatter_Sum_bf16", Operation::ReduceScatter),
            ("deep_ep::dispatch", Operation::Other),
        ];
        for (name, operation) in of_kernel {
            assert_eq!(Operation::of_kernel(name), operation, "{name}");
        }
    }
}

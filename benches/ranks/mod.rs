//! A training step on many ranks, simulated: tensor, pipeline and data parallelism, jitter of kernels and collectives, and
//! what may be wrong with one of them. The same seed gives the same times. Used by `generate_ranks` and by tests.
//!
//! Forward and backward pass go once through the stages; every layer ends with an all-reduce over the tensor-parallel ranks,
//! every step with one over the data-parallel ranks and a small one over all. A collective ends on all its ranks at once, when
//! the last has come and the transfer is over.

use std::fmt::Write as _;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Every kernel of one GPU takes 5 % longer.
    SlowGpu(usize),
    /// The ranks of one data-parallel group transfer at half the speed: a slow link in its ring.
    SlowLink(usize),
    /// The interpreters of one host collect garbage, each when it likes.
    GarbageCollection(usize),
    /// One rank is 200 ms late in every backward pass.
    Late(usize),
    /// One rank waits for its data for 25 ms at the start of every step.
    DataLoading(usize),
    /// The copies of one rank to its device take five times as long: its link to the host is degraded.
    SlowCopies(usize),
}

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) n_ranks: usize,
    pub(crate) n_steps: usize,
    pub(crate) seed: u64,
    /// Everything that is wrong.
    pub(crate) faults: [Fault; 4],
}

impl Plan {
    /// A plan with one fault at most.
    pub(crate) fn with_one(n_ranks: usize, seed: u64, fault: Fault) -> Self {
        let faults = [fault, Fault::None, Fault::None, Fault::None];
        Self { n_ranks, n_steps: 3, seed, faults }
    }

    fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }
}

/// Layers of a stage, and kernels of a layer.
const N_LAYERS: usize = 4;
const KERNELS: [(&str, i64); 4] = [
    ("sm90_xmma_gemm_bf16_tn_qkv", 310_000),
    ("flash_fwd_kernel", 240_000),
    ("sm90_xmma_gemm_bf16_tn_mlp", 420_000),
    ("fused_rms_norm_kernel", 60_000),
];
/// The first rank of a host's eight.
const HOST: usize = 8;
const LATE_NS: i64 = 200_000_000;
const LAUNCH_NS: i64 = 6_000;
/// What every step begins with: the loader's next batch, as torch annotates it, and its copy to the device.
const LOADING: (&str, i64) =
    ("enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__", 300_000);
const LATE_LOADING_NS: i64 = 25_000_000;
const COPY: (&str, i64) = ("Memcpy HtoD (Pinned -> Device)", 800_000);
const COPY_BYTES: u64 = 40 << 20;

/// Marsaglia's xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// About a normal distribution around 0, in thousandths of `spread`.
    fn bell(&mut self, spread_ppm: i64) -> i64 {
        let sum: i64 = (0..6).map(|_| self.below(2_001) as i64 - 1_000).sum();
        sum * spread_ppm / 1_414
    }
}

fn scaled(ns: i64, ppm: i64) -> i64 {
    ns + ns * ppm / 1_000_000
}

/// One thing that a rank did.
#[derive(Clone, Debug)]
enum Done {
    Kernel { name: &'static str, start_ns: i64, dur_ns: i64 },
    Copy { start_ns: i64, dur_ns: i64 },
    Collective { name: &'static str, group: usize, seq: u64, n: u64, start_ns: i64, dur_ns: i64 },
    Message { is_send: bool, other: usize, group: usize, seq: u64, start_ns: i64, dur_ns: i64 },
    Frame { name: &'static str, category: &'static str, start_ns: i64, dur_ns: i64 },
}

/// A process group.
#[derive(Clone, Debug)]
struct Group {
    name: String,
    ranks: Vec<usize>,
    seq: u64,
}

/// A run of all ranks.
pub(crate) struct Simulation {
    plan: Plan,
    random: Random,
    tp: usize,
    pp: usize,
    dp: usize,
    /// When each rank's device is free.
    now_ns: Vec<i64>,
    done: Vec<Vec<Done>>,
    /// What is usual for each GPU, in parts per million.
    gpu_ppm: Vec<i64>,
    groups: Vec<Group>,
}

impl Simulation {
    /// Runs the plan. Ranks come in multiples of 64, or 8 or more without stages.
    pub(crate) fn of(plan: Plan) -> Self {
        let tp = if plan.n_ranks >= 64 { 8 } else { 4.min(plan.n_ranks) };
        let pp = match plan.n_ranks {
            512.. => 8,
            32.. => 2,
            _ => 1,
        };
        let dp = plan.n_ranks / (tp * pp);
        assert_eq!(tp * pp * dp, plan.n_ranks, "{} ranks do not divide", plan.n_ranks);
        let mut random = Random(plan.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let gpu_ppm = (0..plan.n_ranks).map(|_| random.bell(1_500)).collect();
        let mut all = Self {
            plan,
            random,
            tp,
            pp,
            dp,
            now_ns: vec![1_000_000; plan.n_ranks],
            done: vec![Vec::new(); plan.n_ranks],
            gpu_ppm,
            groups: Vec::new(),
        };
        all.make_groups();
        (0..plan.n_steps).for_each(|step| all.step(step));
        all
    }

    /// Rank of its places: the tensor-parallel one moves first, the pipeline stage last.
    fn rank(&self, tp: usize, dp: usize, pp: usize) -> usize {
        tp + self.tp * (dp + self.dp * pp)
    }

    /// Places of a rank: tensor, data, pipeline.
    fn places(&self, rank: usize) -> (usize, usize, usize) {
        (rank % self.tp, rank / self.tp % self.dp, rank / self.tp / self.dp)
    }

    fn make_groups(&mut self) {
        let mut add = |name: String, ranks: Vec<usize>| {
            self.groups.push(Group { name, ranks, seq: 0 });
        };
        let at = |tp, dp, pp| tp + self.tp * (dp + self.dp * pp);
        add("0".to_owned(), (0..self.plan.n_ranks).collect());
        for pp in 0..self.pp {
            for dp in 0..self.dp {
                add(format!("tp{dp}_{pp}"), (0..self.tp).map(|tp| at(tp, dp, pp)).collect());
            }
        }
        for pp in 0..self.pp {
            for tp in 0..self.tp {
                add(format!("dp{tp}_{pp}"), (0..self.dp).map(|dp| at(tp, dp, pp)).collect());
            }
        }
        for dp in 0..self.dp {
            for tp in 0..self.tp {
                add(format!("pp{tp}_{dp}"), (0..self.pp).map(|pp| at(tp, dp, pp)).collect());
            }
        }
    }

    fn tp_group(&self, dp: usize, pp: usize) -> usize {
        1 + pp * self.dp + dp
    }

    fn dp_group(&self, tp: usize, pp: usize) -> usize {
        1 + self.pp * self.dp + pp * self.tp + tp
    }

    fn pp_group(&self, tp: usize, dp: usize) -> usize {
        1 + self.pp * (self.dp + self.tp) + dp * self.tp + tp
    }

    fn step(&mut self, step: usize) {
        let starts = self.now_ns.clone();
        (0..self.plan.n_ranks).for_each(|rank| self.load(rank));
        for pp in 0..self.pp {
            self.pass_on(pp.checked_sub(1), pp);
            self.layers(pp, 1_000_000, step);
        }
        for pp in (0..self.pp).rev() {
            self.pass_on(Some(pp + 1).filter(|&from| from < self.pp), pp);
            self.be_late(pp);
            self.layers(pp, 2_000_000, step);
        }
        for pp in 0..self.pp {
            for tp in 0..self.tp {
                self.collective(self.dp_group(tp, pp), "allreduce", 64 << 20, 3_500_000);
            }
        }
        self.collective(0, "allreduce", 1, 90_000);
        for (rank, start_ns) in starts.into_iter().enumerate() {
            let dur_ns = self.now_ns[rank] - start_ns;
            let (name, category) = (STEPS[step % STEPS.len()], "user_annotation");
            self.done[rank].push(Done::Frame { name, category, start_ns, dur_ns });
            self.now_ns[rank] += 40_000;
        }
    }

    /// The next batch, and its copy to the device.
    fn load(&mut self, rank: usize) {
        let late_ns = if self.plan.has(Fault::DataLoading(rank)) { LATE_LOADING_NS } else { 0 };
        let (name, usual_ns) = LOADING;
        let dur_ns = scaled(usual_ns, self.random.bell(30_000)) + late_ns;
        let (start_ns, category) = (self.now_ns[rank], "user_annotation");
        self.done[rank].push(Done::Frame { name, category, start_ns, dur_ns });
        let start_ns = start_ns + dur_ns + 12_000;
        let times = if self.plan.has(Fault::SlowCopies(rank)) { 5 } else { 1 };
        let dur_ns = times * scaled(COPY.1, self.random.bell(20_000));
        self.done[rank].push(Done::Copy { start_ns, dur_ns });
        self.now_ns[rank] = start_ns + dur_ns + 12_000;
    }

    /// The kernels of a stage's layers on all its ranks; `weight` is their length, in millionths.
    fn layers(&mut self, pp: usize, weight: i64, step: usize) {
        for layer in 0..N_LAYERS {
            for dp in 0..self.dp {
                for tp in 0..self.tp {
                    let rank = self.rank(tp, dp, pp);
                    self.collect_garbage(rank, step, layer);
                    self.kernels(rank, weight);
                }
                self.collective(self.tp_group(dp, pp), "allreduce", 8 << 20, 210_000);
            }
        }
    }

    fn kernels(&mut self, rank: usize, weight: i64) {
        let fault_ppm = if self.plan.has(Fault::SlowGpu(rank)) { 50_000 } else { 0 };
        for (name, ns) in KERNELS {
            let jitter = self.random.bell(12_000) + self.gpu_ppm[rank];
            let dur_ns = scaled(scaled(ns * (weight / 1_000_000), jitter), fault_ppm);
            let start_ns = self.now_ns[rank];
            self.done[rank].push(Done::Kernel { name, start_ns, dur_ns });
            self.now_ns[rank] = start_ns + dur_ns + 2_000 + self.random.below(900) as i64;
        }
    }

    /// The stage receives from another one.
    fn pass_on(&mut self, from: Option<usize>, pp: usize) {
        let Some(from) = from else { return };
        for dp in 0..self.dp {
            for tp in 0..self.tp {
                let (sender, receiver) = (self.rank(tp, dp, from), self.rank(tp, dp, pp));
                let group = self.pp_group(tp, dp);
                let seq = self.groups[group].seq;
                self.groups[group].seq += 1;
                let dur_ns = scaled(160_000, self.random.bell(30_000));
                let end_ns = self.now_ns[sender].max(self.now_ns[receiver]) + dur_ns;
                for (rank, other, is_send) in [(sender, receiver, true), (receiver, sender, false)]
                {
                    let start_ns = self.now_ns[rank];
                    let dur_ns = end_ns - start_ns;
                    self.done[rank].push(Done::Message {
                        is_send,
                        other,
                        group,
                        seq,
                        start_ns,
                        dur_ns,
                    });
                    self.now_ns[rank] = end_ns + 2_000;
                }
            }
        }
    }

    fn be_late(&mut self, pp: usize) {
        let late = self.plan.faults.into_iter().filter_map(|fault| match fault {
            Fault::Late(rank) => Some(rank),
            _ => None,
        });
        for rank in late.filter(|&rank| self.places(rank).2 == pp).collect::<Vec<_>>() {
            let start_ns = self.now_ns[rank];
            let (name, category) = ("autograd::engine::evaluate_function: SlowBackward0", "cpu_op");
            self.done[rank].push(Done::Frame { name, category, start_ns, dur_ns: LATE_NS });
            self.now_ns[rank] += LATE_NS;
        }
    }

    /// Each interpreter of the host stops at a layer of its own.
    fn collect_garbage(&mut self, rank: usize, step: usize, layer: usize) {
        let collects = self.plan.has(Fault::GarbageCollection(rank / HOST));
        if !collects || (rank + step) % N_LAYERS != layer {
            return;
        }
        let dur_ns = 15_000_000 + self.random.below(10_000_000) as i64;
        let start_ns = self.now_ns[rank];
        let (name, category) = ("gc.collect", "cpu_op");
        self.done[rank].push(Done::Frame { name, category, start_ns, dur_ns });
        self.now_ns[rank] += dur_ns + 3_000;
    }

    fn collective(&mut self, group: usize, name: &'static str, n: u64, ns: i64) {
        let ranks = self.groups[group].ranks.clone();
        if ranks.len() < 2 {
            return;
        }
        let seq = self.groups[group].seq;
        self.groups[group].seq += 1;
        let is_slow = self.plan.faults.iter().any(|fault| {
            matches!(*fault, Fault::SlowLink(rank)
                if { let (tp, _, pp) = self.places(rank); self.dp_group(tp, pp) == group })
        });
        let fault_ppm = if is_slow { 1_000_000 } else { 0 };
        let dur_ns = scaled(scaled(ns, self.random.bell(20_000)), fault_ppm);
        let last_ns = ranks.iter().map(|&rank| self.now_ns[rank]).max().unwrap_or(0);
        for rank in ranks {
            let start_ns = self.now_ns[rank];
            // Ranks leave within some hundred nanoseconds.
            let end_ns = last_ns + dur_ns + self.random.below(400) as i64;
            let dur_ns = end_ns - start_ns;
            self.done[rank].push(Done::Collective { name, group, seq, n, start_ns, dur_ns });
            self.now_ns[rank] = end_ns + 2_000;
        }
    }

    /// How long a kernel took on a rank, in all.
    #[cfg(test)]
    pub(crate) fn time_of(&self, rank: usize, of: &str) -> i64 {
        let dur_ns = |done: &Done| match done {
            Done::Kernel { name, dur_ns, .. } if *name == of => *dur_ns,
            _ => 0,
        };
        self.done[rank].iter().map(dur_ns).sum()
    }

    /// The name of a rank's file.
    pub(crate) fn file_name(&self, rank: usize) -> String {
        let (tp, dp, pp) = self.places(rank);
        format!("run-rank{rank:05}-TP-{tp}-DP-{dp}-PP-{pp}.trace.json")
    }

    /// The trace of a rank, as torch writes it.
    pub(crate) fn trace(&self, rank: usize) -> String {
        let mut out = format!(
            "{{\"schemaVersion\":1,\"deviceProperties\":[{{\"id\":0,\"name\":\"NVIDIA H100 80GB HBM3\"}}],\
             \"distributedInfo\":{{\"backend\":\"nccl\",\"rank\":{rank},\"world_size\":{}}},\
             \"baseTimeNanoseconds\":1790000000000000000,\"traceEvents\":[",
            self.plan.n_ranks
        );
        let mut correlation = 0;
        for done in &self.done[rank] {
            correlation += 1;
            self.write(&mut out, rank, done, correlation);
        }
        out + "{\"ph\":\"i\",\"name\":\"Record Window End\",\"pid\":0,\"tid\":0,\"ts\":0}]}\n"
    }

    fn write(&self, out: &mut String, rank: usize, done: &Done, correlation: usize) {
        match done {
            Done::Kernel { name, start_ns, dur_ns } => {
                launched(out, (name, "aten::mm"), (*start_ns, *dur_ns), correlation, "");
            }
            Done::Copy { start_ns, dur_ns } => {
                copied(out, (*start_ns, *dur_ns), correlation);
            }
            Done::Collective { name, group, seq, n, start_ns, dur_ns } => {
                let kernel =
                    "ncclDevKernel_AllReduce_Sum_bf16_RING_LL(ncclDevKernelArgsStorage<4096ul>)";
                let args = self.collective_args(name, *group, *seq, *n);
                launched(
                    out,
                    (kernel, "nccl:all_reduce"),
                    (*start_ns, *dur_ns),
                    correlation,
                    &args,
                );
            }
            Done::Message { is_send, other, group, seq, start_ns, dur_ns } => {
                let kernel = "ncclDevKernel_SendRecv(ncclDevKernelArgsStorage<4096ul>)";
                let (from, to) = if *is_send { (rank, *other) } else { (*other, rank) };
                let name = if *is_send { "send" } else { "recv" };
                let args = self.collective_args(name, *group, *seq, 4 << 20);
                let args = format!("{args},\"Src Rank\":{from},\"Dst Rank\":{to}");
                launched(out, (kernel, "nccl:send_recv"), (*start_ns, *dur_ns), correlation, &args);
            }
            Done::Frame { name, category, start_ns, dur_ns } => {
                slice(out, (category, name, 1), (*start_ns, *dur_ns), "");
            }
        }
    }

    fn collective_args(&self, name: &str, group: usize, seq: u64, n: u64) -> String {
        let Group { name: group, ranks, .. } = &self.groups[group];
        let named: Vec<String> = ranks.iter().take(16).map(usize::to_string).collect();
        let more = if ranks.len() > 16 { ", ..." } else { "" };
        format!(
            ",\"Collective name\":\"{name}\",\"In msg nelems\":{n},\"Out msg nelems\":{n},\"Group size\":{},\
             \"dtype\":\"BFloat16\",\"Process Group Name\":\"{group}\",\"Process Group Ranks\":\"[{}{more}]\",\"Seq\":{seq}",
            ranks.len(),
            named.join(", ")
        )
    }
}

/// Names of the annotations of steps.
const STEPS: [&str; 4] = ["ProfilerStep#0", "ProfilerStep#1", "ProfilerStep#2", "ProfilerStep#3"];

/// A kernel with the call and the operator that launched it, shortly before.
fn launched(
    out: &mut String,
    (kernel, op): (&str, &str),
    (start_ns, dur_ns): (i64, i64),
    correlation: usize,
    args: &str,
) {
    let at = start_ns - 9_000;
    slice(out, ("cpu_op", op, 1), (at, 8_000), &format!("\"External id\":{correlation}"));
    let call = format!("\"correlation\":{correlation},\"External id\":{correlation}");
    slice(out, ("cuda_runtime", "cudaLaunchKernel", 1), (at + 1_000, LAUNCH_NS), &call);
    let of = format!("\"device\":0,\"stream\":7,{call}{args}");
    slice(out, ("kernel", kernel, 7), (start_ns, dur_ns), &of);
}

/// The copy of a batch with the call that began it.
fn copied(out: &mut String, (start_ns, dur_ns): (i64, i64), correlation: usize) {
    let call = format!("\"correlation\":{correlation}");
    slice(out, ("cuda_runtime", "cudaMemcpyAsync", 1), (start_ns - 8_000, LAUNCH_NS), &call);
    let of = format!("\"device\":0,\"stream\":7,{call},\"bytes\":{COPY_BYTES}");
    slice(out, ("gpu_memcpy", COPY.0, 7), (start_ns, dur_ns), &of);
}

fn slice(
    out: &mut String,
    (category, name, tid): (&str, &str, u32),
    (start_ns, dur_ns): (i64, i64),
    args: &str,
) {
    let pid = if tid == 7 { 0 } else { 100 };
    let (us, ns) = (start_ns / 1000, start_ns % 1000);
    let _ = writeln!(
        out,
        "{{\"ph\":\"X\",\"cat\":\"{category}\",\"name\":\"{name}\",\"pid\":{pid},\"tid\":{tid},\"ts\":{us}.{ns:03},\
         \"dur\":{}.{:03},\"args\":{{{args}}}}},",
        dur_ns / 1000,
        dur_ns % 1000
    );
}

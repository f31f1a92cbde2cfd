//! What comes before the first device activity of a window, and the one-time costs in it.
//!
//! A profile of a cold start is mostly start-up: contexts, code that is loaded at its first launch, libraries and
//! autotuning that run once, the profiler's own buffers. Every nanosecond of a work thread belongs to at most one cost: the
//! profiler and module loading are the classes of the thread's time, the others are found by name and take what is left.

use std::collections::BTreeMap;

use super::base::TimeBase;
use super::host::HostThread;
use super::intervals::{Intervals, Span};
use super::percent;
use super::quantiles::Quantiles;
use super::timeline::Class;
use super::trust::is_launch;
use super::wait_rules::split_frame;
use super::window::{is_unplaced, slice_span};
use crate::model::EventKind;
use crate::model::limits::{FIRST_CALL_FACTOR, FIRST_CALL_NS};
use crate::schema::{tables, words};
use crate::store::{Store, StrId};

words! {
    /// What stands before the first device activity, or is paid once.
    CostKind {
        /// The time before the first device activity: no cost, what costs lie in.
        BeforeDevice "before_device",
        /// The profiler's own buffers and resources.
        Profiler "profiler",
        /// Loading and compiling of device code by runtime and driver.
        ModuleLoading "module_loading",
        /// Choosing among kernels by running them.
        Autotuning "autotuning",
        /// Compiling of device code by the program.
        Compilation "compilation",
        /// Creation of contexts and handles.
        Context "context",
        /// Device memory taken and given back with `cudaMalloc`, `cudaFree` and the like.
        Allocation "allocation",
        /// The first call of an operator of a library that is slow the first time: cuDNN, MIOpen.
        Library "library",
        /// The first launch, where it takes far longer than the others.
        FirstLaunch "first_launch",
    }
}

impl CostKind {
    /// All that is paid once; one that stands earlier takes the time that two claim.
    const COSTS: [Self; 8] = [
        Self::Profiler,
        Self::ModuleLoading,
        Self::Autotuning,
        Self::Compilation,
        Self::Context,
        Self::Allocation,
        Self::Library,
        Self::FirstLaunch,
    ];
}

tables! {
    /// The start of the window, or one cost that is paid once, of one input.
    StartupRow: "startup", "Before the first device activity, and one-time costs", "What comes before the first device activity, and what is paid once?", groups 1, on Breakdown 6, carried whole {
        input: usize, Count, All, "#", "number of the input";
        cost: CostKind, Text, All, "what", "the time before the first device activity, or a one-time cost";
        ns: i64, Ns, All, "time", "its time; of a cost, on the work threads";
        window_pct: Option<f64>, Percent, All / Defined, "of window", "the time, of the profiled window";
        before_device_ns: i64, Ns, All, "before device", "of it, before the first device activity";
        count: Option<u64>, Count, All, "count", "stretches of time";
        max_ns: Option<i64>, Ns, All, "max", "the longest stretch";
        name: Option<String>, Text, All / Subject, "name", "the longest event";
        window_ns: i64, Ns, Machines, "window", "the profiled window";
    }
}

/// The start of an input: the time before the first device activity, then the costs that hold time, in the order of
/// [`CostKind::COSTS`]. None where no device activity was seen or only a part of the window is looked at.
pub fn startup(store: &Store, base: &TimeBase) -> Vec<StartupRow> {
    found_costs(store, base).unwrap_or_default()
}

fn found_costs(store: &Store, base: &TimeBase) -> Option<Vec<StartupRow>> {
    let window = base.windows.file;
    let first_ns = base
        .devices
        .iter()
        .filter_map(|device| device.slices.first())
        .map(|row| row.span.start_ns)
        .min()?;
    if base.windows.is_clipped || window.is_empty() {
        return None;
    }
    let before = Span::new(window.start_ns, first_ns.clamp(window.start_ns, window.end_ns));
    let found = Found::of(store, base);
    let mut sums: BTreeMap<CostKind, StartupRow> = BTreeMap::new();
    for thread in base.work_threads() {
        let mut taken = Intervals::default();
        for kind in CostKind::COSTS {
            let (set, name) = found.set(store, thread, kind);
            let own = set.clip(window).subtract(&taken);
            taken = Intervals::union_of(taken.spans().iter().chain(own.spans()).copied().collect());
            if own.total_ns() > 0 {
                let cost = sums.entry(kind).or_insert_with(|| StartupRow::nothing(kind));
                cost.add(&own, before, name.map(|name| store.name(name)));
            }
        }
    }
    let first = StartupRow {
        ns: before.len_ns(),
        before_device_ns: before.len_ns(),
        ..StartupRow::nothing(CostKind::BeforeDevice)
    };
    let window_ns = window.len_ns();
    let of_input = |row: StartupRow| StartupRow {
        input: base.input,
        window_ns,
        window_pct: percent(row.ns, window_ns),
        ..row
    };
    Some(std::iter::once(first).chain(sums.into_values()).map(of_input).collect())
}

impl StartupRow {
    /// No time of a cost.
    fn nothing(cost: CostKind) -> Self {
        Self {
            input: 0,
            cost,
            ns: 0,
            window_pct: None,
            before_device_ns: 0,
            count: None,
            max_ns: None,
            name: None,
            window_ns: 0,
        }
    }

    fn add(&mut self, own: &Intervals, before: Span, name: Option<&str>) {
        let longest_ns = own.spans().iter().map(|span| span.len_ns()).max().unwrap_or(0);
        if longest_ns > self.max_ns.unwrap_or(0) {
            self.max_ns = Some(longest_ns);
            self.name = name.map(str::to_owned);
        }
        self.count = Some(self.count.unwrap_or(0) + own.spans().len() as u64);
        self.ns += own.total_ns();
        self.before_device_ns += own.clip(before).total_ns();
    }
}

/// Start, slice and track of a call.
type TimedCall = (i64, usize, usize);

/// The events that are a cost by their names.
struct Found {
    /// By track and cost.
    slices: BTreeMap<(usize, CostKind), Vec<usize>>,
}

impl Found {
    fn of(store: &Store, base: &TimeBase) -> Self {
        let mut slices: BTreeMap<(usize, CostKind), Vec<usize>> = BTreeMap::new();
        let mut names = Names::of(store);
        let mut calls: BTreeMap<(CostKind, StrId), Vec<TimedCall>> = BTreeMap::new();
        for thread in base.work_threads() {
            for slice in store.tracks[thread.track].slices.clone() {
                let name = store.slices.name[slice];
                let cost = names.cost(store.category_number(slice), name);
                let Some(cost) = cost.filter(|_| !is_unplaced(store, slice)) else { continue };
                if matches!(cost, CostKind::Library | CostKind::FirstLaunch) {
                    let at = store.slices.ts_ns[slice];
                    calls.entry((cost, name)).or_default().push((at, slice, thread.track));
                } else {
                    slices.entry((thread.track, cost)).or_default().push(slice);
                }
            }
        }
        for ((cost, _), calls) in calls {
            if let Some((slice, track)) = slow_first(store, &calls) {
                slices.entry((track, cost)).or_default().push(slice);
            }
        }
        Self { slices }
    }

    /// The time of a cost on a thread, and its longest event.
    fn set(
        &self,
        store: &Store,
        thread: &HostThread,
        kind: CostKind,
    ) -> (Intervals, Option<usize>) {
        let of_class = |class: Class| (thread.timeline.set_of(|known| known == class), None);
        match kind {
            CostKind::Profiler => of_class(Class::Profiler),
            CostKind::ModuleLoading => of_class(Class::ModuleLoading),
            _ => {
                let slices = self.slices.get(&(thread.track, kind)).map_or(&[][..], Vec::as_slice);
                let spans = slices.iter().map(|&slice| slice_span(store, slice)).collect();
                let longest =
                    slices.iter().copied().max_by_key(|&slice| store.slices.dur_ns(slice));
                (Intervals::union_of(spans), longest)
            }
        }
    }
}

/// What events are by their names, which repeat: each is looked at once a kind of event.
struct Names<'a> {
    store: &'a Store,
    /// By category; 0 where no name tells.
    groups: Vec<u8>,
    /// By name: the groups that it was looked at in, and those in which it is a cost, [`COSTS_AT`] bits higher.
    known: Vec<u8>,
    costs: BTreeMap<(StrId, u8), CostKind>,
}

/// Bits of a group of kinds of event.
const COSTS_AT: u32 = 4;

impl<'a> Names<'a> {
    fn of(store: &'a Store) -> Self {
        let group = |&(_, kind): &(StrId, EventKind)| match kind {
            EventKind::PythonFunction => 1,
            EventKind::CpuOp | EventKind::UserAnnotation => 2,
            EventKind::Runtime | EventKind::Driver => 4,
            _ => 0,
        };
        Self {
            store,
            groups: store.categories.iter().map(group).collect(),
            known: vec![0; store.strings.len()],
            costs: BTreeMap::new(),
        }
    }

    /// The cost that an event of a category and name is.
    #[inline]
    fn cost(&mut self, category: usize, name: StrId) -> Option<CostKind> {
        let (group, known) = (self.groups[category], self.known[name.0 as usize]);
        if known & group != group {
            self.look_at(category, name);
        } else if known >> COSTS_AT & group == 0 {
            return None;
        }
        self.costs.get(&(name, group)).copied()
    }

    #[cold]
    fn look_at(&mut self, category: usize, name: StrId) {
        let (group, known) = (self.groups[category], &mut self.known[name.0 as usize]);
        *known |= group;
        let kind = self.store.categories[category].1;
        if let Some(cost) = cost_of(kind, self.store.strings.get(name)) {
            *known |= group << COSTS_AT;
            self.costs.insert((name, group), cost);
        }
    }
}

/// The first of calls with one name, with its track, where it takes far longer than the middle one.
fn slow_first(store: &Store, calls: &[TimedCall]) -> Option<(usize, usize)> {
    let &(_, first, track) = calls.iter().min()?;
    let durations = calls.iter().map(|&(_, slice, _)| store.slices.dur_ns(slice));
    let middle_ns = Quantiles::of(durations)?.p50_ns;
    let ns = store.slices.dur_ns(first);
    let is_alone = calls.len() == 1;
    (ns >= FIRST_CALL_NS && (is_alone || ns >= middle_ns.saturating_mul(FIRST_CALL_FACTOR)))
        .then_some((first, track))
}

/// What an event is by its kind and name.
fn cost_of(kind: EventKind, name: &str) -> Option<CostKind> {
    match kind {
        EventKind::Runtime | EventKind::Driver => cost_of_call(name),
        EventKind::CpuOp | EventKind::UserAnnotation => cost_of_op(name),
        EventKind::PythonFunction => {
            let (path, function) = split_frame(name)?;
            cost_of_frame(path, function)
        }
        _ => None,
    }
}

fn cost_of_call(name: &str) -> Option<CostKind> {
    let starts = |known: &[&str]| known.iter().any(|start| name.starts_with(start));
    let contexts = [
        "cudaSetDevice",
        "cudaInitDevice",
        "cuInit",
        "cuCtxCreate",
        "cuDevicePrimaryCtxRetain",
        "cublasCreate",
        "cudnnCreate",
        "hipInit",
        "hipSetDevice",
        "hipCtxCreate",
        "hipDevicePrimaryCtxRetain",
        "zeInit",
        "zeContextCreate",
    ];
    let memory = [
        "cudaMalloc",
        "cudaFree",
        "cudaHostAlloc",
        "cudaHostRegister",
        "cuMemAlloc",
        "cuMemFree",
        "cuMemCreate",
        "cuMemMap",
        "cuMemSetAccess",
        "cuMemUnmap",
        "cuMemRelease",
        "hipMalloc",
        "hipFree",
        "hipHostMalloc",
        "hipHostFree",
        "hipExtMallocWithFlags",
    ];
    match () {
        () if starts(&contexts) => Some(CostKind::Context),
        () if starts(&memory) => Some(CostKind::Allocation),
        () if is_launch(name) => Some(CostKind::FirstLaunch),
        () => None,
    }
}

fn cost_of_op(name: &str) -> Option<CostKind> {
    let lower = name.to_ascii_lowercase();
    let is_library = ["aten::cudnn_", "aten::_cudnn_", "aten::miopen_"]
        .iter()
        .any(|start| lower.starts_with(start));
    match () {
        () if lower.contains("autotun") => Some(CostKind::Autotuning),
        () if is_library => Some(CostKind::Library),
        () => None,
    }
}

fn cost_of_frame(path: &str, function: &str) -> Option<CostKind> {
    let tunes = [
        "autotune_to_one_config",
        "benchmark_all_configs",
        "coordinate_descent_tuning",
        "do_bench",
        "do_bench_cudagraph",
        "_bench",
        "choose_one",
    ];
    let compiles = [
        ("triton/compiler/compiler.py", "compile"),
        ("torch/_inductor/compile_fx.py", "compile_fx"),
        ("torch/_dynamo/convert_frame.py", "_compile"),
        ("torch/utils/cpp_extension.py", "_jit_compile"),
    ];
    let is_compiler = |known: &(&str, &str)| path.ends_with(known.0) && function == known.1;
    match () {
        () if tunes.contains(&function) && function != "choose_one"
            || path.ends_with("autotuner.py") && function == "choose_one" =>
        {
            Some(CostKind::Autotuning)
        }
        () if compiles.iter().any(is_compiler) => Some(CostKind::Compilation),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{CostKind, cost_of};
    use crate::model::EventKind;

    #[test]
    fn one_time_costs_are_known_by_name() {
        let cases = [
            (EventKind::Runtime, "cudaFree", Some(CostKind::Allocation)),
            (EventKind::Runtime, "hipLaunchKernel", Some(CostKind::FirstLaunch)),
            (EventKind::Driver, "cuDevicePrimaryCtxRetain", Some(CostKind::Context)),
            (EventKind::Runtime, "cudaEventRecord", None),
            (EventKind::CpuOp, "aten::cudnn_convolution", Some(CostKind::Library)),
            (EventKind::CpuOp, "aten::mm", None),
            (
                EventKind::UserAnnotation,
                "CachingAutotuner.benchmark_all_configs",
                Some(CostKind::Autotuning),
            ),
            (
                EventKind::PythonFunction,
                "triton/runtime/autotuner.py(150): _bench",
                Some(CostKind::Autotuning),
            ),
            (
                EventKind::PythonFunction,
                "triton/compiler/compiler.py(220): compile",
                Some(CostKind::Compilation),
            ),
            (EventKind::PythonFunction, "re/__init__.py(220): compile", None),
            (EventKind::Kernel, "cudaFree", None),
        ];
        for (kind, name, expected) in cases {
            assert_eq!(cost_of(kind, name), expected, "{name}");
        }
    }
}

//! The figures of `analyze`.

use std::collections::BTreeMap;

use super::device_use;
use super::{
    BarPart, BarRow, BarScale, Bars, Figure, FigureKind, Lane, LaneSpan, Lanes, Matrix, MatrixRow,
    Role, empty, inputs_in_words,
};
use crate::analyze::breakdown::Scope;
use crate::analyze::host::ThreadKind;
use crate::analyze::idle::Cause;
use crate::analyze::iteration_names::Phase;
use crate::analyze::kernels::ActivityKind;
use crate::analyze::memory_line::MemoryLineRow;
use crate::analyze::ranks::{FEWEST, RankRow, SlowRankRow};
use crate::analyze::roofline::RooflineRow;
use crate::analyze::timeline::Class;
use crate::schema::{Row as _, Spec};
use crate::table::{
    AnalyzeReport, BlameCellRow, BreakdownRow, DeviceRow, IdleRow, IterationRow, KernelRow,
    MANY_ROWS, ThreadClassRow, ThreadRow,
};

/// Kernels shown.
const N_KERNELS: usize = 15;

/// Ranks of which each has a row; of more, blocks of ranks have one.
const MAX_ROWS: usize = 24;

/// Of those, rows of ranks that stand out, and of blocks.
const N_ALONE: usize = 8;
const N_BLOCKS: usize = MAX_ROWS - N_ALONE;

/// Why there is nothing to say about devices.
const NO_DEVICE: &str = "no device activity was recorded";

/// A class of a device's time: its name, and the time.
type DeviceClass = (&'static str, fn(&DeviceRow) -> i64);

/// Tables whose rows the figures draw, shown or not.
pub const FIGURES_OF: [&Spec; 11] = [
    BreakdownRow::SPEC,
    ThreadClassRow::SPEC,
    DeviceRow::SPEC,
    IdleRow::SPEC,
    IterationRow::SPEC,
    KernelRow::SPEC,
    BlameCellRow::SPEC,
    RankRow::SPEC,
    SlowRankRow::SPEC,
    RooflineRow::SPEC,
    MemoryLineRow::SPEC,
];

/// The figures, in the order of reading.
pub fn analyze_figures(report: &AnalyzeReport) -> Vec<Figure> {
    let figures = Figures::of(report);
    let mut all = vec![
        figures.breakdown(),
        figures.devices(),
        figures.iterations(),
        figures.kernels(),
        figures.blame(),
        device_use::roofline(report, &figures.subtitle),
        device_use::memory(report, &figures.subtitle),
    ];
    if report.ranks.len() >= FEWEST {
        all.insert(0, figures.ranks());
    }
    all
}

/// What all figures of a report share.
struct Figures<'a> {
    report: &'a AnalyzeReport,
    subtitle: String,
    losses: Vec<String>,
}

impl<'a> Figures<'a> {
    fn of(report: &'a AnalyzeReport) -> Self {
        let subtitle = inputs_in_words(report.inputs.iter().map(|input| input.path.as_str()));
        let lossy = report.inputs.iter().filter(|input| !input.trust.starts_with("complete"));
        let losses = lossy.map(|input| format!("{}: {}", report.name_of(input.input), input.trust));
        Self { report, subtitle, losses: losses.collect() }
    }

    fn figure(&self, key: &'static str, title: &str, kind: FigureKind) -> Figure {
        let (title, subtitle) = (title.to_owned(), self.subtitle.clone());
        Figure { key, title, subtitle, kind, notes: self.losses.clone() }
    }

    fn empty(&self, key: &'static str, title: &str, because: &str) -> Figure {
        empty(key, title, &self.subtitle, because)
    }

    /// Execution and waiting of the lead thread of each input, by class.
    fn breakdown(&self) -> Figure {
        const TITLE: &str =
            "Where the time went: lead work thread of each input, share of its window";
        let leads = self.report.breakdown.iter().filter(|row| row.scope == Scope::Lead);
        let rows: Vec<BarRow> = leads.clone().map(|row| self.lead_bar(row)).collect();
        if rows.iter().all(|row| row.whole_ns <= 0) {
            return self.empty("breakdown", TITLE, "no work thread was recorded");
        }
        let bars = Bars { rows, scale: BarScale::Longest, is_spelled: true };
        let mut figure = self.figure("breakdown", TITLE, FigureKind::Bars(bars));
        let mut unrecorded: BTreeMap<&[Class], Vec<String>> = BTreeMap::new();
        for row in leads.filter(|row| !row.unrecorded_waits.is_empty()) {
            let inputs = unrecorded.entry(&row.unrecorded_waits).or_default();
            inputs.push(format!("#{}", row.input));
        }
        for (waits, inputs) in unrecorded {
            let waits: Vec<&str> = waits.iter().map(|&wait| class_name(wait)).collect();
            figure.notes.push(format!(
                "Not recorded in {}: {}. Such time is in the other classes, above all unattributed.",
                inputs.join(", "),
                waits.join(", ")
            ));
        }
        if !self.report.excluded_classes.is_empty() {
            let classes: Vec<&str> =
                self.report.excluded_classes.iter().map(|&class| class_name(class)).collect();
            figure.notes.push(format!("Left out of the window: {}.", classes.join(", ")));
        }
        figure
    }

    fn lead_bar(&self, row: &BreakdownRow) -> BarRow {
        let is_lead = |thread: &&ThreadRow| {
            thread.input == row.input
                && thread.kind == ThreadKind::Work
                && Some(&thread.tid) == row.tid.as_ref()
                && thread.window_ns == row.total_ns
        };
        let thread = self.report.threads.iter().find(is_lead);
        let mut parts: Vec<BarPart> = match thread {
            Some(thread) => {
                let classes = thread.classes.iter();
                classes.filter_map(|class| Some(class_part(class.class, class.ns?))).collect()
            }
            None => vec![
                BarPart::new(Role::Execution, "execution", row.execution_ns),
                BarPart::new(Role::IpcWait, "waiting", row.waiting_ns.unwrap_or(0)),
                class_part(Class::Unattributed, row.unattributed_ns),
            ],
        };
        parts.retain(|part| part.ns > 0);
        parts.sort_by_key(|part| Role::ALL.iter().position(|role| *role == part.role));
        BarRow { label: self.report.name_of(row.input), parts, whole_ns: row.total_ns, count: None }
    }

    /// Each device's window: busy by what, idle by cause.
    fn devices(&self) -> Figure {
        const TITLE: &str = "Devices: busy, and idle by what the launching thread did";
        let rows: Vec<BarRow> =
            self.report.devices.iter().map(|row| self.device_bar(row)).collect();
        if rows.is_empty() {
            return self.empty("devices", TITLE, NO_DEVICE);
        }
        let bars = Bars { rows, scale: BarScale::Longest, is_spelled: true };
        self.figure("devices", TITLE, FigureKind::Bars(bars))
    }

    fn device_bar(&self, row: &DeviceRow) -> BarRow {
        // All kernels are compute or communication, so that what is busy without a compute kernel is exposed.
        let compute_ns = row.kernel_busy_ns - row.exposed_comm_ns;
        let mut parts = vec![
            BarPart::new(Role::Kernel, "kernels", compute_ns),
            BarPart::new(Role::Comm, "exposed collectives", row.exposed_comm_ns),
            BarPart::new(Role::Copy, "copies and memsets only", row.busy_ns - row.kernel_busy_ns),
        ];
        let causes = row.idle_by_cause.iter();
        parts.extend(causes.filter_map(|cause| Some(idle_part(cause.cause, cause.ns?))));
        parts.retain(|part| part.ns > 0);
        let device = row.device.map_or("device".to_owned(), |device| format!("device {device}"));
        let label = format!("{} {device}", self.report.name_of(row.input));
        BarRow { label, parts, whole_ns: row.window_ns, count: None }
    }

    /// Iterations of every thread over time.
    fn iterations(&self) -> Figure {
        const TITLE: &str = "Iterations over time, by phase (host time)";
        let mut lanes: BTreeMap<(usize, String, &str), Vec<&IterationRow>> = BTreeMap::new();
        for row in &self.report.iterations {
            let thread = format!("{} {}", row.pid, row.tid);
            lanes.entry((row.input, thread, row.scheme.as_str())).or_default().push(row);
        }
        if lanes.is_empty() {
            let because = "no execute_*, diffusion_* or ProfilerStep# annotation was recorded";
            return self.empty("iterations", TITLE, because);
        }
        let starts = self.common_starts();
        let axis = match &starts {
            Some(_) => "since the start of the earliest window",
            None if self.report.inputs.len() > 1 => "since the start of each input's window",
            None => "since the start of the window",
        };
        let lanes = lanes.into_iter().map(|((input, _, scheme), rows)| Lane {
            label: format!("{} {scheme}", self.report.name_of(input)),
            spans: rows
                .into_iter()
                .map(|row| iteration_span(row, starts.as_ref().map_or(0, |starts| starts[&input])))
                .collect(),
        });
        let lanes = Lanes { lanes: lanes.collect(), axis };
        self.figure("iterations", TITLE, FigureKind::Lanes(lanes))
    }

    /// Where the window of each input with iterations starts on the common time line, after the earliest of them;
    /// `None` where there is one input, or one of them has no place on it.
    fn common_starts(&self) -> Option<BTreeMap<usize, i64>> {
        if self.report.inputs.len() < 2 {
            return None;
        }
        let mut starts = BTreeMap::new();
        for row in &self.report.iterations {
            let offset_ns = self.report.placements.get(row.input)?.offset_ns?;
            let window_ns = row.start_ns.saturating_sub(row.offset_ns);
            starts.insert(row.input, window_ns.saturating_add(offset_ns));
        }
        let earliest_ns = *starts.values().min()?;
        starts.values_mut().for_each(|start_ns| *start_ns = start_ns.saturating_sub(earliest_ns));
        Some(starts)
    }

    /// The kernels and copies with the most time.
    fn kernels(&self) -> Figure {
        const TITLE: &str =
            "Device activity by name: sum of durations, share of kernels and copies";
        let of_run = |run: u32| self.report.kernels.iter().filter(move |row| row.run == run);
        let all_ns = |run: u32| of_run(run).map(|kernel| kernel.sum_ns).sum::<i64>();
        let has_runs = self.report.runs.len() > 1;
        if self.report.kernels.iter().all(|kernel| kernel.sum_ns <= 0) {
            return self.empty("kernels", TITLE, NO_DEVICE);
        }
        let mut top: Vec<&KernelRow> = self.report.kernels.iter().collect();
        top.sort_by_key(|kernel| std::cmp::Reverse(kernel.sum_ns));
        let rows = top.into_iter().take(N_KERNELS).map(|kernel| {
            let (role, name) = category(kernel.category, &kernel.name);
            let run = if has_runs { format!("run {}: ", kernel.run) } else { String::new() };
            BarRow {
                label: format!("{run}{}", kernel.name),
                parts: vec![BarPart::new(role, name, kernel.sum_ns)],
                whole_ns: all_ns(kernel.run),
                count: Some(kernel.count),
            }
        });
        let bars = Bars { rows: rows.collect(), scale: BarScale::Largest, is_spelled: true };
        let mut figure = self.figure("kernels", TITLE, FigureKind::Bars(bars));
        let n_more = self.report.kernels.len().saturating_sub(N_KERNELS);
        if n_more > 0 {
            figure.notes.insert(0, format!("{n_more} more names are in the kernels table."));
        }
        figure
    }

    /// Ranks against classes of device time. A few have a row each, those that stand out and then those that are farthest from
    /// the middle first; of many those that stand out, and then all, some with each other.
    fn ranks(&self) -> Figure {
        const TITLE: &str = "Ranks: what their devices did, share of the window";
        let of = DevicesByInput::of(&self.report.devices);
        let one = |rank: &RankRow| of.row(self.report.name_of(rank.input), &[rank]);
        let n_ranks = self.report.ranks.len();
        let mut notes = vec!["Ranks that stand out come first.".to_owned()];
        let ordered = outliers_first(self.report);
        let mut rows: Vec<MatrixRow> = Vec::new();
        if n_ranks <= MAX_ROWS {
            rows.extend(ordered.into_iter().map(one));
        } else {
            let n_slow = self.report.slow_ranks.len().min(N_ALONE);
            rows.extend(ordered.into_iter().take(n_slow).map(one));
            rows.extend(blocks(self.report).iter().map(|block| of.row(block_name(block), block)));
            notes.push(format!("Then all {n_ranks}, summed over those of a row."));
        }
        let columns = RANK_CLASSES.iter().map(|class| class.0.to_owned()).collect();
        let (row_axis, column_axis) = ("rank", "its devices");
        let verbs = ("recorded", "took");
        let matrix = Matrix { row_axis, column_axis, verbs, columns, rows };
        let mut figure = self.figure("ranks", TITLE, FigureKind::Matrix(matrix));
        figure.notes.splice(0..0, notes);
        figure
    }

    /// Who was busy while one waited for another process.
    fn blame(&self) -> Figure {
        const TITLE: &str = "Who was busy while one waited for another process";
        let inputs = self.report.inputs.len();
        if inputs < 2 {
            return self.empty("blame", TITLE, "there is one input, and blame needs two");
        }
        // Of many inputs nobody is held against each.
        let others = if inputs > MANY_ROWS { 0 } else { inputs };
        let waiting = self.report.blame.iter().filter(|row| row.wait_ns.is_some_and(|ns| ns > 0));
        let rows: Vec<MatrixRow> = waiting
            .map(|row| {
                let busy = |input| row.busy.iter().find(|cell| cell.other == input);
                let mut cells_ns: Vec<Option<i64>> =
                    (0..others).map(|input| busy(input).map(|cell| cell.busy_ns)).collect();
                cells_ns.push(row.nobody_ns);
                MatrixRow {
                    label: self.report.name_of(row.input),
                    whole_ns: row.wait_ns.unwrap_or(0),
                    cells_ns,
                }
            })
            .collect();
        if rows.is_empty() {
            let because = "no wait for another process was recorded (Python frames show them)";
            return self.empty("blame", TITLE, because);
        }
        let mut columns: Vec<String> = (0..others).map(|i| self.report.name_of(i)).collect();
        columns.push("nobody recorded".to_owned());
        let matrix = Matrix {
            row_axis: "waited",
            column_axis: "was busy meanwhile",
            verbs: ("waited", "busy"),
            columns,
            rows,
        };
        let mut figure = self.figure("blame", TITLE, FigureKind::Matrix(matrix));
        figure.notes.insert(
            0,
            "Share of the row's wait. Several can be busy at once, so that a row can exceed 100 %."
                .to_owned(),
        );
        let blind = self.report.blame.iter().filter(|row| row.wait_ns.is_none());
        let blind: Vec<String> = blind.map(|row| format!("#{}", row.input)).collect();
        if !blind.is_empty() {
            figure.notes.push(format!("Waits are not recorded for {}.", blind.join(", ")));
        }
        figure
    }
}

/// Classes of the time of a rank's devices.
const RANK_CLASSES: [DeviceClass; 5] = [
    ("compute", |row| row.kernel_busy_ns - row.exposed_comm_ns),
    ("exposed collectives", |row| row.exposed_comm_ns),
    ("of them waiting", |row| row.comm_wait_ns.unwrap_or(0).min(row.exposed_comm_ns)),
    ("copies only", |row| row.busy_ns - row.kernel_busy_ns),
    ("idle", |row| row.idle_ns),
];

/// The devices of each input.
struct DevicesByInput<'a>(BTreeMap<usize, Vec<&'a DeviceRow>>);

impl<'a> DevicesByInput<'a> {
    fn of(devices: &'a [DeviceRow]) -> Self {
        let mut by_input: BTreeMap<usize, Vec<&DeviceRow>> = BTreeMap::new();
        devices.iter().for_each(|row| by_input.entry(row.input).or_default().push(row));
        Self(by_input)
    }

    /// What the devices of some ranks did, summed.
    fn row(&self, label: String, ranks: &[&RankRow]) -> MatrixRow {
        let devices = || ranks.iter().filter_map(|rank| self.0.get(&rank.input)).flatten();
        let sum = |class: fn(&DeviceRow) -> i64| {
            devices().map(|row| class(row)).fold(0, i64::saturating_add)
        };
        MatrixRow {
            label,
            whole_ns: sum(|row| row.window_ns),
            cells_ns: RANK_CLASSES.iter().map(|class| Some(sum(class.1))).collect(),
        }
    }
}

/// All ranks in blocks of like ones, in their order; a block is of one role where there are few roles.
fn blocks(report: &AnalyzeReport) -> Vec<Vec<&RankRow>> {
    let role = |row: &RankRow| (row.run, row.stage, row.pp_rank);
    let mut ranks: Vec<&RankRow> = report.ranks.iter().collect();
    ranks.sort_by_key(|row| (role(row), row.rank, row.input));
    let roles: Vec<&[&RankRow]> = ranks.chunk_by(|a, b| role(a) == role(b)).collect();
    let n_each = N_BLOCKS / roles.len();
    if n_each == 0 {
        let size = ranks.len().div_ceil(N_BLOCKS);
        return ranks.chunks(size).map(<[_]>::to_vec).collect();
    }
    let parts = |ranks: &&[&'_ RankRow]| ranks.len().div_ceil(n_each);
    roles.iter().flat_map(|ranks| ranks.chunks(parts(ranks)).map(<[_]>::to_vec)).collect()
}

/// `ranks 0 to 127, PP 3 (128)`
fn block_name(block: &[&RankRow]) -> String {
    let number = |row: &&RankRow| {
        row.rank.map_or_else(|| format!("#{}", row.input), |rank| rank.to_string())
    };
    let ends = [block.first(), block.last()].map(|row| row.map_or_else(String::new, number));
    let place = |word: &str, of: fn(&RankRow) -> Option<u32>| {
        let known: Vec<Option<u32>> = block.iter().map(|row| of(row)).collect();
        let first = known.first().copied().flatten()?;
        known.iter().all(|one| *one == Some(first)).then(|| format!(", {word} {first}"))
    };
    let stage = place("stage", |row| row.stage).unwrap_or_default();
    let pp = place("PP", |row| row.pp_rank).unwrap_or_default();
    format!("ranks {} to {}{stage}{pp} ({})", ends[0], ends[1], block.len())
}

/// Ranks, those that are slow first, then by how far their own time is from the middle.
fn outliers_first(report: &AnalyzeReport) -> Vec<&RankRow> {
    let mut own: Vec<i64> = report.ranks.iter().map(|row| row.own_ns).collect();
    own.sort_unstable();
    let middle_ns = own.get(own.len() / 2).copied().unwrap_or(0);
    let slow = |input: usize| report.slow_ranks.iter().position(|row| row.input == input);
    let mut rows: Vec<&RankRow> = report.ranks.iter().collect();
    rows.sort_by_key(|row| {
        let place = slow(row.input).unwrap_or(usize::MAX);
        (place, std::cmp::Reverse((row.own_ns - middle_ns).abs()), row.input)
    });
    rows
}

/// An iteration of an input whose window starts at `window_ns` of the axis.
fn iteration_span(row: &IterationRow, window_ns: i64) -> LaneSpan {
    let role = match row.phase {
        Phase::Prefill => Role::Prefill,
        Phase::Decode => Role::Decode,
        Phase::Mixed => Role::Mixed,
        Phase::Empty => Role::Unattributed,
        Phase::Unknown => Role::Other,
    };
    let kind = if role == Role::Other { "iteration" } else { row.phase.as_str() };
    LaneSpan {
        role,
        kind: kind.to_owned(),
        name: row.name.clone(),
        start_ns: row.offset_ns.saturating_add(window_ns),
        dur_ns: row.cpu_ns,
    }
}

/// What device activity is; a collective is told by its library's name.
fn category(category: ActivityKind, name: &str) -> (Role, &'static str) {
    let is_collective = || ["nccl", "rccl"].iter().any(|library| name.starts_with(library));
    match category {
        ActivityKind::Memcpy => (Role::Copy, "copy"),
        ActivityKind::Memset => (Role::Memset, "memset"),
        ActivityKind::Kernel if is_collective() => (Role::Comm, "collective"),
        ActivityKind::Kernel => (Role::Kernel, "kernel"),
    }
}

fn class_part(class: Class, ns: i64) -> BarPart {
    BarPart::new(Role::of_class(class), class_name(class), ns)
}

fn class_name(class: Class) -> &'static str {
    match class {
        Class::IpcWait => "IPC wait",
        Class::GpuSync => "GPU sync",
        Class::OtherWait => "other wait",
        Class::Runtime => "runtime calls",
        Class::ModuleLoading => "module loading",
        Class::Profiler => "profiler itself",
        Class::CpuOp => "operators",
        Class::Python => "Python",
        Class::Unattributed => "unattributed",
    }
}

/// Idle time by its cause.
fn idle_part(cause: Cause, ns: i64) -> BarPart {
    let (role, name) = match cause {
        Cause::IpcWait => (Role::IpcWait, "idle: IPC wait"),
        Cause::GpuSync => (Role::GpuSync, "idle: GPU sync"),
        Cause::OtherWait => (Role::OtherWait, "idle: other wait"),
        Cause::Runtime => (Role::Runtime, "idle: runtime calls"),
        Cause::ModuleLoading => (Role::Loading, "idle: module loading"),
        Cause::Profiler => (Role::Other, "idle: profiler itself"),
        Cause::CpuOp => (Role::CpuOp, "idle: operators"),
        Cause::Python => (Role::Python, "idle: Python"),
        Cause::NotRecorded => (Role::Unattributed, "idle: not recorded"),
    };
    BarPart { is_idle: true, ..BarPart::new(role, name, ns) }
}

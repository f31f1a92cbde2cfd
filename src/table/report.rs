//! The machine output of `analyze`, and the tables that people see of it.

use serde::Serialize;

use super::across::{blame, blame_view, straggler_view};
use super::breakdown::breakdown_table;
use super::component::component_view;
use super::host::threads;
use super::joined::{joined_requests, joined_stages, log_clocks};
use super::key_average::key_average_view;
use super::runs::with_runs;
use super::trust::trust_table;
use super::verdict::{VerdictRow, verdict_view};
use super::{
    ActivityRow, BlameRow, BreakdownRow, ClockRow, ComponentRow, DeviceRow, ExcludedRow, GapRow,
    InputRow, IssueRow, IterationRow, IterationSummaryRow, KernelRow, KeyAverageRow, MemoryRow,
    PlacementRow, RunRow, StartupRow, StragglerRow, Table, ThreadRow, TotalsRow, TrustRow, WaitRow,
};
use crate::analyze::counters::CounterRow;
use crate::analyze::joined::{JoinedRequestRow, JoinedStageRow, LogClockRow};
use crate::analyze::kernel_classes::KernelClassRow;
use crate::analyze::kernels::StreamRow;
use crate::analyze::launch_delays::LaunchRow;
use crate::analyze::launch_stats::LaunchStatRow;
use crate::analyze::memory_line::MemoryLineRow;
use crate::analyze::memory_live::{MemoryIterationRow, MemoryPeakRow};
use crate::analyze::memory_purpose::MemoryPurposeRow;
use crate::analyze::modules::{LayerRow, NnModuleRow};
use crate::analyze::queue_depth::{QueueDepthRow, QueueSlotRow};
use crate::analyze::ranks::{FunctionSpreadRow, RankRow, SlowLinkRow, SlowRankRow, SpreadRow};
use crate::analyze::roofline::{RooflineRow, UtilizationRow};
use crate::analyze::steady::SteadyRow;
use crate::analyze::timeline::Class;
use crate::causal::findings::FindingRow;
use crate::schema::{self, Row, Shown, Source};

/// Version of the machine output. Fields are only ever added; a change of meaning raises it.
pub const SCHEMA_VERSION: u32 = 1;

/// What to do about a run; its machine output is its rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Findings {
    /// What was found, what brings most first.
    pub rows: Vec<FindingRow>,
    /// Inputs whose checks leave findings out.
    #[serde(skip)]
    pub n_untrusted: u64,
    /// Inputs without a place on the common time line, which take no part.
    #[serde(skip)]
    pub n_left_out: u64,
}

/// Everything that `analyze` found: one object whose field names and order other tools rely on.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AnalyzeReport {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// `analyze`.
    pub command: &'static str,
    /// Inputs, in the order given or found.
    pub inputs: Vec<InputRow>,
    /// Host threads, by input, pid and tid.
    pub threads: Vec<ThreadRow>,
    /// Devices, by input and index.
    pub devices: Vec<DeviceRow>,
    /// The profiler table over all inputs.
    pub key_averages: Vec<KeyAverageRow>,
    /// Its totals.
    pub totals: TotalsRow,
    /// Device activity by name over all inputs, the largest sum first.
    pub kernels: Vec<KernelRow>,
    /// What threads waited in, by input.
    pub waits: Vec<WaitRow>,
    /// What was odd, by input.
    pub issues: Vec<IssueRow>,
    /// How far the figures can be trusted: every check of every input.
    pub trust: Vec<TrustRow>,
    /// Classes of time that were left out of the figures.
    pub excluded_classes: Vec<Class>,
    /// What was left out, by input and work thread.
    pub excluded: Vec<ExcludedRow>,
    /// Execution, waiting and total, by input.
    pub breakdown: Vec<BreakdownRow>,
    /// What operators are made of, over all inputs, the largest total first.
    pub components: Vec<ComponentRow>,
    /// The ten longest gaps of each device.
    pub idle_gaps: Vec<GapRow>,
    /// Iterations, by input, thread and start.
    pub iterations: Vec<IterationRow>,
    /// Percentiles over the iterations, by input, scheme and phase.
    pub iteration_summary: Vec<IterationSummaryRow>,
    /// How each input came on the common time line; empty for one input, like all that follow.
    pub placements: Vec<PlacementRow>,
    /// How well their clocks agree.
    pub clocks: Vec<ClockRow>,
    /// Who was busy while one input waited.
    pub blame: Vec<BlameRow>,
    /// Who comes late to shared collectives.
    pub stragglers: Vec<StragglerRow>,
    /// Where each log stands in Unix time; empty without logs, like all that follow.
    pub log_clocks: Vec<LogClockRow>,
    /// Each stage of the logs against its inputs.
    pub joined_stages: Vec<JoinedStageRow>,
    /// Each request in each stage against its inputs.
    pub joined_requests: Vec<JoinedRequestRow>,
    /// What comes before the first device activity, and what is paid once, by input.
    pub startup: Vec<StartupRow>,
    /// Spans by device or process and name, by input, the largest sum first.
    pub activity: Vec<ActivityRow>,
    /// The runs that the inputs are of, with the totals of each.
    pub runs: Vec<RunRow>,
    /// What the figures come to, in sentences: about all inputs first, then about each.
    pub verdict: Vec<VerdictRow>,
    /// What the allocators held at most, by input and device; empty where memory was not recorded.
    pub memory: Vec<MemoryRow>,
    /// Device activity by input, stream and name.
    pub streams: Vec<StreamRow>,
    /// How long after their launches kernels begin, by input and name.
    pub launches: Vec<LaunchRow>,
    /// What launches cost, by input, kernel, operator, phase and iteration.
    pub launch_stats: Vec<LaunchStatRow>,
    /// Which iterations are steady, by input, rule and bucket.
    pub steady: Vec<SteadyRow>,
    /// Counters over kernels, phases and iterations, by input.
    pub counters: Vec<CounterRow>,
    /// Outstanding launches, by input and stream.
    pub queue_depth: Vec<QueueDepthRow>,
    /// The same over parts of the window.
    pub queue_over_time: Vec<QueueSlotRow>,
    /// Operator calls against the peaks of their device, by input.
    pub roofline: Vec<RooflineRow>,
    /// What is alive at the peak of every device, by input.
    pub memory_peak: Vec<MemoryPeakRow>,
    /// Memory by input, device and iteration.
    pub memory_iterations: Vec<MemoryIterationRow>,
    /// Memory over time, by input and device.
    pub memory_line: Vec<MemoryLineRow>,
    /// What memory is for at the peak of every device, by input.
    pub memory_purposes: Vec<MemoryPurposeRow>,
    /// Time of `nn.Module`s, by input.
    pub modules: Vec<NnModuleRow>,
    /// Time of layers, by input.
    pub layers: Vec<LayerRow>,
    /// How well the devices were used, by input, device and phase.
    pub utilization: Vec<UtilizationRow>,
    /// Device activity by kind of work and run.
    pub kernel_classes: Vec<KernelClassRow>,
    /// Ranks with what they did between waiting for each other; empty for one input, like all that follow.
    pub ranks: Vec<RankRow>,
    /// How their figures spread.
    pub rank_spread: Vec<SpreadRow>,
    /// How each function spreads over the ranks of one role.
    pub rank_functions: Vec<FunctionSpreadRow>,
    /// Ranks that work longer than their like, the longest first.
    pub slow_ranks: Vec<SlowRankRow>,
    /// Links that are slower than their like, the slowest first.
    pub slow_links: Vec<SlowLinkRow>,
    /// What to do about the run; absent where it was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<Findings>,
    /// Tables that are empty here because their rows, some for each of many inputs, were not asked for; absent where none is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<&'static str>,
}

/// The tables of a report that are of one input alone, for a macro: their rows are carried in partial results, and those of
/// several inputs stand one after the other.
macro_rules! own_tables {
    ($with:ident) => {
        $with! {
            inputs threads devices waits issues trust excluded breakdown idle_gaps iterations iteration_summary startup
            activity memory memory_peak memory_purposes memory_iterations memory_line streams launches roofline utilization modules layers
            launch_stats queue_depth queue_over_time counters steady
        }
    };
}

pub(crate) use own_tables;
/// More inputs than these have no row each in what people see who asked for no table: how they spread stands there instead.
pub(super) const MANY_INPUTS: usize = 16;

/// More inputs than these have no rows each in the machine output of `reduce` that did not ask for them: of ten thousand they
/// would be gigabytes.
pub const MANY_ROWS: usize = 64;

impl AnalyzeReport {
    /// Leaves out the rows that are of one input each, but of `inputs`, `ranks` and `issues`, and names the tables that have
    /// fewer for it; those that `is_asked` stay. What is said of one input alone goes, too.
    pub fn leave_out_inputs(&mut self, is_asked: impl Fn(&str) -> bool) {
        macro_rules! leave_out {
            ($($field:ident)+) => {$(
                let name = stringify!($field);
                let stays = ["inputs", "issues"].contains(&name) || is_asked(name);
                if !stays && !self.$field.is_empty() {
                    self.$field = Vec::new();
                    self.left_out.push(name);
                }
            )+};
        }
        own_tables!(leave_out);
        leave_out! { placements clocks blame stragglers }
        let about = self.verdict.first().map(|row| row.about.clone());
        if !is_asked("verdict") {
            self.verdict.retain(|row| Some(&row.about) == about.as_ref());
        }
    }

    /// The tables in the order of reading: inputs and their trust first, where the time went, then the details.
    ///
    /// Tables whose subject was not recorded at all are there and empty; `shows_name` filters rows by name.
    pub fn tables(&self, shows_name: impl Fn(&str) -> bool) -> Vec<Source<'_>> {
        let waits = self.waits.iter().filter(|row| shows_name(&row.name)).collect();
        let all = vec![
            Source::of(&self.verdict),
            findings(self.findings.as_ref()),
            Source::of(&self.slow_ranks),
            Source::of(&self.slow_links),
            Source::of(&self.rank_spread),
            Source::of(&self.inputs),
            Source::of(&self.trust),
            Source::of(&self.breakdown),
            Source::of(&self.excluded),
            Source::of(&self.devices).with(|table| or_note(table, NO_DEVICE)),
            idle(&self.devices).with(|table| or_note(table, NO_IDLE)),
            gaps(&self.idle_gaps).with(|table| or_note(table, NO_IDLE)),
            Source::of(&self.startup),
            threads(&self.threads),
            Source::some(waits).with(|table| self.with_exclusion(table, WAITS_STAY)),
            Source::of(&self.iteration_summary),
            Source::of(&self.steady),
            named(&self.iterations, |row| &row.name, &shows_name),
            named(&self.components, |row| &row.name, &shows_name),
            named(&self.key_averages, |row| &row.name, &shows_name)
                .with(|table| self.with_left_out(table)),
            Source::of(&self.kernel_classes),
            kernels(&self.kernels, true, &shows_name),
            kernels(&self.kernels, false, &shows_name).named("copies", "Copies and memsets"),
            Source::of(&self.streams),
            Source::of(&self.launches),
            Source::of(&self.launch_stats).with(|table| or_note(table, NO_LAUNCHES)),
            Source::of(&self.queue_depth).with(|table| or_note(table, NO_LAUNCHES)),
            Source::of(&self.queue_over_time).with(|table| or_note(table, NO_LAUNCHES)),
            Source::of(&self.utilization).with(|table| or_note(table, NO_SHAPES)),
            Source::of(&self.roofline).with(|table| or_note(table, NO_SHAPES)),
            Source::of(&self.layers).with(|table| or_note(table, NO_LAYERS)),
            Source::of(&self.modules).with(|table| or_note(table, NO_MODULES)),
            self.activity_source(named(&self.activity, |row| &row.name, &shows_name)),
            Source::of(&self.memory).with(|table| or_note(table, NO_MEMORY)),
            Source::of(&self.memory_peak).with(|table| or_note(table, NO_MEMORY)),
            Source::of(&self.memory_purposes).with(|table| or_note(table, NO_MEMORY)),
            Source::of(&self.memory_iterations).with(|table| or_note(table, NO_MEMORY)),
            Source::of(&self.memory_line).with(|table| or_note(table, NO_MEMORY)),
            Source::of(&self.counters).with(|table| or_note(table, NO_COUNTERS)),
            log_clocks(&self.log_clocks),
            joined_stages(&self.joined_stages),
            joined_requests(&self.joined_requests),
            blame(&self.blame),
            Source::of(&self.stragglers).with(|table| self.with_clocks(table)),
            Source::of(&self.placements),
            Source::of(&self.clocks),
            Source::of(&self.ranks),
            Source::of(&self.rank_functions),
            Source::of(&self.runs),
            Source::of(&self.issues).shown(Shown::Always),
        ];
        all.into_iter().map(|source| self.of_many(source)).collect()
    }

    /// A table that has rows for each input is shown on request where these are many.
    fn of_many<'a>(&self, source: Source<'a>) -> Source<'a> {
        let is_each = BY_INPUT.contains(&source.key) && self.inputs.len() > MANY_INPUTS;
        if is_each { source.shown(Shown::Request) } else { source }
    }

    /// The table of a key, with every row; `None` where there is no such table.
    pub fn table(&self, key: &str) -> Option<schema::Table> {
        self.tables(|_| true).iter().find(|source| source.key == key).map(Source::table)
    }

    /// Whether a trace holds spans that no other table has.
    pub fn has_other_activity(&self) -> bool {
        self.activity.iter().any(ActivityRow::is_other)
    }

    /// Activity of any kind, which nobody sees unasked where other tables have all of it.
    fn activity_source<'a>(&self, source: Source<'a>) -> Source<'a> {
        match self.has_other_activity() {
            true => source.shown(Shown::Rows),
            false => source.shown(Shown::Request).off_page(),
        }
    }

    /// A table as people read it.
    pub fn view(&self, source: &Source<'_>) -> Table {
        let table = || source.table();
        let who = |input: usize| self.name_of(input);
        match source.key {
            "verdict" => verdict_view(&self.verdict),
            "trust" => trust_table(&self.trust),
            "breakdown" => breakdown_table(&self.breakdown),
            "components" => self.by_run(component_view(Table::view(&table()))),
            "key_averages" => {
                self.by_run(key_average_view(Table::view(&table()), &self.key_averages))
            }
            "kernels" | "copies" | "kernel_classes" => self.by_run(Table::view(&table())),
            "blame" => blame_view(&self.blame, who),
            "stragglers" => straggler_view(&table(), &self.stragglers, who),
            _ => Table::view(&table()),
        }
    }

    /// A table whose rows are of one run each, without the run where there is only one.
    fn by_run(&self, table: Table) -> Table {
        with_runs(table, self.runs.len())
    }

    /// What an input is called where it stands beside others: its label, or its file where neither stage nor rank is known.
    pub(super) fn name_of(&self, input: usize) -> String {
        self.inputs.get(input).map_or_else(|| format!("#{input}"), InputRow::numbered_name)
    }

    /// A table with a note where something was left out of the figures.
    fn with_exclusion(&self, table: schema::Table, note: &str) -> schema::Table {
        let is_told = !self.excluded_classes.is_empty() && table.n_rows > 0;
        if is_told { table.with_note(note) } else { table }
    }

    /// The profiler table with what was left out of it.
    fn with_left_out(&self, table: schema::Table) -> schema::Table {
        if self.excluded_classes.is_empty() {
            return table;
        }
        let rows = self.totals.excluded_rows.unwrap_or(0);
        let has_helpers = self.excluded_classes.contains(&Class::IpcWait);
        let helpers =
            if has_helpers { ", and Python and waits of background and idle threads" } else { "" };
        let note = format!(
            "left out: {} wherever it lies inside a row{helpers}; {rows} rows were nothing else and are gone",
            Class::names(&self.excluded_classes)
        );
        table.with_note(note)
    }

    /// The straggler table with what is known of the clocks: without it nobody can judge a difference.
    fn with_clocks(&self, table: schema::Table) -> schema::Table {
        let most = |ns: fn(&ClockRow) -> i64| self.clocks.iter().map(|row| ns(row).abs()).max();
        let (Some(median_ns), Some(spread_ns)) =
            (most(|row| row.median_ns), most(|row| row.spread_ns))
        else {
            return table;
        };
        table.with_note(format!(
            "clocks: the ends of shared collectives differ by at most {median_ns} ns in the median from those of the first input, \
             single ones by at most {spread_ns} ns more: smaller differences say nothing{}",
            self.corrections()
        ))
    }

    /// The clocks that were corrected, as the end of a note.
    fn corrections(&self) -> String {
        let corrected = self.placements.iter().filter(|row| row.correction_ns != 0);
        let words = corrected.map(|row| {
            let error = row.error_ns.map_or(String::new(), |ns| format!(" (good to {ns} ns)"));
            format!(
                "; the times of #{} are corrected by {} ns{error}",
                row.input, row.correction_ns
            )
        });
        words.collect()
    }
}

/// Tables with rows for each input.
const BY_INPUT: [&str; 15] = [
    "inputs",
    "trust",
    "breakdown",
    "excluded",
    "devices",
    "idle",
    "idle_gaps",
    "startup",
    "threads",
    "waits",
    "iteration_summary",
    "activity",
    "memory",
    "blame",
    "stragglers",
];

/// The rows whose name is shown.
fn named<'a, R: Row>(
    rows: &'a [R],
    name: impl Fn(&R) -> &str,
    shows: impl Fn(&str) -> bool,
) -> Source<'a> {
    Source::some(rows.iter().filter(|row| shows(name(row))).collect())
}

/// Why each device was idle: the causes that hold time.
fn idle(devices: &[DeviceRow]) -> Source<'_> {
    let causes = devices.iter().flat_map(|device| &device.idle_by_cause);
    Source::some(causes.filter(|cause| cause.ns.is_some_and(|ns| ns != 0)).collect())
}

/// The longest gaps of all devices, the longest first.
fn gaps(rows: &[GapRow]) -> Source<'_> {
    let mut rows: Vec<&GapRow> = rows.iter().collect();
    rows.sort_by_key(|row| (-row.dur_ns, row.input, row.device, row.start_ns));
    Source::some(rows)
}

/// The kernels, or the copies and memsets, whose name is shown.
fn kernels<'a>(
    rows: &'a [KernelRow],
    are_kernels: bool,
    shows: impl Fn(&str) -> bool,
) -> Source<'a> {
    let is_shown = |row: &&KernelRow| row.is_kernel() == are_kernels && shows(&row.name);
    Source::some(rows.iter().filter(is_shown).collect())
}

/// What to do about a run, with what may be missing of it. On a page it stands with the path.
fn findings(found: Option<&Findings>) -> Source<'_> {
    let rows = found.map_or(&[][..], |found| &found.rows);
    let told = move |table: schema::Table| {
        let (n_untrusted, n_left_out) =
            found.map_or((0, 0), |found| (found.n_untrusted, found.n_left_out));
        let table = or_note(table, NO_FINDING);
        let table = match n_untrusted {
            0 => table,
            1 => {
                table.with_note("the checks of 1 input leave findings out; --table trust has them")
            }
            n => table.with_note(format!(
                "the checks of {n} inputs leave findings out; --table trust has them"
            )),
        };
        match n_left_out {
            0 => table,
            n => table.with_note(format!(
                "{n} inputs have no place on the common time line and are left out"
            )),
        }
    };
    Source::of(rows).with(told).shown(Shown::Request).off_page()
}

/// What stands where there is nothing to do.
const NO_FINDING: &str =
    "no rule found anything whose change would bring more than 1 % of an iteration";

/// What stands where nothing tells of memory.
const NO_MEMORY: &str =
    "no [memory] event was recorded; torch.profiler writes them with profile_memory=True";

/// What stands where nothing was counted.
const NO_COUNTERS: &str = "no samples of counters were recorded";

/// What stands where nothing tells of launches.
const NO_LAUNCHES: &str = "no device activity with its launch was recorded";

/// What stands where nothing tells of modules.
const NO_MODULES: &str = "no frame of an nn.Module was recorded; torch.profiler writes them with with_stack=True. Of a replayed graph, give a trace of its capture or of the same steps run eagerly with it";

/// What stands where nothing tells of layers.
const NO_LAYERS: &str = "no module holds several of a class, and no kernels of a graph repeat";

/// What stands where nothing tells what operators compute.
const NO_SHAPES: &str = "no shapes of inputs were recorded, so that nothing tells what operators compute; torch.profiler writes them with record_shapes=True";

/// What stands where a table about devices is empty.
const NO_DEVICE: &str = "no device activity was recorded";

/// What stands where no device was idle or none was seen.
const NO_IDLE: &str = "no idle time was seen";

/// What stands under the waits where they were left out of the other figures.
const WAITS_STAY: &str = "all waits are listed, also those that are left out of the other figures";

fn or_note(table: schema::Table, note: &str) -> schema::Table {
    if table.n_rows == 0 { table.with_note(note) } else { table }
}

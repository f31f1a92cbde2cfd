//! The machine output of `analyze`, and the tables that people see of it.

use serde::Serialize;

use super::memory::memory_table;
use super::verdict::VerdictRow;
use super::{
    ActivityRow, BlameRow, BreakdownRow, ClockRow, ComponentRow, DeviceRow, ExcludedRow, GapRow,
    InputRow, IssueRow, IterationRow, IterationSummaryRow, KernelRow, KeyAverageRow, MemoryRow,
    PlacementRow, RunRow, StartupRow, StragglerRow, Table, ThreadRow, TotalsRow, TrustRow, WaitRow,
    activity_table, blame_table, breakdown_table, component_table, gap_table, idle_table,
    iteration_table, joined_request_table, joined_stage_table, kernel_table, key_average_table,
    log_clock_table, straggler_table, thread_table, transfer_table, trust_table,
};

use crate::analyze::joined::{JoinedRequestRow, JoinedStageRow, LogClockRow};
use crate::schema;

/// Version of the machine output. Fields are only ever added; a change of meaning raises it.
pub const SCHEMA_VERSION: u32 = 1;

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
    pub excluded_classes: Vec<&'static str>,
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
}

impl AnalyzeReport {
    /// The tables in the order of reading: inputs and their trust first, where the time went, then the details.
    ///
    /// Tables whose subject was not recorded at all are there and empty; `shows_name` filters rows by name.
    pub fn tables(&self, shows_name: impl Fn(&str) -> bool) -> Vec<Table> {
        let waits = self.waits.iter().filter(|row| shows_name(&row.name));
        let who = |input: usize| self.name_of(input);
        vec![
            Table::of("verdict", "Verdict", &self.verdict),
            Table::view(&schema::Table::of(&self.inputs)),
            trust_table(&self.trust),
            breakdown_table(&self.breakdown),
            Table::of("excluded", "Left out of the work threads", &self.excluded),
            or_note(Table::of("devices", "Devices", &self.devices), NO_DEVICE),
            or_note(idle_table(&self.devices), NO_IDLE),
            or_note(gap_table(&self.idle_gaps), NO_IDLE),
            Table::of(
                "startup",
                "Before the first device activity, and one-time costs",
                &self.startup,
            ),
            thread_table(&self.threads),
            self.with_exclusion(Table::of("waits", "Waits", waits), WAITS_STAY),
            Table::of("iteration_summary", "Iterations by phase", &self.iteration_summary),
            iteration_table(&self.iterations, &shows_name),
            component_table(&self.components, &shows_name),
            self.key_average_table(&shows_name),
            kernel_table(&self.kernels, &shows_name),
            transfer_table(&self.kernels, &shows_name),
            activity_table(&self.activity, &shows_name),
            memory_table(&self.memory),
            log_clock_table(&self.log_clocks),
            joined_stage_table(&self.joined_stages),
            joined_request_table(&self.joined_requests),
            blame_table(&self.blame, who),
            self.with_clocks(straggler_table(&self.stragglers, who)),
            Table::view(&schema::Table::of(&self.issues)),
        ]
    }

    /// Whether a trace holds spans that no other table has.
    pub fn has_other_activity(&self) -> bool {
        self.activity.iter().any(ActivityRow::is_other)
    }

    /// What an input is called where it stands beside others.
    pub(super) fn name_of(&self, input: usize) -> String {
        match self.inputs.get(input).map(|row| row.label.as_str()) {
            Some(label) if !label.is_empty() => format!("#{input} {label}"),
            _ => format!("#{input}"),
        }
    }

    /// A table with a note where something was left out of the figures.
    fn with_exclusion(&self, table: Table, note: &str) -> Table {
        let is_told = !self.excluded_classes.is_empty() && !table.rows.is_empty();
        if is_told { table.with_note(note) } else { table }
    }

    fn key_average_table(&self, shows_name: impl Fn(&str) -> bool) -> Table {
        let table = key_average_table(&self.key_averages, &self.runs, shows_name);
        if self.excluded_classes.is_empty() {
            return table;
        }
        let rows = self.totals.excluded_rows.unwrap_or(0);
        let has_helpers = self.excluded_classes.contains(&"ipc_wait");
        let helpers =
            if has_helpers { ", and Python and waits of background and idle threads" } else { "" };
        let note = format!(
            "left out: {} wherever it lies inside a row{helpers}; {rows} rows were nothing else and are gone",
            self.excluded_classes.join(", ")
        );
        table.with_note(note)
    }

    /// The straggler table with what is known of the clocks: without it nobody can judge a difference.
    fn with_clocks(&self, table: Table) -> Table {
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

/// What stands where a table about devices is empty.
const NO_DEVICE: &str = "no device activity was recorded";

/// What stands where no device was idle or none was seen.
const NO_IDLE: &str = "no idle time was seen";

/// What stands under the waits where they were left out of the other figures.
const WAITS_STAY: &str = "all waits are listed, also those that are left out of the other figures";

fn or_note(table: Table, note: &str) -> Table {
    if table.rows.is_empty() { table.with_note(note) } else { table }
}

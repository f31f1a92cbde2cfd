//! One input without its events: the rows that are of it alone, and what the answers across inputs need of it.
//!
//! `analyze` goes this way too, from stores to digests to the report: what is carried between machines gives the same
//! answer as the files at once because there is no other way.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::InputAnswers;
use super::inputs as rows;
use super::own_tables::OwnTables;
use super::reduce::Part;
use crate::analyze::across::Across;
use crate::analyze::kernel_origins::KernelOrigin;
use crate::analyze::kernels::ActivityDurations;
use crate::analyze::key_averages::DeviceType;
use crate::analyze::ranks::{RankInput, places};
use crate::analyze::timeline::Class;
use crate::diag::Reporter;
use crate::model::Identity;
use crate::read::Input;
use crate::store::Store;
use crate::table::{
    AnalyzeReport, ComponentRow, DeviceRow, ExcludedRow, KeyAverageRow, TotalsRow, TrustRow,
    own_tables,
};

/// What is known of one input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Digest {
    /// Its path, as given where it lies.
    pub path: PathBuf,
    /// Who wrote it.
    pub identity: Identity,
    /// Whether it holds an event with a duration, or a snapshot of torch's allocator.
    pub has_slices: bool,
    /// What is compared with other inputs.
    pub across: Across,
    /// The rows that are of it alone; what is summed over inputs is empty here.
    pub rows: AnalyzeReport,
    /// What is summed over the ranks of its run.
    pub sums: Sums,
}

/// What is summed over the ranks of a run, of one of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sums {
    /// Totals of its profiler table.
    pub totals: TotalsRow,
    /// Its profiler table, in torch's order.
    pub key_averages: Vec<KeyAverageRow>,
    /// All durations of device activity.
    pub durations: ActivityDurations,
    /// Where that comes from.
    pub origins: Vec<KernelOrigin>,
    /// Names of the kernels that communicate.
    pub comm_names: Vec<String>,
    /// What its operators are made of.
    pub components: Vec<ComponentRow>,
    /// Classes that would show on one of its work threads.
    pub recorded: Vec<Class>,
}

impl Digest {
    /// Of an input with what the analyses said about it.
    pub(super) fn of(
        number: usize,
        (input, diag): (&Input, &Reporter),
        (mut results, across): (InputAnswers, Across),
    ) -> Self {
        let OwnTables { rows: mut report, origins } = std::mem::take(&mut results.tables);
        add_input(&mut report, number, (input, diag), &results);
        report.activity = std::mem::take(&mut results.activity);
        add_trust(&mut report, std::mem::take(&mut results.panel));
        Self {
            path: input.path.clone(),
            identity: Identity {
                parallel: places(&input.identity, &input.store),
                ..input.identity.clone()
            },
            has_slices: !input.store.slices.is_empty() || input.snapshot.is_some(),
            across,
            rows: report,
            sums: Sums { origins, ..Sums::of(&input.store, results) },
        }
    }

    /// What is held against other ranks.
    pub(super) fn rank(&self) -> RankInput<'_> {
        let on_host =
            self.sums.key_averages.iter().filter(|row| row.device_type == DeviceType::Cpu);
        RankInput {
            identity: &self.identity,
            shared: &self.across.shared,
            durations: &self.sums.durations,
            comm_names: &self.sums.comm_names,
            devices: &self.rows.devices,
            host: on_host.map(|row| (row.name.as_str(), row.self_cpu_ns)).collect(),
        }
    }

    /// What is compared of it.
    pub(super) fn part(&self) -> Part<'_> {
        (&self.path, &self.identity, &self.across)
    }

    /// Takes the rows that are of this input alone into the report over all.
    pub(super) fn add_rows(&mut self, run: u32, report: &mut AnalyzeReport) {
        let rows = &mut self.rows;
        rows.inputs.iter_mut().for_each(|row| row.run = run);
        macro_rules! append {
            ($($field:ident)+) => { $(report.$field.append(&mut rows.$field);)+ };
        }
        own_tables!(append);
    }
}

impl Sums {
    fn of(store: &Store, results: InputAnswers) -> Self {
        let totals = rows::totals(&results);
        let names = results.base.comm.iter().map(|&slice| store.name(slice as usize));
        let comm_names: BTreeSet<&str> = names.collect();
        let rows = results.key_averages.into_iter().flat_map(|averages| averages.rows);
        Self {
            totals,
            key_averages: rows.collect(),
            durations: results.durations,
            origins: Vec::new(),
            comm_names: comm_names.into_iter().map(str::to_owned).collect(),
            components: results.components,
            recorded: results.recorded,
        }
    }
}

/// Adds the rows that belong to one input.
fn add_input(
    report: &mut AnalyzeReport,
    number: usize,
    (input, diag): (&Input, &Reporter),
    results: &InputAnswers,
) {
    let windows = &results.base.windows;
    let threads = &results.threads;
    report.inputs.push(rows::input(number, input, diag, windows));
    report.threads.extend_from_slice(&threads.threads);
    report.breakdown.extend_from_slice(&threads.breakdown);
    if let Some(exclusion) = &results.exclusion {
        report.excluded.extend(ExcludedRow::of(number, &threads.threads, exclusion));
    }
    let devices = results.devices.iter().zip(&results.idle);
    report.devices.extend(
        devices.map(|(row, idle)| DeviceRow { idle_by_cause: idle.rows(number), ..row.clone() }),
    );
    report.startup.extend_from_slice(&results.startup);
    report.idle_gaps.extend(results.idle.iter().flat_map(|idle| &idle.largest).cloned());
    report.waits.extend_from_slice(&threads.waits);
    report.iterations.extend_from_slice(&results.iterations.rows);
    report.iteration_summary.extend_from_slice(&results.iterations.summary);
    report.memory.extend_from_slice(&results.memory);
    report.issues.extend(rows::issues(number, diag));
}

/// Adds the checks of an input, and to its row what they doubt.
fn add_trust(report: &mut AnalyzeReport, panel: Vec<TrustRow>) {
    let doubtful = panel.iter().filter(|line| line.is_doubt);
    let doubts: Vec<&str> = doubtful.map(|line| line.check.as_str()).collect();
    report.trust.extend(panel);
    if let (Some(row), false) = (report.inputs.last_mut(), doubts.is_empty()) {
        row.trust += &format!(", in doubt: {}", doubts.join(", "));
    }
}

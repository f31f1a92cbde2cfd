//! The tables of one input that launches, iterations and memory make. They are asked as soon as those are known, beside the other
//! analyses.

use super::Question;
use crate::analyze::base::TimeBase;
use crate::analyze::counters::{CounterRow, counters};
use crate::analyze::iterations::Iterations;
use crate::analyze::kernel_origins::{CallOperators, KernelOrigin, kernel_origins};
use crate::analyze::kernels::{StreamRow, streams};
use crate::analyze::launch_delays::{LaunchRow, launch_delays};
use crate::analyze::launch_stats::{LaunchStatRow, launch_stats};
use crate::analyze::launched::launched;
use crate::analyze::memory_events::MemoryEvents;
use crate::analyze::memory_line::{MemoryLineRow, memory_line};
use crate::analyze::memory_live::{
    MemoryIterationRow, MemoryPeakRow, memory_iterations, memory_peak,
};
use crate::analyze::memory_purpose::{MemoryPurposeRow, memory_purposes};
use crate::analyze::queue_depth::{QueueDepthRow, QueueSlotRow, Queues, queues};
use crate::analyze::roofline::{Roofline, RooflineRow, UtilizationRow, roofline};
use crate::analyze::steady::{SteadyRow, steady};
use crate::diag::timings::timed;
use crate::schema::Row as _;
use crate::store::Store;
use crate::table::{AnalyzeReport, KernelRow};

/// What these tables are made of.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) question: &'a Question,
    pub(super) store: &'a Store,
    pub(super) base: &'a TimeBase,
    pub(super) iterations: &'a Iterations,
    pub(super) operators: &'a CallOperators,
    pub(super) memory: &'a MemoryEvents,
}

/// The tables, and what one over all inputs is made of.
#[derive(Default)]
pub(super) struct OwnTables {
    /// What of the rows of the input is here.
    pub(super) rows: AnalyzeReport,
    /// Where its kernels come from.
    pub(super) origins: Vec<KernelOrigin>,
}

impl OwnTables {
    /// Those that are wanted.
    pub(super) fn of(known: Known<'_>) -> Self {
        let Known { question, store, base, iterations, .. } = known;
        let (launches, (roofline, origins)) = rayon::join(
            || known.launches(),
            || rayon::join(|| known.roofline(), || known.origins()),
        );
        let mut rows = AnalyzeReport {
            roofline: roofline.rows,
            utilization: roofline.utilization,
            ..launches
        };
        if question.needs(&[CounterRow::SPEC]) {
            rows.counters = counters(store, base, &iterations.rows);
        }
        if question.needs(&[SteadyRow::SPEC]) {
            rows.steady = steady(&iterations.rows, base);
        }
        if question.needs(&[StreamRow::SPEC]) {
            rows.streams.extend(streams(store, base));
        }
        known.add_memory(&mut rows);
        Self { rows, origins }
    }
}

impl Known<'_> {
    /// What starting device work takes.
    fn launches(self) -> AnalyzeReport {
        let Self { question, store, base, iterations, .. } = self;
        let mut rows = AnalyzeReport::default();
        if question.needs(&[LaunchRow::SPEC]) {
            rows.launches.extend(launch_delays(store, base));
        }
        let (stats, depths) = ([LaunchStatRow::SPEC], [QueueDepthRow::SPEC, QueueSlotRow::SPEC]);
        if !question.needs(&stats) && !question.needs(&depths) {
            return rows;
        }
        let launched = timed("analyze: launched", || launched(store, base));
        if question.needs(&depths) {
            let Queues { depth, over_time } = timed("analyze: queues", || queues(base, &launched));
            (rows.queue_depth, rows.queue_over_time) = (depth, over_time);
        }
        if question.needs(&stats) {
            let launches = || launch_stats(store, base, &iterations.rows, launched);
            rows.launch_stats = timed("analyze: launches", launches);
        }
        rows
    }

    /// What its operators reach of what the devices can do, where a table shows it.
    fn roofline(self) -> Roofline {
        let Self { question, store, base, iterations, .. } = self;
        if !question.needs(&[RooflineRow::SPEC, UtilizationRow::SPEC]) {
            return Roofline::default();
        }
        timed("analyze: roofline", || roofline(store, base, iterations, &question.roofline))
    }

    /// Where its kernels come from, where a table shows it.
    fn origins(self) -> Vec<KernelOrigin> {
        let Self { question, store, base, iterations, operators, .. } = self;
        if !question.needs(&[KernelRow::SPEC]) {
            return Vec::new();
        }
        timed("analyze: origins", || kernel_origins(store, base, iterations, operators))
    }

    /// Adds whose memory it was, what for and when.
    fn add_memory(self, rows: &mut AnalyzeReport) {
        let Self { question, store, base, iterations, memory: events, .. } = self;
        if question.needs(&[MemoryPeakRow::SPEC]) {
            rows.memory_peak = memory_peak(events, base);
        }
        if question.needs(&[MemoryPurposeRow::SPEC]) {
            rows.memory_purposes = memory_purposes(events, base);
        }
        if question.needs(&[MemoryIterationRow::SPEC]) {
            rows.memory_iterations = memory_iterations(events, store, base, iterations);
        }
        if question.needs(&[MemoryLineRow::SPEC]) {
            rows.memory_line = memory_line(events, base);
        }
    }
}

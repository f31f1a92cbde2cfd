//! What the analyses say about one input, and which inputs are compared.
//!
//! What no table asks for is not computed.

use rayon::prelude::*;

use super::Question;
use super::own_tables::{Known, OwnTables};
use super::reduce::compare;
use crate::align::Together;
use crate::analyze::across::{Across, AcrossNeeds};
use crate::analyze::activity::activity;
use crate::analyze::base::TimeBase;
use crate::analyze::components::components;
use crate::analyze::counters::CounterRow;
use crate::analyze::devices::devices;
use crate::analyze::exclude::{Exclusion, exclusion};
use crate::analyze::host::ThreadKind;
use crate::analyze::idle::{DeviceIdle, idle};
use crate::analyze::iterations::{Iterations, iterations};
use crate::analyze::kernel_origins::CallOperators;
use crate::analyze::kernels::{ActivityDurations, activity_durations};
use crate::analyze::key_averages::{KeyAverages, key_averages, key_averages_excluding};
use crate::analyze::launch_stats::LaunchStatRow;
use crate::analyze::memory::memory;
use crate::analyze::memory_events::MemoryEvents;
use crate::analyze::memory_line::MemoryLineRow;
use crate::analyze::memory_live::{MemoryIterationRow, MemoryPeakRow};
use crate::analyze::memory_purpose::MemoryPurposeRow;
use crate::analyze::roofline::UtilizationRow;
use crate::analyze::startup::startup;
use crate::analyze::steady::SteadyRow;
use crate::analyze::threads::{Threads, threads};
use crate::analyze::timeline::Class;
use crate::analyze::trust::{TrustRow, trust};
use crate::diag::timings::timed;
use crate::read::Input;
use crate::schema::Row as _;
use crate::store::{Snapshot, Store};
use crate::table::{
    ActivityRow, BlameCellRow, BreakdownRow, ClockRow, ComponentRow, DeviceRow, ExcludedRow,
    GapRow, IdleRow, IssueRow, IterationRow, IterationSummaryRow, KernelClassRow, KernelRow,
    KeyAverageRow, MemoryRow, PlacementRow, StartupRow, StragglerRow, ThreadClassRow, WaitRow,
};

/// What the analyses say about one input.
pub struct InputAnswers {
    /// The common ground of its time accounts.
    pub base: TimeBase,
    pub(super) devices: Vec<DeviceRow>,
    pub(super) idle: Vec<DeviceIdle>,
    pub(super) startup: Vec<StartupRow>,
    pub(super) threads: Threads,
    /// Classes that would show on one of the work threads.
    pub(super) recorded: Vec<Class>,
    /// IPC wait of the work threads, excluded or not; `None` where it is not recorded.
    pub(super) ipc_wait_ns: Option<i64>,
    pub(super) components: Vec<ComponentRow>,
    /// Its iterations.
    pub iterations: Iterations,
    /// The profiler table; `None` where no table shows it.
    pub key_averages: Option<KeyAverages>,
    pub(super) durations: ActivityDurations,
    pub(super) activity: Vec<ActivityRow>,
    pub(super) memory: Vec<MemoryRow>,
    /// What its tables of memory are made of; empty where none is wanted.
    pub(super) memory_events: MemoryEvents,
    /// The checks of it.
    pub(super) panel: Vec<TrustRow>,
    /// What launches, iterations and memory make.
    pub(super) tables: OwnTables,
    /// What is left out of the above; `None` where nothing is to be.
    pub(super) exclusion: Option<Exclusion>,
}

impl InputAnswers {
    /// Analyzes an input.
    pub(super) fn of(question: &Question, number: usize, input: &Input) -> Self {
        let store = &input.store;
        let base = timed("analyze: time base", || TimeBase::new(store, &question.time));
        let snapshot = input.snapshot.as_ref().map(|file| &file.snapshot);
        let base = base.numbered(number).with_snapshot(store, snapshot, &question.time);
        let memory_events = memory_events(question, store, &base, snapshot);
        let exclusion =
            (!question.excluded.is_empty()).then(|| exclusion(store, &base, &question.excluded));
        let own = || {
            let events = &memory_events;
            of_iterations(question, store, (&base, events), exclusion.as_ref())
        };
        // Begun with what takes longest.
        let ((key_averages, durations, activity), ((iterations, tables), (of_time, panel))) =
            rayon::join(
                || of_names(question, store, &base, exclusion.as_ref()),
                || {
                    rayon::join(own, || {
                        rayon::join(
                            || TimeResults::of(question, store, &base),
                            || timed("analyze: trust", || trust(store, &base, &input.diag)),
                        )
                    })
                },
            );
        let TimeResults { devices, idle, startup, threads, components } = of_time;
        let recorded = recorded(&threads);
        let ipc_wait_ns = ipc_wait_ns(&threads);
        let mut results = Self {
            devices,
            idle,
            startup,
            threads,
            recorded,
            ipc_wait_ns,
            components,
            iterations,
            key_averages,
            durations,
            activity,
            memory: memory(&memory_events, store, &base),
            memory_events,
            panel,
            tables,
            exclusion,
            base,
        };
        results.leave_out();
        results
    }

    /// Leaves what is excluded out of the other results that were computed with it.
    fn leave_out(&mut self) {
        let Some(exclusion) = &self.exclusion else { return };
        self.threads.leave_out(exclusion);
        for component in &mut self.components {
            component.leave_out(&exclusion.classes);
        }
    }
}

/// What tables of memory are made of, where one is wanted.
fn memory_events(
    question: &Question,
    store: &Store,
    base: &TimeBase,
    snapshot: Option<&Snapshot>,
) -> MemoryEvents {
    let of_events = question.needs(&[
        MemoryPeakRow::SPEC,
        MemoryPurposeRow::SPEC,
        MemoryIterationRow::SPEC,
        MemoryLineRow::SPEC,
    ]);
    let of_snapshot = snapshot.is_some() && question.needs(&[MemoryRow::SPEC, IssueRow::SPEC]);
    if of_events || of_snapshot {
        timed("analyze: memory", || MemoryEvents::of(store, base, snapshot))
    } else {
        MemoryEvents::default()
    }
}

/// A result that only some tables show.
fn only<T: Default>(step: &'static str, is_needed: bool, result: impl FnOnce() -> T) -> T {
    if is_needed { timed(step, result) } else { T::default() }
}

/// What the time base alone gives.
struct TimeResults {
    devices: Vec<DeviceRow>,
    idle: Vec<DeviceIdle>,
    startup: Vec<StartupRow>,
    threads: Threads,
    components: Vec<ComponentRow>,
}

impl TimeResults {
    fn of(question: &Question, store: &Store, base: &TimeBase) -> Self {
        let needs_idle = question.needs(&[DeviceRow::SPEC, IdleRow::SPEC, GapRow::SPEC]);
        let needs_threads = question.needs(&[
            BreakdownRow::SPEC,
            ExcludedRow::SPEC,
            ThreadClassRow::SPEC,
            WaitRow::SPEC,
        ]);
        let needs_components = question.needs(&[ComponentRow::SPEC]);
        let of_threads = || {
            rayon::join(
                || only("analyze: components", needs_components, || components(store, base)),
                || {
                    only("analyze: threads", needs_threads, || {
                        threads(store, base, &question.time.rules)
                    })
                },
            )
        };
        let of_devices = || {
            rayon::join(
                || only("analyze: devices", needs_idle, || devices(store, base)),
                || only("analyze: idle", needs_idle, || idle(store, base)),
            )
        };
        let ((components, threads), (devices, idle)) = rayon::join(of_threads, of_devices);
        let startup =
            only("analyze: startup", question.needs(&[StartupRow::SPEC]), || startup(store, base));
        Self { devices, idle, startup, threads, components }
    }
}

/// Its iterations, without what is excluded, and what is made of them.
fn of_iterations(
    question: &Question,
    store: &Store,
    (base, memory): (&TimeBase, &MemoryEvents),
    exclusion: Option<&Exclusion>,
) -> (Iterations, OwnTables) {
    let needs_iterations = question.needs(&[
        IterationRow::SPEC,
        IterationSummaryRow::SPEC,
        KernelRow::SPEC,
        UtilizationRow::SPEC,
        MemoryIterationRow::SPEC,
        LaunchStatRow::SPEC,
        CounterRow::SPEC,
        SteadyRow::SPEC,
    ]);
    let needs_operators = question.needs(&[KernelRow::SPEC]);
    let (operators, mut iterations) = rayon::join(
        || only("analyze: operators", needs_operators, || CallOperators::of(store, &base.launches)),
        || only("analyze: iterations", needs_iterations, || iterations(store, base)),
    );
    if let Some(exclusion) = exclusion {
        iterations.leave_out(exclusion);
    }
    if let Some(rule) = question.steady {
        iterations.keep_steady(rule, base);
    }
    let (operators, iterations_of) = (&operators, &iterations);
    let known = Known { question, store, base, iterations: iterations_of, operators, memory };
    let tables = OwnTables::of(known);
    (iterations, tables)
}

/// What is counted by name, in the window alone.
fn of_names(
    question: &Question,
    store: &Store,
    base: &TimeBase,
    exclusion: Option<&Exclusion>,
) -> (Option<KeyAverages>, ActivityDurations, Vec<ActivityRow>) {
    let needs_averages = question.needs(&[KeyAverageRow::SPEC, IssueRow::SPEC]);
    if !needs_averages
        && !question.needs(&[KernelRow::SPEC, KernelClassRow::SPEC, ActivityRow::SPEC])
    {
        return (None, ActivityDurations::default(), Vec::new());
    }
    let window = base.windows.file;
    let part = base.windows.is_clipped.then(|| store.clipped(window.start_ns, window.end_ns));
    let part = part.as_ref().unwrap_or(store);
    let averages = || match exclusion {
        Some(exclusion) => {
            let excluded = |slice| exclusion.of_row(part, slice);
            key_averages_excluding(part, &question.key_averages, Some(&excluded))
        }
        None => key_averages(part, &question.key_averages),
    };
    let any =
        if question.needs(&[ActivityRow::SPEC]) { activity(base.input, part) } else { Vec::new() };
    let averages = needs_averages.then(|| timed("analyze: key averages", averages));
    (averages, timed("analyze: kernels", || activity_durations(part)), any)
}

/// The classes of the work threads with their times.
fn work_classes(threads: &Threads) -> impl Iterator<Item = (Class, i64)> + '_ {
    let work = threads.threads.iter().filter(|thread| thread.kind == ThreadKind::Work);
    work.flat_map(|thread| &thread.classes).filter_map(|row| Some((row.class, row.ns?)))
}

fn recorded(threads: &Threads) -> Vec<Class> {
    work_classes(threads).map(|(class, _)| class).collect()
}

/// IPC wait of the work threads; `None` where no thread can show it.
fn ipc_wait_ns(threads: &Threads) -> Option<i64> {
    let waits = work_classes(threads).filter(|&(class, _)| class == Class::IpcWait);
    waits.fold(None, |sum, (_, ns)| Some(sum.unwrap_or(0) + ns))
}

/// What is told of each input where several are compared.
fn across_of(inputs: &[Input], bases: &[&TimeBase], needs: AcrossNeeds) -> Vec<Across> {
    let of = |(input, base): (&Input, &&TimeBase)| {
        Across::of(&input.store, &input.identity, base, needs)
    };
    inputs.par_iter().zip(bases).map(of).collect()
}

/// Which inputs are of one run, the collectives that they share, how far their clocks are apart: found once, for all
/// figures across inputs.
pub fn compared(inputs: &[Input], bases: &[&TimeBase], is_one_run: bool) -> Together {
    let needs = AcrossNeeds { is_alone: inputs.len() == 1, busy: false };
    let across = across_of(inputs, bases, needs);
    let parts = inputs.iter().zip(&across);
    let parts: Vec<_> =
        parts.map(|(input, across)| (input.path.as_path(), &input.identity, across)).collect();
    compare(&parts, is_one_run)
}

/// Whether figures across several inputs are wanted.
pub(super) fn wants_blame(question: &Question) -> bool {
    question.needs(&[BlameCellRow::SPEC, StragglerRow::SPEC, PlacementRow::SPEC, ClockRow::SPEC])
}

//! Which questions a trace can answer: what each needs to have been recorded, and whether it was.
//!
//! Nothing here judges the figures themselves; that is the trust panel's ([`super::trust`]).

use super::base::TimeBase;
use super::devices::ActivityRow;
use super::iterations::iterations;
use super::memory::memory_of_trace;
use super::window::WindowSource;
use crate::align::{ClockBase, base_of};
use crate::diag::{Reporter, Severity};
use crate::model::EventKind;
use crate::schema::{tables, words};
use crate::store::Store;

words! {
    /// Something that a trace may hold.
    Need {
        /// Kernels of a device.
        Kernels "kernels",
        /// Copies between memories.
        Copies "copies",
        /// Operators.
        Operators "operators",
        /// Device activity with the call that started it.
        Launches "launches",
        /// Python frames.
        Frames "frames",
        /// Kernels that communicate.
        Collectives "collectives",
        /// Times that count from a known moment.
        Clock "clock",
        /// Annotated iterations.
        Iterations "iterations",
        /// Allocations.
        Memory "memory",
        /// Everything that the file should hold.
        Complete "complete",
    }

    /// A question that people ask of traces.
    Asked {
        /// How long did kernels take?
        KernelTime "kernel_time",
        /// How long was the device idle?
        DeviceIdle "device_idle",
        /// Why was it idle?
        IdleCauses "idle_causes",
        /// Which operators took how long?
        OperatorTime "operator_time",
        /// Which operators had which device time?
        OperatorDeviceTime "operator_device_time",
        /// Where did threads wait?
        Waits "waits",
        /// How long did iterations take?
        Iterations "iterations",
        /// How fast were copies?
        Copies "copies",
        /// How fast was communication?
        Communication "communication",
        /// Who waited for whom across ranks and stages?
        AcrossInputs "across_inputs",
        /// How much memory was held?
        Memory "memory",
        /// How much was it in all?
        Totals "totals",
    }

    /// Whether a question is answered.
    Fit {
        /// Yes.
        Yes "yes",
        /// For a part of what was recorded, or less exactly.
        Partly "partly",
        /// No.
        No "no",
    }
}

tables! {
    /// Whether one input answers one question.
    FitRow: "fit", "Fit for", "Which questions can each trace answer?", groups 0, shown Always {
        input: usize, Count, All / First, "#", "number of the file";
        question: Asked, Text, All, "question", "what is asked";
        fit: Fit, Text, All, "fit", "yes, partly or no";
        needs: String, Text, Room, "needs", "what must have been recorded";
        count: Option<u64>, Count summed, All, "found", "how much of that was recorded";
        of: Option<u64>, Count summed, All, "of", "of how many";
        meaning: &'static str, Prose, All / Last, "meaning", "what it means for the answer";
    }

    /// Whether one input holds what may be needed.
    NeedRow: "needs", "Needs", "Does each trace hold what is needed of it?", groups 0, shown Request {
        input: usize, Count, All / First, "#", "number of the file";
        need: Need, Text, All, "need", "what is needed, as --need takes it";
        met: bool, Text, All, "met", "whether it is there";
        asked: bool, Text, All, "asked", "whether --need names it and the file must hold it: front ends run no part of the model, and need not where there are ranks";
        count: Option<u64>, Count, All, "found", "how many; none where it is not a number";
    }
}

/// What a trace holds of what questions need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    kernels: u64,
    activities: u64,
    launched: u64,
    copies: u64,
    sized_copies: u64,
    operators: u64,
    frames: u64,
    work_threads: u64,
    seeing_threads: u64,
    collectives: u64,
    described_collectives: u64,
    iterations: u64,
    memory: u64,
    has_clock: bool,
    states_window: bool,
    is_complete: bool,
}

/// A verdict on one question: fit, how much was found, of how many, what it means.
type Verdict = (Fit, u64, Option<u64>, &'static str);

impl Evidence {
    /// What a store holds. `diag` is what reading it reported.
    pub fn of(store: &Store, base: &TimeBase, diag: &Reporter) -> Self {
        let activities = || base.devices.iter().flat_map(|device| &device.slices);
        let count = |is: &dyn Fn(&&ActivityRow) -> bool| activities().filter(is).count() as u64;
        let kind = |row: &ActivityRow| store.kind(row.slice as usize);
        let slices = |wanted: EventKind| {
            let has_any = store.categories.iter().any(|&(_, kind)| kind == wanted);
            let all = if has_any { store.slices.len() } else { 0 };
            (0..all).filter(|&slice| store.kind(slice) == wanted).count() as u64
        };
        let is_sized = |row: &&ActivityRow| {
            let copy = store.copy_row(row.slice as usize);
            kind(row) == EventKind::Memcpy && copy.is_some()
        };
        let is_described = |slice: &&u32| {
            let row = store.collective_row(**slice as usize);
            row.is_some_and(|row| row.dtype.is_some() && row.in_elements.is_some())
        };
        let is_lossy = diag.worst() >= Some(Severity::DataLoss);
        Self {
            kernels: count(&|row| kind(row) == EventKind::Kernel),
            activities: count(&|_| true),
            launched: count(&|row| base.launches.call_of(store, row.slice as usize).is_some()),
            copies: count(&|row| kind(row) == EventKind::Memcpy),
            sized_copies: count(&is_sized),
            operators: slices(EventKind::CpuOp),
            frames: slices(EventKind::PythonFunction),
            work_threads: base.work_threads().count() as u64,
            seeing_threads: base.work_threads().filter(|thread| thread.has_frames).count() as u64,
            collectives: base.comm.len() as u64,
            described_collectives: base.comm.iter().filter(is_described).count() as u64,
            iterations: iterations(store, base).rows.len() as u64,
            memory: memory_of_trace(store, base).iter().map(|row| row.events).sum(),
            has_clock: base_of(store) != ClockBase::Unknown,
            states_window: base.windows.source == WindowSource::ProfilerSpan,
            is_complete: !is_lossy && !store.meta.truncated,
        }
    }

    /// Whether something that is needed is there, and how many of it where that is a number.
    pub fn meets(&self, need: Need) -> (bool, Option<u64>) {
        let some = |count: u64| (count > 0, Some(count));
        match need {
            Need::Kernels => some(self.kernels),
            Need::Copies => some(self.copies),
            Need::Operators => some(self.operators),
            Need::Launches => some(self.launched),
            Need::Frames => some(self.frames),
            Need::Collectives => some(self.collectives),
            Need::Clock => (self.has_clock, None),
            Need::Iterations => some(self.iterations),
            Need::Memory => some(self.memory),
            Need::Complete => (self.is_complete, None),
        }
    }

    /// The verdict on every question.
    pub fn fit(&self, input: usize) -> Vec<FitRow> {
        type Judge = fn(&Evidence) -> Verdict;
        let questions: [(Asked, &str, Judge); 12] = [
            (Asked::KernelTime, "kernels", Self::kernel_time),
            (Asked::DeviceIdle, "device activity, a stated window", Self::device_idle),
            (Asked::IdleCauses, "launches", Self::idle_causes),
            (Asked::OperatorTime, "operators", Self::operator_time),
            (Asked::OperatorDeviceTime, "operators, launches", Self::operator_device_time),
            (Asked::Waits, "frames", Self::waits),
            (Asked::Iterations, "iterations", Self::of_iterations),
            (Asked::Copies, "copies with sizes", Self::of_copies),
            (Asked::Communication, "collectives with sizes", Self::communication),
            (Asked::AcrossInputs, "clock; frames or collectives", Self::across_inputs),
            (Asked::Memory, "memory", Self::of_memory),
            (Asked::Totals, "complete", Self::totals),
        ];
        let row = |(question, needs, judge): (Asked, &str, Judge)| {
            let (fit, count, of, meaning) = judge(self);
            FitRow {
                input,
                question,
                fit,
                needs: needs.to_owned(),
                count: Some(count),
                of,
                meaning,
            }
        };
        questions.into_iter().map(row).collect()
    }

    fn kernel_time(&self) -> Verdict {
        let meaning = match self.kernels {
            0 => "no kernel was recorded: the profiler had no device activity, or it was lost",
            _ => "kernels are there with their times",
        };
        (part(self.kernels, self.kernels), self.kernels, None, meaning)
    }

    fn device_idle(&self) -> Verdict {
        let (fit, meaning) = match (self.activities, self.states_window) {
            (0, _) => {
                (Fit::No, "no device activity was recorded: idle time is unknown, not everything")
            }
            (_, false) => (
                Fit::Partly,
                "the window is that of the events: what was idle before the first and after the last is not seen",
            ),
            (_, true) => (Fit::Yes, "the profiled window is stated"),
        };
        (fit, self.activities, None, meaning)
    }

    fn idle_causes(&self) -> Verdict {
        let meaning = "an idle time has a cause where the call is known that ended it";
        (part(self.launched, self.activities), self.launched, Some(self.activities), meaning)
    }

    fn operator_time(&self) -> Verdict {
        let meaning = match self.operators {
            0 => "no operator was recorded",
            _ => "operators are there with their times",
        };
        (part(self.operators, self.operators), self.operators, None, meaning)
    }

    fn operator_device_time(&self) -> Verdict {
        let meaning = "device time goes to the operator that made the call";
        let fit = if self.operators == 0 { Fit::No } else { part(self.launched, self.activities) };
        (fit, self.launched, Some(self.activities), meaning)
    }

    fn waits(&self) -> Verdict {
        let meaning =
            "waiting in queues shows in Python frames alone: threads without them are unattributed";
        let fit = part(self.seeing_threads, self.work_threads);
        (fit, self.seeing_threads, Some(self.work_threads), meaning)
    }

    fn of_iterations(&self) -> Verdict {
        let meaning = match self.iterations {
            0 => {
                "nothing says where an iteration begins: no annotation of an engine or of a profiler schedule"
            }
            _ => "iterations are annotated",
        };
        (part(self.iterations, self.iterations), self.iterations, None, meaning)
    }

    fn of_copies(&self) -> Verdict {
        let meaning = match self.copies {
            0 => "no copy was recorded",
            _ => "a rate needs the size of the copy",
        };
        let fit = match part(self.sized_copies, self.copies) {
            Fit::No if self.copies > 0 => Fit::Partly,
            fit => fit,
        };
        (fit, self.sized_copies, Some(self.copies), meaning)
    }

    fn communication(&self) -> Verdict {
        let meaning = match self.collectives {
            0 => "no kernel communicates",
            _ => {
                "times are there with the kernels; rates need what was sent, which replayed graphs do not say"
            }
        };
        let fit = match part(self.described_collectives, self.collectives) {
            Fit::No if self.collectives > 0 => Fit::Partly,
            fit => fit,
        };
        (fit, self.described_collectives, Some(self.collectives), meaning)
    }

    fn across_inputs(&self) -> Verdict {
        let has_waits = self.seeing_threads > 0 || self.collectives > 0;
        let (fit, meaning) = match (self.has_clock, has_waits) {
            (true, true) => (
                Fit::Yes,
                "its times count from a known moment; hosts may still differ, which shared collectives tell",
            ),
            (false, true) if self.collectives > 0 => (
                Fit::Partly,
                "nothing says what its times count from: it is placed by the collectives that it shares",
            ),
            (false, _) => (
                Fit::No,
                "nothing says what its times count from, and nothing tells it from others",
            ),
            (true, false) => (Fit::No, "it shows no waiting: neither frames nor collectives"),
        };
        (fit, u64::from(self.has_clock), None, meaning)
    }

    fn of_memory(&self) -> Verdict {
        let meaning = match self.memory {
            0 => "no allocation was recorded: that needs profile_memory=True",
            _ => "allocations are there",
        };
        (part(self.memory, self.memory), self.memory, None, meaning)
    }

    fn totals(&self) -> Verdict {
        if self.is_complete {
            return (Fit::Yes, 1, None, "nothing is missing as far as the file tells");
        }
        (
            Fit::Partly,
            0,
            None,
            "something of the file is lost: sums and counts are at least what they say",
        )
    }
}

/// All, some or none of a number.
fn part(count: u64, of: u64) -> Fit {
    match count {
        0 => Fit::No,
        // A call in a hundred is missing from sound traces, too.
        _ if count.saturating_mul(100) >= of.saturating_mul(99) => Fit::Yes,
        _ => Fit::Partly,
    }
}

#[cfg(test)]
mod tests {
    use super::{Evidence, Fit, Need};

    #[test]
    fn nothing_recorded_fits_nothing_but_says_that_it_is_whole() {
        let evidence = Evidence { is_complete: true, ..Evidence::default() };
        let fit: Vec<Fit> = evidence.fit(0).iter().map(|row| row.fit).collect();
        assert_eq!(fit.iter().filter(|&&fit| fit == Fit::No).count(), 11);
        assert_eq!(fit.last(), Some(&Fit::Yes));
        let met: Vec<Need> = Need::ALL.into_iter().filter(|&n| evidence.meets(n).0).collect();
        assert_eq!(met, [Need::Complete]);
    }

    #[test]
    fn some_is_partly_and_nearly_all_is_all() {
        let with = |launched| Evidence {
            activities: 1_000,
            launched,
            operators: 1,
            ..Evidence::default()
        };
        assert_eq!(
            [0, 1, 989, 990, 1_000].map(|n| with(n).fit(0)[2].fit),
            [Fit::No, Fit::Partly, Fit::Partly, Fit::Yes, Fit::Yes,]
        );
    }
}

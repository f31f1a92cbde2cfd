//! What predictions assume, in sentences: each says what would make them wrong.

use super::graph::What;
use super::replay::Place;
use super::subject::Subject;
use super::whatif::Change;

/// What every replay assumes.
const ALWAYS: [&str; 3] = [
    "host code, kernels and copies take as long as recorded but for the changes: not that they slow each other down less or more on a shared device or core",
    "what no edge explains stays a gap as long as recorded",
    "times are those under the profiler: where the host is the limit, iterations without it are shorter",
];

impl Subject<'_> {
    /// What the predictions of some changes assume.
    pub fn assumptions(&self, changes: &[Change]) -> Vec<String> {
        let mut all: Vec<String> = ALWAYS.map(str::to_owned).to_vec();
        let mut add = |text: &str| {
            if !all.iter().any(|known| known == text) {
                all.push(text.to_owned());
            }
        };
        changes.iter().filter_map(|change| self.assumption(change)).for_each(&mut add);
        let doubts = &self.graph.doubts;
        let counted = [
            (
                doubts.n_unlaunched,
                "activities without a recorded launch begin as soon as their stream lets them, or as recorded",
            ),
            (
                doubts.n_unmatched_waits,
                "waits for other processes without a recorded writer last as recorded",
            ),
            (
                doubts.n_unmatched_comm,
                "communication that one rank alone shows takes as long as recorded, waiting for the others included",
            ),
            (
                doubts.n_guessed_syncs,
                "synchronizing calls wait for the work launched before them that ended last",
            ),
            (
                doubts.n_guessed_stream_waits,
                "waits between streams are paired by the order of calls",
            ),
            (doubts.n_dropped, "edges that the recorded times contradict hold nothing up"),
        ];
        for (count, text) in counted.into_iter().filter(|&(count, _)| count > 0) {
            all.push(format!("{text} ({count})"));
        }
        all
    }

    fn assumption(&self, change: &Change) -> Option<&'static str> {
        Some(match change {
            Change::Free(What::IpcWait) => {
                "hand-offs take no time, but what was waited for must still have been sent; waits without a recorded writer vanish"
            }
            Change::Free(What::GpuSync) => {
                "the host never waits for the device, also where it needs the result"
            }
            Change::Free(What::Comm) => {
                "collectives take no time once the last rank has come; waiting for it stays"
            }
            Change::FreeCall(_) => {
                "the calls wait for nothing, also where the host needs the result"
            }
            Change::Free(_)
            | Change::Scale(..)
            | Change::ScaleStage(..)
            | Change::Stage(_)
            | Change::FreeKernel(_)
            | Change::FreeOperator(_) => return None,
            Change::Overlap(_, _) if change.place() == Place::Apart => {
                "kernels on a stream of their own wait for nothing of the old one, and run beside others at full speed"
            }
            Change::Overlap(..) => {
                "nothing on the stream needs the result of what is overlapped, and both run at full speed"
            }
            Change::DropOp(_) => {
                "nothing else needs what is left out, and what it launched is not launched elsewhere"
            }
            Change::DropKernel(_) | Change::DropCopy(_) => {
                "nothing else needs what is left out; calls that launched nothing else vanish with it"
            }
            Change::CudaGraph(_) => {
                "all that an iteration launches up to its last launch can be captured; inputs are in place, and one launch replays it"
            }
        })
    }
}

//! How a file made of several inputs names them: the top-level member [`PARTS_KEY`].
//!
//! A merged file renames processes, renumbers ids and shifts clocks so that nothing collides. A [`Part`] holds what is
//! needed to undo that exactly, and everything its input said outside its events. Nothing here rewrites events.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Layout;
use crate::model::{Identity, Parallel, Role};

/// The top-level key under which a merged file lists its inputs.
pub const PARTS_KEY: &str = "omniTraceInputs";

/// The top-level key under which a trace that was written anew under its own pids lists the tids that were not its own, as
/// [`PartThread`]s.
pub const LANES_KEY: &str = "omniTraceLanes";

/// The top-level key of the nanoseconds that were added to every timestamp of a trace that was written anew under its own
/// pids; its [`BASE_KEY`] was moved by as much the other way.
pub const SHIFT_KEY: &str = "omniTraceShiftNs";

/// The top-level key of the Unix time of timestamp 0, in nanoseconds, as Kineto writes it.
pub const BASE_KEY: &str = "baseTimeNanoseconds";

/// The top-level key that says the units of counters, by name: `{"GPU Power": {"unit": "W", "group": "system"}}`. No JSON writer
/// says any; reading Perfetto's packets makes it of their descriptors.
pub const UNITS_KEY: &str = "omniTraceCounterUnits";

/// The top-level key that keeps which writer laid the events out, once they were written anew.
pub const LAYOUT_KEY: &str = "omniTraceLayout";

/// The top-level key of a trace of which events were left out: their numbers (`Ev Idx`) have gaps that are no loss.
pub const SLIM_KEY: &str = "omniTraceSlim";

/// The category of the Perfetto instant whose arguments are the top-level members of a trace.
pub const PERFETTO_METADATA: &str = "omni_trace.metadata";

/// The argument that marks a metadata event which no input had.
pub const ADDED_KEY: &str = "omni_trace_added";

/// The argument that keeps what a metadata event said before it was changed.
pub const ORIGINAL_KEY: &str = "omni_trace_original";

/// One input of a merged file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Part {
    /// Path of the input as given when it was merged.
    pub path: String,
    /// How the merged file calls it.
    pub label: String,
    /// Stage index.
    pub stage: Option<u32>,
    /// Name or kind of the stage.
    pub stage_name: Option<String>,
    /// Replica of the stage.
    pub replica: Option<u32>,
    /// Global rank.
    pub rank: Option<u32>,
    /// Rank on its host.
    pub local_rank: Option<u32>,
    /// Ranks of the process group.
    pub world_size: Option<u32>,
    /// Ranks along the dimensions of parallelism: tensor, data, pipeline, expert.
    #[serde(skip_serializing_if = "is_unknown")]
    pub parallel: [Option<u32>; 4],
    /// Worker or instance.
    pub worker: Option<String>,
    /// Whether it is a front end.
    pub is_front_end: bool,
    /// Which writer laid the input out.
    pub layout: String,
    /// Whether the input ended before its events did.
    pub truncated: bool,
    /// Nanoseconds that were added to every timestamp, clock correction included.
    pub shift_ns: i64,
    /// The part of the shift that corrects the input's clock.
    pub clock_offset_ns: i64,
    /// What was added to every id of a flow, and to the arguments that `renumbered` lists.
    pub id_offset: u64,
    /// The arguments to whose values it was added; `None` in files of versions that did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renumbered: Option<Vec<String>>,
    /// Processes.
    pub processes: Vec<PartProcess>,
    /// Threads that were renumbered: lanes of overlapping slices, and ids that are no numbers.
    pub threads: Vec<PartThread>,
    /// Every top-level member of the input, in file order.
    pub metadata: Vec<(String, Box<RawValue>)>,
}

/// Whether none of several ranks is known.
fn is_unknown(ranks: &[Option<u32>; 4]) -> bool {
    ranks.iter().all(Option::is_none)
}

/// A process of an input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartProcess {
    /// Its pid in the merged file.
    pub pid: i64,
    /// Its pid in the input, as JSON.
    pub of: Box<RawValue>,
    /// Its name in the input.
    #[serde(default)]
    pub name: Option<String>,
}

/// A thread of an input that has another tid in the merged file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartThread {
    /// Its pid in the merged file.
    pub pid: i64,
    /// Its tid in the merged file.
    pub tid: i64,
    /// Its tid in the input, as JSON.
    pub of: Box<RawValue>,
    /// Its name in the input; none for a lane.
    #[serde(default)]
    pub name: Option<String>,
}

impl Part {
    /// A part that says who wrote it and nothing else.
    pub fn of_identity(identity: &Identity) -> Self {
        Self {
            stage: identity.stage,
            stage_name: identity.stage_name.clone(),
            replica: identity.replica,
            rank: identity.rank,
            local_rank: identity.local_rank,
            world_size: identity.world_size,
            parallel: [
                identity.parallel.tp,
                identity.parallel.dp,
                identity.parallel.pp,
                identity.parallel.ep,
            ],
            worker: identity.worker.clone(),
            is_front_end: identity.role == Role::FrontEnd,
            ..Self::default()
        }
    }

    /// Who wrote the input.
    pub fn identity(&self) -> Identity {
        let [tp, dp, pp, ep] = self.parallel;
        Identity {
            stage: self.stage,
            stage_name: self.stage_name.clone(),
            replica: self.replica,
            rank: self.rank,
            local_rank: self.local_rank,
            world_size: self.world_size,
            parallel: Parallel { tp, dp, pp, ep },
            worker: self.worker.clone(),
            role: if self.is_front_end { Role::FrontEnd } else { Role::Worker },
        }
    }

    /// Which writer laid the input out.
    pub fn layout(&self) -> Layout {
        Layout::from_name(&self.layout)
    }

    /// The input's top-level members as (key, JSON text).
    pub fn entries(&self) -> Vec<(String, String)> {
        self.metadata.iter().map(|(key, value)| (key.clone(), value.get().to_owned())).collect()
    }
}

/// The parts that top-level members list; none where the file is no merged one.
pub fn parts_of(entries: &[(String, String)]) -> Vec<Part> {
    let found = entries.iter().rev().find(|(key, _)| key == PARTS_KEY);
    found.and_then(|(_, text)| serde_json::from_str(text).ok()).unwrap_or_default()
}

impl Layout {
    /// The name that files keep.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::KinetoOld => "kineto_old",
            Self::KinetoNew => "kineto_new",
            Self::TorchCompact => "torch_compact",
        }
    }

    /// The layout of a name.
    pub fn from_name(name: &str) -> Self {
        [Self::KinetoOld, Self::KinetoNew, Self::TorchCompact]
            .into_iter()
            .find(|layout| layout.name() == name)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{PARTS_KEY, Part, parts_of};
    use crate::model::{Identity, Parallel, Role};
    use crate::store::Layout;

    #[test]
    fn identities_and_metadata_survive() {
        let identity = Identity {
            stage: Some(1),
            rank: Some(3),
            role: Role::FrontEnd,
            worker: Some("w".into()),
            parallel: Parallel { tp: Some(1), ep: Some(0), ..Parallel::default() },
            ..Identity::default()
        };
        let mut part = Part::of_identity(&identity);
        part.layout = Layout::KinetoOld.name().to_owned();
        let text = "{\"a\" :  1.0}".to_owned();
        part.metadata.push(("k".into(), serde_json::value::RawValue::from_string(text).unwrap()));
        let text = serde_json::to_string(&[part]).unwrap();
        let parts = parts_of(&[(PARTS_KEY.to_owned(), text)]);
        assert_eq!(parts[0].identity(), identity);
        assert_eq!(parts[0].layout(), Layout::KinetoOld);
        assert_eq!(parts[0].entries()[0].1, "{\"a\" :  1.0}");
    }
}

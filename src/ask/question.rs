//! What is asked of traces.

use regex::Regex;

use super::reduce::{OF_RANKS, RANKS_OF};
use crate::analyze::base::TimeConfig;
use crate::analyze::key_averages::KeyAveragesConfig;
use crate::analyze::roofline::RooflineConfig;
use crate::analyze::steady::SteadyRule;
use crate::analyze::timeline::Class;
use crate::schema::{Row as _, Spec};
use crate::table::verdict::{VERDICT_OF, VerdictRow};

/// What is looked at, what is left out, and which tables are wanted. The default is everything.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// Windows, and rules of waiting and communication.
    pub time: TimeConfig,
    /// Classes of time to leave out; empty for none.
    pub excluded: Vec<Class>,
    /// Rules of the profiler table.
    pub key_averages: KeyAveragesConfig,
    /// Models of operators, and peaks of devices.
    pub roofline: RooflineConfig,
    /// Order of the profiler table; `None` for self device time where there is some, else self CPU time.
    pub sort: Option<SortKey>,
    /// The names of the rows that are shown; `None` for all. Totals and shares stay those of the whole.
    pub name: Option<Regex>,
    /// Which iterations count in percentiles over iterations; `None` for all.
    pub steady: Option<SteadyRule>,
    /// Whether all inputs are of one run, whatever they say.
    pub is_one_run: bool,
    /// The tables that are wanted.
    pub wanted: Wanted,
}

impl Question {
    /// Whether any of some tables is wanted: what only serves others need not be computed.
    pub(super) fn needs(&self, tables: &[&Spec]) -> bool {
        match &self.wanted {
            Wanted::All | Wanted::AllAnd(_) => true,
            Wanted::Only(wanted) => {
                tables.iter().any(|table| wanted.iter().any(|one| one.key == table.key))
            }
        }
    }

    /// Whether a table is asked for itself: what costs more than all others is not made with them.
    pub(crate) fn asks_for(&self, table: &Spec) -> bool {
        match &self.wanted {
            Wanted::All => false,
            Wanted::AllAnd(asked) | Wanted::Only(asked) => {
                asked.iter().any(|one| one.key == table.key)
            }
        }
    }

    /// Whether a name is shown.
    pub fn shows_name(&self, name: &str) -> bool {
        self.name.as_ref().is_none_or(|regex| regex.is_match(name))
    }
}

/// Tables that are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// All but those of a causal graph.
    #[default]
    All,
    /// All, and of those some.
    AllAnd(Vec<&'static Spec>),
    /// Some, by definition; what is made of them, as the verdict is, names what it is made of.
    Only(Vec<&'static Spec>),
}

impl Wanted {
    /// Some tables, with those that they are made from.
    pub fn with_sources(mut tables: Vec<&'static Spec>) -> Self {
        if tables.contains(&VerdictRow::SPEC) {
            tables.extend(VERDICT_OF);
        }
        if tables.iter().any(|table| OF_RANKS.contains(table)) {
            tables.extend(RANKS_OF);
        }
        Self::Only(tables)
    }
}

/// A column of the profiler table to sort by, the largest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "program", derive(clap::ValueEnum))]
pub enum SortKey {
    /// CPU time less that of the children.
    #[cfg_attr(feature = "program", value(aliases = ["self_cpu_time_total"]))]
    SelfCpu,
    /// CPU time with the children.
    #[cfg_attr(feature = "program", value(aliases = ["cpu_time_total", "cpu"]))]
    CpuTotal,
    /// CPU time with the children, divided by the calls.
    #[cfg_attr(feature = "program", value(aliases = ["cpu_time"]))]
    CpuAverage,
    /// Time of its own device events.
    #[cfg_attr(feature = "program", value(aliases = ["self_device_time_total", "self_cuda_time_total", "self_xpu_time_total"]))]
    SelfDevice,
    /// Device time with the children.
    #[cfg_attr(feature = "program", value(aliases = ["device_time_total", "cuda_time_total", "xpu_time_total", "cuda", "device"]))]
    DeviceTotal,
    /// Device time with the children, divided by the calls.
    #[cfg_attr(feature = "program", value(aliases = ["device_time", "cuda_time", "xpu_time"]))]
    DeviceAverage,
    /// Number of calls.
    Count,
    /// Host memory allocated less released, where the trace recorded memory.
    #[cfg_attr(feature = "program", value(aliases = ["cpu_memory_usage"]))]
    CpuMemory,
    /// The same less that of the children.
    #[cfg_attr(feature = "program", value(aliases = ["self_cpu_memory_usage"]))]
    SelfCpuMemory,
    /// Device memory allocated less released, where the trace recorded memory.
    #[cfg_attr(feature = "program", value(aliases = ["device_memory_usage", "cuda_memory_usage", "xpu_memory_usage"]))]
    DeviceMemory,
    /// The same less that of the children.
    #[cfg_attr(feature = "program", value(aliases = ["self_device_memory_usage", "self_cuda_memory_usage", "self_xpu_memory_usage"]))]
    SelfDeviceMemory,
    /// Name, the smallest first.
    Name,
}

//! What any trace holds, by device or process, kind and name.

use crate::analyze::activity::Activity;
use crate::schema::{Source, tables};

tables! {
    /// All spans of one device or process, kind and name, as the machine output gives them.
    ActivityRow: "activity", "Activity by device or process, and name", "What does any trace hold, by device or process and name?", groups 0 {
        input: usize, Count, All, "#", "number of the input";
        device: Option<u32>, Count, All, "device", "device index";
        process: Option<String>, Text, All, "process", "process of what is no device's";
        kind: &'static str, Text, All, "kind", "what it is; derived rows repeat others, a device_mark is no work";
        category: String, Text, All, "category", "category as the trace writes it";
        name: String, Text, All / Subject, "name", "name";
        count: u64, Count, All, "count", "how often";
        sum_ns: i64, Ns, All, "sum", "sum of the durations";
        min_ns: i64, Ns, All, "min", "the shortest";
        max_ns: i64, Ns, All, "max", "the longest";
    }
}

impl ActivityRow {
    /// The row of an input's activity.
    pub fn of(input: usize, one: Activity) -> Self {
        let Activity { device, process, kind, category, name, count, sum_ns, min_ns, max_ns } = one;
        Self { input, device, process, kind, category, name, count, sum_ns, min_ns, max_ns }
    }

    /// Whether no table of devices, kernels or copies has it.
    pub fn is_other(&self) -> bool {
        !matches!(self.kind, "kernel" | "memcpy" | "memset")
    }
}

/// The rows whose name is shown.
pub(super) fn activity<'a>(rows: &'a [ActivityRow], shown: impl Fn(&str) -> bool) -> Source<'a> {
    Source::some(rows.iter().filter(|row| shown(&row.name)).collect())
}

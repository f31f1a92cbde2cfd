//! What comes before the first device activity, and what is paid once.

use super::percent;
use crate::analyze::startup::{Cost, Startup};
use crate::schema::tables;

tables! {
    /// The start of the window, or one cost that is paid once, of one input.
    #[derive(Default)]
    StartupRow: "startup", "Before the first device activity, and one-time costs", "What comes before the first device activity, and what is paid once?", groups 1 {
        input: usize, Count, All, "#", "number of the input";
        cost: &'static str, Text, All, "what", "the time before the first device activity, or a one-time cost";
        ns: i64, Ns, All, "time", "its time; of a cost, on the work threads";
        window_pct: Option<f64>, Percent, All / Defined, "of window", "the time, of the profiled window";
        before_device_ns: i64, Ns, All, "before device", "of it, before the first device activity";
        count: Option<u64>, Count, All, "count", "stretches of time";
        max_ns: Option<i64>, Ns, All, "max", "the longest stretch";
        name: Option<String>, Text, All / Subject, "name", "the longest event";
        window_ns: i64, Ns, Machines, "window", "the profiled window";
    }
}

impl StartupRow {
    /// The rows of an input.
    pub fn of(input: usize, startup: &Startup) -> Vec<Self> {
        let window_ns = startup.window_ns;
        let row = |cost, ns| Self {
            input,
            cost,
            ns,
            window_pct: percent(ns, window_ns),
            window_ns,
            ..Self::default()
        };
        let first = Self {
            before_device_ns: startup.before_device_ns,
            ..row("before_device", startup.before_device_ns)
        };
        let cost = |one: &Cost| Self {
            before_device_ns: one.before_device_ns,
            count: Some(one.count),
            max_ns: Some(one.max_ns),
            name: one.name.clone(),
            ..row(one.kind.as_str(), one.ns)
        };
        std::iter::once(first).chain(startup.costs.iter().map(cost)).collect()
    }
}

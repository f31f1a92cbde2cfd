//! What comes before the first device activity, and what is paid once.

use serde::Serialize;

use super::{Cell, Column, TableRow, Unit, percent};
use crate::analyze::startup::{Cost, Startup};

/// The start of the window, or one cost that is paid once, of one input.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StartupRow {
    /// Number of the input.
    pub input: usize,
    /// `before_device`: from the start of the window to the first device activity; else a one-time cost.
    pub cost: &'static str,
    /// Time: of the window for `before_device`, else of the work threads, summed over them.
    pub ns: i64,
    /// Percent of the window.
    pub window_pct: Option<f64>,
    /// Of it, before the first device activity.
    pub before_device_ns: i64,
    /// Stretches of time; `None` for `before_device`.
    pub count: Option<u64>,
    /// The longest of them.
    pub max_ns: Option<i64>,
    /// Name of the longest event; `None` where the class of the time says it all.
    pub name: Option<String>,
    /// The profiled window.
    pub window_ns: i64,
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

impl TableRow for StartupRow {
    const N_GROUP_COLUMNS: usize = 1;
    const COLUMNS: &'static [Column] = &[
        Column::new("#", "input", Unit::Count, "number of the input"),
        Column::new(
            "what",
            "cost",
            Unit::Text,
            "the time before the first device activity, or a one-time cost",
        ),
        Column::new("time", "ns", Unit::Ns, "its time; of a cost, on the work threads"),
        Column::new("of window", "window_pct", Unit::Percent, "the time, of the profiled window"),
        Column::new(
            "before device",
            "before_device_ns",
            Unit::Ns,
            "of it, before the first device activity",
        ),
        Column::new("count", "count", Unit::Count, "stretches of time"),
        Column::new("max", "max_ns", Unit::Ns, "the longest stretch"),
        Column::new("name", "name", Unit::Text, "the longest event"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Count(self.input as u64),
            Cell::Text(self.cost.to_owned()),
            Cell::Ns(self.ns),
            Cell::or_none(self.window_pct, Cell::Percent),
            Cell::Ns(self.before_device_ns),
            Cell::or_none(self.count, Cell::Count),
            Cell::or_none(self.max_ns, Cell::Ns),
            Cell::or_none(self.name.clone(), Cell::Text),
        ]
    }
}

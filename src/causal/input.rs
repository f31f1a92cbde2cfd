//! One input as this room takes it.

use crate::analyze::base::TimeBase;
use crate::analyze::iterations::IterationRow;
use crate::analyze::units::UnitSpans;
use crate::store::Store;

/// One input of a run, with where it lies on the common time line.
#[derive(Clone, Debug)]
pub struct CausalInput<'a> {
    /// Number of the input in outputs.
    pub number: usize,
    /// What people call it: stage and rank.
    pub label: String,
    /// Stage; `None` where nothing says.
    pub stage: Option<u32>,
    /// Replica of the stage.
    pub replica: Option<u32>,
    /// Whether it is a front end.
    pub is_front_end: bool,
    /// Its events.
    pub store: &'a Store,
    /// Its time base.
    pub base: &'a TimeBase,
    /// Its iterations, of every scheme.
    pub iterations: Vec<IterationRow>,
    /// Those of its lead thread, each up to the next one: what predictions are about.
    pub units: UnitSpans,
    /// Whether each of these comes after the warm-up: what findings are about.
    pub is_steady: Vec<bool>,
    /// What to add to its times.
    pub offset_ns: i64,
    /// Whether it has a place on the common time line.
    pub is_placed: bool,
}

impl CausalInput<'_> {
    /// What people call it beside others.
    pub fn name(&self) -> String {
        if self.label.is_empty() { format!("#{}", self.number) } else { self.label.clone() }
    }
}

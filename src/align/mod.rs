//! Many inputs on one time line: who wrote each, and how far their clocks are apart.
//!
//! Identity comes from metadata first, then from names, and can be overridden. Inputs of one run are told from those of
//! another. Clocks come from each file's own base first, then from collectives that several ranks took part in: those end
//! together, so that the differences of their ends are the differences of the clocks. Where there are none, hand-offs
//! between stages bound them. Nothing here reads files, writes or prints; times are integer nanoseconds.

mod clocks;
mod collectives;
mod digest;
mod handoffs;
mod identity;
mod operation;
mod pairing;
mod runs;
mod told;

use std::path::Path;

pub use clocks::{
    AlignMode, Alignment, ClockBase, ClockSource, InputClock, OffsetEstimate, align_clocks, base_of,
};
pub use collectives::{CallGroup, GroupKey, Matched, Meeting, matched, message_ends};
pub use digest::Digest;
pub use handoffs::{HandOffBounds, HandOffs};
pub use identity::{
    IdentityProblem, Override, input_label, merge_order, missing_ranks, refine_identity,
    same_claims,
};
pub use operation::Operation;
pub use pairing::Call;
pub use runs::runs;
pub use told::{CLOCKS_VERSION, Clocks, ToldClock};

use crate::model::Identity;

/// One input as this room sees it.
#[derive(Clone, Copy, Debug)]
pub struct AlignInput<'a> {
    /// Its path, for messages and overrides.
    pub path: &'a Path,
    /// Who wrote it.
    pub identity: &'a Identity,
    /// What is compared of it.
    pub digest: &'a Digest,
    /// First and last time of what was profiled, by its own clock; `None` where nothing was.
    pub window_ns: Option<(i64, i64)>,
    /// Number of the run that it is of: only inputs of one run are compared.
    pub run: u32,
}

/// Several inputs, compared: what all figures across inputs stand on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Together {
    /// Number of the run that each input is of, from 0.
    pub runs: Vec<u32>,
    /// The operations that inputs of one run share.
    pub matched: Vec<Matched>,
    /// Where each input lies on the common time line.
    pub alignment: Alignment,
}

impl Together {
    /// Compares inputs. With `is_one_run` all are of one run, whatever they say.
    pub fn of(inputs: &[AlignInput<'_>], is_one_run: bool) -> Self {
        let runs = if is_one_run { vec![0; inputs.len()] } else { runs(inputs) };
        let inputs: Vec<AlignInput<'_>> =
            inputs.iter().zip(&runs).map(|(input, &run)| AlignInput { run, ..*input }).collect();
        let matched = matched(&inputs);
        let alignment = align_clocks(&inputs, &matched, AlignMode::Auto);
        Self { runs, matched, alignment }
    }

    /// How many runs there are.
    pub fn n_runs(&self) -> usize {
        self.runs.iter().max().map_or(0, |&last| last as usize + 1)
    }
}

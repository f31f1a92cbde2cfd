//! Many inputs on one time line: who wrote each, and how far their clocks are apart.
//!
//! Identity comes from metadata first, then from names, and can be overridden. Clocks come from each file's own base
//! first, then from collectives that several ranks took part in: those end together, so that the differences of their
//! ends are the differences of the clocks. Where there are none, hand-offs between stages bound them. Nothing here reads files, writes or prints; times are integer nanoseconds.

mod clocks;
mod collectives;
mod handoffs;
mod identity;

use std::path::Path;

pub use clocks::{
    AlignMode, Alignment, ClockBase, ClockSource, InputClock, OffsetEstimate, align_clocks,
};
pub use handoffs::HandOffBounds;
pub use identity::{
    IdentityProblem, Override, input_label, merge_order, missing_ranks, refine_identity,
    same_claims,
};

use crate::model::Identity;
use crate::store::Store;

/// One input as this room sees it.
#[derive(Clone, Copy, Debug)]
pub struct AlignInput<'a> {
    /// Its path, for messages and overrides.
    pub path: &'a Path,
    /// Who wrote it.
    pub identity: &'a Identity,
    /// Its events.
    pub store: &'a Store,
}

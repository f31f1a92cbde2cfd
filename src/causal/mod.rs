//! One causal graph of all stages and ranks of a run: what had to happen before what, and how long after.
//!
//! Nodes are leaf time of host threads, activities of streams and the ends of waits, on one clock. An edge carries the
//! least time between two nodes, and of the edges into a node the one that binds carries what was recorded, so that
//! an unchanged replay gives every recorded start. On it stand the critical path, slack, and what a change would bring.
//!
//! Nothing here reads files, prints or formats.

pub mod account;
mod assumes;
mod barriers;
pub mod bounds;
mod device;
pub mod explained;
pub mod findings;
pub mod glob;
pub mod graph;
mod handoffs;
mod host;
mod input;
pub mod path;
pub mod replay;
pub mod rows;
mod subject;
mod syncs;
mod threads;
pub mod whatif;

use rayon::prelude::*;

pub use graph::Graph;
pub use handoffs::Told;
pub use input::CausalInput;
pub use subject::{InputMeasure, Measure, Subject};

use crate::align::Matched;
use device::DeviceSide;
use graph::Edge;

impl Graph {
    /// The graph of the inputs of one run. `matched` are the operations that all inputs share, by the numbers of inputs,
    /// `told` are hand-offs of which logs tell.
    pub fn of(inputs: &[CausalInput<'_>], matched: &[Matched], told: &[Told]) -> Self {
        let local = |number: usize| inputs.iter().position(|input| input.number == number);
        let mut graph = Self::default();
        let mut edges: Vec<Edge> = Vec::new();
        graph.add_threads(inputs, &mut edges);
        let meets = barriers::meeting_slices(matched, inputs.len(), local);
        let mut sides: Vec<DeviceSide> = Vec::with_capacity(inputs.len());
        for (at, input) in inputs.iter().enumerate() {
            sides.push(device::add(&mut graph, &mut edges, at, input, &meets[at]));
        }
        for (at, (input, side)) in inputs.iter().zip(&sides).enumerate() {
            let own = syncs::edges(&mut graph, at, input, side);
            edges.extend(own);
        }
        barriers::add(&mut graph, &mut edges, matched, &sides, local);
        handoffs::add(&mut graph, &mut edges, inputs, told);
        graph.doubts.n_unplaced_inputs =
            inputs.iter().filter(|input| !input.is_placed).count() as u64;
        graph.set_window(inputs);
        graph.finish(edges);
        graph
    }

    /// Adds the host threads of all inputs, and the edges between threads of one process.
    fn add_threads(&mut self, inputs: &[CausalInput<'_>], edges: &mut Vec<Edge>) {
        let found: Vec<_> = inputs
            .par_iter()
            .map(|input| {
                let mut threads = host::threads(input);
                let hand_overs = threads::mark(input, &mut threads);
                (threads, hand_overs)
            })
            .collect();
        for (at, (threads, hand_overs)) in found.iter().enumerate() {
            let first = self.lanes.len();
            for thread in threads {
                host::add_lane(self, at, inputs[at].offset_ns, thread);
            }
            let lanes: Vec<usize> = (first..self.lanes.len()).collect();
            edges.extend(threads::edges(self, hand_overs, &lanes, inputs[at].offset_ns));
        }
    }

    /// From the first begin of a window to the last end of a window or node.
    fn set_window(&mut self, inputs: &[CausalInput<'_>]) {
        let windows = inputs.iter().map(|input| {
            let file = input.base.windows.file;
            (
                file.start_ns.saturating_add(input.offset_ns),
                file.end_ns.saturating_add(input.offset_ns),
            )
        });
        let first = windows.clone().map(|(start, _)| start).min().unwrap_or(0);
        self.start_ns = self.nodes.start.iter().copied().fold(first, i64::min);
        let last = windows.map(|(_, end)| end).max().unwrap_or(self.start_ns);
        self.end_ns = self.nodes.end.iter().copied().fold(last, i64::max);
    }
}

//! What is asked about: a graph with its inputs, and names, iterations and times of it.

use super::graph::{Graph, Lane, LaneOf, NONE};
use super::input::CausalInput;
use super::replay::Replay;
use super::rows::UnitOf;
use crate::model::middle;

/// A graph with its inputs.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// Its inputs, in the order of the graph.
    pub inputs: &'a [CausalInput<'a>],
}

/// What a replay comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// From the first start to the last end.
    pub whole_ns: i64,
    /// By input of the graph.
    pub inputs: Vec<InputMeasure>,
}

/// What a replay comes to for one input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputMeasure {
    /// The end of its last node, since the run began; `None` for one without nodes.
    pub end_ns: Option<i64>,
    /// Its units, in time order.
    pub units: Vec<i64>,
}

impl InputMeasure {
    /// The median unit, nearest rank.
    pub fn median_ns(&self) -> Option<i64> {
        middle(&mut self.units.clone())
    }
}

impl Subject<'_> {
    /// The name of the event that a node is of.
    pub fn name(&self, node: u32) -> Option<&str> {
        self.name_of_slice(node, self.graph.nodes.slice[node as usize])
    }

    /// The name of the innermost operator around a node, or around its launch.
    pub fn op(&self, node: u32) -> Option<&str> {
        self.name_of_slice(node, self.graph.nodes.op[node as usize])
    }

    fn name_of_slice(&self, node: u32, slice: u32) -> Option<&str> {
        let input = self.graph.lanes[self.graph.lane_of(node)].input;
        (slice != NONE).then(|| self.inputs[input].store.name(slice as usize))
    }

    /// The time of a node as recorded: of device activity that of the whole activity, once.
    pub fn recorded_ns(&self, node: u32) -> i64 {
        let (nodes, i) = (&self.graph.nodes, node as usize);
        if !nodes.what[i].is_on_device() || nodes.slice[i] == NONE {
            return nodes.end[i] - nodes.start[i];
        }
        if i > 0 && nodes.slice[i - 1] == nodes.slice[i] && nodes.what[i - 1] == nodes.what[i] {
            return 0;
        }
        let input = self.graph.lanes[self.graph.lane_of(node)].input;
        self.inputs[input].store.slices.dur_ns(nodes.slice[i] as usize)
    }

    /// What a lane is called: the thread or the stream.
    pub fn lane_name(&self, lane: &Lane) -> String {
        match lane.of {
            LaneOf::Thread(track) => {
                let store = self.inputs[lane.input].store;
                format!("thread {}", store.track_id_text(&store.tracks[track].tid))
            }
            LaneOf::Stream(device, stream) => {
                let text = |id: Option<u32>| id.map_or("-".to_owned(), |id| id.to_string());
                format!("device {} stream {}", text(device), text(stream))
            }
            LaneOf::Meetings => String::new(),
        }
    }

    /// What the units of an input are.
    pub fn unit_of(&self, input: usize) -> UnitOf {
        match self.inputs[input].units.scheme {
            Some(_) => UnitOf::Iteration,
            None => UnitOf::Window,
        }
    }

    /// The input whose units predictions are about: the one with the most time in iterations, else the first one.
    pub fn main_input(&self) -> usize {
        let weight = |&at: &usize| {
            let units = &self.inputs[at].units;
            let sum: i64 = units.units.iter().map(|unit| unit.span.len_ns()).sum();
            (units.scheme.is_some(), sum, std::cmp::Reverse(at))
        };
        (0..self.inputs.len()).max_by_key(weight).unwrap_or(0)
    }

    /// What a replay comes to.
    pub fn measure(&self, replay: &Replay) -> Measure {
        let graph = self.graph;
        let recorded_last = graph.nodes.end.iter().copied().max().unwrap_or(graph.end_ns);
        let after_ns = graph.end_ns - recorded_last;
        let last = replay.last_ns().unwrap_or(recorded_last);
        let inputs = (0..self.inputs.len()).map(|input| self.measure_input(replay, input));
        Measure { whole_ns: last + after_ns - graph.start_ns, inputs: inputs.collect() }
    }

    fn measure_input(&self, replay: &Replay, input: usize) -> InputMeasure {
        let own = self.graph.lanes.iter().filter(|lane| lane.is_of(input));
        let ends = own.flat_map(|lane| lane.nodes.clone()).map(|node| replay.end[node as usize]);
        let end_ns = ends.max().map(|end| end - self.graph.start_ns);
        let at = &self.inputs[input];
        let lane = at.units.lead.and_then(|track| self.lane_of_thread(input, track));
        let time = |t_ns: i64| {
            let t_ns = t_ns.saturating_add(at.offset_ns);
            lane.and_then(|lane| replay.time_at(self.graph, lane, t_ns)).unwrap_or(t_ns)
        };
        let unit = |span: crate::analyze::intervals::Span| time(span.end_ns) - time(span.start_ns);
        let units = match at.units.scheme {
            Some(_) => at.units.units.iter().map(|one| unit(one.span)).collect(),
            None => self.window(replay, input, end_ns).into_iter().collect(),
        };
        InputMeasure { end_ns, units }
    }

    /// The window of an input without iterations: it ends as much later or earlier as its last node does.
    fn window(&self, replay: &Replay, input: usize, end_ns: Option<i64>) -> Option<i64> {
        debug_assert_eq!(replay.end.len(), self.graph.nodes.count(), "a replay is of its graph");
        let span = self.inputs[input].units.units.first()?.span;
        let own = self.graph.lanes.iter().filter(|lane| lane.is_of(input));
        let ends = own.flat_map(|lane| lane.nodes.clone());
        let recorded = ends.map(|node| self.graph.nodes.end[node as usize]).max()?;
        Some(span.len_ns() + end_ns? + self.graph.start_ns - recorded)
    }

    /// The median steady iteration of an input, nearest rank; of one without iterations that of its window.
    pub fn steady_median_ns(&self, measure: &Measure, input: usize) -> Option<i64> {
        let units = &measure.inputs.get(input)?.units;
        let steady =
            units.iter().zip(&self.inputs[input].is_steady).filter(|(_, is_steady)| **is_steady);
        middle(&mut steady.map(|(&ns, _)| ns).collect::<Vec<_>>())
    }

    /// The lane of a host thread.
    pub fn lane_of_thread(&self, input: usize, track: usize) -> Option<usize> {
        let is_it = |lane: &Lane| lane.input == input && lane.of == LaneOf::Thread(track);
        self.graph.lanes.iter().position(is_it)
    }
}

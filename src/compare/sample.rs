//! The units of two sides sorted for comparison: by lane (stage and rank), in each by bucket, with one numbering of what
//! time is spent in.

use std::collections::{BTreeMap, BTreeSet};

use super::Options;
use super::names;
use crate::analyze::units::{Bucket, Counts, InputUnits, PathNs, Side, Unit};
use crate::analyze::warmup::warmup;

/// One run: the inputs of all its stages and ranks.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Run {
    /// What it is called.
    pub name: String,
    /// Its inputs.
    pub inputs: Vec<InputUnits>,
}

/// What time is spent in, by the name that is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RowKey {
    pub(super) side: Side,
    pub(super) class: String,
    pub(super) name: String,
    /// The operator around the first launch.
    pub(super) op: Option<String>,
}

impl RowKey {
    /// The key in every output: `device/kernel/NAME`.
    pub(super) fn text(&self) -> String {
        format!("{}/{}/{}", self.side.as_str(), self.class, self.name)
    }
}

/// One unit with the numbers of this comparison.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) dur_ns: i64,
    pub(super) annotation_ns: i64,
    pub(super) counts: Counts,
    pub(super) path: Option<PathNs>,
    /// Number of the row, its time, how often it began; by row.
    pub(super) rows: Vec<(u32, i64, u32)>,
}

/// The units of one side in one bucket.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    /// By run, in time order.
    pub(super) runs: Vec<Vec<Sample>>,
    /// Units that were cut as warm-up.
    pub(super) n_cut: u64,
}

impl Group {
    pub(super) fn len(&self) -> u64 {
        self.runs.iter().map(|run| run.len() as u64).sum()
    }

    pub(super) fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.runs.iter().flatten()
    }

    pub(super) fn sum_ns(&self) -> i128 {
        self.samples().map(|sample| i128::from(sample.dur_ns)).sum()
    }
}

/// One bucket of a lane.
#[derive(Clone, Debug)]
pub(super) struct Stratum {
    pub(super) bucket: Bucket,
    pub(super) sides: [Group; 2],
}

impl Stratum {
    /// Whether both sides have units of it.
    pub(super) fn is_matched(&self) -> bool {
        self.sides.iter().all(|group| group.len() > 0)
    }
}

/// One stage and rank of both sides.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub(super) label: String,
    /// The annotations of either side; `None` where the window is the unit.
    pub(super) schemes: [Option<String>; 2],
    pub(super) strata: Vec<Stratum>,
    pub(super) rows: Vec<RowKey>,
    pub(super) has_device: bool,
}

impl Lane {
    /// Units of a side in all buckets.
    pub(super) fn len(&self, side: usize) -> u64 {
        self.strata.iter().map(|stratum| stratum.sides[side].len()).sum()
    }

    /// Runs of a side that have units.
    pub(super) fn n_runs(&self, side: usize) -> u64 {
        let of_group = |group: &Group| group.runs.iter().map(Vec::is_empty).collect::<Vec<_>>();
        let all: Vec<Vec<bool>> =
            self.strata.iter().map(|stratum| of_group(&stratum.sides[side])).collect();
        let n = all.iter().map(Vec::len).max().unwrap_or(0);
        let is_filled = |run: &usize| all.iter().any(|empty| empty.get(*run) == Some(&false));
        (0..n).filter(is_filled).count() as u64
    }

    pub(super) fn matched(&self) -> impl Iterator<Item = &Stratum> {
        self.strata.iter().filter(|stratum| stratum.is_matched())
    }
}

/// Stage and rank.
type LaneKey = (Option<u32>, Option<u32>);

/// The lanes that both sides have, and what is said of those that are not compared.
pub(super) fn lanes(sides: [&[Run]; 2], options: &Options) -> (Vec<Lane>, Vec<String>) {
    let mut cautions = Vec::new();
    let by_key = sides.map(|runs| by_key(runs));
    let is_one_each = by_key.iter().all(|lanes| lanes.len() == 1);
    let mut found = Vec::new();
    if is_one_each {
        // One input a side is compared whatever it is called.
        let [a, b] = by_key.each_ref().map(|lanes| lanes.values().next());
        if let (Some(a), Some(b)) = (a, b) {
            found.extend(lane([a, b], options, &mut cautions));
        }
    } else {
        let keys: BTreeSet<LaneKey> =
            by_key.iter().flat_map(|lanes| lanes.keys().copied()).collect();
        for key in keys {
            match by_key.each_ref().map(|lanes| lanes.get(&key)) {
                [Some(a), Some(b)] => found.extend(lane([a, b], options, &mut cautions)),
                [Some(one), None] => cautions.push(only_in("A", one)),
                [None, Some(one)] => cautions.push(only_in("B", one)),
                [None, None] => {}
            }
        }
    }
    (found, cautions)
}

/// The inputs of a lane by run.
type LaneInputs<'a> = Vec<Vec<&'a InputUnits>>;

fn by_key(runs: &[Run]) -> BTreeMap<LaneKey, LaneInputs<'_>> {
    let mut lanes: BTreeMap<LaneKey, LaneInputs<'_>> = BTreeMap::new();
    for (number, run) in runs.iter().enumerate() {
        // A front end has no iterations; it is no lane where other inputs have some.
        let has_iterations = run.inputs.iter().any(|input| input.scheme.is_some());
        for input in run.inputs.iter().filter(|one| one.scheme.is_some() || !has_iterations) {
            let lane = lanes.entry((input.stage, input.rank)).or_default();
            lane.resize(number.max(lane.len().saturating_sub(1)) + 1, Vec::new());
            lane[number].push(input);
        }
    }
    lanes
}

fn label(inputs: &LaneInputs<'_>) -> String {
    let labels = inputs.iter().flatten().map(|input| input.label.as_str());
    labels.into_iter().find(|label| !label.is_empty()).unwrap_or("the trace").to_owned()
}

fn only_in(side: &str, inputs: &LaneInputs<'_>) -> String {
    format!("{} is in {side} alone: it is not compared", label(inputs))
}

fn lane(
    inputs: [&LaneInputs<'_>; 2],
    options: &Options,
    cautions: &mut Vec<String>,
) -> Option<Lane> {
    let schemes = inputs.map(|side| side.iter().flatten().find_map(|input| input.scheme.clone()));
    let label = label(inputs[0]);
    if schemes[0].is_some() != schemes[1].is_some() {
        let (with, without) = if schemes[0].is_some() { ("A", "B") } else { ("B", "A") };
        cautions.push(format!(
            "{label}: {with} has iterations and {without} has none: an iteration cannot be compared with a whole window"
        ));
        return None;
    }
    let is_alone = inputs.map(|side| side.iter().flatten().any(|input| input.is_alone));
    if is_alone[0] != is_alone[1] {
        let side = if is_alone[0] { "A" } else { "B" };
        cautions.push(format!(
            "{label}: {side} holds one iteration, and no other follows that would tell how long it lasts; record some tens"
        ));
        return None;
    }
    for (side, inputs) in ["A", "B"].iter().zip(inputs) {
        note_inputs(&label, side, inputs, cautions);
    }
    let has_device = inputs.iter().all(|side| side.iter().flatten().any(|one| one.has_device()));
    let mut sorter =
        Sorter { options, rows: Vec::new(), numbers: BTreeMap::new(), strata: BTreeMap::new() };
    for (side, inputs) in inputs.iter().enumerate() {
        for (run, inputs) in inputs.iter().enumerate() {
            inputs.iter().for_each(|input| sorter.add(side, run, input));
        }
    }
    let strata = sorter.strata.into_iter().map(|(bucket, sides)| Stratum { bucket, sides });
    let strata: Vec<Stratum> = strata.collect();
    Some(Lane { label, schemes, strata, rows: sorter.rows, has_device })
}

fn note_inputs(label: &str, side: &str, inputs: &LaneInputs<'_>, cautions: &mut Vec<String>) {
    for input in inputs.iter().flatten() {
        if input.n_threads > 1 {
            cautions.push(format!(
                "{label}: {} threads of {side} have iterations; the one with most of them is compared",
                input.n_threads
            ));
        }
        if input.n_devices > 1 {
            cautions.push(format!(
                "{label}: {} devices of {side} were active; the account is of the busiest",
                input.n_devices
            ));
        }
        if input.units.is_empty() {
            cautions.push(format!("{label}: {side} holds no time to compare"));
        }
    }
}

/// Sorts the units of a lane.
struct Sorter<'a> {
    options: &'a Options,
    rows: Vec<RowKey>,
    numbers: BTreeMap<(Side, String, String), u32>,
    strata: BTreeMap<Bucket, [Group; 2]>,
}

impl Sorter<'_> {
    fn add(&mut self, side: usize, run: usize, input: &InputUnits) {
        let rows: Vec<u32> = input
            .parts
            .iter()
            .map(|part| {
                let name = names::part(part, self.options.merges_tiles);
                let key = (part.side, part.class.clone(), name);
                let next = self.rows.len() as u32;
                let number = *self.numbers.entry(key.clone()).or_insert(next);
                if number == next {
                    let (side, class, name) = key;
                    self.rows.push(RowKey { side, class, name, op: part.op.clone() });
                }
                number
            })
            .collect();
        for (number, bucket) in input.buckets.iter().enumerate() {
            let units: Vec<&Unit> =
                input.units.iter().filter(|unit| unit.bucket as usize == number).collect();
            let durations: Vec<i64> = units.iter().map(|unit| unit.dur_ns).collect();
            let cut = if self.options.keeps_warmup { 0 } else { warmup(&durations) };
            let group = &mut self.strata.entry(bucket.clone()).or_default()[side];
            group.n_cut += cut as u64;
            if group.runs.len() <= run {
                group.runs.resize_with(run + 1, Vec::new);
            }
            let samples = units[cut..].iter().map(|unit| sample(unit, &rows));
            group.runs[run].extend(samples);
        }
    }
}

fn sample(unit: &Unit, numbers: &[u32]) -> Sample {
    let mut rows: Vec<(u32, i64, u32)> =
        unit.parts.iter().map(|&(part, ns, n)| (numbers[part as usize], ns, n)).collect();
    rows.sort_unstable();
    rows.dedup_by(|next, kept| {
        let is_same = next.0 == kept.0;
        if is_same {
            kept.1 += next.1;
            kept.2 += next.2;
        }
        is_same
    });
    let Unit { dur_ns, annotation_ns, counts, path, .. } = *unit;
    Sample { dur_ns, annotation_ns, counts, path, rows }
}

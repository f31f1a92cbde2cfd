//! Whether two sides are set up alike: said before any figure.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::DifferenceRow;
use super::sample::{Lane, Run};
use crate::analyze::units::{InputUnits, Settings};

/// Settings of the profiler that slow what is profiled.
const SLOWING: [&str; 5] =
    ["with_stack", "record_shapes", "profile_memory", "with_flops", "with_modules"];

/// From this share of kernels of graphs, in percent, work is said to be launched by graphs.
const MOSTLY_GRAPHS_PCT: u64 = 10;

/// What differs between the sides as a whole, and between the sides of each lane.
pub(super) fn differences(sides: [&[Run]; 2], lanes: &[Lane]) -> Vec<DifferenceRow> {
    let mut rows = Vec::new();
    let inputs = sides.map(|runs| runs.iter().flat_map(|run| &run.inputs).collect::<Vec<_>>());
    let mut add = |lane: Option<usize>, what: &str, values: [Option<String>; 2], matters: bool| {
        let [a, b] = values;
        if a != b {
            rows.push(DifferenceRow { lane, what: what.to_owned(), a, b, matters });
        }
    };
    let of = |read: &dyn Fn(&Settings) -> Option<String>| {
        inputs.each_ref().map(|inputs| joined(inputs.iter().filter_map(|one| read(&one.settings))))
    };
    let gpus = |s: &Settings| (!s.gpus.is_empty()).then(|| s.gpus.join(", "));
    add(None, "GPU", of(&gpus), true);
    let n_inputs = |runs: &[Run]| runs.iter().map(|run| run.inputs.len()).max().unwrap_or(0);
    add(None, "ranks", sides.map(|runs| Some(n_inputs(runs).to_string())), true);
    add(None, "world size", of(&|s| s.world_size.map(|n| n.to_string())), true);
    add(None, "device activity recorded", of(&|s| Some(yes(s.has_device))), true);
    add(None, "kernels launched", of(&|s| s.graph_pct().map(launches)), true);
    add(None, "Python frames recorded", of(&|s| Some(yes(s.has_frames))), true);
    add(None, "written by", of(&|s| s.writer.clone()), true);
    let weights = inputs.each_ref().map(|inputs| weights(inputs));
    if weights.iter().all(|weights| !weights.is_empty()) && weights[0] != weights[1] {
        let only = |own: usize| {
            let lost: Vec<&str> =
                weights[own].difference(&weights[1 - own]).map(String::as_str).collect();
            Some(shortened(&lost))
        };
        add(None, "shapes of weights of one side", [only(0), only(1)], true);
    }
    let stated = inputs.each_ref().map(|inputs| stated(inputs));
    let keys: BTreeSet<&String> = stated.iter().flat_map(BTreeMap::keys).collect();
    for key in keys {
        let values = [0, 1].map(|side| stated[side].get(key).cloned());
        let is_slowing = SLOWING.contains(&key.as_str());
        // A setting of the profiler that is off is not written.
        let values = if is_slowing {
            values.map(|v| Some(v.unwrap_or_else(|| "0".to_owned())))
        } else {
            values
        };
        add(None, key, values, true);
    }
    for (number, lane) in lanes.iter().enumerate() {
        add(Some(number), "iterations by", lane.schemes.clone(), true);
        let buckets = [0, 1].map(|side| {
            let own = lane.strata.iter().filter(|s| s.sides[side].len() > 0 && !s.is_matched());
            let labels: Vec<String> = own.map(|s| s.bucket.label()).collect();
            (!labels.is_empty()).then(|| labels.join("; "))
        });
        add(Some(number), "iterations of one side", buckets, false);
    }
    rows
}

/// Whether the sides run different models: weights of both are known, and not one of their shapes is in both.
pub(super) fn are_other_models(sides: [&[Run]; 2]) -> bool {
    let [a, b] = sides.map(|runs| {
        weights(&runs.iter().flat_map(|run| &run.inputs).collect::<Vec<&InputUnits>>())
    });
    !a.is_empty() && !b.is_empty() && a.is_disjoint(&b)
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

fn launches(graph_pct: u64) -> String {
    match graph_pct {
        0..MOSTLY_GRAPHS_PCT => "one by one (eager)".to_owned(),
        _ => "by graphs".to_owned(),
    }
}

/// Several values of a side as one; `None` where there are none.
fn joined(values: impl Iterator<Item = String>) -> Option<String> {
    let all: BTreeSet<String> = values.collect();
    (!all.is_empty()).then(|| all.into_iter().collect::<Vec<_>>().join(" | "))
}

fn weights(inputs: &[&InputUnits]) -> BTreeSet<String> {
    inputs.iter().flat_map(|input| input.settings.weights.iter().cloned()).collect()
}

fn stated(inputs: &[&InputUnits]) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (key, value) in inputs.iter().flat_map(|input| &input.settings.stated) {
        all.entry(key.clone()).or_default().insert(value.clone());
    }
    let text = |values: BTreeSet<String>| values.into_iter().collect::<Vec<_>>().join(" | ");
    all.into_iter().map(|(key, values)| (key, text(values))).collect()
}

/// A few of many texts.
fn shortened(texts: &[&str]) -> String {
    const SHOWN: usize = 4;
    let shown = texts.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match texts.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

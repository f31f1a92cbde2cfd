//! The processed format of the Firefox profiler, version 48, which later ones take as well: a thread for each question,
//! whose samples are weighted in milliseconds, the profiler's unit of time.
//!
//! The format is that of `docs-developer/processed-profile-format.md` and `src/types/profile.js` of `firefox-devtools/profiler`.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::table::profile::Profile;

/// Version of the format.
const VERSION: u32 = 48;

/// Nanoseconds of a millisecond.
const NS: f64 = 1e6;

/// Profiles of one input as a file of the Firefox profiler.
pub fn firefox(name: &str, profiles: &[Profile]) -> String {
    let threads: Vec<Value> =
        profiles.iter().enumerate().map(|(at, profile)| thread(at, profile)).collect();
    json!({
        "meta": {
            "interval": 1,
            "startTime": 0,
            "processType": 0,
            "product": name,
            "stackwalk": 1,
            "version": 30,
            "preprocessedProfileVersion": VERSION,
            "symbolicated": true,
            "importedFrom": "omni-trace",
            "categories": [
                { "name": "Other", "color": "grey", "subcategories": ["Other"] },
            ],
            "markerSchema": [],
        },
        "libs": [],
        "pages": [],
        "threads": threads,
    })
    .to_string()
}

fn thread(number: usize, profile: &Profile) -> Value {
    let stacks = Stacks::of(profile);
    let n_frames = profile.frames.len();
    let n_samples = stacks.samples.len();
    let mut time_ns = 0;
    let mut times = Vec::with_capacity(n_samples);
    for (_, ns) in &profile.samples {
        times.push(time_ns as f64 / NS);
        time_ns += ns;
    }
    let weights: Vec<f64> = profile.samples.iter().map(|&(_, ns)| ns as f64 / NS).collect();
    json!({
        "name": profile.title,
        "processName": "omni-trace",
        "processType": "default",
        "processStartupTime": 0,
        "processShutdownTime": null,
        "registerTime": 0,
        "unregisterTime": null,
        "pausedRanges": [],
        "isMainThread": number == 0,
        "pid": "0",
        "tid": number,
        "samples": {
            "stack": stacks.samples,
            "time": times,
            "weight": weights,
            "weightType": "tracing-ms",
            "length": n_samples,
        },
        "markers": { "data": [], "name": [], "startTime": [], "endTime": [], "phase": [], "category": [], "length": 0 },
        "stackTable": {
            "frame": stacks.frames,
            "prefix": stacks.prefixes,
            "category": vec![0; stacks.frames.len()],
            "subcategory": vec![0; stacks.frames.len()],
            "length": stacks.frames.len(),
        },
        "frameTable": frames(n_frames),
        "funcTable": functions(n_frames),
        "resourceTable": { "lib": [], "name": [], "host": [], "type": [], "length": 0 },
        "nativeSymbols": { "libIndex": [], "address": [], "name": [], "functionSize": [], "length": 0 },
        "stringArray": profile.frames,
    })
}

/// A frame for each function.
fn frames(n: usize) -> Value {
    let each = |value: Value| vec![value; n];
    json!({
        "address": each(json!(-1)),
        "inlineDepth": each(json!(0)),
        "category": each(json!(0)),
        "subcategory": each(json!(0)),
        "func": Vec::from_iter(0..n),
        "nativeSymbol": each(Value::Null),
        "innerWindowID": each(Value::Null),
        "implementation": each(Value::Null),
        "line": each(Value::Null),
        "column": each(Value::Null),
        "length": n,
    })
}

/// A function for each name.
fn functions(n: usize) -> Value {
    let each = |value: Value| vec![value; n];
    json!({
        "isJS": each(json!(false)),
        "relevantForJS": each(json!(false)),
        "name": Vec::from_iter(0..n),
        "resource": each(json!(-1)),
        "fileName": each(Value::Null),
        "lineNumber": each(Value::Null),
        "columnNumber": each(Value::Null),
        "length": n,
    })
}

/// Stacks as a table whose rows are a frame on top of another row.
#[derive(Default)]
struct Stacks {
    frames: Vec<u32>,
    prefixes: Vec<Option<usize>>,
    /// The row of each sample.
    samples: Vec<Option<usize>>,
}

impl Stacks {
    fn of(profile: &Profile) -> Self {
        let mut table = Self::default();
        let mut known: HashMap<(Option<usize>, u32), usize> = HashMap::new();
        for (stack, _) in &profile.samples {
            let mut row = None;
            for &frame in stack {
                let next = *known.entry((row, frame)).or_insert_with(|| {
                    table.frames.push(frame);
                    table.prefixes.push(row);
                    table.frames.len() - 1
                });
                row = Some(next);
            }
            table.samples.push(row);
        }
        table
    }
}

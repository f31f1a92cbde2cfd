//! The file format of speedscope: frames once, and a sampled profile for each question, weighted in nanoseconds.
//!
//! Its definition is `file-format-schema.json` of the `speedscope` package.

use serde::Serialize;

use crate::table::profile::Profile;

#[derive(Serialize)]
struct File<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    exporter: String,
    name: &'a str,
    #[serde(rename = "activeProfileIndex")]
    active: usize,
    shared: Shared<'a>,
    profiles: Vec<Sampled<'a>>,
}

#[derive(Serialize)]
struct Shared<'a> {
    frames: Vec<Frame<'a>>,
}

#[derive(Serialize)]
struct Frame<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct Sampled<'a> {
    r#type: &'static str,
    name: &'a str,
    unit: &'static str,
    #[serde(rename = "startValue")]
    start: i64,
    #[serde(rename = "endValue")]
    end: i64,
    samples: Vec<Vec<usize>>,
    weights: Vec<i64>,
}

/// Profiles of one input as a file of speedscope.
///
/// # Errors
///
/// None that is known: everything here can be written as JSON.
pub fn speedscope(name: &str, profiles: &[Profile]) -> serde_json::Result<String> {
    let mut frames = Vec::new();
    let mut sampled = Vec::new();
    for profile in profiles {
        let first = frames.len();
        frames.extend(profile.frames.iter().map(|name| Frame { name }));
        let stack = |stack: &Vec<u32>| stack.iter().map(|&frame| first + frame as usize).collect();
        sampled.push(Sampled {
            r#type: "sampled",
            name: profile.title,
            unit: "nanoseconds",
            start: 0,
            end: profile.total_ns(),
            samples: profile.samples.iter().map(|(frames, _)| stack(frames)).collect(),
            weights: profile.samples.iter().map(|&(_, ns)| ns).collect(),
        });
    }
    serde_json::to_string(&File {
        schema: "https://www.speedscope.app/file-format-schema.json",
        exporter: format!("omni-trace {}", env!("CARGO_PKG_VERSION")),
        name,
        active: 0,
        shared: Shared { frames },
        profiles: sampled,
    })
}

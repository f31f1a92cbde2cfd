//! Work and counters of devices: Perfetto's packets for them, as Kineto writes the same in JSON.
//!
//! The process of a device is its number, the thread its stream. A call names what it started by the numbers of the events;
//! torch's writer says the correlation beside them.

use std::collections::HashMap;
use std::io::Write as _;

use omni_trace_proto::perfetto::{
    GpuCounterDescriptor, GpuCounterEvent, GpuRenderStageEvent,
    gpu_render_stage_event::{Dim3, ExtraComputeArg, Specifications},
};

use super::annotations::put_string;
use super::convert::Converter;
use super::kinds::stage_category;
use super::pending::{Act, Event, Texts, What};
use super::sequence::Sequence;
use super::units::Units;
use crate::diag::IssueKind;

/// The category of work whose kind nothing tells.
const UNKNOWN_STAGE: &str = "gpu_render_stage";

/// What all sequences share of devices.
#[derive(Default)]
pub(super) struct Gpu {
    /// Names by place, as older writers give them.
    queues: Vec<String>,
    stages: Vec<String>,
    /// Device and name of counters, as older writers give them.
    counters: HashMap<u32, (i32, String)>,
    /// Units of all counters, by name.
    pub(super) units: Units,
    /// Correlation of the call that started an event, by the event's number.
    launches: HashMap<u64, u64>,
    /// Work that says no correlation: its place among the events, its number.
    unlinked: Vec<(usize, u64)>,
}

impl Gpu {
    /// Notes what a call started.
    pub(super) fn launched(&mut self, events: &[u64], correlation: Option<u64>) {
        if let Some(correlation) = correlation {
            self.launches.extend(events.iter().map(|&event| (event, correlation)));
        }
    }

    /// Gives work the correlation of the call that names it.
    pub(super) fn link(&mut self, events: &mut [Event], texts: &mut Texts) {
        for (at, number) in std::mem::take(&mut self.unlinked) {
            if let Some(correlation) = self.launches.get(&number) {
                let more = format!("\"correlation\":{correlation}");
                events[at].arguments = texts.extended(events[at].arguments, &more);
            }
        }
    }

    fn specify(&mut self, given: &Specifications) {
        self.queues.extend(given.hw_queue.iter().map(|queue| queue.name().to_owned()));
        self.stages.extend(given.stage.iter().map(|stage| stage.name().to_owned()));
    }

    fn queue(&self, stage: &GpuRenderStageEvent, sequence: &Sequence) -> String {
        let by_place = |place: i32| self.queues.get(usize::try_from(place).ok()?).cloned();
        let interned = |iid| sequence.stages.get(&iid).map(|(name, _)| name.clone());
        let number = stage.hw_queue_iid.map_or(i64::from(stage.hw_queue_id()), u64::cast_signed);
        let known = match stage.hw_queue_iid {
            Some(iid) => interned(iid),
            None => by_place(stage.hw_queue_id()),
        };
        known.unwrap_or_else(|| format!("queue {number}"))
    }

    /// The kind of work, as its writer calls it, and how it is marked.
    fn kind(&self, stage: &GpuRenderStageEvent, sequence: &Sequence) -> (String, i32) {
        let by_place = |place: i32| self.stages.get(usize::try_from(place).ok()?).cloned();
        match stage.stage_iid {
            Some(iid) => sequence.stages.get(&iid).cloned().unwrap_or_default(),
            None => (by_place(stage.stage_id()).unwrap_or_default(), 0),
        }
    }
}

/// The name of work: its own, its kernel's, that of its kind. Where a kernel names none and the writer knows a single one,
/// it is that one.
fn name_of(stage: &GpuRenderStageEvent, kind: &str, category: &str, sequence: &Sequence) -> String {
    let interned = stage.name_iid.and_then(|iid| sequence.names.get(&iid));
    let kernel = stage.kernel_iid.and_then(|iid| sequence.kernels.get(&iid));
    let is_unnamed = category == "kernel" && stage.kernel_iid.is_none();
    let single =
        sequence.kernels.values().next().filter(|_| is_unnamed && sequence.kernels.len() == 1);
    let name = stage.name.as_ref().or(interned).or(kernel).or(single);
    name.map_or_else(|| kind.to_owned(), Clone::clone)
}

impl Converter {
    /// Takes work of a device.
    pub(super) fn stage(
        &mut self,
        stage: &GpuRenderStageEvent,
        sequence: &Sequence,
        time_ns: Option<i64>,
        offset: u64,
    ) {
        let (tracks, texts, gpu) = self.parts();
        if let Some(given) = &stage.specifications {
            gpu.specify(given);
        }
        if stage.event_id.is_none() {
            return;
        }
        let queue = gpu.queue(stage, sequence);
        let (kind, marked) = gpu.kind(stage, sequence);
        let is_launch = stage.launch.is_some() || stage.kernel_iid.is_some();
        let found = stage_category(&kind, marked, is_launch);
        let category = found.unwrap_or(UNKNOWN_STAGE);
        let name = name_of(stage, &kind, category, sequence);
        let what = texts.what(What {
            category: category.to_owned(),
            name: Some(name),
            is_concluded: false,
        });
        let (text, has_correlation) = arguments_of(stage, &queue, sequence);
        let arguments = texts.put(&text);
        let (track, names) = tracks.of_queue(stage.gpu_id(), &queue);
        self.name(names);
        let Some(time_ns) = time_ns else {
            self.reporter.at(IssueKind::BadTimestamp, offset);
            return;
        };
        if found.is_none() {
            let detail = format!("work of a device of the kind `{kind}`");
            self.reporter.with_detail(IssueKind::UnreadActivity, Some(offset), detail);
        }
        if !has_correlation {
            let at = self.n_pending();
            self.parts().2.unlinked.push((at, stage.event_id()));
        }
        let dur_ns = i64::try_from(stage.duration()).unwrap_or(i64::MAX);
        self.push(Event { time_ns, track, act: Act::Whole { dur_ns }, what, arguments });
    }

    /// Takes samples of a device's counters, each at the time that it was written, as torch's JSON has them.
    pub(super) fn samples(
        &mut self,
        samples: &GpuCounterEvent,
        sequence: &Sequence,
        time_ns: Option<i64>,
        offset: u64,
    ) {
        let interned = samples.counter_descriptor_iid.and_then(|iid| sequence.counters.get(&iid));
        let (tracks, texts, gpu) = self.parts();
        if let Some(given) = &samples.counter_descriptor {
            gpu.units.of_device(given);
            gpu.counters.extend(named(given).map(|(id, name)| (id, (samples.gpu_id(), name))));
        }
        let mut found = Vec::new();
        let mut n_unknown = 0;
        for sample in &samples.counters {
            let value = sample.double_value.or(sample.int_value.map(|value| value as f64));
            let (Some(id), Some(value)) = (sample.counter_id, value) else { continue };
            let known = match interned {
                Some((device, given)) => {
                    named(given).find(|(known, _)| *known == id).map(|(_, name)| (*device, name))
                }
                None => gpu.counters.get(&id).cloned(),
            };
            match known {
                Some((device, name)) => found.push((tracks.of_counter(device, &name), value)),
                None => n_unknown += 1,
            }
        }
        let what = texts.what(What::default());
        let arguments = texts.put(b"");
        if n_unknown > 0 {
            let detail = "samples of a counter without name".to_owned();
            self.reporter.add(IssueKind::UnreadActivity, n_unknown, Some(offset), Some(detail));
        }
        let Some(time_ns) = time_ns else {
            if !found.is_empty() {
                self.reporter.at(IssueKind::BadTimestamp, offset);
            }
            return;
        };
        for (track, value) in found {
            self.push(Event { time_ns, track, act: Act::Sample { value }, what, arguments });
        }
    }
}

/// Numbers and names of counters.
fn named(given: &GpuCounterDescriptor) -> impl Iterator<Item = (u32, String)> + '_ {
    let named = given.specs.iter().filter(|spec| spec.name.is_some());
    named.filter_map(|spec| Some((spec.counter_id?, spec.name().to_owned())))
}

/// What Kineto calls an argument of Perfetto's.
fn kineto_key(key: &str) -> &str {
    match key {
        "device id" => "device",
        "stream id" => "stream",
        "context id" => "context",
        "registers_per_thread" => "registers per thread",
        other => other,
    }
}

/// Arguments as members, and whether one is the correlation.
fn arguments_of(stage: &GpuRenderStageEvent, queue: &str, sequence: &Sequence) -> (Vec<u8>, bool) {
    let mut members = Members::default();
    for data in &stage.extra_data {
        members.put(kineto_key(data.name()), data.value());
    }
    if !members.has("device") {
        members.put("device", &stage.gpu_id().to_string());
    }
    if let Some(stream) = stream_of(queue).filter(|_| !members.has("stream")) {
        members.put("stream", &stream.to_string());
    }
    if let Some(launch) = &stage.launch {
        for (key, size) in [("grid", &launch.grid_size), ("block", &launch.workgroup_size)] {
            if let Some(Dim3 { x, y, z }) = size {
                let [x, y, z] = [x, y, z].map(|n| n.unwrap_or(1));
                members.put(key, &format!("[{x}, {y}, {z}]"));
            }
        }
        for argument in &launch.args {
            members.argument(argument, sequence);
        }
    }
    let has_correlation = members.has("correlation");
    (members.text, has_correlation)
}

/// Members of an object, each key once.
#[derive(Default)]
struct Members {
    text: Vec<u8>,
    keys: Vec<String>,
}

impl Members {
    fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|known| known == key)
    }

    /// A text; what is a number, or an array of the launch, as such.
    fn put(&mut self, key: &str, value: &str) {
        if self.has(key) {
            return;
        }
        self.keys.push(key.to_owned());
        if !self.text.is_empty() {
            self.text.push(b',');
        }
        put_string(key, &mut self.text);
        self.text.push(b':');
        let is_number = serde_json::from_str::<serde_json::Number>(value).is_ok();
        if is_number || matches!(key, "grid" | "block") && value.starts_with('[') {
            self.text.extend_from_slice(value.as_bytes());
        } else {
            put_string(value, &mut self.text);
        }
    }

    fn argument(&mut self, argument: &ExtraComputeArg, sequence: &Sequence) {
        let interned = argument.name_iid.and_then(|iid| sequence.launch_keys.get(&iid));
        let Some(key) = argument.name.as_ref().or(interned) else { return };
        let mut value = Vec::new();
        if let Some(number) = argument.uint_value {
            let _ = write!(value, "{number}");
        } else if let Some(number) = argument.int_value {
            let _ = write!(value, "{number}");
        } else if let Some(number) = argument.double_value {
            let _ = write!(value, "{number}");
        } else {
            let interned = argument.string_value_iid.and_then(|iid| sequence.strings.get(&iid));
            let text = argument.string_value.as_ref().or(interned);
            value.extend_from_slice(text.map_or(&b""[..], |text| text.as_bytes()));
        }
        self.put(kineto_key(key), &String::from_utf8_lossy(&value));
    }
}

/// The stream of a queue: `stream 7`, or `[07] stream 7`.
fn stream_of(queue: &str) -> Option<u32> {
    let name = queue.split_once("] ").map_or(queue, |(_, name)| name);
    name.strip_prefix("stream ")?.parse().ok()
}

/// The thread of a queue, as JSON: its stream, the number in brackets of a lane that is none, or its name.
pub(super) fn lane_of(queue: &str) -> String {
    let bracket = || queue.strip_prefix('[')?.split_once(']')?.0.parse::<u32>().ok();
    let number = stream_of(queue).or_else(bracket);
    number.map_or_else(|| serde_json::Value::from(queue).to_string(), |number| number.to_string())
}

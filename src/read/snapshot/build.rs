//! From the values of a pickle to a snapshot.

use std::collections::{BTreeMap, HashMap};

use super::pickle::{Node, Pickle, RawEvent, Value};
use crate::diag::{IssueKind, Reporter};
use crate::store::{
    Action, AllocatorEvent, AllocatorSettings, Annotation, Block, BlockState, CallFrame,
    DeviceHistory, Segment, Snapshot,
};

/// The snapshot of a pickle; `None` of one that is none.
pub(super) fn snapshot(pickle: &Pickle, reporter: &mut Reporter) -> Option<Snapshot> {
    let root = pickle.root?;
    let (segments, traces) = (pickle.get(root, "segments")?, pickle.get(root, "device_traces"));
    let mut stacks = Stacks::new(pickle);
    let mut devices: BTreeMap<u32, DeviceHistory> = BTreeMap::new();
    let mut lost = 0;
    for &segment in pickle.list(segments) {
        let found = segment_of(pickle, segment, &mut stacks);
        let Some((device, segment)) = found else {
            lost += 1;
            continue;
        };
        devices.entry(device).or_default().segments.push(segment);
    }
    let traces = traces.map_or(&[][..], |traces| pickle.list(traces));
    for (device, &trace) in (0..).zip(traces) {
        let events = pickle.list(trace);
        if events.is_empty() {
            continue;
        }
        let made: Vec<AllocatorEvent> =
            events.iter().filter_map(|&one| event_of(pickle, one, &mut stacks)).collect();
        lost += (events.len() - made.len()) as u64;
        devices.entry(device).or_default().events = made;
    }
    if lost > 0 {
        let what = "a segment or an event of the snapshot has no address, size or time".to_owned();
        reporter.add(IssueKind::UnreadableEvent, lost, None, Some(what));
    }
    let devices = devices.into_iter().map(|(device, one)| finished(device, one)).collect();
    let settings = settings(pickle, pickle.get(root, "allocator_settings"));
    let annotations = annotations(pickle, pickle.get(root, "external_annotations"));
    let Stacks { stacks, frames, .. } = stacks;
    Some(Snapshot { devices, stacks, frames, annotations, settings })
}

fn finished(device: u32, mut history: DeviceHistory) -> DeviceHistory {
    history.device = device;
    history.segments.sort_by_key(|segment| segment.address);
    history
}

/// The stacks of a snapshot, each list of frames of the pickle once.
struct Stacks<'a> {
    pickle: &'a Pickle,
    /// Numbers of the stacks by list, of the frames by dictionary.
    of_list: HashMap<u32, Option<u32>>,
    of_frame: HashMap<u32, u32>,
    stacks: Vec<Vec<u32>>,
    frames: Vec<CallFrame>,
}

impl<'a> Stacks<'a> {
    fn new(pickle: &'a Pickle) -> Self {
        Self {
            pickle,
            of_list: HashMap::new(),
            of_frame: HashMap::new(),
            stacks: Vec::new(),
            frames: Vec::new(),
        }
    }

    /// The number of a list of frames; `None` of an empty one.
    fn stack(&mut self, frames: Option<Value>) -> Option<u32> {
        let Value::Node(list) = frames? else { return None };
        if let Some(&known) = self.of_list.get(&list) {
            return known;
        }
        let items = self.pickle.list(Value::Node(list));
        let frames: Vec<u32> = items.iter().filter_map(|&frame| self.frame(frame)).collect();
        let number = (!frames.is_empty()).then(|| {
            self.stacks.push(frames);
            self.stacks.len() as u32 - 1
        });
        self.of_list.insert(list, number);
        number
    }

    fn frame(&mut self, frame: Value) -> Option<u32> {
        let Value::Node(dict) = frame else { return None };
        if let Some(&known) = self.of_frame.get(&dict) {
            return Some(known);
        }
        let text = |key| {
            let text = self.pickle.get(frame, key).and_then(|value| self.pickle.text(value));
            text.unwrap_or_default().to_owned()
        };
        let line = self.pickle.size(frame, "line").unwrap_or(0);
        self.frames.push(CallFrame { name: text("name"), file: text("filename"), line });
        let number = self.frames.len() as u32 - 1;
        self.of_frame.insert(dict, number);
        Some(number)
    }
}

fn segment_of(pickle: &Pickle, segment: Value, stacks: &mut Stacks<'_>) -> Option<(u32, Segment)> {
    let device = u32::try_from(pickle.size(segment, "device")?).ok()?;
    let (address, bytes) = (pickle.size(segment, "address")?, pickle.size(segment, "total_size")?);
    address.checked_add(bytes)?;
    let mut next = address;
    let mut blocks = Vec::new();
    for &block in pickle.get(segment, "blocks").map_or(&[][..], |blocks| pickle.list(blocks)) {
        let bytes = pickle.size(block, "size")?;
        // Before torch 2.1 blocks have no address: they lie one behind the other.
        let address = pickle.size(block, "address").unwrap_or(next);
        next = address.checked_add(bytes)?;
        let state = match pickle.get(block, "state").and_then(|state| pickle.text(state))? {
            "active_allocated" => BlockState::Allocated,
            "inactive" => BlockState::Inactive,
            _ => BlockState::PendingFree,
        };
        let stack = stacks.stack(pickle.get(block, "frames"));
        blocks.push(Block { address, bytes, state, stack });
    }
    Some((device, Segment { address, bytes, blocks }))
}

fn event_of(pickle: &Pickle, event: Value, stacks: &mut Stacks<'_>) -> Option<AllocatorEvent> {
    let Value::Node(node) = event else { return None };
    let Some(&Node::Event(number)) = pickle.nodes.get(node as usize) else { return None };
    let RawEvent { action, address, bytes, time_us, frames } =
        *pickle.events.get(number as usize)?;
    let is_other = action == Action::Other;
    Some(AllocatorEvent {
        action,
        address: address.or(is_other.then_some(0))?,
        bytes: bytes.filter(|&bytes| i64::try_from(bytes).is_ok()).or(is_other.then_some(0))?,
        at_ns: time_us.filter(|&us| us >= 0)?.checked_mul(1000)?,
        stack: stacks.stack(Some(frames)),
    })
}

/// The ranges that began and ended, by their begins.
fn annotations(pickle: &Pickle, marks: Option<Value>) -> Vec<Annotation> {
    let mut open: HashMap<(u32, &str), Vec<i64>> = HashMap::new();
    let mut ended = Vec::new();
    for &mark in marks.map_or(&[][..], |marks| pickle.list(marks)) {
        let text = |key| pickle.get(mark, key).and_then(|value| pickle.text(value));
        let device = pickle.size(mark, "device").and_then(|device| u32::try_from(device).ok());
        let at_ns = pickle.size(mark, "time_us").and_then(|us| i64::try_from(us).ok());
        let at_ns = at_ns.and_then(|us| us.checked_mul(1000));
        let (Some(name), Some(device), Some(at_ns)) = (text("name"), device, at_ns) else {
            continue;
        };
        let starts = open.entry((device, name)).or_default();
        match text("stage") {
            Some("START") => starts.push(at_ns),
            Some("END") => ended.extend(starts.pop().map(|start_ns| Annotation {
                device,
                name: name.to_owned(),
                start_ns,
                end_ns: at_ns,
            })),
            _ => {}
        }
    }
    ended.sort_by_key(|one| (one.start_ns, one.end_ns));
    ended
}

fn settings(pickle: &Pickle, settings: Option<Value>) -> AllocatorSettings {
    let get = |key| settings.and_then(|settings| pickle.get(settings, key));
    let powers = get("roundup_power2_divisions");
    let rounds_to_powers = powers.is_some_and(|powers| {
        let Value::Node(node) = powers else { return false };
        let Some(Node::Dict(pairs)) = pickle.nodes.get(node as usize) else { return false };
        pairs.iter().any(|&(_, divisions)| matches!(divisions, Value::Int(2..)))
    });
    AllocatorSettings {
        is_expandable: get("expandable_segments") == Some(Value::Bool(true)),
        max_split_bytes: settings.and_then(|settings| pickle.size(settings, "max_split_size")),
        rounds_to_powers,
    }
}

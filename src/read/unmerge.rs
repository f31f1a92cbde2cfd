//! Events of a merged file back to those of its inputs: names, ids and clocks as they were.

use std::collections::BTreeMap;
use std::io::Write as _;

use super::chrome::decode::{Decoder, flow_id};
use super::chrome::event::{Alike, RawEvent, RawValue};
use super::chrome::tolerant::Reading;
use super::chrome::walk::Sink;
use super::ids::{ID_ARGUMENTS, id_space, original_id, was_renumbered};
use crate::diag::{IssueKind, Reporter};
use crate::model::time::write_us;
use crate::store::{ADDED_KEY, Chunk, Keep, ORIGINAL_KEY, Part};

/// How events find their input.
pub(super) struct SplitPlan {
    parts: Vec<PartPlan>,
    /// Part and original pid (as JSON) of each pid of the merged file.
    processes: BTreeMap<Vec<u8>, Process>,
}

/// What a pid of the merged file was.
struct Process {
    part: usize,
    /// As JSON.
    pid: Vec<u8>,
    /// As JSON.
    name: Option<Vec<u8>>,
}

/// What a tid of the merged file was.
struct Thread {
    /// As JSON.
    tid: Vec<u8>,
    /// As JSON.
    name: Option<Vec<u8>>,
}

fn json(name: &Option<String>) -> Option<Vec<u8>> {
    name.as_deref().map(|name| serde_json::Value::from(name).to_string().into_bytes())
}

struct PartPlan {
    shift_ns: i64,
    id_offset: u64,
    /// The arguments that were renumbered, where the file says it.
    renumbered: Option<Vec<String>>,
    /// What each renumbered (pid, tid) was.
    threads: BTreeMap<(Vec<u8>, Vec<u8>), Thread>,
}

impl SplitPlan {
    pub(super) fn new(parts: &[Part]) -> Self {
        let mut plan = Self { parts: Vec::new(), processes: BTreeMap::new() };
        for (i, part) in parts.iter().enumerate() {
            for process in &part.processes {
                let pid = process.of.get().as_bytes().to_vec();
                let of = Process { part: i, pid, name: json(&process.name) };
                plan.processes.insert(process.pid.to_string().into_bytes(), of);
            }
            let thread = |t: &crate::store::PartThread| {
                let key = (t.pid.to_string().into_bytes(), t.tid.to_string().into_bytes());
                (key, Thread { tid: t.of.get().as_bytes().to_vec(), name: json(&t.name) })
            };
            plan.parts.push(PartPlan {
                shift_ns: part.shift_ns,
                id_offset: part.id_offset,
                renumbered: part.renumbered.clone(),
                threads: part.threads.iter().map(thread).collect(),
            });
        }
        plan
    }
}

/// Gives events of a merged file as their inputs had them.
pub(super) struct Restorer<'p> {
    plan: &'p SplitPlan,
    scratch: Vec<u8>,
}

impl<'p> Restorer<'p> {
    pub(super) fn new(plan: &'p SplitPlan) -> Self {
        Self { plan, scratch: Vec::new() }
    }

    /// Gives `take` the number of the event's input and the event as that had it, where it had it. False where the event
    /// is none of the inputs'.
    pub(super) fn restore(
        &mut self,
        event: &RawEvent<'_>,
        take: impl FnOnce(usize, &RawEvent<'_>),
    ) -> bool {
        let Some(process) = self.plan.processes.get(event.pid.0) else { return false };
        if event.arg(ADDED_KEY.as_bytes()).is_some() {
            return true;
        }
        let plan = &self.plan.parts[process.part];
        self.scratch.clear();
        let numbers = Numbers::write(event, plan, &mut self.scratch);
        let mut original = RawEvent { alike: Alike::default(), ..event.clone() };
        numbers.put(&mut original, &self.scratch);
        original.pid = RawValue(&process.pid);
        let mut thread = None;
        if !plan.threads.is_empty() {
            thread = plan.threads.get(&(event.pid.0.to_vec(), event.tid.0.to_vec()));
        }
        if let Some(thread) = thread {
            original.tid = RawValue(&thread.tid);
        }
        if restore_metadata(&mut original, process, thread) {
            take(process.part, &original);
        }
        true
    }
}

/// Decodes the events of a block for each input on its own.
pub(super) struct PartsSink<'p> {
    restorer: Restorer<'p>,
    decoders: Vec<Decoder>,
    reporter: Reporter,
}

impl<'p> PartsSink<'p> {
    pub(super) fn new(plan: &'p SplitPlan, keep: Keep) -> Self {
        let decoders = plan.parts.iter().map(|_| Decoder::new(keep)).collect();
        Self { restorer: Restorer::new(plan), decoders, reporter: Reporter::default() }
    }
}

impl Sink for PartsSink<'_> {
    type Output = Vec<(Chunk, Reporter)>;

    fn event(&mut self, event: &RawEvent<'_>, offset: u64, _: Reading) {
        let decoders = &mut self.decoders;
        if !self.restorer.restore(event, |part, event| decoders[part].push(event, offset)) {
            let detail = "its pid is none of the merged inputs'";
            self.reporter.with_detail(IssueKind::UnreadableEvent, Some(offset), detail);
        }
    }

    fn reporter(&mut self) -> &mut Reporter {
        &mut self.reporter
    }

    fn finish(self) -> (Self::Output, Reporter) {
        (self.decoders.into_iter().map(Sink::finish).collect(), self.reporter)
    }
}

/// What a metadata event said before merging named it anew; false where the input had no such event. JSON keeps the
/// former name in the event itself, Perfetto in the part.
fn restore_metadata<'a>(
    event: &mut RawEvent<'a>,
    process: &'a Process,
    thread: Option<&'a Thread>,
) -> bool {
    if event.ph.inner() != b"M" {
        return true;
    }
    let kept = event.arg(ORIGINAL_KEY.as_bytes());
    let original = match (event.name.inner(), kept) {
        (_, Some(kept)) => Some(kept.0),
        (b"process_name", None) => process.name.as_deref(),
        (b"thread_name", None) => match thread {
            Some(thread) => thread.name.as_deref(),
            None => return true,
        },
        _ => return true,
    };
    let Some(original) = original else { return false };
    event.args.retain(|(key, _)| *key != ORIGINAL_KEY.as_bytes());
    for (key, value) in &mut event.args {
        if matches!(*key, b"name" | b"labels" | b"sort_index") {
            *value = RawValue(original);
        }
    }
    true
}

/// Where in a scratch text the changed numbers of an event stand.
struct Numbers {
    ts: Option<(usize, usize)>,
    id: Option<(usize, usize)>,
    args: [Option<(usize, usize, usize)>; ID_ARGUMENTS.len()],
}

impl Numbers {
    /// Writes the numbers that differ.
    fn write(event: &RawEvent<'_>, plan: &PartPlan, out: &mut Vec<u8>) -> Self {
        let mut numbers = Self { ts: None, id: None, args: [None; ID_ARGUMENTS.len()] };
        if plan.shift_ns != 0
            && let Some(ts_ns) = event.ts.as_ns()
        {
            let start = out.len();
            write_us(ts_ns.wrapping_sub(plan.shift_ns), out);
            numbers.ts = Some((start, out.len()));
        }
        if plan.id_offset == 0 {
            return numbers;
        }
        let id = flow_id(event.id).map(|id| id.wrapping_sub(plan.id_offset));
        numbers.id = id.map(|id| write_number(id, out));
        let mut n = 0;
        for (i, &(key, value)) in event.args.iter().enumerate() {
            if let Some(space) = id_space(key)
                && was_renumbered(plan.renumbered.as_deref(), key)
                && let Some(id) = original_id(space, value, plan.id_offset)
                && n < numbers.args.len()
            {
                let (start, end) = write_number(id, out);
                numbers.args[n] = Some((i, start, end));
                n += 1;
            }
        }
        numbers
    }

    fn put<'a>(&self, event: &mut RawEvent<'a>, text: &'a [u8]) {
        if let Some((start, end)) = self.ts {
            event.ts = RawValue(&text[start..end]);
        }
        if let Some((start, end)) = self.id {
            event.id = RawValue(&text[start..end]);
        }
        for &(i, start, end) in self.args.iter().flatten() {
            event.args[i].1 = RawValue(&text[start..end]);
        }
    }
}

fn write_number(value: u64, out: &mut Vec<u8>) -> (usize, usize) {
    let start = out.len();
    // Writing to a vector cannot fail.
    let _ = write!(out, "{value}");
    (start, out.len())
}

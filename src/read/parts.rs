//! Events of a merged file back to those of its inputs: names, ids and clocks as they were.

use std::collections::BTreeMap;
use std::io::Write as _;

use super::chrome::decode::{Decoder, flow_id};
use super::chrome::event::{RawEvent, RawValue};
use super::chrome::tolerant::Reading;
use super::chrome::walk::Sink;
use super::ids::{id_space, original_id};
use crate::diag::{IssueKind, Reporter};
use crate::model::time::write_us;
use crate::store::{ADDED_KEY, Chunk, ORIGINAL_KEY, Part};

/// How events find their input.
pub(super) struct SplitPlan {
    parts: Vec<PartPlan>,
    /// Part and original pid (as JSON) of each pid of the merged file.
    processes: BTreeMap<Vec<u8>, (usize, Vec<u8>)>,
}

struct PartPlan {
    shift_ns: i64,
    id_offset: u64,
    /// Original tid (as JSON) of each renumbered (pid, tid).
    threads: BTreeMap<(Vec<u8>, Vec<u8>), Vec<u8>>,
}

impl SplitPlan {
    pub(super) fn new(parts: &[Part]) -> Self {
        let mut plan = Self { parts: Vec::new(), processes: BTreeMap::new() };
        for (i, part) in parts.iter().enumerate() {
            for process in &part.processes {
                let of = process.of.get().as_bytes().to_vec();
                plan.processes.insert(process.pid.to_string().into_bytes(), (i, of));
            }
            let thread = |t: &crate::store::PartThread| {
                let key = (t.pid.to_string().into_bytes(), t.tid.to_string().into_bytes());
                (key, t.of.get().as_bytes().to_vec())
            };
            plan.parts.push(PartPlan {
                shift_ns: part.shift_ns,
                id_offset: part.id_offset,
                threads: part.threads.iter().map(thread).collect(),
            });
        }
        plan
    }
}

/// Decodes the events of a block for each input on its own.
pub(super) struct PartsSink<'p> {
    plan: &'p SplitPlan,
    decoders: Vec<Decoder>,
    reporter: Reporter,
    scratch: Vec<u8>,
}

impl<'p> PartsSink<'p> {
    pub(super) fn new(plan: &'p SplitPlan) -> Self {
        let decoders = plan.parts.iter().map(|_| Decoder::default()).collect();
        Self { plan, decoders, reporter: Reporter::default(), scratch: Vec::new() }
    }
}

impl Sink for PartsSink<'_> {
    type Output = Vec<(Chunk, Reporter)>;

    fn event(&mut self, event: &RawEvent<'_>, offset: u64, _: Reading) {
        let Some((part, pid)) = self.plan.processes.get(event.pid.0) else {
            let detail = "its pid is none of the merged inputs'";
            self.reporter.with_detail(IssueKind::UnreadableEvent, Some(offset), detail);
            return;
        };
        if event.arg(ADDED_KEY.as_bytes()).is_some() {
            return;
        }
        let plan = &self.plan.parts[*part];
        self.scratch.clear();
        let numbers = Numbers::write(event, plan, &mut self.scratch);
        let mut original = event.clone();
        numbers.put(&mut original, &self.scratch);
        original.pid = RawValue(pid);
        if !plan.threads.is_empty()
            && let Some(tid) = plan.threads.get(&(event.pid.0.to_vec(), event.tid.0.to_vec()))
        {
            original.tid = RawValue(tid);
        }
        restore_metadata(&mut original);
        self.decoders[*part].push(&original, offset);
    }

    fn reporter(&mut self) -> &mut Reporter {
        &mut self.reporter
    }

    fn finish(self) -> (Self::Output, Reporter) {
        (self.decoders.into_iter().map(Sink::finish).collect(), self.reporter)
    }
}

/// What a metadata event said before merging named it anew.
fn restore_metadata(event: &mut RawEvent<'_>) {
    if event.ph.inner() != b"M" {
        return;
    }
    let Some(original) = event.arg(ORIGINAL_KEY.as_bytes()) else { return };
    for (key, value) in &mut event.args {
        if matches!(*key, b"name" | b"labels" | b"sort_index") {
            *value = original;
        }
    }
}

/// Where in a scratch text the changed numbers of an event stand.
struct Numbers {
    ts: Option<(usize, usize)>,
    id: Option<(usize, usize)>,
    args: [Option<(usize, usize, usize)>; 4],
}

impl Numbers {
    /// Writes the numbers that differ.
    fn write(event: &RawEvent<'_>, plan: &PartPlan, out: &mut Vec<u8>) -> Self {
        let mut numbers = Self { ts: None, id: None, args: [None; 4] };
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

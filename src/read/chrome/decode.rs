//! A raw event to rows of a chunk: the meaning of keys, per phase and category.

use super::event::{Alike, RawEvent, RawValue, key_text};
use super::plan::{IdPlaces, Ids, Plan};
use super::template::{MAX_TEMPLATES, Repeated, place_of};
use super::tolerant::Reading;
use super::walk::Sink;
use crate::diag::{IssueKind, Reporter};
use crate::model::EventKind;
use crate::model::limits::MAX_TEXT_BYTES;
use crate::store::{
    Argument, ArgumentRow, AsideRow, AsyncEdge, Chunk, ChunkBuilder, CollectiveRow, CopyRow,
    DeviceRow, FlowPhase, Keep, LaunchConfig, LocalStr, LocalTrack, MemoryRow, ModuleRow, OpRow,
    Shapes, SliceRow, SyncRow, TrackId,
};

/// Decodes the events of one block into a [`ChunkBuilder`].
#[derive(Default)]
pub(crate) struct Decoder {
    pub(crate) builder: ChunkBuilder,
    pub(crate) reporter: Reporter,
    last_track: Option<(Vec<u8>, Vec<u8>, LocalTrack)>,
    last_category: Option<(Vec<u8>, LocalStr, EventKind)>,
    /// What events of one template have in common, by the template's place.
    known: [Option<Known>; MAX_TEMPLATES],
    /// What names are, by their number in [`Alike`]; `None` where that was not settled or where each is to be counted anew.
    names: Vec<Option<LocalStr>>,
}

/// What is known of the events of one template.
#[derive(Clone, Copy)]
struct Known {
    /// See [`Alike`].
    template: u32,
    common: Common,
    /// How they are read from their numbers alone; `None` before that was asked.
    plan: Option<Plan>,
}

/// What events of one template have in common.
#[derive(Clone, Copy)]
struct Common {
    category: LocalStr,
    kind: EventKind,
    track: LocalTrack,
    ids: IdPlaces,
}

impl Sink for Decoder {
    type Output = Chunk;

    fn event(&mut self, event: &RawEvent<'_>, offset: u64, _: Reading) {
        self.push(event, offset);
    }

    #[inline]
    fn repeated(&mut self, event: &Repeated<'_, '_>) -> bool {
        self.push_repeated(event).is_some()
    }

    fn reporter(&mut self) -> &mut Reporter {
        &mut self.reporter
    }

    fn finish(self) -> (Chunk, Reporter) {
        (self.builder.finish(), self.reporter)
    }
}

impl Decoder {
    /// A decoder that has the store keep more than it does by itself.
    pub(crate) fn new(keep: Keep) -> Self {
        Self::into(ChunkBuilder::new(keep))
    }

    /// A decoder into a builder.
    pub(crate) fn into(builder: ChunkBuilder) -> Self {
        Self { builder, ..Self::default() }
    }

    /// Adds an event of which all that is not known from one before are its numbers.
    #[inline]
    fn push_repeated(&mut self, event: &Repeated<'_, '_>) -> Option<()> {
        let Alike { template, name } = event.alike();
        let (template, is_kept) = (template?, self.builder.keeps_arguments());
        let known = known_of(&mut self.known, template)?;
        let Common { category, kind, track, ids } = known.common;
        match known.plan.get_or_insert_with(|| Plan::of(event, kind, ids, is_kept)) {
            Plan::Slice(plan) => {
                let name = (*self.names.get(name? as usize)?)?;
                let (ts_ns, dur_ns) = plan.times(event)?;
                let Ids { id_a, id_b, number } = plan.ids(event)?;
                self.builder.count_event();
                self.builder.slice(SliceRow { ts_ns, dur_ns, name, category, track, id_a, id_b });
                number.into_iter().for_each(|number| self.builder.event_number(number));
            }
            Plan::Flow(plan) => {
                let (ts_ns, id) = plan.read(event)?;
                self.builder.count_event();
                self.builder.flow(ts_ns, track, category, id, plan.phase);
            }
            Plan::Whole => return None,
        }
        Some(())
    }

    /// Adds one event that starts at byte `offset` of the decompressed input.
    pub(crate) fn push(&mut self, event: &RawEvent<'_>, offset: u64) {
        self.builder.count_event();
        if event.others.iter().any(|(key, _)| std::str::from_utf8(key).is_err()) {
            self.reporter.at(IssueKind::InvalidUtf8, offset);
        }
        match event.ph.inner() {
            b"X" => self.complete(event, offset),
            b"M" => self.metadata(event, offset),
            b"i" | b"I" | b"R" | b"n" | b"T" | b"p" => self.instant(event, offset),
            b"b" | b"S" => self.async_edge(event, offset, true),
            b"e" | b"F" => self.async_edge(event, offset, false),
            b"s" => self.flow(event, offset, FlowPhase::Start),
            b"t" => self.flow(event, offset, FlowPhase::Step),
            b"f" => self.flow(event, offset, FlowPhase::Finish),
            b"C" => self.counter(event, offset),
            b"B" => self.edge(event, offset, true),
            b"E" => self.edge(event, offset, false),
            b"" => self.reporter.with_detail(
                IssueKind::UnreadableEvent,
                Some(offset),
                "an object without `ph`",
            ),
            other => {
                let name = format!("phase `{}`", String::from_utf8_lossy(other));
                // A phase that the format does not have is a damaged one.
                let is_known = matches!(other, [b] if b"bneSTFpPNODVvcR()=".contains(b));
                match is_known {
                    true => self.reporter.named(IssueKind::IgnoredPhase, Some(offset), name),
                    // Damage makes up any number of names.
                    false => {
                        self.reporter.with_detail(IssueKind::UnreadableEvent, Some(offset), name);
                    }
                }
            }
        }
    }

    fn complete(&mut self, event: &RawEvent<'_>, offset: u64) {
        let Some(ts_ns) = self.time(event, offset) else { return };
        let Some(dur_ns) = self.duration(event.dur, offset) else { return };
        let Common { category, kind, track, ids } = self.common(event, offset);
        let name = self.name(event, offset);
        let Ids { id_a, id_b, number } = ids.read(event);
        let row = SliceRow { ts_ns, dur_ns, name, category, track, id_a, id_b };
        let slice = self.builder.slice(row);
        if let Some(number) = number {
            self.builder.event_number(number);
        }
        if self.builder.keeps_arguments() {
            self.arguments(event, slice, offset);
        }
        match kind {
            EventKind::PythonFunction => self.module(event, slice),
            EventKind::CpuOp | EventKind::UserAnnotation => self.op(event, slice, offset),
            EventKind::Other => self.aside(event, slice, offset),
            _ if kind.is_on_device() => self.device(event, slice, kind, offset),
            _ => {}
        }
    }

    /// What the event has in common with those of its template.
    #[inline]
    fn common(&mut self, event: &RawEvent<'_>, offset: u64) -> Common {
        let template = event.alike.template;
        if let Some(known) = template.and_then(|template| known_of(&mut self.known, template)) {
            return known.common;
        }
        let (category, kind) = self.category(event.cat, offset);
        let track = self.track(event, offset);
        let common = Common { category, kind, track, ids: IdPlaces::of(event, kind) };
        // What is odd of a text is counted with each event.
        if let Some(template) = template
            && [event.cat, event.pid, event.tid].into_iter().all(is_settled)
        {
            self.known[place_of(template)] = Some(Known { template, common, plan: None });
        }
        common
    }

    fn name(&mut self, event: &RawEvent<'_>, offset: u64) -> LocalStr {
        let Some(number) = event.alike.name.map(|number| number as usize) else {
            return self.string(event.name, offset);
        };
        if let Some(&Some(known)) = self.names.get(number) {
            return known;
        }
        let name = self.string(event.name, offset);
        if self.names.len() <= number {
            self.names.resize(number + 1, None);
        }
        self.names[number] = is_settled(event.name).then_some(name);
        name
    }

    fn time(&mut self, event: &RawEvent<'_>, offset: u64) -> Option<i64> {
        let ts_ns = event.ts.as_ns();
        if ts_ns.is_none() {
            let detail = format!("ts {}", String::from_utf8_lossy(event.ts.0));
            self.reporter.with_detail(IssueKind::BadTimestamp, Some(offset), detail);
        }
        ts_ns
    }

    /// A missing duration is zero, as Chrome takes it; a negative one too, counted.
    fn duration(&mut self, dur: RawValue<'_>, offset: u64) -> Option<i64> {
        if dur.is_absent() {
            return Some(0);
        }
        match dur.as_ns() {
            Some(dur_ns) if dur_ns < 0 => {
                self.reporter.at(IssueKind::NegativeDuration, offset);
                Some(0)
            }
            Some(dur_ns) => Some(dur_ns),
            None => {
                let detail = format!("dur {}", String::from_utf8_lossy(dur.0));
                self.reporter.with_detail(IssueKind::BadTimestamp, Some(offset), detail);
                None
            }
        }
    }

    #[inline]
    fn string(&mut self, value: RawValue<'_>, offset: u64) -> LocalStr {
        // A known text without a backslash is its own decoding; one with a backslash cannot be known by its raw form
        // unless it was written doubly escaped, so those always go the long way.
        if let Some(known) = self.builder.known_string(value.inner())
            && memchr::memchr(b'\\', value.inner()).is_none()
        {
            return known;
        }
        let (text, bad) = value.text();
        if bad {
            self.reporter.at(IssueKind::InvalidUtf8, offset);
        }
        if text.len() <= MAX_TEXT_BYTES {
            return self.builder.string(&text);
        }
        self.reporter.at(IssueKind::OversizedText, offset);
        let end = (0..=MAX_TEXT_BYTES).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        self.builder.string(&text[..end])
    }

    fn category(&mut self, cat: RawValue<'_>, offset: u64) -> (LocalStr, EventKind) {
        if let Some((text, category, kind)) = &self.last_category
            && text == cat.0
        {
            return (*category, *kind);
        }
        let category = self.string(cat, offset);
        let kind = EventKind::from_category(cat.inner());
        self.last_category = Some((cat.0.to_vec(), category, kind));
        (category, kind)
    }

    fn track(&mut self, event: &RawEvent<'_>, offset: u64) -> LocalTrack {
        if let Some((pid, tid, track)) = &self.last_track
            && pid == event.pid.0
            && tid == event.tid.0
        {
            return *track;
        }
        let pid = self.track_id(event.pid, offset);
        let tid = self.track_id(event.tid, offset);
        let track = self.builder.track(pid, tid);
        self.last_track = Some((event.pid.0.to_vec(), event.tid.0.to_vec(), track));
        track
    }

    fn track_id(&mut self, value: RawValue<'_>, offset: u64) -> TrackId<LocalStr> {
        match value.as_track_number() {
            Some(number) => TrackId::Int(number),
            None => TrackId::Text(self.string(value, offset)),
        }
    }

    fn device(&mut self, event: &RawEvent<'_>, slice: u32, kind: EventKind, offset: u64) {
        let arg = |key: &[u8]| event.arg(key).and_then(RawValue::as_u32);
        let row = DeviceRow {
            slice,
            device: arg(b"device").or_else(|| device_of(event.pid)),
            stream: arg(b"stream").or_else(|| stream_of(event.tid)),
            config: None,
        };
        let config = if kind == EventKind::Kernel { launch_config(event) } else { None };
        self.builder.device_row(row, config);
        let bytes = match kind {
            EventKind::Memcpy | EventKind::Memset => event.arg(b"bytes"),
            // MTIA's copies turn out to be copies once all names are known.
            EventKind::Kernel if event.name.inner() == b"dma_request" => event.arg(b"size"),
            _ => None,
        };
        if let Some(bytes) = bytes.and_then(RawValue::as_u64) {
            self.builder.copy(CopyRow {
                slice,
                bytes,
                from_device: arg(b"fromDevice"),
                to_device: arg(b"toDevice"),
            });
        }
        match kind {
            EventKind::Kernel => self.collective(event, slice, offset),
            EventKind::CudaSync => self.sync(event, slice),
            _ => {}
        }
    }

    /// What a wait for an event waits for.
    fn sync(&mut self, event: &RawEvent<'_>, slice: u32) {
        let kind = event.arg(b"cuda_sync_kind").map(RawValue::inner);
        let is_stream_wait = kind == Some(b"Stream Wait Event");
        if !is_stream_wait && kind != Some(b"Event Sync") {
            return;
        }
        let record_correlation =
            event.arg(b"wait_on_cuda_event_record_corr_id").and_then(RawValue::as_u64);
        let on_stream = event.arg(b"wait_on_stream").and_then(RawValue::as_u32);
        self.builder.sync(SyncRow { slice, is_stream_wait, record_correlation, on_stream });
    }

    /// What an event of an unknown category states, should it be a device's.
    fn aside(&mut self, event: &RawEvent<'_>, slice: u32, offset: u64) {
        let mut row = AsideRow::nothing(slice);
        for &(key, value) in &event.args {
            match key {
                b"device" | b"dev-id" | b"device_id" | b"deviceId" => row.device = value.as_u32(),
                b"stream" | b"stream-id" | b"queue-id" | b"stream_id" | b"Stream Id"
                | b"Physic Stream Id" => row.stream = value.as_u32(),
                b"bytes" | b"Bytes" | b"size(Byte)" => row.bytes = value.as_u64(),
                b"memcpy_details" => row.bytes = size_of_details(value),
                b"Task Type" => row.task = Some(self.string(value, offset)),
                _ => {}
            }
        }
        if row != AsideRow::nothing(slice) {
            self.builder.aside(row);
        }
    }

    fn op(&mut self, event: &RawEvent<'_>, slice: u32, offset: u64) {
        let mut text = |key: &[u8]| event.arg(key).map(|v| self.string(v, offset));
        let shapes = Shapes {
            dims: text(b"Input Dims").or_else(|| text(b"Input dims")),
            types: text(b"Input type"),
            strides: text(b"Input Strides"),
            concrete: text(b"Concrete Inputs"),
        };
        let row = OpRow {
            slice,
            shapes: None,
            forward_thread: event.arg(b"Fwd thread id").and_then(RawValue::as_u32),
            stack: text(b"Call stack"),
            modules: text(b"Module Hierarchy"),
        };
        let has_shapes = shapes.dims.is_some() || shapes.concrete.is_some();
        if has_shapes
            || row.forward_thread.is_some()
            || row.stack.is_some()
            || row.modules.is_some()
        {
            self.builder.op(row, has_shapes.then_some(shapes));
        }
        self.collective(event, slice, offset);
    }

    fn collective(&mut self, event: &RawEvent<'_>, slice: u32, offset: u64) {
        let Some(name) = event.arg(b"Collective name") else { return };
        let mut text = |key: &[u8]| event.arg(key).map(|v| self.string(v, offset));
        let dtype = text(b"dtype");
        let group_name = text(b"Process Group Name").or_else(|| text(b"Process Group ID"));
        let group_description = text(b"Process Group Description");
        let group_ranks = text(b"Process Group Ranks");
        let in_split = text(b"In split size");
        let out_split = text(b"Out split size");
        let comms_id = text(b"Comms Id");
        let name = self.string(name, offset);
        let number = |key: &[u8]| event.arg(key).and_then(RawValue::as_u64);
        let small = |key: &[u8]| event.arg(key).and_then(RawValue::as_u32);
        self.builder.collective(CollectiveRow {
            slice,
            name,
            dtype,
            in_elements: number(b"In msg nelems"),
            out_elements: number(b"Out msg nelems"),
            group_size: small(b"Group size"),
            group_name,
            group_description,
            group_ranks,
            in_split,
            out_split,
            rank: small(b"Rank"),
            src_rank: small(b"Src Rank"),
            dst_rank: small(b"Dst Rank"),
            seq: number(b"Seq"),
            comms_id,
        });
    }

    /// Every argument as the trace writes it.
    fn arguments(&mut self, event: &RawEvent<'_>, slice: u32, offset: u64) {
        for &(key, value) in &event.args {
            let key = self.builder.string(&key_text(key).0);
            let value = match value.as_i64().filter(|_| !value.is_string()) {
                Some(number) => Argument::Number(number),
                None => Argument::Text(self.string(value, offset)),
            };
            self.builder.argument(ArgumentRow { slice, key, value });
        }
    }

    fn module(&mut self, event: &RawEvent<'_>, slice: u32) {
        if let Some(module_id) = event.arg(b"Python module id").and_then(RawValue::as_u64) {
            self.builder.module(ModuleRow { slice, module_id });
        }
    }

    fn metadata(&mut self, event: &RawEvent<'_>, offset: u64) {
        let key: &[u8] = match event.name.inner() {
            b"process_labels" => b"labels",
            _ => b"name",
        };
        let Some(value) = event.arg(key) else { return };
        let text = self.string(value, offset);
        let track = self.track(event, offset);
        match event.name.inner() {
            b"process_name" => self.builder.process_name(track, text),
            b"process_labels" => self.builder.process_labels(track, text),
            b"thread_name" => self.builder.thread_name(track, text),
            _ => {}
        }
    }

    fn instant(&mut self, event: &RawEvent<'_>, offset: u64) {
        let Some(ts_ns) = self.time(event, offset) else { return };
        if event.name.inner() == b"Record Window End" {
            self.builder.window_end();
        }
        let name = self.string(event.name, offset);
        let category =
            if event.cat.is_absent() { None } else { Some(self.category(event.cat, offset).0) };
        let track = self.track(event, offset);
        let instant = self.builder.instant(ts_ns, track, name, category);
        let Some(bytes) = event.arg(b"Bytes").and_then(RawValue::as_i64) else { return };
        let signed = |key: &[u8]| event.arg(key).and_then(RawValue::as_i64);
        let unsigned = |key: &[u8]| event.arg(key).and_then(RawValue::as_u64);
        if let Some(number) = unsigned(b"Ev Idx") {
            self.builder.event_number(number);
        }
        self.builder.memory(MemoryRow {
            instant,
            bytes,
            device_type: signed(b"Device Type"),
            device: signed(b"Device Id"),
            address: unsigned(b"Addr"),
            total_allocated: unsigned(b"Total Allocated"),
            total_reserved: unsigned(b"Total Reserved"),
        });
    }

    fn flow(&mut self, event: &RawEvent<'_>, offset: u64, phase: FlowPhase) {
        let Some(ts_ns) = self.time(event, offset) else { return };
        let Some(id) = flow_id(event.id) else {
            let detail = "a flow without id";
            self.reporter.with_detail(IssueKind::UnreadableEvent, Some(offset), detail);
            return;
        };
        let Common { category, track, .. } = self.common(event, offset);
        self.builder.flow(ts_ns, track, category, id, phase);
    }

    fn counter(&mut self, event: &RawEvent<'_>, offset: u64) {
        let Some(ts_ns) = self.time(event, offset) else { return };
        let name = self.string(event.name, offset);
        let track = self.track(event, offset);
        for &(key, value) in &event.args {
            let Some(value) = value.as_f64() else { continue };
            let (series, _) = key_text(key);
            let series = self.builder.string(&series);
            self.builder.counter(ts_ns, track, name, series, value);
        }
    }

    /// One end of an asynchronous span. Its id holds in the whole file, or (`id2.local`) in its process.
    fn async_edge(&mut self, event: &RawEvent<'_>, offset: u64, is_begin: bool) {
        let Some(ts_ns) = self.time(event, offset) else { return };
        let other = |key: &[u8]| {
            let found = event.others.iter().rev().find(|(known, _)| *known == key);
            found.map_or(&b""[..], |(_, value)| value.0)
        };
        let id2 = other(b"id2");
        let is_local = memchr::memmem::find(id2, b"\"local\"").is_some();
        let pid = if is_local { event.pid.0 } else { &b""[..] };
        if event.id.is_absent() && id2.is_empty() {
            let detail = "an asynchronous event without id";
            self.reporter.with_detail(IssueKind::UnreadableEvent, Some(offset), detail);
            return;
        }
        let key = [event.id.inner(), id2, other(b"scope"), pid].join(&b' ');
        let key = self.builder.string(&String::from_utf8_lossy(&key));
        let category = self.category(event.cat, offset).0;
        let (name, track) = (self.string(event.name, offset), self.track(event, offset));
        let edge = AsyncEdge { ts_ns, track, name, category, key, is_begin, event: 0 };
        self.builder.async_edge(edge);
    }

    fn edge(&mut self, event: &RawEvent<'_>, offset: u64, is_begin: bool) {
        let Some(ts_ns) = self.time(event, offset) else { return };
        let (category, _) = self.category(event.cat, offset);
        let name = self.string(event.name, offset);
        let track = self.track(event, offset);
        self.builder.edge(ts_ns, track, name, category, is_begin);
    }
}

/// What is known of the events of a template.
#[inline]
fn known_of(known: &mut [Option<Known>; MAX_TEMPLATES], template: u32) -> Option<&mut Known> {
    known[place_of(template)].as_mut().filter(|known| known.template == template)
}

/// Whether nothing of a text is replaced or cut.
fn is_settled(value: RawValue<'_>) -> bool {
    std::str::from_utf8(value.0).is_ok_and(|text| text.len() <= MAX_TEXT_BYTES)
}

/// The device that a pid is; no machine has so many devices as a process has a number.
fn device_of(pid: RawValue<'_>) -> Option<u32> {
    pid.as_u32().filter(|&number| number < 1024)
}

/// `size:4096` among XLA's details of a copy.
fn size_of_details(details: RawValue<'_>) -> Option<u64> {
    let text = details.inner();
    let at = memchr::memmem::find(text, b"size:")? + b"size:".len();
    let n_digits = text[at..].iter().take_while(|b| b.is_ascii_digit()).count();
    RawValue(&text[at..at + n_digits]).as_u64()
}

/// The stream of a device track: the tid, a number or (2021) `stream 7 `.
fn stream_of(tid: RawValue<'_>) -> Option<u32> {
    let text = tid.inner();
    let digits = text.strip_prefix(b"stream ").unwrap_or(text).trim_ascii();
    RawValue(digits).as_u32()
}

/// Ids that are made of text have this bit and not the highest, so that they are none that a writer counts up to.
const ID_OF_TEXT: u64 = 1 << 62;

/// The id of a flow as a number. As importers do: a string is a number to base 16, `0x` before it or not. What is no number
/// to them is one by its bytes, since viewers pair equal ids whatever they are.
pub(crate) fn flow_id(id: RawValue<'_>) -> Option<u64> {
    let text = id.inner();
    if !id.is_string() {
        let is_number = text.first().is_some_and(|&b| b == b'-' || b.is_ascii_digit());
        return id.as_u64().or_else(|| is_number.then(|| id_of_text(text)));
    }
    let digits = text.strip_prefix(b"0x").unwrap_or(text);
    let is_hex = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    let hex = std::str::from_utf8(digits).ok().filter(|_| is_hex);
    let hex = hex.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    hex.or_else(|| (!text.is_empty()).then(|| id_of_text(text)))
}

/// FNV-1a of an id that is no number.
fn id_of_text(text: &[u8]) -> u64 {
    let hash = text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash >> 2) | ID_OF_TEXT
}

fn launch_config(event: &RawEvent<'_>) -> Option<LaunchConfig> {
    let small = |key: &[u8]| event.arg(key).and_then(RawValue::as_u32);
    let occupancy = event.arg(b"est. achieved occupancy %").and_then(RawValue::as_ns);
    Some(LaunchConfig {
        grid: triple(event.arg(b"grid")?)?,
        block: triple(event.arg(b"block")?)?,
        registers: small(b"registers per thread"),
        shared_bytes: small(b"shared memory"),
        occupancy_milli_pct: occupancy.and_then(|milli| u32::try_from(milli).ok()),
    })
}

/// `[1, 2, 3]`
fn triple(value: RawValue<'_>) -> Option<[u32; 3]> {
    let text = value.inner().strip_prefix(b"[")?.strip_suffix(b"]")?;
    let mut numbers = text.split(|&b| b == b',').map(|part| RawValue(part.trim_ascii()).as_u32());
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

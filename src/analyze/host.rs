//! The host side of a trace: which threads there are, which of them work, and what each did at every instant.
//!
//! Built once per input; the analyses of waits, idle causes, iterations and components read it.

use rayon::prelude::*;

use super::intervals::{Intervals, Span};
use super::launches::Launches;
use super::names::{COPIES, DESERIALIZES, MARKS_BACKGROUND, MARKS_WORK, NameRules};
use super::timeline::{Class, Owner, Role, Sweep, Timeline};
use super::wait_rules::{Rule, RuleEffect};
use super::window::{is_unplaced, slice_span};
use crate::model::EventKind;
use crate::schema::words;
use crate::store::{Store, StrId, TrackId};

words! {
    /// What a host thread is there for.
    ThreadKind {
        /// Runs operators, launches device work, or runs a known worker loop.
        Work "work",
        /// Helps or watches: shown, never part of a share.
        Background "background",
        /// tid 0: threads that entered and left no frame in the window, merged by the writer.
        Idle "idle",
    }
}

/// One wait of a thread that is not inside another of its class, nor inside an IPC wait. Operators that synchronize and
/// events of which only the rest is waiting hold no other wait: what is inside them is a wait of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitFrame {
    /// The slice.
    pub slice: u32,
    /// Class of the wait.
    pub class: Class,
    /// Number of the rule in [`super::WaitRules::rules`]; `None` for a pageable copy to the host.
    pub rule: Option<u16>,
    /// Time in the window that is of its class because of it. Over all waits of a thread that is the time of the class.
    pub net_ns: i64,
}

/// One host thread.
#[derive(Clone, Debug, PartialEq)]
pub struct HostThread {
    /// Index into [`Store::tracks`].
    pub track: usize,
    /// What it is there for.
    pub kind: ThreadKind,
    /// Whether Python frames were recorded on it. Without them waits and Python time cannot be told.
    pub has_frames: bool,
    /// The class of every instant of the file window.
    pub timeline: Timeline,
    /// Its outermost waits that meet the window, in time order.
    pub waits: Vec<WaitFrame>,
    /// Overhead rows of a pseudo process that belong to it and have a class, as slices in the order of nesting.
    pub overhead: Vec<u32>,
}

/// What the tracks hold, as far as it decides what they are.
#[derive(Clone, Copy, Debug, Default)]
struct TrackKinds {
    frames: usize,
    ops: usize,
    calls: usize,
    other: usize,
    on_device: usize,
}

impl TrackKinds {
    fn of(store: &Store, track: usize) -> Self {
        let mut kinds = Self::default();
        for (kind, n) in store.kind_counts(store.tracks[track].slices.clone()) {
            match kind {
                EventKind::PythonFunction => kinds.frames += n,
                EventKind::CpuOp | EventKind::UserAnnotation => kinds.ops += n,
                EventKind::Runtime | EventKind::Driver => kinds.calls += n,
                EventKind::Other => kinds.other += n,
                _ if kind.is_on_device() => kinds.on_device += n,
                _ => {}
            }
        }
        kinds
    }

    fn is_host(self) -> bool {
        let known = self.frames + self.ops + self.calls;
        known > 0 || (self.other > 0 && self.on_device == 0)
    }
}

/// The host threads of a store, by track.
pub(super) fn host_threads(
    store: &Store,
    window: Span,
    names: &NameRules<'_>,
    launches: &Launches,
) -> Vec<HostThread> {
    let tracks: Vec<(usize, TrackKinds)> = (0..store.tracks.len())
        .into_par_iter()
        .map(|track| (track, TrackKinds::of(store, track)))
        .filter(|(_, kinds)| kinds.is_host())
        .collect();
    let hosts: Vec<usize> = tracks.iter().map(|&(track, _)| track).collect();
    let overhead = super::overhead::assign(store, &hosts, names);
    let rules =
        Rules { store, names, launches, has_calls: tracks.iter().any(|(_, k)| k.calls > 0) };
    tracks
        .par_iter()
        .map(|&(track, kinds)| {
            let rows: Vec<u32> =
                overhead.iter().filter(|&&(of, _)| of == track).map(|&(_, row)| row).collect();
            rules.thread(track, kinds, rows, window)
        })
        .collect()
}

/// What the sweep of a track asks.
struct Rules<'a> {
    store: &'a Store,
    names: &'a NameRules<'a>,
    launches: &'a Launches,
    has_calls: bool,
}

impl Rules<'_> {
    fn thread(
        &self,
        track: usize,
        kinds: TrackKinds,
        overhead: Vec<u32>,
        window: Span,
    ) -> HostThread {
        let kind = self.thread_kind(track, kinds);
        let has_frames = kinds.frames > 0;
        if kind == ThreadKind::Idle {
            let timeline = self.idle_timeline(track, window);
            return HostThread { track, kind, has_frames, timeline, waits: Vec::new(), overhead };
        }
        let mut pass = Pass::new(self, window, has_frames);
        let mut rows = overhead.iter().copied().peekable();
        let slices = &self.store.slices;
        for slice in self.store.tracks[track].slices.clone() {
            let start = slices.ts_ns[slice];
            let name = slices.name[slice];
            if start < pass.skip_until_ns
                && self.names.flags[name.0 as usize] & DESERIALIZES == 0
                && slices.end_ns(slice) <= pass.skip_until_ns
            {
                continue;
            }
            while let Some(row) = rows.next_if(|&row| comes_before(self.store, row as usize, slice))
            {
                pass.event(row as usize, track);
            }
            pass.event(slice, track);
        }
        rows.for_each(|row| pass.event(row as usize, track));
        let (timeline, waits) = pass.finish();
        HostThread { track, kind, has_frames, timeline, waits, overhead }
    }

    fn thread_kind(&self, track: usize, kinds: TrackKinds) -> ThreadKind {
        let is_bucket = self.store.tracks[track].tid == TrackId::Int(0);
        if is_bucket && kinds.frames > 0 && kinds.ops + kinds.calls == 0 {
            return ThreadKind::Idle;
        }
        let mut marks = 0;
        if kinds.frames > 0 {
            let names = &self.store.slices.name[self.store.tracks[track].slices.clone()];
            let flags = |name: &StrId| self.names.flags[name.0 as usize];
            let names = names.par_iter().with_min_len(1 << 14);
            marks = names.map(flags).reduce(|| 0, |a, b| a | b);
        }
        let works = match (marks & MARKS_WORK != 0, marks & MARKS_BACKGROUND != 0) {
            (true, _) => true,
            (false, true) => false,
            _ => kinds.ops > 0 || (kinds.calls > 0 && self.launches_work(track)),
        };
        if works { ThreadKind::Work } else { ThreadKind::Background }
    }

    fn launches_work(&self, track: usize) -> bool {
        self.store.tracks[track]
            .slices
            .clone()
            .filter(|&slice| self.store.kind(slice).is_api_call())
            .any(|call| self.launches.activities_of(self.store, call).next().is_some())
    }

    /// The merged stacks of idle threads: waiting wherever a frame is, because no frame was entered or left.
    fn idle_timeline(&self, track: usize, window: Span) -> Timeline {
        let mut frames = Intervals::default();
        for slice in self.store.tracks[track].slices.clone() {
            if !is_unplaced(self.store, slice) {
                frames.push(slice_span(self.store, slice));
            }
        }
        Timeline::of_set(&frames, Class::OtherWait, Class::Unattributed, window)
    }

    /// What an event does to its time, with the rule that says so. `None`: nothing.
    fn role(&self, slice: usize, track: usize, has_frames: bool) -> Option<(Role, Option<&Rule>)> {
        let kind = self.store.kind(slice);
        let plain = plain_class(kind);
        let rule = self.names.rule(kind, self.store.slices.name[slice]);
        let rule = rule.filter(|rule| self.conditions_hold(rule, slice, track, has_frames));
        let class = match rule.map(|rule| rule.effect) {
            Some(RuleEffect::IpcWait) if rule.is_some_and(|rule| rule.is_rest) => Class::IpcWait,
            Some(RuleEffect::IpcWait) => return Some((Role::IpcWait, rule)),
            Some(RuleEffect::Deserialize) => {
                return Some((Role::Deserialize(plain.unwrap_or(Class::CpuOp)), rule));
            }
            Some(RuleEffect::GpuSync) if self.is_op_without_calls(slice, track) => Class::CpuOp,
            Some(RuleEffect::GpuSync) => Class::GpuSync,
            Some(RuleEffect::ModuleLoading) => Class::ModuleLoading,
            Some(RuleEffect::Profiler) => Class::Profiler,
            Some(RuleEffect::OtherWait) => Class::OtherWait,
            _ if kind.is_api_call() && self.is_pageable_read(slice) => Class::GpuSync,
            _ => plain?,
        };
        Some((Role::Work(class), rule))
    }

    fn conditions_hold(&self, rule: &Rule, slice: usize, track: usize, has_frames: bool) -> bool {
        self.store.slices.dur_ns(slice) >= rule.min_ns
            && !(rule.needs_no_frames && has_frames)
            && !(rule.is_alone && self.inside(slice, track).any(|inner| self.is_run(inner)))
            && rule.with.as_deref().is_none_or(|name| self.contains(slice, track, name))
    }

    /// Whether an event that starts inside a frame and ends inside it is a C function of a name.
    fn contains(&self, frame: usize, track: usize, function: &str) -> bool {
        let wanted: Option<StrId> =
            self.store.strings.find(&format!("<built-in function {function}>"));
        wanted.is_some_and(|wanted| {
            self.inside(frame, track).any(|slice| self.store.slices.name[slice] == wanted)
        })
    }

    /// The events of a track that come after one of it and end inside it.
    fn inside(&self, outer: usize, track: usize) -> impl Iterator<Item = usize> {
        let slices = &self.store.slices;
        let end = slices.end_ns(outer);
        let later = outer + 1..self.store.tracks[track].slices.end;
        later
            .take_while(move |&slice| slices.ts_ns[slice] <= end)
            .filter(move |&slice| slices.end_ns(slice) <= end)
    }

    /// Whether an event runs something that is no Python: an operator or a call.
    fn is_run(&self, slice: usize) -> bool {
        plain_class(self.store.kind(slice)).is_some_and(|class| class != Class::Python)
    }

    /// Whether this is an operator that would have to call the runtime in order to wait for the device, and did not:
    /// `item()` of a tensor on the host.
    fn is_op_without_calls(&self, slice: usize, track: usize) -> bool {
        self.has_calls
            && self.store.kind(slice) == EventKind::CpuOp
            && !self.inside(slice, track).any(|inner| self.store.kind(inner).is_api_call())
    }

    /// Whether a call started a copy from the device to pageable memory, which blocks until it is done.
    fn is_pageable_read(&self, call: usize) -> bool {
        let name = self.store.slices.name[call];
        self.names.flags[name.0 as usize] & COPIES != 0
            && self.launches.activities_of(self.store, call).any(|copy| {
                let name = self.store.name(copy);
                name.contains("DtoH") && name.contains("Pageable")
            })
    }
}

/// Whether an event of another track comes before a slice in the order of nesting.
fn comes_before(store: &Store, row: usize, slice: usize) -> bool {
    let key = |i: usize| (store.slices.ts_ns[i], std::cmp::Reverse(store.slices.end_ns(i)));
    key(row) < key(slice)
}

/// The class of an event without a rule. Annotations say which phase it is, not what the thread does in it.
fn plain_class(kind: EventKind) -> Option<Class> {
    match kind {
        EventKind::PythonFunction => Some(Class::Python),
        EventKind::CpuOp | EventKind::Other => Some(Class::CpuOp),
        EventKind::Runtime | EventKind::Driver => Some(Class::Runtime),
        _ => None,
    }
}

/// One pass over a track.
struct Pass<'a> {
    rules: &'a Rules<'a>,
    window: Span,
    has_frames: bool,
    sweep: Sweep,
    waits: Vec<WaitFrame>,
    /// By class, the wait that covers up to the latest instant: a wait that ends no later is inside it.
    covering: [Covering; Class::ALL.len()],
    /// Waits that are none of their own if no time is theirs.
    only_with_time: Vec<bool>,
    /// Events up to here that are no deserialization are without effect.
    skip_until_ns: i64,
}

/// A wait that covers what is inside it.
#[derive(Clone, Copy)]
struct Covering {
    until_ns: i64,
    owner: Owner,
}

impl<'a> Pass<'a> {
    fn new(rules: &'a Rules<'a>, window: Span, has_frames: bool) -> Self {
        Self {
            rules,
            window,
            has_frames,
            sweep: Sweep::new(window),
            waits: Vec::new(),
            covering: [Covering { until_ns: i64::MIN, owner: None }; Class::ALL.len()],
            only_with_time: Vec::new(),
            skip_until_ns: i64::MIN,
        }
    }

    fn event(&mut self, slice: usize, track: usize) {
        let store = self.rules.store;
        if is_unplaced(store, slice) {
            return;
        }
        let Some((role, rule)) = self.rules.role(slice, track, self.has_frames) else { return };
        let class = match role {
            Role::IpcWait => Some(Class::IpcWait),
            Role::Work(class) => Some(class).filter(|class| class.is_wait()),
            Role::Deserialize(_) => None,
        };
        let owner = class.and_then(|class| self.note_wait(slice, class, rule));
        let span = slice_span(store, slice);
        self.skip_until_ns = self.sweep.open(span.start_ns, span.end_ns, role, owner);
    }

    /// Notes a wait. Gives the number of the wait that its time is of: its own, or the one that it is inside.
    fn note_wait(&mut self, slice: usize, class: Class, rule: Option<&Rule>) -> Owner {
        let span = slice_span(self.rules.store, slice);
        if span.end_ns < self.window.start_ns || span.start_ns > self.window.end_ns {
            return None;
        }
        let covering = self.covering[class as usize];
        if span.end_ns <= covering.until_ns {
            return covering.owner;
        }
        let owner = Some(self.waits.len() as u32);
        // The calls inside say how long a synchronizing operator waited; it has what is left.
        let is_op = self.rules.store.kind(slice) == EventKind::CpuOp && self.rules.has_calls;
        let is_open = is_op || rule.is_some_and(|rule| rule.is_rest);
        let is_in_ipc = span.end_ns <= self.covering[Class::IpcWait as usize].until_ns;
        if !is_open {
            self.covering[class as usize] = Covering { until_ns: span.end_ns, owner };
        }
        let rule = rule.map(|rule| rule.number);
        self.waits.push(WaitFrame { slice: slice as u32, class, rule, net_ns: 0 });
        self.only_with_time.push(is_open || is_in_ipc);
        owner
    }

    /// The timeline and the waits; the caller knows the rest.
    fn finish(self) -> (Timeline, Vec<WaitFrame>) {
        let (timeline, owned_ns) = self.sweep.finish();
        let net_ns = owned_ns.into_iter().chain(std::iter::repeat(0));
        let waits = self.waits.into_iter().zip(net_ns).zip(self.only_with_time);
        let waits = waits
            .filter(|&((_, net_ns), only_with_time)| net_ns > 0 || !only_with_time)
            .map(|((wait, net_ns), _)| WaitFrame { net_ns, ..wait });
        (timeline, waits.collect())
    }
}

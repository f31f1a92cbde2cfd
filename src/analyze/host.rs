//! The host side of a trace: which threads there are, which of them work, and what each did at every instant.
//!
//! Built once per input; the analyses of waits, idle causes, iterations and components read it.

use rayon::prelude::*;

use super::intervals::{Intervals, Span};
use super::launches::Launches;
use super::names::{DESERIALIZES, MARKS_BACKGROUND, MARKS_WORK, NameRules};
use super::timeline::{Class, Role, Sweep, Timeline};
use super::wait_rules::{Rule, RuleEffect};
use super::window::{is_impossible, slice_span};
use crate::model::EventKind;
use crate::store::{Store, StrId, TrackId};

/// What a host thread is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ThreadKind {
    /// Runs operators, launches device work, or runs a known worker loop.
    Work,
    /// Helps or watches: shown, never part of a share.
    Background,
    /// tid 0: threads that entered and left no frame in the window, merged by the writer.
    Idle,
}

impl ThreadKind {
    /// The name in the machine output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Background => "background",
            Self::Idle => "idle",
        }
    }
}

/// One outermost wait of a thread: not inside another wait of its class, nor inside an IPC wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitFrame {
    /// The slice.
    pub slice: u32,
    /// Class of the wait.
    pub class: Class,
    /// Number of the rule in [`super::WaitRules::rules`]; `None` for a pageable copy to the host.
    pub rule: Option<u16>,
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
        let mut counts = [0_usize; 256];
        for slice in store.tracks[track].slices.clone() {
            counts[store.category_number(slice)] += 1;
        }
        let mut kinds = Self::default();
        for (&(_, kind), n) in store.categories.iter().zip(counts) {
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
        let mut pass = Pass::new(self, window);
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
        HostThread {
            track,
            kind,
            has_frames,
            waits: pass.waits,
            overhead,
            timeline: pass.sweep.finish(),
        }
    }

    fn thread_kind(&self, track: usize, kinds: TrackKinds) -> ThreadKind {
        let is_bucket = self.store.tracks[track].tid == TrackId::Int(0);
        if is_bucket && kinds.frames > 0 && kinds.ops + kinds.calls == 0 {
            return ThreadKind::Idle;
        }
        let mut marks = 0;
        if kinds.frames > 0 {
            let names = &self.store.slices.name[self.store.tracks[track].slices.clone()];
            marks = names.iter().fold(0, |bits, name| bits | self.names.flags[name.0 as usize]);
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
            if !is_impossible(self.store.slices.dur_ns(slice)) {
                frames.push(slice_span(self.store, slice));
            }
        }
        Timeline::of_set(&frames, Class::OtherWait, Class::Unattributed, window)
    }

    /// What an event does to its time, with the rule that says so. `None`: nothing.
    fn role(&self, slice: usize, track: usize) -> Option<(Role, Option<&Rule>)> {
        let kind = self.store.kind(slice);
        let plain = plain_class(kind);
        let rule = self.names.rule(kind, self.store.slices.name[slice]);
        let rule = rule.filter(|rule| self.conditions_hold(rule, slice, track));
        let class = match rule.map(|rule| rule.effect) {
            Some(RuleEffect::IpcWait) => return Some((Role::IpcWait, rule)),
            Some(RuleEffect::Deserialize) => {
                return Some((Role::Deserialize(plain.unwrap_or(Class::CpuOp)), rule));
            }
            Some(RuleEffect::GpuSync) => Class::GpuSync,
            Some(RuleEffect::ModuleLoading) => Class::ModuleLoading,
            Some(RuleEffect::OtherWait) => Class::OtherWait,
            _ if kind.is_api_call() && self.is_pageable_read(slice) => Class::GpuSync,
            _ => plain?,
        };
        Some((Role::Work(class), rule))
    }

    fn conditions_hold(&self, rule: &Rule, slice: usize, track: usize) -> bool {
        self.store.slices.dur_ns(slice) >= rule.min_ns
            && rule.with.as_deref().is_none_or(|name| self.contains(slice, track, name))
    }

    /// Whether an event that starts inside a frame and ends inside it is a C function of a name.
    fn contains(&self, frame: usize, track: usize, function: &str) -> bool {
        let wanted: Option<StrId> =
            self.store.strings.find(&format!("<built-in function {function}>"));
        let slices = &self.store.slices;
        let end = slices.end_ns(frame);
        wanted.is_some_and(|wanted| {
            (frame + 1..self.store.tracks[track].slices.end)
                .take_while(|&slice| slices.ts_ns[slice] <= end)
                .any(|slice| slices.name[slice] == wanted && slices.end_ns(slice) <= end)
        })
    }

    /// Whether a call started a copy from the device to pageable memory, which blocks until it is done.
    fn is_pageable_read(&self, call: usize) -> bool {
        self.store.name(call).contains("Memcpy")
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
    sweep: Sweep,
    waits: Vec<WaitFrame>,
    /// Latest end of a wait so far, by class: a wait that ends no later is inside one.
    covered_until_ns: [i64; Class::ALL.len()],
    /// Events up to here that are no deserialization are without effect.
    skip_until_ns: i64,
}

impl<'a> Pass<'a> {
    fn new(rules: &'a Rules<'a>, window: Span) -> Self {
        Self {
            rules,
            window,
            sweep: Sweep::new(window),
            waits: Vec::new(),
            covered_until_ns: [i64::MIN; Class::ALL.len()],
            skip_until_ns: i64::MIN,
        }
    }

    fn event(&mut self, slice: usize, track: usize) {
        let store = self.rules.store;
        if is_impossible(store.slices.dur_ns(slice)) {
            return;
        }
        let Some((role, rule)) = self.rules.role(slice, track) else { return };
        let span = slice_span(store, slice);
        self.skip_until_ns = self.sweep.open(span.start_ns, span.end_ns, role);
        let class = match role {
            Role::IpcWait => Class::IpcWait,
            Role::Work(class) if class.is_wait() => class,
            _ => return,
        };
        self.note_wait(slice, span, class, rule);
    }

    fn note_wait(&mut self, slice: usize, span: Span, class: Class, rule: Option<&Rule>) {
        let is_covered = span.end_ns <= self.covered_until_ns[class as usize]
            || span.end_ns <= self.covered_until_ns[Class::IpcWait as usize];
        let until = &mut self.covered_until_ns[class as usize];
        *until = (*until).max(span.end_ns);
        // The calls inside say how long a synchronizing operator waited, so that it is no wait of its own.
        let is_op = self.rules.store.kind(slice) == EventKind::CpuOp && self.rules.has_calls;
        let is_outside = span.end_ns < self.window.start_ns || span.start_ns > self.window.end_ns;
        if !is_covered && !is_op && !is_outside {
            let rule = rule.map(|rule| rule.number);
            self.waits.push(WaitFrame { slice: slice as u32, class, rule });
        }
    }
}

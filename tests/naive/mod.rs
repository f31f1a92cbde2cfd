//! The time accounts once more, as slowly and plainly as possible: no stack, no skipping, no index, no shared code
//! beyond the text of the rules.
//!
//! The time of a thread is cut at every start and end of its events. In each piece all events that cover it are looked
//! at, in the order (start ascending, end descending, file order).

use std::collections::{BTreeMap, BTreeSet};

use omni_trace::analyze::host::ThreadKind;
use omni_trace::analyze::timeline::Class;
use omni_trace::analyze::wait_rules::{Rule, RuleEffect, RuleSource, WaitRules};
use omni_trace::model::EventKind;
use omni_trace::store::{Store, TrackId};

pub(crate) type Piece = (i64, i64, Class);

/// What an event is for the account.
#[derive(Clone, Copy, PartialEq)]
enum Is {
    Wait,
    Unpack(Class),
    Work(Class),
    Nothing,
}

pub(crate) struct Naive<'a> {
    pub(crate) store: &'a Store,
    rules: &'a WaitRules,
    pub(crate) window: (i64, i64),
    has_device: bool,
    rule_cache: std::cell::RefCell<BTreeMap<(u32, EventKind), Option<usize>>>,
}

impl<'a> Naive<'a> {
    pub(crate) fn new(store: &'a Store, rules: &'a WaitRules) -> Self {
        let all = || 0..store.slices.len();
        let spans = |kind: Option<EventKind>| {
            let wanted = move |i: &usize| kind.is_none_or(|kind| store.kind(*i) == kind);
            let start = all().filter(wanted).map(|i| store.slices.ts_ns[i]).min();
            let end = all().filter(wanted).map(|i| store.slices.end_ns(i)).max();
            start.zip(end)
        };
        let window = spans(Some(EventKind::Window)).filter(|(s, e)| e > s);
        Self {
            store,
            rules,
            window: window.or_else(|| spans(None)).unwrap_or((0, 0)),
            has_device: all().any(|i| store.kind(i).is_device_activity()),
            rule_cache: std::cell::RefCell::default(),
        }
    }

    fn events(&self, track: usize) -> Vec<usize> {
        self.store.tracks[track].slices.clone().collect()
    }

    fn kinds(&self, track: usize) -> Vec<EventKind> {
        self.events(track).into_iter().map(|i| self.store.kind(i)).collect()
    }

    pub(crate) fn host_tracks(&self) -> Vec<usize> {
        let is_host = |&track: &usize| {
            let kinds = self.kinds(track);
            let on_host = |k: &EventKind| k.is_on_host() && *k != EventKind::Overhead;
            kinds.iter().any(on_host)
                || (kinds.contains(&EventKind::Other) && !kinds.iter().any(|k| k.is_on_device()))
        };
        (0..self.store.tracks.len()).filter(is_host).collect()
    }

    /// The first rule of a name with an effect on time; rules that need a device count only where there is one.
    fn rule(&self, slice: usize) -> Option<&'a Rule> {
        let key = (self.store.slices.name[slice].0, self.store.kind(slice));
        let number = *self.rule_cache.borrow_mut().entry(key).or_insert_with(|| {
            let name = self.store.name(slice);
            let source = match key.1 {
                EventKind::PythonFunction if name.contains("): ") && name.contains('(') => {
                    RuleSource::Frame
                }
                EventKind::PythonFunction => RuleSource::C,
                EventKind::CpuOp => RuleSource::Op,
                EventKind::UserAnnotation => RuleSource::Annotation,
                EventKind::Runtime | EventKind::Driver => RuleSource::Api,
                EventKind::Overhead => RuleSource::Overhead,
                _ => return None,
            };
            self.rules.find(source, name, |rule| {
                !matches!(
                    rule.effect,
                    RuleEffect::Comm | RuleEffect::WorkThread | RuleEffect::BackgroundThread
                ) && (self.has_device || !rule.needs_device)
            })
        });
        number.map(|n| &self.rules.rules()[n])
    }

    fn holds(&self, rule: &Rule, slice: usize, track: usize) -> bool {
        let end = self.store.slices.end_ns(slice);
        let with = |name: &String| {
            let wanted = format!("<built-in function {name}>");
            self.events(track).into_iter().any(|i| {
                i > slice && self.store.slices.end_ns(i) <= end && self.store.name(i) == wanted
            })
        };
        let runs = |i: usize| {
            let kind = self.store.kind(i);
            kind.is_api_call() || matches!(kind, EventKind::CpuOp | EventKind::Other)
        };
        let mut later = self.events(track).into_iter().filter(|&i| i > slice);
        let is_alone = !later.any(|i| runs(i) && self.store.slices.end_ns(i) <= end);
        let frames = self.kinds(track).contains(&EventKind::PythonFunction);
        self.store.slices.dur_ns(slice) >= rule.min_ns
            && rule.with.as_ref().is_none_or(with)
            && (is_alone || !rule.is_alone)
            && !(frames && rule.needs_no_frames)
    }

    /// Whether an operator has no call inside although calls are recorded.
    fn calls_nothing(&self, op: usize, track: usize) -> bool {
        let is_call = |i: &usize| self.store.kind(*i).is_api_call();
        let end = self.store.slices.end_ns(op);
        (0..self.store.slices.len()).any(|i| is_call(&i))
            && self.store.kind(op) == EventKind::CpuOp
            && !self
                .events(track)
                .into_iter()
                .filter(is_call)
                .any(|i| i > op && self.store.slices.end_ns(i) <= end)
    }

    fn is(&self, slice: usize, track: usize) -> Is {
        let kind = self.store.kind(slice);
        let plain = match kind {
            EventKind::PythonFunction => Is::Work(Class::Python),
            EventKind::CpuOp | EventKind::Other => Is::Work(Class::CpuOp),
            EventKind::Runtime | EventKind::Driver if self.is_blocking_copy(slice) => {
                Is::Work(Class::GpuSync)
            }
            EventKind::Runtime | EventKind::Driver => Is::Work(Class::Runtime),
            _ => Is::Nothing,
        };
        let Some(rule) = self.rule(slice).filter(|rule| self.holds(rule, slice, track)) else {
            return plain;
        };
        match rule.effect {
            RuleEffect::IpcWait if rule.is_rest => Is::Work(Class::IpcWait),
            RuleEffect::IpcWait => Is::Wait,
            RuleEffect::Deserialize => match plain {
                Is::Work(class) => Is::Unpack(class),
                _ => Is::Unpack(Class::CpuOp),
            },
            RuleEffect::GpuSync if self.calls_nothing(slice, track) => plain,
            RuleEffect::GpuSync => Is::Work(Class::GpuSync),
            RuleEffect::ModuleLoading => Is::Work(Class::ModuleLoading),
            RuleEffect::Profiler => Is::Work(Class::Profiler),
            RuleEffect::OtherWait => Is::Work(Class::OtherWait),
            _ => plain,
        }
    }

    fn is_blocking_copy(&self, call: usize) -> bool {
        let id = self.store.correlation(call).filter(|&id| id != 0);
        id.is_some()
            && self.store.name(call).contains("Memcpy")
            && (0..self.store.slices.len()).any(|i| {
                self.store.kind(i) == EventKind::Memcpy
                    && self.store.correlation(i) == id
                    && self.store.name(i).contains("DtoH")
                    && self.store.name(i).contains("Pageable")
            })
    }

    pub(crate) fn kind_of(&self, track: usize) -> ThreadKind {
        let kinds = self.kinds(track);
        let frames_only = kinds.iter().all(|k| !k.is_on_host() || *k == EventKind::PythonFunction);
        if self.store.tracks[track].tid == TrackId::Int(0)
            && kinds.contains(&EventKind::PythonFunction)
            && frames_only
        {
            return ThreadKind::Idle;
        }
        let marked = |effect: RuleEffect| {
            let names: BTreeSet<&str> = self
                .events(track)
                .into_iter()
                .filter(|&i| self.store.kind(i) == EventKind::PythonFunction)
                .map(|i| self.store.name(i))
                .collect();
            names.iter().any(|name| {
                self.rules.find(RuleSource::Frame, name, |r| r.effect == effect).is_some()
            })
        };
        if marked(RuleEffect::WorkThread) {
            return ThreadKind::Work;
        }
        if marked(RuleEffect::BackgroundThread) {
            return ThreadKind::Background;
        }
        let runs = |k: &EventKind| matches!(k, EventKind::CpuOp | EventKind::UserAnnotation);
        if kinds.iter().any(runs) || self.launches(track) {
            ThreadKind::Work
        } else {
            ThreadKind::Background
        }
    }

    fn launches(&self, track: usize) -> bool {
        let ids: BTreeSet<u64> = (0..self.store.slices.len())
            .filter(|&i| self.store.kind(i).is_device_activity())
            .filter_map(|i| self.store.correlation(i))
            .collect();
        self.events(track)
            .into_iter()
            .filter(|&i| self.store.kind(i).is_api_call())
            .any(|i| self.store.correlation(i).is_some_and(|id| id != 0 && ids.contains(&id)))
    }

    /// The track that an overhead row of a pseudo process belongs to.
    fn overhead_owner(&self, row: usize) -> Option<usize> {
        let (start, end) = (self.store.slices.ts_ns[row], self.store.slices.end_ns(row));
        let tid = self.store.tracks[self.store.track_of(row)].tid;
        let hosts = self.host_tracks();
        let same: Vec<usize> =
            hosts.iter().copied().filter(|&t| self.store.tracks[t].tid == tid).collect();
        if tid != TrackId::Int(0) && same.len() == 1 {
            return Some(same[0]);
        }
        let mut best: Option<(i64, usize)> = None;
        for track in hosts {
            for i in self.events(track) {
                let kind = self.store.kind(i);
                let encloses = kind.is_api_call()
                    || matches!(kind, EventKind::CpuOp | EventKind::UserAnnotation);
                let at = self.store.slices.ts_ns[i];
                if encloses
                    && at <= start
                    && self.store.slices.end_ns(i) >= end
                    && best.is_none_or(|b| at > b.0)
                {
                    best = Some((at, track));
                }
            }
        }
        best.map(|(_, track)| track)
    }

    /// The pieces of a thread's window with their classes, neighbours of one class joined.
    pub(crate) fn pieces(&self, track: usize) -> Vec<Piece> {
        if self.kind_of(track) == ThreadKind::Idle {
            let frames: Vec<(i64, i64, Is)> = self
                .events(track)
                .into_iter()
                .map(|i| {
                    (
                        self.store.slices.ts_ns[i],
                        self.store.slices.end_ns(i),
                        Is::Work(Class::OtherWait),
                    )
                })
                .collect();
            return self.cut(&frames);
        }
        let hosts = self.host_tracks();
        let mut events: Vec<(i64, i64, u8, usize)> = Vec::new();
        for i in self.events(track) {
            events.push((self.store.slices.ts_ns[i], -self.store.slices.end_ns(i), 0, i));
        }
        for row in 0..self.store.slices.len() {
            if self.store.kind(row) == EventKind::Overhead
                && !hosts.contains(&self.store.track_of(row))
                && self.rule(row).is_some()
                && self.overhead_owner(row) == Some(track)
            {
                events.push((self.store.slices.ts_ns[row], -self.store.slices.end_ns(row), 1, row));
            }
        }
        events.sort();
        let spans: Vec<(i64, i64, Is)> =
            events.into_iter().map(|(s, e, _, i)| (s, -e, self.is(i, track))).collect();
        self.cut(&spans)
    }

    /// Cuts the window at every start and end, and looks at all events that cover each piece.
    fn cut(&self, events: &[(i64, i64, Is)]) -> Vec<Piece> {
        let mut changes: BTreeMap<i64, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
        for (number, &(start, end, _)) in events.iter().enumerate() {
            if start < end {
                changes.entry(start).or_default().0.push(number);
                changes.entry(end).or_default().1.push(number);
            }
        }
        changes.entry(self.window.0).or_default();
        changes.entry(self.window.1).or_default();
        let mut covering: BTreeSet<usize> = BTreeSet::new();
        let mut pieces: Vec<Piece> = Vec::new();
        let times: Vec<i64> = changes.keys().copied().collect();
        for (k, (time, (opened, closed))) in changes.into_iter().enumerate() {
            closed.iter().for_each(|number| assert!(covering.remove(number)));
            covering.extend(opened);
            if time < self.window.0 || time >= self.window.1 {
                continue;
            }
            let class = class_of(&covering, events);
            match pieces.last_mut() {
                Some(last) if last.2 == class => last.1 = times[k + 1],
                _ => pieces.push((time, times[k + 1], class)),
            }
        }
        pieces
    }
}

fn class_of(covering: &BTreeSet<usize>, events: &[(i64, i64, Is)]) -> Class {
    let mut last_first = covering.iter().rev().map(|&number| events[number].2);
    let mark = last_first.clone().find(|is| matches!(is, Is::Wait | Is::Unpack(_)));
    if mark == Some(Is::Wait) {
        return Class::IpcWait;
    }
    let innermost = last_first.find_map(|is| match is {
        Is::Work(class) | Is::Unpack(class) => Some(class),
        _ => None,
    });
    innermost.unwrap_or(Class::Unattributed)
}

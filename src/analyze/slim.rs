//! Which slices a smaller trace can do without, and what stands in for them.
//!
//! Collapsing a wait takes the Python frames inside an outermost inter-process wait and leaves everything that a figure
//! rests on: the wait itself, deserialization and what is inside it, operators and calls, the frame that a rule asks for,
//! and the first frame of each thread that tells what the thread is for. So waits, iterations and kernels of the smaller
//! trace are those of the whole. The other filters take what they are told to.

use std::collections::BTreeSet;
use std::ops::Range;

use rayon::prelude::*;
use regex::Regex;

use super::base::{HostBase, TimeBase, TimeConfig};
use super::host::{HostThread, WaitFrame};
use super::intervals::Span;
use super::iterations::iterations;
use super::launches::Launches;
use super::names::{DESERIALIZES, MARKS_BACKGROUND, MARKS_WORK, NameRules};
use super::timeline::Class;
use crate::model::EventKind;
use crate::store::{Store, StrId};

/// Slices whose names one thread looks at, at least.
const SLICES_AT_A_TIME: usize = 1 << 14;

/// A category, or a pattern of names.
#[derive(Clone, Debug)]
pub enum SlimFilter {
    /// A category, as the trace writes it.
    Category(String),
    /// A regular expression that a name matches somewhere.
    Name(Regex),
}

/// What is to go.
#[derive(Clone, Debug, Default)]
pub struct SlimConfig {
    /// Whether the frames inside inter-process waits go.
    pub collapses_waits: bool,
    /// Offsets from the start of the file window, in nanoseconds: only what meets this stays.
    pub window_ns: Option<(Option<i64>, Option<i64>)>,
    /// Numbers of the iterations of each thread that stay, the last one included.
    pub iterations: Option<(usize, usize)>,
    /// Only slices that one of these describes; all where there is none.
    pub only: Vec<SlimFilter>,
    /// No slices that one of these describes.
    pub drop: Vec<SlimFilter>,
    /// Python frames and operators shorter than this go.
    pub min_dur_ns: i64,
    /// Python frames deeper than this go.
    pub max_stack_depth: Option<usize>,
}

/// A wait whose inside went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollapsedWait {
    /// The slice of the wait.
    pub slice: u32,
    /// Frames that went.
    pub count: u64,
    /// Time that such frames covered, in nanoseconds.
    pub covered_ns: i64,
}

/// What goes and what stands in for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlimChoice {
    /// Whether each slice goes.
    pub is_gone: Vec<bool>,
    /// Waits whose inside went, by slice.
    pub waits: Vec<CollapsedWait>,
    /// Events that are no slices stay where they lie in this span; `None` for everywhere.
    pub span_ns: Option<(i64, i64)>,
    /// Iterations of the whole trace, over all threads; only counted where some were asked for.
    pub n_iterations: Option<usize>,
}

/// Chooses what goes.
pub fn choose_slim(store: &Store, time: &TimeConfig, config: &SlimConfig) -> SlimChoice {
    let host = HostBase::new(store, time);
    let mut choice =
        SlimChoice { is_gone: vec![false; store.slices.len()], ..SlimChoice::default() };
    if config.collapses_waits {
        for thread in &host.threads {
            let collapse = Collapse { store, names: &host.names, time, thread };
            choice.waits.append(&mut collapse.run(&mut choice.is_gone));
        }
        choice.waits.sort_by_key(|wait| wait.slice);
    }
    filter_names(store, config, &mut choice.is_gone);
    filter_depth(store, config, &mut choice.is_gone);
    if let Some((span, launches)) = span(store, time, config, host, &mut choice) {
        filter_span(store, &launches, span, &mut choice);
    }
    choice.waits.retain(|wait| !choice.is_gone[wait.slice as usize]);
    choice
}

/// Collapses the waits of one thread.
struct Collapse<'a> {
    store: &'a Store,
    names: &'a NameRules<'a>,
    time: &'a TimeConfig,
    thread: &'a HostThread,
}

/// A wait to be collapsed.
struct Wait<'a> {
    slice: usize,
    /// The slices of its track that come after it and start before it ends.
    inside: Range<usize>,
    /// The function whose first call stays.
    with: Option<&'a str>,
}

impl<'a> Collapse<'a> {
    /// Takes what is inside the waits. Gives those of which something went.
    fn run(&self, is_gone: &mut [bool]) -> Vec<CollapsedWait> {
        let track = self.store.tracks[self.thread.track].slices.clone();
        let waits = self.thread.waits.iter().filter_map(|wait| self.wait(wait, &track));
        let waits: Vec<Wait<'_>> = waits.collect();
        if waits.is_empty() {
            return Vec::new();
        }
        let kept = self.evidence(track);
        let parts = apart(&waits, is_gone).into_par_iter();
        let collapsed = parts.flat_map_iter(|Part { waits, first, is_gone }| {
            let collapse = |wait| self.collapse(wait, &kept, first, is_gone);
            waits.iter().map(collapse).filter(|wait| wait.count > 0).collect::<Vec<_>>()
        });
        collapsed.collect()
    }

    /// What is to be collapsed of a wait of the thread.
    fn wait(&self, wait: &WaitFrame, track: &Range<usize>) -> Option<Wait<'a>> {
        let slice = wait.slice as usize;
        // A wait on another track is overhead; only frames of this one are taken.
        if wait.class != Class::IpcWait || !track.contains(&slice) {
            return None;
        }
        let rule = wait.rule.map(|rule| &self.time.rules.rules()[usize::from(rule)]);
        // What is inside such a wait tells what of it is none.
        if rule.is_some_and(|rule| rule.is_rest) {
            return None;
        }
        let slices = &self.store.slices;
        let (start, end_ns) = (slice + 1, slices.end_ns(slice));
        let n = slices.ts_ns[start..track.end].partition_point(|&ts_ns| ts_ns < end_ns);
        Some(Wait {
            slice,
            inside: start..start + n,
            with: rule.and_then(|rule| rule.with.as_deref()),
        })
    }

    /// The first frame of the thread that marks it as working, and the first that marks it as helping.
    fn evidence(&self, track: Range<usize>) -> Vec<usize> {
        let names = &self.store.slices.name[track.clone()];
        let first = |mark: u8| {
            let marks = |name: &StrId| self.names.flags[name.0 as usize] & mark != 0;
            let parts = names.par_chunks(SLICES_AT_A_TIME).enumerate();
            parts.find_map_first(|(i, names)| {
                let at = names.iter().position(marks)?;
                Some(track.start + i * SLICES_AT_A_TIME + at)
            })
        };
        [MARKS_WORK, MARKS_BACKGROUND].into_iter().filter_map(first).collect()
    }

    /// Takes the frames inside a wait; `is_gone` begins with the slice `first`.
    fn collapse(
        &self,
        wait: &Wait<'_>,
        kept: &[usize],
        first: usize,
        is_gone: &mut [bool],
    ) -> CollapsedWait {
        let slices = &self.store.slices;
        let end_ns = slices.end_ns(wait.slice);
        let function = |name: &str| format!("<built-in function {name}>");
        let mut wanted = wait.with.and_then(|name| self.store.strings.find(&function(name)));
        let mut collapsed = CollapsedWait { slice: wait.slice as u32, count: 0, covered_ns: 0 };
        let mut covered_until_ns = slices.ts_ns[wait.slice];
        let mut deserializes_until_ns = i64::MIN;
        for slice in wait.inside.clone() {
            let (start_ns, slice_end_ns) = (slices.ts_ns[slice], slices.end_ns(slice));
            if self.names.flags[slices.name[slice].0 as usize] & DESERIALIZES != 0 {
                deserializes_until_ns = deserializes_until_ns.max(slice_end_ns);
            }
            let is_frame = self.store.kind(slice) == EventKind::PythonFunction;
            let is_inside = slice_end_ns <= end_ns && start_ns >= deserializes_until_ns;
            if !is_frame || !is_inside || kept.contains(&slice) {
                continue;
            }
            if wanted == Some(slices.name[slice]) {
                wanted = None;
                continue;
            }
            is_gone[slice - first] = true;
            collapsed.count += 1;
            collapsed.covered_ns += (slice_end_ns - covered_until_ns.max(start_ns)).max(0);
            covered_until_ns = covered_until_ns.max(slice_end_ns);
        }
        collapsed
    }
}

/// Some waits of a thread, and the slices from the first of them on, of which those of other parts hold none.
struct Part<'w, 'a> {
    waits: &'w [Wait<'a>],
    first: usize,
    is_gone: &'w mut [bool],
}

/// The waits of a thread, in their order, in parts that share no slice.
fn apart<'w, 'a>(mut waits: &'w [Wait<'a>], mut is_gone: &'w mut [bool]) -> Vec<Part<'w, 'a>> {
    let (mut parts, mut passed) = (Vec::new(), 0);
    while let Some(Wait { slice: first, inside, .. }) = waits.first() {
        let (first, mut end, mut n) = (*first, inside.end, 1);
        while let Some(wait) = waits.get(n).filter(|wait| wait.slice < end) {
            end = end.max(wait.inside.end);
            n += 1;
        }
        let (mine, others) = waits.split_at(n);
        let (slices, behind) = is_gone[first - passed..].split_at_mut(end - first);
        parts.push(Part { waits: mine, first, is_gone: slices });
        (waits, is_gone, passed) = (others, behind, end);
    }
    parts
}

/// Whether each name and category fits one of the filters.
struct Fits {
    names: Vec<bool>,
    categories: Vec<bool>,
}

impl Fits {
    fn new(store: &Store, filters: &[SlimFilter]) -> Self {
        let name = |text: &str| {
            filters
                .iter()
                .any(|filter| matches!(filter, SlimFilter::Name(regex) if regex.is_match(text)))
        };
        let category = |text: &str| {
            filters
                .iter()
                .any(|filter| matches!(filter, SlimFilter::Category(known) if known == text))
        };
        Self {
            names: store.strings.iter().map(|(_, text)| name(text)).collect(),
            categories: store
                .categories
                .iter()
                .map(|&(id, _)| category(store.strings.get(id)))
                .collect(),
        }
    }

    fn fits(&self, store: &Store, slice: usize) -> bool {
        self.names[store.slices.name[slice].0 as usize]
            || self.categories[store.category_number(slice)]
    }
}

/// Takes what the name and duration filters say. The profiled window itself always stays.
fn filter_names(store: &Store, config: &SlimConfig, is_gone: &mut [bool]) {
    if config.only.is_empty() && config.drop.is_empty() && config.min_dur_ns <= 0 {
        return;
    }
    let (only, drop) = (Fits::new(store, &config.only), Fits::new(store, &config.drop));
    for (slice, gone) in is_gone.iter_mut().enumerate() {
        let kind = store.kind(slice);
        let is_short = matches!(kind, EventKind::PythonFunction | EventKind::CpuOp)
            && store.slices.dur_ns(slice) < config.min_dur_ns;
        let is_unwanted = !config.only.is_empty() && !only.fits(store, slice);
        *gone |= kind != EventKind::Window && (is_short || is_unwanted || drop.fits(store, slice));
    }
}

/// Takes Python frames that lie too deep.
fn filter_depth(store: &Store, config: &SlimConfig, is_gone: &mut [bool]) {
    let Some(most) = config.max_stack_depth else { return };
    let mut open: Vec<i64> = Vec::new();
    for track in &store.tracks {
        open.clear();
        for slice in track.slices.clone() {
            if store.kind(slice) != EventKind::PythonFunction {
                continue;
            }
            while open.last().is_some_and(|&end_ns| end_ns <= store.slices.ts_ns[slice]) {
                open.pop();
            }
            open.push(store.slices.end_ns(slice));
            is_gone[slice] |= open.len() > most;
        }
    }
}

/// The span that the window or the iterations ask for, with what launches say of it.
fn span(
    store: &Store,
    time: &TimeConfig,
    config: &SlimConfig,
    host: HostBase<'_>,
    choice: &mut SlimChoice,
) -> Option<(Span, Launches)> {
    if let Some((from, to)) = config.window_ns {
        let at = |offset: i64| host.windows.file.start_ns.saturating_add(offset);
        let span = Span { start_ns: from.map_or(i64::MIN, at), end_ns: to.map_or(i64::MAX, at) };
        return Some((span, host.launches));
    }
    let (first, last) = config.iterations?;
    let base = TimeBase::of_host(store, time, host);
    let rows = iterations(store, &base).rows;
    choice.n_iterations = Some(rows.len());
    let tracks: BTreeSet<usize> = rows.iter().map(|row| row.track).collect();
    let chosen = tracks.iter().flat_map(|&track| {
        rows.iter()
            .filter(move |row| row.track == track)
            .skip(first)
            .take((last - first).saturating_add(1))
    });
    let spans: Vec<(i64, i64)> =
        chosen.map(|row| (row.start_ns, row.start_ns.saturating_add(row.cpu_ns))).collect();
    let start_ns = spans.iter().map(|span| span.0).min()?;
    let end_ns = spans.iter().map(|span| span.1).max()?;
    Some((Span { start_ns, end_ns }, base.launches))
}

/// Keeps what meets a span, and the device work that was launched inside it.
fn filter_span(store: &Store, launches: &Launches, span: Span, choice: &mut SlimChoice) {
    let slices = &store.slices;
    let mut last_ns = span.end_ns;
    let is_inside = |slice: usize| {
        let (start_ns, end_ns) = (slices.ts_ns[slice], slices.end_ns(slice));
        start_ns < span.end_ns && (end_ns > span.start_ns || start_ns >= span.start_ns)
    };
    for slice in 0..slices.len() {
        if is_inside(slice) || store.kind(slice) == EventKind::Window {
            continue;
        }
        let launch = if store.kind(slice).is_device_activity() {
            launches.call_of(store, slice)
        } else {
            None
        };
        if launch.is_some_and(is_inside) {
            last_ns = last_ns.max(slices.end_ns(slice).saturating_add(1));
        } else {
            choice.is_gone[slice] = true;
        }
    }
    choice.span_ns = Some((span.start_ns, last_ns));
}

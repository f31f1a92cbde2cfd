//! Which slices a smaller trace can do without, and what stands in for them.
//!
//! Collapsing a wait takes the Python frames inside an outermost inter-process wait and leaves everything that a figure
//! rests on: the wait itself, deserialization and what is inside it, operators and calls, the frame that a rule asks for,
//! and the first frame of each thread that tells what the thread is for. So waits, iterations and kernels of the smaller
//! trace are those of the whole. The other filters take what they are told to.

use std::collections::BTreeSet;

use regex::Regex;

use super::base::{TimeBase, TimeConfig};
use super::host::HostThread;
use super::intervals::Span;
use super::iterations::iterations;
use super::names::{DESERIALIZES, MARKS_BACKGROUND, MARKS_WORK, NameRules};
use super::timeline::Class;
use crate::model::EventKind;
use crate::store::Store;

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
    let base = TimeBase::new(store, time);
    let mut choice =
        SlimChoice { is_gone: vec![false; store.slices.len()], ..SlimChoice::default() };
    if config.collapses_waits {
        let names = NameRules::new(store, &time.rules, base.launches.has_activity());
        for thread in &base.threads {
            Collapse { store, names: &names, time, thread }.run(&mut choice);
        }
        choice.waits.sort_by_key(|wait| wait.slice);
    }
    filter_names(store, config, &mut choice.is_gone);
    filter_depth(store, config, &mut choice.is_gone);
    if let Some(span) = span(store, &base, config, &mut choice) {
        filter_span(store, &base, span, &mut choice);
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

impl Collapse<'_> {
    fn run(&self, choice: &mut SlimChoice) {
        let track = self.store.tracks[self.thread.track].slices.clone();
        let kept = self.evidence(track.clone());
        for wait in &self.thread.waits {
            let slice = wait.slice as usize;
            // A wait on another track is overhead; only frames of this one are taken.
            if wait.class != Class::IpcWait || !track.contains(&slice) {
                continue;
            }
            let rule = wait.rule.map(|rule| &self.time.rules.rules()[usize::from(rule)]);
            // What is inside such a wait tells what of it is none.
            if rule.is_some_and(|rule| rule.is_rest) {
                continue;
            }
            let with = rule.and_then(|rule| rule.with.as_deref());
            let collapsed = self.collapse(slice, track.end, with, &kept, &mut choice.is_gone);
            if collapsed.count > 0 {
                choice.waits.push(collapsed);
            }
        }
    }

    /// The first frame of the thread that marks it as working, and the first that marks it as helping.
    fn evidence(&self, track: std::ops::Range<usize>) -> Vec<usize> {
        let first = |mark: u8| {
            let marks = |&slice: &usize| {
                self.names.flags[self.store.slices.name[slice].0 as usize] & mark != 0
            };
            track.clone().find(marks)
        };
        [MARKS_WORK, MARKS_BACKGROUND].into_iter().filter_map(first).collect()
    }

    /// Takes the frames inside a wait.
    fn collapse(
        &self,
        wait: usize,
        track_end: usize,
        with: Option<&str>,
        kept: &[usize],
        is_gone: &mut [bool],
    ) -> CollapsedWait {
        let slices = &self.store.slices;
        let end_ns = slices.end_ns(wait);
        let mut wanted =
            with.and_then(|name| self.store.strings.find(&format!("<built-in function {name}>")));
        let mut collapsed = CollapsedWait { slice: wait as u32, count: 0, covered_ns: 0 };
        let mut covered_until_ns = slices.ts_ns[wait];
        let mut deserializes_until_ns = i64::MIN;
        for (slice, gone) in is_gone.iter_mut().enumerate().take(track_end).skip(wait + 1) {
            let (start_ns, slice_end_ns) = (slices.ts_ns[slice], slices.end_ns(slice));
            if start_ns >= end_ns {
                break;
            }
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
            *gone = true;
            collapsed.count += 1;
            collapsed.covered_ns += (slice_end_ns - covered_until_ns.max(start_ns)).max(0);
            covered_until_ns = covered_until_ns.max(slice_end_ns);
        }
        collapsed
    }
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

/// The span that the window or the iterations ask for.
fn span(
    store: &Store,
    base: &TimeBase,
    config: &SlimConfig,
    choice: &mut SlimChoice,
) -> Option<Span> {
    let file = base.windows.file;
    if let Some((from, to)) = config.window_ns {
        let at = |offset: i64| file.start_ns.saturating_add(offset);
        return Some(Span { start_ns: from.map_or(i64::MIN, at), end_ns: to.map_or(i64::MAX, at) });
    }
    let (first, last) = config.iterations?;
    let rows = iterations(store, base).rows;
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
    Some(Span { start_ns, end_ns })
}

/// Keeps what meets a span, and the device work that was launched inside it.
fn filter_span(store: &Store, base: &TimeBase, span: Span, choice: &mut SlimChoice) {
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
            base.launches.call_of(store, slice)
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

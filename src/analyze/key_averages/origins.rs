//! How a trace says which operator launched what, and the operator of each call and device event.
//!
//! Torch links a runtime call or device event to the operator that was innermost when it was launched. Writers since
//! February 2024, and those before June 2021, write that operator's id as `External id`. Writers between wrote the
//! event's own correlation there, whatever it was linked to: in their traces the operator is the innermost one around
//! the call, on the call's thread. What is so is found in the data, not by the writer's age. Nothing here knows rows.

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};

use super::padding::Padding;
use crate::analyze::by_id::ById;
use crate::analyze::launches::Launches;
use crate::analyze::window::slice_span;
use crate::model::EventKind;
use crate::store::Store;

type Map<K, V> = HashMap<K, V, FixedState>;
type Set<K> = HashSet<K, FixedState>;

/// Where whole microseconds are written, an operator may seem to end before a call in it does by as much.
const ROUNDING_NS: i64 = 1_000;

/// How the device time of an operator is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkSource {
    /// By the operator's id on calls and device events.
    #[default]
    ExternalId,
    /// By correlation to the call, and the operators around the call on its thread.
    Nesting,
    /// Not at all: no id names an operator, and no launch is on a thread that has operators.
    NotRecorded,
}

/// The operator of each call and device event of one store.
#[derive(Debug, Default)]
pub(super) struct Origins {
    pub(super) source: LinkSource,
    /// Device events whose operator cannot be told, where operators are told by nesting: they have no call.
    pub(super) n_without_call: u64,
    /// The slices of operators and annotations, by their id; of one id the last counts. Empty where nothing could be linked.
    op_slices: ById<u32>,
    /// Correlations that equal the id of the operator around their call: they name it although they are their own.
    own_links: Set<u64>,
    /// The operator slice of each call and device activity, where operators are told by nesting.
    around: Map<u32, u32>,
    /// Whether torch put calls without an operator on the thread that stopped the profiler.
    pub(super) moves_unlinked: bool,
    padding: Padding,
}

impl Origins {
    pub(super) fn new(store: &Store) -> Self {
        let has = |wanted: &dyn Fn(EventKind) -> bool| store.categories.iter().any(|c| wanted(c.1));
        let mut origins = Self { padding: Padding::of(store), ..Self::default() };
        origins.moves_unlinked = !store.categories.iter().any(|c| is_of_2021(store, c.0));
        if !has(&EventKind::is_api_call) && !has(&EventKind::is_on_device) {
            return origins;
        }
        origins.op_slices = op_slices(store);
        origins.own_links = origins.own_links(store);
        let has_ops = has(&|kind| kind == EventKind::CpuOp);
        if has_ops && has(&EventKind::is_device_activity) && !origins.ids_name_operators(store) {
            origins.link_by_nesting(store);
        }
        origins
    }

    /// The id of the operator that a runtime call or device event was launched by; `None` where it was launched by none.
    ///
    /// Device annotations carry the id of their host annotation and are not linked to it. An `External id` that equals
    /// the event's own correlation is no link on synchronizations, and on other events only where the operator of that
    /// id is around the call: writers before October 2024 put an unlinked event's correlation there.
    #[inline]
    pub(super) fn linked_op(&self, store: &Store, slice: usize) -> Option<u64> {
        let kind = store.kind(slice);
        if kind == EventKind::GpuUserAnnotation || !(kind.is_api_call() || kind.is_on_device()) {
            return None;
        }
        if self.source == LinkSource::Nesting {
            return self.around.get(&(slice as u32)).map(|&op| u64::from(op));
        }
        let id = store.external_id(slice).filter(|&id| id != 0)?;
        if store.correlation(slice) != Some(id) {
            return Some(id);
        }
        (kind != EventKind::CudaSync && self.own_links.contains(&id)).then_some(id)
    }

    /// The id by which an operator or annotation takes calls and device events.
    #[inline]
    pub(super) fn own_id(&self, store: &Store, slice: usize) -> Option<u64> {
        match self.source {
            LinkSource::Nesting => Some(slice as u64),
            _ => store.external_id(slice),
        }
    }

    /// The track of the operator of an id.
    pub(super) fn track_of(&self, store: &Store, id: u64) -> Option<usize> {
        match self.source {
            LinkSource::Nesting => Some(store.track_of(id as usize)),
            _ => self.op_of(id).map(|slice| store.track_of(slice)),
        }
    }

    /// The operator of an id.
    fn op_of(&self, id: u64) -> Option<usize> {
        self.op_slices.of(id).last().map(|&(_, slice)| slice as usize)
    }

    /// Start and end of an event as torch had them: an annotation's span on a device is written with a margin.
    #[inline]
    pub(super) fn interval(&self, store: &Store, slice: usize) -> (i64, i64) {
        let span = slice_span(store, slice);
        match store.kind(slice) {
            EventKind::GpuUserAnnotation => self.padding.without(span),
            _ => (span.start_ns, span.end_ns),
        }
    }

    /// The correlations of calls that are their `External id` too and lie in the operator of that id; and those of
    /// device events whose call is not in the trace.
    fn own_links(&self, store: &Store) -> Set<u64> {
        let own = |slice: usize| {
            store.external_id(slice).filter(|&id| id != 0 && store.correlation(slice) == Some(id))
        };
        let mut links = Set::default();
        let mut others = Set::default();
        for slice in store.all_of(EventKind::is_api_call) {
            let Some(id) = own(slice) else { continue };
            let is_around = |op: usize| {
                let (op_span, span) = (slice_span(store, op), slice_span(store, slice));
                store.track_of(op) == store.track_of(slice)
                    && op_span.start_ns <= span.end_ns
                    && span.start_ns <= op_span.end_ns
            };
            if self.op_of(id).is_some_and(is_around) {
                links.insert(id)
            } else {
                others.insert(id)
            };
        }
        if store.meta.base_time_ns.is_some() {
            let events = store.device_rows.iter().map(|row| row.slice as usize);
            let alone = events.filter_map(own).filter(|id| !others.contains(id));
            links.extend(alone.filter(|&id| self.op_of(id).is_some()));
        }
        links
    }

    /// Whether the ids on calls and device events name operators: one that is not the event's own does; where all are
    /// their own, most of them.
    fn ids_name_operators(&self, store: &Store) -> bool {
        let (mut n_named, mut n_own) = (0_u64, 0_u64);
        let is_linkable = |kind: EventKind| kind.is_api_call() || kind.is_device_activity();
        for slice in store.all_of(is_linkable) {
            let Some(id) = store.external_id(slice).filter(|&id| id != 0) else { continue };
            if store.correlation(slice) != Some(id) {
                if self.op_of(id).is_some() {
                    return true;
                }
            } else if self.own_links.contains(&id) {
                n_named += 1;
            } else {
                n_own += 1;
            }
        }
        n_named > n_own
    }

    /// Tells the operators of calls and device activity by nesting, if any launch lies in an operator.
    fn link_by_nesting(&mut self, store: &Store) {
        let launches = Launches::new(store);
        let around = operators_around(store);
        let mut found = around.clone();
        let (mut n_without_call, mut n_beside_operators) = (0, 0);
        let op_tracks: Set<usize> =
            (0..store.tracks.len()).filter(|&track| has_ops(store, track)).collect();
        for row in &store.device_rows {
            let slice = row.slice as usize;
            if !store.kind(slice).is_device_activity() {
                continue;
            }
            let Some(call) = launches.call_of(store, slice) else {
                n_without_call += 1;
                continue;
            };
            match around.get(&(call as u32)) {
                Some(&op) => drop(found.insert(row.slice, op)),
                None => n_beside_operators += u64::from(op_tracks.contains(&store.track_of(call))),
            }
        }
        if found.len() > around.len() {
            self.source = LinkSource::Nesting;
            self.n_without_call = n_without_call;
            self.around = found;
            self.moves_unlinked = false;
        } else if n_beside_operators == 0 {
            self.source = LinkSource::NotRecorded;
            self.moves_unlinked = false;
        }
    }
}

/// A category of the writers of 2020 and 2021, which left every call on its thread.
fn is_of_2021(store: &Store, category: crate::store::StrId) -> bool {
    store.strings.get(category) == "Runtime"
}

fn is_op(kind: EventKind) -> bool {
    kind == EventKind::CpuOp
}

fn has_ops(store: &Store, track: usize) -> bool {
    store.slices_of(store.tracks[track].slices.clone(), is_op).next().is_some()
}

fn op_slices(store: &Store) -> ById<u32> {
    let named = |kind| matches!(kind, EventKind::CpuOp | EventKind::UserAnnotation);
    let ids = store.all_of(named);
    ById::new(ids.filter_map(|slice| Some((store.external_id(slice)?, slice as u32))).collect())
}

/// The innermost operator around each call, on its thread.
fn operators_around(store: &Store) -> Map<u32, u32> {
    let slack_ns = if store.meta.base_time_ns.is_some() { 0 } else { ROUNDING_NS };
    let mut around = Map::default();
    for track in &store.tracks {
        let mut open: Vec<usize> = Vec::new();
        let matters = |kind: EventKind| is_op(kind) || kind.is_api_call();
        for slice in store.slices_of(track.slices.clone(), matters) {
            let span = slice_span(store, slice);
            while open.last().is_some_and(|&op| store.slices.end_ns(op) < span.start_ns) {
                open.pop();
            }
            match store.kind(slice) {
                EventKind::CpuOp => open.push(slice),
                kind if kind.is_api_call() => {
                    let holds = |op: &&usize| {
                        let end_ns = store.slices.end_ns(**op);
                        end_ns >= span.start_ns && end_ns.saturating_add(slack_ns) >= span.end_ns
                    };
                    let op = open.iter().rev().find(holds);
                    around.extend(op.map(|&op| (slice as u32, op as u32)));
                }
                _ => (),
            }
        }
    }
    around
}

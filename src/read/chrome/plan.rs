//! How an event that is written like one before it becomes a row from its numbers alone, without its spans.
//!
//! Only what a row takes nothing else of is read so: Python frames, calls, operators and annotations without details, and flows. A
//! plan reads the same as [`super::decode`] does; where it cannot, the event is left to that.

use super::event::RawEvent;
use super::template::{Repeated, Slot};
use crate::model::{EventKind, Number};
use crate::store::FlowPhase;

/// How the events of one template are read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Plan {
    /// Slices.
    Slice(SlicePlan),
    /// Ends of flows.
    Flow(FlowPlan),
    /// From all that they say.
    Whole,
}

/// The slots of a slice's numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlicePlan {
    ts: usize,
    dur: Option<usize>,
    ids: IdPlaces,
}

/// The slots of a flow's numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct FlowPlan {
    pub(super) phase: FlowPhase,
    ts: usize,
    id: usize,
}

impl Plan {
    /// The plan for events like this one, of which `ids` says where among the arguments their ids are. Where arguments are kept,
    /// all of them are wanted.
    #[cold]
    pub(super) fn of(
        event: &Repeated<'_, '_>,
        kind: EventKind,
        ids: IdPlaces,
        keeps_arguments: bool,
    ) -> Self {
        let slots: Vec<Slot<'_>> = event.slots().collect();
        let is_odd =
            |slot: &Slot<'_>| matches!(slot, Slot::Other(key) if std::str::from_utf8(key).is_err());
        if slots.iter().any(is_odd) {
            return Self::Whole;
        }
        let plan = match event.known().ph {
            b"X" if !keeps_arguments => SlicePlan::of(&slots, kind, ids).map(Self::Slice),
            b"s" => FlowPlan::of(&slots, FlowPhase::Start).map(Self::Flow),
            b"t" => FlowPlan::of(&slots, FlowPhase::Step).map(Self::Flow),
            b"f" => FlowPlan::of(&slots, FlowPhase::Finish).map(Self::Flow),
            _ => None,
        };
        plan.unwrap_or(Self::Whole)
    }
}

/// Arguments that are more of a slice than its ids: see `module`, `op` and `collective` of [`super::decode`].
const DETAILS: [&[u8]; 10] = [
    b"Python module id",
    b"Input Dims",
    b"Input dims",
    b"Input type",
    b"Input Strides",
    b"Concrete Inputs",
    b"Fwd thread id",
    b"Call stack",
    b"Module Hierarchy",
    b"Collective name",
];

impl SlicePlan {
    fn of(slots: &[Slot<'_>], kind: EventKind, ids: IdPlaces) -> Option<Self> {
        let has_detail = |slot: &Slot<'_>| matches!(slot, Slot::Arg(key) if DETAILS.contains(key));
        if kind == EventKind::Other || kind.is_on_device() || slots.iter().any(has_detail) {
            return None;
        }
        let is_arg = |&place: &usize| matches!(slots[place], Slot::Arg(_));
        let args: Vec<usize> = (0..slots.len()).filter(is_arg).collect();
        let slot_of = |arg: Option<usize>| arg.and_then(|arg| args.get(arg).copied());
        let IdPlaces { id_a, id_b, number } = ids;
        let ids = IdPlaces { id_a: slot_of(id_a), id_b: slot_of(id_b), number: slot_of(number) };
        Some(Self { ts: place_of(slots, Slot::Ts)?, dur: place_of(slots, Slot::Dur), ids })
    }

    /// Start and duration in nanoseconds.
    #[inline]
    pub(super) fn times(&self, event: &Repeated<'_, '_>) -> Option<(i64, i64)> {
        let dur_ns = match self.dur {
            Some(dur) => ns(event.number(dur)?),
            None => 0,
        };
        Some((ns(event.number(self.ts)?), dur_ns))
    }

    /// The ids; `None` where one of them is no plain number.
    #[inline]
    pub(super) fn ids(&self, event: &Repeated<'_, '_>) -> Option<Ids> {
        let read = |place: Option<usize>| match place {
            Some(place) => whole(event.number(place)?).map(Some),
            None => Some(None),
        };
        let IdPlaces { id_a, id_b, number } = self.ids;
        Some(Ids { id_a: read(id_a)?, id_b: read(id_b)?, number: read(number)? })
    }
}

impl FlowPlan {
    fn of(slots: &[Slot<'_>], phase: FlowPhase) -> Option<Self> {
        Some(Self { phase, ts: place_of(slots, Slot::Ts)?, id: place_of(slots, Slot::Id)? })
    }

    /// Time in nanoseconds, and the id.
    #[inline]
    pub(super) fn read(&self, event: &Repeated<'_, '_>) -> Option<(i64, u64)> {
        Some((ns(event.number(self.ts)?), whole(event.number(self.id)?)?))
    }
}

fn place_of(slots: &[Slot<'_>], slot: Slot<'_>) -> Option<usize> {
    slots.iter().position(|&other| other == slot)
}

/// Nanoseconds of a number of microseconds.
#[inline]
fn ns(number: Number) -> i64 {
    // Both are below 10^18.
    match number {
        Number::Whole(us) => us as i64 * 1000,
        Number::Thousandths(ns) => ns as i64,
    }
}

#[inline]
fn whole(number: Number) -> Option<u64> {
    match number {
        Number::Whole(number) => Some(number),
        Number::Thousandths(_) => None,
    }
}

/// The numbers by which an event is known.
pub(super) struct Ids {
    /// See [`crate::store::SliceRow`].
    pub(super) id_a: Option<u64>,
    /// See [`crate::store::SliceRow`].
    pub(super) id_b: Option<u64>,
    /// `Ev Idx` of an event of the host. Kernels that repeat the arguments of their operator repeat its number too.
    pub(super) number: Option<u64>,
}

/// Where among the arguments the numbers stand by which an event is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IdPlaces {
    id_a: Option<usize>,
    id_b: Option<usize>,
    number: Option<usize>,
}

impl IdPlaces {
    pub(super) fn of(event: &RawEvent<'_>, kind: EventKind) -> Self {
        let (a, b): (&[u8], &[u8]) = match kind {
            EventKind::PythonFunction => (b"Python id", b"Python parent id"),
            EventKind::CpuOp | EventKind::UserAnnotation => (b"Sequence number", b"External id"),
            _ => (b"correlation", b"External id"),
        };
        let mut places = Self::default();
        for (place, &(key, _)) in event.args.iter().enumerate() {
            if key == a || (kind == EventKind::Other && is_correlation(key)) {
                places.id_a = Some(place);
            } else if key == b || (b == b"External id" && key == b"external id") {
                places.id_b = Some(place);
            } else if key == b"Ev Idx" && kind.is_on_host() {
                places.number = Some(place);
            }
        }
        places
    }

    #[inline]
    pub(super) fn read(self, event: &RawEvent<'_>) -> Ids {
        let read = |place: Option<usize>| event.args.get(place?)?.1.as_u64();
        Ids { id_a: read(self.id_a), id_b: read(self.id_b), number: read(self.number) }
    }
}

/// Names that writers of unknown categories give a correlation.
fn is_correlation(key: &[u8]) -> bool {
    matches!(key, b"connection_id" | b"correlation_id" | b"correlationId" | b"Correlation ID")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::event::RawEvent;
    use super::super::template::Repeated;
    use crate::diag::Reporter;
    use crate::read::chrome::decode::Decoder;
    use crate::read::chrome::tolerant::Reading;
    use crate::read::chrome::walk::{How, Sink, walk};
    use crate::store::{Keep, Store, TraceMeta};

    /// What a text of events becomes, and how many they are.
    fn read(text: &str, keep: Keep, tolerant_only: bool) -> (String, u64) {
        let mut decoder = Decoder::new(keep);
        let walked = walk(text.as_bytes(), 0, How { tolerant_only, is_last: true }, &mut decoder);
        let (chunk, reporter) = decoder.finish();
        let store = Store::build(vec![chunk], TraceMeta::default(), &mut Reporter::default());
        (format!("{store:?} {reporter:?}"), walked.n_events)
    }

    /// An event of some kind, of which a number may be written oddly.
    fn event(kind: usize, n: u64, odd: usize) -> String {
        let ts = match odd {
            0 => format!("{n}"),
            1 => format!("\"{n}.5\""),
            2 => format!("-{n}.250"),
            3 => format!("{n}.12345"),
            4 => format!("1{n}00000000000.125"),
            5 => "null".to_owned(),
            _ => format!("4446268{n:06}.{:03}", n % 1000),
        };
        let dur = match odd {
            6 => format!("-{n}.125"),
            _ => format!("{}.{:03}", n % 70, n % 997),
        };
        let id = match odd {
            7 => format!("\"{n}\""),
            8 => format!("{n}.0"),
            9 => "18446744073709551615".to_owned(),
            10 => "{\"a\": 1}".to_owned(),
            _ => n.to_string(),
        };
        let slice = |cat: &str, args: &str| {
            let (name, tid) = (n % 5, n % 2);
            format!(
                "{{\"ph\": \"X\", \"cat\": \"{cat}\", \"name\": \"n{name}\", \"pid\": 7, \"tid\": {tid}, \
                 \"ts\": {ts}, \"dur\": {dur}, \"args\": {{{args}}}}},"
            )
        };
        let flow = |rest: &str| {
            format!("{{{rest}, \"id\": {id}, \"tid\": 7, \"ts\": {ts}, \"cat\": \"ac2g\"}},")
        };
        match kind {
            0 => {
                slice("python_function", &format!("\"Python parent id\": {n}, \"Python id\": {id}"))
            }
            1 => {
                slice("python_function", &format!("\"Python id\": {id}, \"Python module id\": {n}"))
            }
            2 => slice("cpu_op", &format!("\"External id\": {n}, \"Ev Idx\": {id}")),
            3 => slice("cpu_op", &format!("\"Fwd thread id\": {id}, \"Input Dims\": [[{n}]]")),
            4 => slice("cuda_runtime", &format!("\"correlation\": {id}, \"correlation\": {n}")),
            5 => slice("kernel", &format!("\"correlation\": {id}, \"device\": 0, \"stream\": 7")),
            6 => slice("of a writer", &format!("\"connection_id\": {id}, \"device\": 0")),
            7 => flow("\"ph\": \"s\", \"pid\": 7, \"name\": \"ac2g\""),
            8 => flow("\"ph\": \"f\", \"pid\": 0, \"bp\": \"e\""),
            9 => flow("\"ph\": \"X\", \"pid\": 7, \"name\": \"without a duration\""),
            _ => flow("\"ph\": \"X\", \"pid\": 7"),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// Events that repeat become what they become alone, whatever their numbers look like.
        #[test]
        fn repeated_events_are_read_as_others_are(
            events in prop::collection::vec((0..11_usize, 0..1000_u64, 0..40_usize), 1..60),
            order in any::<bool>(),
            arguments in any::<bool>(),
        ) {
            let text: String = events.iter().map(|&(kind, n, odd)| event(kind, n, odd)).collect();
            let keep = Keep { order, arguments };
            assert_eq!(read(&text, keep, false), read(&text, keep, true));
        }
    }

    /// Counts the events that a decoder is given whole.
    #[derive(Default)]
    struct Counted {
        decoder: Decoder,
        n_whole: usize,
    }

    impl Sink for Counted {
        type Output = usize;

        fn event(&mut self, event: &RawEvent<'_>, offset: u64, reading: Reading) {
            self.n_whole += 1;
            self.decoder.event(event, offset, reading);
        }

        fn repeated(&mut self, event: &Repeated<'_, '_>) -> bool {
            self.decoder.repeated(event)
        }

        fn reporter(&mut self) -> &mut Reporter {
            self.decoder.reporter()
        }

        fn finish(self) -> (usize, Reporter) {
            (self.n_whole, Reporter::default())
        }
    }

    #[test]
    fn what_is_read_without_its_spans() {
        // Of each: five names on two threads are learned first.
        for (kind, n_whole) in
            [(0, 14), (1, 1000), (2, 14), (3, 1000), (4, 14), (5, 1000), (7, 3), (8, 3)]
        {
            let text: String = (0..1000).map(|n| event(kind, n, 20)).collect();
            let mut counted = Counted::default();
            walk(text.as_bytes(), 0, How { tolerant_only: false, is_last: true }, &mut counted);
            assert!(counted.n_whole <= n_whole, "{} of kind {kind}", counted.n_whole);
        }
    }
}

//! How long the events of a block are and what they are, so that a second pass steps over those of which it wants nothing.
//!
//! An event is known by its number in its block, which it has for certain where nothing but events stands in the block. Events that
//! had to be repaired, long ones and those of rare categories are not known and are read again.

use super::chrome::event::RawEvent;
use super::chrome::template::Repeated;
use super::chrome::tolerant::Reading;
use super::chrome::walk::Sink;
use crate::diag::Reporter;

/// Bits of a code that say what an event is; those above say how long it is.
const LABEL_BITS: u32 = 4;

/// Codes that a block begins with room for.
const USUAL_EVENTS: usize = 1 << 12;

/// An event as far as it is known before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known<'a> {
    /// Its category and its phase, as [`RawEvent`] has them, without quotes.
    pub(crate) cat: &'a [u8],
    pub(crate) ph: &'a [u8],
    /// Bytes of its text.
    pub(crate) len: usize,
}

impl<'a> Known<'a> {
    /// What is known of an event that was read.
    pub(crate) fn of(event: &RawEvent<'a>) -> Self {
        Self { cat: event.cat.inner(), ph: event.ph.inner(), len: event.len }
    }
}

/// Category and phase.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Label {
    cat: Box<[u8]>,
    ph: Box<[u8]>,
}

impl Label {
    fn of(known: Known<'_>) -> Self {
        Self { cat: known.cat.into(), ph: known.ph.into() }
    }

    fn is_of(&self, known: Known<'_>) -> bool {
        *self.cat == *known.cat && *self.ph == *known.ph
    }
}

/// What is known of the events of a block: two bytes each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lengths {
    /// Length and number of the label; 0 where nothing is known.
    codes: Box<[u16]>,
    labels: Box<[Label]>,
    /// Whether nothing but events stands in the block.
    pub(super) holds_events_alone: bool,
}

#[cfg(feature = "program")]
impl Lengths {
    /// What is known of an event by its number in the block.
    #[inline]
    pub(super) fn get(&self, number: u64) -> Option<Known<'_>> {
        let (label, len) = parts(*self.codes.get(number as usize)?);
        let Label { cat, ph } = self.labels.get(label)?;
        (len > 0).then_some(Known { cat, ph, len })
    }

    /// Whether nothing but events stands in the block that are known, all of which go by their numbers in it.
    pub(super) fn are_all(&self, mut goes: impl FnMut(u64) -> bool) -> bool {
        let mut codes = (0..).zip(&self.codes);
        self.holds_events_alone && codes.all(|(number, &code)| parts(code).1 > 0 && goes(number))
    }

    /// All events that are known: how many there are of a category and phase, with the bytes of them all.
    pub(super) fn totals(&self) -> impl Iterator<Item = (u64, Known<'_>)> {
        let mut totals = [(0, 0); 1 << LABEL_BITS];
        for (label, len) in self.codes.iter().map(|&code| parts(code)).filter(|known| known.1 > 0) {
            let (n, bytes) = &mut totals[label];
            (*n, *bytes) = (*n + 1, *bytes + len);
        }
        let labels = self.labels.iter().zip(totals);
        labels.map(|(Label { cat, ph }, (n, len))| (n, Known { cat, ph, len }))
    }
}

/// The label and the length that a code says.
#[cfg(feature = "program")]
#[inline]
fn parts(code: u16) -> (usize, usize) {
    (usize::from(code & ((1 << LABEL_BITS) - 1)), usize::from(code >> LABEL_BITS))
}

/// Measures the events of a block on their way to a sink, where somebody wants that.
pub(super) struct Measured<S> {
    sink: S,
    measure: Option<Measure>,
}

struct Measure {
    codes: Vec<u16>,
    labels: Vec<Label>,
    /// Label of the last event.
    last: usize,
    /// Its template: those of one template have one label.
    template: Option<u32>,
    holds_events_alone: bool,
}

impl<S> Measured<S> {
    pub(super) fn new(sink: S, is_wanted: bool) -> Self {
        let measure = || Measure {
            codes: Vec::with_capacity(USUAL_EVENTS),
            labels: Vec::new(),
            last: 0,
            template: None,
            holds_events_alone: true,
        };
        Self { sink, measure: is_wanted.then(measure) }
    }
}

impl Measure {
    /// Adds an event, which may be of a template.
    #[inline]
    fn add(&mut self, known: Known<'_>, template: Option<u32>, reading: Reading) {
        if template.is_none() || template != self.template {
            self.template = template;
            self.last = self.label(known);
        }
        let is_known = reading == Reading::Valid
            && self.last < 1 << LABEL_BITS
            && known.len < 1 << (u16::BITS - LABEL_BITS);
        self.codes.push(if is_known { (known.len << LABEL_BITS | self.last) as u16 } else { 0 });
    }

    /// The number of the label of an event; one that no code holds where there are too many.
    fn label(&mut self, event: Known<'_>) -> usize {
        let known = self.labels.iter().position(|label| label.is_of(event));
        known.unwrap_or_else(|| {
            let number = self.labels.len();
            if number < 1 << LABEL_BITS {
                self.labels.push(Label::of(event));
            }
            number
        })
    }

    fn finish(self) -> Lengths {
        if !self.holds_events_alone {
            return Lengths::default();
        }
        let (codes, labels) = (self.codes.into(), self.labels.into());
        Lengths { codes, labels, holds_events_alone: true }
    }
}

impl<S: Sink> Sink for Measured<S> {
    type Output = (S::Output, Lengths);

    fn event(&mut self, event: &RawEvent<'_>, offset: u64, reading: Reading) {
        if let Some(measure) = &mut self.measure {
            measure.add(Known::of(event), event.alike.template, reading);
        }
        self.sink.event(event, offset, reading);
    }

    #[inline]
    fn repeated(&mut self, event: &Repeated<'_, '_>) -> bool {
        let is_taken = self.sink.repeated(event);
        if is_taken && let Some(measure) = &mut self.measure {
            measure.add(event.known(), event.alike().template, Reading::Valid);
        }
        is_taken
    }

    fn passed_over(&mut self) {
        if let Some(measure) = &mut self.measure {
            measure.holds_events_alone = false;
        }
    }

    fn reporter(&mut self) -> &mut Reporter {
        self.sink.reporter()
    }

    fn finish(self) -> (Self::Output, Reporter) {
        let (output, reporter) = self.sink.finish();
        let lengths = self.measure.map(Measure::finish).unwrap_or_default();
        ((output, lengths), reporter)
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, Lengths, Measured};
    use crate::diag::Reporter;
    use crate::read::chrome::event::RawEvent;
    use crate::read::chrome::tolerant::Reading;
    use crate::read::chrome::walk::{How, Sink, walk};

    /// Category, phase and length of every event.
    type Events = Vec<(Vec<u8>, Vec<u8>, usize)>;

    #[derive(Default)]
    struct All(Events, Reporter);

    impl Sink for All {
        type Output = Events;

        fn event(&mut self, event: &RawEvent<'_>, _: u64, _: Reading) {
            let Known { cat, ph, len } = Known::of(event);
            self.0.push((cat.to_vec(), ph.to_vec(), len));
        }

        fn reporter(&mut self) -> &mut Reporter {
            &mut self.1
        }

        fn finish(self) -> (Self::Output, Reporter) {
            (self.0, self.1)
        }
    }

    fn measured(text: &str) -> (Events, Lengths) {
        let mut sink = Measured::new(All::default(), true);
        let how = How { tolerant_only: false, is_last: false };
        walk(text.as_bytes(), 0, how, &mut sink);
        sink.finish().0
    }

    #[test]
    fn what_is_known_of_events_is_what_they_are() {
        let event = |i: usize| {
            let (cat, name) = (i / 3 % 20, "n".repeat(if i % 50 == 7 { 5000 } else { i % 9 }));
            let ph = ["X", "s", "f"][i % 3];
            format!(
                "{{\"ph\": \"{ph}\", \"cat\": \"c{cat}\", \"name\": \"{name}\", \"ts\": {i}}},\n"
            )
        };
        let text: String = (0..400).map(event).collect();
        let (events, lengths) = measured(&text);
        assert!(lengths.holds_events_alone && events.len() == 400);
        let mut n_known = 0;
        for (i, (cat, ph, len)) in events.iter().enumerate() {
            let Some(known) = lengths.get(i as u64) else { continue };
            assert_eq!(known, Known { cat, ph, len: *len }, "{i}");
            n_known += 1;
        }
        for (n, total) in lengths.totals() {
            let of_kind = (0..400)
                .filter_map(|i| lengths.get(i))
                .filter(|known| (known.cat, known.ph) == (total.cat, total.ph));
            let lens: Vec<_> = of_kind.map(|known| known.len).collect();
            assert_eq!((n, total.len), (lens.len() as u64, lens.iter().sum()));
        }
        assert!(!lengths.are_all(|_| true));
        // 16 kinds of 60, without the long ones.
        assert_eq!(n_known, (0..400).filter(|i| i % 60 < 16 && i % 50 != 7).count());
        assert_eq!(lengths.get(400), None);
    }

    #[test]
    fn nothing_is_known_where_anything_but_events_stands() {
        let event = r#"{"ph":"X","ts":1}"#;
        let known = |between: &str| {
            let (events, lengths) = measured(&format!("{event},{between}\n{event}]}}"));
            assert_eq!(events.last().map(|event| event.2), Some(event.len()), "{between}");
            assert!(lengths.get(0).is_some() == lengths.are_all(|_| true), "{between}");
            lengths.get(0).is_some()
        };
        assert!(known("") && known(",, "));
        let (_, two) = measured(&format!("{event},{event}]}}"));
        assert!(two.are_all(|number| number < 2) && !two.are_all(|number| number < 1));
        for between in ["{},", "x", "1,", "{\"ph\":\"X\",\"ts\":,", "}", "{\"traceEvents\":["] {
            assert!(!known(between), "{between}");
        }
    }

    #[test]
    fn what_is_repaired_is_read_again() {
        let (events, lengths) =
            measured("{\"ph\":\"X\",\"name\":\"a\nb\",\"ts\":1},{\"ph\":\"X\",\"ts\":1}");
        assert!(events.len() == 2 && lengths.get(0).is_none() && lengths.get(1).is_some());
    }
}

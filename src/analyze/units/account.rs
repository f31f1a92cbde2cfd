//! The books of the units: time and counts by part, entered span by span.

use std::collections::BTreeMap;

use super::{Counts, Part, Side};
use crate::analyze::intervals::Span;

/// Index of a part, its time, how often it began.
type Entry = (u32, i64, u32);

/// Entries of every unit. Units are in time order and do not overlap.
pub(super) struct Ledger<'a> {
    units: &'a [Span],
    numbers: BTreeMap<(Side, &'static str, String), u32>,
    parts: Vec<Part>,
    entries: Vec<Vec<Entry>>,
    counts: Vec<Counts>,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(units: &'a [Span]) -> Self {
        Self {
            units,
            numbers: BTreeMap::new(),
            parts: Vec::new(),
            entries: vec![Vec::new(); units.len()],
            counts: vec![Counts::default(); units.len()],
        }
    }

    /// The number of a part.
    pub(super) fn part(&mut self, side: Side, class: &'static str, name: &str) -> u32 {
        let next = self.parts.len() as u32;
        let number = *self.numbers.entry((side, class, name.to_owned())).or_insert(next);
        if number == next {
            let (class, name) = (class.to_owned(), name.to_owned());
            self.parts.push(Part { side, class, name, op: None });
        }
        number
    }

    /// Notes the operator of a part, where none is known yet.
    pub(super) fn note_operator(&mut self, part: u32, op: Option<&str>) {
        let known = &mut self.parts[part as usize].op;
        if known.is_none() {
            *known = op.map(str::to_owned);
        }
    }

    /// Enters a span in the units that it meets.
    pub(super) fn add(&mut self, span: Span, part: u32) {
        let first = self.units.partition_point(|unit| unit.end_ns <= span.start_ns);
        for (unit, entries) in self.units.iter().zip(&mut self.entries).skip(first) {
            if unit.start_ns >= span.end_ns {
                break;
            }
            let ns = unit.clip(span).len_ns();
            match entries.last_mut() {
                Some(last) if last.0 == part => last.1 += ns,
                _ => entries.push((part, ns, 0)),
            }
        }
    }

    /// The units that meet a span.
    pub(super) fn meeting(&self, span: Span) -> &'a [Span] {
        let first = self.units.partition_point(|unit| unit.end_ns <= span.start_ns);
        let n = self.units[first..].partition_point(|unit| unit.start_ns < span.end_ns);
        &self.units[first..first + n]
    }

    /// The unit of an instant.
    fn unit_at(&self, at_ns: i64) -> Option<usize> {
        let unit = self.units.partition_point(|unit| unit.end_ns <= at_ns);
        self.units.get(unit).filter(|span| span.contains(at_ns)).map(|_| unit)
    }

    /// Counts that a part began.
    pub(super) fn begin(&mut self, at_ns: i64, part: u32) {
        if let Some(unit) = self.unit_at(at_ns) {
            self.entries[unit].push((part, 0, 1));
        }
    }

    /// Counts something else.
    pub(super) fn count(&mut self, at_ns: i64, change: impl FnOnce(&mut Counts)) {
        if let Some(unit) = self.unit_at(at_ns) {
            change(&mut self.counts[unit]);
        }
    }

    /// Counts of every unit.
    pub(super) fn counts(&self) -> Vec<Counts> {
        self.counts.clone()
    }

    /// Enters what an account lacks of the length of each unit.
    pub(super) fn fill(&mut self, side: Side, class: &'static str, name: &str) {
        let rest = self.part(side, class, name);
        let Self { units, entries, parts, .. } = self;
        for (unit, entries) in units.iter().zip(entries) {
            let of_side = entries.iter().filter(|entry| parts[entry.0 as usize].side == side);
            let known: i64 = of_side.map(|entry| entry.1).sum();
            entries.push((rest, unit.len_ns() - known, 0));
        }
    }

    /// The parts, and of each unit its counts and its entries, one a part, without those that say nothing.
    pub(super) fn finish(self) -> (Vec<Part>, Vec<(Counts, Vec<Entry>)>) {
        let summed = |mut entries: Vec<Entry>| {
            entries.sort_unstable();
            let mut out: Vec<Entry> = Vec::new();
            for (part, ns, n) in entries {
                match out.last_mut() {
                    Some(last) if last.0 == part => *last = (part, last.1 + ns, last.2 + n),
                    _ => out.push((part, ns, n)),
                }
            }
            out.retain(|&(_, ns, n)| ns != 0 || n != 0);
            out
        };
        let entries = self.entries.into_iter().map(summed);
        (self.parts, self.counts.into_iter().zip(entries).collect())
    }
}

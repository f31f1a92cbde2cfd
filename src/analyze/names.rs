//! The wait rules applied to a store: each distinct name is matched once, events only look their name up.

use rayon::prelude::*;

use super::wait_rules::{Rule, RuleEffect, RuleSource, WaitRules, split_frame};
use crate::model::EventKind;
use crate::store::{Store, StrId};

/// The kinds of name that rules tell apart on the host, as table numbers.
const PYTHON: usize = 0;
const OP: usize = 1;
const ANNOTATION: usize = 2;
const API: usize = 3;
const OVERHEAD: usize = 4;
const N_TABLES: usize = 5;

/// A name with a rule that marks its thread as a work thread.
pub(super) const MARKS_WORK: u8 = 1;
/// A name with a rule that marks its thread as a background thread.
pub(super) const MARKS_BACKGROUND: u8 = 2;
/// A name with a `deserialize` rule, of whatever source.
pub(super) const DESERIALIZES: u8 = 4;
/// A name of a call that copies.
pub(super) const COPIES: u8 = 8;

/// The table of a kind of host event.
fn table_of(kind: EventKind) -> Option<usize> {
    match kind {
        EventKind::PythonFunction => Some(PYTHON),
        EventKind::CpuOp => Some(OP),
        EventKind::UserAnnotation => Some(ANNOTATION),
        EventKind::Runtime | EventKind::Driver => Some(API),
        EventKind::Overhead => Some(OVERHEAD),
        _ => None,
    }
}

/// The rules of every name of one store.
#[derive(Debug)]
pub(super) struct NameRules<'a> {
    rules: &'a WaitRules,
    /// By table and string: number of the rule plus one, 0 for none.
    rule_of: [Vec<u16>; N_TABLES],
    /// By string: the `MARKS_*`, `DESERIALIZES` and `COPIES` bits.
    pub(super) flags: Vec<u8>,
    /// Which names each event kind uses, by string: one bit a table.
    seen: Vec<u8>,
}

impl<'a> NameRules<'a> {
    /// Matches the names that host events of a store have.
    pub(super) fn new(store: &Store, rules: &'a WaitRules, has_device: bool) -> Self {
        let mut names = Self {
            rules,
            rule_of: Default::default(),
            flags: vec![0; store.strings.len()],
            seen: seen_names(store),
        };
        for table in 0..N_TABLES {
            if names.seen.iter().any(|bits| bits & (1 << table) != 0) {
                names.match_table(store, table, has_device);
            }
        }
        names
    }

    fn match_table(&mut self, store: &Store, table: usize, has_device: bool) {
        let mut found = vec![0_u16; store.strings.len()];
        for (id, text) in store.strings.iter() {
            if self.seen[id.0 as usize] & (1 << table) == 0 {
                continue;
            }
            let source = source_of(table, text);
            let is_class =
                |rule: &Rule| classes_time(rule.effect) && (has_device || !rule.needs_device);
            if let Some(number) = self.rules.find(source, text, is_class) {
                found[id.0 as usize] = number as u16 + 1;
                if self.rules.rules()[number].effect == RuleEffect::Deserialize {
                    self.flags[id.0 as usize] |= DESERIALIZES;
                }
            }
            match source {
                RuleSource::Frame => self.flags[id.0 as usize] |= self.thread_marks(text),
                RuleSource::Api if text.contains("Memcpy") => {
                    self.flags[id.0 as usize] |= COPIES;
                }
                _ => {}
            }
        }
        self.rule_of[table] = found;
    }

    fn thread_marks(&self, frame: &str) -> u8 {
        let has =
            |effect| self.rules.find(RuleSource::Frame, frame, |r| r.effect == effect).is_some();
        let mark = |effect, bit| if has(effect) { bit } else { 0 };
        mark(RuleEffect::WorkThread, MARKS_WORK)
            | mark(RuleEffect::BackgroundThread, MARKS_BACKGROUND)
    }

    /// The rule that classes the time of a host event of a kind and name.
    #[inline]
    pub(super) fn rule(&self, kind: EventKind, name: StrId) -> Option<&'a Rule> {
        let table = &self.rule_of[table_of(kind)?];
        let number = *table.get(name.0 as usize)?;
        (number != 0).then(|| &self.rules.rules()[usize::from(number) - 1])
    }
}

fn classes_time(effect: RuleEffect) -> bool {
    matches!(
        effect,
        RuleEffect::IpcWait
            | RuleEffect::GpuSync
            | RuleEffect::ModuleLoading
            | RuleEffect::Profiler
            | RuleEffect::OtherWait
            | RuleEffect::Deserialize
    )
}

fn source_of(table: usize, name: &str) -> RuleSource {
    match table {
        PYTHON if split_frame(name).is_some() => RuleSource::Frame,
        PYTHON => RuleSource::C,
        OP => RuleSource::Op,
        ANNOTATION => RuleSource::Annotation,
        API => RuleSource::Api,
        _ => RuleSource::Overhead,
    }
}

/// Slices whose names one thread looks at, at least: each thread has a byte for every string.
const SLICES_AT_A_TIME: usize = 1 << 18;

/// By string: which tables an event uses it in.
fn seen_names(store: &Store) -> Vec<u8> {
    let bit_of: Vec<u8> = store
        .categories
        .iter()
        .map(|&(_, kind)| table_of(kind).map_or(0, |table| 1 << table))
        .collect();
    let nothing = || vec![0_u8; store.strings.len()];
    let add = |mut seen: Vec<u8>, slice: usize| {
        let seen_in = &mut seen[store.slices.name[slice].0 as usize];
        let bit = bit_of[store.category_number(slice)];
        // Nearly always seen before: what is not written need not be waited for.
        if *seen_in & bit != bit {
            *seen_in |= bit;
        }
        seen
    };
    let both = |mut a: Vec<u8>, b: Vec<u8>| {
        a.iter_mut().zip(b).for_each(|(a, b)| *a |= b);
        a
    };
    let slices = (0..store.slices.len()).into_par_iter().with_min_len(SLICES_AT_A_TIME);
    slices.fold(nothing, add).reduce(nothing, both)
}

//! The line census: how many lines of each class a log holds, so that nothing is skipped in silence.

use std::collections::BTreeMap;

use crate::model::named;

named! {
    /// What became of the lines of a class.
    LineKind {
        /// They became records, or belong to one.
        Recognized "recognized",
        /// They are of a known class that says nothing about requests, stages, transfers or profiling.
        Ignored "ignored",
        /// No rule knows them.
        Unknown "unknown",
    }
}

/// The lines of one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassCount {
    /// What became of them.
    pub kind: LineKind,
    /// How many there are. A physical line into which several processes wrote counts once for each part.
    pub lines: u64,
    /// Line number of the first one, from 1.
    pub first_line: u64,
    /// The first one, cut to 160 characters.
    pub sample: String,
}

/// Lines by class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// By kind, in its order.
    classes: [BTreeMap<String, ClassCount>; 3],
}

impl Census {
    /// Counts one line.
    pub fn add(&mut self, kind: LineKind, class: &str, line: u64, text: &str) {
        let classes = &mut self.classes[kind as usize];
        if let Some(found) = classes.get_mut(class) {
            found.lines += 1;
            return;
        }
        let sample = text.trim().chars().take(160).collect();
        classes.insert(class.to_owned(), ClassCount { kind, lines: 1, first_line: line, sample });
    }

    /// The classes with their counts: recognized first, then ignored, then unknown, each by name.
    pub fn classes(&self) -> impl Iterator<Item = (&str, &ClassCount)> {
        self.classes.iter().flatten().map(|(name, count)| (name.as_str(), count))
    }

    /// Lines of a kind.
    pub fn lines(&self, kind: LineKind) -> u64 {
        self.classes[kind as usize].values().map(|count| count.lines).sum()
    }
}

//! Events that wait until the whole file was seen, and their order.
//!
//! Perfetto sorts packets by time before anything is made of them, those of one time in the order of the file; torch's own
//! writer relies on it: it gives all begins of a kind, then all ends. What the order of the file cannot say, because a
//! track's packets do not stand in the order of their times, is settled by what the packets say: at one time, slices that
//! are open end before others begin, a longer slice begins first, and a slice without length ends after its begin.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A part of the arguments of all events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: usize,
    len: u32,
}

/// What an event does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Act {
    /// A slice begins.
    Begin,
    /// The innermost open slice ends.
    End,
    /// A slice with its length.
    Whole {
        /// Nanoseconds.
        dur_ns: i64,
    },
    /// Anything at one time; the text that it starts with, by number.
    Point {
        /// Of [`Texts`].
        start: u32,
    },
    /// A sample of a counter.
    Sample {
        /// As recorded.
        value: f64,
    },
    /// A flow goes on, or ends.
    Flow {
        /// Of the flow.
        id: u64,
        /// Whether it ends.
        is_last: bool,
    },
}

/// An event of a track.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) time_ns: i64,
    /// Number of its track.
    pub(super) track: u64,
    pub(super) act: Act,
    /// Name and category, by number in [`Texts`].
    pub(super) what: u32,
    pub(super) arguments: Span,
}

/// Name and category of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct What {
    pub(super) category: String,
    pub(super) name: Option<String>,
    /// Whether the category was concluded from the arguments.
    pub(super) is_concluded: bool,
}

/// Texts of events: what they have in common once, arguments one after the other.
#[derive(Debug, Default)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    whats: Vec<What>,
    numbers: HashMap<What, u32>,
    starts: Vec<String>,
}

impl Texts {
    pub(super) fn what(&mut self, what: What) -> u32 {
        if let Some(&number) = self.numbers.get(&what) {
            return number;
        }
        let number = self.whats.len() as u32;
        self.whats.push(what.clone());
        self.numbers.insert(what, number);
        number
    }

    pub(super) fn what_of(&self, number: u32) -> &What {
        &self.whats[number as usize]
    }

    /// Names of a category.
    pub(super) fn names_of(&self, category: &str) -> BTreeSet<String> {
        let of = self.whats.iter().filter(|what| what.category == category);
        of.filter_map(|what| what.name.clone()).collect()
    }

    /// Changes what was concluded of a name.
    pub(super) fn conclude(&mut self, change: impl Fn(&mut What)) {
        self.whats.iter_mut().filter(|what| what.is_concluded).for_each(change);
    }

    pub(super) fn start(&mut self, text: String) -> u32 {
        let known = self.starts.iter().position(|known| *known == text);
        known.unwrap_or_else(|| {
            self.starts.push(text);
            self.starts.len() - 1
        }) as u32
    }

    pub(super) fn start_of(&self, number: u32) -> &str {
        &self.starts[number as usize]
    }

    pub(super) fn put(&mut self, arguments: &[u8]) -> Span {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(arguments);
        Span { start, len: arguments.len() as u32 }
    }

    pub(super) fn get(&self, span: Span) -> &[u8] {
        &self.bytes[span.start..span.start + span.len as usize]
    }

    /// Arguments with further ones after them.
    pub(super) fn extended(&mut self, span: Span, more: &str) -> Span {
        let mut arguments = self.get(span).to_vec();
        if !arguments.is_empty() {
            arguments.push(b',');
        }
        arguments.extend_from_slice(more.as_bytes());
        self.put(&arguments)
    }

    /// Forgets what one event alone has.
    pub(super) fn forget(&mut self) {
        self.bytes.clear();
        self.starts.clear();
    }
}

/// All events, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) events: Vec<Event>,
    /// Last time of each track, and whether one was before the one that stood before it.
    times: BTreeMap<u64, (i64, bool)>,
    runs: Runs,
}

/// Runs of begins, each followed by a run of as many ends: torch's own writer gives the n-th end to the n-th begin.
#[derive(Debug, Default)]
struct Runs {
    begins: Vec<usize>,
    n_ends: usize,
    /// Begin and end, each by its place among the events.
    pairs: Vec<(usize, usize)>,
    is_broken: bool,
}

impl Runs {
    fn begin(&mut self, at: usize) {
        if self.n_ends > 0 {
            self.is_broken |= self.n_ends != self.begins.len();
            self.begins.clear();
            self.n_ends = 0;
        }
        self.begins.push(at);
    }

    fn end(&mut self, at: usize, events: &[Event]) {
        let begin = self.begins.get(self.n_ends).copied();
        self.n_ends += 1;
        let fits = |begin: &usize| {
            let begin = &events[*begin];
            begin.track == events[at].track && begin.time_ns <= events[at].time_ns
        };
        match begin.filter(fits) {
            Some(begin) if !self.is_broken => self.pairs.push((begin, at)),
            _ => self.is_broken = true,
        }
    }
}

impl Pending {
    pub(super) fn push(&mut self, event: Event) {
        let at = self.events.len();
        self.events.push(event);
        let is_edge = match event.act {
            Act::Begin => {
                self.runs.begin(at);
                true
            }
            Act::End => {
                self.runs.end(at, &self.events);
                true
            }
            _ => false,
        };
        if is_edge {
            let (last, is_mixed) = self.times.entry(event.track).or_insert((i64::MIN, false));
            *is_mixed |= event.time_ns < *last;
            *last = event.time_ns;
        }
    }

    /// The events in the order of their times; where begins and ends of one track and time follow no order of the file, as
    /// said above.
    pub(super) fn ordered(mut self, texts: &Texts) -> Vec<Event> {
        let mut of_track: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (at, event) in self.events.iter().enumerate() {
            let is_edge = matches!(event.act, Act::Begin | Act::End);
            if is_edge && self.times.get(&event.track).is_some_and(|(_, is_mixed)| *is_mixed) {
                of_track.entry(event.track).or_default().push(at);
            }
        }
        let partners = self.partners();
        for (_, mut edges) in of_track {
            edges.sort_by_key(|&at| self.events[at].time_ns);
            let sorted = self.settled(&edges, &partners, texts);
            let moved: Vec<Event> = sorted.iter().map(|&at| self.events[at]).collect();
            // Each place of the track at that time takes the event that comes there.
            for (&at, event) in edges.iter().zip(moved) {
                self.events[at] = event;
            }
        }
        self.events.sort_by_key(|event| event.time_ns);
        self.events
    }

    /// The other half of each begin and end, where the file's runs tell it.
    fn partners(&mut self) -> HashMap<usize, usize> {
        let runs = std::mem::take(&mut self.runs);
        if runs.is_broken || runs.n_ends != runs.begins.len() {
            return HashMap::new();
        }
        runs.pairs.iter().flat_map(|&(begin, end)| [(begin, end), (end, begin)]).collect()
    }

    /// Begins and ends of one track, sorted by time, with those of one time in the order in which they happened.
    fn settled(
        &self,
        edges: &[usize],
        partners: &HashMap<usize, usize>,
        texts: &Texts,
    ) -> Vec<usize> {
        let time = |at: usize| self.events[at].time_ns;
        let mut out = Vec::with_capacity(edges.len());
        let mut n_open = 0_usize;
        for group in edges.chunk_by(|&a, &b| time(a) == time(b)) {
            let is_begin = |at: &usize| self.events[*at].act == Act::Begin;
            let (mut begins, ends): (Vec<usize>, Vec<usize>) =
                group.iter().partition(|at| is_begin(at));
            // Length where the other half is known; else by what they say, so that the order of the file has no part in it.
            begins.sort_by_cached_key(|&at| {
                let event = &self.events[at];
                let dur = partners.get(&at).map_or(0, |&end| time(end) - event.time_ns);
                let what = texts.what_of(event.what);
                let text =
                    (what.name.clone(), what.category.clone(), texts.get(event.arguments).to_vec());
                (std::cmp::Reverse(dur), text)
            });
            let is_short =
                |at: usize| partners.get(&at).is_some_and(|&other| time(other) == time(at));
            let n_short = ends.iter().filter(|&&at| is_short(at)).count();
            let n_old = (ends.len() - n_short).min(n_open);
            n_open = (n_open + begins.len()).saturating_sub(ends.len());
            let mut ends: Vec<usize> = ends;
            ends.sort_by_key(|&at| is_short(at));
            out.extend_from_slice(&ends[..n_old]);
            let mut rest = ends[n_old..].iter().copied();
            for begin in begins {
                out.push(begin);
                if is_short(begin) {
                    out.extend(rest.next());
                }
            }
            out.extend(rest);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::{Act, Event, Pending, Span, Texts, What};

    /// Slices by the stack, from (track, time, name or end).
    fn slices(edges: &[(u64, i64, Option<&str>)]) -> Vec<(String, i64, i64)> {
        let (mut pending, mut texts) = (Pending::default(), Texts::default());
        for &(track, time_ns, name) in edges {
            let act = if name.is_some() { Act::Begin } else { Act::End };
            let what = texts.what(What { name: name.map(str::to_owned), ..What::default() });
            pending.push(Event { time_ns, track, act, what, arguments: Span::default() });
        }
        let (mut open, mut found) = (Vec::new(), Vec::new());
        for event in pending.ordered(&texts) {
            match event.act {
                Act::Begin => open.push(event),
                _ => {
                    let begin: Event = open.pop().unwrap();
                    let name = texts.what_of(begin.what).name.clone().unwrap();
                    found.push((name, begin.time_ns, event.time_ns - begin.time_ns));
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn slices_that_follow_each_other_at_once_in_torchs_order() {
        let found = slices(&[
            (1, 0, Some("a")),
            (1, 10, Some("b")),
            (1, 20, Some("c")),
            (1, 10, None),
            (1, 20, None),
            (1, 25, None),
        ]);
        assert_eq!(found, [("a".into(), 0, 10), ("b".into(), 10, 10), ("c".into(), 20, 5)]);
    }

    #[test]
    fn slices_without_length_and_of_one_start_in_torchs_order() {
        let found = slices(&[
            (1, 0, Some("child")),
            (1, 0, Some("parent")),
            (1, 5, Some("none")),
            (1, 4, None),
            (1, 9, None),
            (1, 5, None),
        ]);
        assert_eq!(found, [("child".into(), 0, 4), ("none".into(), 5, 0), ("parent".into(), 0, 9)]);
    }

    #[test]
    fn an_order_of_the_file_that_follows_the_times_is_kept() {
        let found =
            slices(&[(1, 0, Some("outer")), (1, 5, Some("inner")), (1, 5, None), (1, 9, None)]);
        assert_eq!(found, [("inner".into(), 5, 0), ("outer".into(), 0, 9)]);
    }
}

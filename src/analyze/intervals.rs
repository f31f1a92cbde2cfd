//! Exact arithmetic on sets of time: union, intersection and difference of nanosecond intervals, all linear.
//!
//! Everything that is "busy", "idle", "exposed" or "excluded" is one of these sets. Nothing here knows an event.

/// A half-open stretch of time, `start_ns <= t < end_ns`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First nanosecond.
    pub start_ns: i64,
    /// First nanosecond after it.
    pub end_ns: i64,
}

impl Span {
    /// From start to end; an end before the start gives the empty span at the start.
    pub fn new(start_ns: i64, end_ns: i64) -> Self {
        Self { start_ns, end_ns: end_ns.max(start_ns) }
    }

    /// Length in nanoseconds.
    pub fn len_ns(self) -> i64 {
        self.end_ns.saturating_sub(self.start_ns)
    }

    /// Whether it holds no time.
    pub fn is_empty(self) -> bool {
        self.end_ns <= self.start_ns
    }

    /// Whether an instant lies inside.
    pub fn contains(self, t_ns: i64) -> bool {
        self.start_ns <= t_ns && t_ns < self.end_ns
    }

    /// The part inside another span; empty where they do not meet.
    pub fn clip(self, other: Self) -> Self {
        let start = self.start_ns.max(other.start_ns);
        Self::new(start, self.end_ns.min(other.end_ns))
    }
}

/// A set of time: spans that are sorted, not empty, and neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intervals(Vec<Span>);

impl Intervals {
    /// The union of spans in any order.
    pub fn union_of(mut spans: Vec<Span>) -> Self {
        spans.sort_by_key(|span| span.start_ns);
        let mut set = Self::default();
        for span in spans {
            set.push(span);
        }
        set
    }

    /// Adds a span that starts no earlier than any before it.
    pub fn push(&mut self, span: Span) {
        if span.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some(last) if span.start_ns <= last.end_ns => {
                last.end_ns = last.end_ns.max(span.end_ns);
            }
            _ => self.0.push(span),
        }
    }

    /// The spans, in time order.
    pub fn spans(&self) -> &[Span] {
        &self.0
    }

    /// Total length in nanoseconds.
    pub fn total_ns(&self) -> i64 {
        self.0.iter().map(|span| span.len_ns()).sum()
    }

    /// Time in either.
    pub fn union(&self, other: &Self) -> Self {
        let mut set = Self::default();
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        loop {
            let next = match (a.peek(), b.peek()) {
                (Some(x), Some(y)) if x.start_ns <= y.start_ns => a.next(),
                (Some(_), None) => a.next(),
                _ => b.next(),
            };
            match next {
                Some(&span) => set.push(span),
                None => return set,
            }
        }
    }

    /// Time in both.
    pub fn intersect(&self, other: &Self) -> Self {
        let mut set = Self::default();
        let (mut i, mut j) = (0, 0);
        while i < self.0.len() && j < other.0.len() {
            let (a, b) = (self.0[i], other.0[j]);
            set.push(a.clip(b));
            if a.end_ns <= b.end_ns {
                i += 1;
            } else {
                j += 1;
            }
        }
        set
    }

    /// Time in this and not in the other.
    pub fn subtract(&self, other: &Self) -> Self {
        let mut set = Self::default();
        let mut j = 0;
        for &span in &self.0 {
            let mut start = span.start_ns;
            while j < other.0.len() && other.0[j].end_ns <= start {
                j += 1;
            }
            let mut k = j;
            while k < other.0.len() && other.0[k].start_ns < span.end_ns {
                set.push(Span::new(start, other.0[k].start_ns));
                start = other.0[k].end_ns;
                k += 1;
            }
            set.push(Span::new(start, span.end_ns));
        }
        set
    }

    /// The part inside a span.
    pub fn clip(&self, window: Span) -> Self {
        let first = self.0.partition_point(|span| span.end_ns <= window.start_ns);
        let inside = self.0[first..].iter().take_while(|span| span.start_ns < window.end_ns);
        let mut set = Self::default();
        for span in inside {
            set.push(span.clip(window));
        }
        set
    }

    /// The same set at another time.
    pub fn shifted(&self, offset_ns: i64) -> Self {
        let at = |t: i64| t.saturating_add(offset_ns);
        let mut moved = Self::default();
        for span in &self.0 {
            moved.push(Span::new(at(span.start_ns), at(span.end_ns)));
        }
        moved
    }

    /// The gaps: time of a window that is not in this.
    pub fn gaps_in(&self, window: Span) -> Self {
        let mut whole = Self::default();
        whole.push(window);
        whole.subtract(self)
    }

    /// How much of each span of a window lies in this, answered in logarithmic time.
    pub fn index(&self) -> CoverIndex {
        let mut covered = 0;
        let before = self.0.iter().map(|span| {
            let sum = covered;
            covered += span.len_ns();
            sum
        });
        CoverIndex { covered_before_ns: before.collect(), spans: self.0.clone() }
    }
}

/// Prefix sums over a set of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoverIndex {
    spans: Vec<Span>,
    covered_before_ns: Vec<i64>,
}

impl CoverIndex {
    /// Time of the set before an instant.
    fn before_ns(&self, t_ns: i64) -> i64 {
        let next = self.spans.partition_point(|span| span.start_ns < t_ns);
        match next.checked_sub(1) {
            Some(i) => {
                self.covered_before_ns[i]
                    + Span::new(self.spans[i].start_ns, t_ns.min(self.spans[i].end_ns)).len_ns()
            }
            None => 0,
        }
    }

    /// Time of the set between two instants.
    pub fn covered_ns(&self, start_ns: i64, end_ns: i64) -> i64 {
        if end_ns <= start_ns || self.spans.is_empty() {
            return 0;
        }
        self.before_ns(end_ns) - self.before_ns(start_ns)
    }

    /// Total length of the set.
    pub fn total_ns(&self) -> i64 {
        match (self.spans.last(), self.covered_before_ns.last()) {
            (Some(span), Some(before)) => before + span.len_ns(),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Intervals, Span};
    use proptest::prelude::*;

    fn spans() -> impl Strategy<Value = Vec<Span>> {
        prop::collection::vec((0_i64..40, 0_i64..10).prop_map(|(s, d)| Span::new(s, s + d)), 0..12)
    }

    /// The same set, nanosecond by nanosecond.
    fn naive(spans: &[Span]) -> Vec<bool> {
        (0..60).map(|t| spans.iter().any(|s| s.contains(t))).collect()
    }

    fn zip(a: &[Span], b: &[Span], f: fn(bool, bool) -> bool) -> Vec<bool> {
        naive(a).into_iter().zip(naive(b)).map(|(x, y)| f(x, y)).collect()
    }

    fn is_canonical(set: &Intervals) -> bool {
        set.spans().iter().all(|s| !s.is_empty())
            && set.spans().windows(2).all(|w| w[0].end_ns < w[1].start_ns)
    }

    proptest! {
        #[test]
        fn agrees_with_one_bit_per_nanosecond(a in spans(), b in spans(), w in (0_i64..40, 0_i64..20)) {
            let (sa, sb) = (Intervals::union_of(a.clone()), Intervals::union_of(b.clone()));
            let window = Span::new(w.0, w.0 + w.1);
            let results = [
                (sa.union(&sb), zip(&a, &b, |x, y| x || y)),
                (sa.intersect(&sb), zip(&a, &b, |x, y| x && y)),
                (sa.subtract(&sb), zip(&a, &b, |x, y| x && !y)),
                (sa.clip(window), zip(&a, &[window], |x, y| x && y)),
                (sa.gaps_in(window), zip(&a, &[window], |x, y| !x && y)),
            ];
            for (set, expected) in results {
                prop_assert!(is_canonical(&set));
                prop_assert_eq!(naive(set.spans()), expected.clone());
                prop_assert_eq!(set.total_ns(), expected.iter().filter(|&&x| x).count() as i64);
            }
            let inside = naive(&a)[w.0 as usize..(w.0 + w.1) as usize].iter().filter(|&&x| x).count();
            prop_assert_eq!(sa.index().covered_ns(window.start_ns, window.end_ns), inside as i64);
            prop_assert_eq!(sa.index().total_ns(), sa.total_ns());
        }
    }
}

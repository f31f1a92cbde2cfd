//! Which of many spans is on top at every instant: the last one, in the order they are given, among those that cover it.

use crate::analyze::intervals::Span;

/// Stretches of time, each with what is on top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tops<T> {
    /// Start of each stretch and what is on top up to the start of the next one; neighbours differ.
    stretches: Vec<(i64, Option<T>)>,
}

impl<T> Default for Tops<T> {
    fn default() -> Self {
        Self { stretches: Vec::new() }
    }
}

impl<T: Copy + PartialEq> Tops<T> {
    /// Of spans by start.
    pub(super) fn of(spans: impl Iterator<Item = (Span, T)>) -> Self {
        let mut tops = Self::default();
        let mut open: Vec<(i64, T)> = Vec::new();
        for (span, is) in spans.filter(|(span, _)| !span.is_empty()) {
            tops.close(&mut open, span.start_ns);
            open.push((span.end_ns, is));
            tops.put(span.start_ns, Some(is));
        }
        tops.close(&mut open, i64::MAX);
        tops
    }

    /// Takes from the stack what has ended by an instant. One that ends below another that lasts longer is dropped later.
    fn close(&mut self, open: &mut Vec<(i64, T)>, to_ns: i64) {
        while let Some(&(end_ns, _)) = open.last().filter(|last| last.0 <= to_ns) {
            while open.last().is_some_and(|last| last.0 <= end_ns) {
                open.pop();
            }
            self.put(end_ns, open.last().map(|last| last.1));
        }
    }

    fn put(&mut self, start_ns: i64, is: Option<T>) {
        match self.stretches.last_mut() {
            Some(last) if last.0 == start_ns => last.1 = is,
            Some(last) if last.1 == is => {}
            _ => self.stretches.push((start_ns, is)),
        }
    }

    /// What is on top at an instant.
    pub(super) fn at(&self, at_ns: i64) -> Option<T> {
        let next = self.stretches.partition_point(|stretch| stretch.0 <= at_ns);
        self.stretches.get(next.checked_sub(1)?)?.1
    }

    /// Cuts a span where what is on top changes.
    pub(super) fn cut(&self, span: Span, mut each: impl FnMut(Span, Option<T>)) {
        let next = self.stretches.partition_point(|stretch| stretch.0 <= span.start_ns);
        let mut now = span.start_ns;
        let mut is = next.checked_sub(1).and_then(|i| self.stretches[i].1);
        for &(start_ns, later) in &self.stretches[next..] {
            if start_ns >= span.end_ns {
                break;
            }
            each(Span::new(now, start_ns), is);
            (now, is) = (start_ns, later);
        }
        if now < span.end_ns {
            each(Span::new(now, span.end_ns), is);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tops;
    use crate::analyze::intervals::Span;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_last_that_covers_an_instant_is_on_top(
            mut spans in prop::collection::vec((0_i64..30, 0_i64..12), 0..12),
            from in 0_i64..30,
            len in 0_i64..30,
        ) {
            spans.sort_by_key(|&(start, len)| (start, -len));
            let given: Vec<(Span, usize)> =
                spans.iter().enumerate().map(|(i, &(s, l))| (Span::new(s, s + l), i)).collect();
            let tops = Tops::of(given.iter().copied());
            let naive = |t: i64| given.iter().rev().find(|(span, _)| span.contains(t)).map(|g| g.1);
            for t in 0..45 {
                prop_assert_eq!(tops.at(t), naive(t));
            }
            let mut seen = Vec::new();
            tops.cut(Span::new(from, from + len), |span, is| {
                seen.extend((span.start_ns..span.end_ns).map(|t| (t, is)));
            });
            let wanted: Vec<_> = (from..from + len).map(|t| (t, naive(t))).collect();
            prop_assert_eq!(seen, wanted);
        }
    }
}

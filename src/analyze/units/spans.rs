//! Which iterations are units, how long each lasts, and which are alike.

use std::collections::BTreeMap;

use super::Bucket;
use crate::analyze::base::TimeBase;
use crate::analyze::intervals::Span;
use crate::analyze::iteration_names::{Batch, Phase, Scheme};
use crate::analyze::iterations::IterationRow;
use crate::analyze::timeline::Class;

/// A unit's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitSpan {
    /// From its start to the next one's.
    pub span: Span,
    /// Length of the annotation.
    pub annotation_ns: i64,
    /// Index of its bucket.
    pub bucket: u32,
}

/// The units of an input and where they come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitSpans {
    /// In time order, without overlaps.
    pub units: Vec<UnitSpan>,
    /// The kinds of iteration.
    pub buckets: Vec<Bucket>,
    /// The scheme of the annotations; `None` where the window is the unit.
    pub scheme: Option<Scheme>,
    /// Track of the lead thread.
    pub lead: Option<usize>,
    /// Work threads with such iterations.
    pub n_threads: u64,
    /// Whether there is one iteration, which no other follows.
    pub is_alone: bool,
}

impl UnitSpans {
    /// The unit that an instant lies in.
    pub fn at(&self, t_ns: i64) -> Option<usize> {
        let after = self.units.partition_point(|unit| unit.span.start_ns <= t_ns);
        after.checked_sub(1).filter(|&at| self.units[at].span.contains(t_ns))
    }
}

/// The units of an input with these iterations.
pub fn unit_spans(rows: &[IterationRow], base: &TimeBase) -> UnitSpans {
    let Some(scheme) = rows.iter().map(|row| row.scheme).min() else { return whole_window(base) };
    let mut by_track: BTreeMap<usize, Vec<&IterationRow>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.scheme == scheme) {
        by_track.entry(row.track).or_default().push(row);
    }
    let n_threads = by_track.len() as u64;
    let outermost = by_track.into_iter().map(|(track, rows)| (track, outermost(&rows)));
    let weight =
        |rows: &[&IterationRow]| (rows.len(), rows.iter().map(|row| row.cpu_ns).sum::<i64>());
    let lead = outermost.max_by_key(|(track, rows)| (weight(rows), std::cmp::Reverse(*track)));
    let Some((track, rows)) = lead else { return whole_window(base) };
    let (units, buckets) = units_of(&rows);
    let (scheme, lead, is_alone) = (Some(scheme), Some(track), rows.len() == 1);
    UnitSpans { units, buckets, scheme, lead, n_threads, is_alone }
}

/// Without those that lie inside an earlier one.
fn outermost<'a>(rows: &[&'a IterationRow]) -> Vec<&'a IterationRow> {
    let mut end_ns = i64::MIN;
    let mut kept = Vec::with_capacity(rows.len());
    for row in rows {
        if row.start_ns + row.cpu_ns > end_ns {
            end_ns = row.start_ns + row.cpu_ns;
            kept.push(*row);
        }
    }
    kept
}

/// Gaps up to this share of their iteration, in percent, leave it whole: the iterations tile the time of their thread.
const TILING_GAP_PCT: i64 = 1;

/// Each iteration with the time up to the next one. The last has no next one: it counts where the iterations tile the
/// time, and where it is the only one.
fn units_of(rows: &[&IterationRow]) -> (Vec<UnitSpan>, Vec<Bucket>) {
    let end_ns = |row: &IterationRow| row.start_ns + row.cpu_ns;
    let starts = rows.iter().skip(1).map(|row| row.start_ns);
    let is_tiled = rows.iter().zip(starts.clone()).all(|(row, next_ns)| {
        (next_ns - end_ns(row)).saturating_mul(100) <= row.cpu_ns.saturating_mul(TILING_GAP_PCT)
    });
    let last_end = rows.last().filter(|_| is_tiled || rows.len() == 1).map(|row| end_ns(row));
    let mut buckets: Vec<Bucket> = Vec::new();
    let mut units = Vec::with_capacity(rows.len());
    for (row, next_ns) in rows.iter().zip(starts.chain(last_end)) {
        let bucket = bucket_of(row.phase, &row.batch);
        let number = buckets.iter().position(|known| *known == bucket).unwrap_or_else(|| {
            buckets.push(bucket);
            buckets.len() - 1
        });
        units.push(UnitSpan {
            span: Span::new(row.start_ns, next_ns),
            annotation_ns: row.cpu_ns,
            bucket: number as u32,
        });
    }
    (units, buckets)
}

/// The window as the only unit, with the work thread of which the trace explains most.
fn whole_window(base: &TimeBase) -> UnitSpans {
    let explained = |track: usize| {
        let thread = base.thread_of_track(track);
        thread.map_or(0, |thread| -thread.timeline.totals().get(Class::Unattributed))
    };
    let tracks = base.work_threads().map(|thread| thread.track);
    let lead = tracks.max_by_key(|&track| (explained(track), std::cmp::Reverse(track)));
    let span = base.windows.file;
    let unit = UnitSpan { span, annotation_ns: span.len_ns(), bucket: 0 };
    let units = if span.is_empty() { Vec::new() } else { vec![unit] };
    let bucket = Bucket { phase: "window".to_owned(), size: String::new() };
    UnitSpans { units, buckets: vec![bucket], scheme: None, lead, n_threads: 0, is_alone: false }
}

/// Iterations that are alike.
fn bucket_of(phase: Phase, batch: &Batch) -> Bucket {
    let mut size = Vec::new();
    let mut say = |count: Option<u64>, unit: &str| {
        if let Some(count) = count.filter(|&count| count > 0) {
            size.push(format!("{} {unit}", rounded_up(count)));
        }
    };
    match phase {
        Phase::Decode => say(batch.generation_requests, "requests"),
        Phase::Mixed => {
            say(batch.context_tokens.or(batch.context_requests), "context");
            say(batch.generation_requests, "generation");
        }
        _ if batch.context_tokens.is_some() => say(batch.context_tokens, "tokens"),
        _ => say(batch.context_requests, "requests"),
    }
    Bucket { phase: phase.as_str().to_owned(), size: size.join(" + ") }
}

/// Up to 16 the number itself; beyond, rounded up to a quarter of an octave: 20, 24, 28, 32, 40, 48, …
fn rounded_up(count: u64) -> u64 {
    if count <= 16 {
        return count;
    }
    let octave = (count - 1).ilog2();
    let step = 1_u64 << (octave - 2);
    count.div_ceil(step).saturating_mul(step)
}

#[cfg(test)]
mod tests {
    use super::rounded_up;

    #[test]
    fn sizes_are_rounded_up_to_quarters_of_an_octave() {
        let given = [1, 16, 17, 20, 21, 32, 33, 40, 41, 64, 65, 1000, 1024];
        let rounded = [1, 16, 20, 20, 24, 32, 40, 40, 48, 64, 80, 1024, 1024];
        assert_eq!(given.map(rounded_up), rounded);
    }
}

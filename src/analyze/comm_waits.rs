//! How long the devices of each input waited inside collectives for other ranks.
//!
//! All ranks of a collective leave it together, so the shortest of its kernels is that of the rank that came last, and what
//! the kernel of another rank takes beyond it, from its start, is waiting. Collectives that ranks may leave early and
//! messages tell nothing of this kind.

use super::clock::TimedInput;
use super::intervals::{Intervals, Span};
use crate::align::{Matched, Meeting};

/// Of each input, the time in which a kernel of it waits, inside its window; `None` where it shares no collective with
/// another input.
pub fn comm_waits(inputs: &[TimedInput<'_>], matched: &[Matched]) -> Vec<Option<i64>> {
    let mut spans: Vec<Option<Vec<Span>>> = vec![None; inputs.len()];
    let together = |one: &&Matched| one.is_on_device && one.meeting == Meeting::EndsTogether;
    for one in matched.iter().filter(together) {
        let shortest = one.times.iter().map(|(start_ns, end_ns)| end_ns - start_ns).min();
        for (&(input, _), &(start_ns, end_ns)) in one.calls.iter().zip(&one.times) {
            let wait = Span::new(start_ns, end_ns - shortest.unwrap_or(0));
            spans[input].get_or_insert_default().push(wait);
        }
    }
    let of_input = |(spans, input): (Option<Vec<Span>>, &TimedInput<'_>)| {
        let across = input.across;
        let clip = |span: Span| if across.is_clipped { span.clip(across.window) } else { span };
        Some(Intervals::union_of(spans?.into_iter().map(clip).collect()).total_ns())
    };
    spans.into_iter().zip(inputs).map(of_input).collect()
}

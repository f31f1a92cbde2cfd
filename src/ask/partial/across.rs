//! What is compared between inputs, as numbers that are small: each less the one before.

use omni_trace_proto::partial as proto;

use super::container::PartialError;
use crate::align::{Call, CallGroup, ClockBase, Digest, GroupKey, HandOffs, Meeting};
use crate::analyze::across::{Across, Busy};
use crate::analyze::intervals::{Intervals, Span};

/// Numbers, each less the one before.
fn steps(values: impl IntoIterator<Item = i64>) -> Vec<i64> {
    let mut before = 0_i64;
    let step = |value: i64| value.wrapping_sub(std::mem::replace(&mut before, value));
    values.into_iter().map(step).collect()
}

/// The numbers of steps.
fn sums(steps: &[i64]) -> Vec<i64> {
    let mut sum = 0_i64;
    let add = |&step: &i64| {
        sum = sum.wrapping_add(step);
        sum
    };
    steps.iter().map(add).collect()
}

fn spans_out(set: &Intervals) -> Vec<i64> {
    steps(set.spans().iter().flat_map(|span| [span.start_ns, span.end_ns]))
}

/// A set of time. Spans that do not come one after the other are damage.
fn spans_in(steps: &[i64]) -> Result<Intervals, PartialError> {
    let (pairs, rest) = steps.as_chunks::<2>();
    let is_whole = rest.is_empty() && pairs.iter().all(|pair| pair[1] > 0);
    let is_ascending = pairs.iter().skip(1).all(|pair| pair[0] > 0);
    if !is_whole || !is_ascending {
        return Err(PartialError::Damaged("a set of time is in no order"));
    }
    let ends = sums(steps);
    let mut set = Intervals::default();
    ends.chunks_exact(2).for_each(|pair| set.push(Span::new(pair[0], pair[1])));
    Ok(set)
}

fn span_out(span: Span) -> Vec<i64> {
    vec![span.start_ns, span.end_ns]
}

fn span_in(numbers: &[i64]) -> Result<Span, PartialError> {
    match numbers {
        &[start_ns, end_ns] => Ok(Span::new(start_ns, end_ns)),
        _ => Err(PartialError::Damaged("a window has no start and end")),
    }
}

fn meeting_out(meeting: Meeting) -> u32 {
    match meeting {
        Meeting::EndsTogether => 0,
        Meeting::EndsApart => 1,
        Meeting::Message => 2,
    }
}

fn meeting_in(number: u32) -> Result<Meeting, PartialError> {
    match number {
        0 => Ok(Meeting::EndsTogether),
        1 => Ok(Meeting::EndsApart),
        2 => Ok(Meeting::Message),
        _ => Err(PartialError::Damaged("a collective is of no known kind")),
    }
}

fn group_out(group: &CallGroup) -> proto::CallGroup {
    let CallGroup { key, calls } = group;
    let named = key.named.clone();
    let seq = |call: &Call| call.seq.map_or(0, |seq| seq.wrapping_add(1).cast_signed());
    proto::CallGroup {
        name: named.as_ref().map(|named| named.0.clone()),
        ranks: named.as_ref().map_or_else(String::new, |named| named.1.clone()),
        size: named.map_or(0, |named| named.2),
        from: key.message.map(|ends| ends.0),
        to: key.message.map(|ends| ends.1),
        meeting: meeting_out(key.meeting),
        seq_steps: steps(calls.iter().map(seq)),
        signatures: calls.iter().map(|call| call.signature).collect(),
        start_steps_ns: steps(calls.iter().map(|call| call.start_ns)),
        durs_ns: calls.iter().map(|call| call.end_ns.wrapping_sub(call.start_ns)).collect(),
        slice_steps: steps(calls.iter().map(|call| i64::from(call.slice))),
    }
}

fn group_in(group: &proto::CallGroup, n_signatures: usize) -> Result<CallGroup, PartialError> {
    let n = group.signatures.len();
    let lengths = [&group.seq_steps, &group.start_steps_ns, &group.durs_ns, &group.slice_steps];
    let is_known = |&number: &u32| (number as usize) < n_signatures;
    if lengths.iter().any(|list| list.len() != n) || !group.signatures.iter().all(is_known) {
        return Err(PartialError::Damaged("a group does not hold its collectives"));
    }
    let (seqs, starts) = (sums(&group.seq_steps), sums(&group.start_steps_ns));
    let slices = sums(&group.slice_steps);
    let call = |i: usize| -> Option<Call> {
        Some(Call {
            seq: seqs[i].cast_unsigned().checked_sub(1),
            signature: group.signatures[i],
            start_ns: starts[i],
            end_ns: starts[i].wrapping_add(group.durs_ns[i]),
            slice: u32::try_from(slices[i]).ok()?,
        })
    };
    let calls: Option<Vec<Call>> = (0..n).map(call).collect();
    let key = GroupKey {
        named: group.name.clone().map(|name| (name, group.ranks.clone(), group.size)),
        message: group.from.zip(group.to),
        meeting: meeting_in(group.meeting)?,
    };
    let calls = calls.ok_or(PartialError::Damaged("a collective has no slice"))?;
    Ok(CallGroup { key, calls })
}

/// As the format has it.
pub(super) fn across_out(across: &Across) -> proto::Across {
    let Across { shared, window, whole, is_clipped, busy } = across;
    proto::Across {
        base_time_ns: match shared.base {
            ClockBase::Stated(ns) => Some(ns),
            _ => None,
        },
        is_absolute: shared.base == ClockBase::Absolute,
        first_ns: shared.first_ns,
        job: shared.job.clone(),
        is_on_device: shared.is_on_device,
        signatures: shared.signatures.clone(),
        groups: shared.groups.iter().map(group_out).collect(),
        sends: steps(shared.handoffs.sends.iter().copied()),
        receives: steps(shared.handoffs.receives.iter().copied()),
        window: span_out(*window),
        whole: span_out(*whole),
        is_clipped: *is_clipped,
        recorded: spans_out(&busy.recorded),
        shows_waits: busy.waits.is_some(),
        waits: busy.waits.as_ref().map(spans_out).unwrap_or_default(),
        device: spans_out(&busy.device),
        host: spans_out(&busy.host),
    }
}

/// Read from the format.
pub(super) fn across_in(across: &proto::Across) -> Result<Across, PartialError> {
    let n_signatures = across.signatures.len();
    let groups = across.groups.iter().map(|group| group_in(group, n_signatures));
    let shared = Digest {
        base: match (across.base_time_ns, across.is_absolute) {
            (Some(ns), _) => ClockBase::Stated(ns),
            (None, true) => ClockBase::Absolute,
            (None, false) => ClockBase::Unknown,
        },
        first_ns: across.first_ns,
        job: across.job.clone(),
        groups: groups.collect::<Result<_, _>>()?,
        signatures: across.signatures.clone(),
        handoffs: HandOffs { sends: sums(&across.sends), receives: sums(&across.receives) },
        is_on_device: across.is_on_device,
    };
    let waits = across.shows_waits.then(|| spans_in(&across.waits));
    let busy = Busy {
        recorded: spans_in(&across.recorded)?,
        waits: waits.transpose()?,
        device: spans_in(&across.device)?,
        host: spans_in(&across.host)?,
    };
    let (window, whole) = (span_in(&across.window)?, span_in(&across.whole)?);
    Ok(Across { shared, window, whole, is_clipped: across.is_clipped, busy })
}

//! The critical path of a run as one more input of a merge: a process with one thread, a slice for each stretch.

use std::fmt::Write as _;
use std::path::Path;

use rayon::prelude::*;
use serde_json::json;

use super::cmd_causal::refuse_several_runs;
use super::plan::CommonPlan;
use super::read_twice::Spooled;
use super::reading::read_traces;
use crate::analyze::base::{TimeBase, TimeConfig};
use crate::ask::{CausalRun, compared};
use crate::causal::graph::What;
use crate::causal::rows::StepRow;
use crate::read::{Input, Inputs};

/// What the input is called.
pub(super) const NAME: &str = "critical_path";

/// Reads the inputs of a run and keeps their path as a trace, for which room is where `output` goes.
///
/// # Errors
///
/// Inputs that cannot be read or are of several runs; no room.
pub(super) fn of(
    inputs: &Inputs,
    common: &CommonPlan,
    time: &TimeConfig,
    output: &Path,
) -> anyhow::Result<Spooled> {
    let inputs = read_traces(inputs, common)?;
    let base = |(at, input): (usize, &Input)| TimeBase::new(&input.store, time).numbered(at);
    let bases: Vec<TimeBase> = inputs.par_iter().enumerate().map(base).collect();
    let each: Vec<&TimeBase> = bases.iter().collect();
    let together = compared(&inputs, &each, false);
    refuse_several_runs(&together)?;
    let run = CausalRun::of(&inputs, &each, &together, None);
    let base_ns = together.alignment.base_time_ns;
    let start_ns = run.subject().graph.start_ns.saturating_sub(base_ns.unwrap_or(0));
    let text = text(&run.critical_path_report().path_steps, start_ns, base_ns);
    Spooled::holding(NAME, text.as_bytes(), output)
}

/// The stretches as a trace; what nothing is known of is left out.
fn text(steps: &[StepRow], start_ns: i64, base_ns: Option<i64>) -> String {
    let base = base_ns.map_or(String::new(), |ns| format!("\"baseTimeNanoseconds\":{ns},"));
    let mut text = format!("{{\"schemaVersion\":1,{base}\"traceEvents\":[\n");
    let named = |what: &str, name: &str| json!({"ph": "M", "name": what, "pid": 1, "tid": 1, "args": {"name": name}});
    let _ = write!(
        text,
        "{},\n{}",
        named("process_name", "critical path"),
        named("thread_name", "critical path")
    );
    for step in steps.iter().filter(|step| step.what != What::Outside) {
        let name = step.name.as_deref().unwrap_or(step.what.as_str());
        let args =
            json!({"what": step.what, "edge": step.edge, "input": step.input, "on": step.lane});
        let (ts, dur) = (us(start_ns.saturating_add(step.start_ns)), us(step.dur_ns));
        let name = json!(name);
        let _ = write!(
            text,
            ",\n{{\"ph\":\"X\",\"cat\":\"{NAME}\",\"name\":{name},\"pid\":1,\"tid\":1,\"ts\":{ts},\"dur\":{dur},\"args\":{args}}}"
        );
    }
    text.push_str("\n]}\n");
    text
}

/// Nanoseconds as microseconds, exactly.
fn us(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let ns = ns.unsigned_abs();
    format!("{sign}{}.{:03}", ns / 1_000, ns % 1_000)
}

#[cfg(test)]
mod tests {
    use super::us;

    #[test]
    fn microseconds_are_exact() {
        assert_eq!(
            [0, 1, 1_000, -1_234, i64::MAX].map(us),
            ["0.000", "0.001", "1.000", "-1.234", "9223372036854775.807"]
        );
    }
}

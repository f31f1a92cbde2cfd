//! Where a printed figure does not mean what its name says, or cannot be right.

use crate::model::log::{
    DiffusionStep, Format, Meaning, PipelineLog, Record, StageRequest, Summary, Timing,
};

use super::merge::Run;
use super::recompute::other;
use super::requests::{QUEUE_FIELDS, other_duration};
use super::sums::{RunSums, StageTokens};
use super::totals::FoundSummary;
use super::{CheckRow, FlagRow};
use crate::schema::words;

words! {
    /// What a flag is about.
    FlagKind {
        /// A printed figure is not what its formula gives.
        Differs "differs",
        /// Two prints of one figure contradict each other.
        Conflict "conflict",
        /// `e2e_avg_*` is over wall time: with several requests in flight it is not a mean request time.
        AverageIsWallTime "average_is_wall_time",
        /// `e2e_total_tokens` counts the final stage's output alone.
        TokensOfFinalStage "tokens_of_final_stage",
        /// A stage's `tokens` hold its input too.
        StageTokensIncludeInput "stage_tokens_include_input",
        /// A time per denoising step holds waiting in the queue.
        StepTimeIncludesQueue "step_time_includes_queue",
        /// A time per denoising step holds all that the engine did.
        StepTimeIsEngineTime "step_time_is_engine_time",
        /// `input_tokens` are characters.
        TokensAreCharacters "tokens_are_characters",
        /// The transfers of `[OmniTiming]` are send times alone.
        TimingIsSendTime "timing_is_send_time",
        /// The bytes that left and the bytes that came differ.
        BytesDiffer "bytes_differ",
        /// A stage took longer than its request.
        StageExceedsRequest "stage_exceeds_request",
    }
}

/// Every flag of a run, in the order of the lines.
pub(super) fn flags_of(
    logs: &[&PipelineLog],
    run: &Run,
    sums: &RunSums,
    summaries: &[FoundSummary<'_>],
    checks: &[CheckRow],
) -> Vec<FlagRow> {
    let mut out: Vec<FlagRow> = checks.iter().filter(|check| !check.agrees).map(differs).collect();
    out.extend(run.conflicts.iter().map(|conflict| FlagRow {
        log: conflict.spot.log,
        line: conflict.spot.line,
        kind: FlagKind::Conflict,
        subject: conflict.subject.clone(),
        message: format!(
            "{} is {} here and was {} before",
            conflict.field, conflict.other, conflict.kept
        ),
    }));
    for &log in &run.logs {
        for entry in &logs[log].entries {
            let mut pen = Pen { log, line: entry.line, run, out: &mut out };
            pen.record(&entry.record);
        }
    }
    for &(log, line, summary) in summaries {
        Pen { log, line, run, out: &mut out }.summary(summary, sums);
    }
    for (spot, request) in run.stage_requests.values() {
        Pen { log: spot.log, line: spot.line, run, out: &mut out }.stage_request(request);
    }
    bytes_differ(run, &mut out);
    out.sort_by_key(|flag| (flag.log, flag.line, flag.kind));
    out
}

fn differs(check: &CheckRow) -> FlagRow {
    FlagRow {
        log: check.log,
        line: check.line,
        kind: FlagKind::Differs,
        subject: check.subject.clone(),
        message: format!(
            "{} is printed as {}, but {} gives {}",
            check.field, check.printed, check.formula, check.recomputed
        ),
    }
}

struct Pen<'a> {
    log: usize,
    line: u64,
    run: &'a Run,
    out: &'a mut Vec<FlagRow>,
}

impl Pen<'_> {
    fn flag(&mut self, kind: FlagKind, subject: &str, message: String) {
        let (log, line, subject) = (self.log, self.line, subject.to_owned());
        self.out.push(FlagRow { log, line, kind, subject, message });
    }

    fn record(&mut self, record: &Record) {
        match record {
            Record::Timing(timing) => self.timing(timing),
            Record::Diffusion(event) if event.denoise_avg_ms.is_some() => {
                self.flag(
                    FlagKind::StepTimeIsEngineTime,
                    "diffusion",
                    "denoise_avg_ms is the engine's whole time over the steps: text encoding and decoding are in it".to_owned(),
                );
                if event.chars_per_s.is_some() && event.step != DiffusionStep::Scheduled {
                    self.flag(
                        FlagKind::TokensAreCharacters,
                        "diffusion",
                        "input_tokens and input_tokens_per_s count characters of the prompt"
                            .to_owned(),
                    );
                }
            }
            _ => {}
        }
    }

    fn summary(&mut self, s: &Summary, sums: &RunSums) {
        if s.meaning == Meaning::WallTime && s.requests.is_some_and(|n| n > 1) {
            self.wall_average(s, sums);
        }
        let made = sums.made;
        let is_first = matches!(s.format, Format::Dictionary | Format::JsonLine);
        if let Some(tokens) = s.tokens.filter(|tokens| is_first && *tokens != made) {
            let text = format!(
                "e2e_total_tokens is {tokens}: the final stage's output; all stages made {made}"
            );
            self.flag(FlagKind::TokensOfFinalStage, "summary", text);
        }
        for stage in &s.stages {
            let StageTokens { made, taken } =
                sums.stages.get(&stage.stage).copied().unwrap_or_default();
            if taken > 0 && stage.tokens == made.checked_add(taken) {
                let text = format!(
                    "tokens is {}: {made} made and {taken} of input",
                    made.saturating_add(taken)
                );
                self.flag(
                    FlagKind::StageTokensIncludeInput,
                    &format!("summary stage {}", stage.stage),
                    text,
                );
            }
        }
    }

    fn wall_average(&mut self, s: &Summary, sums: &RunSums) {
        let n = f64::from(u32::try_from(sums.n_timed).unwrap_or(u32::MAX));
        let whole = sums.e2e.filter(|_| sums.n_timed > 1);
        if let (Some(average), Some(whole)) = (s.avg_request_ms, whole) {
            let text = format!(
                "e2e_avg_time_per_request_ms is {}: wall time over requests; the mean of the requests' own times is {:.3}",
                average.value,
                whole.value / n
            );
            self.flag(FlagKind::AverageIsWallTime, "summary", text);
        }
    }

    fn stage_request(&mut self, r: &StageRequest) {
        let subject = format!("request {} stage {}", r.request, r.stage);
        if let Some(text) = step_with_queue(r) {
            self.flag(FlagKind::StepTimeIncludesQueue, &subject, text);
        }
        let e2e = self.run.requests.get(&r.request).and_then(|(_, totals)| totals.e2e);
        let (Some(e2e), Some(generation)) = (e2e, r.generation) else { return };
        if generation.ms.value - generation.ms.rounding > e2e.ms.value + e2e.ms.rounding {
            let text = format!(
                "stage_gen_time_ms is {}, more than the request's whole time of {} ms",
                generation.ms.value, e2e.ms.value
            );
            self.flag(FlagKind::StageExceedsRequest, &subject, text);
        }
    }

    /// Until 0.30 the line gives the send time of a transfer, later the whole.
    fn timing(&mut self, t: &Timing) {
        let is_send = t.transfers.iter().any(|span| {
            let key = (t.request.clone(), span.stage, span.to.unwrap_or(0));
            self.run.transfers.get(&key).is_some_and(|(_, transfer)| {
                let whole = super::edges::whole_ms(transfer);
                let send = transfer.tx.map(|d| d.ms);
                send.is_some_and(|ms| ms.agrees_with(span.dur.ms))
                    && whole.is_some_and(|ms| !ms.agrees_with(span.dur.ms))
            })
        });
        if is_send {
            let text = "the transfers of this line are send times: in-flight and decode time are not in them";
            self.flag(
                FlagKind::TimingIsSendTime,
                &format!("request {}", t.request),
                text.to_owned(),
            );
        }
    }
}

/// What to say of a time per denoising step that holds waiting.
fn step_with_queue(r: &StageRequest) -> Option<String> {
    let wait = other_duration(r, QUEUE_FIELDS).filter(|wait| wait.ns > 0)?;
    let step = other(r, "denoise_step_latency_ms")?;
    let steps = other(r, "num_inference_steps").filter(|steps| steps.value > 0.0)?;
    let engine =
        other_duration(r, &["diffusion_engine_exec_time_s", "diffusion_engine_exec_time_ms"]);
    let whole_ms = engine.or(r.generation)?.ms.value;
    Some(format!(
        "denoise_step_latency_ms is {}: the wait of {} ms in the queue is in it; without it the engine's time gives {:.3} a step",
        step.value,
        wait.ms.value,
        (whole_ms - wait.ms.value) / steps.value
    ))
}

fn bytes_differ(run: &Run, out: &mut Vec<FlagRow>) {
    for ((request, from, to), (spot, transfer)) in &run.transfers {
        let (Some(sent), Some(received)) = (transfer.bytes, transfer.rx_bytes) else { continue };
        if !sent.agrees_with(received) {
            out.push(FlagRow {
                log: spot.log,
                line: spot.line,
                kind: FlagKind::BytesDiffer,
                subject: format!("request {request} edge {from}->{to}"),
                message: format!("{} bytes were sent and {} received", sent.value, received.value),
            });
        }
    }
}

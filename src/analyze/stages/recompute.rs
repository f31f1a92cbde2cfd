//! Which printed figures are recomputed, and how.
//!
//! Formulas are the pipeline's own, by generation. A figure that is computed from other records (sums over requests)
//! is checked only where every one of these is in the logs.

use crate::model::log::{
    DiffusionEvent, Field, FieldValue, Meaning, PipelineLog, Quantity, Record, RequestTotals,
    StageRequest, StageRunning, Summary, Timing, Transfer,
};

use super::CheckRow;
use super::check::{Formula, Site, check, count, mbps, per_second, ratio, sum};
use super::edges::whole_ms;
use super::merge::Run;
use super::sums::RunSums;

/// Every check of a run.
pub(super) fn checks_of(logs: &[&PipelineLog], run: &Run, sums: &RunSums) -> Vec<CheckRow> {
    let mut out = Vec::new();
    for &log in &run.logs {
        for entry in &logs[log].entries {
            let at = At { log, line: entry.line, run, sums, out: &mut out };
            at.record(&entry.record);
        }
    }
    out
}

struct At<'a> {
    log: usize,
    line: u64,
    run: &'a Run,
    sums: &'a RunSums,
    out: &'a mut Vec<CheckRow>,
}

impl At<'_> {
    fn record(self, record: &Record) {
        match record {
            Record::StageRequest(r) => self.stage_request(r),
            Record::StageRunning(r) => self.running(r),
            Record::Transfer(r) => self.transfer(r),
            Record::Request(r) => self.request(r),
            Record::Summary(r) => self.summary(r),
            Record::Timing(r) => self.timing(r),
            Record::Diffusion(r) => self.diffusion(r),
            _ => {}
        }
    }

    fn check(
        &mut self,
        subject: &str,
        field: &'static str,
        words: &'static str,
        printed: Option<Quantity>,
        inputs: &[Option<Quantity>],
        compute: impl Fn(&[f64]) -> f64,
    ) {
        let site = Site { log: self.log, line: self.line, subject };
        check(self.out, &site, &Formula { field, words, compute }, printed, inputs);
    }

    fn stage_request(mut self, r: &StageRequest) {
        let subject = format!("request {} stage {}", r.request, r.stage);
        let generation = r.generation.map(|d| d.ms);
        self.check(
            &subject,
            "tokens_per_s",
            "num_tokens_out * 1000 / stage_gen_time_ms",
            r.tokens_per_s,
            &[count(r.tokens_out), generation],
            |v| per_second(v[0], v[1]),
        );
        self.check(
            &subject,
            "rx_mbps",
            "rx_transfer_bytes * 8 / (rx_decode_time_ms * 1000)",
            r.rx_mbps,
            &[count(r.rx_bytes), r.rx_decode.map(|d| d.ms)],
            |v| mbps(v[0], v[1]),
        );
        self.check(
            &subject,
            "denoise_step_latency_ms",
            "stage_gen_time_ms / num_inference_steps",
            other(r, "denoise_step_latency_ms"),
            &[generation, other(r, "num_inference_steps")],
            |v| ratio(v[0], v[1]),
        );
        self.check(
            &subject,
            "audio_duration_s",
            "audio_generated_frames / audio_sample_rate",
            other(r, "audio_duration_s").map(|ms| ms.scaled(1e-3)),
            &[other(r, "audio_generated_frames"), other(r, "audio_sample_rate")],
            |v| ratio(v[0], v[1]),
        );
    }

    fn running(mut self, r: &StageRunning) {
        self.check(
            &format!("stage {}", r.stage),
            "avg_tokens_per_s",
            "total_tokens * 1000 / total_gen_time_ms",
            r.tokens_per_s,
            &[count(r.tokens), r.generation.map(|d| d.ms)],
            |v| per_second(v[0], v[1]),
        );
    }

    fn transfer(mut self, r: &Transfer) {
        let subject = format!("request {} edge {}->{}", r.request, r.from, r.to);
        let [tx, in_flight, rx] = [r.tx, r.in_flight, r.rx].map(|d| d.map(|d| d.ms));
        self.check(
            &subject,
            "tx_mbps",
            "size_bytes * 8 / (tx_time_ms * 1000)",
            r.tx_mbps,
            &[r.bytes, tx],
            |v| mbps(v[0], v[1]),
        );
        self.check(
            &subject,
            "total_time_ms",
            "tx_time_ms + in_flight_time_ms + rx_decode_time_ms",
            r.total.map(|d| d.ms),
            &[tx, in_flight, rx],
            |v| v[0] + v[1] + v[2],
        );
        let (time, bytes, words) = match r.total {
            Some(total) => (Some(total.ms), r.bytes, "total_time_ms / (size_bytes / 1024)"),
            None => (rx, r.rx_bytes, "rx_decode_time_ms / (rx_bytes / 1024)"),
        };
        self.check(&subject, "time_per_kb_ms", words, r.ms_per_kib, &[time, bytes], |v| {
            if v[1] > 0.0 { v[0] / (v[1] / 1024.0).max(1e-6) } else { 0.0 }
        });
    }

    fn request(mut self, r: &RequestTotals) {
        let subject = format!("request {}", r.request);
        self.check(
            &subject,
            "e2e_time_per_token_ms",
            "e2e_time_ms / tokens",
            r.ms_per_token,
            &[r.e2e.map(|d| d.ms), count(r.tokens)],
            |v| ratio(v[0], v[1]),
        );
        let own: Vec<&Transfer> = self.run.transfers_of(&r.request).collect();
        let wholes: Option<Vec<Quantity>> = own.iter().map(|t| whole_ms(t)).collect();
        self.check(
            &subject,
            "transfers_total_time_ms",
            "sum over the request's edges of tx + in-flight + rx time",
            r.transfers.map(|d| d.ms),
            &[wholes.and_then(|parts| sum(parts.into_iter()))],
            |v| v[0],
        );
        let bytes: Option<Vec<Quantity>> = own.iter().map(|t| t.rx_bytes.or(t.bytes)).collect();
        self.check(
            &subject,
            "transfers_total_bytes",
            "sum over the request's edges of the bytes received",
            r.transfer_bytes,
            &[bytes.and_then(|parts| sum(parts.into_iter()))],
            |v| v[0],
        );
    }

    fn summary(mut self, s: &Summary) {
        let wall = s.wall.map(|d| d.ms);
        let (time, per_request, per_s) = match s.meaning {
            Meaning::SumOfRequests => (
                s.sum.map(|d| d.ms),
                "e2e_sum_time_ms / e2e_requests",
                "e2e_total_tokens * 1000 / e2e_sum_time_ms",
            ),
            Meaning::WallTime => (
                wall,
                "e2e_wall_time_ms / e2e_requests",
                "e2e_total_tokens * 1000 / e2e_wall_time_ms",
            ),
        };
        let average = "e2e_avg_time_per_request_ms";
        self.check(
            "summary",
            average,
            per_request,
            s.avg_request_ms,
            &[time, count(s.requests)],
            |v| ratio(v[0], v[1]),
        );
        let rate = "e2e_avg_tokens_per_s";
        self.check("summary", rate, per_s, s.avg_tokens_per_s, &[count(s.tokens), time], |v| {
            per_second(v[0], v[1])
        });
        self.summary_sum(s);
        self.summary_stages(s);
        self.summary_edges(s);
    }

    /// The sum of the requests' times, where the logs hold as many requests as the summary counts.
    fn summary_sum(&mut self, s: &Summary) {
        let total = self.sums.e2e.filter(|_| self.sums.covers(s.requests));
        self.check(
            "summary",
            "e2e_sum_time_ms",
            "sum of the requests' end-to-end times",
            s.sum.map(|d| d.ms),
            &[total],
            |v| v[0],
        );
    }

    fn summary_stages(&mut self, s: &Summary) {
        for stage in &s.stages {
            let subject = format!("summary stage {}", stage.stage);
            let wall = stage.wall.map(|d| d.ms);
            self.check(
                &subject,
                "avg_time_per_request_ms",
                "total_time_ms / requests",
                stage.avg_request_ms,
                &[wall, count(stage.requests)],
                |v| ratio(v[0], v[1]),
            );
            self.check(
                &subject,
                "avg_tokens_per_s",
                "tokens * 1000 / total_time_ms",
                stage.avg_tokens_per_s,
                &[count(stage.tokens), wall],
                |v| per_second(v[0], v[1]),
            );
        }
    }

    fn summary_edges(&mut self, s: &Summary) {
        let sums = self.sums;
        for edge in &s.transfers {
            let subject = format!("summary edge {}->{}", edge.from, edge.to);
            let [tx, rx, total] = [edge.tx, edge.rx, edge.total].map(|d| d.map(|d| d.ms));
            let rates = [
                (
                    "tx_mbps",
                    "total_bytes * 8 / (total_time_ms * 1000)",
                    edge.tx_mbps,
                    edge.bytes,
                    tx,
                ),
                (
                    "rx_mbps",
                    "rx_total_bytes * 8 / (rx_total_time_ms * 1000)",
                    edge.rx_mbps,
                    edge.rx_bytes,
                    rx,
                ),
                (
                    "total_mbps",
                    "total_bytes * 8 / (total_transfer_time_ms * 1000)",
                    edge.total_mbps,
                    edge.bytes,
                    total,
                ),
            ];
            for (field, words, printed, bytes, time) in rates {
                self.check(&subject, field, words, printed, &[count(bytes), time], |v| {
                    mbps(v[0], v[1])
                });
            }
            let Some(own) = sums.edges.get(&(edge.from, edge.to)) else { continue };
            let received = own.rx.filter(|_| Some(own.rx_samples) == edge.rx_samples);
            let words = "sum of the transfers' decode times";
            self.check(&subject, "rx_total_time_ms", words, rx, &[received], |v| v[0]);
            let bytes = own.rx_bytes.filter(|_| Some(own.rx_samples) == edge.rx_samples);
            let words = "sum of the transfers' received bytes";
            self.check(&subject, "rx_total_bytes", words, count(edge.rx_bytes), &[bytes], |v| v[0]);
            // Where each transfer's whole is known its sum is taken in that order; else the parts' sums.
            let in_flight = own.in_flight.filter(|_| Some(own.rx_samples) == edge.total_samples);
            let words = "total_time_ms + in-flight times + rx_total_time_ms";
            let inputs = match own.total {
                Some(whole) if Some(own.samples) == edge.total_samples => {
                    [Some(whole), Some(Quantity::exact(0.0)), Some(Quantity::exact(0.0))]
                }
                _ => [tx, in_flight, received],
            };
            self.check(&subject, "total_transfer_time_ms", words, total, &inputs, |v| {
                v[0] + v[1] + v[2]
            });
        }
    }

    fn timing(mut self, t: &Timing) {
        let subject = format!("request {}", t.request);
        let e2e = self.run.requests.get(&t.request).and_then(|(_, r)| r.e2e.map(|d| d.ms));
        let total = t.total.map(|d| d.ms);
        self.check(&subject, "total", "the request's end-to-end time", total, &[e2e], |v| v[0]);
    }

    fn diffusion(mut self, d: &DiffusionEvent) {
        let engine = d.engine.map(|d| d.ms);
        self.check(
            "diffusion",
            "denoise_avg_ms",
            "diffusion_total_ms / num_inference_steps",
            d.denoise_avg_ms,
            &[engine, count(d.steps)],
            |v| ratio(v[0], v[1]),
        );
        self.check(
            "diffusion",
            "input_tokens_per_s",
            "characters of the prompt / (total_ms / 1000)",
            d.chars_per_s,
            &[count(d.prompt_chars), d.dur.map(|d| d.ms)],
            |v| if v[1] > 0.0 { v[0] / (v[1] / 1000.0) } else { 0.0 },
        );
    }
}

/// A further field of a stage's record as a number; durations in milliseconds.
pub(super) fn other(r: &StageRequest, name: &str) -> Option<Quantity> {
    let Field { value, .. } = r.other.iter().find(|field| field.name == name)?;
    match value {
        FieldValue::Number(number) => Some(*number),
        FieldValue::Duration(duration) => Some(duration.ms),
        FieldValue::Text(_) => None,
    }
}

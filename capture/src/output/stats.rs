//! Statistics of a pipeline run, summed as vLLM-Omni's orchestrator sums them.
//!
//! Pure: takes what workers reported, gives the dictionaries that the pipeline log and the JSON lines hold.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::report::{Served, Transfer};

/// Nanoseconds as milliseconds, for the formats that want them.
pub fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

/// Megabits (10^6) a second, as the formats define it; 0 without bytes.
pub fn mbps(bytes: u64, ms: f64) -> f64 {
    match bytes {
        0 => 0.0,
        _ => bytes as f64 * 8.0 / (ms.max(1e-6) * 1000.0),
    }
}

fn per_second(tokens: u64, ms: f64) -> f64 {
    if ms > 0.0 { tokens as f64 * 1000.0 / ms } else { 0.0 }
}

#[derive(Debug, Default, Clone)]
struct StageSums {
    requests: u64,
    tokens: u64,
    gen_ms: f64,
    first_unix_ns: Option<u64>,
    last_unix_ns: u64,
}

#[derive(Debug, Default, Clone)]
struct EdgeSums {
    samples: u64,
    bytes: u64,
    tx_ms: f64,
    rx_samples: u64,
    rx_bytes: u64,
    rx_ms: f64,
    total_ms: f64,
}

#[derive(Debug, Default, Clone)]
struct RequestSums {
    stages: Map<String, Value>,
    transfers_ms: f64,
    transfers_bytes: u64,
    sent: BTreeMap<(u32, u32), Transfer>,
}

/// Everything summed so far.
#[derive(Debug, Default)]
pub struct Stats {
    stages: BTreeMap<u32, StageSums>,
    edges: BTreeMap<(u32, u32), EdgeSums>,
    requests: BTreeMap<String, RequestSums>,
    started_unix_ns: u64,
    last_unix_ns: u64,
    done: u64,
    done_ms: f64,
    done_tokens: u64,
}

impl Stats {
    /// Nothing yet; the wall clock starts here.
    pub fn new(started_unix_ns: u64) -> Self {
        Self { started_unix_ns, last_unix_ns: started_unix_ns, ..Self::default() }
    }

    /// A hand-over was written: the line for the JSON log, for hand-overs between stages.
    pub fn sent(&mut self, transfer: &Transfer) -> Option<Value> {
        let edge = (transfer.from?, transfer.to?);
        let (bytes, tx_ms) = (transfer.bytes, ms(transfer.ns));
        let sums = self.edges.entry(edge).or_default();
        sums.samples += 1;
        sums.bytes += bytes;
        sums.tx_ms += tx_ms;
        let request = self.requests.entry(transfer.request.clone()).or_default();
        request.sent.insert(edge, transfer.clone());
        Some(json!({
            "type": "transfer_stats", "from_stage": edge.0, "to_stage": edge.1,
            "request_id": transfer.request, "size_bytes": bytes, "tx_time_ms": tx_ms,
            "tx_mbps": mbps(bytes, tx_ms), "used_shm": true,
        }))
    }

    /// A hand-over was read: the lines for the JSON log. Its sending may be reported later than its reading.
    pub fn received(&mut self, transfer: &Transfer) -> Vec<Value> {
        let (Some(from), Some(to)) = (transfer.from, transfer.to) else { return Vec::new() };
        let (bytes, rx_ms, flight_ms) =
            (transfer.bytes, ms(transfer.ns), ms(transfer.in_flight_ns));
        let sums = self.edges.entry((from, to)).or_default();
        sums.rx_samples += 1;
        sums.rx_bytes += bytes;
        sums.rx_ms += rx_ms;
        let kb = (bytes as f64 / 1024.0).max(1e-6);
        let per_kb = |ms: f64| if bytes > 0 { ms / kb } else { 0.0 };
        let request = self.requests.entry(transfer.request.clone()).or_default();
        let tx_ms = request.sent.get(&(from, to)).map_or(0.0, |sent| ms(sent.ns));
        let total_ms = tx_ms + flight_ms + rx_ms;
        sums.total_ms += total_ms;
        request.transfers_ms += total_ms;
        request.transfers_bytes += bytes;
        vec![
            json!({
                "type": "transfer_rx_stats", "from_stage": from, "to_stage": to,
                "request_id": transfer.request, "rx_bytes": bytes, "rx_decode_time_ms": rx_ms,
                "in_flight_time_ms": flight_ms, "rx_time_per_kb_ms": per_kb(rx_ms),
            }),
            json!({
                "type": "transfer_total_stats", "from_stage": from, "to_stage": to,
                "request_id": transfer.request, "size_bytes": bytes, "tx_time_ms": tx_ms,
                "in_flight_time_ms": flight_ms, "rx_decode_time_ms": rx_ms,
                "total_time_ms": total_ms, "total_time_per_kb_ms": per_kb(total_ms),
            }),
        ]
    }

    /// A stage served a request: the metrics for the pipeline log, and the lines for the stage's JSON log.
    pub fn served(&mut self, stage: u32, served: &Served) -> (Value, Vec<Value>) {
        let gen_ms = ms(served.gen_ns);
        let sums = self.stages.entry(stage).or_default();
        sums.requests += 1;
        sums.tokens += served.tokens_out;
        sums.gen_ms += gen_ms;
        sums.first_unix_ns.get_or_insert(served.start_unix_ns);
        sums.last_unix_ns = sums.last_unix_ns.max(served.start_unix_ns + served.gen_ns);
        let request = self.requests.entry(served.request.clone()).or_default();
        request.stages.insert(
            stage.to_string(),
            json!({"stage_gen_time_ms": gen_ms, "num_tokens_out": served.tokens_out}),
        );
        let (decode_ms, rx_bytes) = (ms(served.rx_decode_ns), served.rx_bytes);
        let metrics = json!({
            "num_tokens_out": served.tokens_out, "stage_gen_time_ms": gen_ms,
            "batch_id": served.batch_id, "rx_decode_time_ms": decode_ms,
            "rx_transfer_bytes": rx_bytes, "rx_in_flight_time_ms": ms(served.rx_in_flight_ns),
        });
        let lines = vec![
            json!({
                "type": "stage_request_stats", "stage_id": stage, "request_id": served.request,
                "batch_size": 1, "num_tokens_out": served.tokens_out, "stage_gen_time_ms": gen_ms,
                "tokens_per_s": per_second(served.tokens_out, gen_ms),
                "rx_transfer_bytes": rx_bytes, "rx_decode_time_ms": decode_ms,
                "rx_mbps": mbps(rx_bytes, decode_ms),
            }),
            json!({
                "type": "stage_running_avg", "stage_id": stage, "total_tokens": sums.tokens,
                "total_gen_time_ms": sums.gen_ms,
                "avg_tokens_per_s": per_second(sums.tokens, sums.gen_ms),
            }),
            json!({
                "type": "stage_batch_stats", "stage_id": stage, "batch_size": 1,
                "batch_gen_time_ms": gen_ms, "request_ids": [served.request],
            }),
        ];
        (metrics, lines)
    }

    /// A request left the pipeline: the lines for the orchestrator's and the overall JSON log.
    pub fn finished(
        &mut self,
        request: &str,
        stage: u32,
        seeded_unix_ns: u64,
        now_unix_ns: u64,
    ) -> (Value, Value) {
        let e2e_ms = ms(now_unix_ns.saturating_sub(seeded_unix_ns));
        let sums = self.requests.entry(request.to_owned()).or_default();
        let last = sums.stages.get(&stage.to_string());
        let tokens = last.and_then(|s| s["num_tokens_out"].as_u64()).unwrap_or(0);
        self.last_unix_ns = self.last_unix_ns.max(now_unix_ns);
        self.done += 1;
        self.done_ms += e2e_ms;
        self.done_tokens += tokens;
        let per_token = if tokens > 0 { e2e_ms / tokens as f64 } else { 0.0 };
        (
            json!({
                "type": "orchestrator_request_e2e", "request_id": request,
                "final_stage_id": stage, "e2e_time_ms": e2e_ms, "num_tokens_out": tokens,
                "e2e_time_per_token_ms": per_token,
            }),
            json!({
                "type": "overall_request", "request_id": request, "e2e_time_ms": e2e_ms,
                "num_tokens_out": tokens, "transfers_total_time_ms": sums.transfers_ms,
                "transfers_total_bytes": sums.transfers_bytes, "stages": sums.stages,
            }),
        )
    }

    /// Requests that left the pipeline.
    pub fn requests_done(&self) -> u64 {
        self.done
    }

    /// The summary of the run.
    pub fn summary(&self, final_stage: u32) -> Value {
        let wall_ms = ms(self.last_unix_ns.saturating_sub(self.started_unix_ns));
        let average = if self.done > 0 { self.done_ms / self.done as f64 } else { 0.0 };
        let stages: Vec<Value> = self.stages.iter().map(|(id, s)| stage_summary(*id, s)).collect();
        let transfers: Vec<Value> =
            self.edges.iter().map(|(edge, sums)| edge_summary(*edge, sums)).collect();
        json!({
            "e2e_requests": self.done, "e2e_total_time_ms": wall_ms,
            "e2e_sum_time_ms": self.done_ms, "e2e_total_tokens": self.done_tokens,
            "e2e_avg_time_per_request_ms": average,
            "e2e_avg_tokens_per_s": per_second(self.done_tokens, self.done_ms),
            "wall_time_ms": wall_ms, "final_stage_id": final_stage,
            "stages": stages, "transfers": transfers,
        })
    }
}

fn stage_summary(id: u32, sums: &StageSums) -> Value {
    let total_ms = ms(sums.last_unix_ns.saturating_sub(sums.first_unix_ns.unwrap_or(0)));
    let average = if sums.requests > 0 { total_ms / sums.requests as f64 } else { 0.0 };
    json!({
        "stage_id": id, "requests": sums.requests, "tokens": sums.tokens,
        "total_time_ms": total_ms, "avg_time_per_request_ms": average,
        "avg_tokens_per_s": per_second(sums.tokens, total_ms),
    })
}

fn edge_summary((from, to): (u32, u32), sums: &EdgeSums) -> Value {
    json!({
        "from_stage": from, "to_stage": to, "samples": sums.samples, "total_bytes": sums.bytes,
        "total_time_ms": sums.tx_ms, "tx_mbps": mbps(sums.bytes, sums.tx_ms),
        "rx_samples": sums.rx_samples, "rx_total_bytes": sums.rx_bytes,
        "rx_total_time_ms": sums.rx_ms, "rx_mbps": mbps(sums.rx_bytes, sums.rx_ms),
        "total_samples": sums.rx_samples, "total_transfer_time_ms": sums.total_ms,
        "total_mbps": mbps(sums.bytes, sums.total_ms),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn megabits_are_as_in_the_seed() {
        assert!((mbps(3_148_794, 5.676_269_531_25) - 4_437.835_776).abs() < 1e-6);
        assert_eq!(mbps(0, 1.0), 0.0);
    }

    #[test]
    fn sums_stages_edges_and_requests() {
        let mut stats = Stats::new(1_000_000_000);
        let edge = Transfer {
            from: Some(0),
            to: Some(1),
            request: "r".into(),
            bytes: 1000,
            ns: 2_000_000,
            in_flight_ns: 0,
        };
        assert_eq!(stats.sent(&edge).unwrap()["tx_mbps"], json!(4.0));
        assert_eq!(stats.sent(&Transfer { from: None, ..edge.clone() }), None);
        let got = Transfer { ns: 1_000_000, in_flight_ns: 500_000, ..edge };
        assert_eq!(stats.received(&got)[1]["total_time_ms"], json!(3.5));
        let served = Served {
            request: "r".into(),
            batch_id: 1,
            tokens_in: 8,
            tokens_out: 4,
            gen_ns: 8_000_000,
            start_unix_ns: 1_000_000_000,
            rx_bytes: 1000,
            rx_decode_ns: 1_000_000,
            rx_in_flight_ns: 500_000,
            denoise_ns: 0,
        };
        let (metrics, lines) = stats.served(1, &served);
        assert_eq!(metrics["stage_gen_time_ms"], json!(8.0));
        assert_eq!(lines[0]["tokens_per_s"], json!(500.0));
        let (e2e, overall) = stats.finished("r", 1, 1_000_000_000, 1_020_000_000);
        assert_eq!(e2e["e2e_time_ms"], json!(20.0));
        assert_eq!(overall["transfers_total_bytes"], json!(1000));
        let summary = stats.summary(1);
        assert_eq!(summary["e2e_requests"], json!(1));
        assert_eq!(summary["stages"][0]["tokens"], json!(4));
        assert_eq!(summary["transfers"][0]["total_transfer_time_ms"], json!(3.5));
    }
}

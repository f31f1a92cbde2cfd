//! The pipeline log and its JSON lines, in the format of vLLM-Omni's first generation.
//!
//! `omni_llm_pipeline.log` with `[Orchestrator]`, `[StageMetrics]` and `[Summary]` lines (Python's spelling), and
//! `.orchestrator.stats.jsonl`, `.overall.stats.jsonl`, `.stage<N>.stats.jsonl` beside it. Held in memory and written
//! whole at the end, also when the capture fails.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use serde_json::Value;

use super::names::log_time;
use super::python::repr;
use super::trace_file::write_whole;

/// The name of the log; the JSON lines add to it.
pub const LOG_NAME: &str = "omni_llm_pipeline.log";

/// The log of one run.
#[derive(Debug)]
pub struct PipelineLog {
    pid: u32,
    text: String,
    json: BTreeMap<String, String>,
}

impl PipelineLog {
    /// An empty log of process `pid`.
    pub fn new(pid: u32) -> Self {
        Self { pid, text: String::new(), json: BTreeMap::new() }
    }

    /// A line about scheduling.
    pub fn orchestrator(&mut self, unix_ns: u64, text: &str) {
        self.line(unix_ns, "DEBUG", &format!("[Orchestrator] {text}"));
    }

    /// What a stage took for a request.
    pub fn stage_metrics(&mut self, unix_ns: u64, stage: u32, request: &str, metrics: &Value) {
        let text = format!("[StageMetrics] stage={stage} req={request} metrics={}", repr(metrics));
        self.line(unix_ns, "INFO", &text);
    }

    /// The summary of the run, in the log and in the JSON lines.
    pub fn summary(&mut self, unix_ns: u64, summary: &Value) {
        self.line(unix_ns, "INFO", &format!("[Summary] {}", repr(summary)));
        for (sink, kind) in
            [("orchestrator", "orchestrator_summary"), ("overall", "overall_summary")]
        {
            let mut typed = serde_json::Map::from_iter([("type".to_owned(), kind.into())]);
            typed.extend(summary.as_object().cloned().unwrap_or_default());
            self.json(sink, &Value::Object(typed));
        }
    }

    /// A JSON line of the orchestrator (`orchestrator`), of whole requests (`overall`) or of a stage (`stage0`).
    pub fn json(&mut self, sink: &str, record: &Value) {
        let lines = self.json.entry(sink.to_owned()).or_default();
        // Writing to a String cannot fail.
        writeln!(lines, "{record}").ok();
    }

    /// Writes all files; gives their names and kinds.
    pub fn write(&self, dir: &Path) -> io::Result<Vec<(String, &'static str)>> {
        write_whole(&dir.join(LOG_NAME), self.text.as_bytes())?;
        let mut files = vec![(LOG_NAME.to_owned(), "pipeline_log")];
        for (sink, lines) in &self.json {
            let name = format!("{LOG_NAME}.{sink}.stats.jsonl");
            write_whole(&dir.join(&name), lines.as_bytes())?;
            files.push((name, "pipeline_stats"));
        }
        Ok(files)
    }

    fn line(&mut self, unix_ns: u64, level: &str, text: &str) {
        let time = log_time(unix_ns);
        // Writing to a String cannot fail.
        writeln!(self.text, "{time} [PID:{}] {level}: {text}", self.pid).ok();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_are_as_in_the_seed() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = PipelineLog::new(17_815);
        let at = 1_765_848_263_021_000_000;
        log.orchestrator(at, "generate() called");
        log.stage_metrics(
            at,
            0,
            "0_b3b2",
            &json!({"num_tokens_out": 52, "rx_in_flight_time_ms": 0.0}),
        );
        log.summary(at, &json!({"e2e_requests": 1}));
        let files = log.write(dir.path()).unwrap();
        let text = std::fs::read_to_string(dir.path().join(LOG_NAME)).unwrap();
        assert_eq!(
            text,
            "2025-12-16 01:24:23,021 [PID:17815] DEBUG: [Orchestrator] generate() called\n\
             2025-12-16 01:24:23,021 [PID:17815] INFO: [StageMetrics] stage=0 req=0_b3b2 metrics={'num_tokens_out': 52, 'rx_in_flight_time_ms': 0.0}\n\
             2025-12-16 01:24:23,021 [PID:17815] INFO: [Summary] {'e2e_requests': 1}\n"
        );
        assert_eq!(files.len(), 3);
        let overall = dir.path().join("omni_llm_pipeline.log.overall.stats.jsonl");
        let overall = std::fs::read_to_string(overall).unwrap();
        assert_eq!(overall, "{\"type\":\"overall_summary\",\"e2e_requests\":1}\n");
    }
}

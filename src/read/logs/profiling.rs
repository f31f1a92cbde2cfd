//! Lines of the profilers: vLLM's, vLLM-Omni's, Kineto's and torch_npu's, and requests to the profiler's routes.

use std::sync::LazyLock;

use regex::RegexSet;

use crate::model::log::{ProfilerEvent, ProfilerStep, Record};

use super::scan::{after, between, index_prefix};

/// Profiler lines: what they hold, what they mean, and the mark before the paths that they name.
const LINES: &[(&str, ProfilerStep, &str)] = &[
    ("rofiling enabled. Traces will be saved to: ", ProfilerStep::Enabled, "saved to: "),
    ("CPU traces will be collected under ", ProfilerStep::Enabled, "under "),
    ("Trace exported to ", ProfilerStep::TraceWritten, "exported to "),
    ("Triggered background compression for ", ProfilerStep::TraceWritten, "compression for "),
    ("Final trace paths: ", ProfilerStep::Stopped, "Final trace paths: "),
    ("Final trace: ", ProfilerStep::TraceWritten, "Final trace: "),
    ("NPU profiler stopped.", ProfilerStep::Stopped, "analyse('"),
    ("Max profiling iterations reached", ProfilerStep::LimitReached, ""),
    ("Sent start_profile to ", ProfilerStep::StartRequested, ""),
    ("Starting profiler...", ProfilerStep::StartRequested, ""),
    ("Starting diffusion profiling with prefix: ", ProfilerStep::StartRequested, "prefix: "),
    ("Starting diffusion profiling ", ProfilerStep::StartRequested, "profiling → "),
    ("Starting End-to-End Torch profiler", ProfilerStep::Started, ""),
    ("rofiler started", ProfilerStep::Started, ""),
    ("profiler_start", ProfilerStep::Started, ""),
    ("Requesting profile data collection", ProfilerStep::StopRequested, ""),
    ("Sending PROFILER_STOP", ProfilerStep::StopRequested, ""),
    ("Stopping profiler...", ProfilerStep::StopRequested, ""),
    ("Stopping diffusion profiling", ProfilerStep::StopRequested, ""),
    ("rofiler stopped", ProfilerStep::Stopped, ""),
    ("profiler_stop", ProfilerStep::Stopped, ""),
    ("Shutting down profiler", ProfilerStep::ShutDown, ""),
    (
        "External init callback must run in same thread as registerClient",
        ProfilerStep::Complaint,
        "",
    ),
    ("Incorrect schedule: Stop profiler while current state", ProfilerStep::Complaint, ""),
    ("The profiling data cannot be parsed during the daemon process", ProfilerStep::Complaint, ""),
    ("but no active profiling session found", ProfilerStep::Complaint, ""),
];

/// All that [`LINES`] hold, looked for in one pass over a message.
static HELD: LazyLock<RegexSet> = LazyLock::new(|| {
    let held = LINES.iter().map(|(held, ..)| *held).chain([ROUTE, TOTAL]);
    RegexSet::new(held.map(regex::escape)).expect("escaped text is a pattern")
});

/// What a request to the profiler's routes holds.
const ROUTE: &str = "_profile ";

/// What a total below a table holds.
const TOTAL: &str = " time total: ";

/// The record of a profiler message.
pub(crate) fn profiling(message: &str) -> Option<Record> {
    let held = HELD.matches(message);
    if !held.matched_any() {
        return None;
    }
    if let Some(http) = http(message) {
        return Some(http);
    }
    if let Some(total) = table_total(message) {
        return Some(total);
    }
    let (_, step, mark) = LINES.get(held.iter().next()?)?;
    let paths = if mark.is_empty() { Vec::new() } else { paths_after(message, mark) };
    Some(event(*step, paths, message))
}

fn event(step: ProfilerStep, paths: Vec<String>, message: &str) -> Record {
    Record::Profiler(ProfilerEvent {
        step,
        stage: stage_of(message),
        rank: message.strip_prefix("[Rank ").and_then(index_prefix),
        paths,
        detail: message.trim().chars().take(200).collect(),
    })
}

fn stage_of(message: &str) -> Option<u32> {
    let marked = message.strip_prefix("[Stage-");
    let named = || after(message, " stage-").or_else(|| after(message, "stage_"));
    index_prefix(marked.or_else(named)?)
}

/// The paths behind a mark: separated by commas, quotes and the end of the call removed.
fn paths_after(message: &str, mark: &str) -> Vec<String> {
    let Some(rest) = after(message, mark) else {
        return Vec::new();
    };
    let rest = rest.split("')").next().unwrap_or(rest);
    rest.split(", ").map(|path| path.trim().to_owned()).filter(|path| !path.is_empty()).collect()
}

/// `127.0.0.1:46142 - "POST /start_profile HTTP/1.1" 200 OK`.
fn http(message: &str) -> Option<Record> {
    let request = between(message, "\"", "\"")?;
    let route = request.split(' ').nth(1)?;
    let is_profile = matches!(route, "/start_profile" | "/stop_profile");
    is_profile.then(|| event(ProfilerStep::Http, Vec::new(), message))
}

/// `Self CPU time total: 3.086s` below a printed table.
fn table_total(message: &str) -> Option<Record> {
    let text = message.trim();
    let is_total = text.starts_with("Self ") && text.contains(TOTAL);
    is_total.then(|| event(ProfilerStep::TableTotal, Vec::new(), text))
}

#[cfg(test)]
mod tests {
    use super::profiling;
    use crate::model::log::{ProfilerEvent, ProfilerStep, Record};

    fn read(message: &str) -> ProfilerEvent {
        match profiling(message) {
            Some(Record::Profiler(event)) => event,
            other => panic!("{message}: {other:?}"),
        }
    }

    #[test]
    fn events_name_their_files() {
        let done = read(
            "Profiling stopped. Collected 1 trace file(s) from 1 rank(s). Final trace paths: /a/stage_0_diffusion_1_rank0.json.gz",
        );
        assert_eq!((done.step, done.paths.len()), (ProfilerStep::Stopped, 1));
        assert_eq!(done.stage, Some(0));
        let written = read("[Rank 3] Trace exported to /t/x_rank3.json");
        assert_eq!((written.step, written.rank), (ProfilerStep::TraceWritten, Some(3)));
        assert_eq!(written.paths, ["/t/x_rank3.json"]);
        let npu = read(
            "NPU profiler stopped. Use offline parsing to analyze: from torch_npu.profiler.profiler import analyse; analyse('/root/perf/npu_rank0')",
        );
        assert_eq!(npu.paths, ["/root/perf/npu_rank0"]);
        assert_eq!(read("[AsyncOrchestrator] Sent start_profile to stage-2").stage, Some(2));
        assert_eq!(read("[Stage-0] Diffusion Torch profiler started").step, ProfilerStep::Started);
    }

    #[test]
    fn limit_and_routes() {
        assert_eq!(
            read("Max profiling iterations reached. Stopping profiler...").step,
            ProfilerStep::LimitReached
        );
        let http = read("127.0.0.1:37942 - \"POST /start_profile HTTP/1.1\" 404 Not Found");
        assert_eq!(http.step, ProfilerStep::Http);
        assert!(profiling("127.0.0.1:1 - \"GET /health HTTP/1.1\" 200 OK").is_none());
        assert_eq!(read("Self CUDA time total: 10.401ms").step, ProfilerStep::TableTotal);
        assert!(profiling("Route: /start_profile, Methods: POST").is_none());
    }
}

//! Lines that are known and say nothing about requests, stages, transfers or profiling.
//!
//! A rule names a class, the source file that writes the line (empty: any, also none), and how the message begins. A
//! line that no rule knows is unknown and shown as such: rules are for lines that were looked at, not for silence.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::header::Header;
use super::scan::holds;

/// Class, source file, beginning of the message.
const RULES: &[(&str, &str, &str)] = &[
    // What the machine and the installation have.
    ("platform", "importing.py", "Triton "),
    ("platform", "__init__.py", "Available plugins for group "),
    ("platform", "__init__.py", "- "),
    ("platform", "__init__.py", "All plugins in this group will be loaded"),
    ("platform", "__init__.py", "No plugins for group "),
    ("platform", "__init__.py", "OmniPlatform plugin "),
    ("platform", "__init__.py", "Checking if "),
    ("platform", "__init__.py", "Confirmed "),
    ("platform", "__init__.py", "Automatically detected platform"),
    ("platform", "__init__.py", "TPU platform is not available"),
    ("platform", "__init__.py", "ROCm platform is not available"),
    ("platform", "__init__.py", "XPU platform is not available"),
    ("platform", "gpu_memory_utils.py", "NVML init failed"),
    ("platform", "ring_globals.py", "FlashInfer ring kernels are unavailable"),
    ("platform", "indexer_topk.py", "Failed to import the DeepSelect extension"),
    ("platform", "DeviceProperties.cpp", "gpuGetDeviceCount failed"),
    ("platform", "system_utils.py", "Found ulimit"),
    ("platform", "mooncake_connector.py", "Mooncake not available"),
    ("platform", "factory.py", "Registered connector"),
    ("platform", "patch.py", "NVFP4 "),
    ("platform", "patch.py", "inductor "),
    ("platform", "patch.py", "[cumem-cuda] "),
    // What the user or the engine chose.
    ("configuration", "api_utils.py", "non-default args"),
    ("configuration", "utils.py", "non-default args"),
    ("configuration", "utils.py", "Using "),
    ("configuration", "model.py", "Resolved architecture"),
    ("configuration", "model.py", "Using max model len"),
    ("configuration", "scheduler.py", "Chunked prefill is enabled"),
    ("configuration", "vllm.py", "Enforce eager set"),
    ("configuration", "vllm.py", "Inductor compilation was disabled"),
    ("configuration", "vllm.py", "Model Runner V2 requires"),
    ("configuration", "kernel.py", "Final IR op priority"),
    ("configuration", "diffusion_worker.py", "Final IR op priority"),
    ("configuration", "cpu.py", "Reset SSM cache type"),
    ("configuration", "compilation.py", "Enabled custom fusions"),
    ("configuration", "decorators.py", "Inferred dynamic dimensions"),
    ("configuration", "config_factory.py", "Resolved generic diffusion"),
    ("configuration", "hf.py", "Detected the chat template"),
    ("configuration", "torch_utils.py", "Reducing Torch threads"),
    ("configuration", "llm.py", "Supported tasks"),
    ("configuration", "entry.py", "Supported tasks"),
    ("configuration", "factories.py", "Scale-out endpoints"),
    ("configuration", "stage_init_utils.py", "[stage_init] Set"),
    ("configuration", "profiler.py", "Using 'torch' profiler with"),
    ("configuration", "api_router.py", "Profiler with mode "),
    ("configuration", "wrapper.py", "GPU profiling will "),
    ("configuration", "pipeline_diffusers_adapter.py", "Profiling enabled for "),
    ("configuration", "pipeline_diffusers_adapter.py", "Loading Diffusers pipeline class"),
    ("configuration", "pipeline_diffusers_adapter.py", "Calling diffusers pipeline with"),
    ("configuration", "omni_torch_profiler.py", "[Rank 0] pandas not available"),
    ("configuration", "diffusion_engine.py", "[RequestBatch] engine init"),
    ("configuration", "manager.py", "Initializing DiffusionLoRAManager"),
    ("configuration", "diffusion_model_runner.py", "Model runner: Platform "),
    ("configuration", "diffusion_model_runner.py", "Model runner: Initialization complete"),
    ("configuration", "kv_cache_utils.py", "Maximum concurrency"),
    ("configuration", "cpu_worker.py", "Explicitly set ("),
    // Which process is which rank, and what they talk over.
    ("processes", "parallel_state.py", "world_size="),
    ("processes", "parallel_state.py", "rank "),
    ("processes", "parallel_state.py", "Building SP subgroups"),
    ("processes", "parallel_state.py", "SP group details"),
    ("processes", "multiproc_executor.py", "DP group leader"),
    ("processes", "multiproc_executor.py", "Async result pump started"),
    ("processes", "multiproc_executor.py", "Starting server..."),
    ("processes", "diffusion_engine.py", "Starting server..."),
    ("processes", "ompmultiprocessing.py", "OpenMP thread binding info"),
    ("processes", "ompmultiprocessing.py", "VLLM_CPU_OMP_THREADS_BIND"),
    ("processes", "ompmultiprocessing.py", "local_"),
    ("processes", "ompmultiprocessing.py", "reserved_cpus"),
    ("processes", "cpu_worker.py", "OMP t"),
    ("processes", "cpu_worker.py", "libtcmalloc is not found"),
    ("processes", "cpu_worker.py", "libiomp is not found"),
    ("processes", "utils.cpp", "Warning: NUMA binding"),
    ("processes", "shm_broadcast.py", "Connecting to "),
    ("processes", "shm_broadcast.py", "Binding to "),
    ("processes", "shm_broadcast.py", "vLLM message queue communication handle"),
    ("processes", "scheduler.py", "SyncScheduler initialized"),
    ("processes", "inline_stage_diffusion_client.py", "[InlineStageDiffusionClient] stage-"),
    ("processes", "omni_base.py", "[Omni] Initializing with model"),
    ("processes", "omni_engine_base.py", "[OmniEngine] Initializing with model"),
    ("processes", "omni_engine_base.py", "[OmniEngine] Launching Orchestrator thread"),
    ("processes", "", "[Gloo] Rank "),
    // Requests as vLLM's front end logs them one by one: who, not how long.
    ("request_log", "logger.py", "Received request "),
    ("request_log", "request_logger.py", "Received request "),
    ("request_log", "logger.py", "Generated response "),
    ("request_log", "request_logger.py", "Generated response "),
    ("request_log", "async_llm.py", "Added request "),
    ("request_log", "async_llm.py", "Aborted request"),
    // The HTTP server.
    ("server", "launcher.py", "Available routes are"),
    ("server", "launcher.py", "Route: "),
    ("server", "entry.py", "Starting vLLM server"),
    ("server", "", "Started server process"),
    ("server", "", "Waiting for application "),
    ("server", "", "Application shutdown complete"),
    ("server", "", "Shutting down"),
    // The end.
    ("shutdown", "", "[shutdown] "),
    ("shutdown", "multiproc_executor.py", "Parent process exited"),
    ("shutdown", "omni_base.py", "[Omni] Shutting down"),
    ("shutdown", "omni_engine_base.py", "[OmniEngine] Shutting down"),
    ("shutdown", "stage_pool.py", "[StagePool] Stage "),
    ("shutdown", "", "event loop terminated"),
    // What `time`, Python and the calling scripts print.
    ("shell_time", "", "real\t"),
    ("shell_time", "", "user\t"),
    ("shell_time", "", "sys\t"),
    ("python_warning", "", "warnings.warn("),
    ("python_warning", "", "deprecate("),
    ("caller_output", "", "ENGINE_UP "),
    ("caller_output", "", "GEN_S "),
    ("caller_output", "", "TIMES {"),
    ("caller_output", "", "FILES ["),
    ("caller_output", "", "FILE /"),
    ("caller_output", "", "START_PROFILE -> "),
    ("caller_output", "", "STOP_PROFILE -> "),
    ("caller_output", "", "Loaded input image from "),
    ("caller_output", "", "Saved edited image to "),
    ("caller_output", "", "Pipeline loaded"),
];

/// [`RULES`] by source file: class and beginning, in order. A log's every line is looked up here.
static BY_FILE: LazyLock<HashMap<&str, Vec<(&str, &str)>>> = LazyLock::new(|| {
    let mut by_file: HashMap<&str, Vec<(&str, &str)>> = HashMap::new();
    for (class, file, begin) in RULES {
        by_file.entry(file).or_default().push((class, begin));
    }
    by_file
});

/// Messages of a diffusion worker, behind `Worker 0: ` or `Worker 0 `.
const WORKER: &[(&str, &str)] = &[
    ("processes", "created result MessageQueue"),
    ("processes", "Initialized device and distributed environment"),
    ("processes", "Initialization complete"),
    ("processes", "Scheduler loop started"),
    ("shutdown", "Received shutdown message"),
    ("shutdown", "Destroyed process group"),
    ("shutdown", "Shutdown complete"),
];

/// The class of a known line.
pub(crate) fn class_of(header: &Header<'_>) -> Option<&'static str> {
    let message = header.message.trim();
    if message.is_empty() {
        return Some("blank");
    }
    if let Some(class) = worker_class(message) {
        return Some(class);
    }
    let rule = [header.source_file().unwrap_or(""), ""].into_iter().find_map(|file| {
        let rules = BY_FILE.get(file)?;
        rules.iter().find(|(_, begin)| message.starts_with(begin))
    });
    rule.map(|(class, _)| *class).or_else(|| shape_class(message))
}

fn worker_class(message: &str) -> Option<&'static str> {
    let rest = message.strip_prefix("Worker ")?;
    let words = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let words = words.trim_start_matches(':').trim_start();
    WORKER.iter().find(|(_, begin)| words.starts_with(begin)).map(|(class, _)| *class)
}

/// Lines known by their shape rather than by their beginning.
fn shape_class(message: &str) -> Option<&'static str> {
    if holds(message, " HTTP/1.1\" ") {
        return Some("http_access");
    }
    if is_profiler_table(message) {
        return Some("profiler_table");
    }
    if is_metrics_summary(message) {
        return Some("metrics_summary");
    }
    // The start-up banner is drawn with block elements.
    message.contains(['█', '▀', '▄']).then_some("banner")
}

/// What vLLM-Omni's `Omni Metrics Summary` counts in no unit. Its times end in `(ms)`, its rates in `(tok/s)`.
const SUMMARY_LABELS: [&str; 9] = [
    "Successful requests",
    "Stage id",
    "Stage name",
    "Stage type",
    "Final output type",
    "Batch id",
    "Batch size",
    "Input tokens",
    "Output tokens",
];

/// A line of the `Omni Metrics Summary`: a heading between rules, or a label with a value. The figures of a request are
/// those of its `[OmniTiming]` line.
fn is_metrics_summary(message: &str) -> bool {
    let heading = ["=====", "-----"].iter().find_map(|rule| {
        let inner = message.strip_prefix(rule)?.strip_suffix(rule)?;
        Some(inner.trim_matches(['=', '-']).trim())
    });
    if let Some(heading) = heading.filter(|heading| !heading.is_empty()) {
        let is_edge = heading.starts_with("Stage ") && heading.ends_with(" Handoff");
        return heading == "Omni Metrics Summary" || heading.ends_with(" Breakdown") || is_edge;
    }
    let Some((label, value)) = message.split_once(':') else { return false };
    let is_measure = label.ends_with(" (ms)") || label.ends_with(" (tok/s)");
    let is_number = value.trim().replace(',', "").parse::<f64>().is_ok();
    is_measure && is_number || SUMMARY_LABELS.contains(&label)
}

/// A line of the profiler's printed table: its rules, its head, or a row with shares and times.
fn is_profiler_table(message: &str) -> bool {
    let is_rule = message.starts_with("-----") && message.bytes().all(|b| b == b'-' || b == b' ');
    let is_head = message.contains("Self CPU %") && message.ends_with("# of Calls");
    is_rule || is_head || is_profiler_row(message)
}

fn is_profiler_row(message: &str) -> bool {
    let is_number = |text: &str| text.parse::<f64>().is_ok();
    let is_share = |word: &&str| word.strip_suffix('%').is_some_and(is_number);
    let is_time = |word: &&str| {
        let digits = word.strip_suffix("us").or_else(|| word.strip_suffix("ms"));
        digits.or_else(|| word.strip_suffix('s')).is_some_and(is_number)
    };
    let words = || message.split_ascii_whitespace();
    words().filter(is_share).count() >= 2 && words().filter(is_time).count() >= 3
}

/// A progress bar: `50%|#####     | 1/2 [00:02<00:02,  2.41s/it]`.
pub(crate) fn is_progress(message: &str) -> bool {
    let is_bar = holds(message, "%|") || holds(message, "% Completed |");
    is_bar && ["it/s", "s/it", "?it", "toks/s"].iter().any(|unit| message.contains(unit))
}

#[cfg(test)]
mod tests {
    use super::super::header::parse_header;
    use super::{class_of, is_progress};

    #[test]
    fn shapes_are_told() {
        let class = |line: &str| class_of(&parse_header(line));
        assert_eq!(
            class(" aten::mm   3.99%   8.050ms   6.17%  12.462ms  102.991us  121"),
            Some("profiler_table")
        );
        assert_eq!(class("-------  ------"), Some("profiler_table"));
        assert_eq!(class("INFO:     1.2.3.4:5 - \"GET /x HTTP/1.1\" 200 OK"), Some("http_access"));
        assert_eq!(
            class("INFO 12-17 09:31:17 [gpu_worker.py:190] Worker 0: Received shutdown message"),
            Some("shutdown")
        );
        assert_eq!(class("INFO 12-17 09:31:17 [gpu_worker.py:190] something new"), None);
        assert_eq!(class("- a list item in prose"), None);
        assert!(is_progress("Loading weights:   0%|          | 0/36 [00:00<?, ?it/s]"));
        assert!(!is_progress("about 50% of it"));
    }
}

//! What console lines say beside the stage statistics: diffusion, start-up, the profiler, throughput.

use super::number::{LogDuration, Quantity};
use super::record::Format;
use crate::model::named;

/// What a diffusion engine reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiffusionStep {
    /// The engine was built (`engine_load`, `init`).
    Loaded,
    /// A request begins (`request_scheduled`, `generate_begin`).
    Scheduled,
    /// A request is done (`request_finished`, `generate_end`).
    Finished,
    /// `OMNI_DIFFUSION_METRICS` of a request.
    Metrics,
    /// `Pre-processing completed in N seconds`.
    Preprocessed,
    /// `Generation completed successfully.`
    Generated,
    /// `Post-processing completed in N seconds`.
    Postprocessed,
    /// `… forward took Ns`: one call of the pipeline.
    Forward,
    /// `Total generation time: N seconds`, printed by the caller.
    CallerTotal,
}

/// A step of a diffusion engine.
#[derive(Clone, Debug, PartialEq)]
pub struct DiffusionEvent {
    /// What happened.
    pub step: DiffusionStep,
    /// How it was written.
    pub format: Format,
    /// Process id in the record.
    pub pid: Option<u32>,
    /// Unix time of the record in nanoseconds.
    pub unix_ns: Option<i64>,
    /// Time of the step: load, pre- or post-processing, forward, or the request's total.
    pub dur: Option<LogDuration>,
    /// Time in the engine (`diffusion_total_ms`).
    pub engine: Option<LogDuration>,
    /// Printed time per step: engine total over steps, so not denoising alone.
    pub denoise_avg_ms: Option<Quantity>,
    /// Denoising steps.
    pub steps: Option<i64>,
    /// Requests in the call.
    pub requests: Option<i64>,
    /// `input_tokens`: characters of the prompt, in spite of its name.
    pub prompt_chars: Option<i64>,
    /// Printed characters per second.
    pub chars_per_s: Option<Quantity>,
    /// Model, component or class.
    pub name: Option<String>,
    /// Image height and width.
    pub height_width: Option<(i64, i64)>,
}

named! {
    /// A step of starting up.
    StartupStep {
        /// The engine process begins.
        EngineInit "engine_init",
        /// A model begins to load.
        LoadStarted "load_started",
        /// Weights are read.
        WeightsLoaded "weights_loaded",
        /// The model is on its device.
        ModelLoaded "model_loaded",
        /// Warm-up or compilation begins.
        WarmupStarted "warmup_started",
        /// Warm-up is done.
        WarmupDone "warmup_done",
        /// Compilation is done.
        Compiled "compiled",
        /// Graphs are captured.
        GraphsCaptured "graphs_captured",
        /// The key-value cache is sized.
        CacheSized "cache_sized",
        /// The engine is initialized.
        EngineReady "engine_ready",
        /// A worker is ready.
        WorkerReady "worker_ready",
        /// A stage is ready.
        StageReady "stage_ready",
        /// Everything is ready for requests.
        Ready "ready",
    }
}

/// A step of starting up.
#[derive(Clone, Debug, PartialEq)]
pub struct StartupEvent {
    /// What happened.
    pub step: StartupStep,
    /// How long it took, where the line says so.
    pub dur: Option<LogDuration>,
    /// Stage, where the line names one.
    pub stage: Option<u32>,
    /// Memory that the line gives, in GiB.
    pub gib: Option<Quantity>,
    /// The line's own words.
    pub detail: String,
}

named! {
    /// A step of the profiler.
    ProfilerStep {
        /// Profiling is configured; the path is where traces will go.
        Enabled "enabled",
        /// A start was asked for.
        StartRequested "start_requested",
        /// Profiling runs.
        Started "started",
        /// The iteration limit ended it.
        LimitReached "limit_reached",
        /// A stop was asked for.
        StopRequested "stop_requested",
        /// Profiling ended.
        Stopped "stopped",
        /// A trace was written.
        TraceWritten "trace_written",
        /// The profiler is being shut down.
        ShutDown "shut_down",
        /// A request to the profiler's route; the detail has method and status.
        Http "http",
        /// The total below a printed table.
        TableTotal "table_total",
        /// A complaint of the profiler.
        Complaint "complaint",
    }
}

/// A step of the profiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfilerEvent {
    /// What happened.
    pub step: ProfilerStep,
    /// Stage, where the line names one.
    pub stage: Option<u32>,
    /// Rank, where the line names one.
    pub rank: Option<u32>,
    /// Files or directories that the line names.
    pub paths: Vec<String>,
    /// The line's own words.
    pub detail: String,
}

/// vLLM's periodic throughput line.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineThroughput {
    /// Engine index.
    pub engine: u32,
    /// Prompt tokens per second.
    pub prompt_tokens_per_s: Option<Quantity>,
    /// Generated tokens per second.
    pub generation_tokens_per_s: Option<Quantity>,
    /// Requests that run.
    pub running: Option<i64>,
    /// Requests that wait.
    pub waiting: Option<i64>,
    /// Share of the key-value cache that is in use, in percent.
    pub kv_cache_pct: Option<Quantity>,
    /// Share of prompt tokens that the prefix cache served, in percent.
    pub prefix_hit_pct: Option<Quantity>,
}

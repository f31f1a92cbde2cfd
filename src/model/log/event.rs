//! What console lines say beside the stage statistics: diffusion, start-up, the profiler, throughput.

use super::number::{LogDuration, Quantity};
use super::record::Format;

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

/// A step of starting up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StartupStep {
    /// The engine process begins.
    EngineInit,
    /// A model begins to load.
    LoadStarted,
    /// Weights are read.
    WeightsLoaded,
    /// The model is on its device.
    ModelLoaded,
    /// Warm-up or compilation begins.
    WarmupStarted,
    /// Warm-up is done.
    WarmupDone,
    /// Compilation is done.
    Compiled,
    /// Graphs are captured.
    GraphsCaptured,
    /// The key-value cache is sized.
    CacheSized,
    /// The engine is initialized.
    EngineReady,
    /// A worker is ready.
    WorkerReady,
    /// A stage is ready.
    StageReady,
    /// Everything is ready for requests.
    Ready,
}

impl StartupStep {
    /// The name in the machine output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EngineInit => "engine_init",
            Self::LoadStarted => "load_started",
            Self::WeightsLoaded => "weights_loaded",
            Self::ModelLoaded => "model_loaded",
            Self::WarmupStarted => "warmup_started",
            Self::WarmupDone => "warmup_done",
            Self::Compiled => "compiled",
            Self::GraphsCaptured => "graphs_captured",
            Self::CacheSized => "cache_sized",
            Self::EngineReady => "engine_ready",
            Self::WorkerReady => "worker_ready",
            Self::StageReady => "stage_ready",
            Self::Ready => "ready",
        }
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

/// A step of the profiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProfilerStep {
    /// Profiling is configured; the path is where traces will go.
    Enabled,
    /// A start was asked for.
    StartRequested,
    /// Profiling runs.
    Started,
    /// The iteration limit ended it.
    LimitReached,
    /// A stop was asked for.
    StopRequested,
    /// Profiling ended.
    Stopped,
    /// A trace was written.
    TraceWritten,
    /// The profiler is being shut down.
    ShutDown,
    /// A request to the profiler's route; the detail has method and status.
    Http,
    /// The total below a printed table.
    TableTotal,
    /// A complaint of the profiler.
    Complaint,
}

impl ProfilerStep {
    /// The name in the machine output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::StartRequested => "start_requested",
            Self::Started => "started",
            Self::LimitReached => "limit_reached",
            Self::StopRequested => "stop_requested",
            Self::Stopped => "stopped",
            Self::TraceWritten => "trace_written",
            Self::ShutDown => "shut_down",
            Self::Http => "http",
            Self::TableTotal => "table_total",
            Self::Complaint => "complaint",
        }
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

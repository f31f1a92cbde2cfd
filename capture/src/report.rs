//! What a worker tells the supervisor, one JSON object a line on its standard output.
//!
//! Plain data; times are in nanoseconds. Nothing is computed here.

use omni_trace_driver::gate::StopReason;
use serde::{Deserialize, Serialize};

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Report {
    /// The model is built and warm.
    Ready {
        /// `cpu` or `cuda:N`.
        device: String,
        /// Parameters of the model.
        parameters: u64,
        /// Why CUDA is not used although the plan asks for what is there.
        note: Option<String>,
    },
    /// A hand-over was written to the next stage.
    Sent(Transfer),
    /// A hand-over was read.
    Received(Transfer),
    /// A request was served.
    Served(Served),
    /// A window was closed and its trace is complete.
    Window(Box<Window>),
    /// A window was closed and no trace came of it.
    WindowLost {
        /// Which window of the stage, from 0.
        index: u32,
        /// Why.
        error: String,
    },
    /// Every window of this worker is closed.
    GateClosed,
    /// The worker ends in order.
    Done(Timing),
    /// The worker ends because of an error.
    Failed {
        /// The chain of causes.
        error: String,
    },
}

/// One direction of a hand-over between stages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    /// The sending stage; `None` is the orchestrator.
    pub from: Option<u32>,
    /// The receiving stage; `None` is the orchestrator.
    pub to: Option<u32>,
    /// The request.
    pub request: String,
    /// Bytes on the ring.
    pub bytes: u64,
    /// Sending: copying off the device, encoding and writing. Receiving: decoding.
    pub ns: u64,
    /// Receiving only: from the begin of sending to the message being complete here.
    pub in_flight_ns: u64,
}

/// A served request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Served {
    /// The request.
    pub request: String,
    /// How many this worker has served, from 1.
    pub batch_id: u64,
    /// Tokens (or codes, or samples' codes) taken in.
    pub tokens_in: u64,
    /// Tokens produced.
    pub tokens_out: u64,
    /// Computing, without waiting and hand-overs.
    pub gen_ns: u64,
    /// Begin, in nanoseconds since the Unix epoch.
    pub start_unix_ns: u64,
    /// Bytes received for it.
    pub rx_bytes: u64,
    /// Decoding them.
    pub rx_decode_ns: u64,
    /// Their time on the way.
    pub rx_in_flight_ns: u64,
    /// Denoising, of a diffusion stage.
    pub denoise_ns: u64,
}

/// A recorded window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Which window of the worker, from 0.
    pub index: u32,
    /// Why it was closed.
    pub reason: StopReason,
    /// Number of the first recorded iteration, from 0; meaningless when none was recorded.
    pub first_iteration: u64,
    /// Iterations recorded.
    pub iterations: u64,
    /// Events that libtorch kept.
    pub events: u64,
    /// File name, relative to the output directory.
    pub file: String,
    /// Size of the file.
    pub bytes: u64,
    /// Size of the JSON in it.
    pub json_bytes: u64,
    /// Checksum of the file, in hexadecimal.
    pub sha256: String,
    /// Start of recording, in nanoseconds since the Unix epoch.
    pub start_unix_ns: u64,
    /// From start to stop.
    pub window_ns: u64,
    /// Preparing the profiler.
    pub prepare_ns: u64,
    /// Starting it.
    pub start_ns: u64,
    /// Stopping it, after the device was idle.
    pub stop_ns: u64,
    /// Writing JSON and compressing it.
    pub save_ns: u64,
}

/// What iterations took, for judging the profiler's cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Iterations run in all.
    pub iterations: u64,
    /// Iterations recorded.
    pub recorded: u64,
    /// Median of unrecorded iterations before any profiler was prepared; 0 without any.
    pub unrecorded_median_ns: u64,
    /// Median of unrecorded iterations after the last window; 0 without any.
    pub after_median_ns: u64,
    /// Median of recorded iterations; 0 without any.
    pub recorded_median_ns: u64,
    /// The first recorded iteration; 0 without any.
    pub first_recorded_ns: u64,
}

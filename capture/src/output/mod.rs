//! What a capture leaves on disk: trace files, pipeline logs, statistics, the manifest.
//!
//! Every file is written under another name and renamed when it is complete.

pub mod diffusion_log;
pub mod manifest;
pub mod names;
pub mod pipeline_log;
pub mod python;
pub mod stats;
pub mod trace_file;

//! The statistics of a diffusion run as JSON lines: `engine_load`, `request_scheduled`, `request_finished`.
//!
//! Held in memory and written whole at the end, to `omni_diffusion_stats/`.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::names::diffusion_stats_name;
use super::stats::ms;
use super::trace_file::write_whole;
use crate::report::Served;

/// The directory of the statistics.
pub const STATS_DIR: &str = "omni_diffusion_stats";

/// The statistics of one worker process.
#[derive(Debug)]
pub struct DiffusionLog {
    pid: u32,
    host: String,
    image: i64,
    steps: i64,
    lines: String,
}

impl DiffusionLog {
    /// An empty log of the worker `pid`; `image` is a side in pixels.
    pub fn new(pid: u32, host: String, image: i64, steps: i64) -> Self {
        Self { pid, host, image, steps, lines: String::new() }
    }

    /// The model is loaded.
    pub fn loaded(&mut self, unix_ns: u64, init_ns: u64) {
        let fields = json!({
            "model": "random", "model_class": "OmniTraceDiffusionPipeline", "init_ms": ms(init_ns),
        });
        self.push(fields, "engine_load", unix_ns);
    }

    /// A request was served: the lines of its begin and of its end.
    pub fn served(&mut self, served: &Served, now_unix_ns: u64) {
        let tokens = served.tokens_in;
        let scheduled = json!({
            "n_requests": 1, "prompt_chars": tokens, "height": self.image, "width": self.image,
            "num_inference_steps": self.steps, "num_outputs_per_prompt": 1,
        });
        self.push(scheduled, "request_scheduled", served.start_unix_ns);
        let total_ms = ms(served.gen_ns);
        let finished = json!({
            "n_requests": 1, "total_ms": total_ms, "diffusion_total_ms": total_ms,
            "denoise_avg_ms": ms(served.denoise_ns) / self.steps as f64,
            "input_tokens": tokens,
            "input_tokens_per_s": if total_ms > 0.0 { tokens as f64 * 1000.0 / total_ms } else { 0.0 },
        });
        self.push(finished, "request_finished", now_unix_ns);
    }

    /// Writes the file; gives its path relative to `dir`.
    pub fn write(&self, dir: &Path, capture_unix_s: u64) -> io::Result<String> {
        std::fs::create_dir_all(dir.join(STATS_DIR))?;
        let name = format!("{STATS_DIR}/{}", diffusion_stats_name(capture_unix_s, self.pid));
        write_whole(&dir.join(&name), self.lines.as_bytes())?;
        Ok(name)
    }

    fn push(&mut self, mut fields: Value, event: &str, unix_ns: u64) {
        if let Some(map) = fields.as_object_mut() {
            map.insert("event".into(), event.into());
            map.insert("ts".into(), json!(unix_ns as f64 / 1e9));
            map.insert("pid".into(), self.pid.into());
            map.insert("host".into(), self.host.clone().into());
        }
        // Writing to a String cannot fail.
        writeln!(self.lines, "{fields}").ok();
    }
}

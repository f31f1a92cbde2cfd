//! Stored baselines: the units of some runs as a small file, so that no trace needs keeping.

use serde::{Deserialize, Serialize};

use super::sample::Run;

/// The version of the file; one that is not known is refused.
const VERSION: u32 = 2;

/// The member that tells a baseline from other JSON, at its start.
const MARK: &str = "{\"omni_trace_baseline\":";

/// The file.
#[derive(Debug, Serialize, Deserialize)]
struct Baseline {
    omni_trace_baseline: u32,
    runs: Vec<Run>,
}

/// Whether the first bytes of a file are those of a baseline.
pub fn is_baseline(head: &[u8]) -> bool {
    head.starts_with(MARK.as_bytes())
}

/// The text of a baseline.
///
/// # Errors
///
/// Never for what a trace gives.
pub fn written(runs: &[Run]) -> Result<String, String> {
    let baseline = Baseline { omni_trace_baseline: VERSION, runs: runs.to_vec() };
    serde_json::to_string(&baseline).map(|text| text + "\n").map_err(|error| error.to_string())
}

/// The runs of a baseline.
///
/// # Errors
///
/// What is wrong with the text.
pub fn read(text: &str) -> Result<Vec<Run>, String> {
    let baseline: Baseline = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if baseline.omni_trace_baseline != VERSION {
        return Err(format!(
            "it is of version {}, which names what time goes into otherwise: save it again from its traces",
            baseline.omni_trace_baseline
        ));
    }
    let is_sound = baseline.runs.iter().flat_map(|run| &run.inputs).all(|one| one.is_sound());
    if !is_sound {
        return Err("its accounts do not sum up: it was changed or cut".to_owned());
    }
    Ok(baseline.runs)
}

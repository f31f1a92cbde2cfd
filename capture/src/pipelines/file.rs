//! Pipeline files: stages of TorchScript, in TOML.
//!
//! ```toml
//! [[stage]]
//! name = "encoder"
//! file = "encoder.pt"            # relative to the pipeline file
//! inputs = [{ shape = [1, 16], dtype = "int64" }]
//! [[stage]]
//! name = "decoder"
//! file = "decoder.pt"
//! from = ["encoder"]             # its outputs are this stage's inputs
//! ranks = 2
//! iterations = 8                 # forward passes for a request
//! device = "cpu"
//! ```

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::CaptureError;
use crate::model::kind_named;
use crate::plan::{DeviceKind, ModelSpec, ScriptInput, StagePlan};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineFile {
    #[serde(rename = "stage")]
    stages: Vec<StageEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StageEntry {
    name: String,
    file: PathBuf,
    #[serde(default)]
    inputs: Vec<ScriptInput>,
    #[serde(default)]
    from: Vec<String>,
    #[serde(default = "one")]
    ranks: u32,
    #[serde(default = "one")]
    iterations: u32,
    #[serde(default)]
    device: Option<DeviceKind>,
}

fn one() -> u32 {
    1
}

/// Reads and checks a pipeline file. A stage without `device` runs on `device`.
pub(super) fn load(path: &Path, device: DeviceKind) -> Result<Vec<StagePlan>, CaptureError> {
    let failed = |source| CaptureError::File { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let parsed: PipelineFile = toml::from_str(&text)
        .map_err(|error| CaptureError::Plan(format!("{}: {error}", path.display())))?;
    let base = std::path::absolute(path).map_err(failed)?;
    let base = base.parent().unwrap_or(Path::new("/"));
    let mut stages: Vec<StagePlan> = Vec::new();
    for entry in parsed.stages {
        let stage = resolve(entry, base, device, &stages)
            .map_err(|text| CaptureError::Plan(format!("{}: {text}", path.display())))?;
        stages.push(stage);
    }
    match stages.is_empty() {
        true => Err(CaptureError::Plan(format!("{}: no [[stage]]", path.display()))),
        false => Ok(stages),
    }
}

fn resolve(
    entry: StageEntry,
    base: &Path,
    device: DeviceKind,
    earlier: &[StagePlan],
) -> Result<StagePlan, String> {
    let name = entry.name;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        return Err(format!("stage name '{name}': letters, digits, '-' and '_' only"));
    }
    if earlier.iter().any(|stage| stage.name == name) {
        return Err(format!("two stages are named '{name}'"));
    }
    let file = base.join(entry.file);
    if !file.is_file() {
        return Err(format!("stage '{name}': no file {}", file.display()));
    }
    let from = entry
        .from
        .iter()
        .map(|feeder| {
            let found = earlier.iter().find(|stage| stage.name == *feeder).map(|stage| stage.id);
            found.ok_or_else(|| format!("stage '{name}': no earlier stage is named '{feeder}'"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut inputs = entry.inputs;
    for input in &mut inputs {
        input.file = input.file.take().map(|file| base.join(file));
        if kind_named(&input.dtype).is_none() {
            return Err(format!("stage '{name}': unknown dtype '{}'", input.dtype));
        }
    }
    if from.is_empty() == inputs.is_empty() {
        return Err(format!("stage '{name}': give either 'from' or 'inputs'"));
    }
    Ok(StagePlan {
        id: earlier.len() as u32,
        name,
        kind: "script".to_owned(),
        ranks: entry.ranks,
        device: entry.device.unwrap_or(device),
        model: ModelSpec::Script { file, inputs, iterations: entry.iterations },
        gate: None,
        from,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_text(text: &str) -> Result<Vec<StagePlan>, String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.pt"), "").unwrap();
        let path = dir.path().join("p.toml");
        std::fs::write(&path, text).unwrap();
        load(&path, DeviceKind::Cpu).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_stages_and_who_feeds_whom() {
        let stages = load_text(
            "[[stage]]\nname='a'\nfile='a.pt'\ninputs=[{shape=[1,4],dtype='int64'}]\n\
             [[stage]]\nname='b'\nfile='a.pt'\nfrom=['a']\nranks=2\niterations=3\n",
        )
        .unwrap();
        assert_eq!(stages.len(), 2);
        assert_eq!((stages[1].from.as_slice(), stages[1].ranks), (&[0][..], 2));
    }

    #[test]
    fn says_what_is_wrong() {
        let with = |rest: &str| {
            load_text(&format!("[[stage]]\nname='a'\nfile='a.pt'\n{rest}")).unwrap_err()
        };
        assert!(with("").contains("either 'from' or 'inputs'"));
        assert!(with("from=['x']").contains("no earlier stage is named 'x'"));
        assert!(with("inputs=[{shape=[1],dtype='f99'}]").contains("unknown dtype 'f99'"));
        assert!(load_text("[[stage]]\nname='a b'\nfile='a.pt'").unwrap_err().contains("letters"));
        assert!(load_text("[[stage]]\nname='a'\nfile='b.pt'").unwrap_err().contains("no file"));
        assert!(load_text("stage=[]").unwrap_err().contains("no [[stage]]"));
        assert!(load_text("nonsense=1").is_err());
    }
}

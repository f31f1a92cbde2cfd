//! A pipeline of the user's own: TorchScript stages from a file, who feeds whom, saved tensors.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::Command;

use flate2::read::GzDecoder;
use serde_json::Value;
use tch::{CModule, Device, Kind, Tensor};

/// Traces a function to a TorchScript file.
fn script(path: &Path, example: &Tensor, mut body: impl FnMut(&Tensor) -> Tensor) {
    let mut traced = |inputs: &[Tensor]| vec![body(&inputs[0])];
    CModule::create_by_tracing("Stage", "forward", &[example.shallow_clone()], &mut traced)
        .unwrap()
        .save(path)
        .unwrap();
}

const PIPELINE: &str = r#"
[[stage]]
name = "encoder"
file = "encoder.pt"
inputs = [{ file = "input.pt" }]

[[stage]]
name = "mixer"
file = "mixer.pt"
from = ["encoder"]
ranks = 2
iterations = 3

[[stage]]
name = "lone"
file = "mixer.pt"
inputs = [{ shape = [4, 8] }]
"#;

#[test]
fn a_pipeline_file_runs_its_stages_and_records_the_one_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let example = Tensor::ones([4, 8], (Kind::Float, Device::Cpu));
    script(&dir.path().join("encoder.pt"), &example, |x| x.matmul(&x.transpose(0, 1)).relu());
    script(&dir.path().join("mixer.pt"), &example, |x| {
        (x * 2.0).softmax(-1, Kind::Float).sum(Kind::Float)
    });
    example.save(dir.path().join("input.pt")).unwrap();
    let file = dir.path().join("mine.toml");
    std::fs::write(&file, PIPELINE).unwrap();
    let out = dir.path().join("out");
    let output = Command::new(env!("CARGO_BIN_EXE_omni-trace-capture"))
        .args([
            "--device",
            "cpu",
            "--stages",
            "1,2",
            "--delay-iters",
            "1",
            "--max-iters",
            "1:4,2:2",
            "--pipeline",
        ])
        .arg(&file)
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let manifest = std::fs::read_to_string(out.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["pipeline"], "mine");
    let mut steps = Vec::new();
    for stage in manifest["stages"].as_array().unwrap() {
        for worker in stage["workers"].as_array().unwrap() {
            for window in worker["windows"].as_array().unwrap() {
                let path = out.join(window["file"].as_str().unwrap());
                let trace: Value =
                    serde_json::from_reader(GzDecoder::new(std::fs::File::open(path).unwrap()))
                        .unwrap();
                let events = trace["traceEvents"].as_array().unwrap();
                let has = |e: &&Value, prefix: &str| {
                    e["cat"] == "user_annotation" && e["name"].as_str().unwrap().starts_with(prefix)
                };
                let n = events.iter().filter(|e| has(e, "ProfilerStep#")).count();
                steps.push((stage["name"].as_str().unwrap(), n));
                assert!(events.iter().any(|e| e["name"] == "aten::softmax"));
            }
        }
    }
    assert_eq!(steps, [("mixer", 4), ("mixer", 4), ("lone", 2)]);
}

#[test]
fn a_script_that_fails_is_reported_with_its_own_words() {
    let dir = tempfile::tempdir().unwrap();
    let example = Tensor::ones([4, 8], (Kind::Float, Device::Cpu));
    script(&dir.path().join("a.pt"), &example, |x| {
        x.matmul(&Tensor::ones([8, 2], (Kind::Float, Device::Cpu)))
    });
    let file = dir.path().join("p.toml");
    let text = "[[stage]]\nname='a'\nfile='a.pt'\ninputs=[{shape=[3,3]}]\n";
    std::fs::write(&file, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_omni-trace-capture"))
        .args(["--device", "cpu", "--max-iters", "1", "--pipeline"])
        .arg(&file)
        .arg("--out")
        .arg(dir.path().join("out"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("stage 0 (a) rank 0 failed"), "{said}");
    assert!(dir.path().join("out/manifest.json").exists());
}

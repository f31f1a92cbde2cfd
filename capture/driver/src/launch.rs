//! Prepares a program so that vLLM in it profiles: environment variables for old versions, `--profiler-config` for new.
//!
//! Decides and rewrites; starts nothing but a question for vLLM's version. Both ways are used together where that is
//! harmless: new versions ignore the variables.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

use crate::server::major_minor;

/// The first version that takes `--profiler-config`.
const CONFIG_BY_FLAG: (u32, u32) = (0, 13);
/// Scripts longer than this are not searched for the flag.
const MAX_SCRIPT_BYTES: u64 = 4 << 20;

/// What to configure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where traces go; absolute.
    pub trace_dir: String,
    /// Iterations to record.
    pub max_iters: Option<u64>,
    /// Iterations to skip.
    pub delay_iters: Option<u64>,
    /// Further fields of vLLM's configuration, as JSON.
    pub extra: Map<String, Value>,
}

/// Whether `--profiler-config` is added to the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Inject {
    /// When the version takes it and the command is vLLM's own or a script that knows it.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A program ready to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// Program and arguments.
    pub line: Vec<String>,
    /// Variables to add.
    pub env: Vec<(String, String)>,
    /// What was decided, for people.
    pub notes: Vec<String>,
}

/// The environment of vLLM up to 0.12 for these settings.
pub fn environment(settings: &Settings) -> Vec<(String, String)> {
    let mut env = vec![("VLLM_TORCH_PROFILER_DIR".to_owned(), settings.trace_dir.clone())];
    if let Some(max) = settings.max_iters {
        env.push(("VLLM_PROFILER_MAX_ITERS".to_owned(), max.to_string()));
    }
    if let Some(delay) = settings.delay_iters.filter(|delay| *delay > 0) {
        env.push(("VLLM_PROFILER_DELAY_ITERS".to_owned(), (delay + 1).to_string()));
    }
    let switches = [
        ("torch_profiler_record_shapes", "VLLM_TORCH_PROFILER_RECORD_SHAPES"),
        ("torch_profiler_with_memory", "VLLM_TORCH_PROFILER_WITH_PROFILE_MEMORY"),
        ("torch_profiler_with_stack", "VLLM_TORCH_PROFILER_WITH_STACK"),
        ("torch_profiler_with_flops", "VLLM_TORCH_PROFILER_WITH_FLOPS"),
        ("torch_profiler_use_gzip", "VLLM_TORCH_PROFILER_USE_GZIP"),
    ];
    for (field, variable) in switches {
        if let Some(on) = settings.extra.get(field).and_then(Value::as_bool) {
            env.push((variable.to_owned(), u8::from(on).to_string()));
        }
    }
    env
}

/// The value of `--profiler-config` for these settings.
pub fn config_json(settings: &Settings) -> String {
    let mut config = Map::new();
    config.insert("profiler".into(), "torch".into());
    config.insert("torch_profiler_dir".into(), settings.trace_dir.clone().into());
    if let Some(max) = settings.max_iters {
        config.insert("max_iterations".into(), json!(max));
    }
    if let Some(delay) = settings.delay_iters.filter(|delay| *delay > 0) {
        // vLLM counts the iteration that starts the profiler as one of the delay.
        config.insert("delay_iterations".into(), json!(delay + 1));
    }
    config.extend(settings.extra.clone());
    Value::Object(config).to_string()
}

/// The command with everything that its version of vLLM needs. `version` is asked for when it matters.
pub fn prepare(
    line: &[String],
    settings: &Settings,
    inject: Inject,
    version: impl FnOnce() -> Option<String>,
) -> Prepared {
    let mut prepared =
        Prepared { line: line.to_vec(), env: environment(settings), notes: Vec::new() };
    let given = line.iter().any(|arg| arg.starts_with("--profiler-config"));
    if given {
        prepared
            .notes
            .push("the command has its own --profiler-config; it is left as it is".into());
        return prepared;
    }
    let wanted = match inject {
        Inject::Never => false,
        Inject::Always => true,
        Inject::Auto => {
            takes_flag(line) && {
                let version = version();
                let new =
                    version.as_deref().and_then(major_minor).is_none_or(|v| v >= CONFIG_BY_FLAG);
                let found = version.unwrap_or_else(|| "of unknown version".to_owned());
                prepared.notes.push(match new {
                    true => format!("vLLM {found}: configured by --profiler-config"),
                    false => format!("vLLM {found}: configured by environment variables"),
                });
                new
            }
        }
    };
    if wanted {
        prepared.line.extend(["--profiler-config".to_owned(), config_json(settings)]);
    } else if inject == Inject::Auto && prepared.notes.is_empty() {
        prepared.notes.push(
            "the program does not seem to take --profiler-config: only environment variables are set, which vLLM 0.13 and later ignore (--inject always adds the flag)".into(),
        );
    }
    prepared
}

/// Whether the command is vLLM's own, or a script in which the flag's name occurs.
fn takes_flag(line: &[String]) -> bool {
    let program = line.first().map(Path::new).and_then(Path::file_name);
    if program.is_some_and(|name| name == "vllm") {
        return true;
    }
    let module = line.windows(2).any(|pair| pair[0] == "-m" && pair[1].starts_with("vllm"));
    module
        || line.iter().skip(1).find(|arg| arg.ends_with(".py")).is_some_and(|script| {
            let small =
                std::fs::metadata(script).is_ok_and(|about| about.len() <= MAX_SCRIPT_BYTES);
            let text = if small {
                std::fs::read_to_string(script).unwrap_or_default()
            } else {
                String::new()
            };
            // A script that passes unknown flags on to vLLM's own parser takes it as well.
            [
                "profiler-config",
                "profiler_config",
                "EngineArgs.add_cli_args",
                "FlexibleArgumentParser",
            ]
            .iter()
            .any(|mark| text.contains(mark))
        })
}

/// vLLM's version as the command's own Python sees it.
pub fn installed_version(line: &[String]) -> Option<String> {
    let python = interpreter(line.first()?)?;
    let question = "import importlib.metadata as m; print(m.version('vllm'))";
    let output = Command::new(python)
        .args(["-c", question])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// The Python that runs a program: itself, or the one named in its first line.
fn interpreter(program: &str) -> Option<String> {
    let name = Path::new(program).file_name()?.to_string_lossy().into_owned();
    if name.starts_with("python") {
        return Some(program.to_owned());
    }
    let path = crate::locate::on_path(program)?;
    let text = std::fs::read(path).ok()?;
    let first = text.split(|byte| *byte == b'\n').next()?;
    let first = String::from_utf8_lossy(first.get(..first.len().min(512))?).into_owned();
    let python = first.strip_prefix("#!")?.split_whitespace().next()?.to_owned();
    python.contains("python").then_some(python)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            trace_dir: "/tmp/t".into(),
            max_iters: Some(2),
            delay_iters: Some(3),
            extra: Map::from_iter([("torch_profiler_with_stack".to_owned(), json!(false))]),
        }
    }

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn old_versions_get_variables_and_new_ones_the_flag() {
        let line = words("vllm bench latency");
        let old = prepare(&line, &settings(), Inject::Auto, || Some("0.12.0".into()));
        assert_eq!(old.line, line);
        let expected = [
            ("VLLM_TORCH_PROFILER_DIR", "/tmp/t"),
            ("VLLM_PROFILER_MAX_ITERS", "2"),
            ("VLLM_PROFILER_DELAY_ITERS", "4"),
            ("VLLM_TORCH_PROFILER_WITH_STACK", "0"),
        ];
        let env: Vec<(&str, &str)> =
            old.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(env, expected);
        let new = prepare(&line, &settings(), Inject::Auto, || Some("0.30.0".into()));
        assert_eq!(new.line.len(), line.len() + 2);
        assert_eq!(
            new.line.last().unwrap(),
            r#"{"profiler":"torch","torch_profiler_dir":"/tmp/t","max_iterations":2,"delay_iterations":4,"torch_profiler_with_stack":false}"#
        );
    }

    #[test]
    fn a_foreign_script_is_not_given_an_unknown_flag() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("a.py");
        std::fs::write(&script, "print('hello')").unwrap();
        let line = vec!["python".to_owned(), script.display().to_string()];
        let asked = || -> Option<String> { panic!("no reason to ask") };
        let prepared = prepare(&line, &settings(), Inject::Auto, asked);
        assert_eq!(prepared.line, line);
        assert!(prepared.notes[0].contains("--inject always"));
        std::fs::write(&script, "parser.add_argument('--profiler-config')").unwrap();
        let prepared = prepare(&line, &settings(), Inject::Auto, || Some("0.33.0".into()));
        assert_eq!(prepared.line.len(), 4);
        let own = words("vllm serve m --profiler-config={}");
        assert_eq!(prepare(&own, &settings(), Inject::Always, || None).line, own);
    }
}

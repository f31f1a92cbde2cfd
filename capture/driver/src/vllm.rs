//! vLLM's profiler settings, old (environment variables) and new (`--profiler-config JSON`), with vLLM's meaning.
//!
//! Reads settings and translates them into a gate; where our gate differs from vLLM's, a note says how.
//! It must not read the environment itself: the caller passes the variables.

use serde::Deserialize;

use crate::gate::GateSettings;

/// What may go wrong with settings given in vLLM's spelling.
#[derive(Debug, thiserror::Error)]
pub enum VllmSettingsError {
    /// The JSON cannot be read.
    #[error("cannot read the profiler configuration: {0}")]
    Json(#[from] serde_json::Error),
    /// An environment variable is not a number.
    #[error("{name}={value}: expected a whole number")]
    Number {
        /// The variable.
        name: &'static str,
        /// What it holds.
        value: String,
    },
    /// `active_iterations` must be at least one, as in vLLM.
    #[error("active_iterations must be at least 1")]
    NoActiveIterations,
}

/// The fields of vLLM's `ProfilerConfig` that bear on what is recorded. Unknown fields are ignored, as vLLM's
/// HTTP route does.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct VllmSettings {
    /// `torch`, `cuda`, `proton` or absent.
    pub profiler: Option<String>,
    /// Where traces go.
    pub torch_profiler_dir: Option<String>,
    /// Python stacks; gives nothing here, where no Python runs.
    pub torch_profiler_with_stack: bool,
    /// Estimated floating point operations per op.
    pub torch_profiler_with_flops: bool,
    /// Compress traces.
    pub torch_profiler_use_gzip: bool,
    /// Write the table of times.
    pub torch_profiler_dump_cuda_time_total: bool,
    /// Shapes of op inputs.
    pub torch_profiler_record_shapes: bool,
    /// Allocations and frees.
    pub torch_profiler_with_memory: bool,
    /// No trace of the front-end process.
    pub ignore_frontend: bool,
    /// Iterations before the start; D skips D-1, since the step that starts counts as one.
    pub delay_iterations: u64,
    /// Iterations recorded; 0 for no limit.
    pub max_iterations: u64,
    /// Warm-up steps of torch's schedule.
    pub warmup_iterations: u64,
    /// Active steps of torch's schedule, used when warm-up or wait is set.
    pub active_iterations: u64,
    /// Waiting steps of torch's schedule.
    pub wait_iterations: u64,
}

impl Default for VllmSettings {
    fn default() -> Self {
        Self {
            profiler: None,
            torch_profiler_dir: None,
            torch_profiler_with_stack: true,
            torch_profiler_with_flops: false,
            torch_profiler_use_gzip: true,
            torch_profiler_dump_cuda_time_total: true,
            torch_profiler_record_shapes: false,
            torch_profiler_with_memory: false,
            ignore_frontend: false,
            delay_iterations: 0,
            max_iterations: 0,
            warmup_iterations: 0,
            active_iterations: 5,
            wait_iterations: 0,
        }
    }
}

impl VllmSettings {
    /// Reads the value of `--profiler-config`.
    pub fn from_json(json: &str) -> Result<Self, VllmSettingsError> {
        let settings: Self = serde_json::from_str(json)?;
        match settings.active_iterations {
            0 => Err(VllmSettingsError::NoActiveIterations),
            _ => Ok(settings),
        }
    }

    /// Reads the environment variables of vLLM up to 0.12; `None` when none of them is set.
    pub fn from_env(
        var: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, VllmSettingsError> {
        let mut settings = Self::default();
        let mut any = false;
        // vLLM's rule: anything but "0" is true, "false" included.
        let mut flag = |name: &str, field: &mut bool| {
            if let Some(value) = var(name) {
                *field = value != "0";
                any = true;
            }
        };
        flag("VLLM_TORCH_PROFILER_RECORD_SHAPES", &mut settings.torch_profiler_record_shapes);
        flag("VLLM_TORCH_PROFILER_WITH_PROFILE_MEMORY", &mut settings.torch_profiler_with_memory);
        flag("VLLM_TORCH_PROFILER_WITH_STACK", &mut settings.torch_profiler_with_stack);
        flag("VLLM_TORCH_PROFILER_WITH_FLOPS", &mut settings.torch_profiler_with_flops);
        flag("VLLM_TORCH_PROFILER_USE_GZIP", &mut settings.torch_profiler_use_gzip);
        flag(
            "VLLM_TORCH_PROFILER_DUMP_CUDA_TIME_TOTAL",
            &mut settings.torch_profiler_dump_cuda_time_total,
        );
        flag("VLLM_TORCH_PROFILER_DISABLE_ASYNC_LLM", &mut settings.ignore_frontend);
        let number = |name: &'static str| match var(name) {
            None => Ok(None),
            Some(value) => value
                .trim()
                .parse::<u64>()
                .map(Some)
                .map_err(|_| VllmSettingsError::Number { name, value }),
        };
        let delay = number("VLLM_PROFILER_DELAY_ITERS")?;
        let max = number("VLLM_PROFILER_MAX_ITERS")?;
        any |= delay.is_some() || max.is_some();
        settings.delay_iterations = delay.unwrap_or(0);
        settings.max_iterations = max.unwrap_or(0);
        if let Some(dir) = var("VLLM_TORCH_PROFILER_DIR") {
            settings.profiler = Some("torch".to_owned());
            settings.torch_profiler_dir = Some(dir);
            any = true;
        }
        Ok(any.then_some(settings))
    }

    /// The gate that records the same iterations as vLLM does, and what differs.
    pub fn to_gate(&self) -> (GateSettings, Vec<String>) {
        let mut notes = Vec::new();
        // The step that starts the profiler is recorded and counts as one of the delay.
        let delay = self.delay_iterations.saturating_sub(1);
        if delay > 0 {
            notes.push(format!(
                "delay_iterations={} skips {delay} iterations, as in vLLM: the step that starts is counted",
                self.delay_iterations
            ));
        }
        let scheduled = self.warmup_iterations > 0 || self.wait_iterations > 0;
        // torch's schedule consumes its step 0 at the start, so one non-active step is gone.
        let warmup = match scheduled {
            true => (self.wait_iterations + self.warmup_iterations).saturating_sub(1),
            false => 0,
        };
        let limits = [
            (self.max_iterations > 0).then_some(self.max_iterations),
            scheduled.then_some(self.active_iterations),
        ];
        let max_iters = limits.into_iter().flatten().min();
        if let Some(max) = max_iters {
            notes.push(format!(
                "stops right after iteration {max} has finished; vLLM stops when the next one arrives and records the wait for it"
            ));
        }
        if self.torch_profiler_with_stack {
            notes.push(
                "with_stack gives no Python frames: no Python runs in these pipelines".into(),
            );
        }
        if self.profiler.as_deref().is_some_and(|p| p != "torch") {
            notes.push("only the torch profiler is available here; 'profiler' is ignored".into());
        }
        if !self.torch_profiler_use_gzip {
            notes.push("traces are always compressed; use_gzip=false is ignored".into());
        }
        let gate = GateSettings {
            delay_iters: delay,
            warmup_iters: warmup,
            max_iters,
            ..GateSettings::default()
        };
        (gate, notes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env<'a>(pairs: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| pairs.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).to_owned())
    }

    #[test]
    fn environment_has_vllms_meaning() {
        assert_eq!(VllmSettings::from_env(env(&[])).unwrap(), None);
        let settings = VllmSettings::from_env(env(&[
            ("VLLM_TORCH_PROFILER_DIR", "/tmp/p"),
            ("VLLM_TORCH_PROFILER_RECORD_SHAPES", "false"),
            ("VLLM_TORCH_PROFILER_WITH_STACK", "0"),
            ("VLLM_PROFILER_DELAY_ITERS", "3"),
            ("VLLM_PROFILER_MAX_ITERS", "2"),
        ]))
        .unwrap()
        .unwrap();
        assert!(settings.torch_profiler_record_shapes, "anything but 0 is true");
        assert!(!settings.torch_profiler_with_stack);
        let (gate, notes) = settings.to_gate();
        assert_eq!((gate.delay_iters, gate.warmup_iters, gate.max_iters), (2, 0, Some(2)));
        assert_eq!(notes.len(), 2, "{notes:?}");
        let bad = VllmSettings::from_env(env(&[("VLLM_PROFILER_MAX_ITERS", "two")]));
        assert_eq!(
            bad.unwrap_err().to_string(),
            "VLLM_PROFILER_MAX_ITERS=two: expected a whole number"
        );
    }

    #[test]
    fn json_with_a_schedule_keeps_torchs_count() {
        let text = r#"{"profiler":"torch","torch_profiler_dir":"x","torch_profiler_with_stack":false,
            "wait_iterations":2,"warmup_iterations":1,"active_iterations":3,"max_iterations":9,"future_field":1}"#;
        let (gate, notes) = VllmSettings::from_json(text).unwrap().to_gate();
        assert_eq!((gate.delay_iters, gate.warmup_iters, gate.max_iters), (0, 2, Some(3)));
        assert_eq!(notes.len(), 1);
    }

    #[test]
    fn without_a_schedule_active_iterations_do_not_limit() {
        let (gate, _) = VllmSettings::from_json(r#"{"profiler":"torch"}"#).unwrap().to_gate();
        assert_eq!(gate.max_iters, None);
        assert!(VllmSettings::from_json(r#"{"active_iterations":0}"#).is_err());
        assert!(VllmSettings::from_json("{").is_err());
    }
}

//! A user's own stage: a TorchScript file, run as it is.

use std::path::Path;

use tch::{CModule, Device, IValue, Kind, Tensor};

use super::{Output, Place, StageModel, Steps};
use crate::error::CaptureError;
use crate::plan::ScriptInput;

/// Names of kinds in a pipeline file.
pub const SCRIPT_DTYPES: [(&str, Kind); 8] = [
    ("float32", Kind::Float),
    ("float64", Kind::Double),
    ("float16", Kind::Half),
    ("bfloat16", Kind::BFloat16),
    ("int64", Kind::Int64),
    ("int32", Kind::Int),
    ("uint8", Kind::Uint8),
    ("bool", Kind::Bool),
];

/// Random integers stay below this: they may be token ids.
const RANDOM_BELOW: i64 = 100;

/// The kind of a name in a pipeline file.
pub fn kind_named(name: &str) -> Option<Kind> {
    SCRIPT_DTYPES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
}

#[derive(Debug)]
pub(super) struct Script {
    place: Place,
    module: CModule,
    inputs: Vec<ScriptInput>,
    iterations: u32,
    served: u64,
    parameters: u64,
}

impl Script {
    pub(super) fn load(
        file: &Path,
        inputs: &[ScriptInput],
        iterations: u32,
        place: Place,
    ) -> Result<Self, CaptureError> {
        let mut module = CModule::load_on_device(file, place.device)?;
        module.set_eval();
        let parameters =
            module.named_parameters()?.iter().map(|(_, weight)| weight.numel() as u64).sum();
        Ok(Self { place, module, inputs: inputs.to_vec(), iterations, served: 0, parameters })
    }

    fn input(spec: &ScriptInput) -> Result<Tensor, CaptureError> {
        if let Some(file) = &spec.file {
            return Ok(Tensor::load(file)?);
        }
        let kind = kind_named(&spec.dtype)
            .ok_or_else(|| CaptureError::Plan(format!("unknown dtype '{}'", spec.dtype)))?;
        Ok(match kind {
            Kind::Bool => Tensor::randint(2, &spec.shape, (Kind::Int64, Device::Cpu)).to_kind(kind),
            Kind::Int64 | Kind::Int | Kind::Uint8 => {
                Tensor::randint(RANDOM_BELOW, &spec.shape, (Kind::Int64, Device::Cpu)).to_kind(kind)
            }
            _ => Tensor::randn(&spec.shape, (Kind::Float, Device::Cpu)).to_kind(kind),
        })
    }

    fn forward(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, CaptureError> {
        let inputs: Vec<IValue> =
            inputs.iter().map(|tensor| IValue::Tensor(tensor.shallow_clone())).collect();
        tensors_of(self.module.forward_is(&inputs)?)
    }
}

fn tensors_of(value: IValue) -> Result<Vec<Tensor>, CaptureError> {
    match value {
        IValue::Tensor(tensor) => Ok(vec![tensor]),
        IValue::TensorList(tensors) => Ok(tensors),
        IValue::Tuple(values) | IValue::GenericList(values) => {
            let parts = values.into_iter().map(tensors_of).collect::<Result<Vec<_>, _>>()?;
            Ok(parts.into_iter().flatten().collect())
        }
        other => Err(CaptureError::Stage(format!(
            "forward returned {other:?}; a stage has to return tensors"
        ))),
    }
}

impl StageModel for Script {
    fn parameters(&self) -> u64 {
        self.parameters
    }

    fn serve(
        &mut self,
        handed: Vec<Tensor>,
        steps: &mut Steps<'_>,
    ) -> Result<Output, CaptureError> {
        let host = match handed.is_empty() {
            true => self.inputs.iter().map(Self::input).collect::<Result<Vec<_>, _>>()?,
            false => handed,
        };
        let mut outputs = Vec::new();
        for _ in 0..self.iterations.max(1) {
            outputs = steps.run(&format!("ProfilerStep#{}", self.served), |ctx| {
                let span = ctx.span("preprocess");
                let inputs: Vec<Tensor> =
                    host.iter().map(|t| self.place.take_pinned(t)).collect::<Result<_, _>>()?;
                drop(span);
                let _span = ctx.span("forward");
                let outputs = self.forward(&inputs)?;
                // An iteration ends when the device has finished it.
                self.place.wait()?;
                Ok(outputs)
            })?;
            self.served += 1;
        }
        Ok(Output { tensors: outputs, tokens_in: 0, tokens_out: 0, denoise_ns: 0 })
    }
}

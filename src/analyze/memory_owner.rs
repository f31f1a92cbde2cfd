//! Who allocated: operator, module, place in the source, and what for, as far as names tell.
//!
//! What memory is for is told by the functions that are open around the allocation, whatever their depth: those that load
//! models and make parameters, that make the cache of keys and values, optimizers, the backward pass, a module's `forward`.

use std::collections::BTreeMap;

use crate::model::MODULE_FRAME;
use crate::schema::words;
use crate::store::{CallFrame, Snapshot};

words! {
    /// What memory is for, by the functions around its allocation. The first that holds counts.
    Purpose {
        /// A function that allocates the cache of keys and values.
        KvCache "kv_cache",
        /// A function that makes or loads parameters, or moves a module.
        Weights "weights",
        /// A step of an optimizer.
        Optimizer "optimizer",
        /// The backward pass.
        Backward "backward",
        /// The forward pass of a module.
        Forward "forward",
        /// None of these, or no name is known.
        Unknown "unknown",
    }
}

/// Functions that make or load parameters: of vLLM, SGLang, transformers, diffusers, and of torch's own modules.
const WEIGHTS: [&str; 10] = [
    "_load_weights",
    "create_weights",
    "from_pretrained",
    "initialize_model",
    "load_model",
    "load_state_dict",
    "load_weights",
    "process_weights_after_loading",
    "reset_parameters",
    "weight_loader",
];

/// How names of functions go on that make something: the cache of keys and values.
const MAKES: [&str; 6] = ["alloc", "create", "init", "make", "reserve", "setup"];

/// Words for the cache of keys and values in names of functions.
const KV_CACHE: [&str; 4] = ["kv_cache", "kvcache", "kv_buffer", "kv_pool"];

impl Purpose {
    /// What a function is for, by its name and its file.
    pub(super) fn of_function(name: &str, file: &str) -> Option<Self> {
        let plain = name.rsplit('.').next().unwrap_or(name);
        let lower = plain.to_ascii_lowercase();
        let makes = MAKES.iter().any(|word| lower.contains(word));
        let of_modules = file.contains("torch/nn/modules/");
        let in_parameters = of_modules && ["__init__", "_apply"].contains(&plain);
        if makes && KV_CACHE.iter().any(|word| lower.contains(word)) {
            Some(Self::KvCache)
        } else if in_parameters || WEIGHTS.contains(&plain) {
            Some(Self::Weights)
        } else if plain == "step" && file.contains("torch/optim/") {
            Some(Self::Optimizer)
        } else if is_backward(name, file) {
            Some(Self::Backward)
        } else if plain == "forward" || plain == "_call_impl" {
            Some(Self::Forward)
        } else {
            None
        }
    }

    /// What a span of a trace is for, by its name: an operator, or a frame as `file.py(12): function`.
    pub(super) fn of_span(name: &str) -> Option<Self> {
        if name.starts_with("autograd::engine::evaluate_function") {
            return Some(Self::Backward);
        }
        if name.starts_with("Optimizer.step#") {
            return Some(Self::Optimizer);
        }
        if name.starts_with(MODULE_FRAME) {
            return Some(Self::Forward);
        }
        let (place, function) = name.split_once("): ")?;
        let (file, _) = place.rsplit_once('(')?;
        Self::of_function(function, file)
    }
}

/// Whether a function is the backward pass: of torch's engine in C++, or the call of it.
fn is_backward(name: &str, file: &str) -> bool {
    name.starts_with("torch::autograd::Engine::evaluate_function")
        || name == "backward" && file.contains("torch/")
}

/// Who allocated.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Owner {
    pub(super) purpose: Purpose,
    /// The innermost operator.
    pub(super) operator: Option<String>,
    /// The innermost `nn.Module` frame.
    pub(super) module: Option<String>,
    /// The innermost frame outside of torch.
    pub(super) frame: Option<String>,
}

impl Default for Owner {
    fn default() -> Self {
        Self { purpose: Purpose::Unknown, operator: None, module: None, frame: None }
    }
}

impl Owner {
    /// Who a stack of a snapshot is.
    fn of_stack(snapshot: &Snapshot, stack: u32) -> Self {
        let frames = || snapshot.frames_of(stack);
        let purposes = frames().filter_map(|one| Purpose::of_function(&one.name, &one.file));
        let in_python = || frames().filter(|one| is_python(one));
        let own = in_python().find(|one| !is_of_torch(&one.file));
        Self {
            purpose: purposes.min().unwrap_or(Purpose::Unknown),
            operator: frames().find_map(|one| operator(&one.name)),
            module: None,
            frame: own.or_else(|| in_python().next()).map(place),
        }
    }
}

/// Owners, each once, by number. Number 0 is nobody that is known.
#[derive(Debug, Default)]
pub(super) struct Owners {
    numbers: BTreeMap<Owner, u32>,
    all: Vec<Owner>,
}

/// Nobody that is known.
pub(super) const NOBODY: u32 = 0;

impl Owners {
    pub(super) fn new() -> Self {
        let mut owners = Self::default();
        owners.number(Owner::default());
        owners
    }

    /// The number of an owner.
    pub(super) fn number(&mut self, owner: Owner) -> u32 {
        if let Some(&known) = self.numbers.get(&owner) {
            return known;
        }
        let number = self.all.len() as u32;
        self.all.push(owner.clone());
        self.numbers.insert(owner, number);
        number
    }

    /// The owner of a number.
    pub(super) fn get(&self, number: u32) -> &Owner {
        &self.all[number as usize]
    }

    /// The numbers of the stacks of a snapshot.
    pub(super) fn of_stacks(&mut self, snapshot: &Snapshot) -> Vec<u32> {
        let stacks = 0..snapshot.stacks.len() as u32;
        stacks.map(|stack| self.number(Owner::of_stack(snapshot, stack))).collect()
    }
}

/// Whether a frame is of Python: C++ has no lines.
fn is_python(frame: &CallFrame) -> bool {
    frame.line > 0 && !frame.name.contains("::")
}

/// Whether a file is one of torch's own, or of Python's.
fn is_of_torch(file: &str) -> bool {
    let folders = ["/torch/", "/contextlib.py", "/functools.py"];
    folders.iter().any(|folder| file.contains(folder)) || file.starts_with('<')
}

/// `model.py(12): forward`, as Python frames of traces are called.
fn place(frame: &CallFrame) -> String {
    let mut folders = frame.file.rsplit('/');
    let file = folders.next().unwrap_or(&frame.file);
    let file = match folders.next().filter(|folder| !folder.is_empty()) {
        Some(folder) => format!("{folder}/{file}"),
        None => file.to_owned(),
    };
    format!("{file}({}): {}", frame.line, frame.name)
}

/// The operator that a frame of C++ calls: `at::_ops::mm::call(…)`. Its overload stands in the name, too, as C++ has it.
fn operator(name: &str) -> Option<String> {
    let rest = name.strip_prefix("at::_ops::")?;
    let (operator, call) = rest.split_once("::")?;
    let is_call = call.starts_with("call") || call.starts_with("redispatch");
    is_call.then(|| format!("aten::{operator}"))
}

#[cfg(test)]
mod tests {
    use super::{Purpose, operator, place};
    use crate::store::CallFrame;

    #[test]
    fn purposes_by_names() {
        let of = Purpose::of_function;
        let file = "/x/vllm/v1/worker/gpu_model_runner.py";
        let makers = [
            "initialize_kv_cache",
            "_allocate_kv_cache_tensors",
            "GPUModelRunner.initialize_kv_cache",
        ];
        for name in makers {
            assert_eq!(of(name, file), Some(Purpose::KvCache), "{name}");
        }
        // To read the cache or to ask for its size is not to make it.
        for name in ["get_kv_cache_spec", "bind_kv_cache", "kv_cache_usage", "allocate", "step"] {
            assert_eq!(of(name, file), None, "{name}");
        }
        assert_eq!(of("load_model", file), Some(Purpose::Weights));
        assert_eq!(of("reload_models", file), None);
        let linear = "/x/site-packages/torch/nn/modules/linear.py";
        assert_eq!(of("__init__", linear), Some(Purpose::Weights));
        assert_eq!(of("__init__", "/x/tokenizer.py"), None);
        assert_eq!(of("step", "/x/site-packages/torch/optim/adam.py"), Some(Purpose::Optimizer));
        assert_eq!(of("forward", linear), Some(Purpose::Forward));
        let spans = [
            ("vllm/v1/worker/gpu_worker.py(348): initialize_kv_cache", Some(Purpose::KvCache)),
            ("nn.Module: Linear_0", Some(Purpose::Forward)),
            ("autograd::engine::evaluate_function: MmBackward0", Some(Purpose::Backward)),
            ("aten::mm", None),
        ];
        for (name, purpose) in spans {
            assert_eq!(Purpose::of_span(name), purpose, "{name}");
        }
    }

    #[test]
    fn operators_and_places() {
        assert_eq!(operator("at::_ops::mm::call(at::Tensor const&)").as_deref(), Some("aten::mm"));
        assert_eq!(operator("at::native::mm(at::Tensor const&)"), None);
        let frame = |file: &str| CallFrame { name: "f".to_owned(), file: file.to_owned(), line: 7 };
        assert_eq!(place(&frame("/a/b/c.py")), "b/c.py(7): f");
        assert_eq!(place(&frame("c.py")), "c.py(7): f");
    }
}

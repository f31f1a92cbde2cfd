//! What a process or a thread holds where only its name tells: the devices, calls and derived rows of writers that give
//! their events no category of Kineto's.
//!
//! torch_npu and msprof (Ascend), the trace viewer of XLA, JAX and TensorFlow, TensorFlow's timeline, rocprof, the
//! autograd profiler of old torch, and tools that name their processes after devices.

/// What the events of a track are, where their categories do not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing that a name tells.
    #[default]
    Unknown,
    /// Activity of a device.
    Device,
    /// Copies of a device.
    Copies,
    /// Collectives of a device.
    Comm,
    /// What was computed from other rows.
    Derived,
    /// Calls of a runtime.
    Calls,
    /// Operators.
    Operators,
}

/// What a process is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ProcessRole {
    pub(super) role: Role,
    /// The device's number, where the name or a label has one.
    pub(super) device: Option<u32>,
    /// Whether its threads are told apart as the trace viewer of XLA names them.
    pub(super) is_xla: bool,
}

/// Which writers a file shows, by the names of all its processes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Writers {
    pub(super) is_ascend: bool,
    is_rocprof: bool,
    /// TensorFlow's timeline has the kernels of every stream once more under `stream:all`.
    has_all_streams: bool,
}

impl Writers {
    pub(super) fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut writers = Self::default();
        for name in names {
            writers.is_ascend |= matches!(name, "Ascend Hardware" | "CANN");
            writers.is_rocprof |= name.ends_with("CPU HIP API") || name.ends_with("CPU HSA API");
            writers.has_all_streams |= name.contains("/stream:all");
        }
        writers
    }

    /// What a process is, by its name and its labels.
    pub(super) fn process(self, name: &str, labels: &str) -> ProcessRole {
        let plain = |role| ProcessRole { role, device: first_number(labels), is_xla: false };
        if self.is_ascend
            && let Some(role) = ascend(name, labels)
        {
            return plain(role);
        }
        if self.is_rocprof && name.ends_with(" API") {
            return plain(Role::Calls);
        }
        if self.is_rocprof && name.eq_ignore_ascii_case("copy") {
            return plain(Role::Copies);
        }
        match name {
            "CPU functions" => return plain(Role::Operators),
            "CUDA functions" => {
                return ProcessRole { role: Role::Device, device: Some(0), is_xla: false };
            }
            _ => {}
        }
        match device_path(name) {
            Some((task, device)) => self.tensorflow(name, task, device),
            None if name.starts_with("/job:") => plain(Role::Operators),
            None => numbered(name),
        }
    }

    fn tensorflow(self, name: &str, task: &str, device: &str) -> ProcessRole {
        let role = |role| ProcessRole { role, ..ProcessRole::default() };
        if device.starts_with("CPU") {
            return role(if task.is_empty() { Role::Unknown } else { Role::Operators });
        }
        if name.ends_with(" Tensors") || device.starts_with("CUSTOM") {
            return role(Role::Derived);
        }
        if task.starts_with("/job:") && !device.contains("/stream:") && !device.contains("/memcpy")
        {
            return role(Role::Operators);
        }
        let is_one_stream = device.contains("/stream:") && !device.contains("/stream:all");
        ProcessRole {
            role: match () {
                () if is_one_stream && self.has_all_streams => Role::Derived,
                () if device.contains("/memcpy") => Role::Copies,
                () => Role::Device,
            },
            device: first_number(device),
            is_xla: name.starts_with("/device:") && !device.contains('/'),
        }
    }
}

/// What stands before and after `/device:` in a name; TensorFlow before 1.4 wrote `/gpu:0` for `/device:GPU:0`.
fn device_path(name: &str) -> Option<(&str, &str)> {
    name.split_once("/device:").or_else(|| name.split_once("/gpu:"))
}

fn ascend(name: &str, labels: &str) -> Option<Role> {
    match name {
        "Ascend Hardware" => Some(Role::Device),
        "Communication" | "HCCL" | "Communication OP" => Some(Role::Comm),
        "CANN" | "AscendCL" | "ACL" | "Runtime" | "GE" | "Node" | "Model" | "HCCL Host" => {
            Some(Role::Calls)
        }
        "Overlap Analysis" => Some(Role::Derived),
        _ => labels.starts_with("NPU").then_some(Role::Derived),
    }
}

/// `GPU 0`, `Device 1`, `[CUDA] GPU 2`, `CUDA HW 0`: a device of its own tool.
fn numbered(name: &str) -> ProcessRole {
    let lower = name.to_ascii_lowercase();
    let plain = lower.strip_prefix("[cuda]").unwrap_or(&lower).trim_start();
    let kinds = [
        "cuda hw",
        "cuda device",
        "hip device",
        "gpu device",
        "gpu",
        "npu",
        "tpu",
        "xpu",
        "device",
    ];
    let number = kinds.iter().find_map(|kind| {
        let rest = plain.strip_prefix(kind)?;
        let rest = rest.trim_start_matches([' ', ':', '#', '_', '-', '(', '[']);
        let n_digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let is_end = rest[n_digits..].bytes().next().is_none_or(|b| !b.is_ascii_alphanumeric());
        let is_host = rest.contains("api") || rest.contains("cpu") || rest.contains("host");
        (is_end && !is_host).then(|| rest[..n_digits].parse().ok()).flatten()
    });
    match number {
        Some(device) => ProcessRole { role: Role::Device, device: Some(device), is_xla: false },
        None => ProcessRole::default(),
    }
}

/// Threads of a device of XLA that repeat its kernels at another grain.
const XLA_VIEWS: [&str; 12] = [
    "Steps",
    "Step",
    "XLA Modules",
    "XLA TraceMe",
    "Async XLA Ops",
    "Framework Name Scope",
    "Framework Ops",
    "Source code",
    "Source Code",
    "TensorFlow Ops",
    "TensorFlow Name Scope",
    "Launch Stats",
];

/// What a thread of a process is. `has_streams`: a thread of the process is a stream.
pub(super) fn thread_role(process: ProcessRole, name: &str, has_streams: bool) -> Role {
    match process.role {
        Role::Comm if name.starts_with("Plane") => Role::Derived,
        Role::Device if process.is_xla && XLA_VIEWS.contains(&name) => Role::Derived,
        Role::Device if process.is_xla && has_streams && !is_stream(name) => Role::Derived,
        role => role,
    }
}

/// Whether a thread of a device is named as a stream.
pub(super) fn is_stream(name: &str) -> bool {
    name.get(..6).is_some_and(|head| head.eq_ignore_ascii_case("stream"))
}

/// The first number in a text.
fn first_number(text: &str) -> Option<u32> {
    let from = text.find(|c: char| c.is_ascii_digit())?;
    let digits = text[from..].split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// What a device is called, from the name of its process.
pub(super) fn device_name(process: &str, device: u32) -> String {
    match process {
        "Ascend Hardware" => format!("NPU {device}"),
        "CUDA functions" => format!("CUDA {device}"),
        _ => {
            let found = process.find("/device:").or_else(|| process.find("/gpu:"));
            let from = found.unwrap_or(0);
            let name = process[from..].trim_end_matches(" Compute");
            name.split("/stream:").next().unwrap_or(name).trim_end_matches("/memcpy").to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Role, Writers, thread_role};

    fn roles(names: &[&str]) -> Vec<(Role, Option<u32>)> {
        let writers = Writers::of(names.iter().copied());
        let role = |name: &&str| writers.process(name, "");
        names.iter().map(role).map(|process| (process.role, process.device)).collect()
    }

    #[test]
    fn devices_by_the_names_of_processes() {
        assert_eq!(
            roles(&[
                "/job:localhost/replica:0/task:0/device:GPU:0 Compute",
                "/device:GPU:1/stream:all Compute",
                "/device:GPU:1/stream:14 Compute",
                "/device:GPU:1/memcpy Compute",
                "/device:TPU:3",
                "/host:CPU",
            ]),
            [
                (Role::Operators, None),
                (Role::Device, Some(1)),
                (Role::Derived, Some(1)),
                (Role::Copies, Some(1)),
                (Role::Device, Some(3)),
                (Role::Unknown, None),
            ]
        );
        assert_eq!(roles(&["Device 2", "GPU0", "[CUDA] GPU 7 (H100)", "CUDA HW 1"])[2].1, Some(7));
        for name in
            ["GPU Process", "Device", "GPU 0 CPU thread", "gpu1x", "python", "Communication"]
        {
            assert_eq!(roles(&[name])[0].0, Role::Unknown, "{name}");
        }
    }

    #[test]
    fn tensorflow_before_devices_had_types() {
        assert_eq!(
            roles(&[
                "/job:localhost/replica:0/task:0/gpu:0 Compute",
                "/job:localhost/replica:0/task:0/cpu:0 Compute",
                "/gpu:0/stream:all Compute",
                "/gpu:0/stream:12 Compute",
                "/gpu:0/memcpy Compute",
            ]),
            [
                (Role::Operators, None),
                (Role::Operators, None),
                (Role::Device, Some(0)),
                (Role::Derived, Some(0)),
                (Role::Copies, Some(0)),
            ]
        );
    }

    #[test]
    fn rows_of_xla_that_repeat_kernels_are_derived() {
        let tpu = Writers::default().process("/device:TPU:0", "");
        assert_eq!(thread_role(tpu, "XLA Ops", false), Role::Device);
        assert_eq!(thread_role(tpu, "XLA Modules", false), Role::Derived);
        let gpu = Writers::default().process("/device:GPU:0", "");
        assert_eq!(thread_role(gpu, "XLA Ops", true), Role::Derived);
        assert_eq!(thread_role(gpu, "Stream #13(Compute)", true), Role::Device);
    }
}

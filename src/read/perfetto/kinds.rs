//! What torch's own writer leaves out: the category of a slice, from its arguments and where it stands.

use std::collections::BTreeSet;

use super::pending::What;

/// The category that arguments show, for slices that have none. Torch's first writers of Perfetto gave none at all, later
/// ones none to overhead and synchronization.
pub(super) fn concluded_category(name: &str, keys: &[&str]) -> Option<&'static str> {
    let has = |key: &str| keys.contains(&key);
    if has("cuda_sync_kind") {
        Some("cuda_sync")
    } else if has("cbid") {
        let is_driver = name
            .strip_prefix("cu")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
        Some(if is_driver { "cuda_driver" } else { "cuda_runtime" })
    } else if has("Python id") {
        Some("python_function")
    } else if name.starts_with("ProfilerStep#") {
        Some("user_annotation")
    } else if has("External id") || has("Ev Idx") || has("Record function id") {
        Some("cpu_op")
    } else {
        None
    }
}

/// A range whose name stands on a device as an annotation is one of the user, not an operator.
pub(super) fn conclude_annotations(what: &mut What, annotations: &BTreeSet<String>) {
    let is_annotation = what.name.as_ref().is_some_and(|name| annotations.contains(name));
    if what.category == "cpu_op" && is_annotation {
        "user_annotation".clone_into(&mut what.category);
    }
}

/// Category of work of a device, by what its stage is called, whether it is marked as computing, and whether it launched a
/// kernel. `None` where nothing tells.
pub(super) fn stage_category(stage: &str, marked: i32, is_launch: bool) -> Option<&'static str> {
    const GRAPHICS: i32 = 1;
    const COMPUTE: i32 = 2;
    let lower = stage.to_ascii_lowercase();
    let starts = |text: &str| lower.starts_with(text);
    if starts("memcpy") || starts("copy") || starts("transfer") {
        Some("gpu_memcpy")
    } else if starts("memset") || starts("fill") {
        Some("gpu_memset")
    } else if lower == "annotation" {
        Some("gpu_user_annotation")
    } else if lower == "eventrecord" {
        Some("cuda_event")
    } else if lower == "hostnode" {
        Some("graph_host_node")
    } else if is_launch || starts("kernel") || matches!(marked, GRAPHICS | COMPUTE) {
        Some("kernel")
    } else {
        None
    }
}

/// What a packet is called that holds this field, and whether it tells of something that ran. Bookkeeping of the recorder,
/// and what accompanies every packet, does not.
pub(super) fn packet_name(field: u32) -> Option<&'static str> {
    Some(match field {
        1 => "ftrace events",
        5 => "Chrome events",
        37 => "heap profiles",
        39 => "Android log",
        57 => "graphics frames",
        62 => "Vulkan memory",
        63 => "GPU log",
        65 => "Vulkan calls",
        66 => "perf samples",
        71 => "GPU memory",
        74 | 75 => "heap allocations",
        95 => "ETW events",
        117 => "kernel tasks",
        129 => "GPU frequency",
        135 => "stack samples",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{concluded_category, stage_category};

    #[test]
    fn categories_are_concluded() {
        let of = |name, keys: &[&str]| concluded_category(name, keys);
        assert_eq!(of("cudaLaunchKernel", &["cbid", "correlation"]), Some("cuda_runtime"));
        assert_eq!(of("cuLaunchKernelEx", &["cbid"]), Some("cuda_driver"));
        assert_eq!(of("Stream Sync", &["stream", "cuda_sync_kind"]), Some("cuda_sync"));
        assert_eq!(of("aten::mm", &["External id", "Ev Idx"]), Some("cpu_op"));
        assert_eq!(of("x", &[]), None);
    }

    #[test]
    fn stages_are_told_apart() {
        assert_eq!(stage_category("Memcpy", 0, false), Some("gpu_memcpy"));
        assert_eq!(stage_category("Annotation", 0, false), Some("gpu_user_annotation"));
        assert_eq!(stage_category("vertex", 1, false), Some("kernel"));
        assert_eq!(stage_category("binning", 0, false), None);
    }
}

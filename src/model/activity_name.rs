//! What the name of a device's or a host's event says where no category does.

use super::EventKind;

/// Beginnings of the names of copies, in small letters.
const COPIES: [&str; 12] = [
    "memcpy",
    "[cuda memcpy",
    "cuda memcpy",
    "cudamemcpy",
    "hipmemcpy",
    "memory copy",
    "memory_copy",
    "copyhostto",
    "copydeviceto",
    "copypeer",
    "zecommandlistappendmemorycopy",
    "dma copy",
];

/// The kind of a device activity by its name: a copy, a memset, a mark, or else a kernel.
pub fn device_kind(name: &str) -> EventKind {
    let lower = name.to_ascii_lowercase();
    let starts = |all: &[&str]| all.iter().any(|start| lower.starts_with(start));
    if starts(&COPIES) {
        EventKind::Memcpy
    } else if starts(&["memset", "[cuda memset", "cuda memset", "cudamemset", "hipmemset"]) {
        EventKind::Memset
    } else if is_mark(name) {
        EventKind::DeviceMark
    } else {
        EventKind::Kernel
    }
}

/// The kind of an Ascend task by its `Task Type`; `None` where the name is to tell.
pub fn ascend_kind(task: &str) -> Option<EventKind> {
    let task = task.to_ascii_uppercase();
    match () {
        () if is_mark(&task) => Some(EventKind::DeviceMark),
        () if ["MEMCPY", "SDMA", "PCIE_DMA"].iter().any(|part| task.contains(part)) => {
            Some(EventKind::Memcpy)
        }
        () if ["AI_", "AIC", "AIV", "KERNEL"].iter().any(|part| task.contains(part)) => {
            Some(EventKind::Kernel)
        }
        () => None,
    }
}

/// The kind of what MTIA's writer calls an event of the device, by its name; `None` where it is a kernel.
pub fn mtia_kind(name: &str) -> Option<EventKind> {
    match name {
        "dma_request" => Some(EventKind::Memcpy),
        "event_record" | "event_wait" => Some(EventKind::DeviceMark),
        _ => None,
    }
}

/// Whether a task records or awaits an event and computes nothing.
fn is_mark(name: &str) -> bool {
    let starts = ["EVENT_", "EVENT ", "NOTIFY", "Notify", "PLACE_HOLDER", "PROFILER_"];
    starts.iter().any(|start| name.starts_with(start)) || name.contains("MAINTAIN")
}

/// Whether a name is that of a call of a runtime or driver: `cudaLaunchKernel`, `hipMemcpyAsync`, `cuLaunchKernelEx`,
/// `zeEventHostSynchronize`, `hsa_signal_wait`, `aclrtSynchronizeStream`.
pub fn is_api_call(name: &str) -> bool {
    let then_capital = ["cuda", "cu", "hip", "ze", "ur", "aclrt"].iter().any(|start| {
        let next = name.strip_prefix(start).and_then(|rest| rest.bytes().next());
        next.is_some_and(|b| b.is_ascii_uppercase())
    });
    let is_word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_word && (then_capital || name.starts_with("hsa_"))
}

#[cfg(test)]
mod tests {
    use super::{ascend_kind, device_kind, is_api_call};
    use crate::model::EventKind;

    #[test]
    fn copies_marks_and_kernels() {
        for name in ["MemcpyH2D", "MEMCPY_ASYNC", "MEMCPYHtoD", "[CUDA memcpy DtoH]"] {
            assert_eq!(device_kind(name), EventKind::Memcpy, "{name}");
        }
        assert_eq!(device_kind("Memset (Device)"), EventKind::Memset);
        assert_eq!(device_kind("EVENT_WAIT"), EventKind::DeviceMark);
        assert_eq!(device_kind("copy_kernel"), EventKind::Kernel);
        assert_eq!(ascend_kind("SDMA_SQE"), Some(EventKind::Memcpy));
        assert_eq!(ascend_kind("NOTIFY_WAIT_SQE"), Some(EventKind::DeviceMark));
        assert_eq!(ascend_kind("MIX_AIC"), Some(EventKind::Kernel));
        assert_eq!(ascend_kind("MODEL_MAINTAINCE"), Some(EventKind::DeviceMark));
        assert_eq!([ascend_kind("Other"), ascend_kind("WRITE_VALUE")], [None, None]);
    }

    #[test]
    fn calls_by_name() {
        assert!(["cudaLaunchKernel", "hipMemcpyAsync", "hsa_signal_wait"].map(is_api_call)[1]);
        assert!(!is_api_call("current") && !is_api_call("cudagraph") && !is_api_call("hipify"));
        assert!(!is_api_call("urllib") && !is_api_call("cuLaunch kernel"));
    }
}

//! What kind of activity an event is, from its category.

use crate::model::named;

/// What the name of a Python frame begins with that stands for a call of an `nn.Module`, before its class and number.
pub const MODULE_FRAME: &str = "nn.Module: ";

named! {
    /// The kind of a complete event (`ph` = `X`), decided by its category string.
    ///
    /// Names follow Kineto's `ActivityType`; 2021-style categories (`Operator`, `Runtime`, `Kernel`, …) map to the same
    /// kinds.
    #[repr(u8)]
    EventKind {
        /// An operator on the CPU (`cpu_op`, 2021: `Operator`).
        CpuOp "cpu_op",
        /// A `record_function` range of the user (`user_annotation`).
        UserAnnotation "user_annotation",
        /// A Python frame (`python_function`).
        PythonFunction "python_function",
        /// A CUDA, HIP or other runtime API call on the CPU (`cuda_runtime`, `*_runtime`, 2021: `Runtime`).
        Runtime "runtime",
        /// A driver API call on the CPU (`cuda_driver`, `*_driver`).
        Driver "driver",
        /// Profiler or module-loading overhead (`overhead`), usually on pid -1.
        Overhead "overhead",
        /// A kernel on a device (`kernel`, 2021: `Kernel`; `hpu_op`, `mtia_ccp_events`).
        Kernel "kernel",
        /// A copy on a device (`gpu_memcpy`, 2021: `Memcpy`).
        Memcpy "memcpy",
        /// A memset on a device (`gpu_memset`, 2021: `Memset`).
        Memset "memset",
        /// The span of a user annotation on a device (`gpu_user_annotation`): never device activity.
        GpuUserAnnotation "gpu_user_annotation",
        /// A synchronization seen on the device side (`cuda_sync`, `xpu_sync`).
        CudaSync "cuda_sync",
        /// A recorded device event (`cuda_event`).
        CudaEvent "cuda_event",
        /// A collective as seen by the communication library (`collective_comm`).
        CollectiveComm "collective_comm",
        /// The profiled window of the file (`Trace`).
        Window "window",
        /// A span of an asynchronous event (phases `b` and `e`): on no thread's stack, it may overlap others.
        Async "async_span",
        /// A task of a device that computes and moves nothing: a recorded event, a wait for one, a notification.
        DeviceMark "device_mark",
        /// What the writer derived from other rows, as Ascend's "Overlap Analysis" and "XLA Modules": never counted again.
        Derived "derived",
        /// Any other category; the category string says which.
        Other "span",
    }
}

impl EventKind {
    /// The kind of a category string.
    pub fn from_category(category: &[u8]) -> Self {
        match category {
            b"cpu_op" | b"Operator" => Self::CpuOp,
            b"user_annotation" => Self::UserAnnotation,
            b"python_function" => Self::PythonFunction,
            b"cuda_runtime"
            | b"Runtime"
            | b"xpu_runtime"
            | b"mtia_runtime"
            | b"glow_runtime"
            | b"privateuse1_runtime" => Self::Runtime,
            b"cuda_driver" | b"xpu_driver" | b"privateuse1_driver" => Self::Driver,
            b"overhead" => Self::Overhead,
            b"kernel" | b"Kernel" | b"hpu_op" | b"mtia_ccp_events" => Self::Kernel,
            b"gpu_memcpy" | b"Memcpy" => Self::Memcpy,
            b"gpu_memset" | b"Memset" => Self::Memset,
            b"gpu_user_annotation" => Self::GpuUserAnnotation,
            b"cuda_sync" | b"xpu_sync" => Self::CudaSync,
            b"cuda_event" => Self::CudaEvent,
            b"collective_comm" => Self::CollectiveComm,
            b"Trace" => Self::Window,
            _ => Self::Other,
        }
    }

    /// Work of a device: what counts into a device's busy time.
    pub fn is_device_activity(self) -> bool {
        matches!(self, Self::Kernel | Self::Memcpy | Self::Memset)
    }

    /// Lives on a device's track, whether it is activity or not.
    pub fn is_on_device(self) -> bool {
        self.is_device_activity()
            || matches!(self, Self::GpuUserAnnotation | Self::CudaSync | Self::CudaEvent)
    }

    /// An API call of the CPU that can launch or wait for device work.
    pub fn is_api_call(self) -> bool {
        matches!(self, Self::Runtime | Self::Driver)
    }

    /// Runs on a host thread.
    pub fn is_on_host(self) -> bool {
        matches!(
            self,
            Self::CpuOp
                | Self::UserAnnotation
                | Self::PythonFunction
                | Self::Runtime
                | Self::Driver
                | Self::Overhead
        )
    }
}

#[cfg(test)]
mod tests {
    use super::EventKind;

    #[test]
    fn old_and_new_categories_agree() {
        assert_eq!(EventKind::from_category(b"Operator"), EventKind::from_category(b"cpu_op"));
        assert_eq!(EventKind::from_category(b"Memcpy"), EventKind::Memcpy);
        assert_eq!(EventKind::from_category(b"mtia_insight"), EventKind::Other);
    }

    #[test]
    fn kinds_are_numbered_in_their_order() {
        assert!(EventKind::ALL.iter().enumerate().all(|(i, &kind)| kind as usize == i));
        assert_eq!(EventKind::ALL.last(), Some(&EventKind::Other));
    }

    #[test]
    fn annotations_are_not_device_activity() {
        assert!(!EventKind::GpuUserAnnotation.is_device_activity());
        assert!(EventKind::GpuUserAnnotation.is_on_device());
    }
}

//! Python frames among the rows of the profiler table.

use crate::model::MODULE_FRAME;

/// Whether a row is a Python frame, as torch names them: most of its own time may be waiting, so that it is no operator
/// to make faster.
pub(super) fn is_python_frame(name: &str) -> bool {
    name.contains(".py(")
        || ["<built-in ", "<frozen ", "<string>(", MODULE_FRAME]
            .iter()
            .any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::is_python_frame;

    #[test]
    fn python_frames_are_no_operators() {
        for frame in [
            "multiprocessing/connection.py(390): _recv",
            "<built-in method recv of Socket object at 0x7f>",
            "<frozen importlib._bootstrap>(1): _find",
            "nn.Module: Linear_0",
        ] {
            assert!(is_python_frame(frame), "{frame}");
        }
        for operator in ["aten::mm", "worker_99", "block.mlp", "cudaLaunchKernel"] {
            assert!(!is_python_frame(operator), "{operator}");
        }
    }
}

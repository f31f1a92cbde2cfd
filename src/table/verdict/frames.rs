//! Python frames among the rows of the profiler table.

use crate::model::MODULE_FRAME;

/// Whether a row is a Python frame, as torch names them: most of its own time may be waiting, so that it is no operator
/// to make faster.
pub(super) fn is_python_frame(name: &str) -> bool {
    name.contains(".py(")
        || has_line(name)
        || ["<built-in ", "<frozen ", "<string>(", MODULE_FRAME]
            .iter()
            .any(|start| name.starts_with(start))
}

/// Whether a name states a line as frames do: `vllm(10): <module>`, of a script without an ending.
fn has_line(name: &str) -> bool {
    name.match_indices("): ").any(|(at, _)| {
        let number = name[..at].rsplit_once('(').map_or("", |(_, number)| number);
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
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
            "vllm(10): <module>",
        ] {
            assert!(is_python_frame(frame), "{frame}");
        }
        for operator in
            ["aten::mm", "worker_99", "block.mlp", "cudaLaunchKernel", "a(b): c", "f(): x"]
        {
            assert!(!is_python_frame(operator), "{operator}");
        }
    }
}

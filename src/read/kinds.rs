//! Files beside the traces of ranks that are none: what they are, by their names and by their first text.

use std::path::Path;

/// Why a trace of graph capture is left out.
pub(super) const GRAPH_CAPTURE: &str = "it was written while graphs were captured at start-up, not while they ran: name it alone to see it";

const EXECUTION_TRACE: &str = "an execution trace (a graph of operators)";
const MEMORY_SNAPSHOT: &str = "a memory snapshot";
const PICKLE: &str = "a Python pickle, as memory snapshots are";

/// What a pickle is that no allocator wrote.
pub(super) const OTHER_PICKLE: &str = "a Python pickle that is no memory snapshot";

/// Folders that vLLM and SGLang write traces of graph capture to, beside those of what is served.
const CAPTURE_FOLDERS: [&str; 2] = ["capture_traces", "graph_capture_profile"];

/// How names of such files begin.
const CAPTURE_PREFIXES: [&str; 2] = ["cuda_graph_capture-", "cuda_graph_capture_"];

/// Whether a trace is of the capture of graphs, by where it lies or by its name.
pub(super) fn is_graph_capture(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let folders = path.parent().into_iter().flat_map(Path::components);
    CAPTURE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || folders
            .into_iter()
            .any(|folder| CAPTURE_FOLDERS.iter().any(|known| folder.as_os_str() == *known))
}

/// Whether a file name is one that memory snapshots have.
pub(super) fn is_snapshot_name(name: &str) -> bool {
    let is_pickle = [".pickle", ".pkl"].iter().any(|end| name.ends_with(end));
    is_pickle && (name.contains("snapshot") || name.contains("memory"))
}

/// Whether a file begins as a pickle of protocol 2 to 5 does.
pub(super) fn is_pickle(text: &[u8]) -> bool {
    matches!(text, [0x80, 2..=5, ..])
}

/// What a file is that is no trace, by its first text; `None` for a trace, and where nothing tells.
pub(super) fn other_kind(text: &[u8]) -> Option<&'static str> {
    if is_pickle(text) {
        return Some(PICKLE);
    }
    let has = |needle: &str| memchr::memmem::find(text, needle.as_bytes()).is_some();
    if text.trim_ascii_start().first() != Some(&b'{') || has("\"traceEvents\"") {
        return None;
    }
    if has("\"nodes\"") && (has("\"schema\"") || has("\"ctrl_deps\"")) {
        Some(EXECUTION_TRACE)
    } else if has("\"device_traces\"") || has("\"segments\"") && has("\"total_size\"") {
        Some(MEMORY_SNAPSHOT)
    } else {
        None
    }
}

/// Why a file of another kind is left out.
pub(super) fn reason(what: &str) -> String {
    let hint = if what == PICKLE { "; `analyze` reads a snapshot that is named" } else { "" };
    format!("it is {what}, not a trace{hint}")
}

/// Whether a reason is that the file is not of a rank.
pub fn is_not_a_rank(why: &str) -> bool {
    let kinds = [EXECUTION_TRACE, MEMORY_SNAPSHOT, PICKLE];
    why == GRAPH_CAPTURE || kinds.iter().any(|what| why == reason(what))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{is_graph_capture, is_snapshot_name, other_kind};

    #[test]
    fn graph_capture_by_folder_and_name() {
        let of_capture = [
            "out/capture_traces/bs_8_rank0.json.gz",
            "out/capture_traces/x/dp0_pp0_tp0_dcp0_ep0_rank0.17.pt.trace.json.gz",
            "out/graph_capture_profile/cuda_graph_capture-DecodeCudaGraphRunner-TP-0.json.gz",
            "cuda_graph_capture-EAGLEDraftCudaGraphRunner-TP-1.json.gz",
        ];
        for path in of_capture {
            assert!(is_graph_capture(Path::new(path)), "{path}");
        }
        for path in ["out/bs_8_rank0.json.gz", "capture_traces", "my_capture_traces/a.json"] {
            assert!(!is_graph_capture(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn kinds_by_first_text() {
        let execution =
            br#"{"schema": "1.1.1-chakra.0.0.4", "pid": 7, "time": "x", "nodes": [{"id": 1"#;
        assert!(other_kind(execution).is_some_and(|what| what.contains("execution trace")));
        let snapshot = br#"{"segments": [{"device": 0, "address": 1, "total_size": 2"#;
        assert!(other_kind(snapshot).is_some_and(|what| what.contains("memory snapshot")));
        assert!(other_kind(b"\x80\x04\x95\x10").is_some());
        for text in
            [r#"{"schemaVersion": 1, "traceEvents": ["#, r#"[{"ph": "X""#, r#"{"nodes": 3}"#]
        {
            assert_eq!(other_kind(text.as_bytes()), None, "{text}");
        }
        assert!(is_snapshot_name("memory_snapshot_rank0.pickle"));
        assert!(!is_snapshot_name("weights.pickle"));
    }
}

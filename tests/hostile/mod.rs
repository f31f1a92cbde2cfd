//! A trace whose every name tries to be more than a name.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Names that would run as script, end an element, or make a row unreadable where they are not taken as text.
pub(crate) const NAMES: [&str; 10] = [
    "<script>window.canary=1;document.title='pwned'</script>",
    "</script><script>window.canary=2</script>",
    "<!--<script>window.canary=3//",
    "<img src=x onerror=\"window.canary=4\">",
    "\" onmouseover=\"window.canary=5\" x=\"",
    "' autofocus onfocus='window.canary=6",
    "</td></tr></table><h1>gone</h1>",
    "javascript:window.canary=7",
    "\u{202e}drawkcab \u{2028} 名前 \u{1f600} \\u003cscript\\u003e",
    "void at::native::<unnamed>::kernel<float, std::pair<int&, char*>>(\"a\", 'b' && c)",
];

/// Writes the trace into a folder; its file name is hostile too.
pub(crate) fn trace(folder: &Path) -> PathBuf {
    let mut events = Vec::new();
    let mut event = |name: &str, cat: &str, tid: Value, ts: f64, dur: f64, args: Value| {
        events.push(json!({
            "ph": "X", "name": name, "cat": cat, "pid": 7, "tid": tid, "ts": ts, "dur": dur,
            "args": args,
        }));
    };
    for (i, name) in NAMES.iter().enumerate() {
        let at = 100.0 * i as f64;
        event(&format!("execute_{name}"), "user_annotation", json!(8), at, 95.0, json!({}));
        event(name, "cpu_op", json!(8), at + 1.0, 60.0, json!({"Input Dims": name}));
        event(
            "cudaLaunchKernel",
            "cuda_runtime",
            json!(8),
            at + 2.0,
            5.0,
            json!({"correlation": i + 1}),
        );
        let on = json!({"device": 0, "stream": 7, "correlation": i + 1});
        event(name, "kernel", json!(7), at + 10.0, 30.0, on);
        let frame = format!("{name}(1): dequeue");
        event(&frame, "python_function", json!(8), at + 62.0, 20.0, json!({}));
        let long = name.repeat(40);
        event(&long, "gpu_memcpy", json!(7), at + 50.0, 3.0, json!({"device": 0, "stream": 9}));
    }
    for (what, id) in [("thread_name", 8), ("process_name", 7)] {
        events.push(json!({
            "ph": "M", "name": what, "pid": 7, "tid": id, "ts": 0, "args": {"name": NAMES[0]},
        }));
    }
    let document = json!({
        "schemaVersion": 1,
        "pytorch_version": NAMES[1],
        "deviceProperties": [{"id": 0, "name": NAMES[3]}],
        "traceEvents": events,
    });
    let path = folder.join("a&b<i>'x'.json");
    std::fs::write(&path, document.to_string()).expect("the trace can be written");
    path
}

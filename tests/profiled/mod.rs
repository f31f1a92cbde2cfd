//! A small program as its profiler would have written it down: what happens is said step by step.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// A program of one thread and one device, written as its profiler would have; times in microseconds.
#[derive(Default)]
pub struct Program {
    /// What was recorded.
    pub events: Vec<Value>,
    /// When its next step begins.
    pub now: u64,
    /// Calls so far; the last one's correlation.
    pub n_calls: u64,
    /// When each stream is free.
    pub free: [u64; 8],
}

impl Program {
    pub fn event(
        &mut self,
        cat: &str,
        name: &str,
        (start, end): (u64, u64),
        tid: u64,
        args: Value,
    ) {
        self.events.push(json!({"ph": "X", "cat": cat, "name": name, "pid": if tid < 7 { 10 } else { 0 }, "tid": tid,
            "ts": 1000 + start, "dur": end - start, "args": args}));
    }

    /// Something of the host around some of its steps.
    pub fn inside(&mut self, cat: &str, name: &str, steps: impl FnOnce(&mut Self)) {
        let start = self.now;
        steps(self);
        self.event(cat, name, (start, self.now), 1, json!({}));
    }

    pub fn op(&mut self, name: &str, us: u64) {
        self.inside("cpu_op", name, |p| p.now += us);
    }

    pub fn call(&mut self, name: &str, us: u64) {
        self.n_calls += 1;
        let args = json!({"correlation": self.n_calls});
        self.event("cuda_runtime", name, (self.now, self.now + us), 1, args);
        self.now += us;
    }

    /// A call that starts work on a stream.
    pub fn start(
        &mut self,
        call: &str,
        call_us: u64,
        (cat, name): (&str, &str),
        us: u64,
        stream: usize,
    ) {
        self.call(call, call_us);
        let start = (self.now + 3).max(self.free[stream] + 1);
        self.free[stream] = start + us;
        let args = json!({"correlation": self.n_calls, "device": 0, "stream": stream});
        self.event(cat, name, (start, start + us), stream as u64, args);
    }

    pub fn kernel(&mut self, name: &str, us: u64, stream: usize) {
        self.start("cudaLaunchKernel", 5, ("kernel", name), us, stream);
    }

    /// Waits until the device is idle.
    pub fn sync(&mut self, call: &str) {
        let until = self.free.iter().copied().max().unwrap().max(self.now) + 2;
        let us = until - self.now;
        self.call(call, us);
    }

    pub fn steps(&mut self, n: u64, step: impl Fn(&mut Self, u64)) {
        for number in 0..n {
            self.inside("user_annotation", &format!("ProfilerStep#{number}"), |p| step(p, number));
        }
    }

    pub fn write(self, dir: &Path) -> PathBuf {
        let path = dir.join("trace.json");
        let trace = json!({"schemaVersion": 1, "deviceProperties": [{"id": 0, "name": "test"}],
            "baseTimeNanoseconds": 1_790_000_000_000_000_000_u64, "traceEvents": self.events});
        std::fs::write(&path, trace.to_string()).unwrap();
        path
    }
}

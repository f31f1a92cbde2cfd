//! Writes a realistic vLLM worker trace of any size from a seed, for benchmarks: the same seed gives the same bytes.
//!
//! `cargo run --release --example generate_trace -- --json-mb 850 --seed 7 --layout new -o trace.json.gz`
//!
//! What it imitates, with the proportions of the real two-rank trace: iterations of an annotated step, operators with
//! shapes, runtime calls, kernels with launch arguments and flows, and between iterations `dequeue` frames that hold
//! thousands of spin frames. `--spins 40` makes those waits short, so that most events are of operators and their kernels.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use flate2::{Compression, write::GzEncoder};

/// Layout of the writer to imitate.
#[derive(Clone, Copy, PartialEq)]
enum Layout {
    Old,
    New,
}

struct Arguments {
    json_bytes: u64,
    seed: u64,
    layout: Layout,
    spins: u64,
    output: String,
}

fn arguments() -> Result<Arguments, String> {
    let mut parsed = Arguments {
        json_bytes: 500 << 20,
        seed: 1,
        layout: Layout::New,
        spins: 4000,
        output: String::new(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(flag) = words.next() {
        let value = words.next().ok_or(format!("{flag} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|e| format!("{flag} {value}: {e}"));
        match flag.as_str() {
            "--json-mb" => parsed.json_bytes = number()? * 1_000_000,
            "--seed" => parsed.seed = number()?,
            "--spins" => parsed.spins = number()?.max(1),
            "--layout" if value == "old" => parsed.layout = Layout::Old,
            "--layout" if value == "new" => parsed.layout = Layout::New,
            "-o" => parsed.output = value,
            _ => return Err(format!("unknown argument {flag} {value}")),
        }
    }
    if parsed.output.is_empty() { Err("-o FILE is missing".to_owned()) } else { Ok(parsed) }
}

/// Marsaglia's xorshift64*: small, seeded, good enough to vary names and times.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n
    }
}

struct Counted<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buffer)?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

struct Generator<W: Write> {
    out: Counted<W>,
    random: Random,
    layout: Layout,
    /// How often a wait spins at most, but for a twentieth.
    spins: u64,
    is_first: bool,
    now_ns: i64,
    python_id: u64,
    correlation: u64,
}

const PID: u64 = 17815;
const OPS: [&str; 8] = [
    "aten::mm",
    "aten::add",
    "aten::copy_",
    "aten::linear",
    "_C::rms_norm",
    "aten::to",
    "vllm::unified_attention_with_output",
    "aten::empty",
];
const KERNELS: [&str; 5] = [
    "nvjet_sm90_tst_24x64_64x16_4x1_v_bz_bias_TNN",
    "void at::native::vectorized_elementwise_kernel<4, at::native::FillFunctor<long>, std::array<char*, 1ul> >(int, at::native::FillFunctor<long>, std::array<char*, 1ul>)",
    "void vllm::rms_norm_kernel<c10::BFloat16, 8, 3>(c10::BFloat16*, c10::BFloat16 const*, long, c10::BFloat16 const*, float, int, int)",
    "void flash::flash_fwd_splitkv_kernel<Flash_fwd_kernel_traits<128, 64, 128, 4, false, false, cutlass::bfloat16_t> >(Flash_fwd_params)",
    "ncclDevKernel_AllReduce_Sum_bf16_RING_LL(ncclDevKernelArgsStorage<4096ul>)",
];
const SPIN: [(&str, i64); 9] = [
    ("vllm/distributed/device_communicators/shm_broadcast.py(773): check", 1692),
    ("vllm/distributed/device_communicators/shm_broadcast.py(78): memory_fence", 952),
    ("<built-in method __exit__ of _thread.lock object at 0x7f4d8e331d00>", 204),
    ("vllm/distributed/device_communicators/shm_broadcast.py(733): timeout_ms", 303),
    ("vllm/distributed/device_communicators/shm_broadcast.py(191): wait", 5479),
    ("<built-in function monotonic>", 214),
    ("vllm/distributed/utils.py(46): sched_yield", 4199),
    ("<built-in function sched_yield>", 3792),
    ("vllm/distributed/device_communicators/shm_broadcast.py(750): should_warn", 221),
];

impl<W: Write> Generator<W> {
    fn event(
        &mut self,
        cat: &str,
        name: &str,
        (pid, tid): (u64, u64),
        ts: i64,
        dur: i64,
        args: &str,
    ) -> io::Result<()> {
        let comma = if std::mem::take(&mut self.is_first) { "" } else { "," };
        let (ts, ts_ns) = (ts / 1000, ts % 1000);
        let (dur, dur_ns) = (dur / 1000, dur % 1000);
        match self.layout {
            Layout::New => writeln!(
                self.out,
                "{comma}\n  {{\n    \"ph\": \"X\",\n    \"cat\": \"{cat}\",\n    \"name\": \"{name}\",\n    \"pid\": {pid},\n    \"tid\": {tid},\n    \"ts\": {ts}.{ts_ns:03},\n    \"dur\": {dur}.{dur_ns:03}\n    ,\n    \"args\": {{\n      {args}\n    }}\n  }}"
            ),
            Layout::Old => writeln!(
                self.out,
                "{comma}\n  {{\n    \"ph\": \"X\", \"cat\": \"{cat}\", \"name\": \"{name}\", \"pid\": {pid}, \"tid\": {tid},\n    \"ts\": {ts}.{ts_ns:03}, \"dur\": {dur}.{dur_ns:03},\n    \"args\": {{\n      {args}\n    }}\n  }}"
            ),
        }
    }

    fn flow(&mut self, phase: &str, (pid, tid): (u64, u64), ts: i64, id: u64) -> io::Result<()> {
        let (ts, ns) = (ts / 1000, ts % 1000);
        let bind = if phase == "f" { ", \"bp\": \"e\"" } else { "" };
        writeln!(
            self.out,
            ",\n  {{\n    \"ph\": \"{phase}\", \"id\": {id}, \"pid\": {pid}, \"tid\": {tid}, \"ts\": {ts}.{ns:03},\n    \"cat\": \"ac2g\", \"name\": \"ac2g\"{bind}\n  }}"
        )
    }

    fn python(&mut self, name: &str, ts: i64, dur: i64, parent: u64) -> io::Result<u64> {
        self.python_id += 1;
        let id = self.python_id;
        let args = format!(
            "\"Python parent id\": {parent}, \"Python id\": {id}, \"Ev Idx\": {}",
            id + 900
        );
        self.event("python_function", name, (PID, PID), ts, dur, &args)?;
        Ok(id)
    }

    /// One `dequeue` with its spin frames.
    fn wait(&mut self) -> io::Result<()> {
        let n_spins = self.spins / 20 + self.random.below(self.spins);
        let start = self.now_ns;
        let dequeue = self.python_id + 1;
        let mut spin_at = start + 2_000;
        let total = n_spins as i64 * 9_000 + 10_000;
        self.python(
            "vllm/distributed/device_communicators/shm_broadcast.py(882): dequeue",
            start,
            total,
            2,
        )?;
        for _ in 0..n_spins {
            let jitter = self.random.below(700) as i64;
            for (i, (name, dur)) in SPIN.iter().enumerate() {
                self.python(name, spin_at + i as i64 * 210, *dur + jitter, dequeue)?;
            }
            spin_at += 8_000 + jitter;
        }
        self.now_ns = start + total + 1_000;
        Ok(())
    }

    /// One annotated iteration: operators, calls, kernels.
    fn iteration(&mut self) -> io::Result<()> {
        let start = self.now_ns;
        for _ in 0..60 {
            let op = OPS[self.random.below(OPS.len() as u64) as usize];
            let rows = 1 + self.random.below(64);
            self.correlation += 1;
            let id = self.correlation;
            let args = format!(
                "\"External id\": {id},\"Record function id\": 0, \"Concrete Inputs\": [\"\", \"\", \"4\"], \"Input type\": [\"c10::BFloat16\", \"c10::BFloat16\", \"Scalar\"], \"Input Strides\": [[512, 1], [1, 512], []], \"Input Dims\": [[{rows}, 512], [512, 512], []], \"Ev Idx\": {id}"
            );
            self.event("cpu_op", op, (PID, PID), self.now_ns, 31_250, &args)?;
            let call = format!("\"External id\": {id},      \"cbid\": 211, \"correlation\": {id}");
            self.event(
                "cuda_runtime",
                "cudaLaunchKernel",
                (PID, PID),
                self.now_ns + 12_000,
                5_125,
                &call,
            )?;
            self.flow("s", (PID, PID), self.now_ns + 12_000, id)?;
            let kernel = KERNELS[self.random.below(KERNELS.len() as u64) as usize];
            let dur = 1_200 + self.random.below(20_000) as i64;
            let launch = format!(
                "\"External id\": {id},      \"queued\": 0, \"device\": 0, \"context\": 1,      \"stream\": 7, \"correlation\": {id},      \"registers per thread\": 168,      \"shared memory\": 197076,      \"blocks per SM\": 0.484848,      \"warps per SM\": 5.818182,      \"grid\": [{rows}, 16, 1],      \"block\": [384, 1, 1],      \"est. achieved occupancy %\": 0"
            );
            self.event("kernel", kernel, (0, 7), self.now_ns + 20_000, dur, &launch)?;
            self.flow("f", (0, 7), self.now_ns + 20_000, id)?;
            self.now_ns += 40_000 + self.random.below(9_000) as i64;
        }
        let n = 1 + self.random.below(8);
        let name = format!("execute_context_0(0)_generation_{n}({n})");
        let args = format!(
            "\"External id\": {},\"Record function id\": 0, \"Ev Idx\": 7",
            self.correlation
        );
        self.event("user_annotation", &name, (PID, PID), start - 500, self.now_ns - start, &args)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = arguments()?;
    let file = BufWriter::with_capacity(1 << 20, File::create(&arguments.output)?);
    let sink: Box<dyn Write> = if arguments.output.ends_with(".gz") {
        Box::new(BufWriter::with_capacity(1 << 16, GzEncoder::new(file, Compression::default())))
    } else {
        Box::new(file)
    };
    let mut generator = Generator {
        out: Counted { inner: sink, bytes: 0 },
        random: Random(arguments.seed | 1 << 40),
        layout: arguments.layout,
        spins: arguments.spins,
        is_first: true,
        now_ns: 4_446_268_522_022_402,
        python_id: 10,
        correlation: 500,
    };
    let first_ns = generator.now_ns;
    generator.out.write_all(b" {\n    \"schemaVersion\": 1,\n    \"deviceProperties\": [\n    {\n      \"id\": 0, \"name\": \"NVIDIA H100 80GB HBM3\", \"totalGlobalMem\": 85017493504, \"numSms\": 132\n    }],\n    \"with_stack\": 1,\n    \"displayTimeUnit\": \"ms\",\n    \"baseTimeNanoseconds\": 1790857026000000000,\n    \"traceEvents\": [")?;
    while generator.out.bytes < arguments.json_bytes {
        generator.iteration()?;
        generator.wait()?;
    }
    let span = generator.now_ns - first_ns;
    generator.event(
        "Trace",
        "PyTorch Profiler (0)",
        (PID, PID),
        first_ns - 1000,
        span + 2000,
        "\"Op count\": 0",
    )?;
    generator.out.write_all(b",\n  {\n    \"ph\": \"i\",\n    \"s\": \"g\",\n    \"name\": \"Record Window End\",\n    \"pid\": \"\",\n    \"tid\": \"\",\n    \"ts\": 4446268522022.402\n  }\n  ],\n  \"traceName\": \"generated.json\"\n}\n")?;
    generator.out.flush()?;
    Ok(())
}

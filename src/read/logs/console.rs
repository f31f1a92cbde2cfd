//! Console lines that say something about start-up, waiting and diffusion.
//!
//! Profiler lines are in `profiling`, lines that are known and ignored in `known`.

use crate::model::log::{
    DiffusionEvent, DiffusionStep, EngineThroughput, Format, LogDuration, Quantity, Record,
    StartupEvent, StartupStep,
};

use super::scan::{
    after, index_prefix, integer_after, number_prefix, quantity_after, seconds_after,
};

/// The class for the census, and the record of a message.
pub(crate) fn console(message: &str) -> Option<(&'static str, Record)> {
    if let Some(wait) = shm_wait(message) {
        return Some(("shm_wait", wait));
    }
    if let Some(event) = diffusion(message) {
        return Some(("diffusion_console", Record::Diffusion(event)));
    }
    if let Some(event) = startup(message) {
        return Some(("startup", Record::Startup(event)));
    }
    throughput(message).map(|record| ("engine_throughput", Record::Throughput(record)))
}

fn shm_wait(message: &str) -> Option<Record> {
    let mark = "No available shared memory broadcast block found in ";
    seconds_after(message, mark).map(Record::ShmWait)
}

/// Start-up lines: how they begin, what they mean, and the mark before the seconds that they took.
const STARTUP: &[(&str, StartupStep, &str)] = &[
    ("Initializing a V1 LLM engine", StartupStep::EngineInit, ""),
    ("Starting to load model ", StartupStep::LoadStarted, ""),
    ("Loading weights took ", StartupStep::WeightsLoaded, "took "),
    ("Model loading took ", StartupStep::ModelLoaded, " and "),
    ("Warming up model for the compilation", StartupStep::WarmupStarted, ""),
    ("Warming up done", StartupStep::WarmupDone, ""),
    ("dummy run to warm up the model", StartupStep::WarmupStarted, ""),
    ("torch.compile takes ", StartupStep::Compiled, "takes "),
    ("torch.compile took ", StartupStep::Compiled, "took "),
    ("Compiling a graph for ", StartupStep::Compiled, " takes "),
    ("Graph capturing finished in ", StartupStep::GraphsCaptured, "finished in "),
    ("GPU KV cache size: ", StartupStep::CacheSized, ""),
    ("CPU KV cache size: ", StartupStep::CacheSized, ""),
    ("init engine (", StartupStep::EngineReady, ") took "),
    ("[Omni] AsyncOmniEngine initialized in ", StartupStep::EngineReady, "initialized in "),
    ("All workers are ready", StartupStep::EngineReady, ""),
    ("[OmniEngine] Orchestrator ready", StartupStep::EngineReady, ""),
    ("[Orchestrator] All stages initialized successfully", StartupStep::Ready, ""),
    ("[Omni] Initialized with ", StartupStep::Ready, ""),
    ("Application startup complete", StartupStep::Ready, ""),
];

fn startup(message: &str) -> Option<StartupEvent> {
    let known = STARTUP.iter().find(|(begin, ..)| message.starts_with(begin));
    let (step, mark) = match known {
        Some((_, step, mark)) => (*step, *mark),
        None => (ready_step(message)?, ""),
    };
    let dur = if mark.is_empty() { None } else { seconds_after(message, mark) };
    let gib = (step == StartupStep::ModelLoaded).then(|| gib_of(message)).flatten();
    Some(StartupEvent { step, dur, stage: stage_of(message), gib, detail: short(message) })
}

/// Lines with an index before the words that matter.
fn ready_step(message: &str) -> Option<StartupStep> {
    let is_worker = message.starts_with("Worker ") || message.starts_with("Model runner: ");
    if is_worker && message.contains("Model loaded successfully") {
        return Some(StartupStep::ModelLoaded);
    }
    if is_worker && message.contains(" ready to receive requests") {
        return Some(StartupStep::WorkerReady);
    }
    let is_stage = message.starts_with("[Orchestrator] Stage-")
        && message.ends_with(" reported ready")
        || message.starts_with("[StageRuntime] Stage ") && message.contains(" initialized");
    is_stage.then_some(StartupStep::StageReady)
}

fn stage_of(message: &str) -> Option<u32> {
    let marks = ["[Orchestrator] Stage-", "[StageRuntime] Stage ", "[Stage-"];
    marks.iter().find_map(|mark| index_prefix(message.strip_prefix(mark)?))
}

/// `Model loading took 53.7462 GiB and 27.811149 seconds`; later versions write `GiB memory and`.
fn gib_of(message: &str) -> Option<Quantity> {
    let (number, rest) = number_prefix(after(message, "took ")?)?;
    rest.trim_start().starts_with("GiB").then(|| Quantity::parse(number, true)).flatten()
}

/// The message for people, cut where a configuration dump begins.
fn short(message: &str) -> String {
    let message = message.split(" with config: ").next().unwrap_or(message);
    message.chars().take(160).collect()
}

fn diffusion(message: &str) -> Option<DiffusionEvent> {
    let event = |step, dur| Some(DiffusionEvent { dur, ..empty(step) });
    if message.starts_with("Pre-processing completed in ") {
        return event(DiffusionStep::Preprocessed, seconds_after(message, " in "));
    }
    if message.starts_with("Generation completed successfully") {
        return event(DiffusionStep::Generated, None);
    }
    if message.starts_with("Post-processing completed in ") {
        return event(DiffusionStep::Postprocessed, seconds_after(message, " in "));
    }
    if message.starts_with("Total generation time: ") {
        return event(DiffusionStep::CallerTotal, seconds_after(message, "time: "));
    }
    if let Some(rest) = message.strip_prefix("OmniDiffusion initialized: ") {
        let mut loaded = empty(DiffusionStep::Loaded);
        loaded.dur = ms_after(rest, "init_ms=");
        loaded.name =
            after(rest, "class=").and_then(|rest| rest.split(',').next()).map(str::to_owned);
        return Some(loaded);
    }
    if message.starts_with("request_finished: ") || message.starts_with("generate_end: ") {
        let mut finished = empty(DiffusionStep::Finished);
        finished.requests = integer_after(message, "n_requests=");
        finished.dur = ms_after(message, "total_ms=");
        return Some(finished);
    }
    if message.starts_with("request_scheduled: ") || message.starts_with("generate_begin: ") {
        let mut begun = empty(DiffusionStep::Scheduled);
        begun.requests = integer_after(message, "n_requests=");
        begun.steps = integer_after(message, "'num_inference_steps': ");
        return Some(begun);
    }
    let rest = message.strip_prefix("[DiffusionPipelineProfiler] ")?;
    let (name, took) = rest.split_once(" took ")?;
    let (seconds, _) = number_prefix(took)?;
    let mut forward = empty(DiffusionStep::Forward);
    forward.name = Some(name.to_owned());
    forward.dur = LogDuration::from_s(seconds, true);
    Some(forward)
}

fn ms_after(text: &str, mark: &str) -> Option<LogDuration> {
    let (number, _) = number_prefix(after(text, mark)?)?;
    LogDuration::from_ms(number, true)
}

fn empty(step: DiffusionStep) -> DiffusionEvent {
    DiffusionEvent {
        step,
        format: Format::Console,
        pid: None,
        unix_ns: None,
        dur: None,
        engine: None,
        denoise_avg_ms: None,
        steps: None,
        requests: None,
        prompt_chars: None,
        chars_per_s: None,
        name: None,
        height_width: None,
    }
}

fn throughput(message: &str) -> Option<EngineThroughput> {
    let rest = message.strip_prefix("Engine ")?;
    let engine = index_prefix(rest)?;
    rest.contains("throughput: ").then(|| EngineThroughput {
        engine,
        prompt_tokens_per_s: quantity_after(rest, "Avg prompt throughput: "),
        generation_tokens_per_s: quantity_after(rest, "Avg generation throughput: "),
        running: integer_after(rest, "Running: "),
        waiting: integer_after(rest, "Waiting: "),
        kv_cache_pct: quantity_after(rest, " KV cache usage: "),
        prefix_hit_pct: quantity_after(rest, "Prefix cache hit rate: "),
    })
}

#[cfg(test)]
mod tests {
    use super::console;
    use crate::model::log::{DiffusionStep, Record, StartupStep};

    fn record(message: &str) -> Record {
        console(message).expect(message).1
    }

    #[test]
    fn startup_lines_give_their_time() {
        let cases: [(&str, StartupStep, Option<i64>); 6] = [
            (
                "Loading weights took 17.82 seconds",
                StartupStep::WeightsLoaded,
                Some(17_820_000_000),
            ),
            (
                "Model loading took 53.7462 GiB and 27.811149 seconds",
                StartupStep::ModelLoaded,
                Some(27_811_149_000),
            ),
            (
                "init engine (profile, create kv cache, warmup model) took 1.72 s",
                StartupStep::EngineReady,
                Some(1_720_000_000),
            ),
            (
                "Worker 0 ready to receive requests via shared memory",
                StartupStep::WorkerReady,
                None,
            ),
            (
                "[StageRuntime] Stage 3 replica 0 initialized (diffusion)",
                StartupStep::StageReady,
                None,
            ),
            (
                "Graph capturing finished in 20 secs, took 1.20 GiB",
                StartupStep::GraphsCaptured,
                Some(20_000_000_000),
            ),
        ];
        for (message, step, ns) in cases {
            let Record::Startup(event) = record(message) else { panic!("{message}") };
            assert_eq!((event.step, event.dur.map(|d| d.ns)), (step, ns), "{message}");
        }
        let Record::Startup(loaded) = record("Model loading took 14.25 GiB memory and 3.2 seconds")
        else {
            panic!()
        };
        assert_eq!(loaded.gib.unwrap().value, 14.25);
    }

    #[test]
    fn waits_and_diffusion_lines() {
        let Record::ShmWait(wait) =
            record("No available shared memory broadcast block found in 60 seconds. This")
        else {
            panic!()
        };
        assert_eq!(wait.ns, 60_000_000_000);
        let Record::Diffusion(pre) = record("Pre-processing completed in 0.0564 seconds") else {
            panic!()
        };
        assert_eq!((pre.step, pre.dur.unwrap().ns), (DiffusionStep::Preprocessed, 56_400_000));
        let Record::Diffusion(init) = record(
            "OmniDiffusion initialized: model=a, class=QwenImageEditPipeline, init_ms=36702.19",
        ) else {
            panic!()
        };
        assert_eq!(
            (init.name.as_deref(), init.dur.unwrap().ns),
            (Some("QwenImageEditPipeline"), 36_702_190_000)
        );
        let Record::Throughput(t) = record(
            "Engine 000: Avg prompt throughput: 3.4 tokens/s, Avg generation throughput: 1.9 tokens/s, Running: 0 reqs, Waiting: 2 reqs, GPU KV cache usage: 81.5%, Prefix cache hit rate: 7.0%",
        ) else {
            panic!()
        };
        assert_eq!((t.prompt_tokens_per_s.unwrap().value, t.waiting), (3.4, Some(2)));
        let shares = [t.kv_cache_pct, t.prefix_hit_pct].map(|share| share.unwrap().value);
        assert_eq!(shares, [81.5, 7.0]);
    }
}

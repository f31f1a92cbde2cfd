//! Drives the profiler of a running vLLM or vLLM-Omni server: start, workload, stop.
//!
//! Stop is called exactly when start succeeded, also when the workload fails or the user interrupts, and with the same
//! stages: vLLM-Omni answers with an error where a stage that has no profiler is asked to stop it. Prints nothing;
//! progress goes to the caller.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::http::{Answer, Failure, Server};
use crate::workload::{Workload, WorkloadEnd};

/// Limit for the calls that have to be quick.
const QUICK: Duration = Duration::from_secs(10);
/// Most characters of an error's body that are said.
const MAX_MESSAGE: usize = 500;
/// Between two signs of life while a start or a stop runs.
pub const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// Between two looks at the user's wishes.
const TICK: Duration = Duration::from_millis(50);
/// The first version that takes limits in the body of its start.
const LIMITS_IN_BODY: (u32, u32) = (0, 33);
/// The first version that is configured by `--profiler-config`.
const CONFIG_BY_FLAG: (u32, u32) = (0, 13);

/// What to ask of the server.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Stages, of a vLLM-Omni server; all when empty.
    pub stages: Vec<u32>,
    /// Iterations to record.
    pub max_iters: Option<u64>,
    /// Iterations to skip.
    pub delay_iters: Option<u64>,
    /// Prefix of the file names.
    pub prefix: Option<String>,
    /// Longest that the start may take, which may wait for every worker of the server.
    pub start_timeout: Duration,
    /// Longest that a stop may take.
    pub stop_timeout: Duration,
}

/// How the start came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// The profiler runs.
    Started,
    /// The routes do not exist: profiling is off.
    Off,
    /// Somebody else has started it.
    AlreadyStarted(String),
    /// The server refused, with status and text.
    Rejected(u16, String),
    /// No answer.
    NoAnswer(Failure),
    /// The user would not wait any longer for an answer; the profiler may start yet.
    Abandoned(Duration),
}

/// How the stop came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The profiler has stopped, after this time.
    Stopped(Duration),
    /// Somebody else had stopped it.
    StoppedElsewhere(String),
    /// The server answered with an error.
    Rejected(u16, String),
    /// No answer.
    NoAnswer(Failure),
    /// The user would not wait any longer; the server may still be writing.
    Abandoned(Duration),
}

/// Everything that happened.
#[derive(Debug)]
pub struct Driven {
    /// The server's version, where it says one.
    pub version: Option<String>,
    /// The start.
    pub start: Start,
    /// The workload; `None` when it was never run.
    pub workload: Option<WorkloadEnd>,
    /// The stop; `None` when there was nothing to stop.
    pub stop: Option<Stop>,
    /// What there is to say, for people. It was also given to the caller as progress, when it became known.
    pub notes: Vec<String>,
}

/// Starts the profiler, runs the workload, stops the profiler. `interrupts` counts the user's wishes to end: one ends
/// the workload and stops in order, two give up waiting for the start or the stop.
pub fn drive(
    server: &Server,
    request: &Request,
    workload: Workload,
    interrupts: &AtomicUsize,
    progress: &mut dyn FnMut(&str),
) -> Driven {
    let version = version(server);
    let (body, notes) = start_body(request, version.as_deref());
    // Said before the workload: who reads them may want to end here.
    notes.iter().for_each(|note| progress(&format!("note: {note}")));
    let mut driven = Driven { version, start: Start::Off, workload: None, stop: None, notes };
    if interrupts.load(Ordering::Relaxed) > 0 {
        driven.start = Start::NoAnswer(Failure::Other("interrupted before the start".into()));
        return driven;
    }
    let call = Call { server, path: "/start_profile", body, limit: request.start_timeout };
    driven.start = match call.post(interrupts, "still starting", progress) {
        Waited::Answer(answer, _) => judge_start(answer),
        Waited::Abandoned(after) => Start::Abandoned(after),
    };
    if driven.start != Start::Started {
        let version = driven.version.as_deref();
        let note = after_no_start(&driven.start, version);
        note.iter().for_each(|note| progress(&format!("note: {note}")));
        driven.notes.extend(note);
        return driven;
    }
    progress("profiler started");
    driven.workload = Some(workload.run(interrupts));
    progress("stopping the profiler; on big traces this takes minutes");
    let body = body_text(stages_of(request));
    let call = Call { server, path: "/stop_profile", body, limit: request.stop_timeout };
    driven.stop = Some(match call.post(interrupts, "still stopping", progress) {
        Waited::Answer(answer, took) => judge_stop(answer, took),
        Waited::Abandoned(after) => Stop::Abandoned(after),
    });
    driven
}

/// What helps where the profiler did not start.
fn after_no_start(start: &Start, version: Option<&str>) -> Option<String> {
    match start {
        Start::Off => Some(how_to_turn_on(version)),
        Start::Rejected(_, text) if text.contains("not enabled") => {
            Some("a stage has no profiler: name those that have one with --stages, or configure it in the server's deploy configuration (profiler_config of the stage)".into())
        }
        Start::NoAnswer(Failure::Dropped | Failure::TimedOut(_)) | Start::Abandoned(_) => Some(
            "whether the profiler runs now is not known; POST /stop_profile ends it if it does"
                .into(),
        ),
        _ => None,
    }
}

/// The server's version as it gives it; `None` when it gives none.
pub fn version(server: &Server) -> Option<String> {
    let answer = server.get("/version", QUICK).ok().filter(|answer| answer.status == 200)?;
    let body: Value = serde_json::from_str(&answer.body).ok()?;
    body.get("version")?.as_str().map(str::to_owned)
}

/// Major and minor number of a version such as `0.30.0` or `0.33.1rc2+cpu`.
pub fn major_minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('v').split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The stages asked for, as start and stop of vLLM-Omni take them.
fn stages_of(request: &Request) -> Map<String, Value> {
    let stages = (!request.stages.is_empty()).then(|| request.stages.clone().into());
    stages.into_iter().map(|stages| ("stages".to_owned(), stages)).collect()
}

fn body_text(body: Map<String, Value>) -> Option<String> {
    (!body.is_empty()).then(|| Value::Object(body).to_string())
}

/// The start's body, and what the server at hand will not heed.
fn start_body(request: &Request, version: Option<&str>) -> (Option<String>, Vec<String>) {
    let mut body = stages_of(request);
    let mut notes = Vec::new();
    // Only vLLM-Omni has stages, and its routes take nothing else.
    let is_omni = !request.stages.is_empty();
    let understood = !is_omni && version.and_then(major_minor).is_none_or(|v| v >= LIMITS_IN_BODY);
    let limits = [
        ("max_iterations", request.max_iters),
        // vLLM counts the iteration that starts the profiler as one of the delay.
        ("delay_iterations", request.delay_iters.map(|d| if d == 0 { 0 } else { d + 1 })),
    ];
    let mut unheeded = Vec::new();
    for (key, value) in limits.into_iter().filter_map(|(key, value)| Some((key, value?))) {
        match understood {
            true => drop(body.insert(key.into(), value.into())),
            false => unheeded.push(key),
        }
    }
    if let Some(prefix) = &request.prefix {
        match understood {
            true => drop(body.insert("profile_prefix".into(), prefix.clone().into())),
            false => unheeded.push("profile_prefix"),
        }
    }
    if !unheeded.is_empty() {
        let server = if is_omni { "vLLM-Omni" } else { "vLLM" };
        notes.push(format!(
            "{server} {} takes {} from its own start only, not from /start_profile: give them to the server",
            version.unwrap_or("of unknown version"),
            unheeded.join(", ")
        ));
    }
    (body_text(body), notes)
}

fn judge_start(answer: Result<Answer, Failure>) -> Start {
    match answer {
        Err(failure) => Start::NoAnswer(failure),
        Ok(Answer { status: 200..=299, .. }) => Start::Started,
        Ok(Answer { status: 404, .. }) => Start::Off,
        Ok(Answer { status, body }) => {
            let text = message(&body);
            let lower = text.to_lowercase();
            if status == 409 || lower.contains("already") {
                return Start::AlreadyStarted(text);
            }
            Start::Rejected(status, text)
        }
    }
}

fn judge_stop(answer: Result<Answer, Failure>, took: Duration) -> Stop {
    match answer {
        Err(failure) => Stop::NoAnswer(failure),
        Ok(Answer { status: 200..=299, .. }) => Stop::Stopped(took),
        Ok(Answer { status, body }) => {
            let text = message(&body);
            let lower = text.to_lowercase();
            let idle = ["not running", "not active", "not started", "no active", "already stopped"];
            if status == 409 || idle.iter().any(|words| lower.contains(words)) {
                return Stop::StoppedElsewhere(text);
            }
            Stop::Rejected(status, text)
        }
    }
}

/// The words in an error's body: FastAPI's `detail`, vLLM's `error.message`, or the body itself.
fn message(body: &str) -> String {
    let json: Option<Value> = serde_json::from_str(body).ok();
    let found = json.as_ref().and_then(|json| {
        let nested = json.get("error").and_then(|error| error.get("message"));
        let text = json.get("detail").or(nested).or_else(|| json.get("error"))?;
        Some(text.as_str().map_or_else(|| text.to_string(), str::to_owned))
    });
    let text = found.unwrap_or_else(|| body.trim().to_owned());
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// A call that may take long.
struct Call<'a> {
    server: &'a Server,
    path: &'static str,
    body: Option<String>,
    limit: Duration,
}

/// How waiting for an answer ended, and after how long.
enum Waited {
    Answer(Result<Answer, Failure>, Duration),
    Abandoned(Duration),
}

impl Call<'_> {
    /// Posts it and waits, with signs of life that begin with `words`, until the user will not wait any longer.
    fn post(self, interrupts: &AtomicUsize, words: &str, progress: &mut dyn FnMut(&str)) -> Waited {
        let began = Instant::now();
        let already = interrupts.load(Ordering::Relaxed);
        let (tell, hear) = sync_channel(1);
        let (server, body) = (self.server.clone(), self.body);
        let thread = std::thread::Builder::new().name("profiler-call".into()).spawn(move || {
            // Nobody hears it when the user has given up.
            tell.send(server.post(self.path, body.as_deref(), self.limit)).ok();
        });
        if let Err(error) = thread {
            return Waited::Answer(Err(Failure::Other(error.to_string())), began.elapsed());
        }
        let mut next = PROGRESS_EVERY;
        loop {
            match hear.recv_timeout(TICK) {
                Ok(answer) => return Waited::Answer(answer, began.elapsed()),
                Err(RecvTimeoutError::Disconnected) => {
                    return Waited::Answer(Err(Failure::Dropped), began.elapsed());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            // The first wish to end is heeded when the answer is there: then it is known what is to be stopped.
            if interrupts.load(Ordering::Relaxed) > already.max(1) {
                return Waited::Abandoned(began.elapsed());
            }
            if began.elapsed() >= next {
                progress(&format!("{words}, {} s", began.elapsed().as_secs()));
                next += PROGRESS_EVERY;
            }
        }
    }
}

/// How to turn profiling on, for the version found.
pub fn how_to_turn_on(version: Option<&str>) -> String {
    const BY_FLAG: &str = r#"start the server with --profiler-config '{"profiler":"torch","torch_profiler_dir":"DIR"}'"#;
    const BY_ENV: &str = "set VLLM_TORCH_PROFILER_DIR=DIR in the server's environment";
    match version.and_then(major_minor) {
        Some(v) if v >= CONFIG_BY_FLAG => format!("profiling is off: {BY_FLAG}"),
        Some(_) => format!("profiling is off: {BY_ENV}"),
        None => format!("profiling is off: {BY_FLAG} (vLLM 0.13 and later), or {BY_ENV} (earlier)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_hold_what_the_version_understands() {
        let request = Request {
            stages: vec![1],
            max_iters: Some(2),
            delay_iters: Some(3),
            ..Request::default()
        };
        let all = Request { stages: vec![], ..request.clone() };
        let (body, notes) = start_body(&all, Some("0.33.0"));
        assert_eq!(body.as_deref(), Some(r#"{"max_iterations":2,"delay_iterations":4}"#));
        assert!(notes.is_empty());
        for (asked, body, server) in
            [(all, None, "vLLM 0.30.0 "), (request, Some(r#"{"stages":[1]}"#), "vLLM-Omni 0.30.0 ")]
        {
            let (text, notes) = start_body(&asked, Some("0.30.0"));
            assert_eq!(text.as_deref(), body);
            assert!(notes[0].starts_with(server), "{notes:?}");
            assert!(notes[0].contains("max_iterations, delay_iterations"), "{notes:?}");
        }
        assert_eq!(start_body(&Request::default(), None), (None, vec![]));
    }

    #[test]
    fn versions_and_messages_are_read() {
        assert_eq!(major_minor("0.33.1rc2+cpu"), Some((0, 33)));
        assert_eq!(major_minor("dev"), None);
        assert_eq!(message(r#"{"detail":"Not Found"}"#), "Not Found");
        assert_eq!(message(r#"{"error":{"message":"engine dead"}}"#), "engine dead");
        assert_eq!(message("Internal Server Error\nmore"), "Internal Server Error");
        assert_eq!(message(&"é".repeat(70_000)).chars().count(), MAX_MESSAGE + 1);
        assert!(how_to_turn_on(Some("0.12.0")).contains("VLLM_TORCH_PROFILER_DIR"));
        assert!(how_to_turn_on(Some("0.30.0")).contains("--profiler-config"));
    }
}

//! Drives the profiler of a running vLLM or vLLM-Omni server: start, workload, stop.
//!
//! Stop is called exactly when start succeeded, also when the workload fails or the user interrupts. Prints nothing;
//! progress goes to the caller.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::http::{Answer, Failure, Server};
use crate::workload::{Workload, WorkloadEnd};

/// Limit for the calls that have to be quick.
const QUICK: Duration = Duration::from_secs(10);
/// Limit for the start, which may wait for every worker of the server.
const START: Duration = Duration::from_secs(120);
/// Between two signs of life while a stop runs.
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
    /// What there is to say, for people.
    pub notes: Vec<String>,
}

/// Starts the profiler, runs the workload, stops the profiler. `interrupts` counts the user's wishes to end: one ends
/// the workload and stops in order, two give up waiting for the stop.
pub fn drive(
    server: &Server,
    request: &Request,
    workload: Workload,
    interrupts: &AtomicUsize,
    progress: &mut dyn FnMut(&str),
) -> Driven {
    let version = version(server);
    let (body, notes) = start_body(request, version.as_deref());
    let mut driven = Driven { version, start: Start::Off, workload: None, stop: None, notes };
    if interrupts.load(Ordering::Relaxed) > 0 {
        driven.start = Start::NoAnswer(Failure::Other("interrupted before the start".into()));
        return driven;
    }
    driven.start = judge_start(server.post("/start_profile", body.as_deref(), START));
    match &driven.start {
        Start::Started => {}
        Start::Off => {
            driven.notes.push(how_to_turn_on(driven.version.as_deref()));
            return driven;
        }
        Start::NoAnswer(Failure::Dropped | Failure::TimedOut(_)) => {
            driven.notes.push(
                "whether the profiler runs now is not known; POST /stop_profile ends it if it does"
                    .into(),
            );
            return driven;
        }
        _ => return driven,
    }
    progress("profiler started");
    driven.workload = Some(workload.run(interrupts));
    progress("stopping the profiler; on big traces this takes minutes");
    driven.stop = Some(stop(server, request, interrupts, progress));
    driven
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

/// The start's body, and what the version at hand will not heed.
fn start_body(request: &Request, version: Option<&str>) -> (Option<String>, Vec<String>) {
    let mut body = Map::new();
    let mut notes = Vec::new();
    if !request.stages.is_empty() {
        body.insert("stages".into(), request.stages.clone().into());
    }
    let understood = version.and_then(major_minor).is_none_or(|v| v >= LIMITS_IN_BODY);
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
        notes.push(format!(
            "vLLM {} takes {} from its own start only, not from /start_profile: give them to the server",
            version.unwrap_or("of unknown version"),
            unheeded.join(", ")
        ));
    }
    let text = (!body.is_empty()).then(|| Value::Object(body).to_string());
    (text, notes)
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
    text.lines().next().unwrap_or_default().to_owned()
}

fn stop(
    server: &Server,
    request: &Request,
    interrupts: &AtomicUsize,
    progress: &mut dyn FnMut(&str),
) -> Stop {
    let began = Instant::now();
    let already = interrupts.load(Ordering::Relaxed);
    let (tell, hear) = sync_channel(1);
    let (asked, limit) = (server.clone(), request.stop_timeout);
    let thread = std::thread::Builder::new().name("stop-profile".into()).spawn(move || {
        // Nobody hears it when the user has given up.
        tell.send(asked.post("/stop_profile", None, limit)).ok();
    });
    if let Err(error) = thread {
        return Stop::NoAnswer(Failure::Other(error.to_string()));
    }
    let mut next = PROGRESS_EVERY;
    loop {
        match hear.recv_timeout(TICK) {
            Ok(answer) => return judge_stop(answer, began.elapsed()),
            Err(RecvTimeoutError::Disconnected) => return Stop::NoAnswer(Failure::Dropped),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if interrupts.load(Ordering::Relaxed) > already.max(1) {
            return Stop::Abandoned(began.elapsed());
        }
        if began.elapsed() >= next {
            progress(&format!("still stopping, {} s", began.elapsed().as_secs()));
            next += PROGRESS_EVERY;
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
        let (body, notes) = start_body(&request, Some("0.33.0"));
        assert_eq!(
            body.as_deref(),
            Some(r#"{"stages":[1],"max_iterations":2,"delay_iterations":4}"#)
        );
        assert!(notes.is_empty());
        let (body, notes) = start_body(&request, Some("0.30.0"));
        assert_eq!(body.as_deref(), Some(r#"{"stages":[1]}"#));
        assert!(notes[0].contains("max_iterations, delay_iterations"), "{notes:?}");
        assert_eq!(start_body(&Request::default(), None), (None, vec![]));
    }

    #[test]
    fn versions_and_messages_are_read() {
        assert_eq!(major_minor("0.33.1rc2+cpu"), Some((0, 33)));
        assert_eq!(major_minor("dev"), None);
        assert_eq!(message(r#"{"detail":"Not Found"}"#), "Not Found");
        assert_eq!(message(r#"{"error":{"message":"engine dead"}}"#), "engine dead");
        assert_eq!(message("Internal Server Error\nmore"), "Internal Server Error");
        assert!(how_to_turn_on(Some("0.12.0")).contains("VLLM_TORCH_PROFILER_DIR"));
        assert!(how_to_turn_on(Some("0.30.0")).contains("--profiler-config"));
    }
}

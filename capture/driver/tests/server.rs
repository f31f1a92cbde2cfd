//! Driving a server, against a local one that answers as vLLM 0.30.0 was recorded to, and in every wrong way.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use omni_trace_driver::http::{Failure, Server};
use omni_trace_driver::server::{Driven, PROGRESS_EVERY, Request, Start, Stop, drive};
use omni_trace_driver::workload::{Workload, WorkloadEnd};

/// What the server does with a call.
#[derive(Clone)]
enum Reply {
    /// Answers with status and body.
    Answer(u16, &'static str),
    /// Answers 200 after some time.
    Late(Duration),
    /// Closes the connection without a word.
    Drop,
    /// Closes it in the middle of the answer's head.
    DropMidway,
}

/// The recorded answers: empty bodies with 200, and a version.
const VERSION: Reply = Reply::Answer(200, r#"{"version":"0.30.0"}"#);
const OK: Reply = Reply::Answer(200, "");

struct Local {
    address: String,
    calls: Arc<Mutex<Vec<String>>>,
    end: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Local {
    fn start(version: Reply, start: Reply, stop: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (calls, end) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (seen, ended) = (Arc::clone(&calls), Arc::clone(&end));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                serve(stream, &seen, (&version, &start, &stop));
            }
        });
        Self { address, calls, end, thread: Some(thread) }
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    /// From now on nobody listens.
    fn close(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        TcpStream::connect(&self.address).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.close();
    }
}

fn serve(mut stream: TcpStream, calls: &Mutex<Vec<String>>, replies: (&Reply, &Reply, &Reply)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if header.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let call = first.trim().trim_end_matches(" HTTP/1.1").to_owned();
    let body = String::from_utf8(body).unwrap();
    calls.lock().unwrap().push(format!("{call} {body}").trim().to_owned());
    let reply = match call.as_str() {
        "GET /version" => replies.0,
        "POST /start_profile" => replies.1,
        "POST /stop_profile" => replies.2,
        _ => &Reply::Answer(404, r#"{"detail":"Not Found"}"#),
    };
    let (status, text) = match reply {
        Reply::Answer(status, text) => (*status, *text),
        Reply::Late(delay) => {
            std::thread::sleep(*delay);
            (200, "")
        }
        Reply::Drop => return,
        Reply::DropMidway => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ndate: Sat, 21").unwrap();
            return;
        }
    };
    let answer = format!(
        "HTTP/1.1 {status} X\r\nserver: uvicorn\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
        text.len()
    );
    // The client may have given up.
    stream.write_all(answer.as_bytes()).ok();
}

fn request() -> Request {
    let limit = Duration::from_secs(30);
    Request { start_timeout: limit, stop_timeout: limit, ..Request::default() }
}

fn workload() -> Workload {
    Workload::Command { line: vec!["true".into()], env: vec![] }
}

fn drive_it(local: &Local, request: &Request, workload: Workload) -> Driven {
    drive(&Server::new(&local.address), request, workload, &AtomicUsize::new(0), &mut |_| {})
}

const ORDER: [&str; 3] = ["GET /version", "POST /start_profile", "POST /stop_profile"];

#[test]
fn a_capture_goes_start_workload_stop() {
    let local = Local::start(VERSION, OK, Reply::Late(Duration::from_millis(300)));
    let driven = drive_it(&local, &request(), workload());
    assert_eq!(driven.version.as_deref(), Some("0.30.0"));
    assert_eq!(driven.start, Start::Started);
    assert_eq!(driven.workload, Some(WorkloadEnd::Done));
    let Some(Stop::Stopped(took)) = driven.stop else { panic!("{:?}", driven.stop) };
    assert!(took >= Duration::from_millis(300));
    assert_eq!(local.calls(), ORDER);
}

#[test]
fn stages_go_in_the_body_and_limits_where_the_version_takes_them() {
    let asked = Request { stages: vec![1, 2], max_iters: Some(4), ..request() };
    let local = Local::start(VERSION, OK, OK);
    let driven = drive_it(&local, &asked, workload());
    let stages = r#"{"stages":[1,2]}"#;
    let calls =
        [ORDER[0].into(), format!("{} {stages}", ORDER[1]), format!("{} {stages}", ORDER[2])];
    assert_eq!(local.calls(), calls);
    assert!(
        driven.notes[0].contains("vLLM-Omni 0.30.0 takes max_iterations"),
        "{:?}",
        driven.notes
    );
    let new = Reply::Answer(200, r#"{"version":"0.33.0"}"#);
    let local = Local::start(new, OK, OK);
    drive_it(&local, &Request { stages: vec![], ..asked }, workload());
    assert_eq!(local.calls()[1], r#"POST /start_profile {"max_iterations":4}"#);
    assert_eq!(local.calls()[2], ORDER[2]);
}

/// vLLM-Omni 0.18 and 0.20 answer with what each worker returned, later ones with a word.
#[test]
fn every_success_of_vllm_omni_is_one() {
    for body in ["[null]", "[null,[null,null]]", r#"{"status":"SUCCESS"}"#, "null"] {
        let local = Local::start(VERSION, Reply::Answer(200, body), Reply::Answer(200, body));
        let driven = drive_it(&local, &request(), workload());
        assert_eq!(driven.start, Start::Started, "{body}");
        assert!(matches!(driven.stop, Some(Stop::Stopped(_))), "{body}");
        assert!(driven.notes.is_empty(), "{:?}", driven.notes);
    }
}

#[test]
fn a_stage_of_vllm_omni_without_a_profiler_is_explained() {
    let text = "Failed to start profiler: Profiling is not enabled. For diffusion models, set --profiler-config via CLI. \
                For omni models, add profiler_config to the relevant deploy config stage.";
    let body: &'static str = format!(r#"{{"detail":"{text}"}}"#).leak();
    let local = Local::start(VERSION, Reply::Answer(500, body), OK);
    let driven = drive_it(&local, &request(), workload());
    assert_eq!(driven.start, Start::Rejected(500, text.into()));
    assert!(driven.notes[0].contains("--stages"), "{:?}", driven.notes);
    assert_eq!(local.calls(), ORDER[..2]);
    let failed = r#"{"detail":"Failed to stop profiler: disableProfiler called but no active profiling session found"}"#;
    let local = Local::start(VERSION, OK, Reply::Answer(500, failed));
    let stop = drive_it(&local, &request(), workload()).stop;
    assert!(
        matches!(&stop, Some(Stop::StoppedElsewhere(text)) if text.contains("no active")),
        "{stop:?}"
    );
}

#[test]
fn profiling_that_is_off_is_explained_and_nothing_is_stopped() {
    let not_found = Reply::Answer(404, r#"{"detail":"Not Found"}"#);
    let local = Local::start(VERSION, not_found.clone(), OK);
    let driven = drive_it(&local, &request(), workload());
    assert_eq!((driven.start, driven.workload, driven.stop), (Start::Off, None, None));
    assert!(driven.notes[0].contains("--profiler-config"), "{:?}", driven.notes);
    assert_eq!(local.calls(), ORDER[..2]);
    let local = Local::start(not_found.clone(), not_found, OK);
    let driven = drive_it(&local, &request(), workload());
    assert!(driven.notes[0].contains("VLLM_TORCH_PROFILER_DIR"), "{:?}", driven.notes);
}

#[test]
fn a_start_that_fails_is_never_stopped() {
    let rejected = |status, text| Start::Rejected(status, str::to_owned(text));
    let cases = [
        (
            Reply::Answer(500, r#"{"detail":"Failed to start profiler: no dir"}"#),
            rejected(500, "Failed to start profiler: no dir"),
        ),
        (
            Reply::Answer(405, r#"{"detail":"Method Not Allowed"}"#),
            rejected(405, "Method Not Allowed"),
        ),
        (Reply::Answer(422, r#"{"detail":[{"type":"x"}]}"#), rejected(422, r#"[{"type":"x"}]"#)),
        (
            Reply::Answer(500, r#"{"detail":"Profiler is already running"}"#),
            Start::AlreadyStarted("Profiler is already running".into()),
        ),
        (Reply::Drop, Start::NoAnswer(Failure::Dropped)),
        (Reply::DropMidway, Start::NoAnswer(Failure::Dropped)),
    ];
    for (reply, expected) in cases {
        let local = Local::start(VERSION, reply, OK);
        let driven = drive_it(&local, &request(), workload());
        assert_eq!(driven.start, expected);
        assert_eq!((driven.workload, driven.stop), (None, None));
        assert_eq!(local.calls(), ORDER[..2]);
    }
}

#[test]
fn nobody_listening_is_a_refusal() {
    let mut local = Local::start(VERSION, OK, OK);
    local.close();
    let driven = drive_it(&local, &request(), workload());
    assert_eq!(driven.start, Start::NoAnswer(Failure::Refused));
    assert_eq!(driven.stop, None);
}

#[test]
fn failed_stops_are_told_apart() {
    let cases = [
        (
            Reply::Answer(500, r#"{"error":{"message":"EngineCore died"}}"#),
            Stop::Rejected(500, "EngineCore died".into()),
        ),
        (Reply::Answer(404, r#"{"detail":"Not Found"}"#), Stop::Rejected(404, "Not Found".into())),
        (
            Reply::Answer(400, r#"{"detail":"Profiler is not running"}"#),
            Stop::StoppedElsewhere("Profiler is not running".into()),
        ),
        (Reply::Drop, Stop::NoAnswer(Failure::Dropped)),
        (Reply::DropMidway, Stop::NoAnswer(Failure::Dropped)),
    ];
    for (reply, expected) in cases {
        let local = Local::start(VERSION, OK, reply);
        assert_eq!(drive_it(&local, &request(), workload()).stop, Some(expected));
        assert_eq!(local.calls(), ORDER);
    }
    let limit = Duration::from_millis(200);
    let local = Local::start(VERSION, OK, Reply::Late(Duration::from_secs(2)));
    let hasty = Request { stop_timeout: limit, ..request() };
    let stop = drive_it(&local, &hasty, workload()).stop;
    assert_eq!(stop, Some(Stop::NoAnswer(Failure::TimedOut(limit))));
}

#[test]
fn a_start_that_hangs_has_a_limit() {
    let limit = Duration::from_millis(200);
    let local = Local::start(VERSION, Reply::Late(Duration::from_secs(2)), OK);
    let driven = drive_it(&local, &Request { start_timeout: limit, ..request() }, workload());
    assert_eq!(driven.start, Start::NoAnswer(Failure::TimedOut(limit)));
    assert!(driven.notes[0].contains("POST /stop_profile ends it"), "{:?}", driven.notes);
    assert_eq!((driven.workload, driven.stop), (None, None));
}

#[test]
fn a_workload_that_fails_still_stops_the_profiler() {
    for line in [vec!["false".to_owned()], vec!["/no/such/program".to_owned()]] {
        let local = Local::start(VERSION, OK, OK);
        let driven = drive_it(&local, &request(), Workload::Command { line, env: vec![] });
        assert!(!matches!(driven.workload, Some(WorkloadEnd::Done)));
        assert!(matches!(driven.stop, Some(Stop::Stopped(_))));
        assert_eq!(local.calls(), ORDER);
    }
}

#[test]
fn an_interrupt_ends_the_workload_and_stops_the_profiler() {
    let local = Local::start(VERSION, OK, OK);
    let interrupts = Arc::new(AtomicUsize::new(0));
    let user = Arc::clone(&interrupts);
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        user.fetch_add(1, Ordering::Relaxed);
    });
    let began = Instant::now();
    let workload = Workload::Time(Duration::from_secs(100));
    let driven =
        drive(&Server::new(&local.address), &request(), workload, &interrupts, &mut |_| {});
    thread.join().unwrap();
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(driven.workload, Some(WorkloadEnd::Interrupted));
    assert!(matches!(driven.stop, Some(Stop::Stopped(_))));
    assert_eq!(local.calls(), ORDER);
}

/// Drives a server while the user wishes to end after each of these times.
fn drive_interrupted(local: &Local, wishes: &[u64]) -> Driven {
    let interrupts = Arc::new(AtomicUsize::new(0));
    let (user, wishes) = (Arc::clone(&interrupts), wishes.to_vec());
    let thread = std::thread::spawn(move || {
        for wait_ms in wishes {
            std::thread::sleep(Duration::from_millis(wait_ms));
            user.fetch_add(1, Ordering::Relaxed);
        }
    });
    let (server, workload) =
        (Server::new(&local.address), Workload::Time(Duration::from_secs(100)));
    let driven = drive(&server, &request(), workload, &interrupts, &mut |_| {});
    thread.join().unwrap();
    driven
}

#[test]
fn a_second_interrupt_gives_up_on_a_stop_that_takes_too_long() {
    let local = Local::start(VERSION, OK, Reply::Late(Duration::from_secs(3)));
    let driven = drive_interrupted(&local, &[300, 300]);
    assert!(matches!(driven.stop, Some(Stop::Abandoned(_))), "{:?}", driven.stop);
}

#[test]
fn an_interrupt_while_the_profiler_starts_stops_what_has_started_and_nothing_else() {
    let late = Reply::Late(Duration::from_secs(2));
    let local = Local::start(VERSION, late.clone(), OK);
    let driven = drive_interrupted(&local, &[500]);
    assert_eq!((driven.start, driven.workload), (Start::Started, Some(WorkloadEnd::Interrupted)));
    assert!(matches!(driven.stop, Some(Stop::Stopped(_))), "{:?}", driven.stop);
    assert_eq!(local.calls(), ORDER);
    let local = Local::start(VERSION, Reply::Answer(500, "no"), OK);
    assert_eq!(drive_interrupted(&local, &[0]).stop, None);
    let local = Local::start(VERSION, late, OK);
    let driven = drive_interrupted(&local, &[300, 300]);
    assert!(matches!(driven.start, Start::Abandoned(_)), "{:?}", driven.start);
    assert!(driven.notes[0].contains("POST /stop_profile ends it"), "{:?}", driven.notes);
    assert_eq!((driven.workload, driven.stop), (None, None));
}

#[test]
fn a_slow_stop_shows_signs_of_life() {
    let local = Local::start(VERSION, OK, Reply::Late(PROGRESS_EVERY + Duration::from_millis(500)));
    let mut said = Vec::new();
    let server = Server::new(&local.address);
    let calm = AtomicUsize::new(0);
    let driven =
        drive(&server, &request(), workload(), &calm, &mut |text| said.push(text.to_owned()));
    assert!(matches!(driven.stop, Some(Stop::Stopped(_))), "{:?}", driven.stop);
    let expected = [
        "profiler started",
        "stopping the profiler; on big traces this takes minutes",
        "still stopping, 5 s",
    ];
    assert_eq!(said, expected);
}

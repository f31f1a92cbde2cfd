//! `omni-trace capture --server` as a program: signals, TLS, traces that never come, and what is done with those that do.
//!
//! The server is a local one that answers as vLLM 0.30.0 was recorded to. How each answer is judged is tested in
//! `capture/driver/tests/server.rs`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const TRACE: &str = "fixtures/h100_rust_light/cap_light.pt.trace.json.gz";
const ORDER: [&str; 3] = ["GET /version", "POST /start_profile", "POST /stop_profile"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A server for the life of the test program.
struct Local {
    port: u16,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Local {
    /// A server whose stop takes this long; with a configuration, behind TLS.
    fn start(stop_takes: Duration, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&calls);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // A client that does not trust the certificate hangs up.
                let _ = match &tls {
                    None => answer(stream, &seen, stop_takes),
                    Some(config) => {
                        let session = rustls::ServerConnection::new(Arc::clone(config))
                            .expect("the configuration is whole");
                        answer(rustls::StreamOwned::new(session, stream), &seen, stop_takes)
                    }
                };
            }
        });
        Self { port, calls }
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().expect("no test has failed in there").clone()
    }
}

fn answer(
    stream: impl Read + Write,
    calls: &Mutex<Vec<String>>,
    stop_takes: Duration,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
    stream.read_line(&mut first)?;
    while stream.read_line(&mut line)? > 0 && !line.trim().is_empty() {
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    stream.read_exact(&mut vec![0; length])?;
    let call = first.trim().trim_end_matches(" HTTP/1.1").to_owned();
    calls.lock().expect("no test has failed in there").push(call.clone());
    if call == ORDER[2] {
        std::thread::sleep(stop_takes);
    }
    let body = if call == ORDER[0] { r#"{"version":"0.30.0"}"# } else { "" };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.get_mut().write_all(head.as_bytes())?;
    stream.get_mut().flush()
}

fn capture(local: &Local, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_omni-trace"));
    command.args(["capture", "--server", &format!("127.0.0.1:{}", local.port)]).args(args);
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn an_interrupt_stops_the_profiler_and_ends_the_workload() {
    for (signal, args) in [
        (Signal::INT, ["--for", "100s"].as_slice()),
        (Signal::TERM, &["--", "sh", "-c", "sleep 100; true"]),
    ] {
        let local = Local::start(Duration::from_millis(300), None);
        let began = Instant::now();
        let child = capture(&local, args).stderr(Stdio::piped()).spawn().expect("it starts");
        while local.calls().len() < 2 {
            assert!(began.elapsed() < Duration::from_secs(30), "{:?}", local.calls());
            std::thread::sleep(Duration::from_millis(10));
        }
        // The answer to the start is on its way.
        std::thread::sleep(Duration::from_millis(500));
        let pid = Pid::from_raw(child.id().cast_signed()).expect("a process has a number");
        kill_process(pid, signal).expect("it runs");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(130), "{}", said(&output));
        assert!(said(&output).contains("profiler stopped after"), "{}", said(&output));
        assert_eq!(local.calls(), ORDER);
        assert!(began.elapsed() < Duration::from_secs(60));
    }
}

#[test]
fn a_server_that_writes_nothing_is_an_error_and_a_damaged_trace_is_named() {
    let local = Local::start(Duration::ZERO, None);
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let path = dir.path().to_str().expect("temporary paths are UTF-8");
    let args = ["--stages", "7", "--trace-dir", path, "--trace-timeout", "500ms", "--", "true"];
    let output = capture(&local, &args).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("no complete trace appeared"), "{}", said(&output));
    assert!(said(&output).contains("Does the server have stage 7?"), "{}", said(&output));
    let write = format!("head -c 300 {TRACE} > {path}/x-rank-0.1.pt.trace.json.gz");
    let args = ["--trace-dir", path, "--trace-timeout", "2s", "--", "sh", "-c", &write];
    let output = capture(&local, &args).current_dir(root()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(stdout.contains("x-rank-0.1.pt.trace.json.gz (300 bytes): incomplete"), "{stdout}");
}

#[test]
fn the_traces_of_this_capture_are_analyzed_where_that_is_asked_for() {
    let local = Local::start(Duration::ZERO, None);
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let path = dir.path().to_str().expect("temporary paths are UTF-8");
    // A trace of earlier is none of this capture's.
    let earlier = Path::new(path).join("earlier-rank-0.1.pt.trace.json.gz");
    std::fs::copy(root().join(TRACE), earlier).expect("the fixture is there");
    let write = format!("cp {TRACE} {path}/now-rank-0.2.pt.trace.json.gz");
    let args = ["--trace-dir", path, "--analyze", "--", "sh", "-c", &write];
    let output = capture(&local, &args).current_dir(root()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(stdout.contains("Findings") && stdout.contains("Lead thread"), "{stdout}");
    assert!(stdout.contains("now-rank-0") && !stdout.contains("earlier-rank-0"), "{stdout}");
}

#[test]
fn a_server_behind_tls_is_driven_where_its_certificate_is_trusted() {
    let names = vec!["localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate can be made");
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der())
        .expect("the key is one");
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .and_then(|it| it.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key))
    .expect("certificate and key fit");
    let local = Local::start(Duration::ZERO, Some(Arc::new(config)));
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let file = dir.path().join("trusted.pem");
    std::fs::write(&file, made.cert.pem()).expect("the folder is writable");
    let url = format!("https://localhost:{}", local.port);
    let drive = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_omni-trace"));
        command.args(["capture", "--server", &url, "--", "true"]);
        command
    };
    let output = drive().env("SSL_CERT_FILE", &file).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(local.calls(), ORDER);
    let output = drive().env_remove("SSL_CERT_FILE").output().expect("it runs");
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("certificate"), "{}", said(&output));
    assert_eq!(local.calls().len(), 3);
}

/// A server that gives raw bytes to every call, and then waits or goes on for ever.
struct Hostile {
    version: Vec<u8>,
    start: Vec<u8>,
    then: Then,
}

#[derive(Clone, Copy)]
enum Then {
    HangUp,
    Wait,
    /// The same bytes again and again, as fast as they are taken.
    Repeat,
    /// A byte now and then.
    Drip,
}

impl Hostile {
    fn listen(self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let this = Arc::new(self);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let this = Arc::clone(&this);
                // The client hangs up when it has had enough.
                std::thread::spawn(move || this.answer(stream).ok());
            }
        });
        port
    }

    fn answer(&self, mut stream: std::net::TcpStream) -> std::io::Result<()> {
        let mut call = [0; 4096];
        let n = stream.read(&mut call)?;
        let is_version = call[..n].starts_with(b"GET /version");
        stream.write_all(if is_version { &self.version } else { &self.start })?;
        loop {
            match self.then {
                _ if is_version => return Ok(()),
                Then::HangUp => return Ok(()),
                Then::Wait => std::thread::sleep(Duration::from_secs(1)),
                Then::Repeat => stream.write_all(&self.start[self.start.len() / 2..])?,
                Then::Drip => {
                    std::thread::sleep(Duration::from_millis(50));
                    stream.write_all(b"x")?;
                }
            }
        }
    }
}

fn http(status: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Whatever a server answers, or does not: a message, an end, nothing that moves a cursor, bounded memory.
#[test]
fn hostile_servers_are_errors_in_bounded_time_and_memory() {
    let version = || http("200 OK", br#"{"version":"0.30.0"}"#);
    let turned = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}gnp.exe\u{9b}31m\r\u{8}";
    let detail = format!(r#"{{"detail":"{turned}"}}"#);
    let escaped = br#"{"error":{"message":"\u001b[2J\u202e \ud800 \u0000"}}"#;
    let endless =
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nhello\r\n";
    let headers = [&b"HTTP/1.1 200 OK\r\n"[..], &b"x-a: b\r\n".repeat(200_000)].concat();
    let redirect = b"HTTP/1.1 302 Found\r\nlocation: /start_profile\r\ncontent-length: 0\r\n\r\n";
    let cases: Vec<(&str, Vec<u8>, Vec<u8>, Then)> = vec![
        ("never answers", version(), Vec::new(), Then::Wait),
        ("answers a byte at a time", version(), b"HTTP/1.1 200".to_vec(), Then::Drip),
        ("a body without an end", version(), endless.to_vec(), Then::Repeat),
        ("headers without an end", version(), headers, Then::Repeat),
        (
            "less than it says",
            version(),
            b"HTTP/1.1 500 X\r\ncontent-length: 99\r\n\r\nx".to_vec(),
            Then::Wait,
        ),
        ("raw controls", version(), http("500 X", detail.as_bytes()), Then::HangUp),
        ("escaped controls", version(), http("400 X", escaped), Then::HangUp),
        (
            "controls in its version",
            http("200 OK", br#"{"version":"0.9.\u001b[2J\u202e"}"#),
            http("404 X", b""),
            Then::HangUp,
        ),
        ("a long line", version(), http("500 X", &b"m".repeat(5 << 20)), Then::HangUp),
        (
            "deep nesting",
            http("200 OK", &b"[".repeat(60_000)),
            http("500 X", &b"{\"error\":".repeat(6_000)),
            Then::HangUp,
        ),
        (
            "no HTTP",
            b"\x1f\x8b\x08\0\xff".to_vec(),
            b"\0\0\x1b[2Jnot http\r\n\r\n".to_vec(),
            Then::HangUp,
        ),
        ("a redirection to itself", version(), redirect.to_vec(), Then::HangUp),
    ];
    for (what, version, start, then) in cases {
        let port = Hostile { version, start, then }.listen();
        let program = env!("CARGO_BIN_EXE_omni-trace");
        let line = format!(
            "ulimit -v 2000000; ulimit -t 20; exec {program} capture --server 127.0.0.1:{port} --start-timeout 1s --max-iters 2 -- true"
        );
        let output = Command::new("sh").args(["-c", &line]).output().expect("it runs");
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{what}: {said}");
        assert!(said.contains("error: "), "{what}: {said}");
        assert!(said.len() < 4_000, "{what}: {} bytes are said", said.len());
        let moves =
            |c: &char| c.is_control() && *c != '\n' || ('\u{202a}'..='\u{202e}').contains(c);
        assert_eq!(said.chars().find(moves), None, "{what}: {said:?}");
        assert_eq!(output.stdout, b"", "{what}");
    }
}

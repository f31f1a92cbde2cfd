//! A headless Chromium behind chromedriver: WebDriver over plain HTTP on this machine.

#![allow(dead_code, clippy::allow_attributes, reason = "each test uses its part of this")]

use std::io::Read as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Longest time that anything may take on a machine with other work; what it ends is a test that would wait for ever.
const PATIENCE: Duration = Duration::from_secs(300);

/// A browser with its own profile; it ends when this is dropped.
pub(crate) struct Browser {
    driver: Child,
    session: String,
    _profile: tempfile::TempDir,
}

/// The browser, with the network off; `None`, said aloud, where there is none. Under CI there must be one.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn browser() -> Option<Browser> {
    let found = ["chromium", "chromedriver"].map(in_path);
    if found.iter().all(|&is_there| is_there) {
        return Some(Browser::start());
    }
    assert!(std::env::var_os("CI").is_none(), "under CI Chromium and chromedriver must be there");
    eprintln!("SKIPPED: no Chromium with chromedriver (Debian: chromium, chromium-driver)");
    None
}

fn in_path(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

fn call(method: &str, url: &str, body: &Value) -> Result<Value, String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .build()
        .into();
    let sent = match method {
        "GET" => agent.get(url).call(),
        "DELETE" => agent.delete(url).call(),
        _ => agent.post(url).header("Content-Type", "application/json").send(body.to_string()),
    };
    let mut response = sent.map_err(|error| error.to_string())?;
    let mut text = String::new();
    let mut reader = response.body_mut().with_config().limit(1 << 28).reader();
    reader.read_to_string(&mut text).map_err(|error| error.to_string())?;
    let mut answer: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let value = answer["value"].take();
    match value.get("error") {
        Some(error) if error.is_string() => Err(value.to_string()),
        _ => Ok(value),
    }
}

impl Browser {
    fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = free.local_addr().expect("it has an address").port();
        drop(free);
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let server = format!("http://127.0.0.1:{port}");
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let mut browser = Self { driver, session: String::new(), _profile: profile };
        let start = Instant::now();
        while call("GET", &format!("{server}/status"), &Value::Null).is_err() {
            assert!(start.elapsed() < PATIENCE, "chromedriver does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        let profile = browser._profile.path().display();
        let options = json!({"args": [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", format!("--user-data-dir={profile}"),
        ]});
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": options,
        }}});
        let session =
            call("POST", &format!("{server}/session"), &wanted).expect("the browser starts");
        let id = session["sessionId"].as_str().expect("a session has a name");
        browser.session = format!("{server}/session/{id}");
        browser.devtools("Network.enable", json!({}));
        browser.devtools(
            "Network.emulateNetworkConditions",
            json!({"offline": true, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}),
        );
        browser
    }

    fn post(&self, command: &str, body: Value) -> Value {
        call("POST", &format!("{}/{command}", self.session), &body)
            .unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// A command of the DevTools protocol.
    pub(crate) fn devtools(&self, command: &str, params: Value) -> Value {
        self.post("goog/cdp/execute", json!({"cmd": command, "params": params}))
    }

    /// Sets the size of what is seen, in CSS pixels.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", size);
    }

    /// Has the system prefer light or dark.
    pub(crate) fn prefer(&self, scheme: &str) {
        let feature = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", feature);
    }

    /// Gives the network back: of a page that is served from this machine.
    pub(crate) fn connect(&self) {
        self.devtools(
            "Network.emulateNetworkConditions",
            json!({"offline": false, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}),
        );
        self.post("timeouts", json!({"script": PATIENCE.as_millis()}));
    }

    /// Opens an address.
    pub(crate) fn visit(&self, url: &str) {
        self.post("url", json!({"url": url}));
    }

    /// Opens a report and waits until it has loaded and its scripts have made it ready.
    pub(crate) fn open(&self, page: &Path) {
        self.visit(&format!("file://{}", page.display()));
        self.until("!!document.documentElement.dataset.ready");
    }

    /// Waits until an expression of the page is true.
    pub(crate) fn until(&self, expression: &str) {
        let start = Instant::now();
        while self.run(&format!("return {expression}")) != true {
            assert!(start.elapsed() < PATIENCE, "never true: {expression}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the page has drawn what it was told.
    pub(crate) fn drawn(&self) {
        self.run(
            "document.documentElement.dataset.drawn = '';\
             requestAnimationFrame(() => requestAnimationFrame(() => { document.documentElement.dataset.drawn = 'yes'; }))",
        );
        self.until("document.documentElement.dataset.drawn === 'yes'");
    }

    /// Time that the processor has spent on the page's thread, in seconds, whatever else it did meanwhile.
    pub(crate) fn busy_s(&self) -> f64 {
        let metrics = self.devtools("Performance.getMetrics", json!({}));
        let metrics = metrics["metrics"].as_array().cloned().unwrap_or_default();
        let task = metrics.iter().find(|metric| metric["name"] == "TaskDuration");
        task.and_then(|metric| metric["value"].as_f64()).expect("the browser counts its tasks")
    }

    /// Runs a script and gives what it returns.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.run_with(script, &[])
    }

    /// Runs a script with arguments and gives what it returns.
    pub(crate) fn run_with(&self, script: &str, args: &[Value]) -> Value {
        self.post("execute/sync", json!({"script": script, "args": args}))
    }

    /// Runs a script with arguments and gives what it calls its last argument with.
    pub(crate) fn run_async(&self, script: &str, args: &[Value]) -> Value {
        self.post("execute/async", json!({"script": script, "args": args}))
    }

    /// Presses keys on the element that a selector finds.
    pub(crate) fn type_into(&self, selector: &str, text: &str) {
        let found = self.post("element", json!({"using": "css selector", "value": selector}));
        let id = found.as_object().and_then(|o| o.values().next()).and_then(Value::as_str);
        let id = id.expect("an element has a name");
        self.post(&format!("element/{id}/value"), json!({"text": text}));
    }

    /// What the browser has complained of since it was last asked.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.post("se/log", json!({"type": "browser"}));
        let lines = log.as_array().cloned().unwrap_or_default();
        lines.iter().map(|line| line["message"].to_string()).collect()
    }

    /// Writes what is seen of the page, from its top, as PNG.
    pub(crate) fn screenshot(&self, height: u32, path: &Path) {
        let width = self.run("return document.documentElement.clientWidth");
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1});
        let shot = self.devtools(
            "Page.captureScreenshot",
            json!({"format": "png", "clip": clip, "captureBeyondViewport": true}),
        );
        use base64::Engine as _;
        let text = shot["data"].as_str().expect("a picture");
        let bytes =
            base64::engine::general_purpose::STANDARD.decode(text).expect("a picture in base64");
        std::fs::write(path, bytes).expect("the picture can be written");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            let _ = call("DELETE", &self.session, &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

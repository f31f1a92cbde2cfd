//! A small HTTP client for the few calls that driving a server takes, with failures told apart.
//!
//! Nothing is retried: what a failure means is the caller's to decide.

use std::io;
use std::time::Duration;

use ureq::tls::{RootCerts, TlsConfig};

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, as text; cut at [`MAX_BODY`].
    pub body: String,
}

/// No answer came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// The connection ended before an answer was complete.
    #[error("the connection was dropped before an answer came")]
    Dropped,
    /// The time limit passed.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The host name is unknown.
    #[error("unknown host")]
    UnknownHost,
    /// The address is unusable, or the answer is not HTTP.
    #[error("{0}")]
    Other(String),
}

/// Most bytes of a body that are kept; answers of these routes are short.
pub const MAX_BODY: u64 = 64 << 10;

/// A server's address.
#[derive(Debug, Clone)]
pub struct Server {
    base: String,
}

impl Server {
    /// `http://host:port`, or `host:port`, with or without a slash at the end.
    pub fn new(url: &str) -> Self {
        let url = url.trim_end_matches('/');
        let base = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        Self { base }
    }

    /// The address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Gets a path.
    pub fn get(&self, path: &str, limit: Duration) -> Result<Answer, Failure> {
        let answer = agent(limit).get(format!("{}{path}", self.base)).call();
        read(answer, limit)
    }

    /// Posts a JSON body, or none, to a path.
    pub fn post(&self, path: &str, json: Option<&str>, limit: Duration) -> Result<Answer, Failure> {
        let request = agent(limit).post(format!("{}{path}", self.base));
        let answer = match json {
            Some(json) => request.content_type("application/json").send(json),
            None => request.send_empty(),
        };
        read(answer, limit)
    }
}

fn agent(limit: Duration) -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_global(Some(limit))
        .http_status_as_error(false)
        .max_redirects(0)
        .tls_config(TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build())
        .build()
        .into()
}

fn read(
    answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    limit: Duration,
) -> Result<Answer, Failure> {
    let mut answer = answer.map_err(|error| classify(error, limit))?;
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(MAX_BODY).lossy_utf8(true).read_to_string();
    match body {
        Ok(body) => Ok(Answer { status, body }),
        // A body too long to keep changes nothing about its status.
        Err(ureq::Error::BodyExceedsLimit(_)) => Ok(Answer { status, body: String::new() }),
        Err(error) => Err(classify(error, limit)),
    }
}

fn classify(error: ureq::Error, limit: Duration) -> Failure {
    match error {
        ureq::Error::Timeout(_) => Failure::TimedOut(limit),
        ureq::Error::HostNotFound => Failure::UnknownHost,
        ureq::Error::ConnectionFailed => Failure::Refused,
        ureq::Error::Io(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => Failure::Refused,
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Failure::Dropped,
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Failure::TimedOut(limit),
            _ => Failure::Other(error.to_string()),
        },
        // An answer that ends in its middle.
        ureq::Error::Protocol(_) => Failure::Dropped,
        other => Failure::Other(other.to_string()),
    }
}

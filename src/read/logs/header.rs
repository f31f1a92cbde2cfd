//! What stands before the message of a log line: process prefix, level, time, source file.
//!
//! Every form that vLLM, vLLM-Omni, Kineto, glog, uvicorn and torch_npu write. Takes text, gives parts; decides nothing
//! about the message.

use crate::model::log::LogTime;

/// How severe a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Debug,
    Info,
    Warning,
    Error,
    Critical,
}

/// Years in which a log may have been written; what 64 bits of nanoseconds hold ends in 2262.
const YEARS: std::ops::Range<i32> = 1970..2262;

/// Most loggers print whole seconds.
const SECOND_NS: i64 = 1_000_000_000;

const LEVELS: [(&str, Level); 6] = [
    ("DEBUG", Level::Debug),
    ("INFO", Level::Info),
    ("WARNING", Level::Warning),
    ("ERROR", Level::Error),
    ("CRITICAL", Level::Critical),
    ("USDT", Level::Info),
];

/// A line cut into what stands before its message, and the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header<'a> {
    /// Name and pid of the process, where the line has them.
    pub(crate) process: Option<(&'a str, Option<u32>)>,
    pub(crate) level: Option<Level>,
    pub(crate) time: Option<LogTime>,
    /// `stats.py:899`, or the name alone.
    pub(crate) source: Option<&'a str>,
    /// The rest.
    pub(crate) message: &'a str,
}

impl<'a> Header<'a> {
    /// The name of the source file without directories and line number.
    pub(crate) fn source_file(&self) -> Option<&'a str> {
        let file = self.source?.split(':').next()?;
        Some(file.rsplit('/').next().unwrap_or(file))
    }
}

/// Cuts a line that holds one message.
pub(crate) fn parse_header(line: &str) -> Header<'_> {
    let (process, rest) = match take_process(line) {
        Some((process, rest)) => (Some(process), rest),
        None => (None, line),
    };
    let mut header = parse_stamp(rest).unwrap_or(Header {
        process: None,
        level: None,
        time: None,
        source: None,
        message: rest,
    });
    header.process = process.or(header.process);
    header
}

/// `(Worker_TP0 pid=22443) ` or `[Stage-0] ` before a dated header.
pub(crate) fn take_process(line: &str) -> Option<((&str, Option<u32>), &str)> {
    if let Some(inner) = line.strip_prefix('(') {
        let (inside, rest) = inner.split_once(')')?;
        let (name, pid) = inside.split_once(" pid=")?;
        let pid: u32 = pid.parse().ok()?;
        let clean = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        return clean.then(|| ((name, Some(pid)), rest.strip_prefix(' ').unwrap_or(rest)));
    }
    let inner = line.strip_prefix('[')?;
    let (name, rest) = inner.split_once("] ")?;
    let is_stage = name.strip_prefix("Stage-")?.bytes().all(|b| b.is_ascii_digit());
    (is_stage && parse_stamp(rest).is_some()).then_some(((name, None), rest))
}

/// The stamp of any known logger.
fn parse_stamp(text: &str) -> Option<Header<'_>> {
    let first = *text.as_bytes().first()?;
    match first {
        b'[' => npu_stamp(text).or_else(|| glog_stamp(text)),
        b'0'..=b'9' => file_stamp(text),
        b'A'..=b'Z' => vllm_stamp(text)
            .or_else(|| kineto_stamp(text))
            .or_else(|| uvicorn_stamp(text))
            .or_else(|| glog_stamp(text)),
        _ => None,
    }
}

fn take_level(text: &str) -> Option<(Level, &str)> {
    LEVELS.iter().find_map(|(name, level)| Some((*level, text.strip_prefix(name)?)))
}

/// `INFO 11-21 23:39:38 [stats.py:899] message`: vLLM's logger.
fn vllm_stamp(text: &str) -> Option<Header<'_>> {
    let (level, rest) = take_level(text)?;
    let rest = rest.strip_prefix(' ')?;
    let time = LogTime {
        year: None,
        month: two_digits(rest, 0)?,
        day: two_digits(rest, 3)?,
        ns_of_day: ns_of_day(rest.get(6..14)?, 0)?,
        resolution_ns: SECOND_NS,
    };
    let (source, message) = rest.get(14..)?.strip_prefix(" [")?.split_once(']')?;
    let message = message.strip_prefix(' ').unwrap_or(message);
    Some(Header {
        process: None,
        level: Some(level),
        time: Some(time),
        source: Some(source),
        message,
    })
}

/// `2025-12-16 01:24:23,021 [PID:17815] DEBUG: message`: the file handler of the first generation.
fn file_stamp(text: &str) -> Option<Header<'_>> {
    let (time, rest) = dated(text)?;
    let (millis, rest) = rest.strip_prefix(',')?.split_at_checked(3)?;
    let ns = millis.parse::<i64>().ok()? * 1_000_000;
    let (pid, rest) = rest.strip_prefix(" [PID:")?.split_once("] ")?;
    let (level, rest) = take_level(rest)?;
    let message = rest.strip_prefix(": ").or_else(|| rest.strip_prefix(':'))?;
    Some(Header {
        process: Some(("", pid.parse().ok())),
        level: Some(level),
        time: Some(LogTime { ns_of_day: time.ns_of_day + ns, resolution_ns: 1_000_000, ..time }),
        source: None,
        message,
    })
}

/// `USDT:2026-11-21 23:07:44 22443:22443 SyncActivityProfilerHandler.cpp:52] message`: Kineto.
fn kineto_stamp(text: &str) -> Option<Header<'_>> {
    let (level, rest) = take_level(text)?;
    let (time, rest) = dated(rest.strip_prefix(':')?)?;
    let (ids, rest) = rest.strip_prefix(' ')?.split_once(' ')?;
    let pid = ids.split(':').next()?.parse().ok()?;
    let (source, message) = rest.split_once("] ")?;
    Some(Header {
        process: Some(("", Some(pid))),
        level: Some(level),
        time: Some(time),
        source: Some(source),
        message,
    })
}

/// `INFO:     message`: uvicorn, and Python's default format.
fn uvicorn_stamp(text: &str) -> Option<Header<'_>> {
    let (level, rest) = take_level(text)?;
    let message = rest.strip_prefix(": ")?.trim_start();
    Some(Header { process: None, level: Some(level), time: None, source: None, message })
}

/// `[2026-03-24 05:23:55] [WARNING] [1678621] profiler.py: message`: torch_npu.
fn npu_stamp(text: &str) -> Option<Header<'_>> {
    let (time, rest) = dated(text.strip_prefix('[')?)?;
    let (level, rest) = take_level(rest.strip_prefix("] [")?)?;
    let (pid, rest) = rest.strip_prefix("] [")?.split_once("] ")?;
    let (source, message) = rest.split_once(": ")?;
    Some(Header {
        process: Some(("", pid.parse().ok())),
        level: Some(level),
        time: Some(time),
        source: Some(source),
        message,
    })
}

/// `[W1121 23:06:46.130715984 utils.cpp:68] message`, also behind `[rank1]:`: glog. Torch's Python loggers write no
/// bracket before and a pid within: `W1121 23:40:06.622000 589 torch/distributed/elastic/agent/server/api.py:739] message`.
fn glog_stamp(text: &str) -> Option<Header<'_>> {
    let rest = match text.strip_prefix("[rank") {
        Some(ranked) => ranked.split_once("]:")?.1,
        None => text,
    };
    let rest = rest.strip_prefix('[').unwrap_or(rest);
    let level = match rest.as_bytes().first()? {
        b'I' => Level::Info,
        b'W' => Level::Warning,
        b'E' => Level::Error,
        b'F' => Level::Critical,
        _ => return None,
    };
    two_digits(rest, 1)?;
    let (stamp, message) = rest.split_once(']')?;
    let mut words = stamp.get(1..)?.split(' ');
    let (date, clock) = (words.next()?, words.next()?);
    let (pid, source) = match (words.next()?, words.next()) {
        (pid, Some(source)) => (Some(pid.parse().ok()?), source),
        (source, None) => (None, source),
    };
    let (seconds, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let time = LogTime {
        year: None,
        month: two_digits(date, 0)?,
        day: two_digits(date, 2)?,
        ns_of_day: ns_of_day(seconds, fraction_ns(fraction)?)?,
        resolution_ns: (0..fraction.len()).fold(SECOND_NS, |ns, _| ns / 10),
    };
    let message = message.strip_prefix(' ').unwrap_or(message);
    Some(Header {
        process: pid.map(|pid| ("", Some(pid))),
        level: Some(level),
        time: Some(time),
        source: Some(source),
        message,
    })
}

/// `2025-12-16 01:24:23`, and the rest.
fn dated(text: &str) -> Option<(LogTime, &str)> {
    let year = text.get(..4)?.parse().ok().filter(|year| YEARS.contains(year))?;
    let separators = [4, 7, 10].map(|at| text.as_bytes().get(at).copied());
    if separators != [Some(b'-'), Some(b'-'), Some(b' ')] {
        return None;
    }
    let time = LogTime {
        year: Some(year),
        month: two_digits(text, 5)?,
        day: two_digits(text, 8)?,
        ns_of_day: ns_of_day(text.get(11..19)?, 0)?,
        resolution_ns: SECOND_NS,
    };
    Some((time, &text[19..]))
}

fn two_digits(text: &str, at: usize) -> Option<u8> {
    let digits = text.get(at..at + 2)?;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// `23:39:38` and a fraction.
fn ns_of_day(clock: &str, fraction_ns: i64) -> Option<i64> {
    let bytes = clock.as_bytes();
    if bytes.len() != 8 || bytes[2] != b':' || bytes[5] != b':' {
        return None;
    }
    let part = |at| two_digits(clock, at).map(i64::from);
    let seconds = part(0)? * 3600 + part(3)? * 60 + part(6)?;
    Some(seconds * 1_000_000_000 + fraction_ns)
}

fn fraction_ns(digits: &str) -> Option<i64> {
    if digits.len() > 9 {
        return None;
    }
    format!("{digits:0<9}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Level, parse_header};

    #[test]
    fn every_stamp_is_read() {
        let h = parse_header("(Worker_TP0 pid=22443) INFO 11-21 23:11:20 [wrapper.py:82] Stopped.");
        assert_eq!(h.process, Some(("Worker_TP0", Some(22443))));
        assert_eq!((h.level, h.source_file()), (Some(Level::Info), Some("wrapper.py")));
        assert_eq!(h.message, "Stopped.");
        let t = h.time.unwrap();
        assert_eq!((t.year, t.month, t.day, t.ns_of_day), (None, 11, 21, 83_480_000_000_000));

        let h = parse_header("2025-12-16 01:24:23,021 [PID:17815] DEBUG: [Orchestrator] x");
        assert_eq!((h.process, h.message), (Some(("", Some(17815))), "[Orchestrator] x"));
        assert_eq!(h.time.unwrap().ns_of_day, 5_063_021_000_000);

        let h = parse_header("USDT:2026-11-21 23:07:44 1:2 SyncHandler.cpp:52] profiler_start");
        assert_eq!((h.process, h.message), (Some(("", Some(1))), "profiler_start"));

        let h = parse_header("[W1121 23:06:46.130715984 utils.cpp:68] Warning: NUMA");
        assert_eq!(h.time.unwrap().ns_of_day % 1_000_000_000, 130_715_984);
        assert_eq!(h.message, "Warning: NUMA");

        let h = parse_header("[rank0]:W1121 23:40:06.622000 589 torch/x/api.py:739] Sending 3");
        assert_eq!((h.process, h.source_file()), (Some(("", Some(589))), Some("api.py")));
        assert_eq!((h.level, h.message), (Some(Level::Warning), "Sending 3"));

        let h = parse_header("(APIServer pid=5) INFO:     Started server process [5]");
        assert_eq!((h.time, h.message), (None, "Started server process [5]"));

        let h = parse_header("[Stage-0] INFO 02-24 09:17:13 [omni_stage.py:1167] [Stage-0] on");
        assert_eq!((h.process, h.message), (Some(("Stage-0", None)), "[Stage-0] on"));

        let h =
            parse_header("(Worker pid=5) [2026-03-24 05:23:56] [ERROR] [5] profiler.py: no data");
        assert_eq!((h.level, h.message), (Some(Level::Error), "no data"));
    }

    #[test]
    fn plain_text_has_no_header() {
        for text in ["", "real 1m", "[Gloo] Rank 0", "(x) y", "INFO nothing", "é", "2025", "[W"] {
            let h = parse_header(text);
            assert_eq!((h.level, h.time, h.process, h.message), (None, None, None, text), "{text}");
        }
    }
}

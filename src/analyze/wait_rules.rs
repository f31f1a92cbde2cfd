//! Which names are waits, synchronization, loading, communication, helpers: rules as data, matched once per name.
//!
//! The default rules are the text file beside this one. A frame is matched by path suffix and function and never by its
//! line number. Nothing here looks at an event's time; conditions that need it are left to the sweep.

use std::collections::BTreeMap;

/// The text of the default rules.
pub const DEFAULT_RULES: &str = include_str!("wait_rules.default");

/// Rules that one file may hold; rule numbers are 16 bits.
const MAX_RULES: usize = 30_000;

/// What a rule says about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleEffect {
    /// Waiting for another process.
    IpcWait,
    /// The host waits for the device.
    GpuSync,
    /// Loading of device code.
    ModuleLoading,
    /// Time of the profiler itself.
    Profiler,
    /// Another wait of the host.
    OtherWait,
    /// Work inside an IPC wait.
    Deserialize,
    /// A communication kernel.
    Comm,
    /// Marks a work thread.
    WorkThread,
    /// Marks a background thread.
    BackgroundThread,
    /// Switches off later rules.
    None,
}

/// What kind of name a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleSource {
    /// A Python frame, `path(line): function`.
    Frame,
    /// A C function as Python shows it.
    C,
    /// An operator.
    Op,
    /// A user annotation.
    Annotation,
    /// A runtime or driver call.
    Api,
    /// An overhead row.
    Overhead,
    /// A device kernel.
    Kernel,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its place among the rules, from 0.
    pub number: u16,
    /// The label as written: `ipc.shm_read`.
    pub label: String,
    /// What it says.
    pub effect: RuleEffect,
    /// What it is for.
    pub source: RuleSource,
    /// Only events at least this long, in nanoseconds.
    pub min_ns: i64,
    /// Only frames that contain a C function of this name.
    pub with: Option<String>,
    /// Only in traces that show device activity.
    pub needs_device: bool,
    /// Only events with no operator and no call of their thread inside.
    pub is_alone: bool,
    /// Only on threads without Python frames.
    pub needs_no_frames: bool,
    /// Only the time in it that no event inside explains.
    pub is_rest: bool,
    pattern: Pattern,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// Path suffix (empty: any) and functions.
    Frame { path: String, functions: Vec<String> },
    /// Literal parts between `*`.
    Glob(Vec<String>),
}

/// A line that is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct RuleError {
    /// Line number from 1.
    pub line: usize,
    /// What is wrong with it, and what would be right.
    pub what: String,
}

/// The rules of a text, one a line; empty lines and those that begin with `#` are none.
pub(super) fn parse_lines<R>(
    text: &str,
    parse: impl Fn(&str) -> Result<R, String>,
) -> Result<Vec<R>, RuleError> {
    let lines = text.lines().map(str::trim).enumerate();
    let rules = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let parse =
        |(i, line): (usize, &str)| parse(line).map_err(|what| RuleError { line: i + 1, what });
    rules.map(parse).collect()
}

/// Rules in order: the first that matches decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitRules {
    rules: Vec<Rule>,
    /// Frame rules by function, so that a name is compared with a few rules only.
    by_function: BTreeMap<String, Vec<usize>>,
}

impl Default for WaitRules {
    fn default() -> Self {
        Self::parse(DEFAULT_RULES).expect("the default rules are tested to be valid")
    }
}

impl WaitRules {
    /// The rules of a text.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let rules = parse_lines(text, parse_rule)?;
        if rules.len() > MAX_RULES {
            return Err(RuleError {
                line: text.lines().count(),
                what: format!("more than {MAX_RULES} rules"),
            });
        }
        Ok(Self::new(rules))
    }

    /// The default rules after those of a text, which therefore come first.
    pub fn with_defaults(text: &str) -> Result<Self, RuleError> {
        let mut rules = Self::parse(text)?.rules;
        rules.extend(Self::default().rules);
        Ok(Self::new(rules))
    }

    fn new(mut rules: Vec<Rule>) -> Self {
        let mut by_function: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (number, rule) in rules.iter_mut().enumerate() {
            rule.number = number as u16;
            if let Pattern::Frame { functions, .. } = &rule.pattern {
                for function in functions {
                    by_function.entry(function.clone()).or_default().push(number);
                }
            }
        }
        Self { rules, by_function }
    }

    /// The rules, in order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What the rules say of a kernel's name: that it communicates or that it does not; `None` where they say nothing.
    pub fn communicates(&self, name: &str) -> Option<bool> {
        let is_it = |rule: &&Rule| rule.source == RuleSource::Kernel && rule.matches_name(name);
        self.rules.iter().find(is_it).map(|rule| rule.effect == RuleEffect::Comm)
    }

    /// The first rule for a name of one source whose effect the caller wants.
    pub fn find(
        &self,
        source: RuleSource,
        name: &str,
        wanted: impl Fn(&Rule) -> bool,
    ) -> Option<usize> {
        let fits = |number: &usize| {
            let rule = &self.rules[*number];
            rule.source == source && (wanted(rule) || rule.effect == RuleEffect::None)
        };
        let found = if source == RuleSource::Frame {
            let (path, function) = split_frame(name)?;
            let of_function = self.by_function.get(function)?;
            of_function.iter().copied().filter(fits).find(|&n| self.rules[n].matches_path(path))
        } else {
            (0..self.rules.len()).filter(fits).find(|&n| self.rules[n].matches_name(name))
        };
        found.filter(|&n| self.rules[n].effect != RuleEffect::None)
    }
}

impl Rule {
    /// Takes a condition; whether the word was one.
    fn takes_condition(&mut self, word: &str) -> Result<bool, String> {
        match word.split_once('=') {
            Some(("min", value)) => self.min_ns = parse_duration(value)?,
            Some(("with", value)) => self.with = Some(value.to_owned()),
            Some(("device", "yes")) => self.needs_device = true,
            Some(("inside", "nothing")) => self.is_alone = true,
            Some(("frames", "no")) => self.needs_no_frames = true,
            Some(("only", "rest")) => self.is_rest = true,
            Some(("device", _)) => return Err("`device=` takes `yes`".to_owned()),
            Some(("inside", _)) => return Err("`inside=` takes `nothing`".to_owned()),
            Some(("frames", _)) => return Err("`frames=` takes `no`".to_owned()),
            Some(("only", _)) => return Err("`only=` takes `rest`".to_owned()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn matches_path(&self, path: &str) -> bool {
        match &self.pattern {
            Pattern::Frame { path: package, .. } if package.ends_with('/') => {
                is_inside(path, package)
            }
            Pattern::Frame { path: suffix, .. } => is_path_suffix(path, suffix),
            Pattern::Glob(_) => false,
        }
    }

    fn matches_name(&self, name: &str) -> bool {
        match &self.pattern {
            Pattern::Frame { .. } => false,
            Pattern::Glob(parts) => glob_matches(parts, name),
        }
    }
}

/// Path and function of a Python frame `path(line): function`; `None` for names of another form.
pub fn split_frame(name: &str) -> Option<(&str, &str)> {
    let end = name.rfind("): ")?;
    let open = name[..end].rfind('(')?;
    let line = &name[open + 1..end];
    let is_line = !line.is_empty() && line.bytes().all(|b| b.is_ascii_digit());
    is_line.then(|| (&name[..open], &name[end + 3..]))
}

/// A name as it is grouped and shown: frames without their line, addresses of C functions normalized.
pub fn group_name(name: &str) -> String {
    if let Some((path, function)) = split_frame(name) {
        return format!("{path}: {function}");
    }
    let mut shown = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find(" at 0x") {
        let digits = at + " at 0x".len();
        let n = rest[digits..].bytes().take_while(u8::is_ascii_hexdigit).count();
        shown.push_str(&rest[..digits]);
        shown.push('…');
        rest = &rest[digits + n..];
    }
    shown + rest
}

/// Whether a path ends with a suffix at a component boundary.
fn is_path_suffix(path: &str, suffix: &str) -> bool {
    suffix.is_empty()
        || path.strip_suffix(suffix).is_some_and(|head| head.is_empty() || head.ends_with('/'))
}

/// Whether a path lies in a package, `sglang/`, whatever is before and below it.
fn is_inside(path: &str, package: &str) -> bool {
    path.match_indices(package).any(|(at, _)| at == 0 || path[..at].ends_with('/'))
}

/// Whether a name is the literal parts of a glob, in order, with any text between them.
pub(super) fn glob_matches(parts: &[String], name: &str) -> bool {
    let [first, middle @ .., last] = parts else {
        return parts.first().is_some_and(|only| only == name);
    };
    let Some(mut rest) = name.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        match rest.find(part.as_str()) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

fn parse_rule(line: &str) -> Result<Rule, String> {
    let (label, rest) = word(line);
    let effect = parse_effect(label)?;
    let (source, mut rest) = word(rest);
    let source = parse_source(source)?;
    let mut rule = Rule {
        number: 0,
        label: label.to_owned(),
        effect,
        source,
        min_ns: 0,
        with: None,
        needs_device: false,
        is_alone: false,
        needs_no_frames: false,
        is_rest: false,
        pattern: Pattern::Glob(Vec::new()),
    };
    loop {
        let (token, after) = word(rest);
        if !rule.takes_condition(token)? {
            break;
        }
        rest = after;
    }
    if rest.is_empty() {
        return Err("the pattern is missing: LABEL SOURCE [CONDITION…] PATTERN".to_owned());
    }
    rule.pattern = match source {
        RuleSource::Frame => parse_frame_pattern(rest)?,
        _ => Pattern::Glob(rest.split('*').map(str::to_owned).collect()),
    };
    check_fits(effect, source, label)?;
    Ok(rule)
}

/// The first word of a text and what follows it.
pub(super) fn word(text: &str) -> (&str, &str) {
    match text.split_once(char::is_whitespace) {
        Some((first, rest)) => (first, rest.trim_start()),
        None => (text, ""),
    }
}

fn parse_effect(label: &str) -> Result<RuleEffect, String> {
    Ok(match label {
        "deserialize" => RuleEffect::Deserialize,
        "thread.work" => RuleEffect::WorkThread,
        "thread.background" => RuleEffect::BackgroundThread,
        "none" => RuleEffect::None,
        _ => match label.split_once('.') {
            Some(("ipc", _)) => RuleEffect::IpcWait,
            Some(("sync", _)) => RuleEffect::GpuSync,
            Some(("load", _)) => RuleEffect::ModuleLoading,
            Some(("profiler", _)) => RuleEffect::Profiler,
            Some(("wait", _)) => RuleEffect::OtherWait,
            Some(("comm", _)) => RuleEffect::Comm,
            _ => {
                return Err(format!(
                    "unknown label `{label}`: expected ipc.*, sync.*, load.*, profiler.*, wait.*, comm.*, deserialize, \
                     thread.work, thread.background or none"
                ));
            }
        },
    })
}

fn parse_source(source: &str) -> Result<RuleSource, String> {
    Ok(match source {
        "frame" => RuleSource::Frame,
        "c" => RuleSource::C,
        "op" => RuleSource::Op,
        "annotation" => RuleSource::Annotation,
        "api" => RuleSource::Api,
        "overhead" => RuleSource::Overhead,
        "kernel" => RuleSource::Kernel,
        _ => {
            return Err(format!(
                "unknown source `{source}`: expected frame, c, op, annotation, api, overhead or kernel"
            ));
        }
    })
}

/// `path suffix: function, function` or just `function, function`.
fn parse_frame_pattern(text: &str) -> Result<Pattern, String> {
    let (path, functions) = text.split_once(": ").unwrap_or(("", text));
    let functions: Vec<String> = functions.split(',').map(|f| f.trim().to_owned()).collect();
    if functions.iter().any(String::is_empty) {
        return Err(
            "an empty function name: expected `PATH SUFFIX: FUNCTION[, FUNCTION…]`".to_owned()
        );
    }
    if path.ends_with(')') || functions.iter().any(|f| f.contains('*') || f.contains('(')) {
        return Err(
            "a frame is matched by path suffix and function: no line number, no `*`".to_owned()
        );
    }
    Ok(Pattern::Frame { path: path.trim().to_owned(), functions })
}

fn parse_duration(text: &str) -> Result<i64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit = match &text[digits..] {
        "ns" => Some(1),
        "us" => Some(1_000),
        "ms" => Some(1_000_000),
        "s" => Some(1_000_000_000),
        _ => None,
    };
    let value: Option<i64> = text[..digits].parse().ok();
    value
        .zip(unit)
        .and_then(|(value, unit)| value.checked_mul(unit))
        .ok_or_else(|| format!("`{text}` is no duration: expected 50us, 1ms and the like"))
}

/// Labels that make sense only for some sources.
fn check_fits(effect: RuleEffect, source: RuleSource, label: &str) -> Result<(), String> {
    let fits = match effect {
        RuleEffect::Comm => source == RuleSource::Kernel,
        RuleEffect::WorkThread | RuleEffect::BackgroundThread => source == RuleSource::Frame,
        RuleEffect::None => true,
        _ => source != RuleSource::Kernel,
    };
    if fits { Ok(()) } else { Err(format!("`{label}` cannot be used with this source")) }
}

#[cfg(test)]
mod tests {
    use super::{RuleEffect, RuleSource, WaitRules, group_name, split_frame};

    fn label(source: RuleSource, name: &str) -> Option<String> {
        let rules = WaitRules::default();
        let is_class = |r: &super::Rule| {
            !matches!(r.effect, RuleEffect::WorkThread | RuleEffect::BackgroundThread)
        };
        rules.find(source, name, is_class).map(|n| rules.rules()[n].label.clone())
    }

    #[test]
    fn frames_match_by_suffix_and_function_whatever_the_line() {
        for name in [
            "vllm/distributed/device_communicators/shm_broadcast.py(882): dequeue",
            "/home/x/vllm/distributed/device_communicators/shm_broadcast.py(1): dequeue",
            "sglang/srt/distributed/device_communicators/shm_broadcast.py(463): acquire_read",
        ] {
            assert_eq!(label(RuleSource::Frame, name).as_deref(), Some("ipc.shm_read"), "{name}");
        }
        for name in
            ["my_queue.py(1): get", "vllm/x.py(3): dequeue", "queue.py(193): get_nowait", "dequeue"]
        {
            assert_eq!(label(RuleSource::Frame, name), None, "{name}");
        }
        assert_eq!(label(RuleSource::Frame, "queue.py(154): get").as_deref(), Some("ipc.queue"));
    }

    #[test]
    fn c_functions_match_whatever_the_address() {
        let is = |name: &str| label(RuleSource::C, name);
        assert_eq!(
            is("<built-in method get of _queue.SimpleQueue object at 0x7f12>").as_deref(),
            Some("ipc.queue")
        );
        assert_eq!(
            is("<built-in method acquire of _thread.lock object at 0x1>").as_deref(),
            Some("wait.lock")
        );
        assert_eq!(is("<built-in method get of dict object at 0x7f12>"), None);
        assert_eq!(is("<built-in function loads>").as_deref(), Some("deserialize"));
    }

    #[test]
    fn calls_ops_and_kernels() {
        assert_eq!(label(RuleSource::Api, "cuCtxSynchronize").as_deref(), Some("sync.gpu"));
        assert_eq!(label(RuleSource::Api, "cudaMemcpyAsync"), None);
        assert_eq!(
            label(RuleSource::Annotation, "shm_broadcast: dequeue").as_deref(),
            Some("ipc.shm_read")
        );
    }

    #[test]
    fn rules_of_a_file_come_first_and_can_switch_one_off() {
        let rules = WaitRules::with_defaults(
            "none frame queue.py: get\nipc.mine frame min=2us a/b.py: f, g",
        )
        .unwrap();
        let find = |name| rules.find(RuleSource::Frame, name, |r| r.effect == RuleEffect::IpcWait);
        assert_eq!(find("queue.py(1): get"), None);
        let mine = &rules.rules()[find("x/a/b.py(7): g").unwrap()];
        assert_eq!((mine.label.as_str(), mine.min_ns), ("ipc.mine", 2_000));
    }

    #[test]
    fn a_package_is_matched_wherever_its_modules_lie() {
        for name in [
            "sglang/srt/managers/scheduler.py(1200): recv_requests",
            "sglang/srt/managers/scheduler_components/request_receiver.py(80): recv_requests",
            "/opt/sglang/python/sglang/srt/elsewhere.py(1): recv_requests",
        ] {
            assert_eq!(label(RuleSource::Frame, name).as_deref(), Some("ipc.zmq"), "{name}");
        }
        for name in ["my_sglang/x.py(3): recv_requests", "app/server.py(3): recv_requests"] {
            assert_eq!(label(RuleSource::Frame, name), None, "{name}");
        }
    }

    #[test]
    fn kernels_of_a_file_communicate_or_not() {
        let rules = WaitRules::with_defaults("none kernel mine_*\ncomm.own kernel *_push").unwrap();
        let said = ["mine_push", "a_push", "other"].map(|name| rules.communicates(name));
        assert_eq!(said, [Some(false), Some(true), None]);
    }

    #[test]
    fn bad_lines_are_named() {
        let cases = [
            ("ipc.x frame a.py: f\nbad c x", 2, "unknown label `bad`"),
            ("ipc.x thing y", 1, "unknown source `thing`"),
            ("ipc.x frame", 1, "pattern is missing"),
            ("\n\nipc.x frame a.py(12): f", 3, "no line number"),
            ("ipc.x c min=5 y", 1, "no duration"),
            ("comm.x api y", 1, "cannot be used"),
            ("ipc.x frame a.py: f,,g", 1, "empty function"),
            ("wait.x annotation only=some y", 1, "`only=` takes `rest`"),
            ("wait.x annotation inside=op y", 1, "`inside=` takes `nothing`"),
            ("wait.x annotation frames=yes y", 1, "`frames=` takes `no`"),
        ];
        for (text, line, what) in cases {
            let error = WaitRules::parse(text).unwrap_err();
            assert_eq!(error.line, line, "{text}");
            assert!(error.to_string().contains(what), "{error}");
        }
    }

    #[test]
    fn names_are_grouped_without_lines_and_addresses() {
        assert_eq!(group_name("a/b.py(12): f"), "a/b.py: f");
        assert_eq!(
            group_name("<built-in method x of y object at 0x7f00>"),
            "<built-in method x of y object at 0x…>"
        );
        assert_eq!(
            split_frame("<frozen importlib._bootstrap>(1120): _f"),
            Some(("<frozen importlib._bootstrap>", "_f"))
        );
        assert_eq!(split_frame("nn.Module: Linear_0"), None);
    }
}

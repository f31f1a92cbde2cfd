//! What can be typed after `merge` and `slim`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args as ClapArgs;
use regex::Regex;

use super::args::{FigureArgs, RunningArgs};
use crate::align::AlignMode;
use crate::analyze::window::{WindowConfig, offset_ns};

/// One time line from per-stage and per-rank files, with clocks aligned, that viewers open and `analyze` takes apart again.
///
/// Nothing is lost: events keep their names, times, arguments and flows; every input's metadata is kept. Reports how far
/// the clocks were apart, with an error bar. The kind of output goes by its name: .json, .json.gz, .pftrace.
#[derive(Debug, ClapArgs)]
pub(super) struct MergeArgs {
    /// Files, directories (searched for every known naming scheme), or `-` for standard input. Of a file that was merged
    /// before, each of its inputs is one here. Default: this directory.
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(super) output: TraceOutputArgs,

    #[command(flatten)]
    pub(super) figures: FigureArgs,

    /// How to bring clocks together. `auto`: bases, then offsets from matched collectives or hand-offs where they are larger
    /// than their error; `base`: bases only; `collectives`: offsets of collectives wherever there are any; `none`: times as
    /// written.
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub(super) align: AlignMode,

    /// Where the clocks of all inputs of the run stand, as `reduce --clocks FILE` wrote it: of some of them a part that lies on
    /// the time line of all, under pids and ids that no other part has. `merge PARTS --clocks FILE` joins parts.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["align", "critical_path"])]
    pub(super) clocks: Option<PathBuf>,

    /// Stage of the inputs whose path holds PATTERN (`*` is any text): `--stage-of talker=1`.
    #[arg(long, value_name = "PATTERN=N")]
    pub(super) stage_of: Vec<StageOf>,

    /// Stage name of the inputs whose path holds PATTERN: `--label stage_1=talker`.
    #[arg(long, value_name = "PATTERN=NAME")]
    pub(super) label: Vec<LabelOf>,

    /// Rules of which kernels communicate, which come before the built-in ones: clocks are aligned by these kernels.
    /// `analyze --print-comm-rules` shows the built-in ones.
    #[arg(long, value_name = "FILE")]
    pub(super) comm_rules: Option<PathBuf>,

    /// Keep inputs that claim the same stage and rank instead of refusing them.
    #[arg(long)]
    pub(super) keep_duplicates: bool,

    /// Draw the critical path of the run, as `critical-path` finds it, on a track of its own. The inputs are read once more.
    #[arg(long)]
    pub(super) critical_path: bool,

    /// Also write the report as a page that opens in any browser and needs no network.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
}

/// A valid trace small enough to open: waits collapsed to one slice each, and whatever else is asked to go.
///
/// `analyze` of the result gives the same kernels, waits and iterations. Prints what went. The kind of output goes by its
/// name: .json, .json.gz, .pftrace.
#[derive(Debug, ClapArgs)]
pub(super) struct SlimArgs {
    /// Traces, directories of traces, or `-` for standard input. Default: this directory.
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(super) output: TraceOutputArgs,

    /// Leave the frames inside waits alone.
    #[arg(long)]
    pub(super) keep_waits: bool,

    /// Only a part of the window, from its start: `10ms..25ms`, `..1s`, `1.5s..` (ns, us, ms, s). Slices that reach over
    /// its edges stay whole.
    #[arg(long, value_name = "A..B", conflicts_with = "iterations")]
    pub(super) window: Option<WindowConfig>,

    /// Only some iterations with their device work, by number from 0, the last one included: `2..4`, `3`.
    #[arg(long, value_name = "A..B")]
    pub(super) iterations: Option<IterationsArg>,

    /// Only these categories, or names that match `/REGEX/`.
    #[arg(long, value_name = "CATEGORY", value_delimiter = ',')]
    pub(super) only: Vec<NameFilter>,

    /// Not these categories, or names that match `/REGEX/`.
    #[arg(long, value_name = "CATEGORY", value_delimiter = ',')]
    pub(super) drop: Vec<NameFilter>,

    /// Python frames and operators shorter than this go, device work and calls never.
    #[arg(long, value_name = "TIME")]
    pub(super) min_dur: Option<DurationArg>,

    /// Python frames deeper than this on their thread go.
    #[arg(long, value_name = "N")]
    pub(super) max_stack_depth: Option<usize>,

    /// Arguments that go: `all` for all but those that figures need, or keys.
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    pub(super) drop_args: Vec<String>,
}

/// Where a trace goes, and what else is said.
#[derive(Debug, ClapArgs)]
pub(super) struct TraceOutputArgs {
    /// The trace to write (.json, .json.gz, .pftrace; `-` for JSON on standard output). It appears whole or not at all.
    /// Default: a name of its own in this directory, which is said, unless it is taken.
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,

    /// Write over what is there under the default name.
    #[arg(long)]
    pub(super) force: bool,

    /// Compression level of .json.gz, 0 to 9.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=9))]
    pub(super) level: u32,

    /// Format of the report; --quiet prints none.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) format: super::args::Format,

    #[command(flatten)]
    pub(super) running: RunningArgs,
}

/// `PATTERN=N`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StageOf {
    pub(super) pattern: String,
    pub(super) stage: u32,
}

impl FromStr for StageOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (pattern, stage) = text.rsplit_once('=').ok_or("write it as PATTERN=N, `talker=1`")?;
        let stage = stage.parse().map_err(|_| format!("`{stage}` is no stage number"))?;
        Ok(Self { pattern: pattern.to_owned(), stage })
    }
}

/// `PATTERN=NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LabelOf {
    pub(super) pattern: String,
    pub(super) label: String,
}

impl FromStr for LabelOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (pattern, label) =
            text.rsplit_once('=').ok_or("write it as PATTERN=NAME, `stage_1=talker`")?;
        Ok(Self { pattern: pattern.to_owned(), label: label.to_owned() })
    }
}

/// Numbers of iterations, the last one included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IterationsArg {
    pub(super) first: usize,
    pub(super) last: usize,
}

impl FromStr for IterationsArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse().map_err(|_| format!("`{text}` is no number"));
        let (first, last) = match text.split_once("..") {
            Some((first, "")) => (number(first)?, usize::MAX),
            Some(("", last)) => (0, number(last)?),
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(text)?, number(text)?),
        };
        if first > last {
            return Err("it ends before it starts".to_owned());
        }
        Ok(Self { first, last })
    }
}

/// A category, or a pattern of names.
#[derive(Clone, Debug)]
pub(super) enum NameFilter {
    Category(String),
    Name(Regex),
}

impl FromStr for NameFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
            Some(pattern) => Regex::new(pattern).map(Self::Name).map_err(|error| error.to_string()),
            None => Ok(Self::Category(text.to_owned())),
        }
    }
}

/// A duration with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DurationArg(pub(super) i64);

impl FromStr for DurationArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        offset_ns(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::{IterationsArg, LabelOf, StageOf};

    #[test]
    fn overrides_split_at_the_last_sign() {
        let stage: StageOf = "a=b=2".parse().unwrap();
        assert_eq!((stage.pattern.as_str(), stage.stage), ("a=b", 2));
        assert!("a".parse::<StageOf>().is_err() && "a=x".parse::<StageOf>().is_err());
        let label: LabelOf = "stage_1=talker".parse().unwrap();
        assert_eq!((label.pattern.as_str(), label.label.as_str()), ("stage_1", "talker"));
    }

    #[test]
    fn iterations_include_both_ends() {
        let parse = |text: &str| text.parse::<IterationsArg>().map(|i| (i.first, i.last));
        assert_eq!(parse("2..4"), Ok((2, 4)));
        assert_eq!(parse("3"), Ok((3, 3)));
        assert_eq!(parse("..4"), Ok((0, 4)));
        assert!(parse("4..2").is_err() && parse("x").is_err());
    }
}

//! What can be typed. Parsing checks values and has no effects.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use regex::Regex;

use super::args_bandwidth::BandwidthArgs;
use super::args_cache::{CacheArgs, CacheCommandArgs};
use super::args_causal::{CriticalPathArgs, WhatIfArgs};
use super::args_check::CheckArgs;
use super::args_diff::DiffArgs;
use super::args_export::{ExportArgs, QueryArgs};
use super::args_merge::{MergeArgs, SlimArgs};
use super::args_reduce::ReduceArgs;
use super::args_schema::SchemaArgs;
use super::args_shell::{CompletionsArgs, ManArgs};
use super::args_stages::StagesArgs;
use super::build;
use super::help::HelpArgs;
use super::memory::MemoryArg;
use super::tables::keys_of;
use crate::analyze::exclude::excludable;
use crate::analyze::joined::parse_zone;
use crate::analyze::key_averages::Choice;
use crate::analyze::steady::SteadyRule;
use crate::analyze::timeline::Class;
use crate::analyze::window::WindowConfig;
use crate::ask::SortKey;
use crate::render::figure::Theme;

/// Where the time went in a GPU pipeline trace.
#[derive(Debug, Parser)]
#[command(
    name = "omni-trace",
    version,
    long_version = build::LONG_VERSION,
    propagate_version = true,
    about,
    max_term_width = 100,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub(super) struct Args {
    /// The command.
    #[command(subcommand)]
    pub(super) command: Command,

    /// Memory that the run may take: 512M, 8G. Beyond it the run ends with an error, and leaves no half-written file. Default:
    /// most of what the machine has free, or of what its control group allows.
    #[arg(long, value_name = "SIZE", global = true, hide_short_help = true)]
    pub(super) max_memory: Option<MemoryArg>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Analyze(AnalyzeArgs),
    Merge(MergeArgs),
    Slim(SlimArgs),
    Bandwidth(BandwidthArgs),
    Check(CheckArgs),
    Stages(StagesArgs),
    Report(ReportArgs),
    Reduce(ReduceArgs),
    Diff(DiffArgs),
    CriticalPath(CriticalPathArgs),
    WhatIf(WhatIfArgs),
    Query(QueryArgs),
    Export(ExportArgs),
    Schema(SchemaArgs),
    Cache(CacheCommandArgs),
    Capture(CaptureArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
    Help(HelpArgs),
}

/// Where the time went and who waited: per stage, rank, device and thread; the profiler table; top kernels.
///
/// Reads Kineto (torch.profiler) and other Chrome traces: .json, .json.gz, .json.zst, told apart by content. A snapshot of torch's
/// allocator (torch.cuda.memory._dump_snapshot) is read beside the trace of its process, or alone: as data, nothing in it is run.
/// Exit codes: 0 done, 2 an error, or data lost under --strict. A closed pipe is success.
#[derive(Debug, ClapArgs)]
pub(super) struct AnalyzeArgs {
    /// Files, directories (searched for every known naming scheme), or `-` for standard input. Default: this directory.
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,

    #[command(flatten)]
    pub(super) common: CommonArgs,

    #[command(flatten)]
    pub(super) logs: LogArgs,

    #[command(flatten)]
    pub(super) figures: FigureArgs,

    #[command(flatten)]
    pub(super) runs: RunArgs,

    #[command(flatten)]
    pub(super) cache: CacheArgs,

    /// Leave time spent waiting for other processes out of windows, CPU totals, shares and the profiler table, and say how
    /// much and where. Device times stay. The same as `--exclude ipc_wait`.
    #[arg(long)]
    pub(super) exclude_ipc_wait: bool,

    /// Leave classes of time out: ipc_wait, gpu_sync, other_wait, module_loading, profiler, runtime, python, unattributed.
    #[arg(long, value_name = "CLASS", value_delimiter = ',', value_parser = excludable)]
    pub(super) exclude: Vec<Class>,

    /// Percentiles over iterations only over steady ones: without the warm-up of each kind of iteration (`changepoint`, where
    /// nothing is said), or with batches within a tenth of the largest (`max_batch`). Totals keep all; `--table steady` says how
    /// many stay.
    #[arg(long, value_name = "RULE", num_args = 0..=1, require_equals = true, default_missing_value = "changepoint", value_parser = steady_rule)]
    pub(super) steady: Option<SteadyRule>,

    #[command(flatten)]
    pub(super) rules: RuleArgs,

    /// Print the rules of what is a wait, with those of --wait-rules, and do nothing else.
    #[arg(long, conflicts_with_all = ["paths", "format", "table"])]
    pub(super) print_wait_rules: bool,

    /// Print the rules of which kernels communicate or copy, with those of --comm-rules, and do nothing else.
    #[arg(long, conflicts_with_all = ["paths", "format", "table", "print_wait_rules"])]
    pub(super) print_comm_rules: bool,

    /// Models of what operators compute and move, which come before the built-in ones.
    #[arg(long, value_name = "FILE")]
    pub(super) op_models: Option<PathBuf>,

    /// Print the models of operators, with those of --op-models, and do nothing else.
    #[arg(long, conflicts_with_all = ["paths", "format", "table", "print_wait_rules", "print_comm_rules"])]
    pub(super) print_op_models: bool,

    /// Peaks of the devices for the tables roofline and utilization, as `bandwidth --peak` takes them: memory=3350.
    #[arg(long, value_name = "LINK=GB/s")]
    pub(super) peak: Option<String>,

    #[command(flatten)]
    pub(super) shown: ShownArgs,

    /// Only a part of the window, from its start: `10ms..25ms`, `..1s`, `1.5s..` (ns, us, ms, s).
    /// Events that reach over its edges are cut.
    #[arg(long, value_name = "A..B")]
    pub(super) window: Option<WindowConfig>,

    /// Whether Python frames are rows of the profiler table; `auto` does as the torch that wrote the trace.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(super) python_rows: Choice,

    /// Whether kernels are booked a second time on overhead and unlinked runtime rows, as torch up to 2.14 does;
    /// alone it means `yes`. Totals are the same.
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        default_missing_value = "yes",
        num_args = 0..=1,
        require_equals = true
    )]
    pub(super) torch_compat: Choice,

    /// Print torch's own table text and nothing else, for `diff` with profiler_out_*.txt.
    #[arg(long, conflicts_with_all = ["full", "html", "png"])]
    pub(super) torch_layout: bool,

    /// One row per name and recorded input shapes.
    #[arg(long)]
    pub(super) group_by_input_shape: bool,

    /// One row per name and the N innermost frames of the recorded stack.
    #[arg(long, value_name = "N")]
    pub(super) group_by_stack: Option<usize>,

    /// Also write the result as a page that opens in any browser and needs no network.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,

    /// Write what the answer over many files needs of these, and show nothing: `omni-trace reduce` answers from such files
    /// alone. Durations of an input that takes more than 1 MiB are rounded by at most 1/256.
    #[arg(
        long,
        value_name = "OUT.otp",
        conflicts_with_all = ["html", "png", "torch_layout", "format", "output", "table", "top", "sort", "name", "logs", "one_run"]
    )]
    pub(super) partial: Option<PathBuf>,

    /// With --partial: round nothing, whatever it takes; `reduce` then gives what `analyze` of all files gives, byte for byte.
    #[arg(long, requires = "partial")]
    pub(super) exact: bool,
}

/// What of the answers is shown.
#[derive(Debug, ClapArgs)]
pub(super) struct ShownArgs {
    /// Tables to show, by key; CSV shows one. Default: one screen of all inputs; with --full and in Markdown all that have rows
    /// but `iterations` and `findings`; CSV: key_averages. In JSON, `findings` is there only where it is named here.
    #[arg(long, value_name = "TABLE", value_delimiter = ',', value_parser = keys_of("analyze"))]
    pub(super) table: Vec<String>,

    /// Every table that has rows, instead of one screen. --top and --name without --table mean it, too.
    #[arg(long, conflicts_with = "table")]
    pub(super) full: bool,

    /// Rows of a table for people, 0 for all; JSON and CSV always have every row. Default: 20; 10 for the longest gaps,
    /// 100 of torch's own layout.
    #[arg(long, value_name = "N")]
    pub(super) top: Option<usize>,

    /// Order of the profiler table. Default: self-device where there is device time, else self-cpu.
    #[arg(long, value_name = "COLUMN")]
    pub(super) sort: Option<SortKey>,

    /// Only rows whose name matches this regular expression; totals and shares stay those of the whole.
    #[arg(long, value_name = "REGEX")]
    pub(super) name: Option<Regex>,
}

/// Everything that is known, as a page that opens from a mail attachment and needs no network.
///
/// Writes DIR/index.html and its figures as PNG: the verdict, how far it can be trusted, the time line of the whole run, and every table, to be
/// sorted, searched and copied.
/// Exit codes: 0 done, 2 an error, or data lost under --strict.
#[derive(Debug, ClapArgs)]
pub(super) struct ReportArgs {
    /// Files, directories (searched for every known naming scheme), or `-` for standard input. Default: this directory.
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,

    /// Show both runs on common scales instead: these traces are A, those named first are B, as in `diff`.
    #[arg(long, value_name = "PATH", num_args = 1.., conflicts_with = "logs")]
    pub(super) against: Vec<PathBuf>,

    #[command(flatten)]
    pub(super) logs: LogArgs,

    #[command(flatten)]
    pub(super) runs: RunArgs,

    #[command(flatten)]
    pub(super) cache: CacheArgs,

    /// Folder for the page and one PNG for each figure; it is made where it is missing. Each file appears whole or not at all.
    /// Default: omni-trace-report, unless a page is there already.
    #[arg(short, long, value_name = "DIR")]
    pub(super) output: Option<PathBuf>,

    /// Write over what is there under the default name.
    #[arg(long)]
    pub(super) force: bool,

    /// No slimmed traces beside the page. They are written for inputs with more kernels and operators than the page can name,
    /// up to 32 MiB together, for Perfetto's page; the inputs are read a second time for them.
    #[arg(long)]
    pub(super) no_traces: bool,

    /// Leave classes of time out, as in `analyze`: `--exclude ipc_wait` for example.
    #[arg(long, value_name = "CLASS", value_delimiter = ',', value_parser = excludable)]
    pub(super) exclude: Vec<Class>,

    #[command(flatten)]
    pub(super) rules: RuleArgs,

    /// Only a part of the window, from its start: `10ms..25ms`, `..1s`, `1.5s..` (ns, us, ms, s).
    #[arg(long, value_name = "A..B")]
    pub(super) window: Option<WindowConfig>,

    #[command(flatten)]
    pub(super) running: RunningArgs,
}

/// Run a pipeline, launch a program, or drive a running server under the profiler, for a number of iterations.
///
/// `omni-trace capture --help` shows the ways to capture and their options.
#[derive(Debug, ClapArgs)]
#[command(disable_help_flag = true)]
pub(super) struct CaptureArgs {
    /// What to capture, and how.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    pub(super) arguments: Vec<OsString>,
}

/// The pipeline's own logs beside its traces.
#[derive(Clone, Debug, ClapArgs)]
pub(super) struct LogArgs {
    /// Logs of the same run, which are laid on the traces' time line: files, directories (searched for *.log and
    /// *.jsonl), compressed or not. Give it behind the traces.
    /// Default: those that lie beside the traces of a directory.
    #[arg(long, value_name = "LOG", num_args = 1..)]
    pub(super) logs: Vec<PathBuf>,

    /// Leave logs out that lie beside the traces.
    #[arg(long, conflicts_with = "logs")]
    pub(super) no_logs: bool,

    /// Zone of the logs' wall clock: UTC, +02:00, -03:30. Default: settled by what log and traces share.
    #[arg(long, value_name = "ZONE", value_parser = zone, allow_hyphen_values = true)]
    pub(super) log_zone: Option<i64>,
}

/// When text has colours and bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorArg {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What every command takes.
#[derive(Debug, ClapArgs)]
pub(super) struct CommonArgs {
    /// Format of the result.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) format: Format,

    /// Write the result to a file, which appears whole or not at all.
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,

    /// Leave names in CSV as they are. Default: those that begin as a formula of a spreadsheet does (= + - @, tab, line end) have an
    /// apostrophe before them; numbers never.
    #[arg(long)]
    pub(super) csv_raw: bool,

    /// Columns that text is laid out for, 0 for any. Default: those of the terminal; in a pipe those of the variable COLUMNS, or
    /// 120; any in a file.
    #[arg(long, value_name = "N", value_parser = text_width)]
    pub(super) width: Option<u16>,

    /// Colours and bars in text. Default: on a terminal, but where the variable NO_COLOR is set.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(super) color: ColorArg,

    /// Whole names in text, on as many lines as they take. Default: names lose their middle where there is no room.
    #[arg(long)]
    pub(super) full_names: bool,

    #[command(flatten)]
    pub(super) running: RunningArgs,
}

/// How a command runs.
#[derive(Debug, ClapArgs)]
pub(super) struct RunningArgs {
    /// Threads for reading and analysis. Default: one per core. The result does not depend on it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) threads: Option<u16>,

    /// Nothing on standard error but errors.
    #[arg(short, long)]
    pub(super) quiet: bool,

    /// Exit with 2 where data of the input was lost.
    #[arg(long)]
    pub(super) strict: bool,
}

/// Rules before the built-in ones.
#[derive(Debug, ClapArgs)]
pub(super) struct RuleArgs {
    /// Rules of what is a wait, which come before the built-in ones.
    #[arg(long, value_name = "FILE")]
    pub(super) wait_rules: Option<PathBuf>,

    /// Rules of which kernels communicate or copy, which come before the built-in ones.
    #[arg(long, value_name = "FILE")]
    pub(super) comm_rules: Option<PathBuf>,
}

/// What inputs are to each other.
#[derive(Clone, Copy, Debug, ClapArgs)]
pub(super) struct RunArgs {
    /// Take all inputs as ranks and stages of one run. Default: inputs are of one run where they state the same job, or were
    /// recorded at the same time by different ranks; nothing is summed or compared across runs.
    #[arg(long)]
    pub(super) one_run: bool,
}

/// Figures beside the result.
#[derive(Debug, ClapArgs)]
pub(super) struct FigureArgs {
    /// Draw the result, too: FILE.png gets all figures under each other, a directory one PNG for each.
    #[arg(long, value_name = "FILE|DIR")]
    pub(super) png: Option<PathBuf>,

    /// Colours of the figures.
    #[arg(long, value_name = "THEME", default_value = "light", requires = "png")]
    pub(super) png_theme: Theme,
}

/// Format of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Aligned tables for a terminal.
    Text,
    /// One object with a stable schema; every row, exact nanoseconds.
    Json,
    /// One table, RFC 4180; every row, exact nanoseconds.
    Csv,
    /// GitHub-flavoured Markdown.
    Md,
}

/// A rule of which iterations count.
fn steady_rule(word: &str) -> Result<SteadyRule, String> {
    let names = SteadyRule::ALL.map(SteadyRule::as_str).join(", ");
    SteadyRule::from_name(word).ok_or_else(|| format!("`{word}` is no rule; it is one of {names}"))
}

/// Narrowest text that is laid out.
const MIN_WIDTH: u16 = 40;

/// Columns of text.
fn text_width(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(width) if width == 0 || width >= MIN_WIDTH => Ok(width),
        Ok(_) => Err(format!("text takes {MIN_WIDTH} columns at least")),
        Err(_) => Err("it is no whole number".to_owned()),
    }
}

/// What a zone is ahead of UTC, in nanoseconds.
fn zone(text: &str) -> Result<i64, String> {
    parse_zone(text).ok_or_else(|| format!("`{text}` is no zone: write UTC, +02:00 or -03:30"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::{Arg, Command, CommandFactory as _};

    use super::Args;

    #[test]
    fn the_definitions_are_consistent() {
        Args::command().debug_assert();
    }

    /// What is told of each path that can be given; `tests/outputs.rs` holds outputs against all that is read.
    const PATHS: &str = include_str!("../../tests/outputs/paths.txt");

    #[test]
    fn of_every_path_it_is_said_whether_it_is_read_or_written() {
        let args = Args::command();
        let defined: Vec<String> = args.get_subcommands().flat_map(paths_of).collect();
        let said = PATHS.lines().filter(|line| !line.starts_with('#'));
        let (said, roles): (Vec<_>, Vec<_>) = said.filter_map(|line| line.rsplit_once(' ')).unzip();
        assert_eq!(defined, said, "a line for each in tests/outputs/paths.txt");
        assert!(roles.iter().all(|role| ["reads", "writes"].contains(role)), "{roles:?}");
    }

    /// `COMMAND --OPTION` of each option that takes a path, and `COMMAND VALUE` of what is given without one.
    fn paths_of(command: &Command) -> Vec<String> {
        let of_path = clap::value_parser!(PathBuf).type_id();
        let takes =
            command.get_arguments().filter(|arg| arg.get_value_parser().type_id() == of_path);
        takes.map(|arg| format!("{} {}", command.get_name(), named(arg))).collect()
    }

    fn named(arg: &Arg) -> String {
        match arg.get_long() {
            Some(long) => format!("--{long}"),
            None => arg.get_value_names().map_or_else(String::new, |names| names[0].to_string()),
        }
    }
}

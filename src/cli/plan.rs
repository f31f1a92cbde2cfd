//! From arguments to what will be done: inputs found, defaults resolved, nothing read yet.

use std::io::IsTerminal as _;

use regex::Regex;

use super::args::{AnalyzeArgs, ChoiceArg, CommonArgs, Format, SortKey, WindowArg};
use super::figures::FigurePlan;
use super::guard;
use super::joining::LogPlan;
use super::output::Target;
use super::reading::{Sorting, find_traces};
use super::rule_files::{COMM_RULES, WAIT_RULES};
use super::run::Hinted;
use super::tables::TableChoice;
use crate::analyze::base::TimeConfig;
use crate::analyze::key_averages::{Choice, KeyAveragesConfig};
use crate::analyze::timeline::Class;
use crate::analyze::window::WindowConfig;
use crate::read::{Inputs, ReadOptions};
use crate::render::text::TextStyle;
use crate::schema::Row as _;
use crate::table::{IterationRow, KeyAverageRow};

/// Longest gaps shown where nothing else is asked for.
const N_GAPS: usize = 10;

/// Tables that the verdict is made from.
const VERDICT_TABLES: [&str; 11] = [
    "breakdown",
    "threads",
    "devices",
    "idle",
    "startup",
    "iteration_summary",
    "key_averages",
    "kernels",
    "activity",
    "blame",
    "stragglers",
];

/// Tables whose rows the figures draw, shown or not.
const FIGURE_TABLES: [&str; 7] =
    ["breakdown", "threads", "devices", "idle", "iterations", "kernels", "blame"];

/// What every command needs.
#[derive(Debug)]
pub(super) struct CommonPlan {
    pub(super) format: Format,
    pub(super) target: Target,
    pub(super) style: TextStyle,
    /// Whether the text goes to a terminal.
    pub(super) is_terminal: bool,
    pub(super) read: ReadOptions,
    pub(super) is_quiet: bool,
    pub(super) is_strict: bool,
}

/// What `analyze` will do.
#[derive(Debug)]
pub(super) struct AnalyzePlan {
    pub(super) common: CommonPlan,
    pub(super) inputs: Inputs,
    /// The tables to show.
    pub(super) choice: TableChoice,
    /// Rows of the table of gaps for people.
    pub(super) top_gaps: usize,
    /// Rows of the table of threads for people.
    pub(super) top_threads: usize,
    pub(super) sort: Option<SortKey>,
    pub(super) name: Option<Regex>,
    /// Windows, and rules of waiting and communication.
    pub(super) time: TimeConfig,
    /// Classes of time to leave out; empty for none.
    pub(super) excluded: Vec<Class>,
    /// Rules of the profiler table.
    pub(super) key_averages: KeyAveragesConfig,
    /// Whether torch's own table text is all that is wanted.
    pub(super) is_torch_layout: bool,
    /// Logs to join with the traces.
    pub(super) logs: Option<LogPlan>,
    /// Whether a page is wanted, which shows every table.
    pub(super) is_page: bool,
    /// Where figures go, if anywhere.
    pub(super) figures: Option<FigurePlan>,
    /// Whether all inputs are of one run, whatever they say.
    pub(super) is_one_run: bool,
}

impl AnalyzePlan {
    /// Resolves the arguments.
    pub(super) fn of(args: &AnalyzeArgs) -> anyhow::Result<Self> {
        let common = CommonPlan::of(&args.common);
        let top = rows_shown(args.top, args.torch_layout);
        let choice = TableChoice::of(&common, &args.table, KeyAverageRow::SPEC, top)?;
        let excluded = excluded_classes(args);
        if args.torch_layout && !excluded.is_empty() {
            let what =
                "--torch-layout is torch's own text, and torch leaves no time out".to_owned();
            let hint = "leave out --torch-layout; `--table key_averages` shows the same table without the waits";
            return Err(Hinted { what, hint: hint.to_owned() }.into());
        }
        if args.torch_layout && (common.format != Format::Text || args.window.is_some()) {
            let what = "--torch-layout is torch's own text, of whole profiles".to_owned();
            let hint = "leave out --format and --window, or --torch-layout".to_owned();
            return Err(Hinted { what, hint }.into());
        }
        let inputs = find_traces(&args.paths)?;
        let logs = LogPlan::of(&args.logs)?;
        let rules = WAIT_RULES.of(args.wait_rules.as_deref())?.1;
        let comm_rules = COMM_RULES.of(args.comm_rules.as_deref())?.1;
        guard::claim_results(args.common.output.as_deref(), args.html.as_deref(), &args.figures)?;
        Ok(Self {
            inputs,
            common,
            choice,
            top_gaps: args.top.map_or(N_GAPS, |_| rows_shown(args.top, false)),
            top_threads: args.top.map_or(usize::MAX, |_| rows_shown(args.top, false)),
            excluded,
            sort: args.sort,
            name: args.name.clone(),
            time: TimeConfig { window: window_config(args.window), rules, comm_rules },
            key_averages: KeyAveragesConfig {
                python_rows: choice_of(args.python_rows),
                torch_compat: choice_of(args.torch_compat),
                group_by_input_shape: args.group_by_input_shape,
                group_by_stack_n: args.group_by_stack.unwrap_or(0),
            },
            is_torch_layout: args.torch_layout,
            logs,
            is_page: args.html.is_some(),
            figures: FigurePlan::of(&args.figures)?,
            is_one_run: args.runs.one_run,
        })
    }

    /// Whether a table is shown.
    pub(super) fn shows(&self, key: &str) -> bool {
        self.choice.shows(key, |key| key != IterationRow::SPEC.key)
    }

    /// Whether any of some tables is asked for: what only serves others need not be computed.
    pub(super) fn needs(&self, keys: &[&str]) -> bool {
        let is_drawn = |key: &&str| self.figures.is_some() && FIGURE_TABLES.contains(key);
        let is_told = |key: &&str| self.shows("verdict") && VERDICT_TABLES.contains(key);
        self.is_page
            || self.common.format == Format::Json
            || keys.iter().any(|key| self.shows(key) || is_drawn(key) || is_told(key))
    }

    /// Whether a name is shown.
    pub(super) fn shows_name(&self, name: &str) -> bool {
        self.name.as_ref().is_none_or(|regex| regex.is_match(name))
    }
}

/// The classes to leave out, in the order of every output.
fn excluded_classes(args: &AnalyzeArgs) -> Vec<Class> {
    let mut classes = args.exclude.clone();
    if args.exclude_ipc_wait {
        classes.push(Class::IpcWait);
    }
    classes.sort_unstable();
    classes.dedup();
    classes
}

impl CommonPlan {
    /// What becomes of files of another kind.
    pub(super) fn sorting(&self) -> Sorting {
        Sorting { is_strict: self.is_strict, is_quiet: self.is_quiet }
    }

    /// Resolves what every command takes.
    pub(super) fn of(args: &CommonArgs) -> Self {
        let target = args.output.clone().map_or(Target::Stdout, Target::File);
        let style = style(&target);
        let mut read = ReadOptions::default();
        if let Some(threads) = args.threads {
            read.threads = usize::from(threads);
        }
        Self {
            format: args.format,
            style: TextStyle { width: args.width.map_or(style.width, width_of), ..style },
            is_terminal: is_terminal(&target),
            target,
            read,
            is_quiet: args.quiet,
            is_strict: args.strict,
        }
    }
}

/// Width and colours of a terminal; neither for a pipe or a file.
pub(super) fn style(target: &Target) -> TextStyle {
    if !is_terminal(target) {
        return TextStyle::default();
    }
    let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    let is_coloured = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    TextStyle { width, is_coloured }
}

fn is_terminal(target: &Target) -> bool {
    *target == Target::Stdout && std::io::stdout().is_terminal()
}

/// The width that an argument asks for.
fn width_of(columns: u16) -> Option<usize> {
    (columns > 0).then_some(usize::from(columns))
}

/// The part of the window that was asked for; all of it where none was.
pub(super) fn window_config(window: Option<WindowArg>) -> WindowConfig {
    window.map_or_else(WindowConfig::default, |window| WindowConfig {
        from_ns: window.from_ns,
        to_ns: window.to_ns,
    })
}

fn choice_of(argument: ChoiceArg) -> Choice {
    match argument {
        ChoiceArg::Auto => Choice::Auto,
        ChoiceArg::Yes => Choice::Yes,
        ChoiceArg::No => Choice::No,
    }
}

/// Rows of a table for people; torch's own limit for its own layout.
fn rows_shown(top: Option<usize>, is_torch_layout: bool) -> usize {
    match top {
        Some(0) => usize::MAX,
        Some(n) => n,
        None if is_torch_layout => 100,
        None => 20,
    }
}

//! From arguments to what will be done: inputs found, defaults resolved, nothing read yet.

use std::io::IsTerminal as _;

use regex::Regex;

use super::args::{AnalyzeArgs, ChoiceArg, CommonArgs, Format, SortKey, TableKey, WindowArg};
use super::output::Target;
use super::run::Hinted;
use crate::analyze::base::TimeConfig;
use crate::analyze::key_averages::{Choice, KeyAveragesConfig};
use crate::analyze::window::WindowConfig;
use crate::read::{Inputs, ReadOptions, discover};
use crate::render::text::TextStyle;

/// What every command needs.
#[derive(Debug)]
pub(super) struct CommonPlan {
    pub(super) format: Format,
    pub(super) target: Target,
    pub(super) style: TextStyle,
    pub(super) read: ReadOptions,
    pub(super) is_quiet: bool,
    pub(super) is_strict: bool,
}

/// What `analyze` will do.
#[derive(Debug)]
pub(super) struct AnalyzePlan {
    pub(super) common: CommonPlan,
    pub(super) inputs: Inputs,
    /// Keys of the tables to show; empty for all.
    pub(super) tables: Vec<&'static str>,
    /// Rows of a table for people.
    pub(super) top: usize,
    pub(super) sort: Option<SortKey>,
    pub(super) name: Option<Regex>,
    /// Windows and wait rules.
    pub(super) time: TimeConfig,
    /// Rules of the profiler table.
    pub(super) key_averages: KeyAveragesConfig,
    /// Whether torch's own table text is all that is wanted.
    pub(super) is_torch_layout: bool,
}

impl AnalyzePlan {
    /// Resolves the arguments.
    pub(super) fn of(args: &AnalyzeArgs) -> anyhow::Result<Self> {
        let common = CommonPlan::of(&args.common);
        let mut tables: Vec<&'static str> = args.table.iter().map(|key| key.key()).collect();
        if common.format == Format::Csv {
            if tables.is_empty() {
                tables.push(TableKey::KeyAverages.key());
            }
            if tables.len() > 1 {
                let what = "a CSV file holds one table".to_owned();
                let hint = "name one with --table, or take --format json".to_owned();
                return Err(Hinted { what, hint }.into());
            }
        }
        if args.torch_layout && (common.format != Format::Text || args.window.is_some()) {
            let what = "--torch-layout is torch's own text, of whole profiles".to_owned();
            let hint = "leave out --format and --window, or --torch-layout".to_owned();
            return Err(Hinted { what, hint }.into());
        }
        Ok(Self {
            inputs: discover(&args.paths)?,
            common,
            tables,
            top: rows_shown(args.top, args.torch_layout),
            sort: args.sort,
            name: args.name.clone(),
            time: TimeConfig { window: window_config(args.window), ..TimeConfig::default() },
            key_averages: KeyAveragesConfig {
                python_rows: choice(args.python_rows),
                torch_compat: choice(args.torch_compat),
                group_by_input_shape: args.group_by_input_shape,
                group_by_stack_n: args.group_by_stack.unwrap_or(0),
            },
            is_torch_layout: args.torch_layout,
        })
    }

    /// Whether a table is shown.
    pub(super) fn shows(&self, key: &str) -> bool {
        self.tables.is_empty() || self.tables.contains(&key)
    }

    /// Whether a name is shown.
    pub(super) fn shows_name(&self, name: &str) -> bool {
        self.name.as_ref().is_none_or(|regex| regex.is_match(name))
    }
}

impl CommonPlan {
    /// Resolves what every command takes.
    pub(super) fn of(args: &CommonArgs) -> Self {
        let target = args.output.clone().map_or(Target::Stdout, Target::File);
        let mut read = ReadOptions::default();
        if let Some(threads) = args.threads {
            read.threads = usize::from(threads);
        }
        Self {
            format: args.format,
            style: style(&target),
            target,
            read,
            is_quiet: args.quiet,
            is_strict: args.strict,
        }
    }
}

/// Width and colours of a terminal; neither for a pipe or a file.
pub(super) fn style(target: &Target) -> TextStyle {
    if *target != Target::Stdout || !std::io::stdout().is_terminal() {
        return TextStyle::default();
    }
    let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    let is_coloured = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    TextStyle { width, is_coloured }
}

/// The part of the window that was asked for; all of it where none was.
pub(super) fn window_config(window: Option<WindowArg>) -> WindowConfig {
    window.map_or_else(WindowConfig::default, |window| WindowConfig {
        from_ns: window.from_ns,
        to_ns: window.to_ns,
    })
}

fn choice(argument: ChoiceArg) -> Choice {
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

//! From arguments to what will be done: inputs found, defaults resolved, nothing read yet.

use std::io::IsTerminal as _;

use regex::Regex;

use super::args::{AnalyzeArgs, CommonArgs, Format, PythonRowsArg, SortKey, TableKey, WindowArg};
use super::output::Target;
use super::run::Hinted;
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
    pub(super) top: usize,
    pub(super) sort: Option<SortKey>,
    pub(super) name: Option<Regex>,
    pub(super) window: Option<WindowArg>,
    pub(super) python_rows: PythonRowsArg,
    pub(super) is_torch_compat: bool,
    pub(super) is_torch_layout: bool,
    pub(super) group_by_input_shape: bool,
    pub(super) group_by_stack: usize,
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
        Ok(Self {
            inputs: discover(&args.paths)?,
            common,
            tables,
            top: args.top,
            sort: args.sort,
            name: args.name.clone(),
            window: args.window,
            python_rows: args.python_rows,
            is_torch_compat: args.torch_compat,
            is_torch_layout: args.torch_layout,
            group_by_input_shape: args.group_by_input_shape,
            group_by_stack: args.group_by_stack.unwrap_or(0),
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
    fn of(args: &CommonArgs) -> Self {
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
fn style(target: &Target) -> TextStyle {
    if *target != Target::Stdout || !std::io::stdout().is_terminal() {
        return TextStyle::default();
    }
    let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    let is_coloured = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    TextStyle { width, is_coloured }
}

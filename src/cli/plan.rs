//! From arguments to what will be done: inputs found, defaults resolved, nothing read yet.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{AnalyzeArgs, ColorArg, CommonArgs, Format, RuleArgs, RunningArgs, ShownArgs};
use super::args_cache::CacheArgs;
use super::args_reduce::ReduceArgs;
use super::figures::FigurePlan;
use super::guard::{self, Output};
use super::log_plan::LogPlan;
use super::output::Target;
use super::reading::{Sorting, find_traces};
use super::rule_files::{COMM_RULES, OP_MODELS, WAIT_RULES};
use super::run::Hinted;
use super::tables::TableChoice;
use crate::analyze::base::TimeConfig;
use crate::analyze::key_averages::{Choice, KeyAveragesConfig};
use crate::analyze::peaks::PeakOverrides;
use crate::analyze::roofline::RooflineConfig;
use crate::analyze::timeline::Class;
use crate::analyze::window::WindowConfig;
use crate::ask::partial::Precision;
use crate::ask::{Question, Wanted};
use crate::causal::findings::FindingRow;
use crate::read::{Inputs, Progress, ReadOptions, Sidecars};
use crate::render::csv::Texts;
use crate::render::layout::Names;
use crate::render::text::TextStyle;
use crate::schema::{Row as _, Spec};
use crate::table::figure::FIGURES_OF;
use crate::table::verdict::{VERDICT_OF, VerdictRow};
use crate::table::{AnalyzeReport, InputRow, IssueRow, IterationRow, KeyAverageRow};

/// Columns of text in a pipe.
const PIPED_WIDTH: usize = 120;

/// Tables that nobody sees who did not ask for them.
const ON_REQUEST: [&Spec; 2] = [IterationRow::SPEC, FindingRow::SPEC];

/// Longest gaps shown where nothing else is asked for.
const N_GAPS: usize = 10;

/// What every command needs.
#[derive(Debug)]
pub(super) struct CommonPlan {
    pub(super) format: Format,
    pub(super) target: Target,
    pub(super) style: TextStyle,
    /// How CSV writes texts.
    pub(super) csv_texts: Texts,
    /// Whether the text goes to a terminal.
    pub(super) is_terminal: bool,
    pub(super) read: ReadOptions,
    /// What is kept of the traces that are read.
    pub(super) sidecars: Option<Sidecars>,
    pub(super) is_quiet: bool,
    pub(super) is_strict: bool,
    /// How far reading has come.
    pub(super) progress: Arc<Progress>,
}

/// What `analyze` will do.
#[derive(Debug)]
pub(super) struct AnalyzePlan {
    pub(super) common: CommonPlan,
    pub(super) inputs: Inputs,
    pub(super) question: Question,
    pub(super) shown: ShownPlan,
    /// The paths as they were typed.
    pub(super) typed: String,
    /// Whether these are partial results.
    pub(super) is_of_partials: bool,
    /// The interval that was asked for.
    pub(super) window: Option<WindowConfig>,
    /// Whether torch's own table text is all that is wanted.
    pub(super) is_torch_layout: bool,
    /// Logs to join with the traces.
    pub(super) logs: Option<LogPlan>,
    /// Where the page goes, if anywhere.
    pub(super) page: Option<PathBuf>,
    /// Where figures go, if anywhere.
    pub(super) figures: Option<FigurePlan>,
    /// The partial result that is all that is wanted.
    pub(super) partial: Option<PartialPlan>,
}

/// What of the answers is shown.
#[derive(Debug)]
pub(super) struct ShownPlan {
    /// The tables to show.
    pub(super) choice: TableChoice,
    /// Whether one screen is all that is shown.
    pub(super) is_screen: bool,
    /// Whether everything is to be shown.
    pub(super) is_full: bool,
    /// Rows of the table of gaps for people.
    pub(super) top_gaps: usize,
    /// Rows of the table of threads for people.
    pub(super) top_threads: usize,
}

impl ShownPlan {
    /// What the arguments ask for; `tables` may be what other arguments mean.
    fn of(
        args: &ShownArgs,
        tables: &[String],
        common: &CommonPlan,
        is_torch_layout: bool,
    ) -> anyhow::Result<Self> {
        let top = rows_shown(args.top, is_torch_layout);
        let choice = TableChoice::of(common, tables, KeyAverageRow::SPEC, top)?;
        let asks_for_more =
            args.full || is_torch_layout || args.top.is_some() || args.name.is_some();
        Ok(Self {
            is_screen: choice.is_default() && common.format == Format::Text && !asks_for_more,
            choice,
            is_full: args.full,
            top_gaps: args.top.map_or(N_GAPS, |_| top),
            top_threads: args.top.map_or(usize::MAX, |_| top),
        })
    }

    /// Whether a table is named.
    fn asks_for(&self, table: &Spec) -> bool {
        self.choice.shows(table.key, |_| false)
    }

    /// What is shown where nothing is asked for, or torch's own table.
    fn plain(is_torch_layout: bool) -> Self {
        Self {
            choice: TableChoice::plain(rows_shown(None, is_torch_layout)),
            is_screen: !is_torch_layout,
            is_full: false,
            top_gaps: N_GAPS,
            top_threads: usize::MAX,
        }
    }
}

/// A partial result to write.
#[derive(Debug)]
pub(super) struct PartialPlan {
    pub(super) target: Target,
    pub(super) precision: Precision,
}

impl AnalyzePlan {
    /// Resolves the arguments.
    pub(super) fn of(args: &AnalyzeArgs) -> anyhow::Result<Self> {
        let common = CommonPlan::of(&args.common).kept(&args.cache).with_snapshots();
        let shown = if is_about_profiler_table(args, common.format) {
            let table = KeyAverageRow::SPEC.key.to_owned();
            ShownPlan::of(&args.shown, &[table], &common, args.torch_layout)?
        } else {
            ShownPlan::of(&args.shown, &args.shown.table, &common, args.torch_layout)?
        };
        let excluded = excluded_classes(&args.exclude, args.exclude_ipc_wait);
        refuse_changed_torch(args, common.format, &excluded)?;
        let inputs = find_traces(&args.paths)?;
        let logs = LogPlan::of(&args.logs, &args.paths, &inputs)?;
        let time = args.rules.time_config(args.window)?;
        let models = OP_MODELS.of(args.op_models.as_deref())?.1;
        guard::claim_results(args.common.output.as_deref(), args.html.as_deref(), &args.figures)?;
        let precision = if args.exact { Precision::Exact } else { Precision::Bounded };
        let partial = PartialPlan::to(args.partial.as_deref(), precision)?;
        let question = Question {
            time,
            excluded,
            key_averages: KeyAveragesConfig {
                python_rows: args.python_rows,
                torch_compat: args.torch_compat,
                group_by_input_shape: args.group_by_input_shape,
                group_by_stack_n: args.group_by_stack.unwrap_or(0),
            },
            sort: args.shown.sort,
            name: args.shown.name.clone(),
            is_one_run: args.runs.one_run,
            steady: args.steady,
            roofline: RooflineConfig { models, peaks: peaks_of(args.peak.as_deref())? },
            wanted: Wanted::All,
        };
        let plan = Self {
            window: args.window,
            is_torch_layout: args.torch_layout,
            logs,
            page: args.html.clone(),
            figures: FigurePlan::of(&args.figures)?,
            partial,
            ..Self::of_question(common, shown, question, &args.paths)
        };
        Ok(Self { inputs, ..plan }.with_wanted())
    }

    /// A question, and no more than its answer.
    fn of_question(
        common: CommonPlan,
        shown: ShownPlan,
        question: Question,
        paths: &[PathBuf],
    ) -> Self {
        Self {
            common,
            inputs: Inputs::default(),
            question,
            shown,
            typed: typed(paths),
            is_of_partials: false,
            window: None,
            is_torch_layout: false,
            logs: None,
            page: None,
            figures: None,
            partial: None,
        }
    }

    /// What `reduce` will do with partial results.
    pub(super) fn of_partials(args: &ReduceArgs) -> anyhow::Result<Self> {
        let common = CommonPlan::of(&args.common);
        guard::claim_results(args.common.output.as_deref(), args.html.as_deref(), &args.figures)?;
        guard::claim([Output::of("--clocks", args.clocks.as_deref())])?;
        let shown = ShownPlan::of(&args.shown, &args.shown.table, &common, false)?;
        if shown.asks_for(FindingRow::SPEC) {
            let what = "findings are made of events, which partial results do not hold".to_owned();
            let hint = "where the traces lie: omni-trace analyze PATH --table findings".to_owned();
            return Err(Hinted { what, hint }.into());
        }
        let question = Question {
            sort: args.shown.sort,
            name: args.shown.name.clone(),
            is_one_run: args.runs.one_run,
            ..Question::default()
        };
        Ok(Self {
            figures: FigurePlan::of(&args.figures)?,
            page: args.html.clone(),
            partial: PartialPlan::to(args.partial.as_deref(), Precision::Exact)?,
            is_of_partials: true,
            ..Self::of_question(common, shown, question, &args.paths)
        })
    }

    /// The analysis of some traces as `analyze` does it where nothing but their paths is given, or torch's own table.
    pub(super) fn plain(paths: &[PathBuf], is_torch_layout: bool) -> anyhow::Result<Self> {
        let common = CommonPlan::plain(is_torch_layout).with_snapshots();
        let shown = ShownPlan::plain(is_torch_layout);
        let plan = Self {
            inputs: find_traces(paths)?,
            is_torch_layout,
            ..Self::of_question(common, shown, Question::default(), paths)
        };
        Ok(plan.with_wanted())
    }

    /// The tables that are wanted: those that are shown, and those of which other things are made.
    fn with_wanted(mut self) -> Self {
        self.question.wanted = self.wanted();
        self
    }

    fn wanted(&self) -> Wanted {
        if self.is_torch_layout {
            return Wanted::Only(vec![KeyAverageRow::SPEC]);
        }
        let is_all = self.page.is_some() || self.partial.is_some();
        let asks_findings = self.shown.asks_for(FindingRow::SPEC);
        if is_all || self.common.format == Format::Json {
            return match asks_findings {
                true => Wanted::AllAnd(vec![FindingRow::SPEC]),
                false => Wanted::All,
            };
        }
        if self.shown.is_screen && self.figures.is_none() {
            let of_screen = VERDICT_OF.into_iter().chain([VerdictRow::SPEC, InputRow::SPEC]);
            return Wanted::Only(of_screen.collect());
        }
        let none = AnalyzeReport::default();
        let tables = none.tables(|_| true);
        let shown = tables.iter().filter(|table| self.shows(table.key, table.spec));
        let mut wanted: Vec<&Spec> = shown.map(|table| table.spec).collect();
        if self.figures.is_some() {
            wanted.extend(FIGURES_OF);
        }
        Wanted::with_sources(wanted)
    }

    /// Whether a table is shown where it has rows.
    fn shows(&self, key: &str, spec: &Spec) -> bool {
        !self.shown.is_screen && self.shown.choice.shows(key, |_| !ON_REQUEST.contains(&spec))
    }

    /// Whether what was lost is told by the result.
    pub(super) fn shows_issues(&self) -> bool {
        self.shown.is_screen || self.shows(IssueRow::SPEC.key, IssueRow::SPEC)
    }
}

/// Whether options are given that are about the profiler table alone, and no table is named.
fn is_about_profiler_table(args: &AnalyzeArgs, format: Format) -> bool {
    let is_about = args.shown.sort.is_some()
        || args.group_by_input_shape
        || args.group_by_stack.is_some()
        || args.python_rows != Choice::Auto
        || args.torch_compat != Choice::Auto;
    let is_open = args.shown.table.is_empty() && !args.shown.full && !args.torch_layout;
    format == Format::Text && is_open && is_about
}

/// Paths as they are typed into a shell.
fn typed(paths: &[PathBuf]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=@:,%".contains(c);
    let word = |path: &PathBuf| {
        let path = path.display().to_string();
        let is_plain = !path.is_empty() && path.chars().all(plain);
        if is_plain { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
    };
    let words: Vec<String> = paths.iter().map(word).collect();
    words.join(" ")
}

impl PartialPlan {
    /// The partial result that was asked for.
    fn to(path: Option<&Path>, precision: Precision) -> anyhow::Result<Option<Self>> {
        let Some(path) = path else { return Ok(None) };
        guard::claim([Output::of("--partial", Some(path))])?;
        let is_stdout = path == Path::new("-");
        let target = if is_stdout { Target::Stdout } else { Target::File(path.to_owned()) };
        Ok(Some(Self { target, precision }))
    }
}

/// # Errors
///
/// What would make torch's own text another one.
fn refuse_changed_torch(
    args: &AnalyzeArgs,
    format: Format,
    excluded: &[Class],
) -> Result<(), Hinted> {
    if !args.torch_layout {
        return Ok(());
    }
    let (what, hint) = if !excluded.is_empty() {
        (
            "--torch-layout is torch's own text, and torch leaves no time out",
            "leave out --torch-layout; `--table key_averages` shows the same table without the waits",
        )
    } else if format != Format::Text || args.window.is_some() {
        (
            "--torch-layout is torch's own text, of whole profiles",
            "leave out --format and --window, or --torch-layout",
        )
    } else {
        return Ok(());
    };
    Err(Hinted { what: what.to_owned(), hint: hint.to_owned() })
}

/// The classes to leave out, in the order of every output.
pub(super) fn excluded_classes(exclude: &[Class], exclude_ipc_wait: bool) -> Vec<Class> {
    let mut classes = exclude.to_vec();
    if exclude_ipc_wait {
        classes.push(Class::IpcWait);
    }
    classes.sort_unstable();
    classes.dedup();
    classes
}

/// Peaks of devices as `--peak` gives them.
pub(super) fn peaks_of(given: Option<&str>) -> anyhow::Result<PeakOverrides> {
    let peaks = given.map_or(Ok(PeakOverrides::default()), PeakOverrides::parse);
    let peaks = peaks.map_err(|what| Hinted {
        what: format!("--peak: {what}"),
        hint: "write it as host=63,peer=450,memory=3350, in GB/s".to_owned(),
    })?;
    Ok(peaks)
}

impl RuleArgs {
    /// What is looked at, and by which rules.
    pub(super) fn time_config(&self, window: Option<WindowConfig>) -> anyhow::Result<TimeConfig> {
        let rules = WAIT_RULES.of(self.wait_rules.as_deref())?.1;
        let comm_rules = COMM_RULES.of(self.comm_rules.as_deref())?.1;
        Ok(TimeConfig { window: window.unwrap_or_default(), rules, comm_rules })
    }
}

impl RunningArgs {
    /// What becomes of files of another kind.
    pub(super) fn sorting(&self) -> Sorting {
        Sorting { is_strict: self.strict, is_quiet: self.quiet }
    }
}

impl CommonPlan {
    /// What becomes of files of another kind.
    pub(super) fn sorting(&self) -> Sorting {
        Sorting { is_strict: self.is_strict, is_quiet: self.is_quiet }
    }

    /// What is done where nothing was given: text to standard output.
    pub(super) fn plain(is_quiet: bool) -> Self {
        let target = Target::Stdout;
        Self {
            format: Format::Text,
            csv_texts: Texts::Neutral,
            style: style(&target),
            is_terminal: is_terminal(&target),
            target,
            read: ReadOptions::default(),
            sidecars: None,
            is_quiet,
            is_strict: false,
            progress: Arc::default(),
        }
    }

    /// The same with nothing said, and reading counted where another program looks.
    pub(super) fn unheard(self, progress: Arc<Progress>) -> Self {
        Self { is_quiet: true, progress, ..self }
    }

    /// The same with what was read before taken from where it is kept.
    pub(super) fn kept(self, cache: &CacheArgs) -> Self {
        Self { sidecars: cache.sidecars(self.is_quiet), ..self }
    }

    /// The same with snapshots of torch's allocator read beside traces.
    pub(super) fn with_snapshots(self) -> Self {
        Self { read: ReadOptions { takes_snapshots: true, ..self.read }, ..self }
    }

    /// Text to standard output, by so many threads, with lost data judged.
    pub(super) fn running(args: &RunningArgs) -> Self {
        let plain = Self::plain(args.quiet);
        Self { is_strict: args.strict, ..plain.with_threads(args.threads) }
    }

    /// The same with a number of threads.
    pub(super) fn with_threads(self, threads: Option<u16>) -> Self {
        let threads = threads.map_or(self.read.threads, usize::from);
        Self { read: ReadOptions { threads, ..self.read }, ..self }
    }

    /// Resolves what every command takes.
    pub(super) fn of(args: &CommonArgs) -> Self {
        let target = args.output.clone().map_or(Target::Stdout, Target::File);
        let style = style(&target);
        Self {
            format: args.format,
            csv_texts: if args.csv_raw { Texts::Raw } else { Texts::Neutral },
            style: TextStyle {
                width: args.width.map_or(style.width, width_of),
                names: if args.full_names { Names::Whole } else { Names::Short },
                is_coloured: match args.color {
                    ColorArg::Auto => style.is_coloured,
                    ColorArg::Always => true,
                    ColorArg::Never => false,
                },
            },
            is_terminal: is_terminal(&target),
            target,
            ..Self::running(&args.running)
        }
    }
}

/// Width and colours of a terminal; a width that can be read for a pipe, neither for a file.
pub(super) fn style(target: &Target) -> TextStyle {
    if *target != Target::Stdout {
        return TextStyle::default();
    }
    if !is_terminal(target) {
        return TextStyle { width: piped_width(), ..TextStyle::default() };
    }
    let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    let is_coloured = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    TextStyle { width, is_coloured, ..TextStyle::default() }
}

/// What the variable `COLUMNS` says, 0 for any width; else what a pager has room for.
fn piped_width() -> Option<usize> {
    let columns = std::env::var("COLUMNS").ok().and_then(|value| value.trim().parse().ok());
    columns.map_or(Some(PIPED_WIDTH), width_of)
}

fn is_terminal(target: &Target) -> bool {
    *target == Target::Stdout && std::io::stdout().is_terminal()
}

/// The width that an argument asks for.
fn width_of(columns: u16) -> Option<usize> {
    (columns > 0).then_some(usize::from(columns))
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

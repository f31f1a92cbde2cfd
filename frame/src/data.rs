//! What the questions are about: traces and logs, read when a table of theirs is asked for, and their columns as polars has
//! them, made when a statement touches them; or a data set that `export` wrote of them.

use std::cell::OnceCell;
use std::ops::Range;
use std::path::PathBuf;

use omni_trace::analyze::window::{WindowConfig, windows};
use omni_trace::files::{protect, protect_found};
use omni_trace::read::logs::discover_logs;
use omni_trace::read::{Input, discover};
use omni_trace::{
    Cells, Logs, Of, Question, ReadError, Reading, SeveralRuns, Source, Traces, Values,
};
use polars::prelude::{BooleanChunked, Column, DataFrame, PolarsError};

use crate::catalog::{Catalog, INPUT, Known, STAGE};
use crate::convert::{self, Dictionaries};
use crate::dataset::DataSet;
use crate::reading::Display;
use crate::trouble::Trouble;
use crate::within::Limit;

/// The column of when an event begins, after the start of the window.
const OFFSET: &str = "offset_ns";
/// The column of how long it takes.
const DURATION: &str = "dur_ns";

/// Traces and logs.
pub struct Data {
    paths: Vec<PathBuf>,
    question: Question,
    reading: Reading,
    is_quiet: bool,
    traces: OnceCell<Traces>,
    logs: OnceCell<Logs>,
    stored: Option<DataSet>,
}

impl Data {
    /// What lies at some paths; nothing is read yet.
    pub fn new(paths: Vec<PathBuf>, question: Question, reading: Reading) -> Self {
        let (traces, logs) = (OnceCell::new(), OnceCell::new());
        Self { paths, question, reading, is_quiet: true, traces, logs, stored: None }
    }

    /// The same, with a line on a terminal's standard error while traces are read.
    #[must_use]
    pub fn told(self) -> Self {
        Self { is_quiet: false, ..self }
    }

    /// The same, of tables that were exported, where the paths are those of a data set.
    ///
    /// # Errors
    ///
    /// A part of the window, or without some time: tables stay as they were written.
    pub fn or_stored(self, catalog: &Catalog) -> Result<Self, Trouble> {
        let stored = DataSet::at(&self.paths, catalog);
        let is_part = self.question.time.window.is_clipped() || !self.question.excluded.is_empty();
        if stored.is_some() && is_part {
            let hint = "export with these options, or ask the traces";
            return Err(Trouble::new(
                "--window and --exclude are of traces, and this is a data set",
                hint,
            ));
        }
        Ok(Self { stored, ..self })
    }

    /// Keeps what was asked for from being written over: the files named, and those that the folders named hold.
    pub fn protect(&self) {
        protect(self.paths.iter().map(PathBuf::as_path));
        match &self.stored {
            Some(stored) => protect(stored.paths()),
            // What cannot be found is said where it is read.
            None => [discover(&self.paths).ok(), discover_logs(&self.paths).ok()]
                .iter()
                .flatten()
                .for_each(protect_found),
        }
    }

    /// Whether limits decide what is read: of a data set, not of traces.
    pub fn is_limited(&self) -> bool {
        self.stored.is_some()
    }

    /// Whether columns of a table are had one by one: of events, and of what was exported. Others are made as a whole.
    pub fn is_by_column(&self, table: &Known) -> bool {
        self.stored.is_some() || table.of == Of::Events
    }

    /// The traces, read once.
    pub fn traces(&self) -> Result<&Traces, Trouble> {
        if let Some(traces) = self.traces.get() {
            return Ok(traces);
        }
        let traces = {
            let _display = (!self.is_quiet).then(|| Display::start(&self.reading.progress));
            Traces::read_as(&self.paths, &self.reading).map_err(|error| unread(&error))?
        };
        self.refuse_outside(&traces)?;
        Ok(self.traces.get_or_init(|| traces))
    }

    /// # Errors
    ///
    /// The part of the window that was asked for begins behind the end of every input.
    fn refuse_outside(&self, traces: &Traces) -> Result<(), Trouble> {
        let Some(from_ns) = self.question.time.window.from_ns else { return Ok(()) };
        let whole = |input: &Input| windows(&input.store, WindowConfig::default()).file.len_ns();
        let longest_ns = traces.inputs().iter().map(whole).max().unwrap_or(0);
        if longest_ns == 0 || from_ns < longest_ns {
            return Ok(());
        }
        let what = format!(
            "--window starts behind the end of every input: the longest window is {longest_ns} ns"
        );
        let hint =
            format!("times are from the start of each window; `--window ..{longest_ns}ns` is all");
        Err(Trouble::new(what, hint))
    }

    fn logs(&self) -> Result<&Logs, Trouble> {
        if let Some(logs) = self.logs.get() {
            return Ok(logs);
        }
        let logs = Logs::read(&self.paths).map_err(|error| unread(&error))?;
        Ok(self.logs.get_or_init(|| logs))
    }

    fn source(&self, table: &Known) -> Result<Source<'_>, Trouble> {
        let source = match table.of {
            Of::Stages => self.logs()?.source(table.name),
            Of::Events | Of::Analyze | Of::Bandwidth => {
                let traces = self.traces()?;
                let unanswered = |e: SeveralRuns| Trouble::new(e.to_string(), SeveralRuns::HINT);
                traces.check(table.name, &self.question).map_err(unanswered)?;
                traces.source(table.name, &self.question)
            }
        };
        source.ok_or_else(|| Trouble::plain(format!("there is no table `{}`", table.name)))
    }

    /// What was read of a data set; `None` of traces.
    pub fn told_of_reading(&self) -> Option<String> {
        self.stored.as_ref().map(DataSet::told)
    }

    /// Some columns of a table, of a data set without the files in which no row keeps these limits.
    ///
    /// # Errors
    ///
    /// Inputs that cannot be read.
    pub fn frame(
        &self,
        table: &Known,
        keys: &[&str],
        limits: &[Limit],
    ) -> Result<DataFrame, Trouble> {
        if let Some(stored) = &self.stored {
            return stored.frame(table, keys, limits);
        }
        let source = self.source(table)?;
        let wanted = keys;
        let keys = &self.with_times(table, wanted);
        let mut dictionaries = Dictionaries::default();
        let mut whole: Option<DataFrame> = None;
        for rows in source.parts() {
            let part = self.part(&source, table, keys, &rows, &mut dictionaries)?;
            match &mut whole {
                Some(whole) => drop(whole.vstack_mut(&part).map_err(unmade)?),
                None => whole = Some(part),
            }
        }
        let whole = match whole {
            Some(whole) => whole,
            None => self.part(&source, table, keys, &(0..0), &mut dictionaries)?,
        };
        if keys.len() == wanted.len() && !self.is_clipped(table) {
            return Ok(whole);
        }
        let within = whole.filter(&self.within(&whole)?).map_err(unmade)?;
        within.select(wanted.iter().copied()).map_err(unmade)
    }

    /// Whether a table has rows that lie outside of the part of the window that is asked about.
    fn is_clipped(&self, table: &Known) -> bool {
        let has_times = table.of == Of::Events && table.column(OFFSET).is_some();
        has_times && self.question.time.window.is_clipped()
    }

    /// The columns that are wanted, and those that say whether a row lies in the part of the window.
    fn with_times<'k>(&self, table: &Known, wanted: &[&'k str]) -> Vec<&'k str> {
        let mut keys = wanted.to_vec();
        if self.is_clipped(table) {
            let times = [OFFSET, DURATION].into_iter().filter(|key| table.column(key).is_some());
            let missing: Vec<&str> = times.filter(|key| !wanted.contains(key)).collect();
            keys.extend(missing);
        }
        keys
    }

    /// Which rows touch the part of the window; one without duration touches it where it begins in it. Offsets count from its
    /// start.
    fn within(&self, frame: &DataFrame) -> Result<BooleanChunked, Trouble> {
        let window = self.question.time.window;
        let length_ns = window.to_ns.map(|to| to.saturating_sub(window.from_ns.unwrap_or(0)));
        let offsets = frame.column(OFFSET).and_then(|column| column.i64()).map_err(unmade)?;
        let durations = frame.column(DURATION).and_then(|column| column.i64()).ok();
        let mut durations = durations.map(|durations| durations.iter()).into_iter().flatten();
        let touches = |offset: Option<i64>| {
            let dur_ns = durations.next().flatten().unwrap_or(0);
            offset.is_some_and(|at| {
                let is_begun = length_ns.is_none_or(|length| at < length);
                is_begun && (at >= 0 || at.saturating_add(dur_ns) > 0)
            })
        };
        Ok(offsets.iter().map(touches).collect())
    }

    /// Some columns of a stretch of rows.
    fn part(
        &self,
        source: &Source<'_>,
        table: &Known,
        keys: &[&str],
        rows: &Range<usize>,
        dictionaries: &mut Dictionaries,
    ) -> Result<DataFrame, Trouble> {
        let mut columns = Vec::with_capacity(keys.len());
        for &key in keys {
            let is_added = table.column(key).is_some_and(|column| column.is_added);
            let from = if is_added { INPUT } else { key };
            let values = source.column(from, rows.clone());
            let values = values.ok_or_else(|| {
                Trouble::plain(format!("`{}` has no column `{from}`", table.name))
            })?;
            columns.push(match values {
                Values::Int(inputs) if is_added => self.of_inputs(key, &inputs)?,
                values => convert::column(key, values, dictionaries),
            });
        }
        DataFrame::new(rows.len(), columns).map_err(unmade)
    }

    /// The stage or the rank of the input of each row.
    fn of_inputs(&self, key: &str, inputs: &Cells<i64>) -> Result<Column, Trouble> {
        let identities = self.traces()?.inputs().iter().map(|input| &input.identity);
        let numbers: Vec<Option<u32>> =
            identities.map(|of| if key == STAGE { of.stage } else { of.rank }).collect();
        let number =
            |input: i64| usize::try_from(input).ok().and_then(|input| *numbers.get(input)?);
        let values = inputs.iter().map(|input| input.and_then(number).map(i64::from));
        Ok(convert::column(key, Values::Int(values.collect()), &mut Dictionaries::default()))
    }
}

/// Inputs that cannot be read, and what to do.
fn unread(error: &ReadError) -> Trouble {
    Trouble::new(error.to_string(), error.hint())
}

/// Columns that do not fit together: they are of one table, so that none should.
pub(crate) fn unmade(error: PolarsError) -> Trouble {
    Trouble::plain(format!("the table could not be made: {error}"))
}

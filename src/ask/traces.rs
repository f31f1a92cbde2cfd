//! The short way from files to tables.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use super::{
    Answers, Of, Question, SeveralRuns, TableInfo, Wanted, bandwidth_report, compared,
    refuse_several_runs, stages_report, tables,
};
use crate::align::refine_identity;
use crate::analyze::base::TimeBase;
use crate::analyze::copies::CopiesConfig;
use crate::causal::findings::FindingRow;
use crate::read::logs::{LogInput, discover_logs, read_log};
use crate::read::{
    Input, Progress, ReadError, ReadOptions, Sidecars, discover, read_each, read_inputs,
    with_snapshots,
};
use crate::recorded::{self, Known, Recorded};
use crate::schema::{Row as _, Source};
use crate::table::stages::StagesReport;
use crate::table::{AnalyzeReport, BandwidthReport};

/// How traces are read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Threads.
    pub options: ReadOptions,
    /// How far reading has come.
    pub progress: Arc<Progress>,
    /// Where what was read is kept, so that it need not be read again. Default: nowhere.
    pub sidecars: Option<Sidecars>,
}

/// Traces, read: of the ranks and stages of a run, or of several.
#[derive(Debug)]
pub struct Traces {
    inputs: Vec<Input>,
    known: Vec<Known>,
    /// The same inputs with the arguments of events, once somebody asked for them.
    again: OnceLock<Option<Box<Traces>>>,
}

impl Traces {
    /// Reads files, and directories for every known naming scheme, with a thread a core. A merged file gives each of the
    /// inputs that it was made of; a snapshot of torch's allocator is of the trace of its process.
    ///
    /// # Errors
    ///
    /// A path of which nothing can be read.
    pub fn read<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Result<Self, ReadError> {
        Self::read_as(paths, &Reading::default())
    }

    /// As [`Traces::read`], with threads, a count of what was read, and what is kept of it for the next time.
    ///
    /// # Errors
    ///
    /// A path of which nothing can be read.
    pub fn read_as<P: AsRef<Path>>(
        paths: impl IntoIterator<Item = P>,
        reading: &Reading,
    ) -> Result<Self, ReadError> {
        let paths: Vec<PathBuf> = paths.into_iter().map(|path| path.as_ref().to_owned()).collect();
        let found = discover(&paths)?;
        let Reading { options, progress, sidecars } = reading;
        let options = ReadOptions { takes_snapshots: true, ..*options };
        let read = read_each(&found.paths, &options, progress, sidecars.as_ref());
        let read: Result<Vec<Vec<Input>>, _> = read.into_iter().collect();
        let mut inputs: Vec<Input> = read?.into_iter().flatten().collect();
        for input in &mut inputs {
            input.identity = refine_identity(&input.path, &input.identity, &input.store, &[]);
        }
        Ok(Self::of(with_snapshots(inputs)))
    }

    /// Traces that were read already.
    pub fn of(inputs: Vec<Input>) -> Self {
        let known = inputs.iter().map(|_| Known::default()).collect();
        Self { inputs, known, again: OnceLock::new() }
    }

    /// The inputs: their events, who wrote them, what was odd or lost.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The table of a name ([`TableInfo::name`]). A summary asks its analysis and no other; a table of events costs nothing
    /// before a column is asked for; for `event_arguments` the files are read again, unless the reader was asked to keep them.
    /// `None` where there is no such table of traces, or where what it needs cannot be read again. [`Traces::check`] says where a
    /// table has no rows because it has no answer.
    pub fn source(&self, name: &str, question: &Question) -> Option<Source<'_>> {
        let info = tables().iter().find(|info| info.name == name)?;
        match info.of {
            Of::Events if info.key == recorded::ARGUMENTS => {
                recorded::source(info.spec, &self.with_arguments()?.recorded(question))
            }
            Of::Events => recorded::source(info.spec, &self.recorded(question)),
            Of::Analyze => {
                let wanted = Wanted::with_sources(vec![info.spec]);
                let question = Question { wanted, ..question.clone() };
                self.analyze(&question).table(info.key).map(Source::made)
            }
            Of::Bandwidth => {
                let report = self.bandwidth(question, &CopiesConfig::default());
                report.table(info.key).map(Source::made)
            }
            Of::Stages => None,
        }
    }

    /// The same with the arguments of every event: read again, once, where they were not kept. `None` where that cannot be.
    fn with_arguments(&self) -> Option<&Self> {
        if self.inputs.iter().all(|input| input.store.arguments.is_some()) {
            return Some(self);
        }
        self.again.get_or_init(|| self.read_again().map(Box::new)).as_deref()
    }

    fn read_again(&self) -> Option<Self> {
        let mut paths: Vec<PathBuf> = self.inputs.iter().map(|input| input.path.clone()).collect();
        paths.dedup();
        if paths.iter().any(|path| path == Path::new("-")) {
            return None;
        }
        let options = ReadOptions { keeps_arguments: true, ..ReadOptions::default() };
        let again = read_inputs(&paths, &options, &Arc::new(Progress::default())).ok()?;
        let lengths = |inputs: &[Input]| -> Vec<usize> {
            inputs.iter().map(|input| input.store.slices.len()).collect()
        };
        // A file that changed meanwhile has other events.
        (lengths(&again) == lengths(&self.inputs)).then(|| Self::of(again))
    }

    fn recorded(&self, question: &Question) -> Vec<Recorded<'_>> {
        let window = question.time.window;
        let inputs = self.inputs.iter().zip(&self.known).enumerate();
        inputs
            .map(|(number, (input, known))| Recorded { number, store: &input.store, known, window })
            .collect()
    }

    /// Where the time went: what `omni-trace analyze` answers.
    pub fn analyze(&self, question: &Question) -> AnalyzeReport {
        Answers::of(question, &self.inputs).into_report(question, &self.inputs)
    }

    /// Whether a table can be made of these inputs.
    ///
    /// # Errors
    ///
    /// It is about what waits for what, and the inputs are of several runs.
    pub fn check(&self, name: &str, question: &Question) -> Result<(), SeveralRuns> {
        if name != FindingRow::SPEC.key || self.inputs.len() < 2 {
            return Ok(());
        }
        let bases = self.bases(question);
        let bases: Vec<&TimeBase> = bases.iter().collect();
        refuse_several_runs(&compared(&self.inputs, &bases, question.is_one_run))
    }

    /// Copies and collectives: what `omni-trace bandwidth` answers.
    pub fn bandwidth(&self, question: &Question, config: &CopiesConfig) -> BandwidthReport {
        let bases = self.bases(question);
        let bases: Vec<&TimeBase> = bases.iter().collect();
        let together = compared(&self.inputs, &bases, question.is_one_run);
        bandwidth_report(config, &self.inputs, &bases, &together)
    }

    fn bases(&self, question: &Question) -> Vec<TimeBase> {
        let inputs = self.inputs.par_iter().enumerate();
        inputs.map(|(i, input)| TimeBase::new(&input.store, &question.time).numbered(i)).collect()
    }
}

/// Pipeline logs and statistics, read.
#[derive(Debug)]
pub struct Logs {
    inputs: Vec<LogInput>,
}

impl Logs {
    /// Reads files, and directories for every log in them.
    ///
    /// # Errors
    ///
    /// A path of which nothing can be read.
    pub fn read<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Result<Self, ReadError> {
        let paths: Vec<PathBuf> = paths.into_iter().map(|path| path.as_ref().to_owned()).collect();
        let found = discover_logs(&paths)?;
        let progress = Arc::new(Progress::default());
        let inputs: Result<_, _> =
            found.paths.par_iter().map(|path| read_log(path, &progress)).collect();
        Ok(Self { inputs: inputs? })
    }

    /// What they tell: what `omni-trace stages` answers.
    pub fn stages(&self) -> StagesReport {
        stages_report(&self.inputs)
    }

    /// The table of a name ([`TableInfo::name`]); `None` where there is no such table of logs.
    pub fn source(&self, name: &str) -> Option<Source<'static>> {
        let is_meant = |info: &&TableInfo| info.of == Of::Stages && info.name == name;
        let info = tables().iter().find(is_meant)?;
        let stages = self.stages();
        let sources = stages.tables();
        sources.iter().find(|source| source.key == info.key).map(|one| Source::made(one.table()))
    }
}

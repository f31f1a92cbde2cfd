//! The short way from files to tables.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::{Answers, Question, bandwidth_report, compared};
use crate::align::refine_identity;
use crate::analyze::base::TimeBase;
use crate::analyze::copies::CopiesConfig;
use crate::read::{Input, Progress, ReadError, ReadOptions, discover, read_inputs};
use crate::table::{AnalyzeReport, BandwidthReport};

/// Traces, read: of the ranks and stages of a run, or of several.
#[derive(Debug)]
pub struct Traces {
    inputs: Vec<Input>,
}

impl Traces {
    /// Reads files, and directories for every known naming scheme, with a thread a core. A merged file gives each of the
    /// inputs that it was made of.
    ///
    /// # Errors
    ///
    /// A path of which nothing can be read.
    pub fn read<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Result<Self, ReadError> {
        let paths: Vec<PathBuf> = paths.into_iter().map(|path| path.as_ref().to_owned()).collect();
        let found = discover(&paths)?;
        let progress = Arc::new(Progress::default());
        let mut inputs = read_inputs(&found.paths, &ReadOptions::default(), &progress)?;
        for input in &mut inputs {
            input.identity = refine_identity(&input.path, &input.identity, &input.store, &[]);
        }
        Ok(Self { inputs })
    }

    /// The inputs: their events, who wrote them, what was odd or lost.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// Where the time went: what `omni-trace analyze` answers.
    pub fn analyze(&self, question: &Question) -> AnalyzeReport {
        Answers::of(question, &self.inputs).into_report(question, &self.inputs)
    }

    /// Copies and collectives: what `omni-trace bandwidth` answers.
    pub fn bandwidth(&self, question: &Question, config: &CopiesConfig) -> BandwidthReport {
        let bases: Vec<TimeBase> = self
            .inputs
            .par_iter()
            .enumerate()
            .map(|(i, input)| TimeBase::new(&input.store, &question.time).numbered(i))
            .collect();
        let bases: Vec<&TimeBase> = bases.iter().collect();
        let together = compared(&self.inputs, &bases, question.is_one_run);
        bandwidth_report(config, &self.inputs, &bases, &together)
    }
}

//! Questions to traces and logs: which analyses are asked, on which inputs, and the report that they fill.
//!
//! Everything between read inputs and tables, without arguments, files and terminals: what the commands and other
//! programs share. [`Traces`] is the short way: read, ask, walk the tables.

mod catalog;
mod causal;
mod check;
mod digest;
mod inputs;
pub mod listing;
mod logs;
mod one_input;
mod own_tables;
pub mod partial;
mod question;
mod reduce;
mod report;
mod traces;
mod transfers;

pub use catalog::{Of, TableInfo, tables};
pub use causal::{CausalRun, SeveralRuns, add_paths, refuse_several_runs};
pub use check::check_report;
pub use digest::{Digest, Sums};
pub use inputs::{device_label, issues};
pub use logs::{joined_with, stages_report};
pub use one_input::{InputAnswers, compared};
pub use question::{Question, SortKey, Wanted};
pub use reduce::Reduced;
pub use report::{Answers, digests};
pub use traces::{Logs, Reading, Traces};
pub use transfers::bandwidth_report;

//! What a log complains of: warnings, errors and tracebacks, counted by what they say.

use crate::model::named;

named! {
    /// How bad a complaint is, by its logger's level or its form.
    Gravity {
        /// `WARNING`, Python's own warnings, NCCL's.
        Warning "warning",
        /// `ERROR`, a traceback, the name of an exception.
        Error "error",
        /// `CRITICAL`, and what ends a process.
        Critical "critical",
    }
}

/// Complaints that say the same but for numbers and identifiers. A traceback is one complaint, whatever its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad.
    pub gravity: Gravity,
    /// Source file and line that wrote it; of a traceback its innermost frame. Empty where the line names none.
    pub source: String,
    /// How often.
    pub count: u64,
    /// Processes that complain so, as indices into the log's, in order; empty where no line names one.
    pub processes: Vec<u32>,
    /// Line number of the first one, from 1.
    pub first_line: u64,
    /// Line number of the last one.
    pub last_line: u64,
    /// Time of the first dated one on the log's own wall clock.
    pub first_wall_ns: Option<i64>,
    /// Time of the last dated one.
    pub last_wall_ns: Option<i64>,
    /// The first one, cut to 300 characters; of a traceback the exception.
    pub text: String,
}

//! Bad input is data: what was odd or lost is counted, with a kind, a count and the first byte offset.
//!
//! A [`Reporter`] is passed to whatever may meet bad input. Reporters of parallel parts are merged in input order, so
//! the result never depends on timing. Nothing here prints.

mod issue;
pub mod timings;

pub use issue::{Issue, IssueKind, Reporter, Severity};

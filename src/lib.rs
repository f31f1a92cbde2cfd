//! `omni-trace`: where the time went in a GPU pipeline trace.
//!
//! Data flows in one line: bytes → blocks → chunks → [`store`] → [`analyze`] → [`table`] → `render` → file.
//!
//! - [`read`] opens an input, inflates it, cuts it on event boundaries and parses the pieces in parallel;
//! - [`store`] joins the pieces into columns that nothing changes afterwards;
//! - [`align`] puts several inputs on one time line: who wrote them, how far their clocks are apart;
//! - `files` are outputs that appear whole or not at all;
//! - `write` writes their events anew: merged or slimmed, as Chrome JSON or Perfetto protobuf;
//! - [`schema`] says what a table is: one definition gives rows, typed columns and every format;
//! - [`analyze`] asks the store one question a file: windows, devices, threads, waits, the profiler table, kernels;
//! - [`recorded`] gives the store's own columns as tables, event by event;
//! - [`causal`] makes one graph of all inputs: critical path, slack, what a change would bring;
//! - [`table`] gives the answers names, units and an order, exact to the nanosecond;
//! - [`ask`] asks the analyses that somebody wants to know of, and fills the report;
//! - `render` writes them as text, CSV, Markdown or JSON;
//! - `cli` puts it together, and alone prints, writes files and decides exit codes.
//!
//! What was odd or lost on the way is counted in [`diag`]; the words that all rooms share are in [`model`].
//! The rooms stand here in reading order; each may import only what stands above it, as `tests/layers.rs` says.
//!
//! # As a library
//!
//! With `default-features = false` there is neither command line nor drawing: traces in, tables out. What stands at the
//! root is for that, with the types of the rows in [`rows`]. The rooms are the program's own and closed: the feature `rooms`,
//! a default for the program's tests and its frame, opens them, and their insides change.
//!
//! ```
//! use omni_trace::{Question, Traces, Values};
//!
//! let traces = Traces::read(["fixtures/vllm_tp2_step"])?;
//! let report = traces.analyze(&Question::default());
//! // The rows, typed: durations are integer nanoseconds, and what was not recorded is `None`.
//! for device in &report.devices {
//!     assert!(device.busy_ns + device.idle_ns == device.window_ns);
//! }
//! // The same by columns, as CSV has them: key, unit and kind are the table's, whatever the trace holds.
//! let kernels = report.table("kernels").expect("there is a table of kernels");
//! let mut sum_ns = 0;
//! for (column, values) in kernels.columns() {
//!     match values {
//!         Values::Int(values) if column.key == "sum_ns" => sum_ns = values.iter().flatten().sum(),
//!         _ => {}
//!     }
//! }
//! assert_eq!(kernels.n_rows > 0, sum_ns > 0);
//!
//! // Every table by its name, also those of events, whose columns are made one by one when they are asked for.
//! for info in omni_trace::tables() {
//!     assert!(info.spec.value_columns().all(|column| !column.key.is_empty()), "{}", info.name);
//! }
//! let events = traces.source("events", &Question::default()).expect("there is a table of events");
//! let mut n_frames = 0;
//! for rows in events.parts() {
//!     // A vector and a bitmap; texts are numbers into a dictionary that all columns of an input share.
//!     if let Some(Values::Text(texts)) = events.column("category", rows) {
//!         n_frames += texts.iter().flatten().filter(|&category| category == "python_function").count();
//!     }
//! }
//! assert_eq!(n_frames, traces.source("python_events", &Question::default()).map_or(0, |t| t.n_rows));
//! # Ok::<(), omni_trace::ReadError>(())
//! ```

#[cfg(feature = "rooms")]
pub mod model;
#[cfg(not(feature = "rooms"))]
mod model;

#[cfg(feature = "rooms")]
pub mod diag;
#[cfg(not(feature = "rooms"))]
mod diag;

#[cfg(feature = "rooms")]
pub mod store;
#[cfg(not(feature = "rooms"))]
mod store;

#[cfg(feature = "rooms")]
pub mod read;
#[cfg(not(feature = "rooms"))]
mod read;

#[cfg(feature = "rooms")]
pub mod align;
#[cfg(not(feature = "rooms"))]
mod align;

#[cfg(all(feature = "files", feature = "rooms"))]
pub mod files;
#[cfg(all(feature = "files", not(feature = "rooms")))]
mod files;

#[cfg(all(feature = "program", feature = "rooms"))]
pub mod write;
#[cfg(all(feature = "program", not(feature = "rooms")))]
mod write;

#[cfg(feature = "rooms")]
pub mod schema;
#[cfg(not(feature = "rooms"))]
mod schema;

#[cfg(feature = "rooms")]
pub mod analyze;
#[cfg(not(feature = "rooms"))]
mod analyze;

#[cfg(feature = "rooms")]
pub mod recorded;
#[cfg(not(feature = "rooms"))]
mod recorded;

#[cfg(feature = "rooms")]
pub mod compare;
#[cfg(not(feature = "rooms"))]
mod compare;

#[cfg(feature = "rooms")]
pub mod causal;
#[cfg(not(feature = "rooms"))]
mod causal;

#[cfg(feature = "rooms")]
pub mod table;
#[cfg(not(feature = "rooms"))]
mod table;

#[cfg(feature = "rooms")]
pub mod ask;
#[cfg(not(feature = "rooms"))]
mod ask;

#[cfg(all(feature = "program", feature = "rooms"))]
pub mod render;
#[cfg(all(feature = "program", not(feature = "rooms")))]
mod render;

#[cfg(feature = "program")]
pub mod cli;

pub use ask::{Logs, Of, Question, Reading, SeveralRuns, TableInfo, Traces, tables};
pub use model::Dictionary;
pub use read::{ReadError, ReadOptions};
pub use schema::{Cells, Column, Kind, Lists, Source, Spec, Table, Texts, Unit, Values};
pub use table::AnalyzeReport;

/// The rows of a report, whose fields are the columns of its tables.
pub mod rows {
    pub use crate::table::{
        ActivityRow, BlameRow, BreakdownRow, ClockRow, ComponentRow, DeviceRow, ExcludedRow,
        GapRow, IdleRow, InputRow, IssueRow, IterationRow, IterationSummaryRow, KernelClassRow,
        KernelRow, KeyAverageRow, MemoryRow, PlacementRow, RunRow, StartupRow, StragglerRow,
        ThreadRow, TotalsRow, TrustRow, WaitRow,
    };
}

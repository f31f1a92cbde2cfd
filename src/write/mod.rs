//! Stores and the text of their events to new traces: Chrome JSON, compressed or not, and Perfetto protobuf.
//!
//! Everything streams: events come as spans of the input's text and leave as bytes, block by block. Nothing here opens
//! files or decides what is kept; it is given a plan and a place to write to.

mod annotations;
mod deflate;
mod deflate_codes;
mod edit;
mod flows;
mod forms;
mod gzip;
mod json;
mod json_text;
mod lanes;
mod packets;
mod parts;
mod perfetto;
mod pieces;
mod plan;
mod rewrite;
mod spare;
mod spill;
mod trace;
mod uuids;

pub use edit::{Amount, COLLAPSED_COUNT_KEY, COLLAPSED_NS_KEY, Collapsed, Edit, Tally, TallyRow};
pub(crate) use perfetto::write_perfetto;
pub use plan::{InputPlan, PlanInput, plan_alone, plan_merge, plan_same};
pub(crate) use trace::{Pass, Source, WriteError, Written, merged_members, write_json};

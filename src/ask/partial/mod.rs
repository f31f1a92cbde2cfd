//! Digests as bytes: what `analyze --partial` writes and `reduce` reads. `docs/partial.md` describes the format.
//!
//! Nothing here reads or writes a file.

mod across;
mod columns;
mod container;
mod read;
mod write;

pub use container::{FORMAT, PartialError};
pub use read::{Partial, read_partial};
pub use write::{Precision, write_again, write_partial};

use omni_trace_proto::partial as proto;

use super::{Digest, Question};
use crate::analyze::key_averages::Choice;

/// Bytes of an input from which on its figures are rounded, where nobody asked for all of them.
pub const SKETCH_BYTES: usize = 1 << 20;

/// The same inputs, numbered from 0 on: as bytes they have no numbers.
pub(super) fn renumbered(question: &Question, digests: Vec<Digest>) -> Vec<Digest> {
    let (bytes, _) = write_partial(question, digests, Precision::Exact);
    read_partial(&bytes, 0).map_or_else(|_| Vec::new(), |partial| partial.digests)
}

/// What was asked, as far as it decides what a digest holds.
fn asked(question: &Question) -> proto::Question {
    let (time, averages) = (&question.time, &question.key_averages);
    let checksum = |rules: String| crc32fast::hash(rules.as_bytes());
    proto::Question {
        from_ns: time.window.from_ns,
        to_ns: time.window.to_ns,
        excluded: question.excluded.iter().map(|class| class.as_str().to_owned()).collect(),
        python_rows: choice(averages.python_rows).to_owned(),
        torch_compat: choice(averages.torch_compat).to_owned(),
        group_by_input_shape: averages.group_by_input_shape,
        group_by_stack: u32::try_from(averages.group_by_stack_n).unwrap_or(u32::MAX),
        wait_rules: checksum(format!("{:?}", time.rules)),
        comm_rules: checksum(format!("{:?}", time.comm_rules)),
        roofline: checksum(format!("{:?}", question.roofline)),
    }
}

fn choice(choice: Choice) -> &'static str {
    match choice {
        Choice::Auto => "auto",
        Choice::Yes => "yes",
        Choice::No => "no",
    }
}

/// The options in which two questions differ.
fn differences(a: &proto::Question, b: &proto::Question) -> Vec<&'static str> {
    let parts = [
        ("--window", (a.from_ns, a.to_ns) != (b.from_ns, b.to_ns)),
        ("--exclude", a.excluded != b.excluded),
        ("--python-rows", a.python_rows != b.python_rows),
        ("--torch-compat", a.torch_compat != b.torch_compat),
        ("--group-by-input-shape", a.group_by_input_shape != b.group_by_input_shape),
        ("--group-by-stack", a.group_by_stack != b.group_by_stack),
        ("--wait-rules", a.wait_rules != b.wait_rules),
        ("--comm-rules", a.comm_rules != b.comm_rules),
        ("--op-models, --peak", a.roofline != b.roofline),
    ];
    parts.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

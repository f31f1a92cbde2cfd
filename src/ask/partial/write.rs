//! Digests to bytes; where they are many, durations rounded.

use omni_trace_proto::partial as proto;
use omni_trace_proto::prost::Message as _;

use super::across::across_out;
use super::columns::{own_tables, summed_table, totals_table};
use super::container::packed;
use super::read::Partial;
use super::{SKETCH_BYTES, asked};
use crate::analyze::kernels::ActivityKind;
use crate::ask::{Digest, Question};
use crate::diag::{IssueKind, Reporter};
use crate::model::{Identity, Role};
use crate::schema::TextList;
use crate::table::IssueRow;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Everything, whatever it takes.
    Exact,
    /// Everything up to [`SKETCH_BYTES`] an input, else durations are rounded.
    Bounded,
}

/// The bytes of a partial result, and the tables whose figures are rounded in it.
pub fn write_partial(
    question: &Question,
    digests: Vec<Digest>,
    precision: Precision,
) -> (Vec<u8>, Vec<&'static str>) {
    let bytes = packed(&message(asked(question), &digests));
    if precision == Precision::Exact || bytes.len() <= SKETCH_BYTES * digests.len().max(1) {
        return (bytes, Vec::new());
    }
    let sketched: Vec<Digest> = digests.into_iter().map(sketched).collect();
    (packed(&message(asked(question), &sketched)), SKETCHED.to_vec())
}

/// The bytes of one partial result of many inputs, of which the same was asked as of `like`.
pub fn write_again(like: &Partial, digests: &[Digest]) -> Vec<u8> {
    packed(&message(like.asked.clone(), digests))
}

/// The tables whose percentiles are of rounded values.
const SKETCHED: [&str; 2] = ["kernels", "copies"];

/// The same with rounded durations, which its issues say.
fn sketched(mut digest: Digest) -> Digest {
    let durations = digest.sums.durations.by_name.values_mut();
    durations.for_each(|durations| *durations = durations.sketched());
    let mut diag = Reporter::default();
    diag.add(IssueKind::Sketched, 1, None, Some(SKETCHED.join(", ")));
    let number = digest.rows.inputs.first().map_or(0, |row| row.input);
    let issues: Vec<IssueRow> = crate::ask::issues(number, &diag).collect();
    digest.rows.issues.extend(issues);
    digest
}

fn message(question: proto::Question, digests: &[Digest]) -> Vec<u8> {
    let mut texts = TextList::default();
    let inputs = digests.iter().map(|digest| input(digest, &mut texts)).collect();
    let partial = proto::Partial {
        program: env!("CARGO_PKG_VERSION").to_owned(),
        question: Some(question),
        inputs,
        texts: texts.into_all(),
    };
    partial.encode_to_vec()
}

fn input(digest: &Digest, texts: &mut TextList) -> proto::Input {
    let sums = &digest.sums;
    let mut tables = own_tables(&digest.rows, texts);
    tables.push(summed_table("key_averages", &sums.key_averages, texts));
    tables.push(summed_table("components", &sums.components, texts));
    tables.push(summed_table("kernel_origins", &sums.origins, texts));
    tables.push(totals_table(&sums.totals, texts));
    let is_sketched = sums.durations.by_name.values().any(|durations| durations.is_sketch);
    proto::Input {
        path: digest.path.display().to_string(),
        identity: Some(identity(&digest.identity)),
        has_slices: digest.has_slices,
        tables,
        sketched: SKETCHED.iter().filter(|_| is_sketched).map(|key| (*key).to_owned()).collect(),
        activity: activity(digest, texts),
        recorded: sums.recorded.iter().map(|class| class.as_str().to_owned()).collect(),
        across: Some(across_out(&digest.across)),
        comm_names: sums.comm_names.iter().map(|name| place(name, texts)).collect(),
    }
}

/// The place of a text; there are never as many as its numbers.
fn place(text: &str, texts: &mut TextList) -> u32 {
    u32::try_from(texts.place(text)).unwrap_or(u32::MAX)
}

fn activity(digest: &Digest, texts: &mut TextList) -> Vec<proto::Activity> {
    let by_name = digest.sums.durations.by_name.iter();
    let one = |((kind, name), all): (&(ActivityKind, String), &_)| {
        let durations: &crate::analyze::durations::Durations = all;
        let is_once = durations.runs.iter().all(|run| run.1 == 1);
        let mut before = 0;
        let step = |run: &(i64, u64)| run.0.abs_diff(std::mem::replace(&mut before, run.0));
        proto::Activity {
            kind: *kind as u32,
            name: place(name, texts),
            value_steps_ns: durations.runs.iter().map(step).collect(),
            counts: durations.runs.iter().filter(|_| !is_once).map(|run| run.1).collect(),
            sum_ns: durations.sum_ns,
            min_ns: durations.min_ns,
            max_ns: durations.max_ns,
            is_sketch: durations.is_sketch,
        }
    };
    by_name.map(one).collect()
}

fn identity(identity: &Identity) -> proto::Identity {
    proto::Identity {
        stage: identity.stage,
        stage_name: identity.stage_name.clone(),
        replica: identity.replica,
        rank: identity.rank,
        local_rank: identity.local_rank,
        world_size: identity.world_size,
        tp: identity.parallel.tp,
        dp: identity.parallel.dp,
        pp: identity.parallel.pp,
        ep: identity.parallel.ep,
        worker: identity.worker.clone(),
        is_front_end: identity.role == Role::FrontEnd,
    }
}

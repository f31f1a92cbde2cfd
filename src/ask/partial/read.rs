//! Bytes to digests. Every number is checked: the bytes may be anybody's.

use std::path::PathBuf;

use omni_trace_proto::partial as proto;
use omni_trace_proto::prost::Message as _;

use super::across::across_in;
use super::columns::Tables;
use super::container::{PartialError, unpacked};
use super::differences;
use crate::analyze::durations::Durations;
use crate::analyze::kernels::{ActivityDurations, ActivityKind};
use crate::analyze::timeline::Class;
use crate::ask::{Digest, Sums};
use crate::model::{Identity, Parallel, Role};

/// A partial result, read.
#[derive(Clone, Debug)]
pub struct Partial {
    pub(super) asked: proto::Question,
    /// Its inputs.
    pub digests: Vec<Digest>,
}

/// Reads a partial result, whose inputs are numbered from `first` on.
///
/// # Errors
///
/// What is no partial result, is damaged, or is of another version.
pub fn read_partial(bytes: &[u8], first: usize) -> Result<Partial, PartialError> {
    let message = unpacked(bytes)?;
    let message = proto::Partial::decode(message.as_slice())
        .map_err(|_| PartialError::Damaged("its message cannot be read"))?;
    let asked = message.question.clone();
    let asked = asked.ok_or(PartialError::Damaged("it does not say what was asked"))?;
    let numbered = message.inputs.iter().zip(first..);
    let digests = numbered.map(|(input, number)| digest(&message, input, number));
    Ok(Partial { asked, digests: digests.collect::<Result<_, _>>()? })
}

impl Partial {
    /// The options in which what was asked of it differs from what was asked of another.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        differences(&self.asked, &other.asked)
    }

    /// The classes of time that were left out of it.
    ///
    /// # Errors
    ///
    /// A class that this program does not know.
    pub fn excluded(&self) -> Result<Vec<Class>, PartialError> {
        classes(&self.asked.excluded)
    }
}

fn digest(
    message: &proto::Partial,
    input: &proto::Input,
    number: usize,
) -> Result<Digest, PartialError> {
    let (program, texts) = (message.program.as_str(), message.texts.as_slice());
    let tables = Tables { tables: &input.tables, texts, input: number, program };
    let rows = tables.own()?;
    if rows.inputs.len() != 1 {
        return Err(PartialError::Damaged("an input has no row"));
    }
    let missing = PartialError::Damaged("an input lacks what is compared");
    let sums = Sums {
        totals: tables.totals()?,
        key_averages: tables.summed("key_averages")?,
        durations: durations(&input.activity, texts)?,
        comm_names: names(&input.comm_names, texts)?,
        components: tables.summed("components")?,
        origins: tables.summed("kernel_origins")?,
        recorded: classes(&input.recorded)?,
    };
    Ok(Digest {
        path: PathBuf::from(&input.path),
        identity: identity(input.identity.as_ref().ok_or_else(|| missing.clone())?),
        has_slices: input.has_slices,
        across: across_in(input.across.as_ref().ok_or(missing)?)?,
        rows,
        sums,
    })
}

fn names(places: &[u32], texts: &[String]) -> Result<Vec<String>, PartialError> {
    let name = |&place: &u32| texts.get(place as usize).cloned();
    let all: Option<Vec<String>> = places.iter().map(name).collect();
    all.ok_or(PartialError::Damaged("a name cannot be read"))
}

fn classes(words: &[String]) -> Result<Vec<Class>, PartialError> {
    let class = |word: &String| Class::ALL.into_iter().find(|class| class.as_str() == word);
    let all: Option<Vec<Class>> = words.iter().map(class).collect();
    all.ok_or(PartialError::Damaged("a class of time is unknown"))
}

fn durations(
    activity: &[proto::Activity],
    texts: &[String],
) -> Result<ActivityDurations, PartialError> {
    const KINDS: [ActivityKind; 3] =
        [ActivityKind::Kernel, ActivityKind::Memcpy, ActivityKind::Memset];
    let mut all = ActivityDurations::default();
    for one in activity {
        let damaged = || PartialError::Damaged("durations of a name cannot be read");
        let kind = KINDS.get(one.kind as usize).ok_or_else(damaged)?;
        let name = texts.get(one.name as usize).ok_or_else(damaged)?;
        let runs = runs(one).ok_or_else(damaged)?;
        let durations = Durations {
            runs,
            sum_ns: one.sum_ns,
            min_ns: one.min_ns,
            max_ns: one.max_ns,
            is_sketch: one.is_sketch,
        };
        // Percentiles are brought within these.
        if durations.min_ns > durations.max_ns {
            return Err(damaged());
        }
        all.by_name.insert((*kind, name.clone()), durations);
    }
    Ok(all)
}

/// Values with their counts; `None` where they are not ascending or cannot be counted.
fn runs(one: &proto::Activity) -> Option<Vec<(i64, u64)>> {
    let n = one.value_steps_ns.len();
    let is_counted = one.counts.is_empty() || one.counts.len() == n;
    let n_all = one.counts.iter().try_fold(0_u64, |sum, &count| sum.checked_add(count));
    if n == 0 || !is_counted || n_all.is_none_or(|n| n > u64::MAX / 100) {
        return None;
    }
    let mut ns = 0_i64;
    let run = |(i, &step): (usize, &u64)| {
        ns = ns.checked_add_unsigned(step)?;
        Some((ns, one.counts.get(i).copied().unwrap_or(1)))
    };
    one.value_steps_ns.iter().enumerate().map(run).collect()
}

fn identity(identity: &proto::Identity) -> Identity {
    Identity {
        stage: identity.stage,
        stage_name: identity.stage_name.clone(),
        replica: identity.replica,
        rank: identity.rank,
        local_rank: identity.local_rank,
        world_size: identity.world_size,
        parallel: Parallel { tp: identity.tp, dp: identity.dp, pp: identity.pp, ep: identity.ep },
        worker: identity.worker.clone(),
        role: if identity.is_front_end { Role::FrontEnd } else { Role::Worker },
    }
}

//! Who wrote an input: overrides, what process names tell, order, and whether two claim to be the same.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::AlignInput;
use crate::model::{Identity, Role};
use crate::store::Store;

/// What the user says about inputs whose path matches a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Override {
    /// Their stage.
    Stage {
        /// Text with `*` for anything; without one it may stand anywhere in the path.
        pattern: String,
        /// Stage index.
        stage: u32,
    },
    /// The name of their stage.
    Label {
        /// Text with `*` for anything; without one it may stand anywhere in the path.
        pattern: String,
        /// The name.
        label: String,
    },
}

/// What is odd about who the inputs claim to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityProblem {
    /// Two inputs claim the same stage and rank.
    Same {
        /// The first, by number.
        first: usize,
        /// The second, by number.
        second: usize,
    },
    /// Ranks of a world size that the inputs state are not there.
    MissingRanks {
        /// An input that states the size.
        input: usize,
        /// Ranks of the group.
        world_size: u32,
        /// The missing ones, ascending.
        missing: Vec<u32>,
    },
}

/// The identity with what process names tell where nothing else does, and with the user's overrides.
pub fn refine_identity(
    path: &Path,
    identity: &Identity,
    store: &Store,
    overrides: &[Override],
) -> Identity {
    let mut identity = identity.clone();
    if identity.rank.is_none() && identity.role == Role::Worker {
        identity.rank = host_process_names(store).into_iter().find_map(rank_of_process);
    }
    if identity.replica.is_none() {
        // vLLM numbers the ranks of each data-parallel replica from 0.
        let parallel = identity.worker.as_deref().and_then(|worker| worker.strip_prefix("dp"));
        identity.replica = parallel.and_then(leading_number).filter(|&replica| replica > 0);
    }
    let path = path.to_string_lossy();
    for rule in overrides {
        match rule {
            Override::Stage { pattern, stage } if matches(pattern, &path) => {
                identity.stage = Some(*stage);
            }
            Override::Label { pattern, label } if matches(pattern, &path) => {
                identity.stage_name = Some(label.clone());
            }
            _ => {}
        }
    }
    identity
}

/// Names of the processes that ran host events.
fn host_process_names(store: &Store) -> BTreeSet<&str> {
    let on_host = |track: &&crate::store::Track| {
        track.slices.clone().next().is_some_and(|slice| store.kind(slice).is_on_host())
    };
    let tracks = store.tracks.iter().filter(on_host);
    tracks.filter_map(|track| Some(store.strings.get(track.process_name?))).collect()
}

/// The rank in `VLLM::Worker_TP3`; none where pipeline or data parallelism makes the tensor rank another number.
fn rank_of_process(name: &str) -> Option<u32> {
    let worker = name.split_once("Worker_")?.1;
    leading_number(worker.strip_prefix("TP")?)
}

fn leading_number(text: &str) -> Option<u32> {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text[..end].parse().ok()
}

/// Whether a text matches a pattern: `*` is any text, a pattern without one may stand anywhere.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return text.contains(pattern) };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}

/// Stage, replica, role and rank that an input claims to be of.
pub(super) type Claim = (Option<u32>, Option<u32>, Role, Option<u32>);

/// What an input claims to be; `None` where it claims nothing.
pub(super) fn claim_of(identity: &Identity) -> Option<Claim> {
    let rank = identity.any_rank();
    let says_something = identity.stage.is_some() || rank.is_some();
    says_something.then_some((identity.stage, identity.replica, identity.role, rank))
}

/// Pairs of inputs that claim to be the same. Inputs that claim nothing are never the same.
pub fn same_claims(identities: &[Identity]) -> Vec<IdentityProblem> {
    let mut first: BTreeMap<Claim, usize> = BTreeMap::new();
    let mut problems = Vec::new();
    for (i, identity) in identities.iter().enumerate() {
        let Some(claim) = claim_of(identity) else { continue };
        match first.get(&claim) {
            Some(&first) => problems.push(IdentityProblem::Same { first, second: i }),
            None => {
                first.insert(claim, i);
            }
        }
    }
    problems
}

/// Ranks that should be there by the world size that inputs of the same stage state.
pub fn missing_ranks(identities: &[Identity]) -> Vec<IdentityProblem> {
    let mut groups: BTreeMap<_, (usize, u32, BTreeSet<u32>)> = BTreeMap::new();
    for (i, identity) in identities.iter().enumerate() {
        let (Some(rank), Some(size)) = (identity.rank, identity.world_size) else { continue };
        let group =
            groups.entry((identity.stage, identity.replica)).or_insert((i, size, BTreeSet::new()));
        group.1 = group.1.max(size);
        group.2.insert(rank);
    }
    let problem = |(input, world_size, ranks): (usize, u32, BTreeSet<u32>)| {
        // A size beyond any machine is damage, not a reason to list millions of ranks.
        let missing: Vec<u32> =
            (0..world_size.min(1 << 16)).filter(|rank| !ranks.contains(rank)).collect();
        (!missing.is_empty()).then_some(IdentityProblem::MissingRanks {
            input,
            world_size,
            missing,
        })
    };
    groups.into_values().filter_map(problem).collect()
}

/// The order of inputs in a merged file: stage, replica, front ends first, rank; the order given where these are equal.
pub fn merge_order(identities: &[Identity]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..identities.len()).collect();
    order.sort_by(|&a, &b| compare(&identities[a], &identities[b]));
    order
}

fn compare(a: &Identity, b: &Identity) -> Ordering {
    let key = |i: &Identity| (i.stage, i.replica, i.role == Role::Worker, i.any_rank());
    key(a).cmp(&key(b))
}

/// How a merged file calls an input: `stage 1 thinker · rank 0`; the file's name where nothing else is known.
pub fn input_label(input: &AlignInput<'_>) -> String {
    let identity = input.identity;
    let mut parts = Vec::new();
    match (identity.stage, &identity.stage_name) {
        (Some(stage), Some(name)) => parts.push(format!("stage {stage} {name}")),
        (Some(stage), None) => parts.push(format!("stage {stage}")),
        (None, Some(name)) => parts.push(name.clone()),
        (None, None) => {}
    }
    parts.extend(identity.replica.map(|replica| format!("replica {replica}")));
    match identity.any_rank() {
        Some(rank) => parts.push(format!("rank {rank}")),
        None => parts.extend(Some(identity.parallel.label()).filter(|text| !text.is_empty())),
    }
    if identity.role == Role::FrontEnd {
        parts.push("front end".to_owned());
    }
    if parts.is_empty() {
        let name = input.path.file_name().unwrap_or(input.path.as_os_str());
        parts.push(name.to_string_lossy().into_owned());
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::{
        IdentityProblem, matches, merge_order, missing_ranks, rank_of_process, same_claims,
    };
    use crate::model::{Identity, Role};

    fn rank(stage: Option<u32>, rank: Option<u32>, world_size: Option<u32>) -> Identity {
        Identity { stage, rank, world_size, ..Identity::default() }
    }

    #[test]
    fn patterns() {
        assert!(matches("talker", "/x/talker_rank0.json"));
        assert!(matches("*rank0*", "/x/talker_rank0.json"));
        assert!(matches("/x/*.json", "/x/talker_rank0.json"));
        assert!(!matches("/x/*.gz", "/x/talker_rank0.json"));
        assert!(!matches("x*", "/x/talker"));
    }

    #[test]
    fn process_names() {
        assert_eq!(rank_of_process("VLLM::Worker_TP3"), Some(3));
        assert_eq!(rank_of_process("VLLM::Worker_TP1_EP1"), Some(1));
        assert_eq!(rank_of_process("VLLM::Worker_PP1_TP0"), None);
        assert_eq!(rank_of_process("python"), None);
    }

    #[test]
    fn claims() {
        let unknown = rank(None, None, None);
        assert_eq!(same_claims(&[unknown.clone(), unknown.clone()]), []);
        let a = rank(Some(0), Some(1), None);
        let front = Identity { role: Role::FrontEnd, ..a.clone() };
        assert_eq!(same_claims(&[a.clone(), front.clone()]), []);
        let same = [IdentityProblem::Same { first: 0, second: 2 }];
        assert_eq!(same_claims(&[a.clone(), unknown, a]), same);
    }

    #[test]
    fn missing_ranks_by_stage() {
        let inputs = [
            rank(Some(0), Some(0), Some(4)),
            rank(Some(0), Some(2), Some(4)),
            rank(Some(1), Some(0), Some(1)),
        ];
        let missing = vec![1, 3];
        assert_eq!(
            missing_ranks(&inputs),
            [IdentityProblem::MissingRanks { input: 0, world_size: 4, missing }]
        );
    }

    #[test]
    fn order_is_stage_then_rank() {
        let inputs = [
            rank(Some(1), Some(0), None),
            rank(Some(0), Some(1), None),
            rank(Some(0), Some(0), None),
            Identity { role: Role::FrontEnd, ..Identity::default() },
        ];
        assert_eq!(merge_order(&inputs), [3, 2, 1, 0]);
    }
}

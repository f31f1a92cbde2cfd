//! The place of a rank in parallelism, by the process groups that it works in: what names of files do not say.
//!
//! Frameworks name or describe groups by what they are for: `tp:0` (vLLM), `mesh_tp` (device meshes of torch),
//! `TENSOR_MODEL_PARALLEL_GROUP` (Megatron). The place is the rank within the group, as its calls say, else that in the group's list.
//! A name of two kinds (`dp_cp`, `EXPERT_DATA_PARALLEL_GROUP`) tells none.

use std::collections::BTreeSet;

use crate::model::{Identity, Parallel};
use crate::store::{CollectiveRow, Store};

/// Words of names, and the kind of parallelism that they mean.
const WORDS: [(&str, Kind); 11] = [
    ("tp", Kind::Tensor),
    ("tensor", Kind::Tensor),
    ("pp", Kind::Pipeline),
    ("pipe", Kind::Pipeline),
    ("pipeline", Kind::Pipeline),
    ("dp", Kind::Data),
    ("data", Kind::Data),
    ("ep", Kind::Expert),
    ("expert", Kind::Expert),
    ("cp", Kind::Other),
    ("context", Kind::Other),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tensor,
    Pipeline,
    Data,
    Expert,
    /// Kinds that no column is of.
    Other,
}

/// The places of who wrote an input, with what its groups tell where nothing else does.
pub fn places(identity: &Identity, store: &Store) -> Parallel {
    let mut places = identity.parallel;
    let rank = identity.any_rank();
    let mut seen = BTreeSet::new();
    for row in &store.collectives {
        let group = (row.group_name, row.group_description, row.group_ranks, row.rank);
        if !seen.insert(group) {
            continue;
        }
        let Some((kind, place)) = place_in(row, rank, store) else { continue };
        let to = match kind {
            Kind::Tensor => &mut places.tp,
            Kind::Pipeline => &mut places.pp,
            Kind::Data => &mut places.dp,
            Kind::Expert => &mut places.ep,
            Kind::Other => continue,
        };
        to.get_or_insert(place);
    }
    places
}

/// The kind of a call's group, and the place of the rank in it.
fn place_in(row: &CollectiveRow, rank: Option<u32>, store: &Store) -> Option<(Kind, u32)> {
    let text = |id| store.strings.get(id);
    let names = [row.group_name, row.group_description];
    let kind = names.into_iter().flatten().find_map(|name| kind_of(text(name)))?;
    let listed = || place_in_list(text(row.group_ranks?), rank?);
    Some((kind, row.rank.or_else(listed)?))
}

/// The place of a rank in a list that its writer may have cut short.
fn place_in_list(ranks: &str, rank: u32) -> Option<u32> {
    let mut numbers = ranks.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
    let place = numbers.position(|word| word.parse::<u32>().is_ok_and(|one| one == rank))?;
    u32::try_from(place).ok()
}

/// The one kind that a name means.
fn kind_of(name: &str) -> Option<Kind> {
    let name = name.to_ascii_lowercase();
    let words = name.split(|c: char| !c.is_ascii_alphabetic());
    let mut kinds =
        words.filter_map(|word| WORDS.iter().find(|known| known.0 == word).map(|known| known.1));
    let kind = kinds.next()?;
    kinds.all(|other| other == kind).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::{Kind, kind_of, place_in_list};

    #[test]
    fn names_of_frameworks_tell_the_kind() {
        assert_eq!(kind_of("tp:0"), Some(Kind::Tensor));
        assert_eq!(kind_of("mesh_dp"), Some(Kind::Data));
        assert_eq!(kind_of("TENSOR_MODEL_PARALLEL_GROUP"), Some(Kind::Tensor));
        assert_eq!(kind_of("pp3_1"), Some(Kind::Pipeline));
        assert_eq!(kind_of("EXPERT_DATA_PARALLEL_GROUP"), None);
        assert_eq!(kind_of("dp_cp"), None);
        assert_eq!(kind_of("default_pg"), None);
        assert_eq!(kind_of("0"), None);
    }

    #[test]
    fn the_place_is_that_in_the_list() {
        assert_eq!(place_in_list("[4, 5, 6, 7]", 6), Some(2));
        assert_eq!(place_in_list("[4, 5, 6, 7]", 8), None);
        assert_eq!(place_in_list("[0, 1, ...]", 7), None);
    }
}

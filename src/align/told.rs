//! Where the clocks of all inputs of a run stand, as one of them is told that is merged without the others.
//!
//! A small file, JSON: `reduce --clocks` writes it, `merge --clocks` reads it. Nothing here reads or writes files.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Alignment, ClockBase, InputClock};
use crate::model::Identity;

/// Version of the form.
pub const CLOCKS_VERSION: u32 = 1;

/// The clocks of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clocks {
    /// [`CLOCKS_VERSION`].
    pub clocks_version: u32,
    /// Unix time of 0 on the common time line; `None` where no input says.
    pub base_time_ns: Option<i64>,
    /// One for each input, in the order of the reduction.
    pub inputs: Vec<ToldClock>,
}

/// The clock of one input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldClock {
    /// Its path where it lies.
    pub path: String,
    /// Its stage.
    pub stage: Option<u32>,
    /// Its rank.
    pub rank: Option<u32>,
    /// All that is added to its times, so that they are relative to [`Clocks::base_time_ns`].
    pub shift_ns: i64,
    /// The part of that that corrects its clock.
    pub correction_ns: i64,
}

impl Clocks {
    /// What an alignment says of inputs.
    pub fn of<'a>(
        alignment: &Alignment,
        inputs: impl Iterator<Item = (&'a Path, &'a Identity)>,
    ) -> Self {
        let told = |((path, identity), clock): ((&Path, &Identity), &InputClock)| ToldClock {
            path: path.display().to_string(),
            stage: identity.stage,
            rank: identity.any_rank(),
            shift_ns: clock.shift_ns,
            correction_ns: clock.correction_ns,
        };
        let inputs = inputs.zip(&alignment.inputs).map(told).collect();
        Self { clocks_version: CLOCKS_VERSION, base_time_ns: alignment.base_time_ns, inputs }
    }

    /// The number of an input among all: by its path, and where that is not the one of a single input, by its stage and rank, too.
    pub fn number_of(&self, path: &Path, identity: &Identity) -> Option<usize> {
        let path = path.display().to_string();
        let is_same = |told: &ToldClock| {
            told.rank.is_some() && (told.stage, told.rank) == (identity.stage, identity.any_rank())
        };
        let only = |keeps: &dyn Fn(&ToldClock) -> bool| {
            let mut found = (0..self.inputs.len()).filter(|&number| keeps(&self.inputs[number]));
            found.next().filter(|_| found.next().is_none())
        };
        only(&|told| told.path == path)
            .or_else(|| only(&|told| told.path == path && is_same(told)))
            .or_else(|| only(&is_same))
    }

    /// The clocks of some inputs, by their numbers and what their own times are relative to.
    pub fn alignment(&self, inputs: &[(usize, ClockBase)]) -> Alignment {
        let clock = |&(number, base): &(usize, ClockBase)| {
            let ToldClock { shift_ns, correction_ns, .. } = self.inputs[number];
            InputClock {
                base,
                base_shift_ns: shift_ns.saturating_sub(correction_ns),
                estimate: None,
                bounds: None,
                correction_ns,
                shift_ns,
            }
        };
        let inputs = inputs.iter().map(clock).collect();
        Alignment { base_time_ns: self.base_time_ns, inputs }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{CLOCKS_VERSION, Clocks, ToldClock};
    use crate::model::Identity;

    #[test]
    fn an_input_is_found_by_its_path_or_by_its_rank() {
        let told = |path: &str, rank| ToldClock {
            path: path.to_owned(),
            stage: None,
            rank,
            shift_ns: 0,
            correction_ns: 0,
        };
        let inputs = vec![
            told("/t/a", Some(0)),
            told("/t/a", Some(8)),
            told("/t/b", None),
            told("/t/c", Some(3)),
        ];
        let clocks = Clocks { clocks_version: CLOCKS_VERSION, base_time_ns: None, inputs };
        let found = |path: &str, rank| {
            clocks.number_of(Path::new(path), &Identity { rank, ..Identity::default() })
        };
        assert_eq!(found("/t/b", None), Some(2));
        // Two hosts have files of one name.
        assert_eq!(
            (found("/t/a", Some(8)), found("/t/a", Some(0)), found("/t/a", None)),
            (Some(1), Some(0), None)
        );
        assert_eq!(
            (found("/slimmed/c", Some(3)), found("/slimmed/c", Some(4)), found("/slimmed/c", None)),
            (Some(3), None, None)
        );
    }
}

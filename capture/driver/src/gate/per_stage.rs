//! Values that may differ by stage, as typed on a command line: `4`, or `1:4,2:1`, or `3,2:1`.

use std::collections::BTreeMap;
use std::str::FromStr;

/// A default and the stages that differ from it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PerStage<T> {
    default: Option<T>,
    by_stage: BTreeMap<u32, T>,
}

/// What is wrong with a per-stage value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PerStageError {
    /// A part is neither a value nor `stage:value`.
    #[error("cannot read '{0}': expected a number, or stage:number pairs such as 1:4,2:1")]
    Part(String),
    /// The same stage, or the default, is given more than once.
    #[error("'{0}' is given twice")]
    Twice(String),
    /// Nothing between two commas.
    #[error("expected a number, or stage:number pairs such as 1:4,2:1")]
    Empty,
}

impl<T: Copy> PerStage<T> {
    /// The same value for every stage.
    pub fn all(value: T) -> Self {
        Self { default: Some(value), by_stage: BTreeMap::new() }
    }

    /// The value for one stage, if there is one.
    pub fn get(&self, stage: u32) -> Option<T> {
        self.by_stage.get(&stage).copied().or(self.default)
    }

    /// The value for stages that are not named.
    pub fn default_value(&self) -> Option<T> {
        self.default
    }

    /// The stages named explicitly, ascending.
    pub fn stages(&self) -> impl Iterator<Item = u32> + '_ {
        self.by_stage.keys().copied()
    }
}

impl<T: FromStr> FromStr for PerStage<T> {
    type Err = PerStageError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parsed = Self { default: None, by_stage: BTreeMap::new() };
        for part in text.split(',').map(str::trim) {
            if part.is_empty() {
                return Err(PerStageError::Empty);
            }
            let bad = || PerStageError::Part(part.to_owned());
            let twice = match part.split_once(':') {
                Some((stage, value)) => {
                    let stage = stage.trim().parse().map_err(|_| bad())?;
                    let value = value.trim().parse().map_err(|_| bad())?;
                    parsed.by_stage.insert(stage, value).is_some()
                }
                None => parsed.default.replace(part.parse().map_err(|_| bad())?).is_some(),
            };
            if twice {
                return Err(PerStageError::Twice(part.to_owned()));
            }
        }
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_one_value_pairs_and_a_mix() {
        let one: PerStage<u64> = "4".parse().unwrap();
        assert_eq!((one.get(0), one.get(7)), (Some(4), Some(4)));
        let pairs: PerStage<u64> = "1:4, 2:1".parse().unwrap();
        assert_eq!((pairs.get(0), pairs.get(1), pairs.get(2)), (None, Some(4), Some(1)));
        let mixed: PerStage<u64> = "3,2:1".parse().unwrap();
        assert_eq!((mixed.get(0), mixed.get(2)), (Some(3), Some(1)));
        assert_eq!(mixed.stages().collect::<Vec<_>>(), vec![2]);
    }

    #[test]
    fn says_what_it_could_not_read() {
        assert_eq!("1:x".parse::<PerStage<u64>>(), Err(PerStageError::Part("1:x".into())));
        assert_eq!("1:2,1:3".parse::<PerStage<u64>>(), Err(PerStageError::Twice("1:3".into())));
        assert_eq!("1,2".parse::<PerStage<u64>>(), Err(PerStageError::Twice("2".into())));
        assert_eq!("1,,2".parse::<PerStage<u64>>(), Err(PerStageError::Empty));
        assert!("-1".parse::<PerStage<u64>>().is_err());
    }
}

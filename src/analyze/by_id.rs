//! Values by an id. Writers count ids up, so that how far one is from the first tells nearly where it stands among all: a table of
//! that leaves little to search for.

/// Values by id, ascending; those of one id in the order in which they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ById<T> {
    rows: Vec<(u64, T)>,
    /// The smallest id.
    first: u64,
    /// Ids are told apart by this power of two, so that there are no more steps than rows.
    shift: u32,
    /// Of each step the number of its first row, and that of all rows.
    starts: Vec<u32>,
}

impl<T: Copy> ById<T> {
    /// Of ids and values in any order.
    pub(super) fn new(mut rows: Vec<(u64, T)>) -> Self {
        // Each thread's go up, mostly, which the stable sort takes as it is.
        rows.sort_by_key(|&(id, _)| id);
        Self::of_sorted(rows)
    }

    /// Of ids and values by id.
    pub(super) fn of_sorted(rows: Vec<(u64, T)>) -> Self {
        let first = rows.first().map_or(0, |row| row.0);
        let range = rows.last().map_or(0, |row| row.0 - first);
        let most = rows.len().max(1) as u64;
        let shift = (0..u64::BITS).find(|&shift| range >> shift < most).unwrap_or(0);
        let mut starts = Vec::new();
        for (number, row) in (0..).zip(&rows) {
            starts.resize(starts.len().max(((row.0 - first) >> shift) as usize + 1), number);
        }
        starts.push(rows.len() as u32);
        Self { rows, first, shift, starts }
    }

    /// The values of an id, each with it.
    #[inline]
    pub(super) fn of(&self, id: u64) -> &[(u64, T)] {
        let step = (id.wrapping_sub(self.first) >> self.shift) as usize;
        let Some(&[start, end]) = self.starts.get(step..).and_then(|rest| rest.first_chunk())
        else {
            return &[];
        };
        let rows = &self.rows[start as usize..end as usize];
        let rows = &rows[rows.partition_point(|row| row.0 < id)..];
        &rows[..rows.partition_point(|row| row.0 == id)]
    }

    /// All ids with their values, by id.
    pub(super) fn rows(&self) -> &[(u64, T)] {
        &self.rows
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::ById;

    const FAR: u64 = 1 << 40;

    proptest! {
        /// What a plain search gives, whatever lies between the ids.
        #[test]
        fn ids_have_their_values(
            ids in prop::collection::vec(prop_oneof![0..40_u64, FAR..FAR + 9, Just(u64::MAX)], 0..60),
            asked in prop_oneof![0..50_u64, FAR..FAR + 9, any::<u64>(), Just(u64::MAX)],
        ) {
            let rows: Vec<(u64, usize)> = ids.into_iter().zip(0..).collect();
            let by_id = ById::new(rows.clone());
            let ids = rows.iter().map(|row| row.0).chain([asked]);
            for id in ids {
                let expected: Vec<_> = rows.iter().copied().filter(|row| row.0 == id).collect();
                prop_assert_eq!(by_id.of(id), &expected);
            }
        }
    }
}

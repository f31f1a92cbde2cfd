//! Which arguments carry ids that are unique only within their file.

use super::chrome::event::RawValue;

/// What an id-carrying argument counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdSpace {
    /// Zero means that there is none.
    ZeroIsNone,
    /// Zero is an id.
    ZeroIsId,
}

/// The arguments that carry ids of the file: what merging renumbers.
pub const ID_ARGUMENTS: [&str; 6] = [
    "correlation",
    "External id",
    "external id",
    "wait_on_cuda_event_record_corr_id",
    "Python id",
    "Python parent id",
];

/// The id space of an argument; `None` where it carries no id of the file.
#[inline]
pub(crate) fn id_space(key: &[u8]) -> Option<IdSpace> {
    match key {
        b"correlation" | b"External id" | b"external id" | b"wait_on_cuda_event_record_corr_id" => {
            Some(IdSpace::ZeroIsNone)
        }
        b"Python id" | b"Python parent id" => Some(IdSpace::ZeroIsId),
        _ => None,
    }
}

/// An id moved by an offset; `None` where it is to stay as it is.
#[cfg(feature = "program")]
#[inline]
pub(crate) fn shifted_id(space: IdSpace, value: RawValue<'_>, offset: u64) -> Option<u64> {
    match value.as_u64()? {
        0 if space == IdSpace::ZeroIsNone => None,
        id => Some(id.wrapping_add(offset)),
    }
}

/// Undoes [`shifted_id`].
pub(crate) fn original_id(space: IdSpace, value: RawValue<'_>, offset: u64) -> Option<u64> {
    match value.as_u64()? {
        0 if space == IdSpace::ZeroIsNone => None,
        id => Some(id.wrapping_sub(offset)),
    }
}

#[cfg(test)]
mod tests {
    use super::{ID_ARGUMENTS, id_space};

    #[test]
    fn the_list_is_what_is_renumbered() {
        assert!(ID_ARGUMENTS.iter().all(|key| id_space(key.as_bytes()).is_some()));
    }
}

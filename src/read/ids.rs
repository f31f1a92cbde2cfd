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
pub const ID_ARGUMENTS: [&str; 10] = [
    "correlation",
    "External id",
    "external id",
    "wait_on_cuda_event_record_corr_id",
    "Python id",
    "Python parent id",
    "connection_id",
    "correlation_id",
    "correlationId",
    "Correlation ID",
];

/// What merging renumbered before merged files said it.
const FORMERLY: [&str; 6] = [
    "correlation",
    "External id",
    "external id",
    "wait_on_cuda_event_record_corr_id",
    "Python id",
    "Python parent id",
];

/// Whether merging renumbered an argument of an input, by the list that the merged file keeps of it. Files of versions that
/// kept none had six renumbered.
pub(super) fn was_renumbered(listed: Option<&[String]>, key: &[u8]) -> bool {
    match listed {
        Some(listed) => listed.iter().any(|known| known.as_bytes() == key),
        None => FORMERLY.iter().any(|known| known.as_bytes() == key),
    }
}

/// The id space of an argument; `None` where it carries no id of the file.
#[inline]
pub(crate) fn id_space(key: &[u8]) -> Option<IdSpace> {
    match key {
        b"correlation"
        | b"External id"
        | b"external id"
        | b"wait_on_cuda_event_record_corr_id"
        | b"correlation_id"
        | b"correlationId"
        | b"Correlation ID" => Some(IdSpace::ZeroIsNone),
        b"Python id" | b"Python parent id" | b"connection_id" => Some(IdSpace::ZeroIsId),
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
    use super::{FORMERLY, ID_ARGUMENTS, id_space, was_renumbered};

    #[test]
    fn the_list_is_what_is_renumbered() {
        assert!(ID_ARGUMENTS.iter().all(|key| id_space(key.as_bytes()).is_some()));
    }

    #[test]
    fn what_was_renumbered_is_what_the_file_says_or_what_it_was_then() {
        let now = ID_ARGUMENTS.map(str::to_owned);
        assert!(ID_ARGUMENTS.iter().all(|key| was_renumbered(Some(&now), key.as_bytes())));
        assert!(FORMERLY.iter().all(|key| was_renumbered(None, key.as_bytes())));
        assert!(!was_renumbered(None, b"connection_id"));
        assert!(!was_renumbered(Some(&[]), b"correlation"));
    }
}

//! What collectives move, by the arguments that c10d gives their kernels.

use super::join::Call;
use super::models::{Cost, Transfer};
use super::shapes::Dtype;
use crate::align::Operation;
use crate::analyze::collectives::size_bytes;
use crate::analyze::devices::ActivityRow;
use crate::analyze::group_link::{GroupRoof, bus_bytes};
use crate::analyze::peaks::PeakOverrides;
use crate::store::{Store, StrId};

/// The word of the model.
const MODEL: &str = "collective";

/// What makes two collectives of one name alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    ranks: Option<StrId>,
    bytes: Option<u64>,
    dtype: Option<StrId>,
}

/// The call that a communication kernel is by its arguments; `None` where it has none.
pub(super) fn collective(
    store: &Store,
    peaks: PeakOverrides,
    device: Option<u32>,
    kernel: &ActivityRow,
) -> Option<Call> {
    let row = store.collective_row(kernel.slice as usize)?;
    let operation = Operation::of_name(store.strings.get(row.name));
    let bytes = size_bytes(store, row).filter(|&bytes| bytes > 0);
    let cost = bus_bytes(Some(operation), row.group_size, bytes).map(|bus_bytes| Cost {
        bytes,
        dtype: row.dtype.and_then(|dtype| Dtype::of_scalar(store.strings.get(dtype))),
        transfer: Some(Transfer {
            bus_bytes,
            gb_per_s: GroupRoof::of(store, peaks, device, row).map(|roof| roof.gb_per_s),
        }),
        ..Cost::default()
    });
    Some(Call {
        device,
        name: Some(row.name),
        group: Some(Group { ranks: row.group_ranks, bytes, dtype: row.dtype }),
        device_ns: kernel.span.len_ns(),
        model: cost.map(|_| MODEL),
        cost,
        ..Call::default()
    })
}

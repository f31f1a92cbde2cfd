//! Every complete event.

use super::events;
use super::view::Rows;
use crate::model::EventKind;
use crate::schema::Coded;

events! {
    /// Every slice.
    Events<'v> of slices: "events", "Events", "What was recorded, event by event?", |store| Rows::All(store.slices.len()) => {
        slice |_: &View<'v>, slice: usize| slice;
        kind: EventKind, Text, "kind", "what it is, by its category", |v, i| v.store().kind(i);
        category: Coded<'v>, Text, "category", "category as the trace writes it", |v, i| v.text(v.store().categories[v.store().category_number(i)].0);
        pid: Coded<'v>, Text, "pid", "process, of device events the device", |v, i| v.pid(v.store().track_of(i));
        tid: Coded<'v>, Text, "tid", "thread, of device events the stream", |v, i| v.tid(v.store().track_of(i));
        device: Option<u32>, Count, "device", "device index, of what lies on a device", |v, i| v.store().device_row(i)?.device;
        stream: Option<u32>, Count, "stream", "stream, of what lies on a device", |v, i| v.store().device_row(i)?.stream;
        self_ns: Option<i64>, Ns, "self", "duration less those of the events right inside it; negative where those overlap; none of what lies on a device", |v, i| v.self_ns(i);
        parent: Option<usize>, Count, "parent", "the event right around it on its thread", |v, i| v.parent(i);
        correlation: Option<u64>, Count, "correlation", "what a call and the device events that it started have in common", |v, i| v.store().correlation(i);
        external_id: Option<u64>, Count, "external id", "id of an operator, also of the operator that a call or a device event belongs to", |v, i| v.store().external_id(i);
        call: Option<usize>, Count, "call", "the event of the call that started it, of device events", |v, i| v.call_of(i).filter(|_| v.store().kind(i).is_on_device());
    }
}

//! Events without a duration: memory, instants, counters, ends of arrows.

use super::events;
use super::view::{Rows, View};
use crate::schema::{Coded, words_of};
use crate::store::{Flow, FlowPhase, Instant, MemoryRow};

words_of!(FlowPhase);

impl<'v, T> View<'v, T> {
    fn memory(&self, row: usize) -> &'v MemoryRow {
        &self.store().memory[row]
    }

    fn instant(&self, row: usize) -> &'v Instant {
        &self.store().instants[row]
    }

    fn flow(&self, row: usize) -> &'v Flow {
        &self.store().flows[row]
    }

    fn instant_of_memory(&self, row: usize) -> &'v Instant {
        self.instant(self.memory(row).instant as usize)
    }
}

events! {
    /// Allocations and releases of memory.
    MemoryEvents<'v> of points: "memory_events", "Allocations, one by one", "When was how much memory taken and given back, and what was held then?", |store| Rows::All(store.memory.len()) => {
        point |v: &View<'v>, row: usize| (v.instant_of_memory(row).track, v.instant_of_memory(row).ts_ns);
        name: Coded<'v>, Text, "name", "[memory], or [OutOfMemory] where there was none", |v, i| v.text(v.instant_of_memory(i).name);
        bytes: i64, Bytes, "bytes", "bytes taken; negative where given back", |v, i| v.memory(i).bytes;
        device_type: Option<i64>, Count, "device type", "as c10 numbers it: 0 CPU, 1 CUDA", |v, i| v.memory(i).device_type;
        device: Option<i64>, Count, "device", "device index, -1 for the host", |v, i| v.memory(i).device;
        address: Option<u64>, Count, "address", "where it lies", |v, i| v.memory(i).address;
        total_allocated_bytes: Option<u64>, Bytes, "allocated", "what is allocated on the device after it", |v, i| v.memory(i).total_allocated;
        total_reserved_bytes: Option<u64>, Bytes, "reserved", "what the allocator holds of the device after it", |v, i| v.memory(i).total_reserved;
    }
}

events! {
    /// Instants.
    InstantEvents<'v> of points: "instant_events", "Instants, one by one", "Which moments were marked?", |store| Rows::All(store.instants.len()) => {
        point |v: &View<'v>, row: usize| (v.instant(row).track, v.instant(row).ts_ns);
        name: Coded<'v>, Text, "name", "name", |v, i| v.text(v.instant(i).name);
        category: Option<Coded<'v>>, Text, "category", "category as the trace writes it", |v, i| Some(v.text(v.instant(i).category?));
    }
}

events! {
    /// Samples of counters.
    CounterEvents<'v> of points: "counter_events", "Samples of counters", "What did the counters count, and when?", |store| Rows::All(store.counters.len()) => {
        point |v: &View<'v>, row: usize| (v.store().counters[row].track, v.store().counters[row].ts_ns);
        name: Coded<'v>, Text, "name", "name of the counter", |v, i| v.text(v.store().counters[i].name);
        series: Coded<'v>, Text, "series", "series of the counter", |v, i| v.text(v.store().counters[i].series);
        value: f64, Rate, "value", "value, in the counter's own unit", |v, i| v.store().counters[i].value;
    }
}

events! {
    /// Ends of arrows.
    FlowEvents<'v> of points: "flow_events", "Ends of arrows, one by one", "What does the trace draw arrows between?", |store| Rows::All(store.flows.len()) => {
        point |v: &View<'v>, row: usize| (v.flow(row).track, v.flow(row).ts_ns);
        category: Coded<'v>, Text, "category", "category; ids of different categories are unrelated", |v, i| v.text(v.flow(i).category);
        flow_id: i64, Count, "id", "id of the arrow in its category; one of 2⁶³ or more less 2⁶⁴", |v, i| v.flow(i).id as i64;
        end: FlowPhase, Text, "end", "which end of the arrow it is", |v, i| v.flow(i).phase;
    }
}

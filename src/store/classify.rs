//! What slices without a telling category are, once all names of the file are known.
//!
//! A file of Kineto's keeps the kinds of its categories, and costs one look at the names of its processes. Elsewhere a
//! kind is decided once for each distinct name and process; a slice whose kind changes gets the number of a category with
//! the same text and the new kind.

use std::collections::BTreeMap;

use super::flow_links;
use super::writers::{self, ProcessRole, Role, Writers};
use super::{AsideRow, CopyRow, DeviceProperties, DeviceRow, Store, StrId, TrackId};
use crate::model::activity_name::{ascend_kind, device_kind, is_api_call, mtia_kind};
use crate::model::{EventKind, limits::MAX_CATEGORIES};

/// Gives slices their kinds, device activity its devices, and links activity with what launched it.
///
/// `asides` is what events state that may turn out to be a device's, by slice.
pub(super) fn classify(store: &mut Store, asides: Vec<AsideRow>) {
    settle_mtia(store);
    let writers = Writers::of(store.tracks.iter().map(|track| process_name(store, track)));
    let roles = roles(store, writers);
    let is_onnx = has_categories(store, &["Session", "Node"]);
    if !is_onnx && roles.iter().all(|of| of.role == Role::Unknown) {
        return;
    }
    let n_names = store.strings.len();
    let mut pass = Pass {
        numbers: BTreeMap::new(),
        by_name: vec![None; n_names],
        calls: vec![None; n_names],
        is_ascend: writers.is_ascend,
        is_onnx,
        asides,
    };
    for (track, of) in roles.iter().enumerate() {
        pass.track(store, track, *of);
    }
    place_devices(store, &roles);
    name_devices(store, &roles);
    store.device_rows.sort_unstable_by_key(|row| row.slice);
    store.copies.sort_unstable_by_key(|row| row.slice);
    flow_links::link(store);
}

/// MTIA's writer has one category for all that the device does: its copies and its waits for events are no kernels.
fn settle_mtia(store: &mut Store) {
    if !has_categories(store, &["mtia_ccp_events"]) {
        return;
    }
    let mut numbers = BTreeMap::new();
    for slice in 0..store.slices.len() {
        if store.kind(slice) == EventKind::Kernel
            && let Some(kind) = mtia_kind(store.name(slice))
        {
            set_kind(&mut numbers, store, slice, kind);
        }
    }
    let mut rows = std::mem::take(&mut store.device_rows);
    rows.retain(|row| store.kind(row.slice as usize) != EventKind::DeviceMark);
    store.device_rows = rows;
}

/// What a track holds and of which device.
#[derive(Clone, Copy, Debug)]
struct TrackRole {
    role: Role,
    device: Option<u32>,
}

fn process_name<'a>(store: &'a Store, track: &super::Track) -> &'a str {
    match (track.process_name, track.pid) {
        (Some(name), _) | (None, TrackId::Text(name)) => store.strings.get(name).trim(),
        (None, TrackId::Int(_)) => "",
    }
}

fn has_categories(store: &Store, wanted: &[&str]) -> bool {
    let has =
        |text: &&str| store.categories.iter().any(|&(name, _)| store.strings.get(name) == *text);
    wanted.iter().all(has)
}

/// The role of every track. Tracks of one process stand beside each other.
fn roles(store: &Store, writers: Writers) -> Vec<TrackRole> {
    let mut roles = Vec::with_capacity(store.tracks.len());
    let mut n_devices = 0;
    for of_process in store.tracks.chunk_by(|a, b| a.pid == b.pid) {
        let text = |id: Option<StrId>| id.map_or("", |id| store.strings.get(id).trim());
        let name = process_name(store, &of_process[0]);
        let process = writers.process(name, text(of_process[0].process_labels));
        let has_streams =
            of_process.iter().any(|track| writers::is_stream(text(track.thread_name)));
        let device = device_number(process, n_devices);
        n_devices += u32::from(process.role == Role::Device);
        roles.extend(of_process.iter().map(|track| TrackRole {
            role: writers::thread_role(process, text(track.thread_name), has_streams),
            device,
        }));
    }
    roles
}

/// A device's number, or its place among the devices that have none; collectives and copies are of the first.
fn device_number(process: ProcessRole, n_devices: u32) -> Option<u32> {
    match process.role {
        Role::Device => process.device.or(Some(n_devices)),
        Role::Comm => process.device.or(Some(0)),
        Role::Copies => process.device,
        _ => None,
    }
}

/// One pass over the slices.
struct Pass {
    /// Number of the category with the text of another and a kind.
    numbers: BTreeMap<(u8, EventKind), u8>,
    /// By string: the kind of device activity of that name.
    by_name: Vec<Option<EventKind>>,
    /// By string: whether it is a call of a runtime.
    calls: Vec<Option<bool>>,
    is_ascend: bool,
    is_onnx: bool,
    asides: Vec<AsideRow>,
}

impl Pass {
    fn track(&mut self, store: &mut Store, track: usize, of: TrackRole) {
        let tid = store.tracks[track].tid.as_int().and_then(|tid| u32::try_from(tid).ok());
        for slice in store.tracks[track].slices.clone() {
            let old = store.kind(slice);
            let Some(kind) = self.kind(store, slice, old, of.role) else { continue };
            if !set_kind(&mut self.numbers, store, slice, kind) || !kind.is_device_activity() {
                continue;
            }
            let aside = self.aside(slice);
            store.device_rows.push(DeviceRow {
                slice: slice as u32,
                device: aside.device.filter(|_| of.role == Role::Copies).or(of.device),
                stream: aside.stream.or(tid),
                config: None,
            });
            if let Some(bytes) = aside.bytes.filter(|_| kind != EventKind::Kernel) {
                let slice = slice as u32;
                store.copies.push(CopyRow { slice, bytes, from_device: None, to_device: None });
            }
        }
    }

    fn aside(&self, slice: usize) -> AsideRow {
        let found = self.asides.binary_search_by_key(&(slice as u32), |row| row.slice);
        found.map_or_else(|_| AsideRow::nothing(slice as u32), |at| self.asides[at])
    }

    /// The kind that a slice turns out to have; `None` where it keeps its own.
    fn kind(
        &mut self,
        store: &Store,
        slice: usize,
        old: EventKind,
        role: Role,
    ) -> Option<EventKind> {
        let name = store.slices.name[slice];
        match old {
            EventKind::CpuOp if self.is_ascend => {
                is_step(store.strings.get(name)).then_some(EventKind::UserAnnotation)
            }
            EventKind::Other => match role {
                Role::Device => Some(self.device_kind(store, slice, name)),
                Role::Copies => Some(EventKind::Memcpy),
                Role::Comm => Some(EventKind::Kernel),
                Role::Derived => Some(EventKind::Derived),
                Role::Calls => Some(EventKind::Runtime),
                Role::Operators => Some(EventKind::CpuOp),
                Role::Unknown if self.is_onnx => Some(EventKind::CpuOp),
                Role::Unknown => self.is_call(store, name).then_some(EventKind::Runtime),
            },
            _ => None,
        }
    }

    fn device_kind(&mut self, store: &Store, slice: usize, name: StrId) -> EventKind {
        let task = self.aside(slice).task.map(|task| store.strings.get(task));
        if let Some(kind) = task.and_then(ascend_kind) {
            return kind;
        }
        *self.by_name[name.0 as usize].get_or_insert_with(|| device_kind(store.strings.get(name)))
    }

    fn is_call(&mut self, store: &Store, name: StrId) -> bool {
        *self.calls[name.0 as usize].get_or_insert_with(|| is_api_call(store.strings.get(name)))
    }
}

/// Changes the kind of a slice; false where the file has more categories than there are numbers. `numbers`: the category with
/// the text of another and a kind.
fn set_kind(
    numbers: &mut BTreeMap<(u8, EventKind), u8>,
    store: &mut Store,
    slice: usize,
    kind: EventKind,
) -> bool {
    let old = store.slices.category[slice];
    let categories = &mut store.categories;
    let number = match numbers.get(&(old, kind)) {
        Some(&known) => known,
        None if categories.len() >= MAX_CATEGORIES => return false,
        None => {
            categories.push((categories[usize::from(old)].0, kind));
            let number = (categories.len() - 1) as u8;
            numbers.insert((old, kind), number);
            number
        }
    };
    store.slices.category[slice] = number;
    true
}

/// Annotations of steps, which torch_npu writes as operators.
fn is_step(name: &str) -> bool {
    ["ProfilerStep#", "execute_", "diffusion_"].iter().any(|start| name.starts_with(start))
}

/// Gives activity that names no device that of its process.
fn place_devices(store: &mut Store, roles: &[TrackRole]) {
    let mut rows = std::mem::take(&mut store.device_rows);
    for row in rows.iter_mut().filter(|row| row.device.is_none()) {
        row.device = roles[store.track_of(row.slice as usize)].device;
    }
    store.device_rows = rows;
}

/// Names the devices that only the names of processes tell.
fn name_devices(store: &mut Store, roles: &[TrackRole]) {
    for (track, of) in store.tracks.iter().zip(roles) {
        let Some(id) = of.device.filter(|_| of.role == Role::Device) else { continue };
        if store.meta.devices.iter().all(|known| known.id != id) {
            let name = match (track.process_name, track.pid) {
                (Some(name), _) | (None, TrackId::Text(name)) => store.strings.get(name),
                (None, TrackId::Int(_)) => "",
            };
            let name = writers::device_name(name.trim(), id);
            store.meta.devices.push(DeviceProperties { id, name, ..DeviceProperties::default() });
        }
    }
}

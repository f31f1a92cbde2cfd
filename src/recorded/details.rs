//! What only some kinds of slices have: launch configuration, sizes, shapes, frames, collectives.

use super::events;
use super::view::{Rows, View};
use crate::model::{EventKind, MODULE_FRAME};
use crate::schema::Coded;
use crate::store::{Argument, ArgumentRow, CollectiveRow, LaunchConfig, Shapes};

impl<'v, T> View<'v, T> {
    fn config(&self, slice: usize) -> Option<&'v LaunchConfig> {
        let config = self.store().device_row(slice)?.config?;
        Some(&self.store().launch_configs[config as usize])
    }

    /// How long after its call a device event began.
    fn launch_delay_ns(&self, slice: usize) -> Option<i64> {
        Some(self.start_ns(slice)?.saturating_sub(self.start_ns(self.call_of(slice)?)?))
    }

    /// A part of the inputs that an operator recorded.
    fn shapes(
        &self,
        slice: usize,
        part: impl Fn(&Shapes) -> Option<crate::store::StrId>,
    ) -> Option<Coded<'v>> {
        Some(self.text(part(self.store().shapes_of(slice)?)?))
    }

    /// The innermost operator around the call that started a device event.
    fn operator_of(&self, slice: usize) -> Option<Coded<'v>> {
        self.name_around(self.call_of(slice)?, |kind, _| kind == EventKind::CpuOp)
    }

    /// The innermost module around the call that started a device event.
    fn module_of(&self, slice: usize) -> Option<Coded<'v>> {
        self.module(self.call_of(slice)?)
    }

    /// The innermost Python frame around the call that started a device event.
    fn frame_of(&self, slice: usize) -> Option<Coded<'v>> {
        self.name_around(self.call_of(slice)?, |kind, _| kind == EventKind::PythonFunction)
    }

    /// The innermost module around a slice.
    fn module(&self, slice: usize) -> Option<Coded<'v>> {
        self.name_around(slice, |_, name| name.starts_with(MODULE_FRAME))
    }

    fn name_around(
        &self,
        slice: usize,
        is_it: impl Fn(EventKind, &str) -> bool,
    ) -> Option<Coded<'v>> {
        let store = self.store();
        let found = self.around(slice).find(|&one| is_it(store.kind(one), store.name(one)))?;
        Some(self.text(store.slices.name[found]))
    }

    /// The Python frames around a slice, innermost first.
    fn python_stack(&self, slice: usize) -> Option<String> {
        let store = self.store();
        let frames = self.around(slice).filter(|&one| store.kind(one) == EventKind::PythonFunction);
        let names: Vec<&str> = frames.map(|frame| store.name(frame)).collect();
        (!names.is_empty()).then(|| names.join("; "))
    }

    /// What is around a slice, from the inside out.
    fn around(&self, slice: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.parent(slice), |&slice| self.parent(slice))
    }

    fn argument(&self, row: usize) -> &'v ArgumentRow {
        &self.store().arguments.as_deref().unwrap_or_default()[row]
    }

    fn collective(&self, row: usize) -> &'v CollectiveRow {
        &self.store().collectives[row]
    }
}

events! {
    /// Kernels with their launch configuration.
    KernelEvents<'v> of slices: "kernel_events", "Kernels, one by one", "How was each kernel launched, and where did it run?", |store| Rows::of_kinds(store, |kind| kind == EventKind::Kernel) => {
        slice |_: &View<'v>, slice: usize| slice;
        device: Option<u32>, Count, "device", "device index", |v, i| v.store().device_row(i)?.device;
        stream: Option<u32>, Count, "stream", "stream", |v, i| v.store().device_row(i)?.stream;
        correlation: Option<u64>, Count, "correlation", "what it has in common with the call that started it", |v, i| v.store().correlation(i);
        external_id: Option<u64>, Count, "external id", "id of the operator that it belongs to", |v, i| v.store().external_id(i);
        call: Option<usize>, Count, "call", "the event of the call that started it", |v, i| v.call_of(i);
        launch_delay_ns: Option<i64>, Ns, "launch delay", "from the begin of that call to its own", |v, i| v.launch_delay_ns(i);
        operator: Option<Coded<'v>>, Text, "operator", "innermost operator around that call", |v, i| v.operator_of(i);
        module: Option<Coded<'v>>, Text, "module", "innermost nn.Module around that call, where Python frames were recorded", |v, i| v.module_of(i);
        frame: Option<Coded<'v>>, Text, "frame", "innermost Python frame around that call", |v, i| v.frame_of(i);
        grid_x: Option<u32>, Count, "grid x", "blocks in the first dimension", |v, i| Some(v.config(i)?.grid[0]);
        grid_y: Option<u32>, Count, "grid y", "blocks in the second dimension", |v, i| Some(v.config(i)?.grid[1]);
        grid_z: Option<u32>, Count, "grid z", "blocks in the third dimension", |v, i| Some(v.config(i)?.grid[2]);
        block_x: Option<u32>, Count, "block x", "threads of a block in the first dimension", |v, i| Some(v.config(i)?.block[0]);
        block_y: Option<u32>, Count, "block y", "threads of a block in the second dimension", |v, i| Some(v.config(i)?.block[1]);
        block_z: Option<u32>, Count, "block z", "threads of a block in the third dimension", |v, i| Some(v.config(i)?.block[2]);
        registers: Option<u32>, Count, "registers", "registers a thread", |v, i| v.config(i)?.registers;
        shared_bytes: Option<u32>, Bytes, "shared", "shared memory a block, static and dynamic", |v, i| v.config(i)?.shared_bytes;
        occupancy_pct: Option<f64>, Percent, "occupancy", "estimated occupancy achieved, of the warps that a multiprocessor holds", |v, i| Some(f64::from(v.config(i)?.occupancy_milli_pct?) / 1000.0);
    }
}

events! {
    /// Copies and memsets.
    CopyEvents<'v> of slices: "copy_events", "Copies and memsets, one by one", "What did each copy move, and between which devices?", |store| Rows::of_kinds(store, |kind| matches!(kind, EventKind::Memcpy | EventKind::Memset)) => {
        slice |_: &View<'v>, slice: usize| slice;
        kind: EventKind, Text, "kind", "memcpy or memset", |v, i| v.store().kind(i);
        device: Option<u32>, Count, "device", "device index", |v, i| v.store().device_row(i)?.device;
        stream: Option<u32>, Count, "stream", "stream", |v, i| v.store().device_row(i)?.stream;
        correlation: Option<u64>, Count, "correlation", "what it has in common with the call that started it", |v, i| v.store().correlation(i);
        external_id: Option<u64>, Count, "external id", "id of the operator that it belongs to", |v, i| v.store().external_id(i);
        call: Option<usize>, Count, "call", "the event of the call that started it", |v, i| v.call_of(i);
        launch_delay_ns: Option<i64>, Ns, "launch delay", "from the begin of that call to its own", |v, i| v.launch_delay_ns(i);
        operator: Option<Coded<'v>>, Text, "operator", "innermost operator around that call", |v, i| v.operator_of(i);
        module: Option<Coded<'v>>, Text, "module", "innermost nn.Module around that call, where Python frames were recorded", |v, i| v.module_of(i);
        frame: Option<Coded<'v>>, Text, "frame", "innermost Python frame around that call", |v, i| v.frame_of(i);
        bytes: Option<u64>, Bytes, "bytes", "bytes moved or set", |v, i| Some(v.store().copy_row(i)?.bytes);
        from_device: Option<u32>, Count, "from", "source device of a peer copy", |v, i| v.store().copy_row(i)?.from_device;
        to_device: Option<u32>, Count, "to", "destination device of a peer copy", |v, i| v.store().copy_row(i)?.to_device;
    }
}

events! {
    /// Operators and annotations with what they recorded.
    OpEvents<'v> of slices: "op_events", "Operators and annotations, one by one", "What did each operator work on, and where was it called?", |store| Rows::of_kinds(store, |kind| matches!(kind, EventKind::CpuOp | EventKind::UserAnnotation)) => {
        slice |_: &View<'v>, slice: usize| slice;
        kind: EventKind, Text, "kind", "cpu_op or user_annotation", |v, i| v.store().kind(i);
        self_ns: Option<i64>, Ns, "self", "duration less those of the events right inside it, Python frames and calls among them", |v, i| v.self_ns(i);
        parent: Option<usize>, Count, "parent", "the event right around it on its thread", |v, i| v.parent(i);
        external_id: Option<u64>, Count, "external id", "its id, which its calls and device events have too", |v, i| v.store().external_id(i);
        sequence_number: Option<u64>, Count, "sequence", "number that a forward operator and its backward one share", |v, i| v.store().sequence_number(i);
        forward_thread: Option<u32>, Count, "forward thread", "of a backward operator, torch's number of the thread of the forward one", |v, i| v.store().op_row(i)?.forward_thread;
        input_dims: Option<Coded<'v>>, Text, "dims", "shapes of the inputs, as the trace writes them", |v, i| v.shapes(i, |s| s.dims);
        input_types: Option<Coded<'v>>, Text, "types", "types of the inputs", |v, i| v.shapes(i, |s| s.types);
        input_strides: Option<Coded<'v>>, Text, "strides", "strides of the inputs", |v, i| v.shapes(i, |s| s.strides);
        concrete_inputs: Option<Coded<'v>>, Text, "concrete", "values of the inputs that are no tensors", |v, i| v.shapes(i, |s| s.concrete);
        call_stack: Option<Coded<'v>>, Text, "stack", "Python frames around it, innermost first, with ; between them", |v, i| Some(v.text(v.store().op_row(i)?.stack?));
        module: Option<Coded<'v>>, Text, "module", "innermost nn.Module around it, where Python frames were recorded", |v, i| v.module(i);
        python_stack: Option<String>, Text, "Python stack", "Python frames around it, innermost first, with ; between them", |v, i| v.python_stack(i);
        module_hierarchy: Option<Coded<'v>>, Text, "modules", "modules around it", |v, i| Some(v.text(v.store().op_row(i)?.modules?));
    }
}

events! {
    /// Calls of a runtime or driver.
    CallEvents<'v> of slices: "call_events", "Runtime and driver calls, one by one", "What did each call of a runtime or driver start?", |store| Rows::of_kinds(store, EventKind::is_api_call) => {
        slice |_: &View<'v>, slice: usize| slice;
        kind: EventKind, Text, "kind", "runtime or driver", |v, i| v.store().kind(i);
        parent: Option<usize>, Count, "parent", "the event right around it on its thread", |v, i| v.parent(i);
        correlation: Option<u64>, Count, "correlation", "what it has in common with the device events that it started", |v, i| v.store().correlation(i);
        external_id: Option<u64>, Count, "external id", "id of the operator that it belongs to", |v, i| v.store().external_id(i);
        n_activities: usize, Count, "activities", "kernels, copies and memsets that it started: of a graph all of its nodes", |v, i| v.launches().activities_of(v.store(), i).count();
    }
}

events! {
    /// Python frames.
    PythonEvents<'v> of slices: "python_events", "Python frames, one by one", "Which Python functions ran, and which called which?", |store| Rows::of_kinds(store, |kind| kind == EventKind::PythonFunction) => {
        slice |_: &View<'v>, slice: usize| slice;
        self_ns: Option<i64>, Ns, "self", "duration less those of the events right inside it, operators and calls among them", |v, i| v.self_ns(i);
        parent: Option<usize>, Count, "parent", "the event right around it on its thread", |v, i| v.parent(i);
        python_id: Option<u64>, Count, "id", "the writer's number of the frame", |v, i| v.store().python_id(i);
        python_parent_id: Option<u64>, Count, "parent id", "the writer's number of the frame that called it", |v, i| v.store().python_parent_id(i);
        module_id: Option<u64>, Count, "module", "which of the modules of its class it is, of an nn.Module", |v, i| v.store().module_id(i);
    }
}

events! {
    /// Collectives and point-to-point operations, on kernels and on the host.
    CollectiveEvents<'v> of slices: "collective_events", "Collectives, one by one", "Which collectives ran, in which group, on how much data?", |store| Rows::All(store.collectives.len()) => {
        slice |v: &View<'v>, row: usize| v.collective(row).slice as usize;
        kind: EventKind, Text, "kind", "kernel, or what it is on the host", |v, i| v.store().kind(v.collective(i).slice as usize);
        device: Option<u32>, Count, "device", "device index, of a kernel", |v, i| v.store().device_row(v.collective(i).slice as usize)?.device;
        stream: Option<u32>, Count, "stream", "stream, of a kernel", |v, i| v.store().device_row(v.collective(i).slice as usize)?.stream;
        external_id: Option<u64>, Count, "external id", "id of the operator that it belongs to", |v, i| v.store().external_id(v.collective(i).slice as usize);
        collective: Coded<'v>, Text, "collective", "name of the collective", |v, i| v.text(v.collective(i).name);
        dtype: Option<Coded<'v>>, Text, "dtype", "type of the elements", |v, i| Some(v.text(v.collective(i).dtype?));
        in_elements: Option<u64>, Count, "in", "elements that the rank gives", |v, i| v.collective(i).in_elements;
        out_elements: Option<u64>, Count, "out", "elements that the rank gets", |v, i| v.collective(i).out_elements;
        in_split: Option<Coded<'v>>, Text, "in split", "elements for each rank, perhaps cut short by the writer", |v, i| Some(v.text(v.collective(i).in_split?));
        out_split: Option<Coded<'v>>, Text, "out split", "elements from each rank, perhaps cut short by the writer", |v, i| Some(v.text(v.collective(i).out_split?));
        group_name: Option<Coded<'v>>, Text, "group", "name of the process group", |v, i| Some(v.text(v.collective(i).group_name?));
        group_description: Option<Coded<'v>>, Text, "group's description", "what the group is for", |v, i| Some(v.text(v.collective(i).group_description?));
        group_ranks: Option<Coded<'v>>, Text, "ranks", "ranks of the group, perhaps cut short by the writer", |v, i| Some(v.text(v.collective(i).group_ranks?));
        group_size: Option<u32>, Count, "group size", "ranks in the group", |v, i| v.collective(i).group_size;
        rank: Option<u32>, Count, "rank", "the rank in the group", |v, i| v.collective(i).rank;
        src_rank: Option<u32>, Count, "source", "sending rank of a point-to-point operation", |v, i| v.collective(i).src_rank;
        dst_rank: Option<u32>, Count, "destination", "receiving rank of a point-to-point operation", |v, i| v.collective(i).dst_rank;
        sequence: Option<u64>, Count, "sequence", "number of the collective in its group", |v, i| v.collective(i).seq;
        comms_id: Option<Coded<'v>>, Text, "communicator", "id of the communicator", |v, i| Some(v.text(v.collective(i).comms_id?));
    }
}

events! {
    /// Arguments of events.
    EventArguments<'v>: "event_arguments", "Arguments of events", "What else does the trace say of each event?", |store| Rows::All(store.arguments.as_ref().map_or(0, Vec::len)) => {
        input: usize, Count, "#", "number of the input", |v, _| v.number();
        event: usize, Count, "event", "number of the event in the table events of its input", |v, i| v.argument(i).slice as usize;
        key: Coded<'v>, Text, "key", "name of the argument", |v, i| v.text(v.argument(i).key);
        number: Option<i64>, Count, "number", "its value, where it is a whole number", |v, i| match v.argument(i).value { Argument::Number(number) => Some(number), Argument::Text(_) => None };
        text: Option<Coded<'v>>, Text, "text", "its value, where it is none: a text, or JSON as the trace writes it", |v, i| match v.argument(i).value { Argument::Text(text) => Some(v.text(text)), Argument::Number(_) => None };
    }
}

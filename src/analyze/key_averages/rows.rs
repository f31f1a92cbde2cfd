//! The rows while they are summed: which row an event belongs to, and the sums by row.
//!
//! Sums of several threads can be joined in any order: sums are integers and the first event of a row is a minimum.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::memory::MemoryIndex;
use super::origins::Origins;
use super::{DeviceType, KeyAverageRow, KeyAveragesConfig, KeyMemory};
use crate::model::EventKind;
use crate::store::{Store, StrId, Strings};

/// What sets rows of one name apart. Of the size of a number, so that what holds one is copied word by word.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Class {
    Cpu,
    CpuAnnotation,
    Device,
    DeviceAnnotation,
}

impl Class {
    /// The class of a slice that has a row; `None` for windows and unknown categories.
    pub(super) fn of(kind: EventKind) -> Option<Self> {
        match kind {
            EventKind::UserAnnotation => Some(Self::CpuAnnotation),
            EventKind::GpuUserAnnotation => Some(Self::DeviceAnnotation),
            kind if kind.is_on_host() => Some(Self::Cpu),
            kind if kind.is_on_device() => Some(Self::Device),
            _ => None,
        }
    }
}

/// Names with a meaning of their own.
pub(super) struct Names {
    n_strings: usize,
    /// Names that torch leaves out of the table.
    hidden: Vec<StrId>,
    /// All `ProfilerStep#N`, and the one that stands for them.
    steps: std::ops::Range<u32>,
    /// `[memory]`, where the trace has it.
    pub(super) memory: Option<StrId>,
    /// `[OutOfMemory]`, where the trace has it.
    pub(super) out_of_memory: Option<StrId>,
}

/// Utility operators that torch leaves out (`_filter_name` of `profiler_util.py`).
const HIDDEN: [&str; 8] = [
    "[memory]",
    "[OutOfMemory]",
    "profiler::_record_function_enter",
    "profiler::_record_function_enter_new",
    "profiler::_record_function_exit",
    "aten::is_leaf",
    "aten::output_nr",
    "aten::_version",
];

const STEP_PREFIX: &str = "ProfilerStep#";

impl Names {
    pub(super) fn new(store: &Store) -> Self {
        let strings = &store.strings;
        let first_step = first_not_before(strings, STEP_PREFIX);
        // `$` follows `#`, so this is the first text after all that start with the prefix.
        let steps = first_step..first_not_before(strings, "ProfilerStep$");
        Self {
            n_strings: strings.len(),
            hidden: HIDDEN.iter().filter_map(|name| strings.find(name)).collect(),
            steps,
            memory: strings.find("[memory]"),
            out_of_memory: strings.find("[OutOfMemory]"),
        }
    }

    /// The name under which slices of a name are counted.
    #[inline]
    pub(super) fn of(&self, name: StrId) -> StrId {
        if self.steps.contains(&name.0) { StrId(self.steps.start) } else { name }
    }

    /// The same; `None` where torch leaves the name out.
    pub(super) fn shown(&self, name: StrId) -> Option<StrId> {
        (!self.hidden.contains(&name)).then(|| self.of(name))
    }

    fn text(&self, strings: &Strings, name: StrId) -> String {
        if self.steps.contains(&name.0) {
            return "ProfilerStep*".to_owned();
        }
        strings.get(name).to_owned()
    }
}

fn first_not_before(strings: &Strings, text: &str) -> u32 {
    let ids = 0..strings.len() as u32;
    let mut low = ids.start;
    let mut high = ids.end;
    while low < high {
        let mid = u32::midpoint(low, high);
        if strings.get(StrId(mid)) < text { low = mid + 1 } else { high = mid }
    }
    low
}

/// What rows are grouped by beyond the name.
pub(super) struct Groups {
    /// The group of each of [`Store::ops`]; empty where nothing is grouped.
    of_op: Vec<u32>,
    /// Shapes and frames of each group; the first is that of slices which recorded neither.
    texts: Vec<(Option<String>, Vec<String>)>,
}

impl Groups {
    pub(super) fn new(store: &Store, config: &KeyAveragesConfig) -> Self {
        let by_shape = config.group_by_input_shape;
        let none = (by_shape.then(|| "[]".to_owned()), Vec::new());
        let mut groups = Self { of_op: Vec::new(), texts: vec![none.clone()] };
        if !by_shape && config.group_by_stack_n == 0 {
            return groups;
        }
        let mut ids = BTreeMap::from([(none, 0_u32)]);
        let shape_texts: Vec<String> = store
            .shapes
            .iter()
            .map(|shapes| {
                shapes.dims.map_or("[]".to_owned(), |d| torch_shapes(store.strings.get(d)))
            })
            .collect();
        for op in &store.ops {
            let shapes = op.shapes.map_or("[]", |shapes| shape_texts[shapes as usize].as_str());
            let stack = op.stack.map_or("", |stack| store.strings.get(stack));
            let frames = stack.split(';').filter(|frame| is_shown_frame(frame));
            let frames = frames.take(config.group_by_stack_n).map(str::to_owned).collect();
            let key = (by_shape.then(|| shapes.to_owned()), frames);
            let next = groups.texts.len() as u32;
            let id = *ids.entry(key.clone()).or_insert(next);
            if id == next {
                groups.texts.push(key);
            }
            groups.of_op.push(id);
        }
        groups
    }

    /// The group of a slice.
    pub(super) fn of(&self, store: &Store, slice: usize) -> u32 {
        if self.of_op.is_empty() {
            return 0;
        }
        let op = store.ops.binary_search_by_key(&(slice as u32), |row| row.slice);
        op.map_or(0, |op| self.of_op[op])
    }
}

/// Torch's text of an operator's input shapes: a list of tensors has no shape of its own (`shapesForKinetoEvent`).
fn torch_shapes(dims: &str) -> String {
    let Ok(serde_json::Value::Array(inputs)) = serde_json::from_str(dims) else {
        return dims.to_owned();
    };
    let shape = |input: &serde_json::Value| match input {
        serde_json::Value::Array(sizes) if !sizes.iter().any(serde_json::Value::is_array) => {
            let sizes: Vec<String> = sizes.iter().map(ToString::to_string).collect();
            format!("[{}]", sizes.join(", "))
        }
        _ => "[]".to_owned(),
    };
    format!("[{}]", inputs.iter().map(shape).collect::<Vec<_>>().join(", "))
}

/// Whether torch shows a frame (`_filter_stack_entry` of `profiler_util.py` hides a few of its own).
fn is_shown_frame(frame: &str) -> bool {
    const HIDDEN_FRAMES: [(&str, &str); 6] = [
        ("autograd/__init__", "_make_grads"),
        ("autograd/__init__", "backward"),
        ("torch/tensor", "backward"),
        ("_internal/common_utils", "prof_callable"),
        ("_internal/common_utils", "prof_func_call"),
        ("_internal/common_utils", "prof_meth_call"),
    ];
    !frame.is_empty()
        && !HIDDEN_FRAMES.iter().any(|(file, name)| frame.contains(file) && frame.contains(name))
}

/// The place of an event in torch's order: start ascending, end descending, then as torch makes them: what it recorded
/// itself, calls and overhead, device activity, device annotations, allocations outside events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct First {
    start_ns: i64,
    end_ns: Reverse<i64>,
    rank: u8,
    slice: u32,
}

impl First {
    /// After all others.
    const NONE: Self =
        Self { start_ns: i64::MAX, end_ns: Reverse(i64::MIN), rank: u8::MAX, slice: u32::MAX };

    #[inline]
    pub(super) fn of(store: &Store, origins: &Origins, slice: usize) -> Self {
        let (start_ns, end_ns) = origins.interval(store, slice);
        let rank = match store.kind(slice) {
            EventKind::CpuOp | EventKind::UserAnnotation | EventKind::PythonFunction => 0,
            kind if kind.is_on_host() => 1,
            EventKind::GpuUserAnnotation => 3,
            _ => 2,
        };
        Self { start_ns, end_ns: Reverse(end_ns), rank, slice: slice as u32 }
    }

    pub(super) fn at_instant(ts_ns: i64) -> Self {
        Self { start_ns: ts_ns, end_ns: Reverse(ts_ns), rank: 4, slice: u32::MAX }
    }
}

/// The sums of one row. What each event adds to stands together.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct RowSums {
    first: First,
    count: u64,
    pub(super) self_cpu_ns: i64,
    pub(super) cpu_total_ns: i64,
    pub(super) self_device_ns: i64,
    pub(super) device_total_ns: i64,
    pub(super) excluded_cpu_ns: i64,
    /// Host and device bytes.
    pub(super) memory: [i64; 2],
    pub(super) self_memory: [i64; 2],
    name: StrId,
    class: Class,
    group: u32,
    pub(super) is_async: bool,
}

/// The rows of some threads.
pub(super) struct Sums {
    /// Those that were asked for; some are of no event.
    rows: Vec<RowSums>,
    /// Of each name its row without a group, see [`slot`].
    by_name: Vec<u32>,
    /// The rows that have none there: with a group, or of a name with a row of another class.
    by_key: HashMap<(StrId, Class, u32), u32, FixedState>,
    /// How many host events begin, less how many end, at each memory record.
    pub(super) memory_seen: Vec<i32>,
    /// Host time that was left out of self times.
    pub(super) excluded_self_ns: i64,
}

/// A name that torch leaves out.
const HIDDEN_NAME: u32 = 1;

/// A row of some class as an entry of [`Sums::by_name`]; 0 stands for a name that was not met.
fn slot(row: u32, class: Class) -> u32 {
    (row + 1) << 2 | class as u32
}

/// The row of an entry, where it is of a class.
#[inline]
fn row_in(slot: u32, class: Class) -> Option<u32> {
    (slot & 3 == class as u32).then(|| (slot >> 2).checked_sub(1)).flatten()
}

impl Sums {
    pub(super) fn new(names: &Names, memory: &MemoryIndex) -> Self {
        let mut by_name = vec![0; names.n_strings];
        names.hidden.iter().for_each(|name| by_name[name.0 as usize] = HIDDEN_NAME);
        Self {
            rows: Vec::new(),
            by_name,
            by_key: HashMap::default(),
            memory_seen: vec![0; memory.len() + 1],
            excluded_self_ns: 0,
        }
    }

    /// How many entries are made with it.
    pub(super) fn n_entries(names: &Names, memory: &MemoryIndex) -> usize {
        names.n_strings + memory.len() + 1
    }

    /// The row of an event of a name; `None` where torch leaves the name out.
    #[inline]
    pub(super) fn row_of(
        &mut self,
        names: &Names,
        name: StrId,
        class: Class,
        group: u32,
    ) -> Option<u32> {
        let slot = self.by_name[name.0 as usize];
        match row_in(slot, class) {
            Some(row) if group == 0 => Some(row),
            _ if slot == HIDDEN_NAME => None,
            _ => Some(self.other_row(names.of(name), name, class, group)),
        }
    }

    /// The row of an event under the name that it is counted as, where that is not known by its own.
    #[cold]
    fn other_row(&mut self, counted_as: StrId, name: StrId, class: Class, group: u32) -> u32 {
        let row = self.row(counted_as, class, group);
        let own = &mut self.by_name[name.0 as usize];
        if group == 0 && *own == 0 {
            *own = slot(row, class);
        }
        row
    }

    /// A row, new or known.
    fn row(&mut self, name: StrId, class: Class, group: u32) -> u32 {
        let next = self.rows.len() as u32;
        let own = &mut self.by_name[name.0 as usize];
        let row = match row_in(*own, class) {
            Some(row) if group == 0 => row,
            _ if group == 0 && *own == 0 => {
                *own = slot(next, class);
                next
            }
            _ => *self.by_key.entry((name, class, group)).or_insert(next),
        };
        if row == next {
            self.rows.push(RowSums::new(name, class, group));
        }
        row
    }

    /// Counts an event in a row; its place is looked up only where it may be the first.
    #[inline]
    pub(super) fn counted(
        &mut self,
        row: u32,
        start_ns: i64,
        place: impl FnOnce() -> First,
    ) -> &mut RowSums {
        let row = &mut self.rows[row as usize];
        row.count += 1;
        if start_ns <= row.first.start_ns {
            row.first = row.first.min(place());
        }
        row
    }

    /// Counts something in a row of its own kind.
    pub(super) fn counted_as(
        &mut self,
        (name, class): (StrId, Class),
        first: First,
    ) -> &mut RowSums {
        let row = self.row(name, class, 0);
        self.counted(row, first.start_ns, || first)
    }

    /// The sums of both.
    pub(super) fn joined(mut self, other: Self) -> Self {
        for theirs in other.rows.iter().filter(|row| row.count > 0) {
            let row = self.row(theirs.name, theirs.class, theirs.group);
            self.rows[row as usize].add(theirs);
        }
        for (ours, theirs) in self.memory_seen.iter_mut().zip(other.memory_seen) {
            *ours += theirs;
        }
        self.excluded_self_ns = self.excluded_self_ns.saturating_add(other.excluded_self_ns);
        self
    }

    /// The rows in torch's order.
    pub(super) fn into_rows(
        mut self,
        store: &Store,
        names: &Names,
        groups: &Groups,
        has_memory: bool,
        links_known: bool,
    ) -> Vec<KeyAverageRow> {
        self.rows.retain(|row| row.count > 0);
        self.rows.sort_by_key(|row| row.first);
        let row = |sums: RowSums| {
            let (input_shapes, stack) = groups.texts[sums.group as usize].clone();
            let device_type = match sums.class {
                Class::Cpu | Class::CpuAnnotation => DeviceType::Cpu,
                Class::Device | Class::DeviceAnnotation => DeviceType::Device,
            };
            let knows_device = links_known || device_type == DeviceType::Device;
            KeyAverageRow {
                name: names.text(&store.strings, sums.name),
                device_type,
                is_annotation: matches!(sums.class, Class::CpuAnnotation | Class::DeviceAnnotation),
                is_async: sums.is_async,
                count: sums.count,
                self_cpu_ns: sums.self_cpu_ns,
                cpu_total_ns: sums.cpu_total_ns,
                self_device_ns: knows_device.then_some(sums.self_device_ns),
                device_total_ns: knows_device.then_some(sums.device_total_ns),
                excluded_cpu_ns: (sums.excluded_cpu_ns != 0).then_some(sums.excluded_cpu_ns),
                memory: has_memory.then_some(KeyMemory {
                    cpu_bytes: sums.memory[0],
                    self_cpu_bytes: sums.self_memory[0],
                    device_bytes: sums.memory[1],
                    self_device_bytes: sums.self_memory[1],
                }),
                input_shapes,
                stack: (!stack.is_empty()).then_some(stack),
                ..KeyAverageRow::default()
            }
        };
        self.rows.into_iter().map(row).collect()
    }
}

impl RowSums {
    fn new(name: StrId, class: Class, group: u32) -> Self {
        Self {
            first: First::NONE,
            count: 0,
            self_cpu_ns: 0,
            cpu_total_ns: 0,
            self_device_ns: 0,
            device_total_ns: 0,
            excluded_cpu_ns: 0,
            memory: [0; 2],
            self_memory: [0; 2],
            name,
            class,
            group,
            is_async: false,
        }
    }

    fn add(&mut self, other: &Self) {
        self.first = self.first.min(other.first);
        self.is_async |= other.is_async;
        self.count += other.count;
        self.self_cpu_ns = self.self_cpu_ns.saturating_add(other.self_cpu_ns);
        self.cpu_total_ns = self.cpu_total_ns.saturating_add(other.cpu_total_ns);
        self.self_device_ns = self.self_device_ns.saturating_add(other.self_device_ns);
        self.device_total_ns = self.device_total_ns.saturating_add(other.device_total_ns);
        self.excluded_cpu_ns = self.excluded_cpu_ns.saturating_add(other.excluded_cpu_ns);
        for kind in 0..2 {
            self.memory[kind] += other.memory[kind];
            self.self_memory[kind] += other.self_memory[kind];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{is_shown_frame, torch_shapes};

    #[test]
    fn lists_of_tensors_have_no_shape() {
        assert_eq!(torch_shapes("[[4,64],[],[[2, 3], [4]]]"), "[[4, 64], [], []]");
        assert_eq!(torch_shapes("[]"), "[]");
        assert_eq!(torch_shapes("[[[], []]]"), "[[]]");
        assert_eq!(torch_shapes("not json"), "not json");
    }

    #[test]
    fn torch_hides_its_own_frames() {
        assert!(is_shown_frame("train.py(3): step"));
        assert!(!is_shown_frame("torch/autograd/__init__.py(9): backward"));
        assert!(!is_shown_frame(""));
    }
}

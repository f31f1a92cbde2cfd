//! What a node of the tree has beside its times: memory and what is left out of it. Most traces record no memory, and most questions
//! leave nothing out, so that the tree is walked without.

use super::rows::RowSums;

/// What a node has beside its times.
pub(super) trait Extra: Copy {
    /// Of an event: what is left out of it, and the host and device bytes that were allocated in it.
    fn of(excluded_ns: i64, memory: impl FnOnce() -> [i64; 2]) -> Self;

    /// Takes the place of its only child.
    fn absorb(&mut self, child: &Self);

    /// Adds a child to its children.
    fn adopt(&mut self, child: &Self);

    /// What is left out of it and of no child.
    fn excluded_self_ns(&self) -> i64;

    /// Adds it to its row.
    fn book(&self, row: &mut RowSums);
}

impl Extra for () {
    fn of(_excluded_ns: i64, _memory: impl FnOnce() -> [i64; 2]) -> Self {}

    fn absorb(&mut self, _child: &Self) {}

    fn adopt(&mut self, _child: &Self) {}

    fn excluded_self_ns(&self) -> i64 {
        0
    }

    fn book(&self, _row: &mut RowSums) {}
}

/// Both, each with the totals of the direct children.
#[derive(Clone, Copy, Debug)]
pub(super) struct MemoryAndExcluded {
    excluded_ns: i64,
    memory: [i64; 2],
    children_excluded_ns: i64,
    children_memory: [i64; 2],
}

fn add(sum: &mut i64, value: i64) {
    *sum = sum.saturating_add(value);
}

impl Extra for MemoryAndExcluded {
    fn of(excluded_ns: i64, memory: impl FnOnce() -> [i64; 2]) -> Self {
        Self { excluded_ns, memory: memory(), children_excluded_ns: 0, children_memory: [0; 2] }
    }

    fn absorb(&mut self, child: &Self) {
        self.children_excluded_ns = child.children_excluded_ns;
        self.children_memory = child.children_memory;
    }

    fn adopt(&mut self, child: &Self) {
        add(&mut self.children_excluded_ns, child.excluded_ns);
        for kind in 0..2 {
            add(&mut self.children_memory[kind], child.memory[kind]);
        }
    }

    fn excluded_self_ns(&self) -> i64 {
        self.excluded_ns.saturating_sub(self.children_excluded_ns)
    }

    fn book(&self, row: &mut RowSums) {
        add(&mut row.excluded_cpu_ns, self.excluded_ns);
        for kind in 0..2 {
            add(&mut row.memory[kind], self.memory[kind]);
            add(&mut row.self_memory[kind], self.memory[kind] - self.children_memory[kind]);
        }
    }
}

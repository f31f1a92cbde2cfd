//! Device activity by name: kernels, copies and memsets.

use super::percent;
use crate::analyze::kernels::ActivityStats;
use crate::schema::{Source, tables};

tables! {
    /// All device activity of one name, as the machine output gives it.
    KernelRow: "kernels", "Kernels", "Which kernels, copies and memsets took the devices' time?", groups 0 {
        name: String, Text, All / Subject, "name", "name";
        category: &'static str, Text, Machines, "category", "kernel, gpu_memcpy or gpu_memset";
        count: u64, Count, All, "count", "how often";
        sum_ns: i64, Ns, All, "sum", "sum of the durations";
        share_pct: Option<f64>, Percent, All, "share", "sum, of all kernels of the run; of a copy or memset, of all of these";
        min_ns: i64, Ns, Room, "min", "the shortest";
        median_ns: i64, Ns, All, "median", "the median, nearest rank";
        p99_ns: i64, Ns, Room, "p99", "the 99th percentile, nearest rank";
        max_ns: i64, Ns, All, "max", "the longest";
        run: u32, Count, All / First, "run", "number of the run: sums stay within one";
    }
}

impl From<ActivityStats> for KernelRow {
    fn from(stats: ActivityStats) -> Self {
        Self {
            name: stats.name,
            category: stats.kind.category(),
            count: stats.count,
            sum_ns: stats.sum_ns,
            share_pct: None,
            min_ns: stats.min_ns,
            median_ns: stats.median_ns,
            p99_ns: stats.p99_ns,
            max_ns: stats.max_ns,
            run: 0,
        }
    }
}

/// Rows by name, the largest sum first. Kernels share the time of all kernels, copies and memsets that of all of these.
pub fn kernel_rows(stats: Vec<ActivityStats>) -> Vec<KernelRow> {
    let mut rows: Vec<KernelRow> = stats.into_iter().map(KernelRow::from).collect();
    for is_kernel in [true, false] {
        let of_kind = |row: &&mut KernelRow| row.is_kernel() == is_kernel;
        let whole_ns = rows.iter_mut().filter(of_kind).map(|row| row.sum_ns).sum();
        rows.iter_mut()
            .filter(of_kind)
            .for_each(|row| row.share_pct = percent(row.sum_ns, whole_ns));
    }
    rows
}

impl KernelRow {
    fn is_kernel(&self) -> bool {
        self.category == "kernel"
    }
}

/// The kernels whose name is shown.
pub(super) fn kernels<'a>(rows: &'a [KernelRow], shown: impl Fn(&str) -> bool) -> Source<'a> {
    Source::some(rows.iter().filter(|row| row.is_kernel() && shown(&row.name)).collect())
}

/// The copies and memsets whose name is shown.
pub(super) fn transfers<'a>(rows: &'a [KernelRow], shown: impl Fn(&str) -> bool) -> Source<'a> {
    let rows = rows.iter().filter(|row| !row.is_kernel() && shown(&row.name)).collect();
    Source::some(rows).named("copies", "Copies and memsets")
}

//! Columns that a page leaves out where a table would be wider than its place; the choice of columns brings them back.

/// Keys of such columns of a table of a command.
pub(super) fn minor(command: &str, table: &str) -> &'static [&'static str] {
    match (command, table) {
        (_, "trust") => &["of", "effect_ns", "check"],
        ("analyze", "devices") => {
            &["window_ns", "kernel_sum_ns", "memset_busy_ns", "memcpy_busy_ns", "name"]
        }
        ("analyze", "iterations") => &["tid", "kernel_sum_ns", "gap_to_next_ns"],
        ("analyze", "key_averages") => &["cpu_avg_ns", "device_avg_ns", "self_device_pct"],
        ("analyze", "kernels" | "copies") => &["min_ns", "p99_ns"],
        ("analyze", "stragglers") => &["last_pct", "max_behind_first_ns"],
        ("bandwidth", "collectives") => &[
            "stage",
            "group",
            "group_description",
            "matched",
            "kernels",
            "sum_ns",
            "max_ns",
            "busy_ns",
            "name",
        ],
        ("bandwidth", "directions") => &["without_bytes", "sum_ns"],
        ("merge", "inputs") => &["json_bytes", "base_shift_ns", "dropped", "first_pid", "lanes"],
        _ => &[],
    }
}

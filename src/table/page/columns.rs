//! Columns that a page leaves out where a table would be wider than its place; the choice of columns brings them back.

/// Keys of such columns of a table of a command.
pub(super) fn minor(command: &str, table: &str) -> &'static [&'static str] {
    match (command, table) {
        (_, "trust") => &["of", "effect_ns", "check"],
        (_, "issues") => &["kind", "first_offset"],
        ("stages", "flags") => &["line", "kind"],
        ("analyze", "devices") => {
            &["window_ns", "kernel_sum_ns", "memset_busy_ns", "memcpy_busy_ns", "name"]
        }
        ("analyze", "iterations") => &["tid", "kernel_sum_ns", "gap_to_next_ns"],
        ("analyze", "key_averages") => &["cpu_avg_ns", "device_avg_ns", "self_device_pct"],
        ("analyze", "kernels" | "copies") => &["min_ns", "p99_ns"],
        ("analyze", "stragglers") => &["last_pct", "max_behind_first_ns"],
        ("analyze", "joined_requests") => &[
            "pass",
            "start_unix_ns",
            "outside_ns",
            "in_window_is_sure",
            "ipc_wait_ns",
            "matched_by",
            "placed_by",
            "log",
            "line",
        ],
        ("analyze", "joined_stages") => &["matched_by", "spans", "spans_in_window", "window_ns"],
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
        ("bandwidth", "stage_transfers") | ("stages", "transfers") => {
            &["tx_mbit_per_s", "rx_mbit_per_s", "total_mbit_per_s", "rx_samples", "rx_bytes"]
        }
        ("bandwidth", "traced_transfers") => &["copies_without_bytes"],
        ("merge", "inputs") => &["json_bytes", "base_shift_ns", "dropped", "first_pid", "lanes"],
        ("stages", "request_stages") => &[
            "instance",
            "queue_source",
            "batch_size",
            "first_token_ns",
            "rx_bytes",
            "rx_decode_ns",
        ],
        ("stages", "requests") => &["e2e_is_logged", "preprocess_ns"],
        ("stages", "stages") => &["wall_ns", "tokens_per_wall_s"],
        _ => &[],
    }
}

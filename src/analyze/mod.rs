//! The analyses: one file each, `fn(&Store, &Config)` to rows of the table that is defined beside it.
//!
//! Nothing here reads files, prints or formats. Durations are integer
//! nanoseconds, and what a trace does not record is `None`, never zero.
//!
//! The time accounts share a [`base::TimeBase`], computed once per input: windows, launches, what each host thread was
//! doing at every instant, the activity of each device.

pub mod across;
pub mod activity;
pub mod base;
pub mod blame;
pub mod breakdown;
mod by_id;
pub mod clock;
pub mod collectives;
mod comm_kernels;
pub mod comm_rules;
pub mod comm_waits;
pub mod components;
pub mod copies;
mod counter_units;
pub mod counters;
pub mod devices;
pub mod durations;
pub mod exclude;
pub mod fitness;
mod group_link;
pub mod host;
pub mod idle;
mod inherited;
pub mod intervals;
pub mod iteration_names;
pub mod iterations;
pub mod joined;
pub mod kernel_classes;
pub mod kernel_origins;
pub mod kernels;
pub mod key_averages;
pub mod launch_delays;
pub mod launch_stats;
pub mod launched;
pub mod launches;
pub mod memory;
pub mod memory_events;
mod memory_history;
mod memory_layout;
pub mod memory_line;
pub mod memory_live;
pub mod memory_owner;
pub mod memory_purpose;
pub mod modules;
mod names;
pub mod nesting;
mod overhead;
pub mod overruns;
pub mod overview;
pub mod overview_names;
pub mod peaks;
pub mod quantiles;
pub mod queue_depth;
pub mod ranks;
pub mod rates;
pub mod roofline;
mod route;
pub mod settling;
pub mod slim;
pub mod stacks;
pub mod stages;
pub mod startup;
pub mod steady;
pub mod threads;
pub mod timeline;
mod times;
pub mod trust;
pub mod units;
pub mod wait_rules;
pub mod warmup;
pub mod window;

/// `part` of `whole` in percent; `None` where the whole is zero.
pub fn percent(part_ns: i64, whole_ns: i64) -> Option<f64> {
    (whole_ns != 0).then(|| part_ns as f64 * 100.0 / whole_ns as f64)
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn a_share_of_nothing_is_not_zero() {
        assert_eq!(percent(1, 4), Some(25.0));
        assert_eq!(percent(0, 0), None);
    }
}

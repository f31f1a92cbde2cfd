//! The time accounts on real traces: the published figures, and what must add up on every one of them.

mod common;

use omni_trace::analyze::base::{TimeBase, TimeConfig};
use omni_trace::analyze::devices::devices;
use omni_trace::analyze::exclude::exclusion;
use omni_trace::analyze::host::ThreadKind;
use omni_trace::analyze::idle::idle;
use omni_trace::analyze::threads::{Threads, threads};
use omni_trace::analyze::timeline::Class;
use omni_trace::analyze::window::WindowConfig;
use omni_trace::read::{Input, read_input};

fn read(part: &str) -> Option<Input> {
    let path = common::real_traces().into_iter().find(|p| p.to_string_lossy().contains(part))?;
    Some(read_input(&path, &Default::default()).expect("a real trace can be read"))
}

fn account(input: &Input) -> Threads {
    let config = TimeConfig::default();
    threads(&input.store, &TimeBase::new(&input.store, &config), &config.rules)
}

/// The shared-memory wait of each rank as published beside the traces: count, sum to the microsecond, share of the
/// thread's window in percent.
#[test]
fn the_two_rank_vllm_trace_waits_as_published() {
    for (part, count, sum_us, pct) in [
        ("v030_tp2_mp/1795302253148473390-rank-0", 20, 1_035_274, 67),
        ("v030_tp2_mp/1795302253148473390-rank-1", 20, 1_108_617, 71),
        ("v012_tp2_env/1795304894266495489-rank-0", 12, 7_962, 5),
    ] {
        let Some(input) = read(part) else { return };
        let threads = account(&input);
        let ipc: Vec<_> =
            threads.waits.iter().filter(|wait| wait.class == Class::IpcWait).collect();
        assert_eq!(ipc.len(), 1, "the wait of the idle monitor thread is not counted");
        assert!(ipc[0].name.ends_with("shm_broadcast.py: dequeue"));
        assert_eq!((ipc[0].label.as_str(), ipc[0].count), ("ipc.shm_read", count));
        assert_eq!((ipc[0].sum_ns + 500) / 1_000, sum_us);
        let lead = &threads.threads[threads.lead.unwrap()];
        assert_eq!(ipc[0].sum_ns * 100 / lead.window_ns, pct);
        assert_eq!(ipc[0].net_ns, lead.class_ns(Class::IpcWait));
        let idle = threads.threads.iter().find(|thread| thread.kind == ThreadKind::Idle).unwrap();
        assert_eq!(idle.tid, "0");
    }
}

/// What B200 kernels overlap on one stream, as published.
#[test]
fn overlaps_on_one_stream_as_published() {
    let Some(input) = read("b200_vllm_eager/") else { return };
    let base = TimeBase::new(&input.store, &TimeConfig::default());
    let device = &devices(&input.store, &base)[0];
    assert_eq!((device.n_overlaps, device.overlap_ns), (74, 69_278));
    assert_eq!(device.kernel_sum_ns - device.kernel_busy_ns, 69_278);
}

fn check_sums(input: &Input, window: WindowConfig) {
    let config = TimeConfig { window, ..TimeConfig::default() };
    let base = TimeBase::new(&input.store, &config);
    let threads = threads(&input.store, &base, &config.rules);
    for thread in &threads.threads {
        let sum: i64 = thread.classes.iter().filter_map(|&(_, ns)| ns).sum();
        assert_eq!(sum, thread.window_ns);
        assert_eq!(thread.window_ns, base.windows.file.len_ns());
    }
    for sum in [threads.breakdown, threads.breakdown_all] {
        assert_eq!(sum.total_ns, sum.execution_ns + sum.waiting_ns + sum.unattributed_ns);
    }
    let works = || threads.threads.iter().filter(|thread| thread.kind == ThreadKind::Work);
    let ipc: i64 = works().map(|thread| thread.class_ns(Class::IpcWait)).sum();
    for classes in [&[Class::IpcWait][..], &[Class::GpuSync, Class::Python], &Class::ALL] {
        let excluded = exclusion(&base, classes);
        assert_eq!(excluded.threads.len(), works().count());
        for thread in &excluded.threads {
            assert_eq!(thread.kept_ns + thread.excluded_ns, thread.window_ns);
        }
        if classes == [Class::IpcWait] {
            assert_eq!(excluded.total_ns(), ipc);
        }
    }
    for (time, idle) in devices(&input.store, &base).iter().zip(idle(&input.store, &base)) {
        assert_eq!(time.busy_ns + time.idle_ns, time.window_ns);
        assert_eq!(idle.idle_ns, time.idle_ns);
        assert_eq!(idle.causes.iter().filter_map(|&(_, ns)| ns).sum::<i64>(), time.idle_ns);
        assert!(idle.largest.iter().all(|gap| gap.causes.total_ns() == gap.dur_ns));
        assert!(time.exposed_comm_ns <= time.comm_busy_ns && time.kernel_busy_ns <= time.busy_ns);
    }
}

/// Classes sum to the window, causes to the idle time, exclusion reconciles: on every real trace, whole and in part.
#[test]
fn every_real_trace_adds_up() {
    for path in common::real_traces() {
        let Ok(input) = read_input(&path, &Default::default()) else { continue };
        check_sums(&input, WindowConfig::default());
        let quarter = TimeBase::new(&input.store, &TimeConfig::default()).windows.file.len_ns() / 4;
        let part = WindowConfig { from_ns: Some(quarter), to_ns: Some(3 * quarter) };
        check_sums(&input, part);
    }
}

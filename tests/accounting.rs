//! The time accounts on real traces: the published figures, and what must add up on every one of them.

mod common;

use omni_trace::analyze::base::{TimeBase, TimeConfig};
use omni_trace::analyze::components::components;
use omni_trace::analyze::devices::devices;
use omni_trace::analyze::exclude::exclusion;
use omni_trace::analyze::host::ThreadKind;
use omni_trace::analyze::idle::idle;
use omni_trace::analyze::key_averages::{
    Choice, KeyAveragesConfig, key_averages, key_averages_excluding,
};
use omni_trace::analyze::threads::{Threads, threads};
use omni_trace::analyze::timeline::Class;
use omni_trace::analyze::trust::{TrustKind, TrustRow, report_notices, trust};
use omni_trace::analyze::window::WindowConfig;
use omni_trace::diag::{IssueKind, Reporter, Severity};
use omni_trace::read::{Input, read_input};
use omni_trace::store::{ChunkBuilder, DeviceRow, SliceRow, Store, TraceMeta, TrackId};

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
        assert_eq!(idle.tid.to_string(), "0");
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
        let sum: i64 = thread.classes.iter().filter_map(|row| row.ns).sum();
        assert_eq!(sum, thread.window_ns);
        assert_eq!(thread.window_ns, base.windows.file.len_ns());
    }
    for sum in &threads.breakdown {
        let waiting_ns = sum.waiting_ns.unwrap_or(0);
        assert_eq!(sum.total_ns, sum.execution_ns + waiting_ns + sum.unattributed_ns);
    }
    let works = || threads.threads.iter().filter(|thread| thread.kind == ThreadKind::Work);
    let ipc: i64 = works().map(|thread| thread.class_ns(Class::IpcWait)).sum();
    for classes in [&[Class::IpcWait][..], &[Class::GpuSync, Class::Python], &Class::ALL] {
        let excluded = exclusion(&input.store, &base, classes);
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
        let is_share = |share: f64| share > 0.0 && share <= 100.0;
        assert!(idle.largest.iter().all(|gap| gap.cause_pct.is_some_and(is_share)));
        for gap in &idle.largest {
            assert_eq!(gap.causes.iter().map(|cause| cause.ns).sum::<i64>(), gap.dur_ns);
            let most = gap.causes.iter().map(|cause| cause.ns).max();
            let main = gap.causes.iter().find(|cause| cause.cause == gap.cause);
            assert_eq!(main.map(|cause| cause.ns), most, "the cause is the one with the most time");
        }
        assert!(time.exposed_comm_ns <= time.comm_busy_ns && time.kernel_busy_ns <= time.busy_ns);
    }
}

/// Every class of waiting of the work threads is the sum of its rows.
fn check_waits(input: &Input, window: WindowConfig) {
    let config = TimeConfig { window, ..TimeConfig::default() };
    let threads = threads(&input.store, &TimeBase::new(&input.store, &config), &config.rules);
    for (kind, rows) in
        [(ThreadKind::Work, &threads.waits), (ThreadKind::Background, &threads.background_waits)]
    {
        for class in [Class::IpcWait, Class::GpuSync, Class::OtherWait] {
            let of_kind = threads.threads.iter().filter(|thread| thread.kind == kind);
            let rows = rows.iter().filter(|row| row.class == class);
            let ns: i64 = of_kind.map(|thread| thread.class_ns(class)).sum();
            assert_eq!(ns, rows.clone().map(|row| row.net_ns).sum::<i64>(), "{class:?}");
            if class != Class::IpcWait {
                assert_eq!(ns, rows.map(|row| row.sum_ns).sum::<i64>(), "{class:?}");
            }
        }
    }
}

/// The profiler table with and without waiting: the totals and every row reconcile, device times stay.
fn check_exclusion(input: &Input) {
    let store = &input.store;
    let base = TimeBase::new(store, &TimeConfig::default());
    let config = KeyAveragesConfig::default();
    let all = key_averages(store, &config);
    for classes in [&[Class::IpcWait][..], &[Class::GpuSync, Class::Python, Class::OtherWait]] {
        let excluded = exclusion(store, &base, classes);
        let kept =
            key_averages_excluding(store, &config, Some(&|slice| excluded.of_row(store, slice)));
        assert_eq!(all.self_cpu_ns, kept.self_cpu_ns + kept.excluded_self_cpu_ns);
        assert_eq!(all.self_device_ns, kept.self_device_ns);
        assert_eq!(all.rows.len(), kept.rows.len());
        for (row, left) in all.rows.iter().zip(&kept.rows) {
            assert_eq!(row.name, left.name);
            let excluded_ns = left.excluded_cpu_ns.unwrap_or(0);
            assert_eq!(row.cpu_total_ns, left.cpu_total_ns + excluded_ns, "{}", row.name);
            assert!(excluded_ns >= 0 && left.cpu_total_ns >= 0, "{}", row.name);
            assert_eq!(row.device_total_ns, left.device_total_ns);
        }
    }
}

/// Classes sum to the window, causes to the idle time, exclusion reconciles: on every real trace, whole and in part.
#[test]
fn every_real_trace_adds_up() {
    for path in common::real_traces() {
        let Ok(input) = read_input(&path, &Default::default()) else { continue };
        check_sums(&input, WindowConfig::default());
        check_waits(&input, WindowConfig::default());
        check_exclusion(&input);
        let quarter = TimeBase::new(&input.store, &TimeConfig::default()).windows.file.len_ns() / 4;
        let part = WindowConfig { from_ns: Some(quarter), to_ns: Some(3 * quarter) };
        check_sums(&input, part);
        check_waits(&input, part);
    }
}

/// The table with and without waits reconciles: what the rows lose is the IPC wait, and no device figure changes.
#[test]
fn the_table_loses_exactly_the_wait() {
    for part in
        ["v030_tp2_mp_maxiter1/", "v030_tp2_mp/1795302253148473390-rank-0", "py_pipe_tiny/stage_1"]
    {
        let Some(input) = read(part) else { return };
        let store = &input.store;
        let base = TimeBase::new(store, &TimeConfig::default());
        let excluded = exclusion(&input.store, &base, &[Class::IpcWait]);
        let waits = account(&input).waits;
        let is_dequeue = |name: &str| name.ends_with(": dequeue");
        let wait = waits.iter().find(|wait| is_dequeue(&wait.name)).expect("it waits");
        let config = KeyAveragesConfig { python_rows: Choice::Yes, ..KeyAveragesConfig::default() };
        let all = key_averages(store, &config);
        let kept =
            key_averages_excluding(store, &config, Some(&|slice| excluded.of_slice(store, slice)));
        assert_eq!(all.self_cpu_ns, kept.self_cpu_ns + kept.excluded_self_cpu_ns);
        assert_eq!(kept.excluded_self_cpu_ns, excluded.total_ns());
        assert_eq!(all.self_device_ns, kept.self_device_ns);
        for (row, left) in all.rows.iter().zip(&kept.rows) {
            assert_eq!(row.name, left.name);
            assert!(left.cpu_total_ns <= row.cpu_total_ns);
            if is_dequeue(&row.name) {
                assert_eq!(left.cpu_total_ns, wait.sum_ns - wait.net_ns, "only unpacking is left");
            }
        }
    }
}

fn line(lines: &[TrustRow], kind: TrustKind) -> &TrustRow {
    lines.iter().find(|line| line.check == kind).expect("every line is always there")
}

/// The trust panel of a trace with published oddities, of one without device activity, and of a broken one.
#[test]
fn the_trust_panel_names_what_misleads() {
    let panel = |input: &Input| {
        trust(&input.store, &TimeBase::new(&input.store, &TimeConfig::default()), &input.diag)
    };
    let Some(b200) = read("b200_vllm_eager/") else { return };
    let lines = panel(&b200);
    let overlap = line(&lines, TrustKind::StreamOverlap);
    assert_eq!((overlap.count, overlap.effect_ns), (Some(74), Some(69_278)));
    let Some(cpu_only) = read("llm_cpu_only_activities") else { return };
    let lines = panel(&cpu_only);
    assert_eq!(line(&lines, TrustKind::NoDevice).severity, Severity::Notice);
    let launches = line(&lines, TrustKind::LaunchWithoutActivity);
    assert!(launches.count > Some(100) && launches.count == launches.of);
    let mut diag = Reporter::default();
    diag.at(IssueKind::UnreadableEvent, 7);
    let lines =
        trust(&cpu_only.store, &TimeBase::new(&cpu_only.store, &TimeConfig::default()), &diag);
    let lost = line(&lines, TrustKind::LostEvents);
    assert_eq!((lost.count, lost.severity), (Some(1), Severity::DataLoss));
}

/// One kernel of a given start and length on device 0, beside one operator, in a window of 1 ms.
fn with_kernel(ts_ns: i64, dur_ns: i64) -> Store {
    let mut builder = ChunkBuilder::default();
    let mut add = |pid: i128, category: &str, name: &str, ts_ns: i64, dur_ns: i64| {
        let row = SliceRow {
            ts_ns,
            dur_ns,
            name: builder.string(name),
            category: builder.string(category),
            track: builder.track(TrackId::Int(pid), TrackId::Int(7)),
            id_a: Some(1),
            id_b: None,
        };
        builder.slice(row)
    };
    add(99, "Trace", "PyTorch Profiler (0)", 0, 1_000_000);
    add(99, "cpu_op", "aten::mm", 10, 100);
    let slice = add(0, "kernel", "gemm", ts_ns, dur_ns);
    builder.device_row(DeviceRow { slice, device: Some(0), stream: Some(7), config: None }, None);
    Store::build(vec![builder.finish()], TraceMeta::default(), &mut Reporter::default())
}

#[test]
fn impossible_and_late_kernels_are_said_aloud() {
    let year_ns = 365 * 24 * 3_600 * 1_000_000_000;
    let store = with_kernel(500, year_ns);
    let base = TimeBase::new(&store, &TimeConfig::default());
    assert!(base.devices.is_empty(), "a kernel of a year takes no part");
    let lines = trust(&store, &base, &Reporter::default());
    let impossible = line(&lines, TrustKind::ImpossibleDuration);
    assert_eq!((impossible.count, impossible.effect_ns), (Some(1), Some(year_ns)));
    assert_eq!(impossible.severity, Severity::DataLoss);

    let store = with_kernel(999_000, 3_000);
    let base = TimeBase::new(&store, &TimeConfig::default());
    let device = &devices(&store, &base)[0];
    assert_eq!((device.window_ns, device.stretched_ns, device.busy_ns), (1_002_000, 2_000, 3_000));
    let lines = trust(&store, &base, &Reporter::default());
    assert_eq!(line(&lines, TrustKind::OutsideWindow).effect_ns, Some(2_000));
    assert_eq!(
        line(&lines, TrustKind::ActivityWithoutLaunch).count,
        None,
        "no calls were recorded"
    );
    let mut diag = Reporter::default();
    report_notices(&base, &mut diag);
    assert_eq!(diag.count(IssueKind::WindowStretched), 1);
}

/// The accounts do not depend on the number of threads.
#[test]
fn thread_counts_change_nothing() {
    for part in
        ["py_nccl_x2/nccl_overlap_ddp_rank0", "py_pipe_tiny/stage_1", "v030_tp2_mp_maxiter1/"]
    {
        let Some(input) = read(part) else { return };
        let of = |n: usize| {
            let pool =
                rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("a pool starts");
            pool.install(|| {
                let config = TimeConfig::default();
                let base = TimeBase::new(&input.store, &config);
                let parts = components(&input.store, &base);
                let all = threads(&input.store, &base, &config.rules);
                (base, parts, all)
            })
        };
        let one = of(1);
        assert_eq!(one, of(2));
        assert_eq!(one, of(7));
    }
}

//! The time accounts equal a plain computation: on random traces (nested, crossing, empty, identical events) and on real
//! ones.

mod common;
mod naive;

use std::collections::BTreeMap;

use naive::{Naive, Piece};
use omni_trace::analyze::base::{TimeBase, TimeConfig};
use omni_trace::analyze::components::components;
use omni_trace::analyze::devices::devices;
use omni_trace::analyze::exclude::exclusion;
use omni_trace::analyze::idle::idle;
use omni_trace::analyze::iterations::iterations;
use omni_trace::analyze::timeline::Class;
use omni_trace::diag::Reporter;
use omni_trace::model::EventKind;
use omni_trace::store::{ChunkBuilder, DeviceRow, SliceRow, Store, TraceMeta, TrackId};
use proptest::prelude::*;

const UNIT_NS: i64 = 10_000;

/// A random event: track, name, start, length, correlation.
type Event = (usize, usize, i64, i64, u64);

/// Names of host events with their categories; the waits, the unpacking and the marks of the default rules among them.
const HOST: [(&str, &str); 22] = [
    ("python_function", "m/device_communicators/shm_broadcast.py(882): dequeue"),
    ("python_function", "m/device_communicators/shm_broadcast.py(1): acquire_write"),
    ("python_function", "<built-in function sched_yield>"),
    ("python_function", "<built-in function loads>"),
    ("python_function", "a.py(1): f"),
    ("python_function", "threading.py(5): wait"),
    ("python_function", "queue.py(5): get"),
    ("cpu_op", "aten::mm"),
    ("cpu_op", "aten::item"),
    ("user_annotation", "execute_context_1(8)_generation_0(0)"),
    ("user_annotation", "shm_broadcast: dequeue"),
    ("user_annotation", "shm_broadcast: spin"),
    ("user_annotation", "shm_broadcast: deserialize"),
    ("cuda_runtime", "cudaLaunchKernel"),
    ("cuda_runtime", "cudaMemcpyAsync"),
    ("cuda_runtime", "cudaStreamSynchronize"),
    ("cuda_driver", "cuModuleLoadData"),
    ("misc", "other"),
    ("user_annotation", "enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__"),
    ("user_annotation", "enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__"),
    ("user_annotation", "detokenize"),
    ("python_function", "<built-in method run_backward of torch._C._EngineBase object at 0x7f>"),
];

const DEVICE: [(&str, &str); 5] = [
    ("kernel", "gemm"),
    ("kernel", "ncclDevKernel_AllReduce_Sum"),
    ("gpu_memcpy", "Memcpy DtoH (Device -> Pageable)"),
    ("gpu_memset", "Memset (Device)"),
    ("gpu_user_annotation", "execute_context_1(8)_generation_0(0)"),
];

/// The tracks: three host threads, the idle bucket, overhead rows, two devices with two streams each.
const TRACKS: [(i128, i128); 9] =
    [(9, 9), (9, 10), (9, 11), (9, 0), (-1, 0), (0, 7), (0, 20), (1, 7), (1, 20)];

fn store_of(events: &[Event], window: Option<(i64, i64)>) -> Store {
    let mut builder = ChunkBuilder::default();
    for &(track, name, start, len, correlation) in events {
        let (category, name) = match track {
            0..=2 => HOST[name % HOST.len()],
            3 => HOST[name % 7],
            4 => ("overhead", ["Lazy Function Loading", "Buffer Flush"][name % 2]),
            _ => DEVICE[name % DEVICE.len()],
        };
        let (pid, tid) = TRACKS[track];
        let row = SliceRow {
            ts_ns: start * UNIT_NS,
            dur_ns: len * UNIT_NS,
            name: builder.string(name),
            category: builder.string(category),
            track: builder.track(TrackId::Int(pid), TrackId::Int(tid)),
            id_a: Some(correlation),
            id_b: None,
        };
        let slice = builder.slice(row);
        if track > 4 {
            let row = DeviceRow {
                slice,
                device: Some(pid as u32),
                stream: Some(tid as u32),
                config: None,
            };
            builder.device_row(row, None);
        }
    }
    if let Some((start, len)) = window {
        let spans = builder.string("Spans");
        let row = SliceRow {
            ts_ns: start * UNIT_NS,
            dur_ns: len * UNIT_NS,
            name: builder.string("PyTorch Profiler (0)"),
            category: builder.string("Trace"),
            track: builder.track(TrackId::Text(spans), TrackId::Text(spans)),
            id_a: None,
            id_b: None,
        };
        builder.slice(row);
    }
    Store::build(vec![builder.finish()], TraceMeta::default(), &mut Reporter::default())
}

fn overlap((s, e, _): Piece, start: i64, end: i64) -> i64 {
    (e.min(end) - s.max(start)).max(0)
}

/// Everything that the fast accounts say about a store, against the plain ones.
fn check(store: &Store) {
    let config = TimeConfig::default();
    let base = TimeBase::new(store, &config);
    let naive = Naive::new(store, &config.rules);
    assert_eq!((base.windows.file.start_ns, base.windows.file.end_ns), naive.window);
    assert_eq!(base.threads.iter().map(|t| t.track).collect::<Vec<_>>(), naive.host_tracks());
    let excluded = exclusion(store, &base, &[Class::IpcWait, Class::GpuSync]);
    let mut pieces: BTreeMap<usize, Vec<Piece>> = BTreeMap::new();
    for thread in &base.threads {
        let expected = naive.pieces(thread.track);
        let got: Vec<Piece> =
            thread.timeline.spans().map(|(s, c)| (s.start_ns, s.end_ns, c)).collect();
        assert_eq!(got, expected, "classes of track {}", thread.track);
        assert_eq!(thread.kind, naive.kind_of(thread.track));
        if thread.kind != omni_trace::analyze::host::ThreadKind::Idle {
            for class in [Class::IpcWait, Class::GpuSync, Class::OtherWait] {
                let of_class = expected.iter().filter(|p| p.2 == class);
                let waits = thread.waits.iter().filter(|wait| wait.class == class);
                assert_eq!(
                    of_class.map(|p| p.1 - p.0).sum::<i64>(),
                    waits.map(|wait| wait.net_ns).sum::<i64>(),
                    "waits of {class:?}, track {}",
                    thread.track
                );
            }
        }
        let is_work = thread.kind == omni_trace::analyze::host::ThreadKind::Work;
        let out: Vec<Piece> = expected
            .iter()
            .copied()
            .filter(|p| is_work && matches!(p.2, Class::IpcWait | Class::GpuSync))
            .collect();
        // On large traces a sample of the events is compared, the same one each time.
        let step = (store.tracks[thread.track].slices.len() / 2_000).max(1);
        for slice in store.tracks[thread.track].slices.clone().step_by(step) {
            let (start, end) = (store.slices.ts_ns[slice], store.slices.end_ns(slice));
            let inside: i64 = out.iter().map(|&p| overlap(p, start, end)).sum();
            assert_eq!(excluded.excluded_ns(thread.track, start, end), inside);
        }
        pieces.insert(thread.track, expected);
    }
    for thread in &excluded.threads {
        assert_eq!(thread.window_ns, thread.kept_ns + thread.excluded_ns);
        assert_eq!(thread.by_class.iter().map(|c| c.1).sum::<i64>(), thread.excluded_ns);
    }
    check_devices(store, &base, &naive, &pieces);
    check_iterations(store, &base, &pieces);
    check_components(store, &base, &pieces);
}

/// The earliest call of each correlation.
fn first_calls(store: &Store) -> BTreeMap<u64, usize> {
    (0..store.slices.len())
        .rev()
        .filter(|&i| store.kind(i).is_api_call())
        .filter_map(|i| Some((store.correlation(i)?, i)))
        .fold(BTreeMap::new(), |mut first, (id, i)| {
            let known = first.entry(id).or_insert(i);
            if (store.slices.ts_ns[i], i) < (store.slices.ts_ns[*known], *known) {
                *known = i;
            }
            first
        })
}

/// The first operator or annotation of each external id.
fn first_operators(store: &Store) -> BTreeMap<u64, usize> {
    (0..store.slices.len())
        .rev()
        .filter(|&i| matches!(store.kind(i), EventKind::CpuOp | EventKind::UserAnnotation))
        .filter_map(|i| Some((store.external_id(i)?, i)))
        .collect()
}

/// The thread with iterations that a host event counts for: its own, or the only one of its process.
fn owner_of(
    store: &Store,
    tracks: &std::collections::BTreeSet<usize>,
    host: usize,
) -> Option<usize> {
    let track = store.track_of(host);
    if tracks.contains(&track) {
        return Some(track);
    }
    let pid = |t: usize| store.tracks[t].pid;
    let with: Vec<usize> = tracks.iter().copied().filter(|&t| pid(t) == pid(track)).collect();
    if let [only] = with[..] { Some(only) } else { None }
}

/// What started an activity as far as iterations go: its call; where that is of a process without iterations, the operator
/// whose external id the activity has, unless that id is the correlation again.
fn started_by(
    store: &Store,
    tracks: &std::collections::BTreeSet<usize>,
    operators: &BTreeMap<u64, usize>,
    activity: usize,
    call: usize,
) -> Option<usize> {
    if owner_of(store, tracks, call).is_some() {
        return Some(call);
    }
    let id = store.external_id(activity)?;
    let is_other = id != 0 && store.correlation(activity) != Some(id);
    is_other.then(|| operators.get(&id).copied()).flatten()
}

/// Iterations: what was launched inside, the waits before and inside.
fn check_iterations(store: &Store, base: &TimeBase, pieces: &BTreeMap<usize, Vec<Piece>>) {
    let is_iteration = |i: usize| {
        let name = store.name(i);
        store.kind(i) == EventKind::UserAnnotation
            && ["execute_", "diffusion_", "ProfilerStep#", "denoise_step_", "step[", "decode["]
                .iter()
                .any(|start| name.starts_with(start))
    };
    let window = (base.windows.file.start_ns, base.windows.file.end_ns);
    let meets = |i: usize| {
        overlap((window.0, window.1, Class::Python), store.slices.ts_ns[i], store.slices.end_ns(i))
            > 0
    };
    let all: Vec<usize> = base
        .work_threads()
        .flat_map(|thread| store.tracks[thread.track].slices.clone())
        .filter(|&i| is_iteration(i) && meets(i))
        .collect();
    let tracks: std::collections::BTreeSet<usize> =
        all.iter().map(|&i| store.track_of(i)).collect();
    let calls = first_calls(store);
    let operators = first_operators(store);
    let rows = iterations(store, base).rows;
    assert_eq!(rows.iter().map(|row| row.slice as usize).collect::<Vec<_>>(), all);
    for row in &rows {
        let (start, end) = (row.start_ns, row.start_ns + row.cpu_ns);
        let mine: Vec<usize> = (0..store.device_rows.len())
            .map(|r| store.device_rows[r].slice as usize)
            .filter(|&i| store.kind(i) == EventKind::Kernel)
            .filter(|&i| {
                let call = store.correlation(i).filter(|&id| id != 0).and_then(|id| calls.get(&id));
                let starts = call.and_then(|&call| started_by(store, &tracks, &operators, i, call));
                starts.is_some_and(|host| {
                    let at = store.slices.ts_ns[host];
                    owner_of(store, &tracks, host) == Some(row.track) && at >= start && at < end
                })
            })
            .collect();
        let span = |i: usize| (store.slices.ts_ns[i], store.slices.end_ns(i));
        let sum: i64 = mine.iter().map(|&i| store.slices.dur_ns(i)).sum();
        let busy: i64 = marked(&mine, &|_| true, &span).iter().map(|(s, e)| e - s).sum();
        if !base.devices.is_empty() {
            assert_eq!(
                (row.kernel_sum_ns, row.kernel_busy_ns),
                (Some(sum), Some(busy)),
                "{}",
                row.name
            );
            assert_eq!(row.n_kernels as usize, mine.len());
        }
        let waits = |s: i64, e: i64| -> i64 {
            let ipc = pieces[&row.track].iter().filter(|p| p.2 == Class::IpcWait);
            ipc.map(|&p| overlap(p, s, e)).sum()
        };
        let earlier = rows.iter().filter(|other| {
            other.track == row.track && other.scheme == row.scheme && other.slice < row.slice
        });
        let from = earlier.map(|other| other.start_ns + other.cpu_ns).max();
        let before = waits(from.map_or(window.0, |from| from.max(window.0)), start);
        assert_eq!(row.ipc_wait_before_ns.unwrap_or(0), before);
        assert_eq!(row.ipc_wait_inside_ns.unwrap_or(0), waits(start, end));
    }
}

/// Operators: outermost of their name, by what is inside them.
fn check_components(store: &Store, base: &TimeBase, pieces: &BTreeMap<usize, Vec<Piece>>) {
    let mut expected: BTreeMap<&str, BTreeMap<Class, i64>> = BTreeMap::new();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let window = base.windows.file;
    for thread in base.work_threads() {
        let mut ops: Vec<(i64, i64, usize)> = Vec::new();
        for i in store.tracks[thread.track].slices.clone() {
            let start = store.slices.ts_ns[i].max(window.start_ns);
            let end = store.slices.end_ns(i).min(window.end_ns);
            if store.kind(i) != EventKind::CpuOp || start >= end {
                continue;
            }
            ops.retain(|&(_, other_end, _)| other_end > start);
            let is_inside = ops.iter().any(|&(_, e, o)| e >= end && store.name(o) == store.name(i));
            ops.push((start, end, i));
            if !is_inside {
                *counts.entry(store.name(i)).or_default() += 1;
                let sums = expected.entry(store.name(i)).or_default();
                let all = &pieces[&thread.track];
                let first = all.partition_point(|p| p.1 <= start);
                for &piece in all[first..].iter().take_while(|p| p.0 < end) {
                    *sums.entry(piece.2).or_default() += overlap(piece, start, end);
                }
            }
        }
    }
    let rows = components(store, base);
    assert_eq!(rows.len(), expected.len());
    for row in &rows {
        let sums = &expected[row.name.as_str()];
        let get = |class| sums.get(&class).copied().unwrap_or(0);
        assert_eq!(row.count, counts[row.name.as_str()]);
        assert_eq!(row.total_ns, sums.values().sum::<i64>());
        assert_eq!(row.launch_ns, Some(get(Class::Runtime)));
        assert_eq!(row.gpu_sync_ns, Some(get(Class::GpuSync)));
        assert_eq!(row.ipc_wait_ns, Some(get(Class::IpcWait)));
        assert_eq!(row.module_loading_ns, Some(get(Class::ModuleLoading)));
        assert_eq!(row.profiler_ns, Some(get(Class::Profiler)));
        assert_eq!(row.other_wait_ns, Some(get(Class::OtherWait)));
        assert_eq!(row.python_ns, Some(get(Class::Python)));
        assert_eq!(row.own_ns + row.child_ops_ns, get(Class::CpuOp) + get(Class::Unattributed));
        assert!(row.own_ns >= 0 && row.child_ops_ns >= 0);
    }
}

fn check_devices(
    store: &Store,
    base: &TimeBase,
    naive: &Naive<'_>,
    pieces: &BTreeMap<usize, Vec<Piece>>,
) {
    let rows: Vec<_> = store
        .device_rows
        .iter()
        .filter(|r| store.kind(r.slice as usize).is_device_activity())
        .collect();
    let times = devices(store, base);
    for (time, idle) in times.iter().zip(idle(store, base)) {
        let mine: Vec<usize> =
            rows.iter().filter(|r| r.device == time.device).map(|r| r.slice as usize).collect();
        let span = |i: usize| (store.slices.ts_ns[i], store.slices.end_ns(i));
        let start =
            mine.iter().map(|&i| span(i).0).min().unwrap_or(naive.window.0).min(naive.window.0);
        let end =
            mine.iter().map(|&i| span(i).1).max().unwrap_or(naive.window.1).max(naive.window.1);
        assert_eq!(time.window_ns, end - start);
        let union = |wanted: &dyn Fn(usize) -> bool| marked(&mine, wanted, &span);
        let is = |kind: EventKind| move |i: usize| store.kind(i) == kind;
        let talks = |name: &str| {
            ["nccl", "cross_device_reduce", "all_reduce"].iter().any(|part| name.contains(part))
        };
        let has_args = |i: usize| store.collectives.iter().any(|c| c.slice as usize == i);
        let comm =
            |i: usize| store.kind(i) == EventKind::Kernel && (talks(store.name(i)) || has_args(i));
        let compute = |i: usize| store.kind(i) == EventKind::Kernel && !comm(i);
        let len = |set: &[(i64, i64)]| set.iter().map(|(s, e)| e - s).sum::<i64>();
        let all = union(&|_| true);
        assert_eq!(time.busy_ns, len(&all));
        assert_eq!(time.idle_ns, end - start - len(&all));
        assert_eq!(time.kernel_busy_ns, len(&union(&is(EventKind::Kernel))));
        assert_eq!(time.memcpy_busy_ns, len(&union(&is(EventKind::Memcpy))));
        assert_eq!(time.memset_busy_ns, len(&union(&is(EventKind::Memset))));
        let either = |x: &dyn Fn(usize) -> bool| len(&union(&|i| x(i) || compute(i)));
        assert_eq!(time.exposed_comm_ns, either(&comm) - len(&union(&compute)));
        assert_eq!(time.exposed_copy_ns, either(&is(EventKind::Memcpy)) - len(&union(&compute)));
        check_idle(store, &idle, pieces, &mine, &all, (start, end));
    }
}

/// The union of some events by marking every stretch between their boundaries.
fn marked(
    mine: &[usize],
    wanted: &dyn Fn(usize) -> bool,
    span: &dyn Fn(usize) -> (i64, i64),
) -> Vec<(i64, i64)> {
    let mut steps: BTreeMap<i64, i64> = BTreeMap::new();
    for (s, e) in mine.iter().copied().filter(|&i| wanted(i)).map(span) {
        *steps.entry(s).or_default() += 1;
        *steps.entry(e).or_default() -= 1;
    }
    let (mut open, mut since, mut set) = (0, 0, Vec::new());
    for (time, step) in steps {
        if open == 0 && step > 0 {
            since = time;
        }
        if open > 0 && open + step == 0 {
            set.push((since, time));
        }
        open += step;
    }
    set
}

fn check_idle(
    store: &Store,
    idle: &omni_trace::analyze::idle::DeviceIdle,
    pieces: &BTreeMap<usize, Vec<Piece>>,
    mine: &[usize],
    busy: &[(i64, i64)],
    (start, end): (i64, i64),
) {
    let mut gaps = Vec::new();
    let mut from = start;
    for &(s, e) in busy.iter().chain([&(end, end)]) {
        if s > from {
            gaps.push((from, s));
        }
        from = e.max(from);
    }
    let key = |&&i: &&usize| (store.slices.ts_ns[i], store.slices.end_ns(i), i);
    let mut sums: BTreeMap<Class, i64> = BTreeMap::new();
    for &(from, to) in &gaps {
        let next = mine.iter().filter(|&&i| store.slices.ts_ns[i] >= to).min_by_key(key);
        let last = mine
            .iter()
            .filter(|&&i| store.slices.ts_ns[i] < from && store.slices.end_ns(i) == from)
            .max_by_key(key);
        let call = next.or(last).and_then(|&i| {
            let id = store.correlation(i).filter(|&id| id != 0)?;
            let same = |&c: &usize| store.kind(c).is_api_call() && store.correlation(c) == Some(id);
            (0..store.slices.len()).filter(same).min_by_key(|&c| (store.slices.ts_ns[c], c))
        });
        let host = call.and_then(|call| pieces.get(&store.track_of(call)));
        let mut explained = 0;
        for &piece in host.into_iter().flatten() {
            let ns = overlap(piece, from, to);
            explained += ns;
            *sums.entry(piece.2).or_default() += ns;
        }
        *sums.entry(Class::Unattributed).or_default() += to - from - explained;
    }
    for &(class, ns) in &idle.causes {
        assert_eq!(ns.unwrap_or(0), sums.get(&class).copied().unwrap_or(0), "idle by {class:?}");
    }
    assert_eq!(idle.idle_ns, gaps.iter().map(|(s, e)| e - s).sum::<i64>());
    assert_eq!(idle.n_gaps as usize, gaps.len());
    let longest = gaps.iter().map(|(s, e)| e - s).max();
    assert_eq!(idle.largest.first().map(|gap| gap.dur_ns), longest);
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (0..TRACKS.len(), 0_usize..18, 0_i64..40, 0_i64..20, 0_u64..6);
    prop::collection::vec(event, 0..40)
}

/// Mostly one busy thread, so that events nest and cross deeply.
fn deep_events() -> impl Strategy<Value = Vec<Event>> {
    let track = prop::sample::select(vec![0_usize, 0, 0, 0, 0, 4, 5, 6]);
    prop::collection::vec((track, 0_usize..18, 0_i64..40, 0_i64..40, 0_u64..6), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn random_traces(events in events(), window in prop::option::of((0_i64..20, 1_i64..60))) {
        check(&store_of(&events, window));
    }

    #[test]
    fn random_deep_traces(events in deep_events(), window in prop::option::of((0_i64..20, 1_i64..60))) {
        check(&store_of(&events, window));
    }
}

/// Every real trace whose text is at most 20 MB.
#[test]
fn real_traces() {
    let traces = common::real_traces();
    let mut compared = 0;
    for path in &traces {
        let Ok(input) = omni_trace::read::read_input(path, &Default::default()) else { continue };
        if input.json_bytes <= 20_000_000 {
            println!("{}", path.display());
            check(&input.store);
            compared += 1;
        }
    }
    assert!(traces.is_empty() || compared >= 60, "only {compared} traces compared");
}

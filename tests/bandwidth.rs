//! Copies and collectives of the real H100 traces, against what their scripts measured and against plain sums.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::io::Read as _;
use std::path::Path;

use omni_trace::analyze::across::{Across, AcrossNeeds};
use omni_trace::analyze::base::{TimeBase, TimeConfig};
use omni_trace::analyze::clock::{TimedInput, together};
use omni_trace::analyze::collectives::{
    CollectiveInput, CollectiveRow, Collectives, GroupLink, collectives,
};
use omni_trace::analyze::copies::{Copies, CopiesConfig, copies};
use omni_trace::analyze::peaks::PeakOverrides;
use omni_trace::model::EventKind;
use omni_trace::read::{Input, ReadOptions, read_input};
use serde_json::Value;

fn read(path: &Path) -> (Input, TimeBase) {
    let input = read_input(path, &ReadOptions::default()).unwrap();
    let base = TimeBase::new(&input.store, &TimeConfig::default());
    (input, base)
}

fn copies_of(path: &Path) -> (Input, Copies) {
    let (input, base) = read(path);
    let copies = copies(&input.store, &base, &CopiesConfig::default());
    (input, copies)
}

fn collectives_of(read: &[(Input, TimeBase)]) -> Collectives {
    let inputs: Vec<CollectiveInput<'_>> = read
        .iter()
        .map(|(input, base)| CollectiveInput {
            store: &input.store,
            base,
            stage: input.identity.stage,
            rank: input.identity.rank,
        })
        .collect();
    let needs = AcrossNeeds { is_alone: false, busy: false };
    let of =
        |(input, base): &(Input, TimeBase)| Across::of(&input.store, &input.identity, base, needs);
    let across: Vec<Across> = read.iter().map(of).collect();
    let timed: Vec<TimedInput<'_>> = read
        .iter()
        .zip(&across)
        .map(|((input, _), across)| TimedInput {
            path: &input.path,
            identity: &input.identity,
            across,
        })
        .collect();
    collectives(&inputs, &together(&timed, false).matched, PeakOverrides::default())
}

/// Count, bytes and nanoseconds over all copies and memsets, by a plain pass.
fn plain_sums(input: &Input) -> (u64, u64, i64) {
    let store = &input.store;
    let is_copy = |&i: &usize| matches!(store.kind(i), EventKind::Memcpy | EventKind::Memset);
    let all: Vec<usize> = (0..store.slices.len()).filter(is_copy).collect();
    let bytes = all.iter().filter_map(|&i| store.copy_row(i)).map(|row| row.bytes).sum();
    (all.len() as u64, bytes, all.iter().map(|&i| store.slices.dur_ns(i)).sum())
}

#[test]
fn copies_of_every_trace_equal_plain_sums() {
    for path in common::real_traces() {
        let (input, copies) = copies_of(&path);
        let (count, bytes, sum_ns) = plain_sums(&input);
        let classes = &copies.classes;
        assert_eq!(classes.iter().map(|c| c.count).sum::<u64>(), count, "{}", path.display());
        assert_eq!(classes.iter().filter_map(|c| c.bytes).sum::<u64>(), bytes);
        assert_eq!(classes.iter().map(|c| c.sum_ns).sum::<i64>(), sum_ns);
        assert_eq!(copies.sites.iter().map(|s| s.sum_ns).sum::<i64>(), sum_ns);
        assert_eq!(copies.series.iter().map(|bin| bin.bytes).sum::<u64>(), bytes);
        for direction in &copies.directions {
            assert_eq!(direction.busy_ns, direction.overlapped_ns + direction.exposed_ns);
            assert!(direction.busy_ns <= direction.sum_ns);
        }
    }
}

#[test]
fn rates_are_bytes_over_duration() {
    let Some(root) = common::shared_traces() else { return };
    let (_, copies) =
        copies_of(&root.join("own/h100/py_diffusion/stage_0_diffusion_rank0.pt.trace.json.gz"));
    let pinned = copies.classes.iter().find(|class| {
        class.direction == "HtoD"
            && class.source.as_deref() == Some("Pinned")
            && class.size == Some("16-256 MiB")
    });
    // The script copies 32 MiB from pinned memory eight times on a stream of its own.
    let pinned = pinned.unwrap();
    assert!(pinned.count >= 8 && pinned.bytes == Some(pinned.count * (32 << 20)));
    let mean = pinned.bytes.unwrap() as f64 / pinned.sum_ns as f64;
    assert_eq!(pinned.mean_gb_per_s, Some(mean));
    assert!((50.0..63.0).contains(&mean) && pinned.peak_pct.unwrap() < 100.0);
}

#[test]
fn peer_copies_form_a_matrix() {
    let Some(root) = common::shared_traces() else { return };
    let (_, copies) =
        copies_of(&root.join("own/h100/py_nccl_x2/p2p_copies_rank0.pt.trace.json.gz"));
    let pairs: Vec<_> =
        copies.pairs.iter().map(|p| (p.from_device, p.to_device, p.count)).collect();
    assert_eq!(pairs, [(0, 1, 3), (1, 0, 3)]);
    let best = copies.pairs.iter().filter_map(|pair| pair.best_gb_per_s).fold(0.0, f64::max);
    assert!((380.0..450.0).contains(&best), "64 MiB over NV18 at {best} GB/s");
}

#[test]
fn copies_without_sizes_are_told_apart() {
    let Some(root) = common::shared_traces() else { return };
    let (_, copies) =
        copies_of(&root.join("public/mi300_resnet_rccl/resnet_act_checkpoint.json.gz"));
    let unsized_copies: u64 = copies.directions.iter().map(|d| d.without_bytes).sum();
    assert!(unsized_copies >= 184, "{unsized_copies}");
    for class in copies.classes.iter().filter(|class| class.size.is_none()) {
        assert!(class.bytes.is_none() && class.mean_gb_per_s.is_none());
    }
}

/// The script's own figures by CUDA events: the median of each rank's runs under the profiler, as algorithm and bus
/// bandwidth in GB/s of the slower rank.
fn script_gb_per_s(root: &Path, op: &str, bytes: u64) -> (f64, f64) {
    let of_rank = |rank: u32| {
        let path = root.join(format!("own/h100/py_nccl_x2/nccl_events_rank{rank}.json"));
        let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let rows = file["results"].as_array().unwrap().clone();
        let is_wanted =
            |row: &&Value| row["op"] == op && row["bytes"] == bytes && row["profiled"] == true;
        let row = rows.iter().find(is_wanted).unwrap();
        ["algbw_GBps", "busbw_GBps"].map(|key| row[key].as_f64().unwrap())
    };
    let [(a, b), (c, d)] = [0, 1].map(|rank| of_rank(rank).into());
    (a.min(c), b.min(d))
}

#[test]
fn collective_bandwidth_agrees_with_the_scripts_own_timing() {
    let Some(root) = common::shared_traces() else { return };
    let path = |rank: u32| {
        root.join(format!("own/h100/py_nccl_x2/nccl_bench_rank{rank}.pt.trace.json.gz"))
    };
    let read: Vec<_> = [0, 1].map(|rank| read(&path(rank))).into();
    let result = collectives_of(&read);
    // Kernel time leaves out the gaps between launches that events include, so ours is a little higher. Where the two
    // ranks end at different times (reduce and all_to_all) the shorter rank overstates what the pair did.
    for (op, bytes, low, high) in [
        ("all_reduce", 256 << 20, 0.98, 1.05),
        ("all_gather", 256 << 20, 0.98, 1.05),
        ("reduce_scatter", 256 << 20, 0.98, 1.05),
        ("broadcast", 256 << 20, 0.98, 1.05),
        ("send_recv", 256 << 20, 0.98, 1.06),
        ("all_to_all", 256 << 20, 0.98, 1.12),
        ("all_reduce", 64 << 20, 0.98, 1.10),
        ("all_gather", 64 << 20, 0.98, 1.10),
        ("reduce_scatter", 64 << 20, 0.98, 1.10),
        ("reduce", 256 << 20, 0.98, 1.45),
        ("reduce", 64 << 20, 0.98, 1.45),
        ("all_to_all", 64 << 20, 0.98, 1.45),
    ] {
        let class = result.classes.iter().find(|class| {
            class.operation.is_some_and(|o| o.as_str() == op) && class.bytes == Some(bytes)
        });
        let class = class.unwrap_or_else(|| panic!("{op} of {bytes} bytes is missing"));
        assert_eq!((class.count, class.matched, class.kernels), (3, 3, 6), "{op}");
        let ours = class.algorithm_gb_per_s.unwrap();
        let (algorithm, bus) = script_gb_per_s(&root, op, bytes);
        let ratio = ours / algorithm;
        println!("{op} {} MiB: {ours:.1} GB/s, {ratio:.3} of the script's", bytes >> 20);
        assert!((low..high).contains(&ratio), "{op} {bytes}: ratio {ratio}");
        let bus_ratio = class.bus_gb_per_s.unwrap() / bus;
        assert!((bus_ratio - ratio).abs() < 1e-9, "{op} {bytes}: bus ratio {bus_ratio}");
    }
    let without_arguments: u64 =
        result.classes.iter().filter(|c| c.group.is_none()).map(|c| c.kernels).sum();
    assert_eq!(without_arguments, 24, "12 grouped send/recv kernels a rank carry no arguments");
    // The first barrier shows the 172 ms by which rank 1 came late.
    let barrier = result.classes.iter().find(|c| c.name.starts_with("barrier")).unwrap();
    assert!(barrier.skew_ns.unwrap() > 170_000_000, "{:?}", barrier.skew_ns);
}

/// Lengths in ns of the kernels of a collective of so many elements, as the file has them in order of time.
fn plain_lengths(root: &Path, rank: u32, name: &str, elements: u64) -> Vec<i64> {
    let path = root.join(format!("own/h100/py_nccl_x2/nccl_bench_rank{rank}.pt.trace.json.gz"));
    let mut text = String::new();
    let mut file = flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap());
    file.read_to_string(&mut text).unwrap();
    let trace: Value = serde_json::from_str(&text).unwrap();
    let is_one = |event: &&Value| {
        event["cat"] == "kernel"
            && event["args"]["Collective name"] == name
            && event["args"]["In msg nelems"] == elements
    };
    let kernels = trace["traceEvents"].as_array().unwrap().iter().filter(is_one);
    let mut found: Vec<(f64, f64)> =
        kernels.map(|one| (one["ts"].as_f64().unwrap(), one["dur"].as_f64().unwrap())).collect();
    found.sort_by(|a, b| a.0.total_cmp(&b.0));
    found.into_iter().map(|(_, dur)| (dur * 1e3).round() as i64).collect()
}

#[test]
fn the_roof_of_a_collective_is_the_devices_links() {
    let Some(root) = common::shared_traces() else { return };
    let path = |rank: u32| {
        root.join(format!("own/h100/py_nccl_x2/nccl_bench_rank{rank}.pt.trace.json.gz"))
    };
    let read: Vec<_> = [0, 1].map(|rank| read(&path(rank))).into();
    let result = collectives_of(&read);
    // NVLink of an H100: 450 GB/s in one direction. Two ranks: an all-reduce of S moves S, an all-gather to S half.
    let elements = 128_u64 << 20;
    for (name, in_elements, moved) in
        [("allreduce", elements, 2 * elements), ("_allgather_base", elements / 2, elements)]
    {
        let lengths = [0, 1].map(|rank| plain_lengths(&root, rank, name, in_elements));
        let fastest: Vec<i64> =
            lengths[0].iter().zip(&lengths[1]).map(|(&a, &b)| a.min(b)).collect();
        assert_eq!(fastest.len(), 3);
        let total: i64 = fastest.iter().sum();
        let roof = 3.0 * moved as f64 / 450.0;
        let is_one = |class: &&CollectiveRow| class.name == name && class.bytes == Some(256 << 20);
        let class = result.classes.iter().find(is_one).unwrap();
        assert_eq!((class.link, class.link_gb_per_s), (Some(GroupLink::Peer), Some(450.0)));
        assert!((class.roof_pct.unwrap() - 100.0 * roof / total as f64).abs() < 1e-9, "{name}");
        assert_eq!(class.lost_ns, Some(total - roof.ceil() as i64), "{name}");
    }
    let barrier = result.classes.iter().find(|c| c.name.starts_with("barrier")).unwrap();
    assert_eq!((barrier.roof_pct, barrier.lost_ns), (None, None), "a barrier moves nothing");
}

#[test]
fn the_eight_rank_set_has_its_straggler() {
    let Some(root) = common::shared_traces() else { return };
    let mut paths: Vec<_> =
        root.join("public/dlrm_8rank").read_dir().unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    let read: Vec<_> = paths.iter().map(|path| read(path)).collect();
    let result = collectives_of(&read);
    let kernels: u64 = result.classes.iter().map(|class| class.kernels).sum();
    assert_eq!(kernels, 64, "eight collectives a rank");
    let least = result.ranks.iter().min_by_key(|rank| rank.wait_ns).unwrap();
    println!("{:?}", result.ranks);
    assert_eq!(read[least.input].0.identity.rank, Some(7), "the last to arrive waits least");
}

#[test]
fn the_matrix_shows_each_pair_of_devices() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/p2p_copies");
    let run = |table: &str, format: &str| {
        let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_omni-trace"));
        program.arg("bandwidth").arg(&fixture).args(["--format", format, "--table", table]);
        String::from_utf8(program.output().unwrap().stdout).unwrap()
    };
    let peers = run("peers", "csv");
    let rate = |row: usize| -> f64 {
        peers.lines().nth(row).unwrap().split(',').nth(6).unwrap().parse().unwrap()
    };
    let matrix = run("peer_matrix", "md");
    let rows: Vec<&str> = matrix.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(rows[0], "| \\# | from | to 0 | to 1 |");
    assert_eq!(rows[2], format!("| 0 | 0 | - | {:.3} |", rate(1)));
    assert_eq!(rows[3], format!("| 0 | 1 | {:.3} | - |", rate(2)));
    // The columns of CSV do not depend on the devices.
    assert_eq!(run("peer_matrix", "csv"), peers);
}

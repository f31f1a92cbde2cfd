//! Figures across inputs: who was busy while another waited, who comes late, on which clock.

mod common;

use std::path::Path;

use omni_trace::analyze::across::{Across, AcrossNeeds};
use omni_trace::analyze::base::{TimeBase, TimeConfig};
use omni_trace::analyze::blame::{Blame, blame};
use omni_trace::analyze::clock::{ClockSource, Placement, TimedInput, together};
use omni_trace::diag::Reporter;
use omni_trace::model::Identity;
use omni_trace::read::read_input;
use omni_trace::store::{ChunkBuilder, CollectiveRow, SliceRow, Store, TraceMeta, TrackId};

const DEQUEUE: &str = "vllm/distributed/device_communicators/shm_broadcast.py(882): dequeue";

/// A trace of one thread from (category, name, start, length), with an all-reduce at the start of each `comms` span.
fn store(
    events: &[(&str, &str, i64, i64)],
    comms: &[(i64, i64)],
    base_time_ns: Option<i64>,
) -> Store {
    let mut builder = ChunkBuilder::default();
    let mut slice = |category: &str, name: &str, ts_ns: i64, dur_ns: i64| {
        let row = SliceRow {
            ts_ns,
            dur_ns,
            name: builder.string(name),
            category: builder.string(category),
            track: builder.track(TrackId::Int(1), TrackId::Int(1)),
            id_a: None,
            id_b: None,
        };
        let collective = builder.string("allreduce");
        (builder.slice(row), collective)
    };
    for &(category, name, ts_ns, dur_ns) in events {
        slice(category, name, ts_ns, dur_ns);
    }
    let rows: Vec<_> =
        comms.iter().map(|&(ts, dur)| slice("cpu_op", "record_param_comms", ts, dur)).collect();
    for (seq, (slice, name)) in rows.into_iter().enumerate() {
        builder.collective(CollectiveRow {
            slice,
            name,
            dtype: None,
            in_elements: None,
            out_elements: None,
            group_size: Some(2),
            group_name: None,
            group_description: None,
            group_ranks: None,
            in_split: None,
            out_split: None,
            rank: None,
            src_rank: None,
            dst_rank: None,
            seq: Some(seq as u64),
            comms_id: None,
        });
    }
    let meta = TraceMeta { base_time_ns, ..TraceMeta::default() };
    Store::build(vec![builder.finish()], meta, &mut Reporter::default())
}

fn blame_of(stores: &[Store]) -> Blame {
    let config = TimeConfig::default();
    let bases: Vec<TimeBase> = stores.iter().map(|store| TimeBase::new(store, &config)).collect();
    let nobody = Identity::default();
    let needs = AcrossNeeds { is_alone: false, busy: true };
    let of = |(store, base): (_, _)| Across::of(store, &nobody, base, needs);
    let across: Vec<Across> = stores.iter().zip(&bases).map(of).collect();
    let inputs: Vec<TimedInput<'_>> = across
        .iter()
        .map(|across| TimedInput { path: Path::new("-"), identity: &nobody, across })
        .collect();
    blame(&inputs, &together(&inputs, true))
}

#[test]
fn the_busy_stage_gets_the_blame_across_different_bases() {
    let waiting = store(
        &[
            ("cpu_op", "aten::mm", 0, 10),
            ("python_function", DEQUEUE, 10, 80),
            ("cpu_op", "aten::mm", 90, 10),
        ],
        &[],
        Some(1_000_000),
    );
    // Its zero is 50 ns later: busy during 60..80 of the other's time, not recorded before 50.
    let busy = store(
        &[
            ("python_function", DEQUEUE, 0, 10),
            ("cpu_op", "aten::mm", 10, 20),
            ("python_function", DEQUEUE, 30, 30),
        ],
        &[],
        Some(1_000_050),
    );
    let blame = blame_of(&[waiting, busy]);
    let row = &blame.rows[0];
    assert_eq!((row.wait_ns, row.nobody_ns), (Some(80), Some(60)));
    let cell = &row.busy[1];
    assert_eq!((cell.other, cell.device_ns, cell.host_ns, cell.unrecorded_ns), (1, 0, 20, 40));
    assert_eq!(blame.rows[1].busy[0].host_ns, 10);
    assert!(blame.placed.iter().all(|placed| placed.placement == Placement::BaseTime));
}

#[test]
fn an_input_without_a_base_is_placed_by_shared_collectives() {
    let known = store(&[], &[(100, 50), (300, 50)], Some(1_000));
    let unknown = store(&[], &[(20, 30), (190, 62)], None);
    let blame = blame_of(&[known, unknown]);
    // Ends at 1150 and 1350 against 50 and 252: offsets 1100 and 1098.
    let placed = blame.placed[1];
    assert_eq!(placed.offset_ns, 1_100);
    assert_eq!(placed.placement, Placement::Estimate(ClockSource::Collectives));
    // Two matches do not tell how far they may be off.
    assert_eq!(
        (placed.reference, placed.n_matched, placed.error_ns),
        (Some(0), Some(2), Some(20_000))
    );
    // 1120 against 1100 and 1290 against 1300: each is last once.
    let late: Vec<_> = blame.stragglers.iter().map(|s| (s.n_last, s.behind_first_ns)).collect();
    assert_eq!(late, [(1, 10), (1, 20)]);
}

#[test]
fn what_cannot_be_placed_takes_no_part() {
    let known =
        store(&[("python_function", DEQUEUE, 0, 10), ("cpu_op", "aten::mm", 10, 5)], &[], Some(0));
    let lost = store(&[("cpu_op", "aten::mm", 0, 10)], &[], None);
    let blame = blame_of(&[known, lost]);
    assert_eq!(blame.placed[1].placement, Placement::None);
    assert_eq!(blame.rows[0].busy.len(), 1);
    assert_eq!(blame.rows[1].wait_ns, None, "without frames waits are not recorded");
    assert_eq!((blame.rows[0].nobody_ns, blame.n_matched), (Some(10), 0));
}

/// The published facts of the eight-rank set: ends agree within 7 µs, starts spread up to 7.6 ms, rank 7 is the last
/// into five of eight collectives.
#[test]
fn eight_ranks_as_published() {
    let paths: Vec<_> = common::real_traces()
        .into_iter()
        .filter(|path| path.to_string_lossy().contains("dlrm_8rank"))
        .collect();
    if paths.is_empty() {
        return;
    }
    let stores: Vec<Store> = paths
        .iter()
        .map(|path| read_input(path, &Default::default()).expect("a real trace can be read").store)
        .collect();
    let blame = blame_of(&stores);
    assert_eq!((blame.n_matched, blame.clocks.len()), (8, 7));
    assert!(blame.clocks.iter().all(|c| c.median_ns.abs() + c.spread_ns <= 7_000));
    let rank7 = blame.stragglers.iter().find(|s| s.input == 7).expect("rank 7 shares collectives");
    assert_eq!((rank7.n_last, rank7.max_behind_first_ns), (5, 7_624_000));
}

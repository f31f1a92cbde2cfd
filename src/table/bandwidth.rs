//! Transfers: copies by route and size, collectives, peers, call sites. GB/s is 10^9 bytes a second everywhere.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::joined::{log_clocks, stage_transfers, traced_transfers};
use super::{Cell, Column, InputRow, IssueRow, SCHEMA_VERSION, Table, Unit};
use crate::analyze::collectives::Collectives;
use crate::analyze::collectives::Operation;
use crate::analyze::collectives::{CollectiveRow, InstanceRow, RankWaitRow};
use crate::analyze::copies::Copies;
use crate::analyze::copies::{CallSiteRow, CopyRow, DirectionRow, PeerRow, SeriesRow};
use crate::analyze::joined::{Joined, LogClockRow, TracedSideRow};
use crate::analyze::stages::TransferRow;
use crate::schema::{self, Shown, Source};

/// Everything that `bandwidth` found: one object whose field names and order other tools rely on.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BandwidthReport {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// `bandwidth`.
    pub command: &'static str,
    /// Inputs, in the order given or found.
    pub inputs: Vec<InputRow>,
    /// Copies and memsets by input, device and direction.
    pub directions: Vec<DirectionRow>,
    /// The same by route and size.
    pub copies: Vec<CopyRow>,
    /// Copies between devices.
    pub peers: Vec<PeerRow>,
    /// Where copies were launched.
    pub call_sites: Vec<CallSiteRow>,
    /// Bytes moved over time.
    pub series: Vec<SeriesRow>,
    /// Collectives by group, operation, type and size, over all inputs.
    pub collectives: Vec<CollectiveRow>,
    /// Each input's waiting in matched collectives.
    pub rank_waits: Vec<RankWaitRow>,
    /// The slowest single collectives.
    pub slowest: Vec<InstanceRow>,
    /// What was odd, by input.
    pub issues: Vec<IssueRow>,
    /// Where each log stands in Unix time; empty without logs, like all that follow.
    pub log_clocks: Vec<LogClockRow>,
    /// Transfers between stages, by the logs.
    pub stage_transfers: Vec<TransferRow>,
    /// What the traces of the two stages saw while these generated.
    pub traced_transfers: Vec<TracedSideRow>,
}

impl BandwidthReport {
    /// An empty report.
    pub fn new() -> Self {
        Self { schema_version: SCHEMA_VERSION, command: "bandwidth", ..Self::default() }
    }

    /// Adds what one input's copies are.
    pub fn add_copies(&mut self, copies: Copies) {
        self.directions.extend(copies.directions);
        self.copies.extend(copies.classes);
        self.peers.extend(copies.pairs);
        self.call_sites.extend(copies.sites);
        self.series.extend(copies.series);
    }

    /// Adds the collectives of all inputs.
    pub fn add_collectives(&mut self, all: Collectives) {
        self.collectives = all.classes;
        self.rank_waits = all.ranks;
        self.slowest = all.slowest;
    }

    /// Adds what logs tell of transfers.
    pub fn add_joined(&mut self, joined: Joined) {
        self.log_clocks = joined.log_clocks;
        self.stage_transfers = joined.stage_transfers;
        self.traced_transfers = joined.traced_transfers;
    }

    /// The tables in the order of reading. The time series is for machines: JSON and CSV.
    pub fn tables(&self) -> Vec<Source<'_>> {
        vec![
            Source::of(&self.inputs).shown(Shown::Always),
            Source::of(&self.directions).with(|table| noted(table, "", NO_COPIES)),
            Source::of(&self.copies).with(|table| noted(table, GB_PER_S, "")),
            Source::of(&self.peers),
            Source::of(&self.peers).named("peer_matrix", PEER_MATRIX).off_page(),
            Source::of(&self.call_sites),
            Source::of(&self.collectives).with(|table| self.with_notes(table)),
            log_clocks(&self.log_clocks),
            stage_transfers(&self.stage_transfers),
            traced_transfers(&self.traced_transfers),
            Source::of(&self.rank_waits).with(|table| noted(table, BY_DURATION, "")),
            Source::of(&self.slowest),
            Source::of(&self.series),
            Source::of(&self.issues),
        ]
    }

    /// The table of a key, with every row; `None` where there is no such table.
    pub fn table(&self, key: &str) -> Option<schema::Table> {
        self.tables().iter().find(|source| source.key == key).map(Source::table)
    }

    /// A table as people see it: peers as a matrix, and of the time series what moved.
    pub fn view(&self, source: &Source<'_>) -> Table {
        match source.key {
            "peer_matrix" => peer_matrix(&self.peers),
            "series" => series_summary(&self.series),
            _ => Table::view(&source.table()),
        }
    }

    fn with_notes(&self, table: schema::Table) -> schema::Table {
        let may_end_apart = |row: &CollectiveRow| {
            let is_uneven = matches!(
                row.operation,
                Some(Operation::Reduce | Operation::AllToAll | Operation::SendRecv)
            );
            is_uneven && row.matched > 0
        };
        let is_guess = |row: &CollectiveRow| row.group.is_none() && row.matched > 0;
        let notes = [
            (self.collectives.iter().any(may_end_apart), UPPER_BOUND),
            (self.collectives.iter().any(is_guess), BY_ORDER),
        ];
        let apt = notes.into_iter().filter(|(is_apt, _)| *is_apt);
        let table = noted(table, BANDWIDTH, NO_COLLECTIVES);
        apt.fold(table, |table, (_, note)| table.with_note(note))
    }
}

const PEER_MATRIX: &str = "Copies between devices: mean GB/s";

/// Heading and key of a column of the matrix.
macro_rules! to_devices {
    ($($device:literal)+) => {
        [$((concat!("to ", $device), concat!("to_", $device, "_gb_per_s")),)+]
    };
}

/// Those of every device. No machine has more that copy to each other directly.
const TO_DEVICES: [(&str, &str); 16] = to_devices!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);

/// Copies between devices as a matrix of mean rates: a row for each source, a column for each destination.
fn peer_matrix(peers: &[PeerRow]) -> Table {
    let devices: BTreeSet<usize> =
        peers.iter().flat_map(|row| [row.from_device, row.to_device]).map(|d| d as usize).collect();
    let columns: Vec<(usize, Column)> = devices
        .iter()
        .filter_map(|&to| {
            let (name, key) = *TO_DEVICES.get(to)?;
            let doc = "bytes over time of the copies to this device, 10^9 bytes a second";
            Some((to, Column::new(name, key, Unit::Rate, doc)))
        })
        .collect();
    let sources: BTreeSet<(usize, u32)> =
        peers.iter().map(|row| (row.input, row.from_device)).collect();
    let row = |&(input, from): &(usize, u32)| {
        let rate = |to: usize| {
            let is_it = |row: &&PeerRow| {
                (row.input, row.from_device, row.to_device as usize) == (input, from, to)
            };
            let found = peers.iter().find(is_it).and_then(|row| row.mean_gb_per_s);
            Cell::or_none(found, Cell::Rate)
        };
        let own = [Cell::Count(input as u64), Cell::Count(u64::from(from))];
        own.into_iter().chain(columns.iter().map(|&(to, _)| rate(to))).collect()
    };
    let heads = [
        Column::new("#", "input", Unit::Count, "number of the input"),
        Column::new("from", "from_device", Unit::Count, "source device"),
    ];
    Table {
        key: "peer_matrix",
        title: PEER_MATRIX.to_owned(),
        rows: sources.iter().map(row).collect(),
        columns: heads.into_iter().chain(columns.iter().map(|&(_, column)| column)).collect(),
        n_group_columns: 1,
        notes: Vec::new(),
    }
}

/// Bytes over time for people: stretches in which something was moved, from the first one on.
fn series_summary(rows: &[SeriesRow]) -> Table {
    let moved = rows.iter().filter(|row| row.bytes > 0);
    let mut starts: BTreeMap<usize, i64> = BTreeMap::new();
    for row in rows {
        let start = starts.entry(row.input).or_insert(row.ts_ns);
        *start = row.ts_ns.min(*start);
    }
    let moved: Vec<SeriesRow> = moved
        .map(|row| SeriesRow { ts_ns: row.ts_ns - starts[&row.input], ..row.clone() })
        .collect();
    let n_still = rows.len() - moved.len();
    Table::of(&moved)
        .with_note(format!("start is since the window began; {n_still} stretches moved nothing"))
}

const NO_COPIES: &str = "no copy or memset was recorded";
const NO_COLLECTIVES: &str = "no communication kernel was recorded";
const GB_PER_S: &str = "GB/s are 10^9 bytes a second; median, p95 and best are single copies";
const BANDWIDTH: &str = "algorithm and bus bandwidth as nccl-tests defines them; a matched instance takes the time of its fastest rank, which waited least; one that is not matched has waiting in its time";
const UPPER_BOUND: &str = "reduce, all_to_all and point to point: ranks need not end together, so that the fastest rank's bandwidth is an upper bound";

const BY_ORDER: &str = "kernels without arguments name no group: they are matched by their order, as if the inputs of a stage were its one group";

const BY_DURATION: &str =
    "waiting is told by durations alone: how far clocks are apart does not matter";

/// A table with a sentence for when it has rows and one for when it has none.
fn noted(table: schema::Table, with_rows: &str, without: &str) -> schema::Table {
    let note = if table.n_rows == 0 { without } else { with_rows };
    if note.is_empty() { table } else { table.with_note(note) }
}

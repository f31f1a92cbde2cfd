//! Transfers: copies by route and size, collectives, peers, call sites. GB/s is 10^9 bytes a second everywhere.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::rows::{AsCell as _, rows};
use super::{
    Cell, Column, InputRow, IssueRow, SCHEMA_VERSION, Table, TableRow, Unit, log_clock_table,
    percent, stage_transfer_table, traced_transfer_table,
};
use crate::analyze::collectives::{CollectiveClass, Collectives, Instance, RankWait};
use crate::analyze::copies::{
    BUCKET_NAMES, CallSite, Copies, CopyClass, DirectionTime, PeerPair, Route, SeriesBin,
};
use crate::analyze::joined::{Joined, LogClockRow, TracedSideRow};
use crate::analyze::stages::TransferRow;
use crate::schema::{self, Seen};

/// A result with the number of the input it is of.
pub struct OfInput<T> {
    /// Number of the input.
    pub input: usize,
    /// The result.
    pub row: T,
}

/// An instance with its class.
pub struct OfClass<'a> {
    instance: &'a Instance,
    class: &'a CollectiveClass,
}

/// `HtoD Pageable -> Device`
fn route_text(route: &Route) -> String {
    match (&route.source, &route.destination) {
        (Some(from), Some(to)) => format!("{} {from} -> {to}", route.direction),
        (None, Some(to)) => format!("{} {to}", route.direction),
        _ => route.direction.clone(),
    }
}

/// The name as written and why no size is known.
fn name_and_reason(class: &CollectiveClass) -> String {
    match class.no_size_because {
        Some(why) => format!("{} ({why})", class.name),
        None => class.name.clone(),
    }
}

rows! {
    /// Copies of one input, device and direction.
    DirectionRow of OfInput<DirectionTime> as of, groups 1 {
        input: usize, Count, "#", "number of the input", of.input;
        device: Option<u32>, Count, "device", "device index", of.row.device;
        direction: String, Text, "direction", "HtoD, DtoH, DtoD, PtoP, HtoH, Memset, kernel (a kernel that copies) or unknown", of.row.direction.clone();
        count: u64, Count, "count", "copies", of.row.count;
        without_bytes: u64, Count, "no size", "copies that state no size", of.row.n_without_bytes;
        bytes: Option<u64>, Bytes, "bytes", "bytes of those that state a size", of.row.bytes;
        sum_ns: i64, Ns, "time", "sum of the durations", of.row.sum_ns;
        busy_ns: i64, Ns, "busy", "time in which at least one runs", of.row.busy_ns;
        overlapped_ns: i64, Ns, "overlapped", "busy while a kernel of the device runs that does more than copy", of.row.overlapped_ns;
        exposed_ns: i64, Ns, "exposed", "busy while none does", of.row.exposed_ns;
        exposed_pct: Option<f64>, Percent, "exposed %", "exposed, of busy", percent(of.row.exposed_ns, of.row.busy_ns);
        peak_gb_per_s: Option<f64>, Rate, "peak GB/s", "the link's peak by its datasheet or as given", of.row.peak_gb_per_s;
        above_peak: Option<u64>, Count, "above peak", "copies that moved more than the peak; a copy within a device reads and writes", of.row.n_above_peak;
    }

    /// Copies of one input, device, route and size.
    CopyRow of OfInput<CopyClass> as of, groups 1 {
        input: usize, Count, "#", "number of the input", of.input;
        device: Option<u32>, Count, "device", "device index", of.row.device;
        direction: String, Text, "direction", "from where to where", of.row.route.direction.clone();
        source: Option<String>, Text, "from", "kind of the source memory", of.row.route.source.clone();
        destination: Option<String>, Text, "to", "kind of the destination memory", of.row.route.destination.clone();
        size: Option<&'static str>, Text, "size", "size of one copy", of.row.bucket.map(|bucket| BUCKET_NAMES[bucket]);
        count: u64, Count, "count", "copies", of.row.count;
        bytes: Option<u64>, Bytes, "bytes", "bytes of all", of.row.bytes;
        sum_ns: i64, Ns, "time", "sum of the durations", of.row.sum_ns;
        mean_gb_per_s: Option<f64>, Rate, "mean GB/s", "bytes over time, of all", of.row.rates.mean_gb_per_s;
        median_gb_per_s: Option<f64>, Rate, "median", "the median copy, nearest rank", of.row.rates.median_gb_per_s;
        p95_gb_per_s: Option<f64>, Rate, "p95", "the 95th percentile, nearest rank", of.row.rates.p95_gb_per_s;
        best_gb_per_s: Option<f64>, Rate, "best", "the best copy", of.row.rates.best_gb_per_s;
        peak_pct: Option<f64>, Percent, "of peak", "mean traffic of the link over its peak; a copy within a device reads and writes", of.row.peak_pct;
    }

    /// Copies from one device to another.
    PeerRow of OfInput<PeerPair> as of, groups 1 {
        input: usize, Count, "#", "number of the input", of.input;
        from_device: u32, Count, "from", "source device", of.row.from_device;
        to_device: u32, Count, "to", "destination device", of.row.to_device;
        count: u64, Count, "count", "copies", of.row.count;
        bytes: u64, Bytes, "bytes", "bytes of all", of.row.bytes;
        sum_ns: i64, Ns, "time", "sum of the durations", of.row.sum_ns;
        mean_gb_per_s: Option<f64>, Rate, "mean GB/s", "bytes over time", of.row.rates.mean_gb_per_s;
        best_gb_per_s: Option<f64>, Rate, "best", "the best copy", of.row.rates.best_gb_per_s;
    }

    /// Where copies were launched.
    CallSiteRow of OfInput<CallSite> as of, groups 1 {
        input: usize, Count, "#", "number of the input", of.input;
        route: String, Text, "route", "direction and kinds of memory", route_text(&of.row.route);
        count: u64, Count, "count", "copies", of.row.count;
        bytes: Option<u64>, Bytes, "bytes", "bytes of those that state a size", of.row.bytes;
        sum_ns: i64, Ns, "time", "sum of the durations on the device", of.row.sum_ns;
        op: Option<String>, Text, "operator", "innermost operator around the launching call", of.row.op.clone();
        frame: Option<String>, Text, "frame", "innermost Python frame around it", of.row.frame.clone();
    }

    /// Bytes of one direction in one stretch of time.
    SeriesRow of OfInput<SeriesBin> as of, groups 1 {
        input: usize, Count, "#", "number of the input", of.input;
        direction: String, Text, "direction", "from where to where", of.row.direction.clone();
        ts_ns: i64, Ns, "start", "start, in the trace's own time", of.row.span.start_ns;
        dur_ns: i64, Ns, "length", "length of the stretch", of.row.span.len_ns();
        bytes: u64, Bytes, "bytes", "bytes moved in it", of.row.bytes;
    }

    /// Collectives of one group, operation, type and size.
    CollectiveRow of CollectiveClass as class, groups 0 {
        stage: Option<u32>, Count, "stage", "stage of the group", class.stage;
        group: Option<String>, Text, "group", "process group", class.group.clone();
        group_description: Option<String>, Text, "description", "its description", class.group_description.clone();
        group_size: Option<u32>, Count, "ranks", "ranks in the group", class.group_size;
        operation: Option<&'static str>, Text, "operation", "what it does; without arguments, what the range around its launch or its name tells", class.operation.map(|o| o.as_str());
        dtype: Option<String>, Text, "dtype", "element type", class.dtype.clone();
        bytes: Option<u64>, Bytes, "bytes", "size as nccl-tests counts it", class.bytes;
        count: u64, Count, "count", "instances; one that several ranks show counts once", class.count;
        matched: u64, Count, "matched", "instances matched over ranks", class.n_matched;
        kernels: u64, Count, "kernels", "kernels over all inputs", class.n_kernels;
        sum_ns: i64, Ns, "time", "sum of the kernels' durations", class.sum_ns;
        median_ns: i64, Ns, "median", "the median instance, by its fastest rank", class.median_ns;
        max_ns: i64, Ns, "max", "the longest instance, by its fastest rank", class.max_ns;
        skew_ns: Option<i64>, Ns, "skew", "time beyond the fastest rank's, over all inputs", class.skew_ns;
        busy_ns: i64, Ns, "busy", "time in which one runs, over all devices", class.busy_ns;
        exposed_ns: i64, Ns, "exposed", "of that, while no compute kernel runs", class.exposed_ns;
        algorithm_gb_per_s: Option<f64>, Rate, "algbw GB/s", "median algorithm bandwidth", class.algorithm.median_gb_per_s;
        bus_gb_per_s: Option<f64>, Rate, "busbw GB/s", "median bus bandwidth", class.median_bus_gb_per_s();
        name: String, Text, "name or why no size", "name as written, and why no size is known", name_and_reason(class);
    }

    /// One input's waiting in matched collectives.
    RankWaitRow of RankWait as rank, groups 0 {
        input: usize, Count, "#", "number of the input", rank.input;
        count: u64, Count, "collectives", "instances matched over ranks", rank.count;
        sum_ns: i64, Ns, "time", "sum of its kernels' durations", rank.sum_ns;
        wait_ns: i64, Ns, "waiting", "time beyond the fastest rank of each", rank.wait_ns;
        wait_pct: Option<f64>, Percent, "share", "waiting, of the time", percent(rank.wait_ns, rank.sum_ns);
        last_to_arrive: u64, Count, "last", "instances in which it was the fastest, so the last to arrive", rank.n_fastest;
    }

    /// One of the slowest collectives.
    InstanceRow of OfClass<'_> as of, groups 0 {
        max_ns: i64, Ns, "longest", "the longest rank", of.instance.max_ns();
        min_ns: Option<i64>, Ns, "shortest", "the shortest rank, where several were matched", of.min_ns();
        last_input: Option<usize>, Count, "last #", "input of the shortest rank: the last to arrive", of.last_input();
        bytes: Option<u64>, Bytes, "bytes", "size as nccl-tests counts it", of.class.bytes;
        number: u64, Count, "n", "number within its class, from 0", of.instance.number;
        name: String, Text, "name", "name as written", of.class.name.clone();
    }
}

impl OfClass<'_> {
    fn is_matched(&self) -> bool {
        self.instance.ranks.len() > 1
    }

    fn min_ns(&self) -> Option<i64> {
        self.is_matched().then(|| self.instance.min_ns())
    }

    fn last_input(&self) -> Option<usize> {
        let fastest = self.instance.ranks.iter().min_by_key(|rank| rank.dur_ns);
        fastest.filter(|_| self.is_matched()).map(|rank| rank.input)
    }
}

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

fn numbered<T, R: for<'a> From<&'a OfInput<T>>>(input: usize, rows: Vec<T>) -> Vec<R> {
    rows.into_iter().map(|row| R::from(&OfInput { input, row })).collect()
}

impl BandwidthReport {
    /// An empty report.
    pub fn new() -> Self {
        Self { schema_version: SCHEMA_VERSION, command: "bandwidth", ..Self::default() }
    }

    /// Adds what one input's copies are.
    pub fn add_copies(&mut self, input: usize, copies: Copies) {
        let Copies { classes, directions, pairs, sites, series } = copies;
        self.directions.extend(numbered::<_, DirectionRow>(input, directions));
        self.copies.extend(numbered::<_, CopyRow>(input, classes));
        self.peers.extend(numbered::<_, PeerRow>(input, pairs));
        self.call_sites.extend(numbered::<_, CallSiteRow>(input, sites));
        self.series.extend(numbered::<_, SeriesRow>(input, series));
    }

    /// Adds the collectives of all inputs.
    pub fn add_collectives(&mut self, all: &Collectives) {
        let of_class = |instance| OfClass { instance, class: &all.classes[instance.class] };
        self.slowest = all.slowest.iter().map(|i| InstanceRow::from(&of_class(i))).collect();
        self.rank_waits = all.ranks.iter().map(RankWaitRow::from).collect();
        self.collectives = all.classes.iter().map(CollectiveRow::from).collect();
    }

    /// Adds what logs tell of transfers.
    pub fn add_joined(&mut self, joined: Joined) {
        self.log_clocks = joined.log_clocks;
        self.stage_transfers = joined.stage_transfers;
        self.traced_transfers = joined.traced_transfers;
    }

    /// The tables in the order of reading. The time series is for machines: JSON and CSV.
    pub fn tables(&self) -> Vec<Table> {
        vec![
            Table::view(&schema::Table::of(&self.inputs)),
            noted(Table::of("directions", "Copies by direction", &self.directions), "", NO_COPIES),
            noted(Table::of("copies", "Copies by route and size", &self.copies), GB_PER_S, ""),
            Table::of("peers", "Copies between devices", &self.peers),
            peer_matrix(&self.peers),
            Table::of("call_sites", "Where copies come from", &self.call_sites),
            self.collective_table(),
            log_clock_table(&self.log_clocks),
            stage_transfer_table(&self.stage_transfers),
            traced_transfer_table(&self.traced_transfers),
            noted(
                Table::of("rank_waits", "Waiting for other ranks", &self.rank_waits),
                BY_DURATION,
                "",
            ),
            Table::of("slowest", "Slowest collectives", &self.slowest),
            Table::of("series", "Bytes over time", &self.series),
            Table::view(&schema::Table::of(&self.issues)),
        ]
    }
}

impl BandwidthReport {
    fn collective_table(&self) -> Table {
        let mut table = Table::of("collectives", "Collectives", &self.collectives);
        let details = table.columns.iter_mut().filter(|column| DETAILS.contains(&column.key));
        details.for_each(|column| column.seen = Seen::Request);
        let table = noted(table, BANDWIDTH, NO_COLLECTIVES);
        let may_end_apart = |row: &CollectiveRow| {
            let is_uneven = matches!(row.operation, Some("reduce" | "all_to_all" | "send_recv"));
            is_uneven && row.matched > 0
        };
        let is_guess = |row: &CollectiveRow| row.group.is_none() && row.matched > 0;
        let notes = [
            (self.collectives.iter().any(may_end_apart), UPPER_BOUND),
            (self.collectives.iter().any(is_guess), BY_ORDER),
        ];
        let apt = notes.into_iter().filter(|(is_apt, _)| *is_apt);
        apt.fold(table, |table, (_, note)| table.with_note(note))
    }
}

/// Headings and keys of the matrix's columns. No machine has more devices that copy to each other directly.
const TO_DEVICES: [(&str, &str); 16] = [
    ("to 0", "to_0_gb_per_s"),
    ("to 1", "to_1_gb_per_s"),
    ("to 2", "to_2_gb_per_s"),
    ("to 3", "to_3_gb_per_s"),
    ("to 4", "to_4_gb_per_s"),
    ("to 5", "to_5_gb_per_s"),
    ("to 6", "to_6_gb_per_s"),
    ("to 7", "to_7_gb_per_s"),
    ("to 8", "to_8_gb_per_s"),
    ("to 9", "to_9_gb_per_s"),
    ("to 10", "to_10_gb_per_s"),
    ("to 11", "to_11_gb_per_s"),
    ("to 12", "to_12_gb_per_s"),
    ("to 13", "to_13_gb_per_s"),
    ("to 14", "to_14_gb_per_s"),
    ("to 15", "to_15_gb_per_s"),
];

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
        title: "Copies between devices: mean GB/s".to_owned(),
        rows: sources.iter().map(row).collect(),
        columns: heads.into_iter().chain(columns.iter().map(|&(_, column)| column)).collect(),
        n_group_columns: 1,
        notes: Vec::new(),
    }
}

/// Bytes over time for people: stretches in which something was moved, from the first one on.
pub fn series_summary(rows: &[SeriesRow]) -> Table {
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
    Table::of("series", "Bytes over time", &moved)
        .with_note(format!("start is since the window began; {n_still} stretches moved nothing"))
}

/// Columns of the collectives that people seldom need.
const DETAILS: [&str; 3] = ["group_description", "kernels", "busy_ns"];

const NO_COPIES: &str = "no copy or memset was recorded";
const NO_COLLECTIVES: &str = "no communication kernel was recorded";
const GB_PER_S: &str = "GB/s are 10^9 bytes a second; median, p95 and best are single copies";
const BANDWIDTH: &str = "algorithm and bus bandwidth as nccl-tests defines them; a matched instance takes the time of its fastest rank, which waited least; one that is not matched has waiting in its time";
const UPPER_BOUND: &str = "reduce, all_to_all and point to point: ranks need not end together, so that the fastest rank's bandwidth is an upper bound";

const BY_ORDER: &str = "kernels without arguments name no group: they are matched by their order, as if the inputs of a stage were its one group";

const BY_DURATION: &str =
    "waiting is told by durations alone: how far clocks are apart does not matter";

/// A table with a sentence for when it has rows and one for when it has none.
fn noted(table: Table, with_rows: &str, without: &str) -> Table {
    let note = if table.rows.is_empty() { without } else { with_rows };
    if note.is_empty() { table } else { table.with_note(note) }
}

//! Transfers: copies by route and size, collectives, peers, call sites. GB/s is 10^9 bytes a second everywhere.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::joined::{log_clocks, stage_transfers, traced_transfers};
use super::rows::rows;
use super::{Cell, Column, InputRow, IssueRow, SCHEMA_VERSION, Table, Unit, percent};
use crate::analyze::collectives::{CollectiveClass, Collectives, Instance, RankWait};
use crate::analyze::copies::{
    BUCKET_NAMES, CallSite, Copies, CopyClass, DirectionTime, PeerPair, Route, SeriesBin,
};
use crate::analyze::joined::{Joined, LogClockRow, TracedSideRow};
use crate::analyze::stages::TransferRow;
use crate::schema::{self, Shown, Source};

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
    DirectionRow of OfInput<DirectionTime> as of: "directions", "Copies by direction", "How long did copies take, and what hid them?", groups 1, shown Always {
        input: usize, Count, All, "#", "number of the input", of.input;
        device: Option<u32>, Count, All, "device", "device index", of.row.device;
        direction: String, Text, All, "direction", "HtoD, DtoH, DtoD, PtoP, HtoH, Memset, kernel (a kernel that copies) or unknown", of.row.direction.clone();
        count: u64, Count, All, "count", "copies", of.row.count;
        without_bytes: u64, Count, Room, "no size", "copies that state no size", of.row.n_without_bytes;
        bytes: Option<u64>, Bytes, All, "bytes", "bytes of those that state a size", of.row.bytes;
        sum_ns: i64, Ns, Room, "time", "sum of the durations", of.row.sum_ns;
        busy_ns: i64, Ns, All, "busy", "time in which at least one runs", of.row.busy_ns;
        overlapped_ns: i64, Ns, All, "overlapped", "busy while a kernel of the device runs that does more than copy", of.row.overlapped_ns;
        exposed_ns: i64, Ns, All, "exposed", "busy while none does", of.row.exposed_ns;
        exposed_pct: Option<f64>, Percent, All, "exposed %", "exposed, of busy", percent(of.row.exposed_ns, of.row.busy_ns);
        peak_gb_per_s: Option<f64>, Rate, All, "peak GB/s", "the link's peak by its datasheet or as given", of.row.peak_gb_per_s;
        above_peak: Option<u64>, Count, All, "above peak", "copies that moved more than the peak; a copy within a device reads and writes", of.row.n_above_peak;
    }

    /// Copies of one input, device, route and size.
    CopyRow of OfInput<CopyClass> as of: "copies", "Copies by route and size", "How fast were copies, and how near the peak of their link?", groups 1 {
        input: usize, Count, All, "#", "number of the input", of.input;
        device: Option<u32>, Count, All, "device", "device index", of.row.device;
        direction: String, Text, All, "direction", "from where to where", of.row.route.direction.clone();
        source: Option<String>, Text, All, "from", "kind of the source memory", of.row.route.source.clone();
        destination: Option<String>, Text, All, "to", "kind of the destination memory", of.row.route.destination.clone();
        size: Option<&'static str>, Text, All, "size", "size of one copy", of.row.bucket.map(|bucket| BUCKET_NAMES[bucket]);
        count: u64, Count, All, "count", "copies", of.row.count;
        bytes: Option<u64>, Bytes, All, "bytes", "bytes of all", of.row.bytes;
        sum_ns: i64, Ns, All, "time", "sum of the durations", of.row.sum_ns;
        mean_gb_per_s: Option<f64>, Rate, All, "mean GB/s", "bytes over time, of all", of.row.rates.mean_gb_per_s;
        median_gb_per_s: Option<f64>, Rate, All, "median", "the median copy, nearest rank", of.row.rates.median_gb_per_s;
        p95_gb_per_s: Option<f64>, Rate, All, "p95", "the 95th percentile, nearest rank", of.row.rates.p95_gb_per_s;
        best_gb_per_s: Option<f64>, Rate, All, "best", "the best copy", of.row.rates.best_gb_per_s;
        peak_pct: Option<f64>, Percent, All, "of peak", "mean traffic of the link over its peak; a copy within a device reads and writes", of.row.peak_pct;
    }

    /// Copies from one device to another.
    PeerRow of OfInput<PeerPair> as of: "peers", "Copies between devices", "How fast did devices copy to each other?", groups 1 {
        input: usize, Count, All, "#", "number of the input", of.input;
        from_device: u32, Count, All, "from", "source device", of.row.from_device;
        to_device: u32, Count, All, "to", "destination device", of.row.to_device;
        count: u64, Count, All, "count", "copies", of.row.count;
        bytes: u64, Bytes, All, "bytes", "bytes of all", of.row.bytes;
        sum_ns: i64, Ns, All, "time", "sum of the durations", of.row.sum_ns;
        mean_gb_per_s: Option<f64>, Rate, All, "mean GB/s", "bytes over time", of.row.rates.mean_gb_per_s;
        best_gb_per_s: Option<f64>, Rate, All, "best", "the best copy", of.row.rates.best_gb_per_s;
    }

    /// Where copies were launched.
    CallSiteRow of OfInput<CallSite> as of: "call_sites", "Where copies come from", "Which operators and frames launched copies?", groups 1, shown Folded {
        input: usize, Count, All, "#", "number of the input", of.input;
        route: String, Text, All, "route", "direction and kinds of memory", route_text(&of.row.route);
        count: u64, Count, All, "count", "copies", of.row.count;
        bytes: Option<u64>, Bytes, All, "bytes", "bytes of those that state a size", of.row.bytes;
        sum_ns: i64, Ns, All, "time", "sum of the durations on the device", of.row.sum_ns;
        op: Option<String>, Text, All, "operator", "innermost operator around the launching call", of.row.op.clone();
        frame: Option<String>, Text, All / Subject, "frame", "innermost Python frame around it", of.row.frame.clone();
    }

    /// Bytes of one direction in one stretch of time.
    SeriesRow of OfInput<SeriesBin> as of: "series", "Bytes over time", "When was how much moved?", groups 1, shown Request {
        input: usize, Count, All, "#", "number of the input", of.input;
        direction: String, Text, All, "direction", "from where to where", of.row.direction.clone();
        ts_ns: i64, Ns, All, "start", "start, in the trace's own time", of.row.span.start_ns;
        dur_ns: i64, Ns, All, "length", "length of the stretch", of.row.span.len_ns();
        bytes: u64, Bytes, All, "bytes", "bytes moved in it", of.row.bytes;
    }

    /// Collectives of one group, operation, type and size.
    CollectiveRow of CollectiveClass as class: "collectives", "Collectives", "How fast were collectives, and how much waiting is in them?", groups 0, shown Always {
        stage: Option<u32>, Count, Room, "stage", "stage of the group", class.stage;
        group: Option<String>, Text, Room, "group", "process group", class.group.clone();
        group_description: Option<String>, Text, Request, "description", "its description", class.group_description.clone();
        group_size: Option<u32>, Count, All, "ranks", "ranks in the group", class.group_size;
        operation: Option<&'static str>, Text, All, "operation", "what it does; without arguments, what the range around its launch or its name tells", class.operation.map(|o| o.as_str());
        dtype: Option<String>, Text, All, "dtype", "element type", class.dtype.clone();
        bytes: Option<u64>, Bytes, All, "bytes", "size as nccl-tests counts it", class.bytes;
        count: u64, Count, All, "count", "instances; one that several ranks show counts once", class.count;
        matched: u64, Count, Room, "matched", "instances matched over ranks", class.n_matched;
        kernels: u64, Count, Request, "kernels", "kernels over all inputs", class.n_kernels;
        sum_ns: i64, Ns, Room, "time", "sum of the kernels' durations", class.sum_ns;
        median_ns: i64, Ns, All, "median", "the median instance, by its fastest rank", class.median_ns;
        max_ns: i64, Ns, Room, "max", "the longest instance, by its fastest rank", class.max_ns;
        skew_ns: Option<i64>, Ns, All, "skew", "time beyond the fastest rank's, over all inputs", class.skew_ns;
        busy_ns: i64, Ns, Request, "busy", "time in which one runs, over all devices", class.busy_ns;
        exposed_ns: i64, Ns, All, "exposed", "of that, while no compute kernel runs", class.exposed_ns;
        algorithm_gb_per_s: Option<f64>, Rate, All, "algbw GB/s", "median algorithm bandwidth", class.algorithm.median_gb_per_s;
        bus_gb_per_s: Option<f64>, Rate, All, "busbw GB/s", "median bus bandwidth", class.median_bus_gb_per_s();
        name: String, Text, Room / Last, "name or why no size", "name as written, and why no size is known", name_and_reason(class);
    }

    /// One input's waiting in matched collectives.
    RankWaitRow of RankWait as rank: "rank_waits", "Waiting for other ranks", "How long did each rank wait for others in collectives?", groups 0 {
        input: usize, Count, All, "#", "number of the input", rank.input;
        count: u64, Count, All, "collectives", "instances matched over ranks", rank.count;
        sum_ns: i64, Ns, All, "time", "sum of its kernels' durations", rank.sum_ns;
        wait_ns: i64, Ns, All, "waiting", "time beyond the fastest rank of each", rank.wait_ns;
        wait_pct: Option<f64>, Percent, All, "share", "waiting, of the time", percent(rank.wait_ns, rank.sum_ns);
        last_to_arrive: u64, Count, All, "last", "instances in which it was the fastest, so the last to arrive", rank.n_fastest;
    }

    /// One of the slowest collectives.
    InstanceRow of OfClass<'_> as of: "slowest", "Slowest collectives", "Which single collectives took longest?", groups 0, shown Folded {
        max_ns: i64, Ns, All, "longest", "the longest rank", of.instance.max_ns();
        min_ns: Option<i64>, Ns, All, "shortest", "the shortest rank, where several were matched", of.min_ns();
        last_input: Option<usize>, Count, All, "last #", "input of the shortest rank: the last to arrive", of.last_input();
        bytes: Option<u64>, Bytes, All, "bytes", "size as nccl-tests counts it", of.class.bytes;
        number: u64, Count, All, "n", "number within its class, from 0", of.instance.number;
        name: String, Text, All / Subject, "name", "name as written", of.class.name.clone();
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
    pub fn tables(&self) -> Vec<Source<'_>> {
        vec![
            Source::of(&self.inputs).shown(Shown::Always),
            Source::of(&self.directions).with(|table| noted(table, "", NO_COPIES)),
            Source::of(&self.copies).with(|table| noted(table, GB_PER_S, "")),
            Source::of(&self.peers),
            Source::of(&self.peers).named("peer_matrix", PEER_MATRIX),
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
            let is_uneven = matches!(row.operation, Some("reduce" | "all_to_all" | "send_recv"));
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
    Table::view(&schema::Table::of(&moved))
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

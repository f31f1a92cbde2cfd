//! Transfers: copies by route and size, collectives, peers, call sites. GB/s is 10^9 bytes a second everywhere.

use serde::Serialize;

use super::{Cell, Column, InputRow, IssueRow, SCHEMA_VERSION, Table, TableRow, Unit, percent};
use crate::analyze::collectives::{CollectiveClass, Collectives, Instance, RankWait};
use crate::analyze::copies::{
    BUCKET_NAMES, CallSite, Copies, CopyClass, DirectionTime, PeerPair, Route, SeriesBin,
};
use crate::analyze::rates::RateSummary;

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
}

impl BandwidthReport {
    /// An empty report.
    pub fn new() -> Self {
        Self { schema_version: SCHEMA_VERSION, command: "bandwidth", ..Self::default() }
    }

    /// Adds what one input's copies are.
    pub fn add_copies(&mut self, input: usize, copies: Copies) {
        let Copies { classes, directions, pairs, sites, series } = copies;
        self.directions.extend(directions.into_iter().map(|row| DirectionRow::of(input, row)));
        self.copies.extend(classes.into_iter().map(|row| CopyRow::of(input, row)));
        self.peers.extend(pairs.into_iter().map(|row| PeerRow::of(input, &row)));
        self.call_sites.extend(sites.into_iter().map(|row| CallSiteRow::of(input, row)));
        self.series.extend(series.into_iter().map(|row| SeriesRow::of(input, row)));
    }

    /// Adds the collectives of all inputs.
    pub fn add_collectives(&mut self, all: Collectives) {
        self.slowest = all.slowest.iter().map(|i| InstanceRow::of(i, &all.classes)).collect();
        self.rank_waits = all.ranks.iter().map(RankWaitRow::of).collect();
        self.collectives = all.classes.into_iter().map(CollectiveRow::of).collect();
    }

    /// The tables in the order of reading.
    pub fn tables(&self) -> Vec<Table> {
        let note = |table: Table, note: &str| {
            if table.rows.is_empty() { table.with_note(note) } else { table }
        };
        let copies = Table::of("copies", "Copies and memsets by route and size", &self.copies)
            .with_note("GB/s are 10^9 bytes a second; p95 and best are single copies")
            .with_note("the share of the peak is of the link's traffic: a copy within a device reads and writes");
        let collectives = Table::of("collectives", "Collectives", &self.collectives)
            .with_note("algorithm and bus bandwidth as nccl-tests defines them; a matched instance takes the time of its fastest rank");
        vec![
            Table::of("inputs", "Inputs", &self.inputs),
            note(Table::of("directions", "Copies by direction", &self.directions), NO_COPIES),
            if self.copies.is_empty() { Table::of("copies", "Copies", &self.copies) } else { copies },
            Table::of("peers", "Between devices", &self.peers),
            Table::of("call_sites", "Where copies come from", &self.call_sites),
            if self.collectives.is_empty() {
                Table::of("collectives", "Collectives", &self.collectives).with_note(NO_COLLECTIVES)
            } else {
                collectives
            },
            Table::of("rank_waits", "Waiting for other ranks", &self.rank_waits),
            Table::of("slowest", "Slowest collectives", &self.slowest),
            Table::of("issues", "Issues", &self.issues),
        ]
    }
}

const NO_COPIES: &str = "no copy or memset was recorded";
const NO_COLLECTIVES: &str = "no communication kernel was recorded";

/// Copies of one input, device and direction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DirectionRow {
    /// Number of the input.
    pub input: usize,
    /// Device index.
    pub device: Option<u32>,
    /// `HtoD`, `DtoH`, `DtoD`, `PtoP`, `HtoH`, `Memset` or `unknown`.
    pub direction: String,
    /// Copies.
    pub count: u64,
    /// Copies that state no size.
    pub without_bytes: u64,
    /// Bytes of the others.
    pub bytes: Option<u64>,
    /// Sum of durations.
    pub sum_ns: i64,
    /// Time in which at least one runs.
    pub busy_ns: i64,
    /// Of that, time that kernels of the device cover.
    pub overlapped_ns: i64,
    /// The rest.
    pub exposed_ns: i64,
    /// The link's peak.
    pub peak_gb_per_s: Option<f64>,
}

impl DirectionRow {
    fn of(input: usize, row: DirectionTime) -> Self {
        Self {
            input,
            device: row.device,
            direction: row.direction,
            count: row.count,
            without_bytes: row.n_without_bytes,
            bytes: row.bytes,
            sum_ns: row.sum_ns,
            busy_ns: row.busy_ns,
            overlapped_ns: row.overlapped_ns,
            exposed_ns: row.exposed_ns,
            peak_gb_per_s: row.peak_gb_per_s,
        }
    }
}

const INPUT: Column = Column::new("#", "input", Unit::Count, "number of the input");
const DEVICE: Column = Column::new("device", "device", Unit::Count, "device index");
const COUNT: Column = Column::new("count", "count", Unit::Count, "how many");
const BYTES: Column = Column::new("bytes", "bytes", Unit::Bytes, "bytes of those that state a size");
const SUM: Column = Column::new("time", "sum_ns", Unit::Ns, "sum of the durations");

impl TableRow for DirectionRow {
    const COLUMNS: &'static [Column] = &[
        INPUT,
        DEVICE,
        Column::new("direction", "direction", Unit::Text, "from where to where"),
        COUNT,
        Column::new("no size", "without_bytes", Unit::Count, "copies that state no size"),
        BYTES,
        SUM,
        Column::new("busy", "busy_ns", Unit::Ns, "time in which at least one runs"),
        Column::new("overlapped", "overlapped_ns", Unit::Ns, "busy while a kernel of the device runs"),
        Column::new("exposed", "exposed_ns", Unit::Ns, "busy while no kernel of the device runs"),
        Column::new("exposed %", "exposed_pct", Unit::Percent, "exposed, of busy"),
        Column::new("peak", "peak_gb_per_s", Unit::GbPerS, "the link's peak by its datasheet"),
    ];
    const N_GROUP_COLUMNS: usize = 1;

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Count(self.input as u64),
            Cell::or_none(self.device, |device| Cell::Count(device.into())),
            Cell::Text(self.direction.clone()),
            Cell::Count(self.count),
            Cell::Count(self.without_bytes),
            Cell::or_none(self.bytes, Cell::Bytes),
            Cell::Ns(self.sum_ns),
            Cell::Ns(self.busy_ns),
            Cell::Ns(self.overlapped_ns),
            Cell::Ns(self.exposed_ns),
            Cell::or_none(percent(self.exposed_ns, self.busy_ns), Cell::Percent),
            Cell::or_none(self.peak_gb_per_s, Cell::GbPerS),
        ]
    }
}

/// Copies of one input, device, route and size.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CopyRow {
    /// Number of the input.
    pub input: usize,
    /// Device index.
    pub device: Option<u32>,
    /// Direction.
    pub direction: String,
    /// Kind of the source memory.
    pub source: Option<String>,
    /// Kind of the destination memory.
    pub destination: Option<String>,
    /// Size bucket; `None` for copies that state no size.
    pub size: Option<&'static str>,
    /// Copies.
    pub count: u64,
    /// Bytes.
    pub bytes: Option<u64>,
    /// Sum of durations.
    pub sum_ns: i64,
    /// Bytes over time, of all.
    pub mean_gb_per_s: Option<f64>,
    /// Median copy.
    pub median_gb_per_s: Option<f64>,
    /// 95th percentile.
    pub p95_gb_per_s: Option<f64>,
    /// Best copy.
    pub best_gb_per_s: Option<f64>,
    /// Mean traffic of the link over its peak.
    pub peak_pct: Option<f64>,
}

impl CopyRow {
    fn of(input: usize, class: CopyClass) -> Self {
        let RateSummary { mean_gb_per_s, median_gb_per_s, p95_gb_per_s, best_gb_per_s } = class.rates;
        let Route { direction, source, destination } = class.route;
        Self {
            input,
            device: class.device,
            direction,
            source,
            destination,
            size: class.bucket.map(|bucket| BUCKET_NAMES[bucket]),
            count: class.count,
            bytes: class.bytes,
            sum_ns: class.sum_ns,
            mean_gb_per_s,
            median_gb_per_s,
            p95_gb_per_s,
            best_gb_per_s,
            peak_pct: class.peak_pct,
        }
    }
}

/// `HtoD Pageable -> Device`
fn route_text(direction: &str, source: Option<&str>, destination: Option<&str>) -> String {
    match (source, destination) {
        (Some(from), Some(to)) => format!("{direction} {from} -> {to}"),
        (None, Some(to)) => format!("{direction} {to}"),
        _ => direction.to_owned(),
    }
}

impl TableRow for CopyRow {
    const COLUMNS: &'static [Column] = &[
        INPUT,
        DEVICE,
        Column::new("route", "route", Unit::Text, "direction and kinds of memory"),
        Column::new("size", "size", Unit::Text, "size of one copy"),
        COUNT,
        BYTES,
        SUM,
        Column::new("mean", "mean_gb_per_s", Unit::GbPerS, "bytes over time, of all"),
        Column::new("median", "median_gb_per_s", Unit::GbPerS, "the median copy, nearest rank"),
        Column::new("p95", "p95_gb_per_s", Unit::GbPerS, "the 95th percentile, nearest rank"),
        Column::new("best", "best_gb_per_s", Unit::GbPerS, "the best copy"),
        Column::new("of peak", "peak_pct", Unit::Percent, "mean traffic of the link over its peak"),
    ];
    const N_GROUP_COLUMNS: usize = 1;

    fn cells(&self) -> Vec<Cell> {
        let rate = |value: Option<f64>| Cell::or_none(value, Cell::GbPerS);
        vec![
            Cell::Count(self.input as u64),
            Cell::or_none(self.device, |device| Cell::Count(device.into())),
            Cell::Text(route_text(
                &self.direction,
                self.source.as_deref(),
                self.destination.as_deref(),
            )),
            Cell::or_none(self.size, |size| Cell::Text(size.to_owned())),
            Cell::Count(self.count),
            Cell::or_none(self.bytes, Cell::Bytes),
            Cell::Ns(self.sum_ns),
            rate(self.mean_gb_per_s),
            rate(self.median_gb_per_s),
            rate(self.p95_gb_per_s),
            rate(self.best_gb_per_s),
            Cell::or_none(self.peak_pct, Cell::Percent),
        ]
    }
}

/// Copies from one device to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PeerRow {
    /// Number of the input.
    pub input: usize,
    /// Source device.
    pub from_device: u32,
    /// Destination device.
    pub to_device: u32,
    /// Copies.
    pub count: u64,
    /// Bytes.
    pub bytes: u64,
    /// Sum of durations.
    pub sum_ns: i64,
    /// Bytes over time.
    pub mean_gb_per_s: Option<f64>,
    /// Best copy.
    pub best_gb_per_s: Option<f64>,
}

impl PeerRow {
    fn of(input: usize, pair: &PeerPair) -> Self {
        Self {
            input,
            from_device: pair.from_device,
            to_device: pair.to_device,
            count: pair.count,
            bytes: pair.bytes,
            sum_ns: pair.sum_ns,
            mean_gb_per_s: pair.rates.mean_gb_per_s,
            best_gb_per_s: pair.rates.best_gb_per_s,
        }
    }
}

impl TableRow for PeerRow {
    const COLUMNS: &'static [Column] = &[
        INPUT,
        Column::new("from", "from_device", Unit::Count, "source device"),
        Column::new("to", "to_device", Unit::Count, "destination device"),
        COUNT,
        BYTES,
        SUM,
        Column::new("mean", "mean_gb_per_s", Unit::GbPerS, "bytes over time"),
        Column::new("best", "best_gb_per_s", Unit::GbPerS, "the best copy"),
    ];
    const N_GROUP_COLUMNS: usize = 1;

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Count(self.input as u64),
            Cell::Count(self.from_device.into()),
            Cell::Count(self.to_device.into()),
            Cell::Count(self.count),
            Cell::Bytes(self.bytes),
            Cell::Ns(self.sum_ns),
            Cell::or_none(self.mean_gb_per_s, Cell::GbPerS),
            Cell::or_none(self.best_gb_per_s, Cell::GbPerS),
        ]
    }
}

/// Where copies were launched.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallSiteRow {
    /// Number of the input.
    pub input: usize,
    /// Direction and kinds of memory.
    pub route: String,
    /// Innermost operator.
    pub op: Option<String>,
    /// Innermost Python frame.
    pub frame: Option<String>,
    /// Copies.
    pub count: u64,
    /// Bytes.
    pub bytes: Option<u64>,
    /// Sum of durations on the device.
    pub sum_ns: i64,
}

impl CallSiteRow {
    fn of(input: usize, site: CallSite) -> Self {
        let Route { direction, source, destination } = &site.route;
        Self {
            input,
            route: route_text(direction, source.as_deref(), destination.as_deref()),
            op: site.op,
            frame: site.frame,
            count: site.count,
            bytes: site.bytes,
            sum_ns: site.sum_ns,
        }
    }
}

impl TableRow for CallSiteRow {
    const COLUMNS: &'static [Column] = &[
        INPUT,
        Column::new("route", "route", Unit::Text, "direction and kinds of memory"),
        COUNT,
        BYTES,
        SUM,
        Column::new("operator", "op", Unit::Text, "innermost operator around the launching call"),
        Column::new("frame", "frame", Unit::Text, "innermost Python frame around it"),
    ];
    const N_GROUP_COLUMNS: usize = 1;

    fn cells(&self) -> Vec<Cell> {
        let text = |value: &Option<String>| Cell::or_none(value.clone(), Cell::Text);
        vec![
            Cell::Count(self.input as u64),
            Cell::Text(self.route.clone()),
            Cell::Count(self.count),
            Cell::or_none(self.bytes, Cell::Bytes),
            Cell::Ns(self.sum_ns),
            text(&self.op),
            text(&self.frame),
        ]
    }
}

/// Bytes of one direction in one stretch of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeriesRow {
    /// Number of the input.
    pub input: usize,
    /// Direction.
    pub direction: String,
    /// Start, in the trace's own time.
    pub ts_ns: i64,
    /// Length.
    pub dur_ns: i64,
    /// Bytes moved in it.
    pub bytes: u64,
}

impl SeriesRow {
    fn of(input: usize, bin: SeriesBin) -> Self {
        Self {
            input,
            direction: bin.direction,
            ts_ns: bin.span.start_ns,
            dur_ns: bin.span.len_ns(),
            bytes: bin.bytes,
        }
    }
}

/// Collectives of one group, operation, type and size.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CollectiveRow {
    /// Stage of the group.
    pub stage: Option<u32>,
    /// Process group.
    pub group: Option<String>,
    /// Its description.
    pub group_description: Option<String>,
    /// Ranks in it.
    pub group_size: Option<u32>,
    /// `all_reduce`, …; `None` for a kernel without arguments.
    pub operation: Option<&'static str>,
    /// The name as written, or the kernel's.
    pub name: String,
    /// Element type.
    pub dtype: Option<String>,
    /// Size as nccl-tests counts it.
    pub bytes: Option<u64>,
    /// Why there is no size.
    pub no_size_because: Option<&'static str>,
    /// Instances.
    pub count: u64,
    /// Instances matched over ranks.
    pub matched: u64,
    /// Kernels over all inputs.
    pub kernels: u64,
    /// Sum of their durations.
    pub sum_ns: i64,
    /// Median instance.
    pub median_ns: i64,
    /// Longest instance.
    pub max_ns: i64,
    /// Time beyond the fastest rank's, over all inputs.
    pub skew_ns: Option<i64>,
    /// Time in which one runs.
    pub busy_ns: i64,
    /// Of that, while no compute kernel runs.
    pub exposed_ns: i64,
    /// Median algorithm bandwidth.
    pub algorithm_gb_per_s: Option<f64>,
    /// Median bus bandwidth.
    pub bus_gb_per_s: Option<f64>,
}

impl CollectiveRow {
    fn of(class: CollectiveClass) -> Self {
        Self {
            bus_gb_per_s: class.median_bus_gb_per_s(),
            algorithm_gb_per_s: class.algorithm.median_gb_per_s,
            stage: class.stage,
            group: class.group,
            group_description: class.group_description,
            group_size: class.group_size,
            operation: class.operation.map(|operation| operation.as_str()),
            name: class.name,
            dtype: class.dtype,
            bytes: class.bytes,
            no_size_because: class.no_size_because,
            count: class.count,
            matched: class.n_matched,
            kernels: class.n_kernels,
            sum_ns: class.sum_ns,
            median_ns: class.median_ns,
            max_ns: class.max_ns,
            skew_ns: class.skew_ns,
            busy_ns: class.busy_ns,
            exposed_ns: class.exposed_ns,
        }
    }
}

impl TableRow for CollectiveRow {
    const COLUMNS: &'static [Column] = &[
        Column::new("group", "group", Unit::Text, "process group"),
        Column::new("ranks", "group_size", Unit::Count, "ranks in the group"),
        Column::new("operation", "operation", Unit::Text, "what it does"),
        Column::new("dtype", "dtype", Unit::Text, "element type"),
        Column::new("bytes", "bytes", Unit::Bytes, "size as nccl-tests counts it"),
        Column::new("count", "count", Unit::Count, "instances"),
        Column::new("matched", "matched", Unit::Count, "instances matched over ranks"),
        Column::new("median", "median_ns", Unit::Ns, "the median instance, nearest rank"),
        Column::new("max", "max_ns", Unit::Ns, "the longest instance"),
        Column::new("skew", "skew_ns", Unit::Ns, "time beyond the fastest rank's, over all inputs"),
        Column::new("exposed", "exposed_ns", Unit::Ns, "while no compute kernel ran"),
        Column::new("algbw", "algorithm_gb_per_s", Unit::GbPerS, "median algorithm bandwidth"),
        Column::new("busbw", "bus_gb_per_s", Unit::GbPerS, "median bus bandwidth"),
        Column::new("name or why no size", "name", Unit::Text, "name as written, and why no size is known"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let text = |value: &Option<String>| Cell::or_none(value.clone(), Cell::Text);
        let name = match self.no_size_because {
            Some(why) => format!("{} ({why})", self.name),
            None => self.name.clone(),
        };
        vec![
            text(&self.group),
            Cell::or_none(self.group_size, |n| Cell::Count(n.into())),
            Cell::or_none(self.operation, |operation| Cell::Text(operation.to_owned())),
            text(&self.dtype),
            Cell::or_none(self.bytes, Cell::Bytes),
            Cell::Count(self.count),
            Cell::Count(self.matched),
            Cell::Ns(self.median_ns),
            Cell::Ns(self.max_ns),
            Cell::or_none(self.skew_ns, Cell::Ns),
            Cell::Ns(self.exposed_ns),
            Cell::or_none(self.algorithm_gb_per_s, Cell::GbPerS),
            Cell::or_none(self.bus_gb_per_s, Cell::GbPerS),
            Cell::Text(name),
        ]
    }
}

/// One input's waiting in matched collectives.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RankWaitRow {
    /// Number of the input.
    pub input: usize,
    /// Matched instances.
    pub count: u64,
    /// Sum of its kernels' durations.
    pub sum_ns: i64,
    /// Of that, beyond the fastest rank.
    pub wait_ns: i64,
    /// That as a share.
    pub wait_pct: Option<f64>,
    /// Instances in which it was the last to arrive.
    pub last_to_arrive: u64,
}

impl RankWaitRow {
    fn of(rank: &RankWait) -> Self {
        Self {
            input: rank.input,
            count: rank.count,
            sum_ns: rank.sum_ns,
            wait_ns: rank.wait_ns,
            wait_pct: percent(rank.wait_ns, rank.sum_ns),
            last_to_arrive: rank.n_fastest,
        }
    }
}

impl TableRow for RankWaitRow {
    const COLUMNS: &'static [Column] = &[
        INPUT,
        Column::new("collectives", "count", Unit::Count, "instances matched over ranks"),
        SUM,
        Column::new("waiting", "wait_ns", Unit::Ns, "time beyond the fastest rank of each"),
        Column::new("share", "wait_pct", Unit::Percent, "waiting, of the time"),
        Column::new("last", "last_to_arrive", Unit::Count, "instances in which it was the fastest, so the last to arrive"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Count(self.input as u64),
            Cell::Count(self.count),
            Cell::Ns(self.sum_ns),
            Cell::Ns(self.wait_ns),
            Cell::or_none(self.wait_pct, Cell::Percent),
            Cell::Count(self.last_to_arrive),
        ]
    }
}

/// One of the slowest collectives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstanceRow {
    /// Name as written.
    pub name: String,
    /// Size.
    pub bytes: Option<u64>,
    /// Its number within its class.
    pub number: u64,
    /// The longest rank.
    pub max_ns: i64,
    /// The shortest rank; `None` where only one rank was read.
    pub min_ns: Option<i64>,
    /// Input of the shortest rank: the last to arrive.
    pub last_input: Option<usize>,
}

impl InstanceRow {
    fn of(instance: &Instance, classes: &[CollectiveClass]) -> Self {
        let class = &classes[instance.class];
        let is_matched = instance.ranks.len() > 1;
        let fastest = instance.ranks.iter().min_by_key(|rank| rank.dur_ns);
        Self {
            name: class.name.clone(),
            bytes: class.bytes,
            number: instance.number,
            max_ns: instance.max_ns(),
            min_ns: is_matched.then(|| instance.min_ns()),
            last_input: fastest.filter(|_| is_matched).map(|rank| rank.input),
        }
    }
}

impl TableRow for InstanceRow {
    const COLUMNS: &'static [Column] = &[
        Column::new("longest", "max_ns", Unit::Ns, "the longest rank"),
        Column::new("shortest", "min_ns", Unit::Ns, "the shortest rank"),
        Column::new("last #", "last_input", Unit::Count, "input of the shortest rank: the last to arrive"),
        BYTES,
        Column::new("n", "number", Unit::Count, "number within its class, from 0"),
        Column::new("name", "name", Unit::Text, "name as written"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Ns(self.max_ns),
            Cell::or_none(self.min_ns, Cell::Ns),
            Cell::or_none(self.last_input, |input| Cell::Count(input as u64)),
            Cell::or_none(self.bytes, Cell::Bytes),
            Cell::Count(self.number),
            Cell::Text(self.name.clone()),
        ]
    }
}

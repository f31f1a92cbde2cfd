//! Across inputs: who waited for whom, who comes late, and on which clock that is said.

use serde::Serialize;

use super::{Cell, Column, Table, TableRow, Unit, percent};
use crate::analyze::blame::{Blame, BlameCell, BlameRow as Waiting, Straggler};
use crate::analyze::clock::{ClockCheck, ClockSource, Placed, Placement};
use crate::schema::{self, Place, Source, tables};

/// How one input came on the common time line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlacementRow {
    /// Number of the input.
    pub input: usize,
    /// `base_time`, `absolute`, `collectives` or `handoffs` (an estimate) or `none` (it takes no part).
    pub placement: &'static str,
    /// What is added to its timestamps to have Unix time; `None` where nothing is known.
    pub offset_ns: Option<i64>,
    /// The input that its clock was compared with, itself where others were compared with it.
    pub reference: Option<usize>,
    /// Shared collectives or hand-offs.
    pub n_matched: Option<u64>,
    /// By how much its times may be wrong against the reference's after correction; `None` where nothing was shared.
    pub error_ns: Option<i64>,
    /// The part of the offset that corrects a clock; 0 where the clocks are not apart by more than the error.
    pub correction_ns: i64,
    /// Number of the run that it is of, from 0.
    pub run: u32,
}

impl PlacementRow {
    /// The row of an input.
    pub fn of(input: usize, placed: &Placed, run: u32) -> Self {
        let placement = match placed.placement {
            Placement::BaseTime => "base_time",
            Placement::Absolute => "absolute",
            Placement::Estimate(ClockSource::Collectives) => "collectives",
            Placement::Estimate(ClockSource::HandOffs) => "handoffs",
            Placement::None => "none",
        };
        Self {
            input,
            placement,
            offset_ns: (placed.placement != Placement::None).then_some(placed.offset_ns),
            reference: placed.reference,
            n_matched: placed.n_matched,
            error_ns: placed.error_ns,
            correction_ns: placed.correction_ns,
            run,
        }
    }
}

/// How well the clocks of two inputs agree, by the ends of the collectives that they share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClockRow {
    /// The input that the other one is held against.
    pub reference: usize,
    /// The other one.
    pub input: usize,
    /// Shared collectives.
    pub n_matched: u64,
    /// Median of the other's ends less the first one's, as the clocks were.
    pub median_ns: i64,
    /// Largest distance of a single difference from the median.
    pub spread_ns: i64,
}

impl From<&ClockCheck> for ClockRow {
    fn from(check: &ClockCheck) -> Self {
        let ClockCheck { reference, input, n_matched, median_ns, spread_ns } = *check;
        Self { reference, input, n_matched, median_ns, spread_ns }
    }
}

tables! {
    /// One input, while another one waited.
    BlameCellRow: "blame", "Who was busy while one waited for another process", "Who was busy while one input waited for another process?", groups 3, inside "blame" "busy" {
        #[serde(skip)]
        input: usize, Count, All, "#", "number of the input that waited";
        #[serde(skip)]
        wait_ns: Option<i64>, Ns, All, "waited", "IPC wait of its work threads, as a union";
        #[serde(skip)]
        nobody_ns: Option<i64>, Ns, All, "nobody", "of the wait, when no input that was recorded was busy";
        #[serde(rename = "input")]
        other: usize, Count, All, "other", "number of the other input: in the machine output `input` of `busy`";
        busy_ns: i64, Ns, All, "busy", "of the wait, when the other was busy";
        busy_pct: Option<f64>, Percent, All, "share", "busy, of the wait";
        device_ns: i64, Ns, All, "device", "the other's devices were busy";
        host_ns: i64, Ns, All, "host only", "its work threads were, its devices not";
        unrecorded_ns: i64, Ns, All, "unrecorded", "the other was not recorded";
        error_ns: Option<i64>, Ns, All, "± clocks", "by how much the two clocks may be apart";
    }
}

/// Who was busy while one input waited, as the machine output gives it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BlameRow {
    /// The input that waited.
    pub input: usize,
    /// IPC wait of its work threads, as a union; `None` where no Python frames or annotations show waits.
    pub wait_ns: Option<i64>,
    /// Of it, when no input that was recorded at the time was busy.
    pub nobody_ns: Option<i64>,
    /// The inputs on the common time line, itself included.
    pub busy: Vec<BlameCellRow>,
}

impl From<&Waiting> for BlameRow {
    fn from(row: &Waiting) -> Self {
        let nobody_ns = row.wait_ns.map(|_| row.nobody_ns);
        let cell = |cell: &BlameCell| BlameCellRow {
            input: row.input,
            wait_ns: row.wait_ns,
            nobody_ns,
            other: cell.input,
            busy_ns: cell.busy_ns(),
            busy_pct: row.wait_ns.and_then(|wait| percent(cell.busy_ns(), wait)),
            device_ns: cell.device_ns,
            host_ns: cell.host_ns,
            unrecorded_ns: cell.unrecorded_ns,
            error_ns: cell.error_ns,
        };
        Self {
            input: row.input,
            wait_ns: row.wait_ns,
            nobody_ns,
            busy: row.cells.iter().map(cell).collect(),
        }
    }
}

/// One line of the blame table.
struct BlameLine {
    input: usize,
    wait_ns: i64,
    busy_ns: i64,
    device_ns: Option<i64>,
    host_ns: Option<i64>,
    unrecorded_ns: Option<i64>,
    error_ns: Option<i64>,
    who: String,
}

impl TableRow for BlameLine {
    const N_GROUP_COLUMNS: usize = 2;
    const COLUMNS: &'static [Column] = &[
        Column::new("#", "input", Unit::Count, "number of the input that waited"),
        Column::new("waited", "wait_ns", Unit::Ns, "IPC wait of its work threads, as a union"),
        Column::new("busy", "busy_ns", Unit::Ns, "of the wait, when the other was busy"),
        Column::new("share", "busy_pct", Unit::Percent, "busy, of the wait"),
        Column::new("device", "device_ns", Unit::Ns, "the other's devices were busy"),
        Column::new("host only", "host_ns", Unit::Ns, "its work threads were, its devices not"),
        Column::new("unrecorded", "unrecorded_ns", Unit::Ns, "the other was not recorded"),
        Column::new("± clocks", "error_ns", Unit::Ns, "by how much the two clocks may be apart"),
        Column::new("who was busy meanwhile", "who", Unit::Text, "the other input"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let ns = |ns| Cell::or_none(ns, Cell::Ns);
        vec![
            Cell::Count(self.input as u64),
            Cell::Ns(self.wait_ns),
            Cell::Ns(self.busy_ns),
            Cell::or_none(percent(self.busy_ns, self.wait_ns), Cell::Percent),
            ns(self.device_ns),
            ns(self.host_ns),
            ns(self.unrecorded_ns),
            ns(self.error_ns),
            Cell::Text(self.who.clone()),
        ]
    }
}

tables! {
    /// One rank's way to the collectives that it shares with others.
    StragglerRow: "stragglers", "Who comes late to shared collectives", "Which rank comes late to shared collectives?", groups 0 {
        input: usize, Count, All, "#", "number of the input";
        n_matched: u64, Count, All, "shared", "collectives that another input shows";
        n_last: u64, Count, All, "last", "how often it was the last to start";
        last_pct: f64, Percent, Room, "last %", "of the shared collectives";
        behind_first_ns: i64, Ns, All, "behind first", "when last: after the first, sum";
        max_behind_first_ns: i64, Ns, Room, "at most", "when last: after the first, at most";
        caused_wait_ns: i64, Ns, All, "others waited", "what all others waited for it";
        own_wait_ns: i64, Ns, All, "it waited", "what it waited for the last";
        error_ns: Option<i64>, Ns, All, "± clocks", "a single difference may be wrong by this much";
    }
}

impl From<&Straggler> for StragglerRow {
    fn from(row: &Straggler) -> Self {
        Self {
            input: row.input,
            n_matched: row.n_matched,
            n_last: row.n_last,
            last_pct: row.n_last as f64 * 100.0 / row.n_matched.max(1) as f64,
            behind_first_ns: row.behind_first_ns,
            max_behind_first_ns: row.max_behind_first_ns,
            caused_wait_ns: row.caused_wait_ns,
            own_wait_ns: row.own_wait_ns,
            error_ns: row.error_ns,
        }
    }
}

/// The figures across inputs, as the machine output gives them. Empty for one input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Across {
    /// See [`PlacementRow`].
    pub placements: Vec<PlacementRow>,
    /// See [`ClockRow`].
    pub clocks: Vec<ClockRow>,
    /// See [`BlameRow`].
    pub blame: Vec<BlameRow>,
    /// See [`StragglerRow`].
    pub stragglers: Vec<StragglerRow>,
}

impl Across {
    /// The rows; `runs` gives the number of each input's run.
    pub fn of(blame: &Blame, runs: &[u32]) -> Self {
        let placed = blame.placed.iter().zip(runs).enumerate();
        Self {
            placements: placed
                .map(|(i, (placed, &run))| PlacementRow::of(i, placed, run))
                .collect(),
            clocks: blame.clocks.iter().map(ClockRow::from).collect(),
            blame: blame.rows.iter().map(BlameRow::from).collect(),
            stragglers: blame.stragglers.iter().map(StragglerRow::from).collect(),
        }
    }
}

/// What it means that most of a wait has nobody to blame.
const ELSEWHERE: &str = "where nobody was busy, what was waited for is in none of these files: an engine core, \
                         a client, the next request";

/// What it means that a clock has no error.
const CLOCKS_NOT_COMPARED: &str = "where ± clocks has no value, no collective and no hand-off tells how far two clocks are \
                                   apart: times are compared as recorded";

/// Who waited for whom; `who` names an input.
pub(super) fn blame_view(rows: &[BlameRow], who: impl Fn(usize) -> String) -> Table {
    let mut lines = Vec::new();
    for row in rows {
        let Some(wait_ns) = row.wait_ns.filter(|&ns| ns != 0) else { continue };
        // A thread that waits does not work, so that the input itself is news only where its device was busy.
        let is_news = |cell: &&BlameCellRow| cell.other != row.input || cell.busy_ns != 0;
        lines.extend(row.busy.iter().filter(is_news).map(|cell| BlameLine {
            input: row.input,
            wait_ns,
            busy_ns: cell.busy_ns,
            device_ns: Some(cell.device_ns),
            host_ns: Some(cell.host_ns),
            unrecorded_ns: Some(cell.unrecorded_ns),
            error_ns: cell.error_ns,
            who: match who(cell.other) {
                name if cell.other == row.input => format!("{name} (itself)"),
                name => name,
            },
        }));
        lines.push(BlameLine {
            input: row.input,
            wait_ns,
            busy_ns: row.nobody_ns.unwrap_or(0),
            device_ns: None,
            host_ns: None,
            unrecorded_ns: None,
            error_ns: None,
            who: "nobody that was recorded".to_owned(),
        });
    }
    let mut table = Table::of("blame", "Who was busy while one waited for another process", &lines);
    let is_open = |row: &BlameRow| row.nobody_ns.zip(row.wait_ns).is_some_and(|(n, w)| n * 2 > w);
    if rows.iter().any(is_open) {
        table = table.with_note(ELSEWHERE);
    }
    let blind = rows.iter().filter(|row| row.wait_ns.is_none());
    let blind: Vec<String> = blind.map(|row| format!("#{}", row.input)).collect();
    if !blind.is_empty() {
        let note = format!("waits are not recorded for {}: no Python frames", blind.join(", "));
        table = table.with_note(note);
    }
    let cells = rows.iter().flat_map(|row| &row.busy);
    if cells.into_iter().any(|cell| cell.error_ns.is_none()) {
        table = table.with_note(CLOCKS_NOT_COMPARED);
    }
    table
}

/// What each input's waits were beside.
pub(super) fn blame(rows: &[BlameRow]) -> Source<'_> {
    Source::some(rows.iter().flat_map(|row| &row.busy).collect())
}

/// Which rank comes late; `who` names an input.
pub(super) fn straggler_view(
    table: &schema::Table,
    rows: &[StragglerRow],
    who: impl Fn(usize) -> String,
) -> Table {
    let mut table = Table::view(table);
    let column = Column::new("who", "who", Unit::Text, "the input");
    table.columns.push(Column { place: Place::Subject, ..column });
    let cells = rows.iter().zip(&mut table.rows);
    cells.for_each(|(row, cells)| cells.push(Cell::Text(who(row.input))));
    table
}

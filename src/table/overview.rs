//! The overview timeline as data for a page, and its sums as a table for those who do not see it.

use serde::Serialize;
use serde::ser::{SerializeSeq as _, Serializer};

use super::{Cell, Column, Table, TableRow, Unit, percent};
use crate::analyze::overview::{DEVICE_CLASSES, ITERATION_CLASSES, LaneKind, Overview, Piece};
use crate::analyze::timeline::Class;

/// The overview, as the page's script reads it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OverviewData {
    /// From the first start to the last end.
    pub len_ns: i64,
    /// Names of the classes of each kind of lane.
    pub classes: OverviewClasses,
    /// The lanes.
    pub lanes: Vec<LaneData>,
    /// Sentences about what it cannot show.
    #[serde(skip)]
    pub notes: Vec<String>,
}

/// Names of classes, by kind of lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OverviewClasses {
    /// Of devices.
    pub device: Vec<&'static str>,
    /// Of threads.
    pub thread: Vec<&'static str>,
    /// Of iterations.
    pub iterations: Vec<&'static str>,
}

/// One lane.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LaneData {
    /// Number of the input.
    pub input: usize,
    /// What the input is called.
    pub who: String,
    /// What the lane is called within it.
    pub name: String,
    /// `device`, `thread` or `iterations`.
    pub kind: &'static str,
    /// Start of its window after the start of the overview.
    pub start_ns: i64,
    /// Whether the pieces are segments as recorded; else they are sums over equal stretches.
    pub exact: bool,
    /// For each piece: how many parts, then class and nanoseconds of each.
    #[serde(serialize_with = "flat")]
    pub pieces: Vec<Piece>,
}

fn flat<S: Serializer>(pieces: &[Piece], serializer: S) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(None)?;
    for piece in pieces {
        list.serialize_element(&piece.parts.len())?;
        for (class, ns) in &piece.parts {
            list.serialize_element(class)?;
            list.serialize_element(ns)?;
        }
    }
    list.end()
}

impl OverviewData {
    /// The data of an overview; `who` names an input, `thread` a track of an input.
    pub fn of(
        overview: Overview,
        who: impl Fn(usize) -> String,
        thread: impl Fn(usize, usize) -> String,
    ) -> Self {
        let mut notes = Vec::new();
        if overview.n_hidden > 0 {
            let n = overview.n_hidden;
            notes.push(format!("{n} more lanes are left out; the tables have all of them"));
        }
        if !overview.unplaced.is_empty() {
            let inputs: Vec<String> = overview.unplaced.iter().map(|i| format!("#{i}")).collect();
            notes.push(format!(
                "nothing tells when {} ran; they are drawn from the left edge",
                inputs.join(", ")
            ));
        }
        let lanes = overview.lanes.into_iter().map(|lane| {
            let (kind, name) = match lane.kind {
                LaneKind::Device(Some(device)) => ("device", format!("device {device}")),
                LaneKind::Device(None) => ("device", "device".to_owned()),
                LaneKind::Thread(track) => ("thread", thread(lane.input, track)),
                LaneKind::Iterations(_) => ("iterations", "iterations".to_owned()),
            };
            LaneData {
                input: lane.input,
                who: who(lane.input),
                name,
                kind,
                start_ns: lane.start_ns,
                exact: lane.is_exact,
                pieces: lane.pieces,
            }
        });
        Self {
            len_ns: overview.len_ns,
            classes: OverviewClasses {
                device: DEVICE_CLASSES.to_vec(),
                thread: Class::ALL.map(Class::as_str).to_vec(),
                iterations: ITERATION_CLASSES.to_vec(),
            },
            lanes: lanes.collect(),
            notes,
        }
    }

    /// The sums of every lane, by class.
    pub fn table(&self) -> Table {
        let mut rows = Vec::new();
        for lane in &self.lanes {
            let classes = match lane.kind {
                "device" => &self.classes.device,
                "thread" => &self.classes.thread,
                _ => &self.classes.iterations,
            };
            let mut sums = vec![0_i64; classes.len()];
            for &(class, ns) in lane.pieces.iter().flat_map(|piece| &piece.parts) {
                sums[usize::from(class)] += ns;
            }
            let window_ns = sums.iter().sum();
            let used = classes.iter().zip(sums).filter(|&(_, ns)| ns > 0);
            rows.extend(used.map(|(class, ns)| LaneRow { lane, class, ns, window_ns }));
        }
        Table::of("overview", "The timeline in numbers", &rows)
    }
}

/// One class of one lane.
struct LaneRow<'a> {
    lane: &'a LaneData,
    class: &'static str,
    ns: i64,
    window_ns: i64,
}

impl TableRow for LaneRow<'_> {
    const N_GROUP_COLUMNS: usize = 5;
    const COLUMNS: &'static [Column] = &[
        Column::new("#", "input", Unit::Count, "number of the input"),
        Column::new("who", "who", Unit::Text, "the input"),
        Column::new("lane", "lane", Unit::Text, "device, thread or its iterations"),
        Column::new("from", "start_ns", Unit::Ns, "start of its window on the common time line"),
        Column::new("window", "window_ns", Unit::Ns, "its window"),
        Column::new("class", "class", Unit::Text, "what it was doing"),
        Column::new("time", "ns", Unit::Ns, "time in the class"),
        Column::new("share", "pct", Unit::Percent, "of the window"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::Count(self.lane.input as u64),
            Cell::Text(self.lane.who.clone()),
            Cell::Text(self.lane.name.clone()),
            Cell::Ns(self.lane.start_ns),
            Cell::Ns(self.window_ns),
            Cell::Text(self.class.to_owned()),
            Cell::Ns(self.ns),
            Cell::or_none(percent(self.ns, self.window_ns), Cell::Percent),
        ]
    }
}

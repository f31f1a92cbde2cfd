//! The overview timeline as data for a page, and its sums as a table for those who do not see it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::ser::{SerializeSeq as _, Serializer};

use super::{Table, percent};
use crate::analyze::overview::{
    DEVICE_CLASSES, ITERATION_CLASSES, Lane, LaneKind, Overview, Piece,
};
use crate::analyze::overview_names::NamedSpan;
use crate::analyze::timeline::Class;
use crate::schema::tables;

/// The overview, as the page's script reads it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OverviewData {
    /// From the first start to the last end.
    pub len_ns: i64,
    /// Names of the classes of each kind of lane.
    pub classes: OverviewClasses,
    /// Names of kernels and operators, each once.
    pub names: Vec<String>,
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
    /// What its longest parts are called: of each the nanoseconds since the start of the one before, its length, and the
    /// number of its name.
    pub named: Vec<i64>,
    /// Parts with a name that are left out.
    #[serde(skip)]
    pub n_unnamed: usize,
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
        name: impl Fn(usize, &NamedSpan) -> String,
    ) -> Self {
        let mut names = Names::default();
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
            let named = names.flat(&lane, &name);
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
                named,
                n_unnamed: lane.n_unnamed,
            }
        });
        let lanes = lanes.collect();
        Self {
            len_ns: overview.len_ns,
            classes: OverviewClasses {
                device: DEVICE_CLASSES.to_vec(),
                thread: Class::ALL.map(Class::as_str).to_vec(),
                iterations: ITERATION_CLASSES.to_vec(),
            },
            names: names.texts,
            lanes,
            notes,
        }
    }

    /// Inputs of which some kernels or operators have no name here.
    pub fn without_all_names(&self) -> BTreeSet<usize> {
        self.lanes.iter().filter(|lane| lane.n_unnamed > 0).map(|lane| lane.input).collect()
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
            rows.extend(used.map(|(class, ns)| LaneRow {
                input: lane.input,
                who: lane.who.clone(),
                lane: lane.name.clone(),
                start_ns: lane.start_ns,
                window_ns,
                class,
                ns,
                pct: percent(ns, window_ns),
            }));
        }
        Table::of(&rows)
    }
}

/// Names, each once, in order of first use.
#[derive(Default)]
struct Names {
    places: BTreeMap<String, i64>,
    texts: Vec<String>,
}

impl Names {
    fn place(&mut self, text: String) -> i64 {
        let next = self.texts.len() as i64;
        *self.places.entry(text).or_insert_with_key(|text| {
            self.texts.push(text.clone());
            next
        })
    }

    /// The named parts of a lane as numbers.
    fn flat(&mut self, lane: &Lane, name: impl Fn(usize, &NamedSpan) -> String) -> Vec<i64> {
        let mut before_ns = 0;
        let mut numbers = Vec::with_capacity(3 * lane.named.len());
        for span in &lane.named {
            let since_ns = span.start_ns - std::mem::replace(&mut before_ns, span.start_ns);
            numbers.extend([since_ns, span.len_ns, self.place(name(lane.input, span))]);
        }
        numbers
    }
}

tables! {
    /// One class of one lane.
    LaneRow: "overview", "The timeline in numbers", "What was each lane doing?", groups 5 {
        input: usize, Count, All, "#", "number of the input";
        who: String, Text, All, "who", "the input";
        lane: String, Text, All, "lane", "device, thread or its iterations";
        start_ns: i64, Ns, All, "from", "start of its window on the common time line";
        window_ns: i64, Ns, All, "window", "its window";
        class: &'static str, Text, All, "class", "what it was doing";
        ns: i64, Ns, All, "time", "time in the class";
        pct: Option<f64>, Percent, All, "share", "of the window";
    }
}

//! The first screen of `analyze`: one row an input, what it comes to, what to look at next, what to be careful about.
//!
//! Nothing is said here that the tables and the verdict do not have; how much of it a screen holds `render` decides.

use std::collections::BTreeMap;

use super::verdict::{Part, Tone, VerdictRow};
use super::{
    AnalyzeReport, BreakdownRow, Cell, Column, DeviceRow, InputRow, IterationSummaryRow, Table,
    Unit, percent,
};
use crate::analyze::breakdown::Scope;
use crate::analyze::idle::Cause;
use crate::analyze::iterations::IterationFigure;
use crate::analyze::timeline::Class;
use crate::schema::Seen;

/// Findings that a screen has at most.
const MAX_FINDINGS: usize = 6;

/// Inputs that have a row of their own.
const MAX_INPUTS: usize = 8;

/// Tables that are worth a look after the findings of a screen, at most.
const MAX_TABLES: usize = 3;

/// What `analyze` says where nothing else is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Screen {
    /// What was read.
    pub subject: String,
    /// One row for each input, or for the least and the most idle ones.
    pub inputs: Table,
    /// Findings, the weightiest first.
    pub findings: Vec<Vec<Part>>,
    /// What answers the next questions.
    pub next: Vec<Next>,
    /// What to be careful about; data that was lost is first.
    pub cautions: Vec<Vec<Part>>,
}

/// A command that answers the next question; the paths stand between command and options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// The command of the program.
    pub command: &'static str,
    /// Its options.
    pub options: &'static str,
    /// What it tells.
    pub tells: &'static str,
}

impl Screen {
    /// The screen of a report that has its verdict.
    pub fn of(report: &AnalyzeReport) -> Self {
        let findings = findings(&report.verdict);
        let next = next(report, &findings);
        Self {
            subject: subject(report),
            inputs: inputs(report),
            findings: findings.iter().map(|finding| finding.parts.clone()).collect(),
            next,
            cautions: cautions(report),
        }
    }
}

impl Screen {
    /// The screen of partial results: what it says to type reads them, not their traces.
    #[must_use]
    pub fn of_partials(mut self) -> Self {
        self.next.retain(|next| matches!(next.command, "analyze" | "report"));
        for next in &mut self.next {
            if next.command == "report" {
                next.options = "--html page.html";
            }
            next.command = "reduce";
        }
        self
    }

    /// The rows of the inputs as a table of a page.
    pub fn table(self) -> Table {
        Table { title: "Inputs at a glance".to_owned(), ..self.inputs }
    }
}

/// `3 traces of one run on NVIDIA H100 80GB HBM3`
fn subject(report: &AnalyzeReport) -> String {
    let n = report.inputs.len();
    let traces = if n == 1 { "1 trace".to_owned() } else { format!("{n} traces") };
    let runs = match report.runs.len() {
        0 | 1 if n > 1 => " of one run".to_owned(),
        0 | 1 => String::new(),
        runs => format!(" of {runs} runs"),
    };
    let mut names: Vec<&str> =
        report.devices.iter().filter_map(|row| row.name.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    let on = if names.is_empty() { String::new() } else { format!(" on {}", names.join(", ")) };
    let mut excluded = String::new();
    if !report.excluded_classes.is_empty() {
        excluded = format!(", without {}", Class::names(&report.excluded_classes));
    }
    format!("{traces}{runs}{on}{excluded}")
}

/// What an input is called on a screen: the words of its label that tell inputs apart, each number with the word before it; else the
/// whole label, or the end of its path.
fn names(report: &AnalyzeReport) -> Vec<String> {
    let label = |i: usize| report.inputs[i].label.as_str();
    let words: Vec<Vec<&str>> =
        (0..report.inputs.len()).map(|i| label(i).split(' ').collect()).collect();
    let n_words = words.first().map_or(0, Vec::len);
    let differs = |at: usize| words.iter().any(|own| own.get(at) != words[0].get(at));
    let is_number = |at: usize| {
        let all = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_ascii_digit());
        words.iter().all(|own| own.get(at).is_some_and(all))
    };
    let are_alike = words.iter().all(|own| own.len() == n_words);
    let is_telling =
        |&at: &usize| differs(at) || (at + 1 < n_words && differs(at + 1) && is_number(at + 1));
    let telling: Vec<usize> = (0..n_words).filter(is_telling).filter(|_| are_alike).collect();
    let name = |i: usize| match label(i) {
        "" => report.inputs[i].file_stem().to_owned(),
        label if telling.is_empty() => label.to_owned(),
        _ => telling.iter().map(|&at| words[i][at]).collect::<Vec<_>>().join(" "),
    };
    told_apart(report, (0..report.inputs.len()).map(name).collect())
}

/// Names of inputs; those that several have make way for the names of the files, with their folders where these are equal, too.
fn told_apart(report: &AnalyzeReport, mut names: Vec<String>) -> Vec<String> {
    let by_file = |input: &InputRow| input.file_stem().to_owned();
    for other in [by_file, InputRow::folder_and_stem] {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        names.iter().for_each(|name| *counts.entry(name.clone()).or_default() += 1);
        for (name, input) in names.iter_mut().zip(&report.inputs) {
            if counts[name.as_str()] > 1 {
                *name = other(input);
            }
        }
    }
    names
}

/// Heading of the column that is there where several ranks were read.
const COMM_WAIT: &str = "comm wait";

const COLUMNS: &[Column] = &[
    Column::new("#", "input", Unit::Count, "number of the input"),
    Column::new("input", "label", Unit::Text, "the input"),
    Column {
        seen: Seen::Room,
        ..Column::new("window", "window_ns", Unit::Ns, "what was recorded")
    },
    Column::new("compute", "compute_pct", Unit::Count, "kernels that compute, of the window"),
    Column::new("comm", "comm_pct", Unit::Count, "kernels that communicate, of the window"),
    Column::new(
        COMM_WAIT,
        "comm_wait_pct",
        Unit::Count,
        "of it, waiting for other ranks inside collectives, of the window",
    ),
    Column {
        seen: Seen::Room,
        ..Column::new("copies", "copy_pct", Unit::Count, "copies and memsets, of the window")
    },
    Column::new("waits", "waits_pct", Unit::Count, "waits of the lead thread, of the window"),
    Column::new("idle, mostly", "idle", Unit::Text, "idle time of the device, and its first cause"),
    Column {
        seen: Seen::Room,
        ..Column::new("phase", "phase", Unit::Text, "the most frequent phase of iterations")
    },
    Column::new(
        "iterations",
        "iterations",
        Unit::Text,
        "how many, and the mean of their CPU times",
    ),
];

/// One row an input.
fn inputs(report: &AnalyzeReport) -> Table {
    let names = names(report);
    let shown = shown_inputs(report);
    let hidden = names.len() - shown.len();
    let rows = shown.into_iter().map(|input| row(report, input, &names[input])).collect();
    let mut table = Table {
        key: "screen",
        title: String::new(),
        columns: COLUMNS.to_vec(),
        rows,
        n_group_columns: 2,
        notes: Vec::new(),
    };
    let of_waits = COLUMNS.iter().position(|column| column.name == COMM_WAIT);
    if let Some(c) = of_waits.filter(|&c| table.rows.iter().all(|row| row[c] == Cell::NotRecorded))
    {
        table.columns.remove(c);
        table.rows.iter_mut().for_each(|row| drop(row.remove(c)));
    }
    let comm = table.columns.iter().position(|column| column.key == "comm_pct");
    let is_nothing = |c: usize| table.rows.iter().all(|row| says_nothing(&row[c]));
    if let Some(c) = comm.filter(|&c| is_nothing(c)) {
        table.columns[c].seen = Seen::Room;
    }
    if hidden > 0 {
        table.notes.push(format!("{hidden} more inputs lie between these in idle time"));
    }
    table
}

/// Whether a share is 0 or not known.
fn says_nothing(cell: &Cell) -> bool {
    let is_zero = |part: &Part| match part {
        Part::Figure(figure) => figure.cell == Cell::Percent(0.0),
        _ => false,
    };
    match cell {
        Cell::NotRecorded => true,
        Cell::Sentence(parts) => parts.iter().all(is_zero),
        _ => false,
    }
}

/// The inputs with a row: all where they are few, else those that idle most and least.
fn shown_inputs(report: &AnalyzeReport) -> Vec<usize> {
    let n = report.inputs.len();
    let mut inputs: Vec<usize> = (0..n).collect();
    if n <= MAX_INPUTS {
        return inputs;
    }
    let idle = |input: usize| DeviceSums::of(report, input).share(|sums| sums.idle_ns);
    inputs.sort_by(|&a, &b| idle(b).unwrap_or(-1.0).total_cmp(&idle(a).unwrap_or(-1.0)));
    inputs.drain(MAX_INPUTS / 2..n - MAX_INPUTS / 2);
    inputs.sort_unstable();
    inputs
}

/// The devices of one input together.
#[derive(Default)]
struct DeviceSums {
    window_ns: i64,
    compute_ns: i64,
    comm_ns: i64,
    /// Waiting in collectives; `None` where it is known of no device.
    comm_wait_ns: Option<i64>,
    copy_ns: i64,
    idle_ns: i64,
}

impl DeviceSums {
    fn of(report: &AnalyzeReport, input: usize) -> Self {
        let own = report.devices.iter().filter(|row| row.input == input);
        own.fold(Self::default(), |sums, row| Self {
            window_ns: sums.window_ns.saturating_add(row.window_ns),
            compute_ns: sums.compute_ns.saturating_add(row.compute_busy_ns),
            comm_ns: sums.comm_ns.saturating_add(row.comm_busy_ns),
            comm_wait_ns: [sums.comm_wait_ns, row.comm_wait_ns]
                .into_iter()
                .flatten()
                .reduce(i64::saturating_add),
            copy_ns: sums.copy_ns.saturating_add(row.memcpy_busy_ns + row.memset_busy_ns),
            idle_ns: sums.idle_ns.saturating_add(row.idle_ns),
        })
    }

    /// A part in percent of the windows; none where no device was recorded.
    fn share(&self, part: impl Fn(&Self) -> i64) -> Option<f64> {
        percent(part(self), self.window_ns)
    }
}

fn row(report: &AnalyzeReport, input: usize, name: &str) -> Vec<Cell> {
    let sums = DeviceSums::of(report, input);
    let share = |part: fn(&DeviceSums) -> i64| Cell::or_none(sums.share(part), figure);
    let comm_wait = sums.comm_wait_ns.and_then(|ns| sums.share(|_| ns));
    let lead = report.breakdown.iter().find(|row| row.input == input && row.scope == Scope::Lead);
    let waits = lead.and_then(|row: &BreakdownRow| row.waiting_pct);
    let iterations = iterations(report, input);
    vec![
        Cell::Count(input as u64),
        Cell::Text(name.to_owned()),
        Cell::or_none(report.inputs[input].window_ns, Cell::Ns),
        share(|sums| sums.compute_ns),
        share(|sums| sums.comm_ns),
        Cell::or_none(comm_wait, figure),
        share(|sums| sums.copy_ns),
        Cell::or_none(waits, figure),
        idle(report, input, &sums),
        Cell::or_none(iterations, |row| Cell::Text(row.phase.as_str().to_owned())),
        Cell::or_none(iterations, mean),
    ]
}

/// A share as sentences have it.
fn figure(pct: f64) -> Cell {
    Cell::Sentence(vec![Part::plain(Cell::Percent(pct))])
}

/// `99.6 % ipc_wait`
fn idle(report: &AnalyzeReport, input: usize, sums: &DeviceSums) -> Cell {
    let Some(pct) = sums.share(|sums| sums.idle_ns) else { return Cell::NotRecorded };
    let own = report.devices.iter().filter(|row| row.input == input);
    let causes = own.flat_map(|row: &DeviceRow| &row.idle_by_cause);
    let mut by_cause: Vec<(Cause, i64)> = Vec::new();
    for (cause, ns) in causes.filter_map(|cause| Some((cause.cause, cause.ns?))) {
        match by_cause.iter_mut().find(|(known, _)| *known == cause) {
            Some((_, sum)) => *sum = sum.saturating_add(ns),
            None => by_cause.push((cause, ns)),
        }
    }
    let first = by_cause.into_iter().rev().max_by_key(|&(_, ns)| ns).filter(|&(_, ns)| ns > 0);
    let mut parts = vec![Part::plain(Cell::Percent(pct))];
    parts.extend(first.map(|(cause, _)| Part::Words(format!(" {}", cause.as_str()))));
    Cell::Sentence(parts)
}

/// The phase with the most iterations.
fn iterations(report: &AnalyzeReport, input: usize) -> Option<&IterationSummaryRow> {
    let own = report.iteration_summary.iter().filter(|row| row.input == input);
    own.filter(|row| row.figure == IterationFigure::Cpu).rev().max_by_key(|row| row.count)
}

/// `3 × 2.565 ms`, or the time of the only one.
fn mean(row: &IterationSummaryRow) -> Cell {
    let mean_ns = row.sum_ns / i64::try_from(row.count.max(1)).unwrap_or(i64::MAX);
    if row.count == 1 {
        return Cell::Sentence(vec![Part::plain(Cell::Ns(mean_ns))]);
    }
    Cell::Sentence(vec![
        Part::plain(Cell::Count(row.count)),
        Part::Words(" × ".to_owned()),
        Part::plain(Cell::Ns(mean_ns)),
    ])
}

/// A finding and the table with its figures.
struct Finding {
    parts: Vec<Part>,
    table: &'static str,
}

/// What is said about all inputs, and then, while there is room, the first of each further kind about one of them.
fn findings(verdict: &[VerdictRow]) -> Vec<Finding> {
    let about = verdict.first().map_or("", |row| row.about.as_str());
    let is_finding = |row: &&VerdictRow| row.tone == Tone::Finding;
    let shared = verdict.iter().filter(is_finding).filter(|row| row.about == about);
    let mut found: Vec<Finding> =
        shared.map(|row| Finding { parts: row.sentence.clone(), table: row.table }).collect();
    // Rows of the inputs have what these say.
    let is_shown = ["idle", "breakdown", "iteration_summary"];
    for row in verdict.iter().filter(is_finding).filter(|row| row.about != about) {
        let is_known = is_shown.contains(&row.table) || found.iter().any(|f| f.table == row.table);
        if !is_known {
            let mut parts = vec![Part::Words(format!("{}: ", row.about))];
            parts.extend(row.sentence.iter().cloned());
            found.push(Finding { parts, table: row.table });
        }
    }
    found.truncate(MAX_FINDINGS);
    found
}

/// What answers the questions that a table of figures leaves.
fn table_command(table: &str) -> Option<Next> {
    let (command, options, tells) = match table {
        "idle" => ("analyze", "--table idle", "why devices were idle"),
        "breakdown" => ("analyze", "--table waits", "what threads waited in"),
        "blame" => ("analyze", "--table blame", "who was busy meanwhile"),
        "stragglers" => ("analyze", "--table stragglers", "who comes late"),
        "slow_ranks" => ("analyze", "--table slow_ranks", "which ranks are slow, and why"),
        "slow_links" => ("analyze", "--table slow_links", "which links are slow"),
        "devices" => ("bandwidth", "", "copies and collectives"),
        "kernels" | "kernel_classes" => ("analyze", "--table kernels", "the longest kernels"),
        "iteration_summary" => ("analyze", "--table iterations", "each iteration"),
        "utilization" => ("analyze", "--table roofline", "what operators lose against the roof"),
        "memory" => ("analyze", "--table memory_peak", "whose memory the peak is"),
        "key_averages" => ("analyze", "--table key_averages", "the profiler table"),
        "activity" => ("analyze", "--table activity", "what else was recorded"),
        _ => return None,
    };
    Some(Next { command, options, tells })
}

/// Communication and copies below this share of every window are not worth a look of their own.
const WORTH_MOVING_PCT: f64 = 1.0;

/// Whether a device spent time worth a look on moving data.
fn moves_data(report: &AnalyzeReport) -> bool {
    (0..report.inputs.len()).any(|input| {
        let sums = DeviceSums::of(report, input);
        sums.share(|sums| sums.comm_ns.max(sums.copy_ns)).is_some_and(|pct| pct >= WORTH_MOVING_PCT)
    })
}

/// Tables that explain findings, those that explain most first; the others follow in the order of the findings.
const TELLING: [&str; 6] = ["slow_ranks", "slow_links", "stragglers", "devices", "blame", "idle"];

fn next(report: &AnalyzeReport, findings: &[Finding]) -> Vec<Next> {
    let mut next: Vec<Next> = Vec::new();
    let place = |finding: &&Finding| {
        TELLING.iter().position(|table| *table == finding.table).unwrap_or(TELLING.len())
    };
    let mut ordered: Vec<&Finding> = findings.iter().collect();
    ordered.sort_by_key(place);
    let is_worth = |one: &Next| one.command != "bandwidth" || moves_data(report);
    let has_path = !report.devices.is_empty() && report.runs.len() <= 1;
    let most = if has_path { MAX_TABLES - 1 } else { MAX_TABLES };
    let commands = ordered.iter().filter_map(|finding| table_command(finding.table));
    for one in commands.filter(is_worth) {
        if next.len() < most && !next.contains(&one) {
            next.push(one);
        }
    }
    if has_path {
        next.push(Next { command: "critical-path", options: "", tells: "what to do about it" });
    }
    next.push(Next { command: "report", options: "", tells: "all of it as a page" });
    next.push(Next { command: "analyze", options: "--full", tells: "every table" });
    next
}

/// Losses and cautions; those that several inputs share but for their figures are one, with the smallest and the largest.
fn cautions(report: &AnalyzeReport) -> Vec<Vec<Part>> {
    let rows = report.verdict.iter().filter(|row| row.tone != Tone::Finding);
    let mut groups: Vec<Vec<&VerdictRow>> = Vec::new();
    for row in rows {
        match groups.iter_mut().find(|group| are_alike(group[0], row)) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups.sort_by_key(|group| group[0].tone != Tone::Loss);
    groups.into_iter().map(|group| together(report, &group)).collect()
}

/// Whether two sentences differ in their figures alone.
fn are_alike(a: &VerdictRow, b: &VerdictRow) -> bool {
    let is_alike = |(a, b): (&Part, &Part)| match (a, b) {
        (Part::Figure(_), Part::Figure(_)) => true,
        (a, b) => a == b,
    };
    a.tone == b.tone
        && a.about != b.about
        && a.sentence.len() == b.sentence.len()
        && a.sentence.iter().zip(&b.sentence).all(is_alike)
}

/// The sentence of a group, with ranges for figures and the inputs before it.
fn together(report: &AnalyzeReport, group: &[&VerdictRow]) -> Vec<Part> {
    let first = group[0];
    let is_of_input = report.inputs.len() > 1 && first.about.starts_with('#');
    let mut parts = Vec::new();
    if is_of_input {
        let number = |row: &&VerdictRow| row.about.split(' ').next().unwrap_or("").to_owned();
        let numbers: Vec<String> = group.iter().map(number).collect();
        parts.push(Part::Words(format!("{}: ", numbers.join(", "))));
    }
    for at in 0..first.sentence.len() {
        let figures = group.iter().map(|row| &row.sentence[at]);
        let (least, most) = (figures.clone().reduce(smaller), figures.reduce(larger));
        parts.extend(least.cloned());
        if least != most {
            parts.push(Part::Words(" to ".to_owned()));
            parts.extend(most.cloned());
        }
    }
    parts
}

fn smaller<'a>(a: &'a Part, b: &'a Part) -> &'a Part {
    if value(b) < value(a) { b } else { a }
}

fn larger<'a>(a: &'a Part, b: &'a Part) -> &'a Part {
    if value(b) > value(a) { b } else { a }
}

/// What a figure is compared by.
fn value(part: &Part) -> f64 {
    match part {
        Part::Figure(figure) => match figure.cell {
            Cell::Count(n) | Cell::Bytes(n) => n as f64,
            Cell::Ns(ns) => ns as f64,
            Cell::Percent(x) | Cell::Rate(x) => x,
            _ => 0.0,
        },
        _ => 0.0,
    }
}

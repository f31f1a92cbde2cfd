//! A report as one page: the verdict, the overview and the tables in the order of reading.
//!
//! What a command does not know is a section that says why it is empty.

use super::causal::CriticalPathReport;
use super::diff::{ANSWER, DiffReport};
use super::figure::{
    Figure, analyze_figures, bandwidth_figures, diff_figures, merge_figures, stages_figures,
};
use super::screen::Screen;
use super::stages::StagesReport;
use super::verdict::{
    Sentence, Tone, Verdict, verdict, verdict_of_comparison, verdict_of_logs, verdict_of_path,
};
use super::{
    AnalyzeReport, BandwidthReport, DeviceRow, InputRow, IssueKind, IssueRow, MergeReport,
    OverviewData, Table, TrustRow, over_inputs, trust_summary,
};

use crate::analyze::stages::{FlagRow, LogRow, TransferRow};
use crate::analyze::timeline::Class;
use crate::schema::{OnPage, Row as _, Shown, Source, Topic, tables};

/// A table of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct PageTable {
    /// The command that shows it with `--table KEY`.
    pub command: &'static str,
    /// The table; its key is the one that `--table` knows.
    pub table: Table,
    /// What tells it from other tables of the command on the page; mostly its key.
    pub anchor: &'static str,
    /// Whether it is folded at first: for looking things up.
    pub is_folded: bool,
}

impl PageTable {
    fn of(command: &'static str, table: Table) -> Self {
        Self { command, anchor: table.key, table, is_folded: false }
    }

    fn folded_if(self, is_folded: bool) -> Self {
        Self { is_folded, ..self }
    }

    fn map_table(self, change: impl FnOnce(Table) -> Table) -> Self {
        Self { table: change(self.table), ..self }
    }

    /// Its id on the page.
    pub fn id(&self) -> String {
        table_id(self.command, self.anchor)
    }
}

/// The id of a table on the page.
pub fn table_id(command: &str, key: &str) -> String {
    format!("{command}-{key}")
}

/// A part of a page with a heading.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Its id.
    pub id: &'static str,
    /// Heading.
    pub title: &'static str,
    /// What it answers, in one sentence.
    pub lead: &'static str,
    /// Why there is nothing, where there is not.
    pub absent: String,
    /// Its figures; those with nothing to show are left out.
    pub figures: Vec<Figure>,
    /// Its tables; those without rows only where they say why.
    pub tables: Vec<PageTable>,
}

impl Section {
    /// Whether there is anything in it.
    pub fn is_empty(&self) -> bool {
        self.figures.is_empty() && self.tables.iter().all(|table| table.table.rows.is_empty())
    }
}

/// What is needed to make the same page again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origin {
    /// The command line.
    pub command_line: String,
    /// Version of the program.
    pub version: &'static str,
    /// When the first event was recorded, where the inputs tell.
    pub recorded: Option<String>,
    /// What the inputs say of the software and devices they are of: (inputs, name, value).
    pub written_by: Vec<(String, String, String)>,
    /// The files that were read.
    pub files: Vec<FileRow>,
}

/// The slimmed trace of an input, beside the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beside {
    /// Number of the input.
    pub input: usize,
    /// Path of the trace that was read.
    pub path: String,
    /// Name in the folder of the page, and size; `None` where it was too large.
    pub file: Option<(String, u64)>,
}

tables! {
    /// A file that was read, as what tells whether it is the same file.
    FileRow: "files", "Files", "Of which files was the page made?", groups 0 {
        bytes: Option<u64>, Count, All, "bytes", "size of the file";
        sha256: Option<String>, Text, All, "SHA-256", "what sha256sum prints of the file";
        path: String, Text, All, "path", "path as given or found";
    }
}

/// A whole page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Title.
    pub title: String,
    /// What was run, in a line under the title.
    pub subject: String,
    /// What it comes to in one sentence; `None` where nothing was found.
    pub answer: Option<Sentence>,
    /// What it comes to.
    pub verdicts: Vec<Verdict>,
    /// Sections that have nothing to show, and why.
    pub absent: Vec<(&'static str, String)>,
    /// The overview timeline; `None` where no trace was read.
    pub overview: Option<OverviewData>,
    /// The sections, in order; [`Self::TIMELINE`] is where the overview stands.
    pub sections: Vec<Section>,
    /// Slimmed traces of inputs whose names are not all in the overview.
    pub beside: Vec<Beside>,
    /// How it was made.
    pub origin: Origin,
}

/// Tables, to be taken out section by section.
#[derive(Default)]
struct Drawer {
    /// Each with its place on the page.
    tables: Vec<(Option<OnPage>, PageTable)>,
}

impl Drawer {
    /// The tables of a command, each as `view` shows it.
    fn of(
        command: &'static str,
        tables: &[Source<'_>],
        view: impl Fn(&Source<'_>) -> Table,
    ) -> Self {
        let table = |source: &Source<'_>| {
            let is_folded = matches!(source.shown, Shown::Folded | Shown::Request);
            (source.page, PageTable::of(command, view(source)).folded_if(is_folded))
        };
        Self { tables: tables.iter().map(table).collect() }
    }

    fn of_bandwidth(report: Option<&BandwidthReport>) -> Self {
        let tables = report
            .map(|report| Self::of("bandwidth", &report.tables(), |source| report.view(source)));
        tables.unwrap_or_default()
    }

    fn of_stages(report: Option<&StagesReport>) -> Self {
        let tables =
            report.map(|report| Self::of("stages", &report.tables(), |source| report.view(source)));
        tables.unwrap_or_default()
    }

    /// The tables of a section, in their order.
    fn take(&mut self, topic: Topic) -> Vec<PageTable> {
        let is_of = |on: Option<OnPage>| on.is_some_and(|on| on.topic == topic);
        let (mut taken, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.tables).into_iter().partition(|(on, _)| is_of(*on));
        self.tables = left;
        taken.sort_by_key(|(on, _)| on.map(|on| on.place));
        taken.into_iter().map(|(_, table)| table).collect()
    }

    /// One table.
    fn take_one(&mut self, key: &str) -> Vec<PageTable> {
        let at = self.tables.iter().position(|(_, table)| table.table.key == key);
        at.map(|at| self.tables.remove(at).1).into_iter().collect()
    }

    /// What is left.
    fn rest(self) -> impl Iterator<Item = PageTable> {
        self.tables.into_iter().map(|(_, table)| table)
    }

    /// A table whose rows that several of `n` inputs share are said once.
    fn take_over_inputs(&mut self, key: &str, n: usize) -> Vec<PageTable> {
        let taken = self.take_one(key).into_iter();
        taken.map(|one| one.map_table(|table| over_inputs::together(table, n))).collect()
    }
}

fn section(
    id: &'static str,
    title: &'static str,
    lead: &'static str,
    absent: impl Into<String>,
    mut tables: Vec<PageTable>,
) -> Section {
    tables.retain(|table| !table.table.rows.is_empty());
    Section { id, title, lead, absent: absent.into(), figures: Vec::new(), tables }
}

/// The trust panel: what is odd, the figures of logs to be read with care, and every check.
fn trust_tables(
    report: &AnalyzeReport,
    drawer: &mut Drawer,
    of_stages: &mut Drawer,
) -> Vec<PageTable> {
    let mut trust = vec![PageTable::of("analyze", trust_summary(&report.trust))];
    let mut all_checks = drawer.take_one(TrustRow::SPEC.key);
    for table in &mut all_checks {
        table.table.title = "Every check".to_owned();
        table.anchor = "trust_all";
        table.is_folded = true;
    }
    let mut issues = drawer.take_over_inputs(IssueRow::SPEC.key, report.inputs.len());
    // What is only good to know does not stand in the way.
    issues.iter_mut().for_each(|one| one.is_folded = over_inputs::are_all_info(&one.table));
    trust.extend(issues);
    trust.extend(of_stages.take_one(FlagRow::SPEC.key));
    trust.extend(all_checks);
    trust
}

/// The sentence that says most: why devices idled where they did so for most of the time, else what comes first.
fn answer(report: &AnalyzeReport, verdicts: &[Verdict]) -> Option<Sentence> {
    let sum = |ns: fn(&DeviceRow) -> i64| {
        report.devices.iter().map(|row| i128::from(ns(row))).sum::<i128>()
    };
    let is_idle = sum(|row| row.idle_ns) * 2 > sum(|row| row.window_ns);
    let of_all = verdicts.first()?.sentences.iter().filter(|one| one.tone == Tone::Finding);
    let why_idle = of_all.clone().find(|one| is_idle && one.table.1 == "idle");
    why_idle.or_else(|| of_all.clone().next()).cloned()
}

/// Why there is no device activity.
fn devices_absent(report: &AnalyzeReport) -> &'static str {
    if report.issues.iter().any(|issue| issue.kind == IssueKind::UnreadActivity) {
        "No device activity was read; some of what was recorded is of kinds that are not read."
    } else if report.threads.is_empty() {
        "No device activity was recorded."
    } else {
        "No device activity was recorded: this is a trace of the CPU alone."
    }
}

/// What traces tell, in the order of reading.
fn trace_sections(
    report: &AnalyzeReport,
    drawer: &mut Drawer,
    overview: Option<&OverviewData>,
) -> Vec<Section> {
    let absent = match overview {
        Some(_) => "No device and no work thread was recorded.",
        None => {
            "Partial results hold no events: there is no time line, no single kernel and no time of recording. `omni-trace report` of the traces shows them; everything else is what it says of the traces, as far as a page has room for rows, but for how the page was made."
        }
    };
    let lanes = overview.map(|overview| PageTable::of("analyze", overview.table()).folded_if(true));
    let mut sections = vec![
        // The bars of all inputs; what they come to follows on the same screen.
        section(Page::GLANCE, "At a glance", "", "", Vec::new()),
        section(
            "breakdown",
            "Where the time went",
            "Execution and waiting of the work threads; busy and idle time of the devices, and why they idled.",
            "No work thread and no device was recorded.",
            std::iter::once(PageTable::of("analyze", Screen::of(report).table()))
                .chain(drawer.take(Topic::Breakdown))
                .collect(),
        ),
        section(
            Page::TIMELINE,
            "The whole run",
            "Every device, work thread and iteration on one time line.",
            absent,
            lanes.into_iter().collect(),
        ),
    ];
    sections.extend(detail_sections(report, drawer));
    sections
}

/// What the traces show in detail.
fn detail_sections(report: &AnalyzeReport, drawer: &mut Drawer) -> Vec<Section> {
    vec![
        section(
            "iterations",
            "Iterations",
            "Steps of the engine, by the annotations that the trace holds.",
            "The trace holds no annotation of iterations (execute_*, step[…], diffusion_*, ProfilerStep#).",
            drawer.take(Topic::Iterations),
        ),
        section(
            "profiler",
            "Profiler table",
            "What key_averages() of the same run gives.",
            "No operator was recorded.",
            drawer.take(Topic::Profiler),
        ),
        section(
            "kernels",
            "Kernels",
            "Device activity by name, the largest sum first.",
            devices_absent(report),
            drawer.take(Topic::Kernels),
        ),
        section(
            "use",
            "How well the devices were used",
            "Operators against the peaks of their device, layers and modules, and whose memory it was.",
            "No shapes of operators, no module frames and no memory events were recorded.",
            drawer.take(Topic::Use),
        ),
        section(
            "waits",
            "Waits",
            "What work threads waited in, and who was busy meanwhile.",
            waits_absent(report),
            drawer.take(Topic::Waits),
        ),
    ]
}

impl Page {
    /// Id of the section that stands before the verdict.
    pub const GLANCE: &'static str = "glance";

    /// Id of the section that shows the critical path.
    pub const PATH: &'static str = "path";

    /// Id of the section that shows the overview timeline.
    pub const TIMELINE: &'static str = "timeline";

    /// The figures of all sections.
    pub fn figures(&self) -> Vec<Figure> {
        self.sections.iter().flat_map(|section| section.figures.iter().cloned()).collect()
    }

    /// Says how the page was made, and of which files.
    pub fn with_origin(mut self, origin: Origin) -> Self {
        let files = Table::of(&origin.files);
        if let Some(inputs) = self.sections.iter_mut().find(|section| section.id == "inputs") {
            let files = PageTable::of("page", files);
            inputs.tables.extend(Some(files).filter(|files| !files.table.rows.is_empty()));
        }
        self.origin = origin;
        self
    }

    /// Without sections that have nothing to show; why is said at the end.
    fn without_empty(mut self) -> Self {
        let is_empty = |section: &Section| {
            section.is_empty() && !["inputs", "trust", Self::TIMELINE].contains(&section.id)
        };
        let (empty, full): (Vec<Section>, Vec<Section>) =
            self.sections.into_iter().partition(is_empty);
        self.absent = empty.into_iter().map(|section| (section.title, section.absent)).collect();
        self.absent.retain(|(_, why)| !why.is_empty());
        Self { sections: full, ..self }
    }

    /// Puts figures into the sections that they illustrate.
    fn with_figures(mut self, figures: impl IntoIterator<Item = Figure>) -> Self {
        for figure in figures.into_iter().filter(|figure| figure.empty_because().is_none()) {
            let id = match figure.key {
                "breakdown" => Self::GLANCE,
                "devices" => "breakdown",
                "blame" | "ranks" => "waits",
                "copies" | "copy_overlap" => "bandwidth",
                "waterfall" => "stages",
                "alignment" => "inputs",
                "roofline" => "use",
                "memory" if self.overview.is_some() => Self::TIMELINE,
                "memory" => "use",
                key => key,
            };
            if let Some(section) = self.sections.iter_mut().find(|section| section.id == id) {
                section.figures.push(figure);
            }
        }
        self
    }

    /// The page of `report`, and of `analyze` where nothing but it is known; without an overview where nobody has the events.
    pub fn of_analyze(
        report: &AnalyzeReport,
        bandwidth: Option<&BandwidthReport>,
        stages: Option<&StagesReport>,
        overview: Option<OverviewData>,
        shows_name: impl Fn(&str) -> bool,
    ) -> Self {
        let tables = report.tables(shows_name);
        let mut drawer = Drawer::of("analyze", &tables, |source| report.view(source));
        let mut of_stages = Drawer::of_stages(stages);
        let trust = trust_tables(report, &mut drawer, &mut of_stages);
        let mut inputs = drawer.take_one(InputRow::SPEC.key);
        let mut sections = trace_sections(report, &mut drawer, overview.as_ref());
        sections.extend(bandwidth_sections(bandwidth, "This page was made by a command that does not look at transfers; omni-trace report does."));
        let joined = drawer.take(Topic::Stages);
        // Transfers between stages stand among the copies where those are looked at.
        let has_transfers = bandwidth.is_some_and(|report| !report.stage_transfers.is_empty());
        if has_transfers {
            of_stages.take_one(TransferRow::SPEC.key);
        }
        inputs.extend(of_stages.take_one(LogRow::SPEC.key));
        sections.push(stages_section(of_stages, stages.is_some(), joined));
        sections.push(section(
            "trust",
            "Can these numbers be trusted?",
            "What could mislead in each input, how often, and what it means for the figures.",
            "No check found anything, and none was missing.",
            trust,
        ));
        sections.push(section(
            "inputs",
            "Inputs",
            "What was read, and how to do it again.",
            "",
            inputs,
        ));
        let mut verdicts = verdict(report);
        let answer = answer(report, &verdicts);
        verdicts.extend(stages.and_then(verdict_of_logs));
        Self {
            title: title_of(report),
            subject: subject_of(report, stages),
            answer,
            verdicts,
            overview,
            sections,
            ..Self::default()
        }
        .with_figures(analyze_figures(report))
        .with_figures(bandwidth.map(bandwidth_figures).unwrap_or_default())
        .with_figures(stages.map(stages_figures).unwrap_or_default())
        .without_empty()
    }

    /// With the critical path of the run, behind the time line, and what it comes to.
    #[must_use]
    pub fn with_path(mut self, report: &CriticalPathReport) -> Self {
        let view = |source: &Source<'_>| match source.key {
            "critical_path" => report.brief_path(),
            _ => report.view(source),
        };
        let mut drawer = Drawer::of("critical-path", &report.tables(), view);
        let own = section(
            Self::PATH,
            "What the run waited for",
            "The chain of work, waits and gaps that decides when the run ends, over all inputs; and what to do about it.",
            "",
            drawer.take(Topic::Path),
        );
        let after = self.sections.iter().position(|section| section.id == Self::TIMELINE);
        self.sections.insert(after.map_or(self.sections.len(), |at| at + 1), own);
        self.verdicts
            .push(Verdict { about: "The critical path".to_owned(), ..verdict_of_path(report) });
        self
    }

    /// The page of `bandwidth`.
    pub fn of_bandwidth(report: &BandwidthReport) -> Self {
        let mut drawer = Drawer::of_bandwidth(Some(report));
        let mut sections = vec![section(
            "trust",
            "Can these numbers be trusted?",
            "What was odd about the inputs.",
            "Nothing was odd about the inputs.",
            drawer.take_over_inputs(IssueRow::SPEC.key, report.inputs.len()),
        )];
        sections.extend(bandwidth_sections(Some(report), ""));
        sections.push(section(
            "inputs",
            "Inputs",
            "What was read, and how to do it again.",
            "",
            drawer.take_one(InputRow::SPEC.key),
        ));
        Self { title: "Transfers".to_owned(), sections, ..Self::default() }
            .with_figures(bandwidth_figures(report))
    }

    /// The page of `stages`.
    pub fn of_stages(report: &StagesReport) -> Self {
        let mut drawer = Drawer::of_stages(Some(report));
        let mut trust = drawer.take_one(FlagRow::SPEC.key);
        trust.extend(drawer.take_one(IssueRow::SPEC.key));
        let logs = drawer.take_one(LogRow::SPEC.key);
        let sections = vec![
            section(
                "trust",
                "Can these numbers be trusted?",
                "Figures to be read with care, and what was odd about the logs.",
                "Nothing was odd about the logs.",
                trust,
            ),
            stages_section(drawer, true, Vec::new()),
            section("inputs", "Inputs", "What was read, and how to do it again.", "", logs),
        ];
        let verdicts = verdict_of_logs(report).into_iter().collect();
        Self { title: "Stages and requests".to_owned(), verdicts, sections, ..Self::default() }
            .with_figures(stages_figures(report))
    }

    /// The page of `diff`.
    pub fn of_diff(report: &DiffReport) -> Self {
        let mut drawer = Drawer::of("diff", &report.tables(), |source| report.view(source));
        drawer.take_one(ANSWER);
        let sections = vec![
            section(
                "trust",
                "Can these numbers be trusted?",
                "How the two sides are set up, and what the figures cannot tell.",
                "Both sides are set up alike, as far as the traces say.",
                drawer.take(Topic::Trust),
            ),
            section(
                "breakdown",
                "Which is faster",
                "Iterations of both sides, gates, and every kind of iteration.",
                "Nothing can be compared.",
                drawer.take(Topic::Breakdown),
            ),
            section(
                "kernels",
                "What explains it",
                "Two complete accounts of an iteration; each sums to the difference to the nanosecond.",
                "No part of an iteration differs.",
                drawer.rest().collect(),
            ),
        ];
        let verdicts = vec![verdict_of_comparison(&report.comparison)];
        Self { title: "B against A".to_owned(), verdicts, sections, ..Self::default() }
            .with_figures(diff_figures(report))
    }

    /// The page of two runs beside each other: as that of `diff`, with both on one time line.
    pub fn of_sides(report: &DiffReport, overview: OverviewData) -> Self {
        let timeline = section(
            Self::TIMELINE,
            "Both runs",
            "Every device, work thread and iteration of A and of B, each run from its own start, on one scale of time.",
            "No device and no work thread was recorded.",
            vec![PageTable::of("report", overview.table()).folded_if(true)],
        );
        let mut page = Self { overview: Some(overview), ..Self::of_diff(report) };
        page.sections.insert(2.min(page.sections.len()), timeline);
        page
    }

    /// The page of `merge`.
    pub fn of_merge(report: &MergeReport) -> Self {
        let mut drawer = Drawer::of("merge", &report.tables(), |source| report.view(source));
        let sections = vec![
            section(
                "trust",
                "Can these numbers be trusted?",
                "What was odd about the inputs.",
                "Nothing was odd about the inputs.",
                drawer.take_over_inputs(IssueRow::SPEC.key, report.inputs.len()),
            ),
            section(
                "inputs",
                "Inputs",
                "What was merged, and how to do it again.",
                "",
                drawer.take_one(InputRow::SPEC.key),
            ),
        ];
        Self { title: "Merged traces".to_owned(), sections, ..Self::default() }
            .with_figures(merge_figures(report))
    }
}

/// `stage 0 llm, stage 1 llm …`, or the name of the one input.
/// What was run, as far as the traces tell.
fn subject_of(report: &AnalyzeReport, stages: Option<&StagesReport>) -> String {
    let mut words = Vec::new();
    if report.inputs.len() == 1 || report.runs.len() > 1 {
        words.push(Screen::of(report).subject);
    }
    let diffusion = stages.into_iter().flat_map(|stages| &stages.found.diffusion);
    words.extend(diffusion.filter_map(|row| row.model.clone()).take(1));
    let mut names: Vec<&str> = report.inputs.iter().map(|row| file_name(&row.path)).collect();
    let n_more = names.len().saturating_sub(2);
    names.truncate(2);
    words.push(names.join(", "));
    match n_more {
        0 => {}
        1 => words.push("and 1 more file".to_owned()),
        n => words.push(format!("and {n} more files")),
    }
    words.join(" · ")
}

fn title_of(report: &AnalyzeReport) -> String {
    match report.inputs.as_slice() {
        [] => "Report".to_owned(),
        [one] if one.label.is_empty() => file_name(&one.path).to_owned(),
        [one] => format!("{} · {}", one.label, file_name(&one.path)),
        many => match report.runs.len() {
            0 | 1 => Screen::of(report).subject,
            runs => {
                format!("{} traces of {runs} runs: not summed; `diff` compares them", many.len())
            }
        },
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

fn waits_absent(report: &AnalyzeReport) -> &'static str {
    if report.breakdown.is_empty() {
        "No work thread was recorded, and waits are looked for in work threads alone."
    } else if report.breakdown.iter().any(|row| row.lacks(Class::IpcWait)) {
        "No wait was seen. Waits for other processes and locks cannot be: the trace holds no Python frames (with_stack)."
    } else {
        "No wait was seen."
    }
}

fn bandwidth_sections(report: Option<&BandwidthReport>, unknown: &str) -> Vec<Section> {
    let mut drawer = Drawer::of_bandwidth(report);
    let because = |why: &'static str| if report.is_some() { why } else { unknown }.to_owned();
    vec![
        section(
            "bandwidth",
            "Copies",
            "Copies by direction, route and size: bytes, GB/s (10^9 bytes a second), share of the link's peak, what was hidden behind kernels.",
            because("No copy or memset was recorded."),
            drawer.take(Topic::Copies),
        ),
        section(
            "collectives",
            "Collectives",
            "Collectives by group, operation and size, and what ranks waited for each other.",
            because("No communication kernel was recorded."),
            drawer.take(Topic::Collectives),
        ),
    ]
}

/// What logs tell, after what they say beside the traces: all that is left in the drawer.
fn stages_section(mut logs: Drawer, has_logs: bool, joined: Vec<PageTable>) -> Section {
    let absent = if has_logs {
        "The logs tell of no request and no stage."
    } else {
        "No log was given: --logs LOG adds what the pipeline's own logs tell."
    };
    let mut all = joined;
    all.extend(logs.take(Topic::Stages));
    all.extend(logs.rest());
    section("stages", "Stages and requests", "What the pipeline's own logs tell.", absent, all)
}

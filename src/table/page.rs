//! A report as one page: the verdict, the overview and the tables in the order of reading.
//!
//! What a command does not know is a section that says why it is empty.

use super::figure::{Figure, analyze_figures, bandwidth_figures, merge_figures, stages_figures};
use super::stages::{StagesReport, waterfall_chart};
use super::verdict::{Verdict, verdict, verdict_of_logs};
use super::{AnalyzeReport, BandwidthReport, MergeReport, OverviewData, Table, trust_summary};

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
        let is_folded = matches!(
            table.key,
            "components"
                | "idle_gaps"
                | "threads"
                | "call_sites"
                | "slowest"
                | "series"
                | "census"
                | "checks"
                | "startup"
                | "profiler"
                | "throughput"
                | "overview"
        );
        Self { command, anchor: table.key, table, is_folded }
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
        self.tables.iter().all(|table| table.table.rows.is_empty())
    }
}

/// What is needed to make the same page again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The command line.
    pub command_line: String,
    /// Version of the program.
    pub version: &'static str,
    /// What the inputs say of the software that wrote them: (input, name, value).
    pub written_by: Vec<(String, String, String)>,
}

/// A whole page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Title.
    pub title: String,
    /// What it comes to.
    pub verdicts: Vec<Verdict>,
    /// The overview timeline; `None` where no trace was read.
    pub overview: Option<OverviewData>,
    /// The sections, in order; [`Self::TIMELINE`] is where the overview stands.
    pub sections: Vec<Section>,
    /// How it was made.
    pub origin: Origin,
}

/// Tables by key, to be taken out section by section.
struct Drawer {
    tables: Vec<PageTable>,
}

impl Drawer {
    fn of(command: &'static str, tables: Vec<Table>) -> Self {
        Self { tables: tables.into_iter().map(|table| PageTable::of(command, table)).collect() }
    }

    fn take(&mut self, keys: &[&str]) -> Vec<PageTable> {
        let mut taken = Vec::new();
        for key in keys {
            if let Some(at) = self.tables.iter().position(|table| table.table.key == *key) {
                taken.push(self.tables.remove(at));
            }
        }
        taken
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

impl Page {
    /// Id of the section that shows the overview timeline.
    pub const TIMELINE: &'static str = "timeline";

    /// The figures of all sections.
    pub fn figures(&self) -> Vec<Figure> {
        self.sections.iter().flat_map(|section| section.figures.iter().cloned()).collect()
    }

    /// Puts figures into the sections that they illustrate.
    fn with_figures(mut self, figures: impl IntoIterator<Item = Figure>) -> Self {
        for figure in figures.into_iter().filter(|figure| figure.empty_because().is_none()) {
            let id = match figure.key {
                "breakdown" | "devices" => "breakdown",
                "blame" => "waits",
                "copies" | "copy_overlap" => "bandwidth",
                "waterfall" => "stages",
                "alignment" => "inputs",
                key => key,
            };
            if let Some(section) = self.sections.iter_mut().find(|section| section.id == id) {
                section.figures.push(figure);
            }
        }
        self
    }

    /// The page of `report`, and of `analyze` where nothing but it is known.
    pub fn of_analyze(
        report: &AnalyzeReport,
        bandwidth: Option<&BandwidthReport>,
        stages: Option<&StagesReport>,
        overview: OverviewData,
        shows_name: impl Fn(&str) -> bool,
    ) -> Self {
        let mut drawer = Drawer::of("analyze", report.tables(shows_name));
        let mut trust = vec![PageTable::of("analyze", trust_summary(&report.trust))];
        let mut all_checks = drawer.take(&["trust"]);
        for table in &mut all_checks {
            table.table.title = "Every check".to_owned();
            table.anchor = "trust_all";
            table.is_folded = true;
        }
        trust.extend(drawer.take(&["issues"]));
        trust.extend(all_checks);
        let inputs = drawer.take(&["inputs"]);
        let no_device = if report.threads.is_empty() {
            "No device activity was recorded."
        } else {
            "No device activity was recorded: this is a trace of the CPU alone."
        };
        let mut sections = vec![
            section(
                "trust",
                "Can these numbers be trusted?",
                "What could mislead in each input, how often, and what it means for the figures.",
                "No check found anything, and none was missing.",
                trust,
            ),
            section(
                "breakdown",
                "Where the time went",
                "Execution and waiting of the work threads; busy and idle time of the devices, and why they idled.",
                "No work thread and no device was recorded.",
                drawer.take(&["breakdown", "idle", "devices", "excluded", "idle_gaps", "threads"]),
            ),
            section(
                Self::TIMELINE,
                "The whole run",
                "Every device, work thread and iteration on one time line.",
                "No device and no work thread was recorded.",
                vec![PageTable::of("analyze", overview.table())],
            ),
            section(
                "iterations",
                "Iterations",
                "Steps of the engine, by the annotations that the trace holds.",
                "The trace holds no annotation of iterations (execute_*, diffusion_*, ProfilerStep#).",
                drawer.take(&["iteration_summary", "iterations"]),
            ),
            section(
                "profiler",
                "Profiler table",
                "What key_averages() of the same run gives.",
                "No operator was recorded.",
                drawer.take(&["key_averages", "components"]),
            ),
            section(
                "kernels",
                "Kernels",
                "Device activity by name, the largest sum first.",
                no_device,
                drawer.take(&["kernels", "copies"]),
            ),
            section(
                "waits",
                "Waits",
                "What work threads waited in, and who was busy meanwhile.",
                waits_absent(report),
                drawer.take(&["waits", "blame", "stragglers"]),
            ),
        ];
        sections.extend(bandwidth_sections(bandwidth, "This page was made by a command that does not look at transfers; omni-trace report does."));
        let joined = drawer.take(&["joined_stages", "joined_requests", "log_clocks"]);
        sections.push(stages_section(stages, joined));
        sections.push(section(
            "inputs",
            "Inputs",
            "What was read, and how to do it again.",
            "",
            inputs,
        ));
        let mut verdicts = verdict(report);
        verdicts.extend(stages.and_then(verdict_of_logs));
        Self {
            title: title_of(report),
            verdicts,
            overview: Some(overview),
            sections,
            ..Self::default()
        }
        .with_figures(analyze_figures(report))
        .with_figures(bandwidth.map(bandwidth_figures).unwrap_or_default())
        .with_figures(stages.map(stages_figures).unwrap_or_default())
    }

    /// The page of `bandwidth`.
    pub fn of_bandwidth(report: &BandwidthReport) -> Self {
        let mut drawer = Drawer::of("bandwidth", report.tables());
        let mut sections = vec![section(
            "trust",
            "Can these numbers be trusted?",
            "What was odd about the inputs.",
            "Nothing was odd about the inputs.",
            drawer.take(&["issues"]),
        )];
        sections.extend(bandwidth_sections(Some(report), ""));
        sections.push(section(
            "inputs",
            "Inputs",
            "What was read, and how to do it again.",
            "",
            drawer.take(&["inputs"]),
        ));
        Self { title: "Transfers".to_owned(), sections, ..Self::default() }
            .with_figures(bandwidth_figures(report))
    }

    /// The page of `stages`.
    pub fn of_stages(report: &StagesReport) -> Self {
        let mut drawer = Drawer::of("stages", report.tables());
        let sections = vec![
            section(
                "trust",
                "Can these numbers be trusted?",
                "Figures to be read with care, and what was odd about the logs.",
                "Nothing was odd about the logs.",
                drawer.take(&["flags", "issues"]),
            ),
            stages_section(Some(report), Vec::new()),
            section(
                "inputs",
                "Inputs",
                "What was read, and how to do it again.",
                "",
                drawer.take(&["logs"]),
            ),
        ];
        let verdicts = verdict_of_logs(report).into_iter().collect();
        Self { title: "Stages and requests".to_owned(), verdicts, sections, ..Self::default() }
            .with_figures(stages_figures(report))
    }

    /// The page of `merge`.
    pub fn of_merge(report: &MergeReport) -> Self {
        let mut drawer = Drawer::of("merge", report.tables());
        let sections = vec![
            section(
                "trust",
                "Can these numbers be trusted?",
                "What was odd about the inputs.",
                "Nothing was odd about the inputs.",
                drawer.take(&["issues"]),
            ),
            section(
                "inputs",
                "Inputs",
                "What was merged, and how to do it again.",
                "",
                drawer.take(&["inputs"]),
            ),
        ];
        Self { title: "Merged traces".to_owned(), sections, ..Self::default() }
            .with_figures(merge_figures(report))
    }
}

/// `stage 0 llm, stage 1 llm …`, or the name of the one input.
fn title_of(report: &AnalyzeReport) -> String {
    match report.inputs.as_slice() {
        [] => "Report".to_owned(),
        [one] if one.label.is_empty() => file_name(&one.path).to_owned(),
        [one] => format!("{} · {}", one.label, file_name(&one.path)),
        many => format!("{} traces of one run", many.len()),
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

fn waits_absent(report: &AnalyzeReport) -> &'static str {
    if report.breakdown.iter().any(|row| row.unrecorded_waits.contains(&"ipc_wait")) {
        "No wait was seen. Waits for other processes and locks cannot be: the trace holds no Python frames (with_stack)."
    } else {
        "No wait was seen."
    }
}

fn bandwidth_sections(report: Option<&BandwidthReport>, unknown: &str) -> Vec<Section> {
    let mut drawer =
        Drawer::of("bandwidth", report.map(BandwidthReport::tables).unwrap_or_default());
    let because = |why: &'static str| if report.is_some() { why } else { unknown }.to_owned();
    vec![
        section(
            "bandwidth",
            "Copies",
            "Copies by direction, route and size: bytes, GB/s (10^9 bytes a second), share of the link's peak, what was hidden behind kernels.",
            because("No copy or memset was recorded."),
            drawer.take(&[
                "directions",
                "copies",
                "peers",
                "stage_transfers",
                "traced_transfers",
                "call_sites",
                "series",
            ]),
        ),
        section(
            "collectives",
            "Collectives",
            "Collectives by group, operation and size, and what ranks waited for each other.",
            because("No communication kernel was recorded."),
            drawer.take(&["collectives", "rank_waits", "slowest"]),
        ),
    ]
}

/// What logs tell, after what they say beside the traces.
fn stages_section(report: Option<&StagesReport>, joined: Vec<PageTable>) -> Section {
    let absent = match report {
        Some(_) => "The logs tell of no request and no stage.",
        None => "No log was given: --logs LOG adds what the pipeline's own logs tell.",
    };
    let mut tables = report.map(StagesReport::tables).unwrap_or_default();
    if let Some(report) = report {
        for table in tables.iter_mut().filter(|table| table.key == "waterfall") {
            *table = waterfall_chart(&report.waterfall);
        }
    }
    let keys = [
        "requests",
        "request_stages",
        "waterfall",
        "stages",
        "transfers",
        "diffusion",
        "summaries",
        "waits",
        "problems",
        "flags",
        "startup",
        "profiler",
        "throughput",
        "logs",
        "checks",
        "census",
        "issues",
    ];
    let mut all = joined;
    all.extend(Drawer::of("stages", tables).take(&keys));
    section("stages", "Stages and requests", "What the pipeline's own logs tell.", absent, all)
}

//! A page as one HTML file that asks nobody for anything: styles, scripts and data stand in it, and its policy lets
//! nothing else in.
//!
//! Everything that comes from a trace passes [`escape`]; everything else is written here. The tables are whole without
//! scripts, which only sort, search and draw the timeline.

mod escape;
mod policy;
mod table;
mod verdict;

use std::fmt::Write as _;

use self::escape::{json_in_script, text};
use crate::render::figure::{self, Theme};
use crate::table::OverviewData;
use crate::table::figure::Figure;
use crate::table::page::{Page, Section};

const STYLE: &str = include_str!("page.css");
const PAGE_SCRIPT: &str = include_str!("page.js");
const TIMELINE_SCRIPT: &str = include_str!("timeline.js");

/// Bytes of all tables together; rows beyond are left to CSV and JSON, and the page says so.
const TABLE_BYTES: usize = 2_000_000;

/// Layouts of the figures, in CSS pixels: for a screen, and for a telephone.
const FIGURE_WIDTH: u32 = 1_100;
const NARROW_FIGURE_WIDTH: u32 = 360;

/// The page.
pub fn page(page: &Page) -> String {
    let mut out = String::with_capacity(1 << 20);
    head(&mut out, page);
    let mut room = TABLE_BYTES;
    verdict::section(&mut out, page);
    for section in &page.sections {
        self::section(&mut out, page, section, &mut room);
    }
    foot(&mut out, page);
    out
}

fn head(out: &mut String, page: &Page) {
    let style = style();
    let policy = policy::content_policy(&[&style], &[PAGE_SCRIPT, TIMELINE_SCRIPT]);
    let title = text(&page.title);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"generator\" content=\"omni-trace {version}\">\n\
         <title>{title} - omni-trace</title>\n<style>{style}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#verdict\">Skip to the verdict</a>\n\
         <header class=\"top wrap\"><p>omni-trace report</p><h1>{title}</h1></header>\n\
         <nav class=\"toc\" aria-label=\"Sections\"><div class=\"wrap\"><ul>",
        version = page.origin.version,
    );
    if !page.verdicts.is_empty() {
        out.push_str("<li><a href=\"#verdict\">Verdict</a></li>");
    }
    for section in &page.sections {
        let _ = write!(out, "<li><a href=\"#{}\">{}</a></li>", section.id, short(section));
    }
    out.push_str(
        "</ul><button type=\"button\" id=\"theme\" title=\"Light or dark\" hidden>Dark</button></div></nav>\n<main class=\"wrap\">\n",
    );
}

/// The page's style, with the colours of its figures.
fn style() -> String {
    let light = figure::css(Theme::Light, ":root");
    let dark = figure::css(Theme::Dark, ":root[data-theme=\"dark\"]");
    let preferred = figure::css(Theme::Dark, ":root:not([data-theme=\"light\"])");
    format!("{STYLE}{light}\n{dark}\n@media (prefers-color-scheme: dark) {{{preferred}}}\n")
}

/// What a section is called where there is little room.
fn short(section: &Section) -> &str {
    match section.id {
        "trust" => "Trust",
        "breakdown" => "Time",
        "timeline" => "Timeline",
        "profiler" => "Profiler",
        "bandwidth" => "Copies",
        "stages" => "Stages",
        _ => section.title,
    }
}

fn section(out: &mut String, page: &Page, section: &Section, room: &mut usize) {
    let _ = write!(
        out,
        "<section id=\"{id}\" aria-labelledby=\"h-{id}\">\n<h2 id=\"h-{id}\">{}</h2>\n<p class=\"lead\">{}</p>\n",
        text(section.title),
        text(section.lead),
        id = section.id,
    );
    let is_origin = section.id == "inputs";
    if section.is_empty() && !section.absent.is_empty() {
        let _ = writeln!(out, "<p class=\"absent\">{}</p>", text(&section.absent));
    }
    if section.id == Page::TIMELINE
        && let Some(overview) = page.overview.as_ref().filter(|one| !one.lanes.is_empty())
    {
        timeline(out, overview);
    }
    if is_origin {
        origin(out, page);
    }
    for figure in &section.figures {
        push_figure(out, figure);
    }
    for table in &section.tables {
        table::push(out, table, room);
    }
    out.push_str("</section>\n");
}

/// Place and data of the timeline; what it shows is in the table under it.
fn timeline(out: &mut String, overview: &OverviewData) {
    let buttons = [
        ("in", "Zoom in", "+"),
        ("out", "Zoom out", "−"),
        ("left", "Earlier", "←"),
        ("right", "Later", "→"),
        ("reset", "Show the whole run", "Reset"),
    ];
    out.push_str("<figure id=\"timeline-view\" hidden>\n<div class=\"tools\">");
    for (action, label, mark) in buttons {
        let _ = write!(
            out,
            "<button type=\"button\" data-do=\"{action}\" aria-label=\"{label}\" title=\"{label}\">{mark}</button>"
        );
    }
    let n = overview.lanes.len();
    let _ = write!(
        out,
        "<output id=\"timeline-range\" class=\"tl-range\"></output></div>\n\
         <div class=\"tl-box\"><canvas tabindex=\"0\" role=\"img\" aria-label=\"Timeline of {n} lanes: devices, work threads and \
         iterations over the whole run. The table below gives its figures.\" aria-describedby=\"timeline-keys\"></canvas>\
         <div class=\"tl-tip\" hidden></div></div>\n<ul class=\"tl-legend\"></ul>\n\
         <figcaption id=\"timeline-keys\">Drag or use the arrow keys to move; + and − or, after a click, the wheel to zoom; 0 shows \
         the whole run. Where a column of pixels holds several things, its height is shared out by their time.{}</figcaption>\n</figure>\n",
        coarse(overview),
    );
    for note in &overview.notes {
        let _ = writeln!(out, "<p class=\"absent\">{}</p>", text(note));
    }
    let data = serde_json::to_string(overview).unwrap_or_default();
    let _ = writeln!(
        out,
        "<script type=\"application/json\" id=\"timeline-data\">{}</script>",
        json_in_script(&data)
    );
}

/// What is said of lanes that are not drawn event by event.
fn coarse(overview: &OverviewData) -> String {
    let n = overview.lanes.iter().filter(|lane| !lane.exact).count();
    match n {
        0 => " Every lane is exact.".to_owned(),
        n if n == overview.lanes.len() => {
            " The lanes are sums over short stretches; their totals are exact.".to_owned()
        }
        n => format!(
            " {n} of {} lanes are sums over short stretches; their totals are exact.",
            overview.lanes.len()
        ),
    }
}

/// A figure in a wide layout and in a narrow one; the style shows one of them.
fn push_figure(out: &mut String, figure: &Figure) {
    out.push_str("<figure class=\"drawn\">\n");
    for (class, width) in [("wide", FIGURE_WIDTH), ("narrow", NARROW_FIGURE_WIDTH)] {
        let id = format!("figure-{}-{class}", figure.key);
        let svg = figure::svg(figure, width, &id);
        let _ = writeln!(out, "<div class=\"{class}\">{svg}</div>");
    }
    out.push_str("</figure>\n");
}

/// What is needed to make the page again.
fn origin(out: &mut String, page: &Page) {
    let origin = &page.origin;
    let _ = write!(
        out,
        "<dl class=\"origin\"><dt>Command</dt><dd><code>{}</code></dd><dt>Program</dt><dd>omni-trace {}</dd>",
        text(&origin.command_line),
        text(origin.version)
    );
    for (input, name, value) in &origin.written_by {
        let _ = write!(
            out,
            "<dt>{}</dt><dd>{} <span class=\"count\">{}</span></dd>",
            text(name),
            text(value),
            text(input)
        );
    }
    out.push_str("</dl>\n");
}

fn foot(out: &mut String, page: &Page) {
    let _ = write!(
        out,
        "</main>\n<footer class=\"wrap\">Made by omni-trace {}. Times are exact to the nanosecond in copied CSV; <strong>-</strong> is \
         what a trace does not say, which is not 0. This page asks nothing of the network.</footer>\n\
         <script>{PAGE_SCRIPT}</script>\n<script>{TIMELINE_SCRIPT}</script>\n</body>\n</html>\n",
        page.origin.version
    );
}

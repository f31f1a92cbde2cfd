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
use crate::render::human;
use crate::table::OverviewData;
use crate::table::figure::{Figure, FigureKind};
use crate::table::page::{Beside, Page, Section};

const STYLE: &str = include_str!("page.css");
const PAGE_SCRIPT: &str = include_str!("page.js");
const TIMELINE_SCRIPT: &str = include_str!("timeline.js");

/// Bytes of all tables together; rows beyond are left to CSV and JSON, and the page says so.
const TABLE_BYTES: usize = 2_000_000;

/// Layouts of the figures, in CSS pixels: for a screen, and for a telephone.
const FIGURE_WIDTH: u32 = 1_200;
const NARROW_FIGURE_WIDTH: u32 = 360;

/// Longest name in the timeline.
const MAX_LANE_NAME: usize = 72;

/// The page.
pub fn page(page: &Page) -> String {
    let mut out = String::with_capacity(1 << 20);
    head(&mut out, page);
    let mut room = TABLE_BYTES;
    let (first, others): (Vec<&Section>, Vec<&Section>) =
        page.sections.iter().partition(|section| section.id == Page::GLANCE);
    first.into_iter().for_each(|one| section(&mut out, page, one, &mut room));
    verdict::section(&mut out, page);
    others.into_iter().for_each(|one| section(&mut out, page, one, &mut room));
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
         <header class=\"top wrap\"><h1>{title}</h1>{subject}{answer}</header>\n\
         <nav class=\"toc\" aria-label=\"Sections\"><div class=\"wrap\"><ul>",
        version = page.origin.version,
        subject = subject(page),
        answer = verdict::answer(page),
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

/// What was run, with when the page's files were written.
fn subject(page: &Page) -> String {
    let mut words = vec![text(&page.subject).to_string()];
    words.retain(|word| !word.is_empty());
    words.extend(page.origin.recorded.iter().map(|when| format!("recorded {when}")));
    let mut known: Vec<&str> = Vec::new();
    // The devices are in the subject, and the version of the format is nothing to begin with.
    let is_told = |name: &str| !matches!(name, "device" | "schemaVersion");
    for (_, name, value) in page.origin.written_by.iter().filter(|(_, name, _)| is_told(name)) {
        if !known.contains(&value.as_str()) && known.len() < 3 {
            known.push(value);
            words.push(format!("{} {}", text(name), text(value)));
        }
    }
    if words.is_empty() { String::new() } else { format!("<p>{}</p>", words.join(" · ")) }
}

/// The page's style, with the colours of its figures.
fn style() -> String {
    let light = figure::css(Theme::Light, ":root");
    let dark = figure::css(Theme::Dark, ":root[data-theme=\"dark\"]");
    let preferred = figure::css(Theme::Dark, ":root:not([data-theme=\"light\"])");
    // Paper is white, whatever the screen shows.
    format!(
        "{STYLE}{light}\n@media screen {{{dark}}}\n@media screen and (prefers-color-scheme: dark) {{{preferred}}}\n"
    )
}

/// What a section is called where there is little room.
fn short(section: &Section) -> &str {
    match section.id {
        "glance" => "Glance",
        "trust" => "Trust",
        "breakdown" => "Time",
        "timeline" => "Timeline",
        Page::PATH => "Path",
        "use" => "Use",
        "profiler" => "Profiler",
        "bandwidth" => "Copies",
        "stages" => "Stages",
        _ => section.title,
    }
}

fn section(out: &mut String, page: &Page, section: &Section, room: &mut usize) {
    // The first section is known by its figure, and what it comes to is to stand on the same screen.
    let class = if section.id == Page::GLANCE { " class=\"vh\"" } else { "" };
    let _ = writeln!(
        out,
        "<section id=\"{id}\" aria-labelledby=\"h-{id}\">\n<h2 id=\"h-{id}\"{class}>{}</h2>",
        text(section.title),
        id = section.id,
    );
    if !section.lead.is_empty() {
        let _ = writeln!(out, "<p class=\"lead\">{}</p>", text(section.lead));
    }
    let is_origin = section.id == "inputs";
    if section.is_empty() && !section.absent.is_empty() {
        let _ = writeln!(out, "<p class=\"absent\">{}</p>", text(&section.absent));
    }
    if section.id == Page::TIMELINE
        && let Some(overview) = page.overview.as_ref().filter(|one| !one.lanes.is_empty())
    {
        timeline(out, page, overview);
    }
    if is_origin {
        origin(out, page);
    }
    if !section.figures.is_empty() {
        out.push_str("<div class=\"figures\">\n");
        let is_first = section.id == Page::GLANCE;
        section.figures.iter().for_each(|figure| push_figure(out, figure, is_first));
        out.push_str("</div>\n");
    }
    if !section.tables.is_empty() {
        out.push_str("<div class=\"tables\">\n");
        section.tables.iter().for_each(|table| table::push(out, table, room));
        out.push_str("</div>\n");
    }
    out.push_str("</section>\n");
}

/// Place and data of the timeline; what it shows is in the table under it.
fn timeline(out: &mut String, page: &Page, overview: &OverviewData) {
    let buttons = [
        ("in", "Zoom in", "+"),
        ("out", "Zoom out", "−"),
        ("left", "Earlier", "←"),
        ("right", "Later", "→"),
        ("reset", "Reset to the whole run", "Reset"),
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
         <div class=\"tl-box\"><canvas tabindex=\"0\" role=\"application\" aria-label=\"Timeline of {n} lanes: devices, work threads and \
         iterations over the whole run. The table below gives its figures.\" aria-describedby=\"timeline-keys\"></canvas>\
         <div class=\"tl-cross\" hidden></div><div class=\"tl-tip\" hidden></div></div>\n<p class=\"tl-spoken vh\" role=\"status\"></p>\n<ul class=\"tl-legend\"></ul>\n\
         <figcaption id=\"timeline-keys\"><span class=\"keys\">Drag or use the arrow keys to move; + and − or, after a click, the wheel to zoom; 0 shows \
         the whole run. Pointing at a piece tells what it is, and at a wait who was busy meanwhile; Shift and the arrow keys do so from \
         piece to piece and from lane to lane. Zoomed in, kernels and operators have their names.</span> Where a column of pixels holds several things, its height is shared out by their time.{}</figcaption>\n</figure>\n",
        coarse(overview) + &unnamed(page, overview),
    );
    for note in &overview.notes {
        let _ = writeln!(out, "<p class=\"absent\">{}</p>", text(note));
    }
    let short = |name: &String| figure::short_name(name, MAX_LANE_NAME);
    let names = overview.names.iter().map(short).collect();
    let shown = OverviewData { names, ..overview.clone() };
    let data = serde_json::to_string(&shown).unwrap_or_default();
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

/// What is said of parts whose names are left out, and where they are.
fn unnamed(page: &Page, overview: &OverviewData) -> String {
    let n_named: usize = overview.lanes.iter().map(|lane| lane.named.len() / 3).sum();
    let n_unnamed: usize = overview.lanes.iter().map(|lane| lane.n_unnamed).sum();
    if n_unnamed == 0 {
        return String::new();
    }
    let mut out = format!(
        " Only the longest {} of {} kernels and operators have their names here.",
        human::count(n_named as u64),
        human::count((n_named + n_unnamed) as u64)
    );
    let links: Vec<String> = page.beside.iter().filter_map(|one| link(page, one)).collect();
    if !links.is_empty() {
        let _ = write!(
            out,
            " All names are in a slimmed trace beside this page, which Perfetto's page (ui.perfetto.dev) opens: {}.",
            links.join(", ")
        );
    }
    if links.len() < overview.without_all_names().len() {
        out.push_str(
            " <code>omni-trace slim --window</code> makes a trace of a part, for Perfetto's page.",
        );
    }
    out
}

/// A link to the slimmed trace of an input.
fn link(page: &Page, beside: &Beside) -> Option<String> {
    let (name, bytes) = beside.file.as_ref()?;
    let of = if page.beside.len() > 1 { format!("#{}, ", beside.input) } else { String::new() };
    let (name, size) = (text(name), human::bytes(*bytes));
    Some(format!("<a class=\"beside\" href=\"{name}\" download>{name}</a> ({of}{size})"))
}

/// A figure in a wide layout and in a narrow one; the style shows one of them. On the first screen room is short: wide bars have
/// their parts inside and not under them as well.
fn push_figure(out: &mut String, figure: &Figure, is_first: bool) {
    let mut figure = figure.clone();
    if let (true, FigureKind::Bars(bars)) = (is_first, &mut figure.kind) {
        bars.is_spelled = false;
    }
    out.push_str("<figure class=\"drawn\">\n");
    for (class, width) in [("wide", FIGURE_WIDTH), ("narrow", NARROW_FIGURE_WIDTH)] {
        let id = format!("figure-{}-{class}", figure.key);
        let svg = figure::svg(&figure, width, &id);
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
    for (title, why) in &page.absent {
        let _ = write!(
            out,
            "<dt>Not here: {}</dt><dd class=\"absent\">{}</dd>",
            text(title),
            text(why)
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::style;
    use crate::render::contrast::contrast;
    use crate::table::figure::Role;

    /// Names and values of the custom properties that every rule of a selector sets.
    fn properties(style: &str, selector: &str) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for (at, _) in style.match_indices(selector) {
            let rest = style[at + selector.len()..].trim_start();
            let Some(body) = rest.strip_prefix('{').and_then(|rest| rest.split('}').next()) else {
                continue;
            };
            for (name, value) in body.split(';').filter_map(|one| one.split_once(':')) {
                all.insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
        all
    }

    fn colour(theme: &BTreeMap<String, String>, name: &str) -> (u8, u8, u8) {
        let value = &theme[name];
        let hex = value.strip_prefix('#').unwrap_or_else(|| panic!("{name}: {value}"));
        let [_, red, green, blue] = u32::from_str_radix(hex, 16).unwrap().to_be_bytes();
        (red, green, blue)
    }

    #[test]
    fn words_of_the_page_pass_aa() {
        let style = style();
        let light = properties(&style, ":root");
        let dark = properties(&style, ":root[data-theme=\"dark\"]");
        let preferred = properties(&style, ":root:not([data-theme=\"light\"])");
        assert_eq!(dark, preferred, "a chosen dark page and a preferred one look the same");
        let words = ["--text", "--mute", "--link", "--warn", "--loss", "--fig-text", "--fig-muted"];
        for (name, theme) in [("light", &light), ("dark", &dark)] {
            let of = |a: &str, b: &str| contrast(colour(theme, a), colour(theme, b));
            for ground in ["--bg", "--soft"] {
                for word in words {
                    let ratio = of(word, ground);
                    assert!(ratio >= 4.5, "{name}: {word} on {ground}: {ratio:.2}");
                }
            }
            for (word, ground) in [("--loss", "--loss-bg"), ("--link", "--loss-bg")] {
                let ratio = of(word, ground);
                assert!(ratio >= 4.5, "{name}: {word} on {ground}: {ratio:.2}");
            }
            assert!(of("--focus", "--bg") >= 3.0, "{name}: the focus ring");
            for role in Role::ALL {
                let fill = format!("--fig-{}", role.as_str());
                assert!(of(&fill, "--bg") >= 3.0, "{name}: {fill} on the page");
                assert!(of("--fig-on", &fill) >= 4.5, "{name}: words on {fill}");
            }
        }
    }

    /// Every class of the timeline has the colour of a figure, or of idle time.
    #[test]
    fn the_timeline_has_no_colours_of_its_own() {
        let light = properties(&style(), ":root");
        let classes: Vec<_> = light.iter().filter(|(name, _)| name.starts_with("--c-")).collect();
        assert!(classes.len() > 15, "{}", classes.len());
        for (name, value) in classes {
            let role = value.strip_prefix("var(").and_then(|rest| rest.strip_suffix(')'));
            match role {
                Some(role) => assert!(light.contains_key(role), "{name}: {role}"),
                None => assert!(matches!(name.as_str(), "--c-idle" | "--c-between"), "{name}"),
            }
        }
    }
}

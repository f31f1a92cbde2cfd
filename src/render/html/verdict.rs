//! The verdict as HTML: every figure is a link to its table and names its field of the machine output.

use std::fmt::Write as _;

use super::escape::text;
use super::table::exact;
use crate::render::{figure, human};
use crate::table::page::{Page, table_id};
use crate::table::verdict::{Figure, Part, Sentence, Tone, Verdict};

/// Verdicts on single inputs that stand open; with more, the first screen would not hold the answer.
const MAX_OPEN: usize = 4;

/// Characters of a name; all of it stands in its table.
const MAX_NAME: usize = 90;

/// The section; nothing where there is no verdict.
pub(super) fn section(out: &mut String, page: &Page) {
    if page.verdicts.is_empty() {
        out.push_str("<div id=\"verdict\"></div>\n");
        return;
    }
    out.push_str(
        "<section id=\"verdict\" class=\"verdict\" aria-labelledby=\"h-verdict\">\n<h2 id=\"h-verdict\" title=\"Each figure leads to the table that it is from\">Verdict</h2>\n",
    );
    let (own, others): (Vec<&Verdict>, Vec<&Verdict>) =
        page.verdicts.iter().partition(|verdict| verdict.input.is_some());
    let mut others = others.into_iter();
    if let Some(first) = others.next() {
        push(out, page, first);
    }
    let is_folded = own.len() > MAX_OPEN;
    if is_folded {
        let n = own.len();
        let _ = writeln!(out, "<details><summary>Each of the {n} inputs</summary>");
    }
    grid(out, page, own);
    if is_folded {
        out.push_str("</details>\n");
    }
    grid(out, page, others.collect());
    out.push_str("</section>\n");
}

fn grid(out: &mut String, page: &Page, verdicts: Vec<&Verdict>) {
    if verdicts.is_empty() {
        return;
    }
    out.push_str("<div class=\"verdict-grid\">\n");
    verdicts.into_iter().for_each(|verdict| push(out, page, verdict));
    out.push_str("</div>\n");
}

fn push(out: &mut String, page: &Page, verdict: &Verdict) {
    let _ = writeln!(out, "<div class=\"about\"><h3>{}</h3><ul>", text(&verdict.about));
    verdict.sentences.iter().for_each(|sentence| push_sentence(out, page, sentence));
    out.push_str("</ul></div>\n");
}

/// The answer in one sentence, under the title; nothing where there is none.
pub(super) fn answer(page: &Page) -> String {
    let mut out = String::new();
    if let Some(sentence) = &page.answer {
        out.push_str("<p class=\"answer\">");
        push_parts(&mut out, page, sentence);
        out.push_str("</p>");
    }
    out
}

fn push_sentence(out: &mut String, page: &Page, sentence: &Sentence) {
    out.push_str(match sentence.tone {
        Tone::Finding => "<li>",
        Tone::Caution => "<li class=\"caution\">",
        Tone::Loss => "<li class=\"loss\">",
    });
    push_parts(out, page, sentence);
    out.push_str("</li>\n");
}

fn push_parts(out: &mut String, page: &Page, sentence: &Sentence) {
    let id = table_id(sentence.table.0, sentence.table.1);
    let has_table = page.sections.iter().flat_map(|s| &s.tables).any(|table| table.id() == id);
    let target = has_table.then_some(id.as_str());
    for part in &sentence.parts {
        match part {
            Part::Words(words) => out.push_str(&text(words)),
            Part::Name(name) => {
                let (short, whole) = (figure::short_name(name, MAX_NAME), text(name));
                let _ =
                    write!(out, "<span class=\"name\" title=\"{whole}\">{}</span>", text(&short));
            }
            Part::Figure(figure) => {
                push_figure(out, figure, own_table(page, figure).as_deref().or(target));
            }
        }
    }
    let has_figure = sentence.parts.iter().any(|part| matches!(part, Part::Figure(_)));
    if let Some(id) = target.filter(|_| !has_figure) {
        let title = page.sections.iter().flat_map(|s| &s.tables).find(|table| table.id() == id);
        let title = title.map_or("", |table| table.table.title.as_str());
        let _ = write!(out, " (see <a href=\"#{id}\">{}</a>)", text(title));
    }
}

/// The table on the page that has the field of a figure; `None` where none has.
fn own_table(page: &Page, figure: &Figure) -> Option<String> {
    // Rows that stand inside others' have tables of their own.
    let key = match figure.path.split('/').nth(1)? {
        _ if figure.path.contains("/idle_by_cause/") => "idle",
        key => key,
    };
    let id = table_id(figure.command, key);
    let mut tables = page.sections.iter().flat_map(|section| &section.tables);
    tables.any(|table| table.id() == id).then_some(id)
}

fn push_figure(out: &mut String, figure: &Figure, target: Option<&str>) {
    let exact = exact(&figure.cell).unwrap_or_default();
    let of = figure.of.as_ref().map_or(String::new(), |of| format!(" data-of=\"{of}\""));
    let part = figure.part.map_or(String::new(), |part| format!(" data-part=\"{part}\""));
    let source = format!(
        "data-value=\"{exact}\" data-command=\"{}\" data-path=\"{}\"{of}{part}",
        figure.command, figure.path
    );
    let words = text(&human::figure(&figure.cell));
    let _ = match target {
        Some(id) => write!(out, "<a class=\"fig\" href=\"#{id}\" {source}>{words}</a>"),
        None => write!(out, "<span class=\"fig\" {source}>{words}</span>"),
    };
}

//! The verdict as HTML: every figure is a link to its table and names its field of the machine output.

use std::fmt::Write as _;

use super::escape::text;
use super::table::exact;
use crate::render::human;
use crate::table::page::{Page, table_id};
use crate::table::verdict::{Figure, Part, Sentence, Tone};

/// The section; nothing where there is no verdict.
pub(super) fn section(out: &mut String, page: &Page) {
    if page.verdicts.is_empty() {
        out.push_str("<div id=\"verdict\"></div>\n");
        return;
    }
    out.push_str(
        "<section id=\"verdict\" class=\"verdict\" aria-labelledby=\"h-verdict\">\n<h2 id=\"h-verdict\">Verdict</h2>\n\
         <p class=\"lead\">Each figure leads to the table that it is from.</p>\n<div class=\"verdict-grid\">\n",
    );
    for (i, verdict) in page.verdicts.iter().enumerate() {
        let class = if i == 0 { " class=\"verdict-all\"" } else { "" };
        let _ = writeln!(out, "<div{class}><h3>{}</h3><ul>", text(&verdict.about));
        for sentence in &verdict.sentences {
            push_sentence(out, page, sentence);
        }
        out.push_str("</ul></div>\n");
    }
    out.push_str("</div>\n</section>\n");
}

fn push_sentence(out: &mut String, page: &Page, sentence: &Sentence) {
    out.push_str(match sentence.tone {
        Tone::Finding => "<li>",
        Tone::Caution => "<li class=\"caution\">",
        Tone::Loss => "<li class=\"loss\">",
    });
    let id = table_id(sentence.table.0, sentence.table.1);
    let has_table = page.sections.iter().flat_map(|s| &s.tables).any(|table| table.id() == id);
    let target = has_table.then_some(id.as_str());
    for part in &sentence.parts {
        match part {
            Part::Words(words) => out.push_str(&text(words)),
            Part::Name(name) => {
                let _ = write!(out, "<span class=\"name\">{}</span>", text(name));
            }
            Part::Figure(figure) => push_figure(out, figure, target),
        }
    }
    out.push_str("</li>\n");
}

fn push_figure(out: &mut String, figure: &Figure, target: Option<&str>) {
    let exact = exact(&figure.cell).unwrap_or_default();
    let of = figure.of.as_ref().map_or(String::new(), |of| format!(" data-of=\"{of}\""));
    let source = format!(
        "data-value=\"{exact}\" data-command=\"{}\" data-path=\"{}\"{of}",
        figure.command, figure.path
    );
    let words = text(&human::figure(&figure.cell));
    let _ = match target {
        Some(id) => write!(out, "<a class=\"fig\" href=\"#{id}\" {source}>{words}</a>"),
        None => write!(out, "<span class=\"fig\" {source}>{words}</span>"),
    };
}

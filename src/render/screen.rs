//! The first screen of `analyze` as text that a terminal of 40 lines holds.

use std::fmt::Write as _;

use super::colour::YELLOW;
use super::human;
use super::text::{Fit, TextStyle, heading, rows, wrap};
use crate::schema::written::visible;
use crate::table::screen::{Next, Screen};
use crate::table::verdict::Part;
use crate::table::{Cell, Table};

/// Lines that a screen takes; what a terminal of 40 lines has left for a prompt and a note.
const MAX_LINES: usize = 37;

/// Lines that stay for cautions whatever the findings take.
const CAUTION_LINES: usize = 5;

/// What an item of a list begins with.
const ITEM: &str = "  - ";

/// Words that stand for paths that have no room.
const PATHS: &str = "PATH…";

/// The screen; `paths` are the inputs as they were typed.
pub fn screen(screen: &Screen, paths: &str, style: TextStyle) -> String {
    let mut inputs = String::new();
    let left_out = rows(&mut inputs, &screen.inputs, style);
    let has_windows = left_out.is_none_or(|note| !note.contains(WINDOW));
    let windows = if has_windows { String::new() } else { windows(&screen.inputs) };
    let mut subject = String::new();
    let said = visible(&screen.subject) + &windows;
    wrap(&mut subject, &said, 0, style.width, Fit::BetweenWords);
    let mut out = heading(&subject, style) + &inputs;
    for note in &screen.inputs.notes {
        let _ = writeln!(out, "  note: {note}");
    }
    let next = commands(&screen.next, paths, style);
    let used = out.lines().count() + next.lines().count() + 4;
    let room = MAX_LINES.saturating_sub(used);
    let cautions = items(&screen.cautions, style);
    let n_cautions = lines(&cautions).min(CAUTION_LINES);
    let findings = items(&screen.findings, style);
    let (shown, hidden) = fitting(findings, room.saturating_sub(n_cautions));
    let left = room.saturating_sub(lines(&shown));
    list(&mut out, "Findings", &shown, hidden, style);
    out.push('\n');
    out += &next;
    let (shown, hidden) = fitting(cautions, left);
    list(&mut out, &warned("With care", style), &shown, hidden, style);
    out
}

/// Heading of the column of windows.
const WINDOW: &str = "window";

/// The shortest and the longest window, for where their column has no room.
fn windows(inputs: &Table) -> String {
    let Some(c) = inputs.columns.iter().position(|column| column.name == WINDOW) else {
        return String::new();
    };
    let all = inputs.rows.iter().filter_map(|row| match row[c] {
        Cell::Ns(ns) => Some(ns),
        _ => None,
    });
    match (all.clone().min(), all.max()) {
        (Some(least), Some(most)) if least < most => {
            format!(", windows of {} to {}", human::duration(least), human::duration(most))
        }
        (Some(only), _) => format!(", window of {}", human::duration(only)),
        _ => String::new(),
    }
}

/// A title in yellow where there are colours: what follows limits what stands above.
fn warned(title: &str, style: TextStyle) -> String {
    if style.is_coloured { format!("{YELLOW}{title}") } else { title.to_owned() }
}

fn list(out: &mut String, title: &str, items: &[String], hidden: usize, style: TextStyle) {
    if items.is_empty() && hidden == 0 {
        return;
    }
    out.push('\n');
    *out += &heading(title, style);
    items.iter().for_each(|item| *out += item);
    if hidden > 0 {
        let _ = writeln!(out, "{ITEM}{hidden} more: --table verdict");
    }
}

fn lines(items: &[String]) -> usize {
    items.iter().map(|item| item.lines().count()).sum()
}

/// The first items that fit, and how many do not; a line stays to say so.
fn fitting(mut items: Vec<String>, room: usize) -> (Vec<String>, usize) {
    let all = items.len();
    while lines(&items) + usize::from(items.len() < all) > room && items.len() > 1 {
        items.pop();
    }
    let hidden = all - items.len();
    (items, hidden)
}

/// Sentences as items of a list.
fn items(sentences: &[Vec<Part>], style: TextStyle) -> Vec<String> {
    let item = |parts: &Vec<Part>| {
        let text = human::short_sentence(parts);
        let mut out = ITEM.to_owned();
        wrap(&mut out, &text, ITEM.len(), style.width, Fit::BetweenWords);
        out.push('\n');
        out
    };
    sentences.iter().map(item).collect()
}

/// What to type next, each with what it tells where there is room.
fn commands(next: &[Next], paths: &str, style: TextStyle) -> String {
    let command = |next: &Next, paths: &str| {
        let words = ["omni-trace", next.command, paths, next.options];
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        words.join(" ")
    };
    let longest = |paths: &str| {
        next.iter().map(|next| command(next, paths).chars().count()).max().unwrap_or(0)
    };
    let tells = next.iter().map(|next| next.tells.chars().count()).max().unwrap_or(0);
    let has_room = style.width.is_none_or(|width| longest(paths) + 2 <= width);
    let paths = if has_room { paths } else { PATHS };
    let column = longest(paths);
    let has_tells = style.width.is_none_or(|width| column + tells + 4 <= width);
    let mut out = heading("Next", style);
    for one in next {
        let typed = command(one, paths);
        let _ = match has_tells {
            true => writeln!(out, "  {typed:<column$}  {}", one.tells),
            false => writeln!(out, "  {typed}"),
        };
    }
    out
}

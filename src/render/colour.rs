//! Colours of a terminal, by what a cell means; the eight that every terminal has, so that its own theme decides.

use crate::schema::Column;

/// What a colour begins with; empty for none.
pub(super) type Colour = &'static str;

const RED: Colour = "\u{1b}[31m";
const GREEN: Colour = "\u{1b}[32m";
pub(super) const YELLOW: Colour = "\u{1b}[33m";
const BLUE: Colour = "\u{1b}[34m";
const MAGENTA: Colour = "\u{1b}[35m";
const CYAN: Colour = "\u{1b}[36m";

/// What ends a colour.
const PLAIN: &str = "\u{1b}[0m";

/// The colour of a cell with some text: bad news are red, what needs care is yellow, and work, communication and waiting
/// have one each.
pub(super) fn of_cell(column: &Column, text: &str) -> Colour {
    match (column.key, text) {
        ("severity" | "tone", "data_loss" | "loss") => RED,
        ("severity" | "tone", "notice" | "caution") => YELLOW,
        ("compute_pct", _) => GREEN,
        ("comm_pct", _) => BLUE,
        ("comm_wait_pct", _) => MAGENTA,
        ("waits_pct", _) | (_, "ipc_wait" | "gpu_sync" | "wait") => YELLOW,
        ("idle", _) => RED,
        _ if column.unit == crate::schema::Unit::Percent => CYAN,
        _ => "",
    }
}

/// A text in a colour.
pub(super) fn painted(colour: Colour, text: &str) -> String {
    if colour.is_empty() { text.to_owned() } else { format!("{colour}{text}{PLAIN}") }
}

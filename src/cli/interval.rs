//! `--window` against what the inputs hold: an interval outside all of them is a mistake, not an empty result.

use super::run::Hinted;
use crate::analyze::intervals::Span;
use crate::analyze::window::WindowConfig;
use crate::render::human;

/// `windows` are those of the inputs before anything was asked.
///
/// # Errors
///
/// The interval holds nothing of any input.
pub(super) fn refuse_outside(
    asked: Option<WindowConfig>,
    windows: impl Iterator<Item = Span>,
) -> anyhow::Result<()> {
    let Some(from_ns) = asked.and_then(|window| window.from_ns) else { return Ok(()) };
    let longest_ns = windows.map(Span::len_ns).max().unwrap_or(0);
    if longest_ns == 0 || from_ns < longest_ns {
        return Ok(());
    }
    let longest = human::duration(longest_ns);
    let what = format!(
        "--window starts at {}, behind the end of every input: the longest window is {longest}",
        human::duration(from_ns)
    );
    let hint = format!(
        "times are from the start of each window; `--window ..{}` is its first half",
        half(longest_ns)
    );
    Err(Hinted { what, hint }.into())
}

/// Half of a duration, as the option takes it.
fn half(ns: i64) -> String {
    match ns / 2 {
        half @ 1_000_000.. => format!("{}ms", half / 1_000_000),
        half @ 1_000.. => format!("{}us", half / 1_000),
        half => format!("{half}ns"),
    }
}

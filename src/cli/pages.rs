//! HTML pages: from what a command knows to a file.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use super::analyzed::Analyzed;
use super::output::Target;
use crate::analyze::clock::Placement;
use crate::analyze::overview::{OverviewInput, overview};
use crate::read::Input;
use crate::render::html;
use crate::table::OverviewData;
use crate::table::page::{Origin, Page};

/// Writes a page, which appears whole or not at all. `inputs` are the traces that it is about.
pub(super) fn write(path: &Path, page: Page, inputs: &[Input]) -> anyhow::Result<()> {
    let page = Page { origin: origin(inputs), ..page };
    Target::File(path.to_owned()).write(html::page(&page).as_bytes())
}

/// The overview timeline of analyzed inputs.
pub(super) fn overview_of(inputs: &[Input], analyzed: &Analyzed) -> OverviewData {
    let placed = analyzed.across.as_ref().map(|across| &across.placed);
    let offset_ns = |number: usize| match placed {
        None => Some(0),
        Some(placed) => match placed[number].placement {
            Placement::None => None,
            _ => Some(placed[number].offset_ns),
        },
    };
    let parts: Vec<OverviewInput<'_>> = analyzed
        .results
        .iter()
        .enumerate()
        .map(|(number, results)| OverviewInput {
            base: &results.base,
            iterations: &results.iterations,
            offset_ns: offset_ns(number),
        })
        .collect();
    let who = |input: usize| match inputs[input].identity.label() {
        label if label.is_empty() => format!("#{input}"),
        label => format!("#{input} {label}"),
    };
    let thread = |input: usize, track: usize| {
        let store = &inputs[input].store;
        format!("thread {}", store.track_id_text(&store.tracks[track].tid))
    };
    OverviewData::of(overview(&parts), who, thread)
}

/// How this run was asked for, and what wrote its inputs.
fn origin(inputs: &[Input]) -> Origin {
    let mut by_value: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for (number, input) in inputs.iter().enumerate() {
        let mut add = |key: &str, value: &str| {
            let value = value.trim_matches('"').to_owned();
            by_value.entry((key.to_owned(), value)).or_default().push(format!("#{number}"));
        };
        let versions = input.store.meta.entries.iter();
        for (key, value) in versions.filter(|(key, _)| key.to_lowercase().contains("version")) {
            add(key, value);
        }
        if let Some(version) =
            input.store.meta.distributed.as_ref().and_then(|d| d.nccl_version.as_ref())
        {
            add("nccl_version", version);
        }
    }
    Origin {
        command_line: command_line(std::env::args_os().skip(1)),
        version: env!("CARGO_PKG_VERSION"),
        written_by: by_value
            .into_iter()
            .map(|((key, value), inputs)| (inputs.join(", "), key, value))
            .collect(),
    }
}

/// The arguments as a shell takes them, less what has no influence on the page.
fn command_line(args: impl Iterator<Item = impl AsRef<OsStr>>) -> String {
    let mut words = vec!["omni-trace".to_owned()];
    let mut is_value_of_threads = false;
    for arg in args {
        let arg = arg.as_ref().to_string_lossy();
        let is_left_out = matches!(&*arg, "-q" | "--quiet" | "--threads")
            || arg.starts_with("--threads=")
            || is_value_of_threads;
        is_value_of_threads = arg == "--threads";
        if !is_left_out {
            words.push(quoted(&arg));
        }
    }
    words.join(" ")
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::command_line;

    #[test]
    fn the_command_line_can_be_pasted() {
        let args = ["report", "a b.json", "it's", "--threads", "7", "-q", "-o", "out"];
        assert_eq!(command_line(args.iter()), r"omni-trace report 'a b.json' 'it'\''s' -o out");
    }
}

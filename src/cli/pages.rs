//! HTML pages: from what a command knows to a file.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::Read as _;
use std::path::Path;

use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::output::Target;
use crate::analyze::clock::Placement;
use crate::analyze::overview::{OverviewInput, overview};
use crate::analyze::overview_names::NamedSpan;
use crate::analyze::window::{WindowConfig, windows};
use crate::ask::{Answers, InputAnswers};
use crate::model::log::{minute_of, year_of};
use crate::read::Input;
use crate::render::html;
use crate::table::OverviewData;
use crate::table::page::{FileRow, Origin, Page};

/// A larger file would be hashed longer than a page may take.
const MAX_HASHED_BYTES: u64 = 512 << 20;

/// Writes a page, which appears whole or not at all. `inputs` are the traces that it is about, `logs` the logs.
pub(super) fn write<'a>(
    path: &Path,
    page: Page,
    inputs: &'a [Input],
    logs: impl IntoIterator<Item = &'a Path>,
) -> anyhow::Result<()> {
    Target::File(path.to_owned()).write(html_of(page, inputs, logs).as_bytes())
}

/// The text of a page.
pub(super) fn html_of<'a>(
    page: Page,
    inputs: &'a [Input],
    logs: impl IntoIterator<Item = &'a Path>,
) -> String {
    let mut files: Vec<&Path> = inputs.iter().map(|input| input.path.as_path()).collect();
    files.extend(logs);
    // A merged file is several inputs.
    files.dedup();
    html::page(&page.with_origin(origin(inputs, &files)))
}

/// What tells whether a file is the same when the page is made again.
fn file_row(path: &Path) -> FileRow {
    let bytes = std::fs::metadata(path).ok().filter(Metadata::is_file).map(|meta| meta.len());
    let sha256 = bytes.filter(|&bytes| bytes <= MAX_HASHED_BYTES).and_then(|_| sha256(path).ok());
    FileRow { path: path.to_string_lossy().into_owned(), bytes, sha256 }
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 18];
    loop {
        match file.read(&mut block)? {
            0 => break,
            n => hash.update(&block[..n]),
        }
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The overview timeline of analyzed inputs.
pub(super) fn overview_of(inputs: &[Input], answers: &Answers) -> OverviewData {
    let all: Vec<&Input> = inputs.iter().collect();
    let label = |input: usize| format!("#{input}");
    overview_with(&all, &parts_of(inputs, answers, 0), label)
}

/// The overview timeline of two runs, A and B: each from its own start, on one scale of time.
pub(super) fn overview_of_sides(sides: &[(&[Input], Answers); 2]) -> OverviewData {
    let all: Vec<&Input> = sides.iter().flat_map(|(inputs, _)| inputs.iter()).collect();
    let parts: Vec<OverviewInput<'_>> = sides
        .iter()
        .flat_map(|(inputs, answers)| parts_of(inputs, answers, -start_of(answers)))
        .collect();
    let n_a = sides[0].0.len();
    let label = |input: usize| match (input.checked_sub(n_a), n_a, all.len() - n_a) {
        (None, 1, _) => "A".to_owned(),
        (None, ..) => format!("A #{input}"),
        (Some(_), _, 1) => "B".to_owned(),
        (Some(number), ..) => format!("B #{number}"),
    };
    overview_with(&all, &parts, label)
}

/// What to add to the times of an input for the time line of its run; `None` where it has no place on it.
fn offset_ns(answers: &Answers, number: usize) -> Option<i64> {
    let Some(placed) = answers.across.as_ref().map(|across| &across.placed) else { return Some(0) };
    match placed[number].placement {
        Placement::None => None,
        _ => Some(placed[number].offset_ns),
    }
}

/// When a run begins on its time line.
fn start_of(answers: &Answers) -> i64 {
    let starts = answers
        .windows()
        .enumerate()
        .filter_map(|(number, windows)| Some(windows.whole.start_ns + offset_ns(answers, number)?));
    starts.min().unwrap_or(0)
}

/// The inputs of a run, moved by `shift_ns`.
fn parts_of<'a>(
    inputs: &'a [Input],
    answers: &'a Answers,
    shift_ns: i64,
) -> Vec<OverviewInput<'a>> {
    let part = |(number, (input, results)): (usize, (&'a Input, &'a InputAnswers))| OverviewInput {
        store: &input.store,
        base: &results.base,
        iterations: &results.iterations,
        offset_ns: offset_ns(answers, number).map(|offset_ns| offset_ns + shift_ns),
    };
    inputs.iter().zip(&answers.results).enumerate().map(part).collect()
}

fn overview_with(
    inputs: &[&Input],
    parts: &[OverviewInput<'_>],
    label: impl Fn(usize) -> String,
) -> OverviewData {
    let who = |input: usize| match inputs[input].identity.label() {
        name if name.is_empty() => label(input),
        name => format!("{} {name}", label(input)),
    };
    let thread = |input: usize, track: usize| {
        let store = &inputs[input].store;
        format!("thread {}", store.track_id_text(&store.tracks[track].tid))
    };
    let name =
        |input: usize, span: &NamedSpan| inputs[input].store.strings.get(span.name).to_owned();
    OverviewData::of(overview(parts), who, thread, name)
}

/// How this run was asked for, and what wrote its inputs.
fn origin(inputs: &[Input], files: &[&Path]) -> Origin {
    let mut by_value: BTreeMap<(String, String), BTreeSet<usize>> = BTreeMap::new();
    for (number, input) in inputs.iter().enumerate() {
        let mut add = |key: &str, value: &str| {
            let value = value.trim_matches('"').to_owned();
            by_value.entry((key.to_owned(), value)).or_default().insert(number);
        };
        let meta = &input.store.meta;
        let versions = meta.entries.iter();
        for (key, value) in versions.filter(|(key, _)| key.to_lowercase().contains("version")) {
            add(key, value);
        }
        if let Some(version) = meta.distributed.as_ref().and_then(|d| d.nccl_version.as_ref()) {
            add("nccl_version", version);
        }
        meta.devices.iter().for_each(|device| add("device", &device.name));
    }
    let numbers = |of: BTreeSet<usize>| {
        let numbers: Vec<String> = of.iter().map(|number| format!("#{number}")).collect();
        match inputs.len() {
            1 => String::new(),
            n if n == of.len() => format!("all {n} inputs"),
            _ => numbers.join(", "),
        }
    };
    Origin {
        command_line: command_line(std::env::args_os().skip(1)),
        version: env!("CARGO_PKG_VERSION"),
        recorded: inputs.iter().filter_map(first_ns).min().map(minute_of),
        written_by: by_value
            .into_iter()
            .map(|((key, value), of)| (numbers(of), key, value))
            .collect(),
        files: files.par_iter().map(|path| file_row(path)).collect(),
    }
}

/// When an input begins, as a Unix time; `None` where its times are not counted from 1970.
fn first_ns(input: &Input) -> Option<i64> {
    /// Earlier than that nothing was profiled: times are from the start of the machine.
    const FIRST_YEAR: i32 = 2015;
    let from_ns = windows(&input.store, WindowConfig::default()).whole.start_ns;
    let unix_ns = input.store.meta.base_time_ns.unwrap_or(0).checked_add(from_ns)?;
    (year_of(unix_ns) >= FIRST_YEAR).then_some(unix_ns)
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

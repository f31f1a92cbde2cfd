//! What `merge` and `slim` share: the first pass, where the output goes, the report.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::args_merge::TraceOutputArgs;
use super::here;
use super::output::Target;
use super::progress::ProgressDisplay;
use super::read_twice::Spooled;
use super::run::{DISK_FULL_HINT, Hinted, Outcome, is_disk_full, say, say_rendered};
use super::session;
use super::tables::{TableChoice, rendered_as};
use crate::diag::Reporter;
use crate::diag::timings::{self, timed};
use crate::files::{AtomicFile, spill_file};
use crate::read::events::{Again, ReadAgain, read_apart_for_rewriting, read_for_rewriting};
use crate::read::{Input, Progress, ReadOptions, side_by_side};
use crate::render::human;
use crate::schema;
use crate::store::carry_losses;
use crate::table::{OutputRow, Table};
use crate::write::{Pass, Source, WriteError, Written, write_json, write_perfetto};

/// What the first pass over an input gave.
pub(super) struct FirstPass {
    pub(super) input: Input,
    pub(super) again: Again,
}

impl FirstPass {
    /// The file that was profiled into: of a merged file's input the one it was merged from.
    pub(super) fn origin(&self) -> &Path {
        self.input.merged_from.as_deref().map_or(&self.input.path, Path::new)
    }

    /// Lets what is written say what was lost.
    pub(super) fn carry_losses(&mut self) {
        let Input { store, diag, .. } = &mut self.input;
        carry_losses(&mut store.meta.entries, diag, store.meta.truncated);
    }
}

/// Reads the inputs, several at a time, which are wanted whole; one alone as is said. Of several, merged files are taken apart.
pub(super) fn first_pass(
    sources: &[Spooled],
    options: &ReadOptions,
    progress: &Arc<Progress>,
    args: &TraceOutputArgs,
    again: ReadAgain,
) -> anyhow::Result<Vec<FirstPass>> {
    let paths: Vec<PathBuf> = sources.iter().map(|source| source.path().to_owned()).collect();
    let read = |source: &Spooled, options: &ReadOptions| {
        let read = if sources.len() > 1 {
            read_apart_for_rewriting(source.path(), options, progress)
        } else {
            read_for_rewriting(source.path(), options, progress, again).map(|read| vec![read])
        };
        let named = |(mut input, again): (Input, Again)| {
            source.shown().clone_into(&mut input.path);
            FirstPass { input, again }
        };
        let read = read.map_err(|error| error.renamed(source.shown()))?;
        Ok(read.into_iter().map(named).collect())
    };
    let results = {
        let _display = ProgressDisplay::start(progress, &paths, args.running.quiet);
        timed("first pass", || side_by_side(sources, options, read))
    };
    let sorting = args.running.sorting();
    let mut read = sorting.sorted(results, |first: &mut FirstPass| &mut first.input.diag)?;
    read.iter_mut().for_each(FirstPass::carry_losses);
    Ok(read)
}

pub(super) fn read_options(args: &TraceOutputArgs) -> ReadOptions {
    let mut options = ReadOptions::default();
    if let Some(threads) = args.running.threads {
        options.threads = usize::from(threads);
    }
    options
}

/// Runs with as many threads as asked for.
pub(super) fn in_pool<T: Send>(
    args: &TraceOutputArgs,
    work: impl FnOnce() -> anyhow::Result<T> + Send,
) -> anyhow::Result<T> {
    session::in_pool(read_options(args).threads, work)
}

/// Kind of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    JsonGzip(u32),
    Perfetto,
}

/// Where the trace goes.
#[derive(Debug)]
pub(super) struct Destination {
    path: PathBuf,
    kind: Kind,
    /// When the command began.
    started: Instant,
}

impl Destination {
    /// The destination of the arguments, or of the name that stands in for one; its kind goes by its name.
    pub(super) fn of(
        args: &TraceOutputArgs,
        default: impl FnOnce() -> PathBuf,
    ) -> anyhow::Result<Self> {
        Self::named(&here::output_or(args.output.as_deref(), args.force, default)?, args.level)
    }

    /// The destination of a name; `level` is of gzip.
    pub(super) fn named(path: &Path, level: u32) -> anyhow::Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        let kind = if path == Path::new("-") || ends(&[".json"]) {
            Kind::Json
        } else if ends(&[".json.gz"]) {
            Kind::JsonGzip(level)
        } else if ends(&[".pftrace", ".perfetto-trace"]) {
            Kind::Perfetto
        } else {
            let what = format!("what kind of trace {} is to be cannot be told", path.display());
            let hint = "let its name end in .json, .json.gz or .pftrace".to_owned();
            return Err(Hinted { what, hint }.into());
        };
        Ok(Self { path: path.to_owned(), kind, started: Instant::now() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the output is Chrome JSON.
    pub(super) fn is_json(&self) -> bool {
        matches!(self.kind, Kind::Json | Kind::JsonGzip(_))
    }

    fn is_stdout(&self) -> bool {
        self.path == Path::new("-")
    }

    /// Writes the trace. Gives its bytes on disk besides.
    pub(super) fn write(
        &self,
        base_time_ns: Option<i64>,
        members: &[(String, String)],
        sources: &[Source<'_>],
        pass: Pass<'_>,
        is_quiet: bool,
    ) -> anyhow::Result<(Written, Option<u64>)> {
        let paths: Vec<PathBuf> =
            sources.iter().map(|source| source.again.path().to_owned()).collect();
        let _display = ProgressDisplay::start(pass.progress, &paths, is_quiet);
        timings::part("again");
        if self.is_stdout() {
            return match self.write_to(
                &mut io::stdout().lock(),
                base_time_ns,
                members,
                sources,
                pass,
            ) {
                // A reader that closed the pipe has seen what it wanted: that is success.
                Err(WriteError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                    Ok((Written::default(), None))
                }
                other => Ok((self.told(other)?, None)),
            };
        }
        let file = AtomicFile::create(&self.path).map_err(WriteError::Write);
        let mut file = self.told(file)?;
        let written = timed("write: whole", || {
            self.write_to(&mut file, base_time_ns, members, sources, pass)
        });
        let written = self.told(written)?;
        let finished = timed("write: onto the disk", || file.finish());
        let bytes = self.told(finished.map_err(WriteError::Write))?;
        Ok((written, Some(bytes)))
    }

    fn write_to(
        &self,
        out: &mut impl io::Write,
        base_time_ns: Option<i64>,
        members: &[(String, String)],
        sources: &[Source<'_>],
        pass: Pass<'_>,
    ) -> Result<Written, WriteError> {
        match self.kind {
            Kind::Json => write_json(out, None, members, sources, pass),
            Kind::JsonGzip(level) => write_json(out, Some(level), members, sources, pass),
            Kind::Perfetto => {
                let spill = || spill_file(&self.path);
                write_perfetto(out, base_time_ns, members, sources, pass, &spill)
            }
        }
    }

    /// Errors of the output name it.
    fn told<T>(&self, result: Result<T, WriteError>) -> anyhow::Result<T> {
        match result {
            Ok(value) => Ok(value),
            Err(WriteError::Read(error)) => Err(error.into()),
            Err(WriteError::Write(error)) => {
                let hint = match error.kind() {
                    _ if is_disk_full(&error) => {
                        format!("{DISK_FULL_HINT}; nothing was left behind")
                    }
                    io::ErrorKind::NotFound => "make the folder first".to_owned(),
                    _ => "check the folder's permissions, and that the disk is there".to_owned(),
                };
                let what = format!("cannot write {}: {error}", self.path.display());
                Err(Hinted { what, hint }.into())
            }
        }
    }
}

/// Prints a report of an output: on standard output, or on standard error where the trace itself goes there; then what was
/// written. `view` is what a person sees of a table.
pub(super) fn show<R: Serialize>(
    args: &TraceOutputArgs,
    destination: &Destination,
    (report, output): (&R, &OutputRow),
    tables: &[schema::Source<'_>],
    view: impl Fn(&schema::Source<'_>) -> Table,
) -> anyhow::Result<()> {
    if args.running.quiet {
        return Ok(());
    }
    let first = tables.first().map_or("", |source| source.key);
    let choice = TableChoice::first_in_csv(args.format, first);
    let style = super::plan::style(&Target::Stdout);
    let format = (args.format, style);
    let rendered = rendered_as(
        format,
        &choice,
        report,
        &tables.iter().collect::<Vec<_>>(),
        view,
        Table::for_people,
    )?;
    if destination.is_stdout() {
        rendered.lines().for_each(say_rendered);
        return Ok(());
    }
    Target::Stdout.write(rendered.as_bytes())?;
    say(&written(destination, output));
    Ok(())
}

/// `wrote merged.json.gz: 3.50 MB (12.65 MB of JSON) in 0.4 s`.
pub(super) fn written(destination: &Destination, output: &OutputRow) -> String {
    // A device or a pipe has no size.
    let bytes = output.bytes.filter(|&bytes| bytes > 0).unwrap_or(output.text_bytes);
    let text = match destination.kind {
        Kind::JsonGzip(_) => format!(" ({} of JSON)", human::bytes(output.text_bytes)),
        Kind::Json | Kind::Perfetto => String::new(),
    };
    let seconds = destination.started.elapsed().as_secs_f64();
    format!("wrote {}: {}{text} in {seconds:.1} s", output.path, human::bytes(bytes))
}

/// Whether data was lost, told and judged.
pub(super) fn outcome<'a>(
    args: &TraceOutputArgs,
    written: &Written,
    diags: impl Iterator<Item = &'a Reporter>,
) -> Outcome {
    let n_left_out = written.n_left_out;
    if n_left_out > 0 && !args.running.quiet {
        let events = if n_left_out == 1 { "event has" } else { "events have" };
        say(&format!("warning: {n_left_out} {events} no place in a Perfetto trace and went"));
        say("hint: .json and .json.gz keep every event");
    }
    let manner = args.running.sorting();
    if n_left_out > 0 && args.running.strict {
        return Outcome::DataLost;
    }
    session::outcome(manner, diags, None)
}

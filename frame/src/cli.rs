//! From arguments to an exit code. Only this prints.

use std::fs;
use std::io::{self, BufWriter, IsTerminal as _, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser as _;
use omni_trace::files::{AtomicFile, protect};
use omni_trace::schema::written::visible;
use polars::prelude::{DataFrame, PolarsError};

use crate::args::{Command, Line, QueryArgs};
use crate::catalog::Catalog;
use crate::session::Session;
use crate::show::{self, Format};
use crate::statement;
use crate::trouble::Trouble;
use crate::{export, prompt, questions, stored};

/// Rows of text that a terminal shows where nothing else is asked for.
const TERMINAL_ROWS: usize = 40;

const FAILED: u8 = 2;

/// Runs the command line.
pub fn run() -> ExitCode {
    let result = match Line::parse().command {
        Command::Query(args) => query(&args),
        Command::Export(args) => export::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            say_trouble(&trouble);
            ExitCode::from(FAILED)
        }
    }
}

/// Says what failed and what to do.
pub(crate) fn say_trouble(trouble: &Trouble) {
    say(&format!("error: {}", trouble.what));
    if let Some(hint) = &trouble.hint {
        say(&format!("hint: {hint}"));
    }
}

/// Writes lines to standard error; nothing in them moves the cursor, and there is nobody to tell where that fails.
pub(crate) fn say(message: &str) {
    for line in message.split('\n') {
        let _ = writeln!(io::stderr().lock(), "{}", visible(line));
    }
}

fn query(args: &QueryArgs) -> Result<(), Trouble> {
    let (paths, words) = split(&args.words);
    if args.list {
        return listed(args);
    }
    let catalog = Catalog::new();
    let data = args.read.data(paths, &args.part)?.or_stored(&catalog)?;
    let format = format_of(args);
    let Some(sql) = sql_of(args, words)? else {
        let limit = args.limit.unwrap_or(TERMINAL_ROWS);
        return prompt::run(&catalog, &data, limit, !args.full_names);
    };
    let statements = statement::parse(&sql)?;
    data.protect();
    protect(args.file.as_deref());
    let mut out = Out::new(args, format)?;
    let mut session = Session::new(&catalog, &data);
    for statement in &statements {
        if let Some(frame) = session.run(statement)?
            && !out.put(frame)?
        {
            return Ok(());
        }
    }
    out.finish()?;
    if let (Some(told), false) = (data.told_of_reading(), args.read.quiet) {
        say(&format!("note: {told}"));
    }
    Ok(())
}

/// Paths, and then SQL: the last word, where it has several words and nothing of that name is there.
fn split(words: &[String]) -> (Vec<PathBuf>, Option<&str>) {
    let is_sql = |word: &&String| {
        word.trim().contains(char::is_whitespace) && !Path::new(word.as_str()).exists()
    };
    let sql = words.last().filter(is_sql).map(String::as_str);
    let n_paths = words.len() - usize::from(sql.is_some());
    let mut paths: Vec<PathBuf> = words[..n_paths].iter().map(PathBuf::from).collect();
    if paths.is_empty() {
        paths.push(PathBuf::from("."));
    }
    (paths, sql)
}

/// The statements, wherever they stand; `None` where a person is to type them.
fn sql_of(args: &QueryArgs, words: Option<&str>) -> Result<Option<String>, Trouble> {
    if let Some(ask) = &args.ask {
        return questions::sql(ask).map(Some);
    }
    if let Some(file) = &args.file {
        return read(file).map(Some);
    }
    if let Some(sql) = words {
        return Ok(Some(sql.to_owned()));
    }
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        return Ok(None);
    }
    let hint = "give it behind the paths, in quotes; from a file with -f FILE, or with -f - from standard input; ready questions: --list";
    Err(Trouble::new("no SQL was given", hint))
}

fn read(file: &Path) -> Result<String, Trouble> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    read.map_err(|error| {
        Trouble::new(format!("{}: {error}", file.display()), "-f takes a file of SQL")
    })
}

/// The format that is named, or that the ending of the output says.
fn format_of(args: &QueryArgs) -> Format {
    let ending =
        args.output.as_deref().and_then(Path::extension).and_then(|ending| ending.to_str());
    let of_ending = ending.and_then(|ending| clap::ValueEnum::from_str(ending, true).ok());
    args.format.or(of_ending).unwrap_or(Format::Text)
}

/// Where results go.
struct Out<'a> {
    format: Format,
    to: Sink,
    limit: Option<usize>,
    /// Whether it is text for a person, whose names are shortened.
    is_short: bool,
    n_results: usize,
    target: Option<&'a Path>,
}

/// What results are written to.
enum Sink {
    File(AtomicFile),
    Stdout(BufWriter<io::StdoutLock<'static>>),
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Stdout(stdout) => stdout.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Stdout(stdout) => stdout.flush(),
        }
    }
}

impl<'a> Out<'a> {
    fn new(args: &'a QueryArgs, format: Format) -> Result<Self, Trouble> {
        let target = args.output.as_deref().filter(|path| *path != Path::new("-"));
        let is_terminal = target.is_none() && io::stdout().is_terminal();
        if is_terminal && !format.is_text() {
            return Err(Trouble::new(
                "a terminal shows no Parquet and no Arrow",
                "name a file with -o, or pipe it on",
            ));
        }
        let limit = match args.limit {
            None if is_terminal && format == Format::Text => Some(TERMINAL_ROWS),
            given => given.filter(|&rows| rows > 0),
        };
        let to = match target {
            Some(path) => {
                Sink::File(AtomicFile::create(path).map_err(|error| unwritten(path, &error))?)
            }
            None => Sink::Stdout(BufWriter::new(io::stdout().lock())),
        };
        let is_short = is_terminal && format == Format::Text && !args.full_names;
        Ok(Self { format, to, limit, is_short, n_results: 0, target })
    }

    /// Writes a result; whether anybody still reads.
    fn put(&mut self, frame: DataFrame) -> Result<bool, Trouble> {
        if self.n_results > 0 && !self.format.is_text() {
            let hint = "run them one by one, each with a file of its own";
            return Err(Trouble::new(
                "a file of Parquet or Arrow holds one result, and this is the second",
                hint,
            ));
        }
        let height = frame.height();
        let mut shown = self.limit.map_or_else(|| frame.clone(), |rows| frame.head(Some(rows)));
        let written = self.write(&mut shown);
        self.n_results += 1;
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(false),
            Err(error) => {
                return Err(unwritten(self.target.unwrap_or(Path::new("standard output")), &error));
            }
            Ok(()) => {}
        }
        if shown.height() < height {
            say(&left_out(height - shown.height()));
        }
        Ok(true)
    }

    fn write(&mut self, frame: &mut DataFrame) -> io::Result<()> {
        let parted =
            self.n_results > 0 && matches!(self.format, Format::Text | Format::Md | Format::Csv);
        if parted {
            writeln!(self.to)?;
        }
        match self.format {
            Format::Parquet => stored::parquet(frame, Vec::new(), &mut self.to).map_err(as_io)?,
            Format::Arrow => stored::arrow(frame, Vec::new(), &mut self.to).map_err(as_io)?,
            _ if self.is_short => {
                if show::on_terminal(frame, true, &mut self.to)? {
                    self.to.flush()?;
                    say(show::SHORTENED);
                }
            }
            text => show::write(frame, text, &mut self.to)?,
        }
        self.to.flush()
    }

    fn finish(self) -> Result<(), Trouble> {
        match (self.to, self.target) {
            (Sink::File(file), Some(path)) => {
                file.finish().map(drop).map_err(|error| unwritten(path, &error))
            }
            _ => Ok(()),
        }
    }
}

/// What stands under a result that is not shown as a whole.
pub(crate) fn left_out(n_rows: usize) -> String {
    format!("{n_rows} rows more: --limit 0 shows all")
}

/// An error of polars as one of writing: below it there may be a closed pipe.
pub(crate) fn as_io(error: PolarsError) -> io::Error {
    match error {
        PolarsError::IO { error, .. } => io::Error::new(error.kind(), error.to_string()),
        other => io::Error::other(other.to_string()),
    }
}

/// A file that cannot be written.
pub(crate) fn unwritten(path: &Path, error: &io::Error) -> Trouble {
    Trouble::new(
        format!("{}: {error}", path.display()),
        "name a file in a folder that is there and that you may write to",
    )
}

fn listed(args: &QueryArgs) -> Result<(), Trouble> {
    let text = match &args.ask {
        Some(ask) => format!("{}\n", questions::sql(ask)?),
        None => questions::listing(),
    };
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(unwritten(Path::new("standard output"), &error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::split;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn the_last_of_several_words_is_sql() {
        let all = words(&["a.json", "SELECT 1"]);
        assert_eq!(split(&all), (vec![PathBuf::from("a.json")], Some("SELECT 1")));
        let all = words(&["\n  with x as (select 1) select * from x"]);
        assert_eq!(split(&all), (vec![PathBuf::from(".")], Some(all[0].as_str())));
        let dir = tempfile::tempdir().unwrap();
        let spaced = dir.path().join("select my traces");
        std::fs::create_dir(&spaced).unwrap();
        for path in ["select", spaced.to_str().unwrap()] {
            let all = words(&[path]);
            assert_eq!(split(&all), (vec![PathBuf::from(path)], None), "{path}");
        }
    }
}

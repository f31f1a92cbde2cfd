//! The prompt: statements of several lines up to a semicolon, a history in the user's cache directory, and completion of
//! tables, columns and functions. Ctrl-C ends the statement that runs, and the prompt goes on.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::PathBuf;

use polars::prelude::DataFrame;
use rustyline::completion::Completer;
use rustyline::config::Configurer as _;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Context, Editor, Helper};

use crate::catalog::Catalog;
use crate::cli::{left_out, say, say_trouble};
use crate::data::Data;
use crate::interrupt::{Interrupts, Until};
use crate::session::Session;
use crate::show;
use crate::statement::{self, HELPERS};
use crate::trouble::Trouble;
use crate::{functions, questions};

const PROMPT: &str = "sql> ";

/// Statements that are kept.
const KEPT: usize = 1_000;

/// What is said at the start.
const WELCOME: &str = "SQL, up to a semicolon. SHOW TABLES; and DESCRIBE events; say what there is, Tab completes; ready questions: .list and \
                       .ask NAME; Ctrl-C ends a statement, .quit or Ctrl-D leaves";

/// Words of SQL that are completed.
const WORDS: [&str; 38] = [
    "AND",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CREATE",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "ELSE",
    "END",
    "EXPLAIN",
    "FROM",
    "GROUP",
    "HAVING",
    "ILIKE",
    "IN",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NOT",
    "NULL",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OVER",
    "PARTITION",
    "SELECT",
    "SHOW",
    "TABLES",
    "THEN",
    "UNION",
    "WHEN",
    "WHERE",
];

/// Reads statements until there are no more.
///
/// # Errors
///
/// A terminal that cannot be read, and inputs that cannot.
pub(crate) fn run(
    catalog: &Catalog,
    data: &Data,
    limit: usize,
    is_short: bool,
) -> Result<(), Trouble> {
    // Inputs that cannot be read are told at once, and not at the first statement; logs alone are no traces.
    let read = data.traces();
    let mut editor = editor(catalog)
        .map_err(|error| Trouble::plain(format!("the terminal cannot be read: {error}")))?;
    let history = history();
    if let Some(history) = &history {
        // The first time there is none.
        let _ = editor.load_history(history);
    }
    if let Err(trouble) = read {
        say_trouble(&trouble);
    }
    say(WELCOME);
    let interrupts = Interrupts::watch()
        .map_err(|error| Trouble::plain(format!("Ctrl-C cannot be watched: {error}")))?;
    let mut asked = Asked { session: Session::new(catalog, data), interrupts, limit, is_short };
    loop {
        asked.interrupts.forget();
        match editor.readline(PROMPT) {
            Ok(text) => {
                // What cannot be kept is still answered.
                let _ = editor.add_history_entry(text.trim());
                if let Some(history) = &history {
                    let _ = editor.append_history(history);
                }
                if !asked.answer(text.trim()) {
                    return Ok(());
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => {
                return Err(Trouble::plain(format!("the terminal cannot be read: {error}")));
            }
        }
    }
}

/// What answers.
struct Asked<'a> {
    session: Session<'a>,
    interrupts: Interrupts,
    /// Rows that are shown; 0 for all.
    limit: usize,
    /// Whether names are shortened.
    is_short: bool,
}

impl Asked<'_> {
    /// Answers what was typed; whether there is more to come.
    fn answer(&mut self, text: &str) -> bool {
        let result = match text
            .split_once(char::is_whitespace)
            .map_or((text, ""), |(word, rest)| (word, rest.trim()))
        {
            (".quit" | ".exit" | "quit;" | "exit;" | "quit" | "exit", _) => return false,
            (".help", _) => shown(WELCOME),
            (".list", _) => shown(questions::listing().trim_end()),
            (".tables", _) => self.sql("SHOW TABLES"),
            (".ask", name) => questions::sql(name).and_then(|text| self.sql(&text)),
            (word, _) if word.starts_with('.') => Err(Trouble::new(
                format!("there is no {word}"),
                "there are .help, .list, .ask NAME, .tables and .quit",
            )),
            _ => self.sql(text),
        };
        if let Err(trouble) = result {
            say_trouble(&trouble);
        }
        true
    }

    fn sql(&mut self, text: &str) -> Result<(), Trouble> {
        for statement in &statement::parse(text)? {
            // A session keeps what it made; what an interruption leaves half made is made again.
            let (session, interrupts) = (&mut self.session, &self.interrupts);
            let Some(frame) = interrupts.until(|| session.run(statement))? else { continue };
            interrupts.until(|| {
                show_some(frame, self.limit, self.is_short, interrupts);
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Shows the first rows of a result, and says how many more there are.
fn show_some(frame: DataFrame, limit: usize, is_short: bool, interrupts: &Interrupts) {
    let height = frame.height();
    let mut shown = if limit == 0 { frame } else { frame.head(Some(limit)) };
    let mut out = Until { out: io::stdout().lock(), interrupts };
    // A terminal that is gone is noticed when the next statement is read.
    let is_shortened = show::on_terminal(&mut shown, is_short, &mut out)
        .and_then(|is_shortened| out.flush().map(|()| is_shortened));
    if matches!(is_shortened, Ok(true)) {
        say(show::SHORTENED);
    }
    if shown.height() < height {
        say(&left_out(height - shown.height()));
    }
}

fn shown(text: &str) -> Result<(), Trouble> {
    let _ = writeln!(io::stdout().lock(), "{text}");
    Ok(())
}

fn editor(catalog: &Catalog) -> rustyline::Result<Editor<Names, FileHistory>> {
    let mut editor = Editor::new()?;
    editor.set_helper(Some(Names::of(catalog)));
    editor.set_completion_type(CompletionType::List);
    editor.set_max_history_size(KEPT)?;
    Ok(editor)
}

/// The file that statements are kept in; `None` where there is no place for it.
fn history() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let cache =
        set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?.join("omni-trace");
    std::fs::create_dir_all(&cache).ok()?;
    Some(cache.join("query_history"))
}

/// What is completed.
struct Names(BTreeSet<String>);

impl Names {
    fn of(catalog: &Catalog) -> Self {
        let tables = catalog.tables.iter().flat_map(|table| {
            let columns = table.columns.iter().map(|column| column.key);
            std::iter::once(table.name).chain(columns)
        });
        let functions =
            functions::KNOWN.iter().copied().chain(HELPERS.iter().map(|helper| helper.name));
        let questions = questions::QUESTIONS.iter().map(|question| question.name);
        Self(tables.chain(WORDS).chain(functions).chain(questions).map(str::to_owned).collect())
    }

    /// Where the word at the end of a text begins, and what it may become.
    fn complete(&self, text: &str) -> (usize, Vec<String>) {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let start = text
            .rfind(|c| !is_part(c))
            .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
        let begun = text[start..].to_lowercase();
        if begun.is_empty() {
            return (start, Vec::new());
        }
        let fits = |name: &&String| name.to_lowercase().starts_with(&begun);
        (start, self.0.iter().filter(fits).cloned().collect())
    }
}

impl Completer for Names {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.complete(&line[..pos]))
    }
}

impl Validator for Names {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let is_whole = is_whole(context.input());
        Ok(if is_whole { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

/// Whether a text is to be answered: a command, nothing at all, or statements up to a semicolon that stands in no string.
fn is_whole(text: &str) -> bool {
    let text = text.trim();
    let is_open = text.matches('\'').count() % 2 == 1;
    text.is_empty()
        || text.starts_with('.')
        || matches!(text, "quit" | "exit")
        || (text.ends_with(';') && !is_open)
}

impl Hinter for Names {
    type Hint = String;
}

impl Highlighter for Names {}

impl Helper for Names {}

#[cfg(test)]
mod tests {
    use super::{Names, is_whole};
    use crate::catalog::Catalog;

    #[test]
    fn tables_columns_and_functions_are_completed() {
        let names = Names::of(&Catalog::new());
        let (start, found) = names.complete("SELECT name FROM kernel_ev");
        assert_eq!((start, found), (17, vec!["kernel_events".to_owned()]));
        let (start, found) = names.complete("select k.launch_de");
        assert_eq!((start, found), (9, vec!["launch_delay_ns".to_owned()]));
        assert!(names.complete("sel").1.contains(&"SELECT".to_owned()));
        assert!(names.complete("WHERE é").1.is_empty() && names.complete("").1.is_empty());
    }

    #[test]
    fn statements_end_with_a_semicolon() {
        for whole in ["", "  ", ".list", "SELECT 1;", "SELECT ';' ; ", "quit"] {
            assert!(is_whole(whole), "{whole}");
        }
        for part in ["SELECT 1", "SELECT ';", "SELECT 'a;"] {
            assert!(!is_whole(part), "{part}");
        }
    }
}

//! What is said of a command line that cannot be meant: one line of what is wrong, one of what to do.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

use super::help;
use super::run::say;
use crate::ask::listing::{command_of, table_keys};
use crate::schema::near::distance;

/// Exit code of an error.
const FAILED: u8 = 2;

/// Options of other programs, and what they are here.
const OPTIONS: [(&str, &str); 27] = [
    ("json", "--format json"),
    ("csv", "--format csv"),
    ("md", "--format md"),
    ("markdown", "--format md"),
    ("output-format", "--format"),
    ("limit", "--top N"),
    ("row-limit", "--top N"),
    ("rows", "--top N"),
    ("sort-by", "--sort"),
    ("out", "-o"),
    ("outfile", "-o"),
    ("output-file", "-o"),
    ("filter", "--name REGEX"),
    ("grep", "--name REGEX"),
    ("range", "--window A..B"),
    ("time", "--window A..B"),
    ("log", "--logs"),
    ("jobs", "--threads"),
    ("verbose", "--table TABLE, which shows a table in full"),
    ("stage", "the paths of the files of that stage, without an option"),
    ("stages", "the paths of the files of these stages, without an option"),
    ("rank", "the path of the file of that rank, without an option"),
    ("device", "--name REGEX of kernels, or the path of the file of that rank"),
    ("iteration", "--window A..B; `--table iterations` has the times"),
    ("input", "the path alone, without an option"),
    ("file", "the path alone, without an option"),
    ("trace", "the path alone, without an option"),
];

/// Words for what commands do.
const COMMANDS: [(&str, &[&str]); 11] = [
    (
        "analyze",
        &[
            "show",
            "view",
            "open",
            "stats",
            "summary",
            "summarize",
            "inspect",
            "info",
            "top",
            "read",
        ],
    ),
    ("capture", &["record", "profile", "run", "trace", "start"]),
    ("slim", &["compress", "shrink", "trim", "cut", "reduce", "filter", "crop"]),
    ("merge", &["combine", "join", "concat", "align"]),
    ("report", &["html", "page", "plot"]),
    ("stages", &["logs", "log", "requests"]),
    ("bandwidth", &["copies", "transfers", "comm", "nccl"]),
    ("diff", &["compare", "regress"]),
    ("query", &["sql", "select", "ask"]),
    ("export", &["parquet", "arrow", "flamegraph", "speedscope", "dump", "save"]),
    ("check", &["validate", "verify", "lint", "doctor"]),
];

/// Arguments whose form is not plain, each with an example.
const EXAMPLES: [(&str, &str); 17] = [
    ("--window", "--window 10ms..25ms, times from the start of the window (ns, us, ms, s)"),
    ("--iterations", "--iterations 2..4, numbers from 0"),
    ("--min-dur", "--min-dur 5us (ns, us, ms, s)"),
    ("--name", "--name 'aten::.*norm', a regular expression"),
    ("--top", "--top 50, and --top 0 for every row"),
    ("--threads", "--threads 2, from 1 to 1024"),
    ("--width", "--width 120, and --width 0 for any"),
    ("--exclude", "--exclude ipc_wait,gpu_sync"),
    ("--log-zone", "--log-zone +02:00"),
    ("--stage-of", "--stage-of talker=1"),
    ("--label", "--label stage_1=talker"),
    ("--group-by-stack", "--group-by-stack 5, a number of frames"),
    ("--scale", "--scale 'kernel:nvjet*=0.5', these kernels twice as fast"),
    ("--free", "--free launch"),
    ("--cuda-graph", "--cuda-graph decode"),
    ("--gate", "--gate 3% of all, or --gate decode.p50=3%,kernel:attention=5%"),
    ("--max-memory", "--max-memory 8G"),
];

/// Says what is wrong, or shows the help that was asked for; gives the exit code.
pub(super) fn tell(error: &Error, words: &[OsString]) -> u8 {
    if !error.use_stderr() {
        // A closed pipe is no error.
        let _ = error.print();
        return 0;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return FAILED;
    }
    let (what, hint) = told_of(error, words);
    say(&format!("error: {what}"));
    say(&format!("hint: {hint}"));
    FAILED
}

/// What is wrong with words, and what to do.
pub(super) fn told_of(error: &Error, words: &[OsString]) -> (String, String) {
    let command = words.get(1).map(|word| word.to_string_lossy().into_owned());
    let command = command.filter(|word| help::command_names().contains(word));
    told(error, command.as_deref())
}

/// What is wrong, and what to do.
fn told(error: &Error, command: Option<&str>) -> (String, String) {
    let help = format!("`omni-trace help {}` says what it takes", command.unwrap_or("COMMAND"));
    let context = |kind| context(error, kind);
    let argument = context(ContextKind::InvalidArg).unwrap_or_default();
    let option = argument.split([' ', '=']).next().unwrap_or_default();
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            no_command(&context(ContextKind::InvalidSubcommand).unwrap_or_default())
        }
        ErrorKind::UnknownArgument => unknown_argument(error, option, command),
        ErrorKind::InvalidValue => invalid_value(error, option, command),
        ErrorKind::ValueValidation => {
            let value = context(ContextKind::InvalidValue).unwrap_or_default();
            let why = std::error::Error::source(error).map(ToString::to_string);
            let why = why.and_then(|why| why.lines().last().map(str::to_owned)).unwrap_or_default();
            let why = why.trim().trim_start_matches("error: ").trim_end_matches('.');
            let what = format!("{} cannot be `{value}`: {}", plain(option), plain_reason(why));
            (what, example(option).unwrap_or(help))
        }
        ErrorKind::ArgumentConflict => {
            let other = context(ContextKind::PriorArg).unwrap_or_default();
            let what = match other.as_str() {
                other if other == argument => format!("{option} is given twice"),
                other => format!("{argument} and {other} exclude each other"),
            };
            (what, "leave one of them out".to_owned())
        }
        ErrorKind::MissingRequiredArgument => {
            let what = format!("{} needs {}", quoted(command), missing(error).join(" and "));
            (what, help)
        }
        _ => {
            let text = error.render().to_string();
            let line = text.lines().next().unwrap_or_default();
            (line.trim_start_matches("error: ").trim_end_matches(['.', ':']).to_owned(), help)
        }
    }
}

/// The arguments that are not there.
fn missing(error: &Error) -> Vec<String> {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(names)) => {
            names.iter().map(|name| plain(name.trim_end_matches("...")).to_owned()).collect()
        }
        _ => vec!["more arguments".to_owned()],
    }
}

/// An argument without the brackets of a synopsis.
fn plain(argument: &str) -> &str {
    if argument.starts_with('-') { argument } else { argument.trim_matches(['[', ']', '<', '>']) }
}

/// What the standard library says of numbers, in other words.
fn plain_reason(why: &str) -> String {
    match why.split_once(" is not in ") {
        _ if why.contains("invalid digit") => "it is no whole number".to_owned(),
        Some((number, _)) if number.parse::<i64>().is_ok() => "it is out of range".to_owned(),
        _ => why.to_owned(),
    }
}

/// A command as it is named in a sentence.
fn quoted(command: Option<&str>) -> String {
    command.map_or("omni-trace".to_owned(), |command| format!("`{command}`"))
}

/// A piece of what is known of an error, as one line.
fn context(error: &Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => texts.first().cloned(),
        ContextValue::StyledStr(text) => Some(text.to_string()),
        ContextValue::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A word that is no command: what may be meant.
fn no_command(word: &str) -> (String, String) {
    let what = format!("there is no command `{word}`, and no file or directory of that name");
    let names = help::command_names();
    let by_meaning = COMMANDS
        .iter()
        .find(|(name, words)| words.contains(&word) && names.iter().any(|known| known == name));
    let is_table = table_keys().contains(&word);
    let near = nearest(word, names.iter().map(String::as_str));
    let hint = match (by_meaning, is_table, near) {
        (Some((name, _)), ..) => format!("did you mean `omni-trace {name}`?"),
        (_, true, _) => {
            let command = command_of(word).unwrap_or("analyze");
            format!("`{word}` is a table: `omni-trace {command} PATH --table {word}`")
        }
        (.., Some(near)) => format!("did you mean `omni-trace {near}`?"),
        _ => "`omni-trace --help` lists the commands; `omni-trace PATH` analyzes".to_owned(),
    };
    (what, hint)
}

fn unknown_argument(error: &Error, option: &str, command: Option<&str>) -> (String, String) {
    let name = option.trim_start_matches('-');
    let is_number = option.starts_with('-') && name.starts_with(|c: char| c.is_ascii_digit());
    let what = match is_number {
        true => format!("`{option}` is no number that {} takes", quoted(command)),
        false => format!("{} takes no `{option}`", quoted(command)),
    };
    let suggested = context(error, ContextKind::SuggestedArg);
    let here = OPTIONS.iter().find(|(other, _)| *other == name);
    let hint = match (here, suggested) {
        _ if is_number => "numbers here start from 0; `--top 0` shows every row".to_owned(),
        (Some((_, here)), _) => format!("here it is {here}"),
        (_, Some(near)) => {
            format!("did you mean `{}`?", near.split([' ', '=']).next().unwrap_or_default())
        }
        _ if table_keys().contains(&name.replace('-', "_").as_str()) => {
            format!("it is a table: `--table {}`", name.replace('-', "_"))
        }
        _ => match command {
            Some(command) => match taker_of(name).filter(|other| other != command) {
                Some(other) => format!("it is of another command: `omni-trace {other} … {option}`"),
                None => format!("`omni-trace help {command}` lists what it takes"),
            },
            None => "`omni-trace --help` lists the commands".to_owned(),
        },
    };
    (what, hint)
}

/// The first command that takes an option, in the order of the help.
fn taker_of(option: &str) -> Option<String> {
    let takes = |command: &clap::Command| {
        command.get_arguments().any(|argument| argument.get_long() == Some(option))
    };
    let program = help::definitions();
    let takers = program.get_subcommands().filter(|command| takes(command));
    takers.map(|command| command.get_name().to_owned()).next()
}

fn invalid_value(error: &Error, option: &str, command: Option<&str>) -> (String, String) {
    let value = context(error, ContextKind::InvalidValue).unwrap_or_default();
    if value.is_empty() {
        let what = format!("{option} needs a value");
        return (what, example(option).unwrap_or_else(|| help_of(command)));
    }
    let suggested = context(error, ContextKind::SuggestedValue);
    if option == "--table" {
        return no_table(&value, suggested, command.unwrap_or("analyze"));
    }
    let known = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(known)) => known.join(", "),
        _ => String::new(),
    };
    let hint = match suggested {
        Some(near) if option.starts_with('-') => {
            format!("did you mean `{option} {near}`? It takes {known}")
        }
        Some(near) => format!("did you mean `{near}`? It takes {known}"),
        None => format!("it takes {known}"),
    };
    (format!("{} cannot be `{value}`", plain(option)), hint)
}

fn no_table(value: &str, suggested: Option<String>, command: &str) -> (String, String) {
    let other = command_of(value).filter(|other| *other != command);
    let what = format!("`{command}` has no table `{value}`");
    let hint = match (other, suggested) {
        (Some(other), _) => {
            format!("it is of another command: `omni-trace {other} PATH --table {value}`")
        }
        (_, Some(near)) => format!("did you mean `--table {near}`?"),
        _ => "`omni-trace schema` lists every table with the question that it answers".to_owned(),
    };
    (what, hint)
}

fn example(option: &str) -> Option<String> {
    let found = EXAMPLES.iter().find(|(name, _)| *name == option);
    found.map(|(_, example)| format!("for example {example}"))
}

fn help_of(command: Option<&str>) -> String {
    format!("`omni-trace help {}` says what it takes", command.unwrap_or("COMMAND"))
}

/// The known word that is the fewest letters away, where these are few.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.map(|one| (distance(word, one), one)).min()?;
    (near.0 * 3 <= word.chars().count().max(3)).then_some(near.1)
}

#[cfg(test)]
mod tests {
    use super::{nearest, no_command};

    #[test]
    fn words_that_are_meant() {
        let commands = ["analyze", "merge", "slim", "stages"];
        let near = |word| nearest(word, commands.into_iter());
        assert_eq!(near("analyse"), Some("analyze"));
        assert_eq!(near("stage"), Some("stages"));
        assert_eq!(near("xyz"), None);
    }

    #[test]
    fn commands_by_meaning_and_tables_by_name() {
        assert!(no_command("record").1.contains("omni-trace capture"));
        assert!(no_command("kernels").1.contains("analyze PATH --table kernels"));
        assert!(no_command("stragler").1.contains("--help"));
    }
}

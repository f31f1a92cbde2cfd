//! From the words typed to a command: what needs no command's name, and what is said of words that are none.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::FromArgMatches as _;

use super::args::Args;
use super::run::run;
use super::{help, usage};

/// What a path without a command is given to.
const DEFAULT: &str = "analyze";

/// Runs the program with the words of its command line, its own name first, and gives the exit code.
pub fn run_line(words: impl IntoIterator<Item = OsString>) -> u8 {
    let words = with_command(words.into_iter().collect());
    let parsed = help::command().try_get_matches_from(&words);
    match parsed.and_then(|matches| Args::from_arg_matches(&matches)) {
        Ok(args) => run(&args).code(),
        Err(error) => usage::tell(&error, &words),
    }
}

/// The words with the command that is meant where none is named: `omni-trace DIR` does what `analyze DIR` does.
fn with_command(mut words: Vec<OsString>) -> Vec<OsString> {
    let Some(first) = words.get(1) else { return words };
    let is_option = is_option(first);
    let is_meant = match is_option {
        true => !asks_for_help(first) && words.iter().skip(2).any(|word| is_there(word)),
        false => !help::is_command(first) && is_like_path(first),
    };
    if is_meant {
        words.insert(1, DEFAULT.into());
    }
    words
}

fn is_option(word: &OsStr) -> bool {
    word != "-" && word.to_string_lossy().starts_with('-')
}

fn asks_for_help(word: &OsStr) -> bool {
    ["-h", "--help", "-V", "--version"].iter().any(|one| word == *one)
}

fn is_there(word: &OsStr) -> bool {
    Path::new(word).exists()
}

/// Whether a word is a path: something of that name is there, or it is written as paths are.
fn is_like_path(word: &OsStr) -> bool {
    word == "-" || is_there(word) || word.to_string_lossy().contains(['/', '.'])
}

#[cfg(test)]
mod tests {
    use super::with_command;

    fn typed(words: &[&str]) -> Vec<String> {
        let words = std::iter::once("omni-trace").chain(words.iter().copied());
        let words = with_command(words.map(Into::into).collect());
        words.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_path_is_analyzed() {
        assert_eq!(typed(&["fixtures/pipeline", "--top", "3"])[0], "analyze");
        assert_eq!(typed(&["--top", "3", "src"]), ["analyze", "--top", "3", "src"]);
        assert_eq!(typed(&["-"]), ["analyze", "-"]);
        assert_eq!(typed(&["no/such.json"])[0], "analyze");
        for words in [&["merge", "src"][..], &["--help"], &["analyse"], &[], &["--nonsense"]] {
            assert_eq!(typed(words), words);
        }
    }
}

//! What is captured where nothing is named: the built-in pipeline of several stages, for one iteration.

use std::ffi::{OsStr, OsString};

/// What is said before it runs.
pub const NOTE: &str = "note: nothing to capture is named: all stages of the built-in pipeline `omni` run, and one iteration of those asked for \
    is recorded; name another with --pipeline NAME, a server with --server URL, a program with -- CMD";

/// Options and values that hold where none was given: one iteration, and an end also where nothing happens.
const DEFAULTS: [(&str, &str); 2] = [("--max-iters", "1"), ("--max-seconds", "60")];

/// Whether a word is an option, alone or with its value.
pub fn is_option(word: &OsStr, option: &str) -> bool {
    let word = word.to_string_lossy();
    word == option || word.strip_prefix(option).is_some_and(|rest| rest.starts_with('='))
}

/// The arguments with the built-in pipeline, where they name nothing to capture and ask for no help.
pub fn named(args: &[OsString]) -> Option<Vec<OsString>> {
    let has = |option: &str| args.iter().any(|word| is_option(word, option));
    let asks_for_help = ["-h", "--help", "-V", "--version"].iter().any(|option| has(option));
    if asks_for_help || has("--pipeline") || has("--server") || has("--") {
        return None;
    }
    let mut named: Vec<OsString> = vec!["--pipeline".into(), "omni".into()];
    named.extend_from_slice(args);
    for (option, value) in DEFAULTS {
        if !has(option) {
            named.extend([option.into(), value.into()]);
        }
    }
    Some(named)
}

#[cfg(test)]
mod tests {
    use super::named;

    fn of(words: &[&str]) -> Option<String> {
        let args: Vec<_> = words.iter().map(Into::into).collect();
        let words = named(&args)?;
        Some(words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn what_names_nothing_runs_the_built_in_pipeline() {
        let builtin = "--pipeline omni --stages 1 --max-iters 1 --max-seconds 60";
        assert_eq!(of(&["--stages", "1"]).as_deref(), Some(builtin));
        assert_eq!(
            of(&["--max-iters=3"]).as_deref(),
            Some("--pipeline omni --max-iters=3 --max-seconds 60")
        );
        for words in [&["--server", "h:1"][..], &["--pipeline=x"], &["--", "a"], &["--help"]] {
            assert_eq!(of(words), None, "{words:?}");
        }
    }
}

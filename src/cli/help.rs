//! What `--help` shows: little, with three examples; everything is shown by `help COMMAND`, and words by `help words`.

use std::ffi::OsStr;

use clap::{Arg, ArgAction, Args as ClapArgs, Command, CommandFactory as _};

use super::args::Args;
use super::output::Target;
use super::run::{Hinted, Outcome};
use super::usage;
use super::words;
use crate::cli::cmd_capture;

/// The command whose arguments are another package's.
const CAPTURE: &str = "capture";

/// The topic that is no command.
const WORDS: &str = "words";

/// Everything about a command, or what the words of the output mean (`help words`).
#[derive(Debug, ClapArgs)]
pub(super) struct HelpArgs {
    /// A command, or `words`.
    #[arg(value_name = "COMMAND")]
    pub(super) topic: Option<String>,
}

/// What `--help` of a command shows.
struct Short {
    command: &'static str,
    /// The arguments that are needed every day; the others are in the full help.
    shown: &'static [&'static str],
    examples: [(&'static str, &'static str); 3],
}

const SHORT: [Short; 13] = [
    Short {
        command: "analyze",
        shown: &[
            "paths",
            "table",
            "full",
            "top",
            "sort",
            "name",
            "window",
            "exclude_ipc_wait",
            "logs",
            "no_logs",
            "format",
            "output",
            "html",
        ],
        examples: [
            ("omni-trace analyze", "the traces of this directory"),
            ("omni-trace analyze DIR --table kernels --top 50", "one table, more of its rows"),
            (
                "omni-trace analyze DIR --exclude-ipc-wait",
                "without the waiting for other processes",
            ),
        ],
    },
    Short {
        command: "merge",
        shown: &["paths", "output", "force", "align"],
        examples: [
            ("omni-trace merge", "the traces of this directory, to merged.json.gz"),
            ("omni-trace merge DIR -o run.pftrace", "for Perfetto, which opens it faster"),
            ("omni-trace merge a.json.gz b.json.gz --stage-of b=1", "which stage a file is of"),
        ],
    },
    Short {
        command: "slim",
        shown: &["paths", "output", "force", "window", "iterations", "only", "drop"],
        examples: [
            ("omni-trace slim TRACE", "to TRACE's name with .slim in it, in this directory"),
            ("omni-trace slim TRACE --iterations 2..4", "three iterations with their device work"),
            ("omni-trace slim TRACE --window 10ms..25ms -o part.json.gz", "a part of the window"),
        ],
    },
    Short {
        command: "bandwidth",
        shown: &["paths", "table", "top", "logs", "no_logs", "peak", "format", "output", "html"],
        examples: [
            ("omni-trace bandwidth", "copies and collectives of this directory's traces"),
            (
                "omni-trace bandwidth DIR --table copies",
                "by route and size, with shares of the peak",
            ),
            ("omni-trace bandwidth DIR --peak host=63,peer=450", "against peaks of your own"),
        ],
    },
    Short {
        command: "stages",
        shown: &["paths", "table", "top", "format", "output", "html"],
        examples: [
            ("omni-trace stages", "the logs of this directory"),
            ("omni-trace stages server.log", "a console log of a server"),
            ("omni-trace stages DIR --table requests --top 0", "every request"),
        ],
    },
    Short {
        command: "report",
        shown: &["paths", "against", "logs", "no_logs", "output", "force", "window", "exclude"],
        examples: [
            ("omni-trace report", "this directory's traces and logs, to omni-trace-report/"),
            ("omni-trace report DIR -o page", "to a folder of this name"),
            ("omni-trace report NEW --against OLD -o page", "both runs on common scales"),
        ],
    },
    Short {
        command: "diff",
        shown: &["runs", "a", "b", "against", "save_baseline", "gate", "format", "output", "html"],
        examples: [
            (
                "omni-trace diff before.json.gz after.json.gz",
                "which is faster, why, and is it real",
            ),
            (
                "omni-trace diff --b run1 run2 run3 --save-baseline main.json",
                "a small file for later",
            ),
            ("omni-trace diff --against main.json pr.json.gz --gate 3%", "1 where it got slower"),
        ],
    },
    Short {
        command: "export",
        shown: &["paths", "output", "format", "table"],
        examples: [
            ("omni-trace export DIR -o tables", "every table as Parquet, by stage and rank"),
            ("omni-trace export DIR -o stacks --format folded", "stacks for a flame graph"),
            ("omni-trace export DIR -o stacks --format speedscope,firefox", "for these viewers"),
        ],
    },
    Short {
        command: "check",
        shown: &["paths", "need", "repair", "table", "format", "output", "strict"],
        examples: [
            ("omni-trace check", "what the files of this directory are worth"),
            ("omni-trace check DIR --need kernels,frames", "1 where a need is not met"),
            ("omni-trace check TRACE --repair whole.json.gz", "a valid trace of what is readable"),
        ],
    },
    Short {
        command: "reduce",
        shown: &["paths", "table", "top", "name", "skip_unreadable", "format", "output"],
        examples: [
            (
                "omni-trace analyze RANK.json.gz --partial RANK.otp",
                "before: once a file, where it lies",
            ),
            ("omni-trace reduce DIR", "then: one answer from all partial results in DIR"),
            ("omni-trace reduce a.otp b.otp --format json", "what analyze of their files gives"),
        ],
    },
    Short {
        command: "critical-path",
        shown: &["paths", "table", "top", "one_run", "format", "output"],
        examples: [
            ("omni-trace critical-path", "what bounds the run that this directory's traces are of"),
            (
                "omni-trace critical-path DIR --table path_iterations",
                "host or device, by iteration",
            ),
            (
                "omni-trace critical-path DIR --table slack --top 50",
                "what could be slower at no cost",
            ),
        ],
    },
    Short {
        command: "what-if",
        shown: &[
            "paths",
            "scale",
            "free",
            "overlap",
            "drop_op",
            "drop_kernel",
            "drop_copy",
            "cuda_graph",
            "table",
            "format",
            "output",
        ],
        examples: [
            ("omni-trace what-if DIR", "what everything would bring at most"),
            ("omni-trace what-if DIR --scale kernel:nvjet*=0.5", "cuBLAS' kernels twice as fast"),
            ("omni-trace what-if DIR --cuda-graph decode --free sync", "several changes at once"),
        ],
    },
    Short {
        command: "schema",
        shown: &["tables", "format", "output"],
        examples: [
            ("omni-trace schema", "every table, and the question that it answers"),
            ("omni-trace schema kernels", "the columns of one: units, kinds, meanings"),
            ("omni-trace schema --format json", "all of it for programs"),
        ],
    },
];

/// The examples of the program itself.
const EXAMPLES: [(&str, &str); 3] = [
    ("omni-trace DIR", "where the time of the traces in DIR went"),
    ("omni-trace report DIR", "the same as a page to attach to a mail"),
    ("omni-trace capture --stages 1", "record a trace to try it on"),
];

/// The command line with the short help of every command.
pub(super) fn command() -> Command {
    let mut command = Args::command()
        .disable_help_subcommand(true)
        .after_help(examples_text(&EXAMPLES, "omni-trace help COMMAND"));
    command = global_with_each(command);
    for short in &SHORT {
        command = command.mut_subcommand(short.command, |one| shortened(one, short));
    }
    command
}

/// Has the help of each command say what every command takes, and not that of the program, which is on commands.
fn global_with_each(mut command: Command) -> Command {
    let globals: Vec<Arg> =
        command.get_arguments().filter(|arg| arg.is_global_set()).cloned().collect();
    let names: Vec<String> =
        command.get_subcommands().map(|one| one.get_name().to_owned()).collect();
    for global in globals {
        command = command.mut_arg(global.get_id().as_str(), |arg| arg.hide(true));
        for name in &names {
            command = command.mut_subcommand(name, |one| one.arg(global.clone()));
        }
    }
    command
}

/// All that can be typed, capture's own arguments among it, without the version of this build.
pub(super) fn definitions() -> Command {
    Args::command()
        .long_version(None::<&str>)
        .mut_subcommand(CAPTURE, |_| cmd_capture::definition())
}

fn shortened(command: Command, short: &Short) -> Command {
    let more = format!("omni-trace help {}", short.command);
    let help = Arg::new("help").short('h').long("help").action(ArgAction::HelpShort);
    command
        .mut_args(|arg| {
            let is_shown = short.shown.contains(&arg.get_id().as_str());
            let has_values = arg.get_action().takes_values();
            let arg = arg.hide_short_help(!is_shown);
            if has_values { arg.hide_possible_values(true) } else { arg }
        })
        .disable_help_flag(true)
        .arg(help.help("This text").hide_short_help(true))
        .after_help(examples_text(&short.examples, &more))
}

/// Examples in two columns, and where the rest stands.
fn examples_text(examples: &[(&str, &str)], more: &str) -> String {
    let width = examples.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
    let lines = examples.iter().map(|(line, what)| format!("  {line:width$}  {what}\n"));
    let lines: String = lines.collect();
    format!(
        "Examples:\n{lines}\n`{more}` says everything; `omni-trace help words` says what the words mean."
    )
}

/// Whether a word is a command.
pub(super) fn is_command(word: &OsStr) -> bool {
    command_names().iter().any(|name| word == name.as_str())
}

/// The names of all commands.
pub(super) fn command_names() -> Vec<String> {
    Args::command().get_subcommands().map(|one| one.get_name().to_owned()).collect()
}

/// Runs `help`.
pub(super) fn run(args: &HelpArgs) -> anyhow::Result<Outcome> {
    let text = match args.topic.as_deref() {
        None => Args::command().render_long_help().to_string(),
        Some(WORDS) => words::text(),
        Some(CAPTURE) => {
            cmd_capture::show_help();
            return Ok(Outcome::Done);
        }
        Some(topic) => full_help(topic)?,
    };
    Target::Stdout.write(text.as_bytes())?;
    Ok(Outcome::Done)
}

/// Everything about a command.
fn full_help(topic: &str) -> anyhow::Result<String> {
    // Built, so that the usage line names the program.
    let mut all = Args::command();
    all.build();
    let Some(command) = all.find_subcommand_mut(topic) else {
        let what = format!("there is no command `{topic}`");
        let known = command_names();
        let hint = match usage::nearest(topic, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `omni-trace help {near}`?"),
            None => format!("there are {}, and `omni-trace help words`", known.join(", ")),
        };
        return Err(Hinted { what, hint }.into());
    };
    Ok(command.render_long_help().to_string())
}

#[cfg(test)]
mod tests {
    use super::{SHORT, command};

    #[test]
    fn the_short_help_names_arguments_that_are_there() {
        command().debug_assert();
        for short in &SHORT {
            let all = command();
            let one = all.find_subcommand(short.command).expect("it is a command");
            for name in short.shown {
                assert!(one.get_arguments().any(|arg| arg.get_id() == name), "{name}");
            }
        }
    }

    #[test]
    fn the_examples_can_be_typed() {
        for (line, _) in SHORT.iter().flat_map(|short| short.examples) {
            let parsed = command().try_get_matches_from(line.split_whitespace());
            assert!(parsed.is_ok(), "{line}: {parsed:?}");
        }
    }

    #[test]
    fn the_short_help_fits_a_screen() {
        for short in &SHORT {
            let mut all = command();
            all.build();
            let one = all.find_subcommand_mut(short.command).expect("it is a command");
            let text = one.render_help().to_string();
            assert!(text.lines().count() <= 44, "{}:\n{text}", short.command);
        }
    }
}

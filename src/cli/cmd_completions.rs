//! `omni-trace completions`: the script with which a shell completes what is typed; reads no input.

use super::args_shell::CompletionsArgs;
use super::help;
use super::output::Target;
use super::run::Outcome;

/// Runs the command.
pub(super) fn run(args: &CompletionsArgs) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut help::definitions(), "omni-trace", &mut script);
    Target::Stdout.write(&script)?;
    Ok(Outcome::Done)
}

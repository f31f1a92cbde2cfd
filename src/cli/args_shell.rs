//! What can be typed after `completions` and `man`.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use clap_complete::Shell;

/// What a shell needs to complete commands, options and their values.
///
/// Bash: `omni-trace completions bash > ~/.local/share/bash-completion/completions/omni-trace`.
/// Zsh: `omni-trace completions zsh > DIR/_omni-trace`, DIR being one of `$fpath`.
/// Fish: `omni-trace completions fish > ~/.config/fish/completions/omni-trace.fish`.
#[derive(Debug, ClapArgs)]
pub(super) struct CompletionsArgs {
    /// The shell.
    #[arg(value_name = "SHELL")]
    pub(super) shell: Shell,
}

/// Manual pages: one of the program, one of each command.
///
/// `omni-trace man -o ~/.local/share/man/man1`, then `man omni-trace-analyze`.
#[derive(Debug, ClapArgs)]
pub(super) struct ManArgs {
    /// Folder for the pages; it is made where it is missing. Default: the program's page, to standard output.
    #[arg(short, long, value_name = "DIR")]
    pub(super) output: Option<PathBuf>,
}

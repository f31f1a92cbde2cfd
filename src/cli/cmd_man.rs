//! `omni-trace man`: manual pages, made from the definitions of the command line; reads no input.

use std::path::Path;

use clap::Command;
use clap_mangen::Man;

use super::args_shell::ManArgs;
use super::help;
use super::output::Target;
use super::run::{Hinted, Outcome};
use crate::files::write_together;

/// Runs the command.
pub(super) fn run(args: &ManArgs) -> anyhow::Result<Outcome> {
    let pages = pages()?;
    match &args.output {
        Some(folder) => write(folder, &pages)?,
        None => Target::Stdout.write(&pages[0].1)?,
    }
    Ok(Outcome::Done)
}

fn write(folder: &Path, pages: &[(String, Vec<u8>)]) -> anyhow::Result<()> {
    write_together(folder, pages).map_err(|error| {
        let what = format!("cannot write the pages to {}: {error}", folder.display());
        let hint = "name a folder with -o that may be written to".to_owned();
        Hinted { what, hint }.into()
    })
}

/// The pages with their file names, the program's first.
fn pages() -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut program = help::definitions();
    program.build();
    let commands: Vec<Command> = program.get_subcommands().cloned().collect();
    std::iter::once(program).chain(commands).map(page).collect()
}

fn page(command: Command) -> anyhow::Result<(String, Vec<u8>)> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let mut page = Vec::new();
    let program = concat!("omni-trace ", env!("CARGO_PKG_VERSION"));
    Man::new(command).title(&name).source(program).render(&mut page)?;
    Ok((format!("{name}.1"), page))
}

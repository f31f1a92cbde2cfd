//! `omni-trace cache`: what is kept of traces, shown or removed; reads no trace.

use std::fmt::Write as _;

use super::args_cache::{CacheAction, CacheCommandArgs};
use super::output::Target;
use super::run::{Hinted, Outcome};
use crate::read::Sidecars;
use crate::render::human;

/// Runs the command.
pub(super) fn run(args: &CacheCommandArgs) -> anyhow::Result<Outcome> {
    let Some(sidecars) = Sidecars::asked(args.cache.cache.as_deref()) else {
        let what = "nothing is kept: the cache is off, or there is no home directory".to_owned();
        let hint = "name a folder with --cache DIR".to_owned();
        return Err(Hinted { what, hint }.into());
    };
    let text = match args.action {
        CacheAction::List => listed(&sidecars),
        CacheAction::Clean => cleaned(&sidecars)?,
    };
    Target::Stdout.write(text.as_bytes())?;
    Ok(Outcome::Done)
}

fn listed(sidecars: &Sidecars) -> String {
    let all = sidecars.list();
    let bytes: u64 = all.iter().map(|sidecar| sidecar.bytes).sum();
    let mut text = format!(
        "{} traces, {} of at most {}, in {}\n",
        all.len(),
        human::bytes(bytes),
        human::bytes(sidecars.most_bytes()),
        sidecars.folder().display()
    );
    for sidecar in all {
        let trace = sidecar.trace.as_deref().unwrap_or("(damaged)");
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{:>12}  {trace}", human::bytes(sidecar.bytes));
    }
    text
}

fn cleaned(sidecars: &Sidecars) -> anyhow::Result<String> {
    let folder = sidecars.folder().display();
    let (n, bytes) = sidecars.clean().map_err(|error| Hinted {
        what: format!("cannot remove what is kept in {folder}: {error}"),
        hint: "remove the folder by hand".to_owned(),
    })?;
    Ok(format!("{n} files, {} removed from {folder}\n", human::bytes(bytes)))
}

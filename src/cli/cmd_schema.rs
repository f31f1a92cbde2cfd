//! `omni-trace schema`: what the tables are; reads no input.

use super::args::Format;
use super::args_schema::SchemaArgs;
use super::guard::{self, Output};
use super::output::Target;
use super::plan::style;
use super::run::{Hinted, Outcome};
use crate::ask::listing::{Listing, table_keys};
use crate::render::{csv, json, markdown, text};
use crate::schema::{Table, near};

/// Runs the command.
pub(super) fn run(args: &SchemaArgs) -> anyhow::Result<Outcome> {
    guard::claim([Output::of("-o", args.output.as_deref())])?;
    args.tables.iter().try_for_each(|key| known(key))?;
    let listing = Listing::of(&args.tables);
    let target = args.output.clone().map_or(Target::Stdout, Target::File);
    target.write(rendered(args, &listing, &target)?.as_bytes())?;
    Ok(Outcome::Done)
}

/// # Errors
///
/// A key of no table, with those that come near it.
fn known(key: &str) -> anyhow::Result<()> {
    let keys = table_keys();
    if keys.contains(&key) {
        return Ok(());
    }
    let hint = near::hint(key, keys).unwrap_or_else(|| "`omni-trace schema` lists them".to_owned());
    Err(Hinted { what: format!("there is no table `{key}`"), hint }.into())
}

fn rendered(args: &SchemaArgs, listing: &Listing, target: &Target) -> anyhow::Result<String> {
    let is_all = args.tables.is_empty();
    let text = match args.format {
        Format::Json => json::document(listing)?,
        Format::Csv => csv::typed(&Table::of(&listing.columns()), csv::Texts::Neutral),
        Format::Md => {
            let overview = is_all.then(|| markdown::table(&listing.overview()));
            joined(overview, listing.views().map(|view| markdown::table(&view)))
        }
        Format::Text if is_all => text::table(&listing.overview(), style(target)),
        Format::Text => joined(None, listing.views().map(|view| text::table(&view, style(target)))),
    };
    Ok(text)
}

fn joined(first: Option<String>, rest: impl Iterator<Item = String>) -> String {
    first.into_iter().chain(rest).collect::<Vec<_>>().join("\n")
}
